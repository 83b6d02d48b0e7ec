/* memory.c: where memory comes from and how it goes.
 *
 * The only file that frees. C's own calls are used for what can fail, because
 * Go's (C.malloc through cgo, its heap) end the process instead. */
#include "shim.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* From this size on, huge pages are asked for: NumPy's own threshold. Page
 * faults then cost a 512th. */
#define HUGE_FROM ((size_t)4 << 20)

/* What malloc aligns to. */
#define MALLOC_ALIGN ((size_t)_Alignof(max_align_t))

#define ALIGN_DEFAULT 64
#define ALIGN_MAX ((Py_ssize_t)1 << 30)

Ledger *
ledger_new(void)
{
    Ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    ledger->holders = 1;
    return ledger;
}

void
ledger_drop(Ledger *ledger)
{
    if (--ledger->holders == 0) {
        free(ledger);
    }
}

char *
memory_nowhere(void)
{
    /* Never written: zero bytes live here. Aligned as a page, so that no
     * consumer's check of alignment fails on an empty array. */
    static _Alignas(4096) char nowhere[1];
    return nowhere;
}

int
memory_align(PyObject *arg, Py_ssize_t *out)
{
    *out = ALIGN_DEFAULT;
    if (arg == NULL) {
        return 0;
    }
    if (args_ssize(arg, "align", out) < 0) {
        return -1;
    }
    if (*out < 1 || *out > ALIGN_MAX || (*out & (*out - 1)) != 0) {
        PyErr_Format(PyExc_ValueError,
                     "align is %zd; it must be a power of two from 1 to %zd "
                     "bytes",
                     *out, ALIGN_MAX);
        return -1;
    }
    return 0;
}

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

int
memory_c(Memory *mem, Py_ssize_t nbytes, Py_ssize_t align, bool zeroed)
{
    /* At least one byte: a zero-size export has a pointer all the same. */
    size_t size = nbytes > 0 ? (size_t)nbytes : 1;
    if ((size_t)align > MALLOC_ALIGN) {
        size += (size_t)align - MALLOC_ALIGN;
    }
    char *block = zeroed ? calloc(1, size) : malloc(size);
    if (block == NULL) {
        PyErr_Format(PyExc_MemoryError,
                     "%zd bytes were asked for and the system has no such "
                     "block of memory",
                     nbytes);
        return -1;
    }
    if (size >= HUGE_FROM) {
        ask_huge_pages(block, size);
    }
    uintptr_t mask = (uintptr_t)align - 1;
    *mem = (Memory){
        .data = (char *)(((uintptr_t)block + mask) & ~mask),
        .block = block,
        .block_size = nbytes,
        .align = align,
        .source = SOURCE_C,
        .release = RELEASE_FREE,
    };
    return 0;
}

static void
call_back(PyObject *callback, void *block)
{
    PyObject *address = PyLong_FromVoidPtr(block);
    PyObject *result =
        address == NULL
            ? NULL
            : PyObject_CallFunctionObjArgs(callback, address, NULL);
    if (result == NULL) {
        PyErr_WriteUnraisable(callback);
    }
    Py_XDECREF(result);
    Py_XDECREF(address);
}

void
memory_release(Memory *mem)
{
    /* Gone first: what a callback does may come back here. */
    Memory last = *mem;
    mem->release = RELEASE_GONE;
    mem->data = NULL;
    mem->callback = NULL;
    mem->owner = NULL;
    switch (last.release) {
    case RELEASE_GONE:
    case RELEASE_LEFT:
    case RELEASE_NOTHING:
        break;
    case RELEASE_FREE:
        free(last.block);
        break;
    case RELEASE_NATIVE:
    case RELEASE_CALL: {
        Pending pending = pending_save();
        if (last.release == RELEASE_NATIVE) {
            last.native(last.block, (size_t)last.block_size, last.arg);
        }
        else {
            call_back(last.callback, last.block);
        }
        pending_restore(pending);
        break;
    }
    case RELEASE_PARENT:
        buffer_unlend_child((Buffer *)last.owner);
        break;
    }
    Py_XDECREF(last.callback);
    Py_XDECREF(last.owner);
}
