/* gocall.c: the only file that calls Go, so that calls can be counted.
 *
 * No loop that makes, views or frees Buffers of C's or of foreign memory may
 * come here: the counter is what the tests of that promise read. */
#include "shim.h"

#include <stdatomic.h>
#include <string.h>

#include "runtime.h"

static atomic_uint_fast64_t calls;

/* The runtime to call, counted; or NULL with the reason in err. */
static const GoRuntime *
enter(pybuf_text *err)
{
    char why[REASON_CAP];
    const GoRuntime *go = rebirth_runtime(why);
    if (go == NULL) {
        err->len = (int64_t)strnlen(why, sizeof why - 1);
        if (err->len >= err->cap) {
            err->len = err->cap - 1;
        }
        memcpy(err->data, why, (size_t)err->len);
        err->data[err->len] = '\0';
        return NULL;
    }
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    return go;
}

uint64_t
go_calls(void)
{
    return atomic_load_explicit(&calls, memory_order_relaxed);
}

int
go_start(void)
{
    char why[REASON_CAP];
    rebirth_prepare();
    if (rebirth_runtime(why) == NULL) {
        PyErr_Format(PyExc_ImportError, "pybuf cannot be imported: %s", why);
        return -1;
    }
    return 0;
}

int32_t
go_element(const char *spelling, Py_ssize_t len, int how, Py_ssize_t itemsize,
           pybuf_element *out, pybuf_text *err)
{
    const GoRuntime *go = enter(err);
    return go == NULL ? PYBUF_ERUNTIME
                      : go->element((char *)spelling, len, how, itemsize,
                                  out, err);
}

int32_t
go_plain(int how, int64_t i, pybuf_text *spelling, pybuf_element *out,
         pybuf_text *err)
{
    const GoRuntime *go = enter(err);
    return go == NULL ? PYBUF_ERUNTIME : go->plain(how, i, spelling, out);
}

int32_t
go_layout(pybuf_layout *layout, pybuf_text *err)
{
    const GoRuntime *go = enter(err);
    return go == NULL ? PYBUF_ERUNTIME : go->layout(layout, err);
}

int32_t
go_alloc(int64_t nbytes, int64_t align, pybuf_block *out, pybuf_text *err)
{
    const GoRuntime *go = enter(err);
    return go == NULL ? PYBUF_ERUNTIME : go->alloc(nbytes, align, out, err);
}

int32_t
go_free(int64_t slot, pybuf_text *err)
{
    const GoRuntime *go = enter(err);
    return go == NULL ? PYBUF_ERUNTIME : go->free(slot, err);
}

int32_t
go_runtime(int collect, pybuf_runtime *out, pybuf_text *err)
{
    const GoRuntime *go = enter(err);
    return go == NULL ? PYBUF_ERUNTIME : go->runtime(collect, out);
}

int32_t
go_version(pybuf_text *out, pybuf_text *err)
{
    const GoRuntime *go = enter(err);
    return go == NULL ? PYBUF_ERUNTIME : go->version(out);
}

PyObject *
go_exception(int32_t kind)
{
    switch (kind) {
    case PYBUF_EVALUE:
    case PYBUF_EUNKNOWN:
        return PyExc_ValueError;
    case PYBUF_ETYPE:
        return PyExc_TypeError;
    case PYBUF_EOVERFLOW:
        return PyExc_OverflowError;
    case PYBUF_EMEMORY:
        return PyExc_MemoryError;
    case PYBUF_EBUFFER:
        return PyExc_BufferError;
    case PYBUF_ERUNTIME:
        return PyExc_RuntimeError;
    case PYBUF_ESYSTEM:
        return PyExc_OSError;
    default:
        return PyExc_SystemError;
    }
}

PyObject *
go_raise(int32_t kind, const pybuf_text *err)
{
    /* A cut text may end inside a character. */
    Py_ssize_t len = err->len < err->cap ? err->len : err->cap - 1;
    PyObject *text = PyUnicode_DecodeUTF8(err->data, len > 0 ? len : 0,
                                          "replace");
    if (text != NULL) {
        PyErr_SetObject(go_exception(kind), text);
        Py_DECREF(text);
    }
    return NULL;
}
