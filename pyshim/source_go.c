/* source_go.c: memory of Go's heap.
 *
 * Go ends the process when its heap cannot grow. So the system is asked first,
 * by a mapping that is given back at once. Between the two another thread may
 * take what was there: a race that is lost ends the process still. */
#include "shim.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Go's heap grows by arenas of 64 MiB, aligned to their size: for which it asks
 * for one more. */
#define ARENAS ((size_t)128 << 20)

/* Blocks of this size are asked for wherever they are made, for no machine has
 * all that fits into a number. Smaller ones where there is a limit to reach:
 * elsewhere the question would take longer than the block. */
#define ASK_FROM ((size_t)1 << 20)

/* From this size on other threads run while Go makes a block, for it may have
 * to be zeroed. */
#define MAKE_WITHOUT_GIL ((Py_ssize_t)1 << 20)

#define ERROR_CAP REASON_CAP

static bool
is_limited(int which)
{
    struct rlimit limit;
    return getrlimit(which, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

/* Whether the kernel gives no more addresses than it has memory for, which is
 * set for the machine as a whole (vm.overcommit_memory=2). */
static bool
is_counted(void)
{
    static atomic_int known; /* 1: no, 2: yes */
    if (atomic_load(&known) == 0) {
        char mode = '0';
        int fd = open("/proc/sys/vm/overcommit_memory", O_RDONLY | O_CLOEXEC);
        if (fd >= 0) {
            ssize_t n = read(fd, &mode, 1);
            (void)n;
            close(fd);
        }
        atomic_store(&known, mode == '2' ? 2 : 1);
    }
    return atomic_load(&known) == 2;
}

/* Where there is none, it is not looked for at each block either: bytes that
 * may be had before the next look. */
static atomic_int_least64_t unlimited;

static bool
is_small_and_unlimited(size_t size)
{
    if (size >= ASK_FROM) {
        return false;
    }
    if (atomic_fetch_sub(&unlimited, (int64_t)size) >= (int64_t)size) {
        return true;
    }
    bool none =
        !is_limited(RLIMIT_AS) && !is_limited(RLIMIT_DATA) && !is_counted();
    atomic_store(&unlimited, none ? (int64_t)ASK_FROM : 0);
    return none;
}

static bool
system_has(size_t size)
{
    if (is_small_and_unlimited(size)) {
        return true;
    }
    /* What Go notes of the block comes to a small part of it. */
    size_t room = size + size / 64 + ARENAS;
    void *found = mmap(NULL, room, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return found != MAP_FAILED && munmap(found, room) == 0;
}

static int32_t
ask(Py_ssize_t nbytes, Py_ssize_t align, pybuf_block *block, pybuf_text *err)
{
    if (nbytes < MAKE_WITHOUT_GIL) {
        return go_alloc(nbytes, align, block, err);
    }
    int32_t kind;
    Py_BEGIN_ALLOW_THREADS
    kind = go_alloc(nbytes, align, block, err);
    Py_END_ALLOW_THREADS
    return kind;
}

int
source_go_make(Memory *mem, Py_ssize_t nbytes, Wish wish)
{
    char message[ERROR_CAP];
    pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
    pybuf_block block;
    /* No overflow: both are below 2^63, and the sum is unsigned. */
    size_t size = (size_t)nbytes + (size_t)wish.align;
    if (size > (size_t)INT64_MAX / 2 || !system_has(size)) {
        PyErr_Format(PyExc_MemoryError,
                     "%zd bytes of Go's heap were asked for and the system has "
                     "no such block of memory",
                     nbytes);
        return -1;
    }
    int32_t kind = ask(nbytes, wish.align, &block, &err);
    if (kind != PYBUF_OK) {
        go_raise(kind, &err);
        return -1;
    }
    *mem = (Memory){
        .data = block.data,
        .block = block.data,
        .block_size = nbytes,
        .align = wish.align,
        .source = SOURCE_GO,
        .release = RELEASE_GO,
        .generation = rebirth_generation(),
        .slot = block.slot,
    };
    return 0;
}

void
source_go_free(int64_t slot, uint32_t generation)
{
    char message[ERROR_CAP];
    pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
    /* In a forked child the block is the dead runtime's: it goes with the
     * process. */
    if (generation != rebirth_generation()) {
        return;
    }
    int32_t kind = go_free(slot, &err);
    if (kind != PYBUF_OK) { /* nobody to raise it to */
        Pending pending = pending_save();
        go_raise(kind, &err);
        PyErr_WriteUnraisable(NULL);
        pending_restore(pending);
    }
}
