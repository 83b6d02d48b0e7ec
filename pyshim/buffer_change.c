/* buffer_change.c: the same memory in another guise: cast, toreadonly, row,
 * resize. */
#include "shim.h"

#include <string.h>

/* A Buffer over the memory of another, from `data` on, one export of it. */
static Buffer *
sub_buffer(Buffer *parent, Element *e, const Layout *l, char *data,
           bool readonly, const char *door)
{
    if (buffer_open(parent) < 0) {
        return NULL;
    }
    Memory mem = {
        .data = data,
        .block = data,
        .block_size = 0, /* counted where it is owned */
        .source = parent->mem.source,
        .release = RELEASE_PARENT,
        .owner = (PyObject *)parent,
    };
    Py_INCREF(OBJECT(parent));
    /* Before anything is made: the collector may run then, and resize it. */
    buffer_lend_child(parent);
    Buffer *b = buffer_new(state_of(OBJECT(parent)), e, l, &mem, readonly);
    if (b == NULL) {
        buffer_unlend_child(parent);
        parent->lends--;
        Py_DECREF(OBJECT(parent));
    }
    else if (trace_concerns(b->ledger)) {
        trace_child(b, door);
    }
    return b;
}

PyObject *
buffer_toreadonly(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Buffer *b = (Buffer *)self;
    Layout layout;
    buffer_get_layout(b, &layout);
    return (PyObject *)sub_buffer(b, b->element, &layout, b->mem.data, true,
                                  "toreadonly");
}

static int
cast_layout(const Buffer *b, Element **element, PyObject *shape, Layout *l)
{
    const Element *e = *element; /* a sub-array is one item until it is split */
    if (!(b->contiguous & PYBUF_C_CONTIGUOUS)) {
        PyErr_SetString(PyExc_TypeError,
                        "cast() needs C-contiguous memory and this is not; "
                        "take pybuf.copy() of it");
        return -1;
    }
    if (shape == NULL || shape == Py_None) {
        if (b->nbytes % e->itemsize != 0) {
            PyErr_Format(PyExc_TypeError,
                         "cast(): the Buffer has %zd bytes, which is no "
                         "whole number of items of %zd bytes (%s'%s')",
                         b->nbytes, e->itemsize,
                         e->base != NULL ? "sub-arrays of " : "", e->format);
            return -1;
        }
        l->ndim = 1;
        l->shape[0] = b->nbytes / e->itemsize;
    }
    else if ((l->ndim = args_dims(shape, "shape", "an extent of shape",
                                  l->shape)) < 0) {
        return -1;
    }
    if (layout_element(l, element, false) < 0 ||
        layout_contiguous(l, (*element)->itemsize, 'C') < 0) {
        return -1;
    }
    e = *element;
    if (l->nbytes != b->nbytes) {
        PyErr_Format(PyExc_TypeError,
                     "cast(): the new layout has %zd bytes (items of %zd, "
                     "'%s') and the Buffer has %zd",
                     l->nbytes, e->itemsize, e->format, b->nbytes);
        return -1;
    }
    return 0;
}

PyObject *
buffer_cast(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const Signature sig = {
        .function = "cast",
        .names = {"dtype", "shape", NULL},
        .positional = 2,
        .required = 1,
        .cache = SIG_CAST,
    };
    State *st = state_of(self);
    Buffer *b = (Buffer *)self;
    PyObject *arg[2];
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0) {
        return NULL;
    }
    Element *e = element_from_dtype(st, arg[0]);
    if (e == NULL) {
        return NULL;
    }
    Layout layout;
    Buffer *result = NULL;
    if (cast_layout(b, &e, arg[1], &layout) == 0) {
        result = sub_buffer(b, e, &layout, b->mem.data, b->readonly, "cast");
    }
    Py_DECREF(OBJECT(e));
    return (PyObject *)result;
}

/* ---- row ---------------------------------------------------------------------- */

/* The layout without its first axis, and *data where row i begins. */
static int
row_layout(Layout *l, char **data, Py_ssize_t i, Py_ssize_t itemsize)
{
    bool pointed = layout_reads_pointers(l, 0);
    bool none = l->nbytes == 0;
    Py_ssize_t hop = pointed ? l->suboffsets[0] : 0;
    *data += none ? 0 : i * l->strides[0];
    l->ndim--;
    memmove(l->shape, l->shape + 1, (size_t)l->ndim * sizeof l->shape[0]);
    memmove(l->strides, l->strides + 1,
            (size_t)l->ndim * sizeof l->strides[0]);
    bool indirect = false;
    for (int k = 0; k < l->ndim && l->indirect; k++) {
        l->suboffsets[k] = l->suboffsets[k + 1];
        indirect |= l->suboffsets[k] >= 0;
    }
    l->indirect = indirect;
    layout_of_part(l, itemsize);
    if (pointed && !none) {
        *data = pointer_at(*data);
        if (*data == NULL) {
            return tables_refuse_null("row", &i, 1, NULL, !indirect);
        }
        *data += hop;
    }
    return 0;
}

PyObject *
buffer_row(PyObject *self, PyObject *index)
{
    Buffer *b = (Buffer *)self;
    Py_ssize_t i;
    if (args_ssize(index, "the index of a row", &i) < 0 || buffer_open(b) < 0) {
        return NULL;
    }
    if (b->ndim == 0) {
        PyErr_SetString(PyExc_IndexError,
                        "row(): the Buffer has no axes: it is one item alone");
        return NULL;
    }
    Py_ssize_t n = b->shape[0];
    if (i < -n || i >= n) {
        PyErr_Format(PyExc_IndexError,
                     "row(): there is no row %zd: the Buffer has %zd row%s", i,
                     n, n == 1 ? "" : "s");
        return NULL;
    }
    Layout layout;
    char *data = b->mem.data;
    buffer_get_layout(b, &layout);
    if (row_layout(&layout, &data, i < 0 ? i + n : i, b->element->itemsize) <
        0) {
        return NULL;
    }
    return (PyObject *)sub_buffer(b, b->element, &layout, data, b->readonly,
                                  "row");
}

/* ---- resize ------------------------------------------------------------------ */

static int
may_move(Buffer *b)
{
    if (buffer_open(b) < 0) {
        return -1;
    }
    if (b->exports > 0) {
        PyErr_Format(PyExc_BufferError,
                     "resize() would move the memory under %zd view%s that "
                     "live%s",
                     b->exports, b->exports == 1 ? "" : "s",
                     b->exports == 1 ? "s" : "");
        return -1;
    }
    if (b->lends > 0) {
        PyErr_SetString(PyExc_BufferError,
                        "resize() would move the memory, and a pointer to it "
                        "was lent: whoever took it may still have it");
        return -1;
    }
    if (!b->contiguous) {
        PyErr_SetString(PyExc_BufferError,
                        "resize() keeps items in memory order, and those of "
                        "this Buffer do not lie one behind the other; take "
                        "pybuf.copy() of it");
        return -1;
    }
    if (b->mem.release != RELEASE_FREE && b->mem.release != RELEASE_GO) {
        PyErr_Format(PyExc_BufferError,
                     "resize() can move memory of source 'c' or 'go' only; "
                     "this is %s; take pybuf.copy() of it",
                     b->mem.release == RELEASE_PARENT
                         ? "a view of another Buffer"
                         : "somebody else's (source 'foreign')");
        return -1;
    }
    return 0;
}

PyObject *
buffer_resize(PyObject *self, PyObject *shape)
{
    Buffer *b = (Buffer *)self;
    Layout layout;
    bool fortran = !(b->contiguous & PYBUF_C_CONTIGUOUS);
    layout.ndim =
        args_dims(shape, "shape", "an extent of shape", layout.shape);
    /* Asked after the conversion, which may run the caller's __index__. */
    if (layout.ndim < 0 || may_move(b) < 0 ||
        layout_contiguous(&layout, b->element->itemsize,
                          fortran ? 'F' : 'C') < 0) {
        return NULL;
    }
    Memory moved;
    Wish wish = {
        .source = b->mem.source, .align = b->mem.align, .zeroed = true};
    if (memory_new(&moved, layout.nbytes, wish) < 0) {
        return NULL;
    }
    /* Asked again: other threads run while Go makes a large block. */
    if (may_move(b) < 0) {
        memory_release(&moved);
        return NULL;
    }
    Py_ssize_t kept = b->nbytes < layout.nbytes ? b->nbytes : layout.nbytes;
    Memory old = b->mem;
    Py_ssize_t old_size = b->nbytes;
    if (buffer_set_dims(b, &layout) < 0) {
        memory_release(&moved);
        return NULL;
    }
    memcpy(moved.data, old.data, (size_t)kept);
    b->mem = moved;
    b->ledger->live_bytes += b->nbytes - old_size;
    if (trace_concerns(b->ledger)) {
        trace_resized(b, &old);
    }
    memory_release(&old);
    Py_RETURN_NONE;
}
