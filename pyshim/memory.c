/* memory.c: where memory comes from and how it goes: the only file that
 * frees. */
#include "shim.h"

#include <stdlib.h>

/* ---- the ledger ------------------------------------------------------------ */

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
    return sources[wish.source].make(mem, nbytes, wish);
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
    case RELEASE_GO:
        source_go_free(&last);
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
