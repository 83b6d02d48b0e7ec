/* memory.c: where memory comes from and how it goes: the only file that
 * frees. */
#include "shim.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- the ledger ------------------------------------------------------------ */

Ledger *
ledger_new(State *st)
{
    Ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    ledger->holders = 1;
    ledger->st = st;
    ring_init(&ledger->live);
    return ledger;
}

void
ledger_end(Ledger *ledger)
{
    trace_end(ledger);
    for (int i = 0; i < SPENT_LOANS; i++) {
        free(ledger->spent[i]);
    }
    free(ledger);
}

char *
memory_nowhere(void)
{
    /* Never written: zero bytes live here. Aligned as a page, so that no
     * consumer's check of alignment fails on an empty array. */
    static _Alignas(4096) char nowhere[1];
    return nowhere;
}

/* ---- new memory ---------------------------------------------------------- */

#define ALIGN_MAX ((Py_ssize_t)1 << 30)

static const struct {
    const char *name;
    int (*make)(Memory *mem, Py_ssize_t nbytes, Wish wish); /* NULL: wrap() */
} sources[] = {
    [SOURCE_C] = {"c", source_c_make},
    [SOURCE_GO] = {"go", source_go_make},
    [SOURCE_FOREIGN] = {"foreign", NULL},
};
#define SOURCES ((int)(sizeof sources / sizeof sources[0]))

static int
read_align(PyObject *arg, Py_ssize_t *out)
{
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

static int
read_source(PyObject *arg, const char *function, Source *out)
{
    for (int i = 0; i < SOURCES && PyUnicode_Check(arg); i++) {
        if (sources[i].make != NULL &&
            PyUnicode_CompareWithASCIIString(arg, sources[i].name) == 0) {
            *out = (Source)i;
            return 0;
        }
    }
    return refuse(PyUnicode_Check(arg) ? PyExc_ValueError : PyExc_TypeError, arg,
                  "%s(): source is {}; memory can be had from \"c\" and from "
                  "\"go\"",
                  function);
}

int
memory_wish(PyObject *align, PyObject *source, const char *function, Wish *out)
{
    *out = (Wish){.source = SOURCE_C, .align = ALIGN_DEFAULT};
    if (align != NULL && read_align(align, &out->align) < 0) {
        return -1;
    }
    return source == NULL ? 0 : read_source(source, function, &out->source);
}

const char *
memory_source_name(Source source)
{
    return sources[source].name;
}

int
memory_new(Memory *mem, Py_ssize_t nbytes, Wish wish)
{
    if (sources[wish.source].make(mem, nbytes, wish) < 0) {
        return -1;
    }
    if (tracemalloc_is_on()) {
        tracemalloc_add(mem);
    }
    return 0;
}

/* ---- giving back --------------------------------------------------------- */

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

/* After a function of C's: it may have called Python, and failed there. */
static void
native_end(Aside aside)
{
    if (PyErr_Occurred() != NULL) {
        PyErr_WriteUnraisable(NULL);
    }
    aside_return(aside);
}

void
memory_call_native(NativeRelease native, void *block, Py_ssize_t size,
                   void *arg)
{
    Aside aside = aside_put();
    native(block, (size_t)size, arg);
    native_end(aside);
}

typedef void (*DescriptorRelease)(pybuf_descriptor *);

/* A Go runtime that sees a thread for the first time unblocks signals on it, and
 * leaves it so. Which threads it knows cannot be asked of another library's; so
 * each thread remembers the release that it called last and that left the mask
 * alone: asking the kernel twice takes longer than all the rest. */
static ThreadKey quiet;

int
memory_prepare(void)
{
    return thread_key_make(&quiet, NULL);
}

static void
release_masked(pybuf_descriptor *d)
{
    DescriptorRelease release = d->release;
    if (pthread_getspecific(quiet.key) == (void *)release) {
        release(d);
        return;
    }
    sigset_t before, after;
    memset(&before, 0, sizeof before); /* the kernel fills a part of it */
    memset(&after, 0, sizeof after);
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    release(d);
    pthread_sigmask(SIG_SETMASK, &before, &after);
    if (memcmp(&before, &after, sizeof before) == 0) {
        pthread_setspecific(quiet.key, (void *)release);
    }
}

static void
call_descriptor(pybuf_descriptor *d, bool bound, uint32_t generation)
{
    /* In a forked child it is a copy, whose runtime is dead: it goes with the
     * process. */
    if (bound && generation != rebirth_generation()) {
        return;
    }
    Aside aside = aside_put();
    if (bound) {
        release_masked(d);
    }
    else {
        d->release(d);
    }
    native_end(aside);
}

void
memory_release(Memory *mem)
{
    /* Gone first: what a callback does may come back here. Only what is needed
     * is taken out: a copy of the whole waits for its last write. */
    ReleaseKind release = mem->release;
    if (release == RELEASE_GONE || release == RELEASE_LEFT) {
        return; /* and the rest may never have been written */
    }
    PyObject *callback = mem->callback, *owner = mem->owner;
    mem->release = RELEASE_GONE;
    mem->data = NULL;
    mem->callback = NULL;
    mem->owner = NULL;
    if (mem->tracked) { /* before another thread can be given the address */
        tracemalloc_remove(mem);
    }
    switch (release) {
    case RELEASE_GONE:
    case RELEASE_LEFT:
    case RELEASE_NOTHING:
        break;
    case RELEASE_FREE:
        free(mem->block);
        break;
    case RELEASE_GO:
        source_go_free(mem->slot, mem->generation);
        break;
    case RELEASE_NATIVE:
        memory_call_native(mem->native, mem->block, mem->block_size, mem->arg);
        break;
    case RELEASE_DESCRIPTOR:
        call_descriptor(mem->descriptor, mem->bound, mem->adopted_in);
        break;
    case RELEASE_CALL: {
        Pending pending = pending_save();
        call_back(callback, mem->block);
        pending_restore(pending);
        break;
    }
    case RELEASE_PARENT:
        buffer_unlend_child((Buffer *)owner);
        break;
    }
    Py_XDECREF(callback);
    Py_XDECREF(owner);
}
