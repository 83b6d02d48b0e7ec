/* gocall.c: the only file that calls Go, so that calls can be counted.
 *
 * No loop that makes, views or frees Buffers may come here: the counter is
 * what the tests of that promise read. */
#include "shim.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

static atomic_uint_fast64_t calls;

/* When a thread of Python's calls Go for the first time, Go unblocks the
 * signals that it wants on it (SIGCHLD, SIGPROF, SIGURG and seven more), and
 * leaves it so. The thread is not Go's: it gets its own mask back. */
static sigset_t
enter(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    return mask;
}

static int32_t
leave(sigset_t mask, int32_t result)
{
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    return result;
}

uint64_t
go_calls(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

int
go_check(void)
{
    int64_t theirs[4] = {0};
    const int64_t ours[4] = {PYBUF_ABI, sizeof(pybuf_element),
                             sizeof(pybuf_layout), sizeof(pybuf_runtime)};
    sigset_t mask = enter();
    leave(mask, pybuf_go_abi(theirs));
    for (int i = 0; i < 4; i++) {
        if (theirs[i] != ours[i]) {
            PyErr_Format(PyExc_ImportError,
                         "the two halves of pybuf._core were built from "
                         "different sources (item %d is %lld in Go and %lld "
                         "in C); build and install pybuf again",
                         i, (long long)theirs[i], (long long)ours[i]);
            return -1;
        }
    }
    return 0;
}

int32_t
go_element(const char *spelling, Py_ssize_t len, int how, pybuf_element *out,
           pybuf_text *err)
{
    sigset_t mask = enter();
    return leave(mask, pybuf_go_element((char *)spelling, len, how, out, err));
}

int32_t
go_plain(int how, int64_t i, pybuf_text *spelling, pybuf_element *out)
{
    sigset_t mask = enter();
    return leave(mask, pybuf_go_plain(how, i, spelling, out));
}

int32_t
go_layout(pybuf_layout *layout, pybuf_text *err)
{
    sigset_t mask = enter();
    return leave(mask, pybuf_go_layout(layout, err));
}

int32_t
go_runtime(int collect, pybuf_runtime *out)
{
    sigset_t mask = enter();
    return leave(mask, pybuf_go_runtime(collect, out));
}

int32_t
go_version(pybuf_text *out)
{
    sigset_t mask = enter();
    return leave(mask, pybuf_go_version(out));
}

PyObject *
go_raise(int32_t kind, const pybuf_text *err)
{
    PyObject *type = NULL;
    switch (kind) {
    case PYBUF_EVALUE:
    case PYBUF_EUNKNOWN:
        type = PyExc_ValueError;
        break;
    case PYBUF_ETYPE:
        type = PyExc_TypeError;
        break;
    case PYBUF_EOVERFLOW:
        type = PyExc_OverflowError;
        break;
    case PYBUF_EMEMORY:
        type = PyExc_MemoryError;
        break;
    case PYBUF_EBUFFER:
        type = PyExc_BufferError;
        break;
    case PYBUF_ERUNTIME:
        type = PyExc_RuntimeError;
        break;
    default:
        type = PyExc_SystemError;
        break;
    }
    /* A cut text may end inside a character. */
    Py_ssize_t len = err->len < err->cap ? err->len : err->cap - 1;
    PyObject *text = PyUnicode_DecodeUTF8(err->data, len > 0 ? len : 0,
                                          "replace");
    if (text != NULL) {
        PyErr_SetObject(type, text);
        Py_DECREF(text);
    }
    return NULL;
}
