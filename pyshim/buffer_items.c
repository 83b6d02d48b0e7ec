/* buffer_items.c: items, comparison and hash, as memoryview has them.
 *
 * memoryview is asked, so that every answer is its own. The view made for
 * that is released before the caller sees anything, and then does not count
 * as lent; a slice is a view of the caller's and does. */
#include "shim.h"

/* Ends a view of our own. If nothing else was lent meanwhile, and the view
 * really ends here, then nothing was lent. Keeps a pending exception. */
static void
end_view(Buffer *b, PyObject *view, uint64_t lends_before)
{
    Pending pending = pending_save();
    PyObject *done = PyObject_CallMethod(view, "release", NULL);
    if (done == NULL) {
        PyErr_Clear(); /* it has views of its own, and stays with them */
    }
    else if (b->lends == lends_before + 1) {
        buffer_unlend_pointer(b);
    }
    Py_XDECREF(done);
    Py_DECREF(view);
    pending_restore(pending);
}

Py_ssize_t
buffer_len(PyObject *self)
{
    Buffer *b = (Buffer *)self;
    if (buffer_open(b) < 0) {
        return -1;
    }
    if (b->ndim == 0) {
        PyErr_SetString(PyExc_TypeError,
                        "a Buffer of no dimensions is one item and has no "
                        "length");
        return -1;
    }
    return b->shape[0];
}

PyObject *
buffer_subscript(PyObject *self, PyObject *key)
{
    Buffer *b = (Buffer *)self;
    uint64_t lends = b->lends;
    PyObject *view = PyMemoryView_FromObject(self);
    if (view == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_GetItem(view, key);
    if (result != NULL && PyMemoryView_Check(result)) {
        Py_DECREF(view);
        return result;
    }
    end_view(b, view, lends);
    return result;
}

/* What makes it a sequence to reversed(), bisect and random. */
PyObject *
buffer_item(PyObject *self, Py_ssize_t i)
{
    PyObject *key = PyLong_FromSsize_t(i);
    PyObject *item = key == NULL ? NULL : buffer_subscript(self, key);
    Py_XDECREF(key);
    return item;
}

int
buffer_ass_subscript(PyObject *self, PyObject *key, PyObject *value)
{
    Buffer *b = (Buffer *)self;
    uint64_t lends = b->lends;
    PyObject *view = PyMemoryView_FromObject(self);
    if (view == NULL) {
        return -1;
    }
    int failed = value == NULL ? PyObject_DelItem(view, key)
                               : PyObject_SetItem(view, key, value);
    end_view(b, view, lends);
    return failed;
}

PyObject *
buffer_iter(PyObject *self)
{
    PyObject *view = PyMemoryView_FromObject(self);
    if (view == NULL) {
        return NULL;
    }
    PyObject *iter = PyObject_GetIter(view);
    Py_DECREF(view);
    return iter;
}

PyObject *
buffer_tobytes(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    static const Signature sig = {
        .function = "tobytes",
        .names = {"order", NULL},
        .positional = 1,
        .cache = SIG_TOBYTES,
    };
    PyObject *order[1];
    if (args_bind(state_of(self), &sig, args, nargs, kwnames, order) < 0) {
        return NULL;
    }
    Buffer *b = (Buffer *)self;
    uint64_t lends = b->lends;
    PyObject *view = PyMemoryView_FromObject(self);
    if (view == NULL) {
        return NULL;
    }
    PyObject *result =
        order[0] == NULL
            ? PyObject_CallMethod(view, "tobytes", NULL)
            : PyObject_CallMethod(view, "tobytes", "(O)", order[0]);
    end_view(b, view, lends);
    return result;
}

PyObject *
buffer_tolist(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Buffer *b = (Buffer *)self;
    uint64_t lends = b->lends;
    PyObject *view = PyMemoryView_FromObject(self);
    if (view == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethod(view, "tolist", NULL);
    end_view(b, view, lends);
    return result;
}

PyObject *
buffer_richcompare(PyObject *self, PyObject *other, int op)
{
    Buffer *b = (Buffer *)self;
    if ((op != Py_EQ && op != Py_NE) ||
        !(PyObject_CheckBuffer(other) || buffer_is_closed(b))) {
        return Py_NewRef(Py_NotImplemented);
    }
    if (buffer_is_closed(b)) { /* like a released memoryview: equal to itself only */
        return PyBool_FromLong((self == other) == (op == Py_EQ));
    }
    /* Another Buffer lends its memory for the comparison only, too. */
    Buffer *peer = Py_IS_TYPE(other, Py_TYPE(self)) ? (Buffer *)other : NULL;
    uint64_t lends = b->lends;
    PyObject *view = PyMemoryView_FromObject(self);
    if (view == NULL) {
        return NULL;
    }
    uint64_t peer_lends = peer == NULL ? 0 : peer->lends;
    PyObject *peer_view = peer == NULL || buffer_is_closed(peer)
                              ? Py_NewRef(other)
                              : PyMemoryView_FromObject(other);
    PyObject *result =
        peer_view == NULL ? NULL : PyObject_RichCompare(view, peer_view, op);
    if (peer_view == NULL || peer_view == other) {
        Py_XDECREF(peer_view);
    }
    else {
        end_view(peer, peer_view, peer_lends);
    }
    end_view(b, view, lends);
    return result;
}

/* The items in C order, of a Buffer that may be closed. */
static PyObject *
items_as_bytes(Buffer *b)
{
    Py_buffer view;
    if (door_lend_view(b, &view, PyBUF_FULL_RO) < 0) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, view.len);
    if (bytes != NULL &&
        PyBuffer_ToContiguous(PyBytes_AsString(bytes), &view, view.len,
                              'C') < 0) {
        Py_CLEAR(bytes);
    }
    PyBuffer_Release(&view);
    buffer_unlend_pointer(b);
    return bytes;
}

/* memoryview's rule. memoryview asks its exporter for a hash before it makes
 * its own: it cannot be asked here, and its views outlive close(). */
Py_hash_t
buffer_hash(PyObject *self)
{
    Buffer *b = (Buffer *)self;
    const char *format = b->element->format;
    if (buffer_is_gone(b)) {
        return buffer_open(b);
    }
    if (!b->readonly) {
        PyErr_SetString(PyExc_ValueError,
                        "a writable Buffer has no hash: its items may change; "
                        "take toreadonly(), or tobytes()");
        return -1;
    }
    if (b->element->itemsize != 1 ||
        !(format[0] == 'B' || format[0] == 'b' || format[0] == 'c')) {
        PyErr_Format(PyExc_ValueError,
                     "a Buffer of format '%s' has no hash; like memoryview, "
                     "those of formats 'B', 'b' and 'c' have one",
                     format);
        return -1;
    }
    PyObject *bytes = items_as_bytes(b);
    if (bytes == NULL) {
        return -1;
    }
    Py_hash_t hash = PyObject_Hash(bytes);
    Py_DECREF(bytes);
    return hash;
}
