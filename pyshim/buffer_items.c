/* buffer_items.c: items, comparison and hash, as memoryview has them.
 *
 * memoryview is asked, so that every answer is its own. The view made for
 * that is released before the caller sees anything, and then does not count
 * as lent; a slice is a view of the caller's and does. */
#include "shim.h"

/* A view of our own, and what was lent before it. */
typedef struct {
    PyObject *view; /* owned, NULL if there is none */
    Buffer *buffer; /* borrowed */
    uint64_t lends;
    Py_ssize_t exports;
} Glance;

static Glance
glance(PyObject *self)
{
    Buffer *b = (Buffer *)self;
    Glance g = {.buffer = b, .lends = b->lends, .exports = b->exports};
    g.view = PyMemoryView_FromObject(self);
    return g;
}

/* Ends a view of our own. If it really ends here, and nothing else was lent
 * meanwhile, then nothing was lent. Keeps a pending exception. */
static void
glance_end(Glance g)
{
    if (g.view == NULL) {
        return;
    }
    Pending pending = pending_save();
    PyObject *done = PyObject_CallMethod(g.view, "release", NULL);
    Py_XDECREF(done);
    PyErr_Clear(); /* one that has views of its own stays with them */
    Py_DECREF(g.view);
    if (g.buffer->exports == g.exports && g.buffer->lends == g.lends + 1) {
        buffer_unlend_pointer(g.buffer);
    }
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
    Glance g = glance(self);
    if (g.view == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_GetItem(g.view, key);
    if (result != NULL && PyMemoryView_Check(result)) {
        Py_DECREF(g.view);
        return result;
    }
    glance_end(g);
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
    Glance g = glance(self);
    if (g.view == NULL) {
        return -1;
    }
    int failed = value == NULL ? PyObject_DelItem(g.view, key)
                               : PyObject_SetItem(g.view, key, value);
    glance_end(g);
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

/* ---- bytes ---------------------------------------------------------------- */

/* The items of a Buffer that may be closed. */
static PyObject *
items_as_bytes(Buffer *b, char order)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, b->nbytes);
    if (bytes != NULL &&
        copy_out(b, order, PyBytes_AsString(bytes), "tobytes") < 0) {
        Py_CLEAR(bytes);
    }
    return bytes;
}

/* 'C' or 'F', as memoryview reads it; 0 for what it refuses. */
static char
order_of_bytes(const Buffer *b, PyObject *arg)
{
    if (arg == NULL || arg == Py_None) {
        return 'C';
    }
    if (!PyUnicode_Check(arg)) {
        return 0;
    }
    if (PyUnicode_CompareWithASCIIString(arg, "A") == 0) {
        return b->contiguous == PYBUF_F_CONTIGUOUS ? 'F' : 'C';
    }
    return PyUnicode_CompareWithASCIIString(arg, "C") == 0   ? 'C'
           : PyUnicode_CompareWithASCIIString(arg, "F") == 0 ? 'F'
                                                             : 0;
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
    Buffer *b = (Buffer *)self;
    PyObject *arg[1];
    if (args_bind(state_of(self), &sig, args, nargs, kwnames, arg) < 0 ||
        buffer_open(b) < 0) {
        return NULL;
    }
    char order = order_of_bytes(b, arg[0]);
    if (order != 0) {
        return items_as_bytes(b, order);
    }
    Glance g = glance(self); /* to be refused in memoryview's words */
    if (g.view == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethod(g.view, "tobytes", "(O)", arg[0]);
    glance_end(g);
    return result;
}

PyObject *
buffer_tolist(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Glance g = glance(self);
    if (g.view == NULL) {
        return NULL;
    }
    PyObject *result = PyObject_CallMethod(g.view, "tolist", NULL);
    glance_end(g);
    return result;
}

/* memoryview's own comparison. Not by `==`: where it has no answer, Python
 * would ask the other side, and show it our view. */
static PyObject *
compare_views(PyObject *view, PyObject *other, int op)
{
    richcmpfunc compare = (richcmpfunc)PyType_GetSlot(&PyMemoryView_Type,
                                                      Py_tp_richcompare);
    return compare(view, other, op);
}

PyObject *
buffer_richcompare(PyObject *self, PyObject *other, int op)
{
    if ((op != Py_EQ && op != Py_NE) ||
        !(PyObject_CheckBuffer(other) || buffer_is_closed((Buffer *)self))) {
        return Py_NewRef(Py_NotImplemented);
    }
    if (buffer_is_closed((Buffer *)self)) {
        /* like a released memoryview: equal to itself only */
        return PyBool_FromLong((self == other) == (op == Py_EQ));
    }
    Glance mine = glance(self);
    if (mine.view == NULL) {
        return NULL;
    }
    /* Another Buffer lends its memory for the comparison only, too. */
    bool peer = Py_IS_TYPE(other, Py_TYPE(self)) &&
                !buffer_is_closed((Buffer *)other);
    Glance theirs = {.view = NULL};
    PyObject *result = NULL;
    if (peer) {
        theirs = glance(other);
    }
    if (!peer || theirs.view != NULL) {
        result = compare_views(mine.view, peer ? theirs.view : other, op);
    }
    glance_end(theirs);
    glance_end(mine);
    return result;
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
    PyObject *bytes = items_as_bytes(b, 'C');
    if (bytes == NULL) {
        return -1;
    }
    Py_hash_t hash = PyObject_Hash(bytes);
    Py_DECREF(bytes);
    return hash;
}
