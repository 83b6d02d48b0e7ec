/* copy.c: new memory with the items of another exporter. */
#include "shim.h"

#include <string.h>

/* From this size on other threads run while bytes are copied. */
#define COPY_WITHOUT_GIL ((Py_ssize_t)1 << 20)

static int
copy_items(char *to, Py_buffer *view, char order)
{
    if (!PyBuffer_IsContiguous(view, order)) {
        return PyBuffer_ToContiguous(to, view, view->len, order);
    }
    if (view->len < COPY_WITHOUT_GIL) {
        memcpy(to, view->buf, (size_t)view->len);
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    memcpy(to, view->buf, (size_t)view->len);
    Py_END_ALLOW_THREADS
    return 0;
}

static Buffer *
copy_view(State *st, Py_buffer *view, char order, Wish wish)
{
    const char *format = view->format == NULL ? "B" : view->format;
    Element *e = element_from_text(st, format, PYBUF_FORMAT);
    if (e == NULL) {
        return NULL;
    }
    Layout layout;
    Buffer *b = NULL;
    if (layout_of_view(&layout, view) < 0) {
        Py_DECREF(OBJECT(e));
        return NULL;
    }
    if (e->itemsize != view->itemsize) {
        PyErr_Format(PyExc_ValueError,
                     "the exporter says format '%s', items of %zd bytes, and "
                     "has items of %zd bytes",
                     format, e->itemsize, view->itemsize);
    }
    else if (layout_contiguous(&layout, e->itemsize, order) == 0) {
        if (layout.nbytes != view->len) {
            PyErr_Format(PyExc_ValueError,
                         "the exporter says a shape of %zd bytes and a length "
                         "of %zd bytes",
                         layout.nbytes, view->len);
        }
        else {
            b = make_buffer(st, e, &layout, wish);
        }
    }
    Py_DECREF(OBJECT(e));
    if (b != NULL && copy_items(b->mem.data, view, order) < 0) {
        Py_CLEAR(b);
    }
    return b;
}

Buffer *
copy_of(State *st, PyObject *src, char order, Wish wish)
{
    Py_buffer view;
    Buffer *ours = Py_IS_TYPE(src, st->buffer_type) ? (Buffer *)src : NULL;
    uint64_t lends = ours == NULL ? 0 : ours->lends;
    if (!PyObject_CheckBuffer(src)) {
        refuse(PyExc_TypeError, src,
               "copy(): {} has no buffer protocol; give bytes, an "
               "array, a memoryview or another exporter");
        return NULL;
    }
    if (PyObject_GetBuffer(src, &view, PyBUF_FULL_RO) < 0) {
        return NULL;
    }
    Buffer *b = copy_view(st, &view, order, wish);
    PyBuffer_Release(&view);
    if (ours != NULL && ours->lends == lends + 1) {
        buffer_unlend_pointer(ours); /* the view was our own, and is gone */
    }
    return b;
}

PyObject *
pybuf_copy(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    static const Signature sig = {.function = "copy",
                                  .names = {"obj", "order", "align", "source",
                                            NULL},
                                  .positional = 1,
                                  .required = 1,
                                  .cache = SIG_COPY};
    State *st = state_of_module(module);
    PyObject *arg[4];
    char order = 'C';
    Wish wish;
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        args_order(arg[1], "copy", &order) < 0 ||
        memory_wish(arg[2], arg[3], "copy", &wish) < 0) {
        return NULL;
    }
    return (PyObject *)copy_of(st, arg[0], order, wish);
}
