/* door_pickle.c: pickling, out of band from protocol 5 on (PEP 574).
 *
 * A pickle holds the items, shape, element type, order and the read-only flag, and
 * nothing that differs between two runs: no address, no counter. */
#include "shim.h"

#include <string.h>

/* What goes out of band: the memory itself, or a copy in C order where it has
 * gaps (PickleBuffer takes contiguous memory only). Owned. */
static PyObject *
frame_of(State *st, Buffer *b, long protocol)
{
    Wish plain = {.source = SOURCE_C, .align = b->element->align};
    PyObject *solid = b->contiguous
                          ? Py_NewRef((PyObject *)b)
                          : (PyObject *)copy_of(st, (PyObject *)b, 'C', plain);
    if (solid == NULL) {
        return NULL;
    }
    PyObject *frame = NULL;
    if (protocol < 5) {
        /* 'A' keeps the order that the memory has. */
        frame = PyObject_CallMethod(solid, "tobytes", "s", "A");
    }
    else {
        PyObject *pickle = PyImport_ImportModule("_pickle");
        if (pickle != NULL) {
            frame = PyObject_CallMethod(pickle, "PickleBuffer", "O", solid);
            Py_DECREF(pickle);
        }
    }
    Py_DECREF(solid);
    return frame;
}

static PyObject *
reduce(State *st, Buffer *b, long protocol)
{
    bool fortran = b->contiguous == PYBUF_F_CONTIGUOUS;
    PyObject *core = PyImport_ImportModule("pybuf._core");
    PyObject *rebuild =
        core == NULL ? NULL : PyObject_GetAttrString(core, "_rebuild");
    PyObject *frame = rebuild == NULL ? NULL : frame_of(st, b, protocol);
    PyObject *shape =
        frame == NULL ? NULL : tuple_of_dims(b->shape, b->ndim);
    PyObject *result = NULL;
    if (shape != NULL) {
        result = Py_BuildValue("O(OsOsO)", rebuild, frame,
                               element_spelling(b->element), shape,
                               fortran ? "F" : "C",
                               b->readonly ? Py_True : Py_False);
    }
    Py_XDECREF(core);
    Py_XDECREF(rebuild);
    Py_XDECREF(frame);
    Py_XDECREF(shape);
    return result;
}

PyObject *
door_reduce_ex(PyObject *self, PyObject *protocol)
{
    Buffer *b = (Buffer *)self;
    long number = PyLong_AsLong(protocol);
    if ((number == -1 && PyErr_Occurred()) || buffer_open(b) < 0) {
        return NULL;
    }
    /* Lent to us meanwhile, so that the frame fits the shape whatever runs. */
    buffer_lend(b);
    PyObject *result = reduce(state_of(self), b, number);
    buffer_unlend(b);
    buffer_unlend_pointer(b);
    return result;
}

/* ---- rebuilding ------------------------------------------------------------------ */

/* Over the frame itself: whatever the pickle module or its user handed in, at
 * any alignment; read-only if either side is. `holder` is the memoryview that
 * `view` was taken of: the one export that is kept. */
static Buffer *
stand_on(State *st, PyObject *holder, const Py_buffer *view, Element *e,
         const Layout *l, bool readonly)
{
    Memory mem = {
        .data = view->len > 0 ? view->buf : memory_nowhere(),
        .block = view->buf,
        .block_size = view->len,
        .source = SOURCE_FOREIGN,
        .release = RELEASE_NOTHING,
        .owner = Py_NewRef(holder),
    };
    Buffer *b = buffer_new(st, e, l, &mem, readonly || view->readonly);
    if (b == NULL) {
        Py_DECREF(holder);
    }
    return b;
}

/* bytes are nobody's to write: a writable Buffer gets memory of its own. */
static Buffer *
move_out(State *st, const Py_buffer *view, Element *e, const Layout *l)
{
    Wish wish;
    if (memory_wish(NULL, NULL, "loads", &wish) < 0) {
        return NULL;
    }
    Buffer *b = make_buffer(st, e, l, wish);
    if (b != NULL) {
        memcpy(b->mem.data, view->buf, (size_t)view->len);
    }
    return b;
}

PyObject *
door_rebuild(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *st = state_of_module(module);
    Layout layout;
    char order = 'C';
    bool readonly = false;
    if (nargs != 5) {
        PyErr_SetString(PyExc_TypeError,
                        "_rebuild() takes what a pickled Buffer holds: "
                        "frame, dtype, shape, order, readonly");
        return NULL;
    }
    layout.ndim = args_dims(args[2], "shape", "an extent of shape",
                            layout.shape);
    if (layout.ndim < 0 || args_order(args[3], "_rebuild", &order) < 0 ||
        args_bool(args[4], &readonly) < 0) {
        return NULL;
    }
    /* One view for all: an exporter may give other memory each time. */
    Py_buffer view;
    PyObject *holder = PyMemoryView_FromObject(args[0]);
    if (holder == NULL ||
        PyObject_GetBuffer(holder, &view, PyBUF_FULL_RO) < 0) {
        Py_XDECREF(holder);
        return NULL;
    }
    /* Not by the request: memoryview refuses that one for no items at an odd
     * stride, which are as contiguous as any. */
    if (!PyBuffer_IsContiguous(&view, 'A')) {
        PyErr_SetString(PyExc_BufferError,
                        "the frame of a pickled Buffer is not contiguous");
        PyBuffer_Release(&view);
        Py_DECREF(holder);
        return NULL;
    }
    Buffer *b = NULL;
    Element *e = element_from_dtype(st, args[1]);
    if (e != NULL && layout_element(&layout, &e, false) == 0 &&
        layout_contiguous(&layout, e->itemsize, order) == 0) {
        if (layout.nbytes != view.len) {
            PyErr_Format(PyExc_ValueError,
                         "the pickled Buffer says %zd bytes and its frame "
                         "has %zd",
                         layout.nbytes, view.len);
        }
        else if (!readonly && PyBytes_CheckExact(args[0])) {
            b = move_out(st, &view, e, &layout);
        }
        else {
            b = stand_on(st, holder, &view, e, &layout, readonly);
        }
    }
    Py_XDECREF(OBJECT(e));
    PyBuffer_Release(&view);
    Py_DECREF(holder);
    return (PyObject *)b;
}
