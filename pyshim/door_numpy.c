/* door_numpy.c: Buffer.numpy(), straight through NumPy's C API.
 *
 * The array's base is a lease, which counts as one export until NumPy drops
 * it. */
#include "shim.h"

/* ---- the lease --------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Buffer *buffer; /* owned; one export of it is this object's */
    Record *record; /* of that export, or NULL */
} Lease;

static PyObject *
lease_new(State *st, Buffer *b)
{
    Lease *lease = (Lease *)spare_take(st, SPARE_LEASE);
    if (lease == NULL) {
        lease = PyObject_New(Lease, st->lease_type);
    }
    if (lease != NULL) {
        lease->buffer = (Buffer *)Py_NewRef((PyObject *)b);
        buffer_lend(b);
        lease->record =
            trace_concerns(b->ledger) ? trace_export(b, "numpy") : NULL;
    }
    return (PyObject *)lease;
}

static void
lease_dealloc(PyObject *self)
{
    Buffer *b = ((Lease *)self)->buffer;
    State *st = b->ledger->st; /* which this object's type keeps */
    buffer_unlend(b);
    if (trace_concerns(b->ledger)) {
        trace_release(b, ((Lease *)self)->record);
    }
    Py_DECREF(OBJECT(b));
    spare_give(st, SPARE_LEASE, self);
}

/* NumPy asks the base of an array whether it may be made writable again. A
 * lease answers for memory that was lent before: also after close(). */
static int
lease_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    return door_lend_view(((Lease *)self)->buffer, view, flags);
}

static PyObject *
lease_obj(PyObject *self, void *Py_UNUSED(unused))
{
    return Py_NewRef((PyObject *)((Lease *)self)->buffer);
}

static PyObject *
lease_repr(PyObject *self)
{
    return PyUnicode_FromFormat("<lease of %R>",
                                (PyObject *)((Lease *)self)->buffer);
}

static PyGetSetDef lease_getset[] = {
    {"obj", lease_obj, NULL, "The Buffer whose memory is lent.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot lease_slots[] = {
    {Py_tp_doc, "The base of an array that Buffer.numpy() made."},
    {Py_tp_dealloc, lease_dealloc},
    {Py_tp_repr, lease_repr},
    {Py_tp_getset, lease_getset},
    {Py_bf_getbuffer, lease_getbuffer},
    {0, NULL},
};

PyType_Spec lease_spec = {
    .name = "pybuf._core._Lease",
    .basicsize = sizeof(Lease),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = lease_slots,
};

/* ---- arrays ------------------------------------------------------------------ */

/* Whether NumPy would find the same strides, which it does faster than it
 * looks at those that it is given. */
static bool
is_plain(const Buffer *b, const Py_ssize_t *strides)
{
    Py_ssize_t step = b->element->itemsize;
    for (int i = b->ndim - 1; i >= 0; i--) {
        if (strides[i] != step || b->shape[i] == 0) {
            return false;
        }
        step *= b->shape[i];
    }
    return true;
}

/* NumPy's dtype for the items. Owned. */
static PyObject *
descr_of(State *st, Buffer *b)
{
    Element *e = b->element;
    if (e->descr != NULL && !e->structured) {
        return Py_NewRef(e->descr);
    }
    /* NumPy's import runs what it likes, and other threads: nothing may be moved
     * meanwhile. */
    buffer_lend(b);
    PyObject *descr = element_descr(st, e);
    buffer_unlend(b);
    buffer_unlend_pointer(b);
    return descr;
}

/* An array over the Buffer's memory, whose item 0 lies at `data`. */
static PyObject *
array_over(State *st, Buffer *b, char *data, const Py_ssize_t *strides)
{
    PyObject *descr = descr_of(st, b);
    PyObject *lease = /* it may have been closed meanwhile */
        descr == NULL || buffer_open(b) < 0 ? NULL : lease_new(st, b);
    if (lease == NULL) {
        Py_XDECREF(descr);
        return NULL;
    }
    return numpy_array(st, descr, b->ndim, b->shape,
                       is_plain(b, strides) ? NULL : strides, data,
                       b->readonly, lease);
}

static PyObject *
array_of(State *st, Buffer *b)
{
    if (st->numpy_unknown) {
        return numpy_asarray(st, (PyObject *)b);
    }
    return array_over(st, b, b->mem.data, b->strides);
}

static PyObject *
array_of_copy(State *st, Buffer *b)
{
    Buffer *copy = copy_plain(st, b, "numpy");
    PyObject *array = copy == NULL ? NULL : array_of(st, copy);
    Py_XDECREF(OBJECT(copy));
    return array;
}

/* No ndarray follows pointers: it can view rows at even distances. */
static PyObject *
array_of_indirect(State *st, Buffer *b, CopyRule rule)
{
    char *data = b->mem.data;
    Layout layout;
    buffer_get_layout(b, &layout);
    bool none = layout.nbytes == 0; /* items lie as anyone likes */
    if (none && layout_contiguous(&layout, b->element->itemsize, 'C') < 0) {
        return NULL;
    }
    if (!st->numpy_unknown &&
        (none || tables_collapse(&data, &layout, b->element->itemsize, NULL))) {
        return array_over(st, b, data, layout.strides);
    }
    if (rule == COPY_NEVER) {
        PyErr_SetString(PyExc_BufferError,
                        "numpy(copy=False): the memory is indirect (it has "
                        "suboffsets) and its rows do not lie at even "
                        "distances, which no ndarray can view; without "
                        "copy=False it is copied");
        return NULL;
    }
    return array_of_copy(st, b);
}

PyObject *
numpy_of(State *st, Buffer *b, CopyRule rule)
{
    if (st->numpy_api == NULL && /* its import runs what it likes */
        (numpy_find(st) < 0 || buffer_open(b) < 0)) {
        return NULL;
    }
    if (rule == COPY_ALWAYS) {
        return array_of_copy(st, b);
    }
    return b->suboffsets == NULL ? array_of(st, b)
                                 : array_of_indirect(st, b, rule);
}

static int
read_rule(State *st, PyObject *const *args, Py_ssize_t nargs,
          PyObject *kwnames, CopyRule *out)
{
    static const Signature sig = {
        .function = "numpy",
        .names = {"copy", NULL},
        .positional = 0,
        .cache = SIG_NUMPY,
    };
    PyObject *arg[1];
    bool always = false;
    if (nargs == 0 && kwnames == NULL) {
        return 0;
    }
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0) {
        return -1;
    }
    if (arg[0] != NULL && arg[0] != Py_None) {
        if (args_bool(arg[0], &always) < 0) {
            return -1;
        }
        *out = always ? COPY_ALWAYS : COPY_NEVER;
    }
    return 0;
}

PyObject *
door_numpy(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    Buffer *b = (Buffer *)self;
    State *st = b->ledger->st;
    CopyRule rule = COPY_IF_NEEDED;
    if (buffer_open(b) < 0) {
        return NULL;
    }
    if (st == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "numpy() comes too late: the interpreter has ended "
                        "the module pybuf");
        return NULL;
    }
    if (read_rule(st, args, nargs, kwnames, &rule) < 0) {
        return NULL;
    }
    return numpy_of(st, b, rule);
}
