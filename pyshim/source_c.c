/* source_c.c: memory of C's allocator.
 *
 * C's own calls are used for what can fail: Go's (C.malloc through cgo) end the
 * process instead. */
#include "shim.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* From this size on, huge pages are asked for: NumPy's own threshold. Page
 * faults then cost a 512th. */
#define HUGE_FROM ((size_t)4 << 20)

/* What malloc aligns to. */
#define MALLOC_ALIGN ((size_t)_Alignof(max_align_t))

static void
ask_huge_pages(void *block, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)block + page - 1) & ~(page - 1);
    uintptr_t end = (uintptr_t)block + size;
    if (start < end) {
        /* The kernel rounds the end up to a page, and so it should: large
         * blocks end near a multiple of a huge page, and the last of them
         * would be 512 small ones for want of this one. It is advice only: a
         * kernel without huge pages says no, and that is well. */
        (void)madvise((void *)start, end - start, MADV_HUGEPAGE);
    }
}

char *
source_c_block(Py_ssize_t nbytes, Wish wish, void **out)
{
    /* At least one byte: a zero-size export has a pointer all the same. */
    size_t size = nbytes > 0 ? (size_t)nbytes : 1;
    if ((size_t)wish.align > MALLOC_ALIGN) {
        size += (size_t)wish.align - MALLOC_ALIGN;
    }
    char *block = wish.zeroed ? calloc(1, size) : malloc(size);
    if (block == NULL) {
        PyErr_Format(PyExc_MemoryError,
                     "%zd bytes were asked for and the system has no such "
                     "block of memory",
                     nbytes);
        return NULL;
    }
    if (size >= HUGE_FROM) {
        ask_huge_pages(block, size);
    }
    uintptr_t mask = (uintptr_t)wish.align - 1;
    *out = block;
    return (char *)(((uintptr_t)block + mask) & ~mask);
}

int
source_c_make(Memory *mem, Py_ssize_t nbytes, Wish wish)
{
    void *block;
    char *data = source_c_block(nbytes, wish, &block);
    if (data == NULL) {
        return -1;
    }
    *mem = (Memory){
        .data = data,
        .block = block,
        .block_size = nbytes,
        .align = wish.align,
        .source = SOURCE_C,
        .release = RELEASE_FREE,
    };
    return 0;
}
