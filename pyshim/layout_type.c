/* layout_type.c: the type Layout: shape, strides and element type, judged once.
 *
 * What zeros() and wrap() work out for each call is kept here, NumPy's
 * descriptor with the element: the road for loops. */
#include "shim.h"

#include <string.h>

typedef struct {
    PyObject_HEAD
    Element *element; /* owned */
    State *st;        /* of the module, which this object's type keeps */
    Layout layout;
} LayoutObject;

/* ---- making ---------------------------------------------------------------- */

/* Takes the reference to e. */
static PyObject *
layout_new(State *st, Element *e, const Layout *l)
{
    LayoutObject *self = PyObject_New(LayoutObject, st->layout_type);
    if (self == NULL) {
        Py_DECREF(OBJECT(e));
        return NULL;
    }
    self->element = e;
    self->st = st;
    self->layout = *l;
    return OBJECT(self);
}

static PyObject *
make(State *st, PyObject *shape, PyObject *dtype, PyObject *order_arg,
     PyObject *strides)
{
    Layout l;
    char order = 'C';
    bool strided = strides != NULL && strides != Py_None;
    if (args_order(order_arg, "Layout", &order) < 0 ||
        (l.ndim = args_dims(shape, "shape", "an extent of shape",
                            l.shape)) < 0) {
        return NULL;
    }
    if (strided && order_arg != NULL) {
        PyErr_SetString(PyExc_TypeError,
                        "Layout(): order and strides were both given; strides "
                        "alone say where the items lie");
        return NULL;
    }
    l.indirect = false;
    if (strided && wrap_dims(strides, "Layout", "strides", "a stride", l.ndim,
                             l.strides) < 0) {
        return NULL;
    }
    Element *e =
        dtype == NULL ? element_default(st) : element_from_dtype(st, dtype);
    if (e == NULL) {
        return NULL;
    }
    if (layout_element(&l, &e, strided) < 0 ||
        (strided ? layout_judge(&l, e->itemsize, true, 'C')
                 : layout_contiguous(&l, e->itemsize, order)) < 0) {
        Py_DECREF(OBJECT(e));
        return NULL;
    }
    return layout_new(st, e, &l);
}

static PyObject *
layout_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"shape", "dtype", "order", "strides", NULL};
    PyObject *shape, *dtype = NULL, *order = NULL, *strides = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O$OO:Layout", names,
                                     &shape, &dtype, &order, &strides)) {
        return NULL;
    }
    return make(PyType_GetModuleState(type), shape, dtype, order, strides);
}

static void
layout_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_DECREF(OBJECT(((LayoutObject *)self)->element));
    PyObject_Free(self);
    Py_DECREF(OBJECT(type));
}

/* ---- Buffers of this layout ------------------------------------------------- */

static PyObject *
make_memory(PyObject *self, const Signature *sig, PyObject *const *args,
            Py_ssize_t nargs, PyObject *kwnames, bool zeroed)
{
    LayoutObject *lo = (LayoutObject *)self;
    State *st = lo->st;
    PyObject *arg[2];
    Wish wish;
    if (args_bind(st, sig, args, nargs, kwnames, arg) < 0 ||
        memory_wish(arg[0], arg[1], sig->function, &wish) < 0) {
        return NULL;
    }
    wish.zeroed = zeroed;
    return (PyObject *)make_buffer(st, lo->element, &lo->layout, wish);
}

static PyObject *
layout_empty(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    static const Signature sig = {.function = "empty",
                                  .names = {"align", "source", NULL},
                                  .cache = SIG_LAYOUT_EMPTY};
    return make_memory(self, &sig, args, nargs, kwnames, false);
}

static PyObject *
layout_zeros(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    static const Signature sig = {.function = "zeros",
                                  .names = {"align", "source", NULL},
                                  .cache = SIG_LAYOUT_ZEROS};
    return make_memory(self, &sig, args, nargs, kwnames, true);
}

static PyObject *
layout_wrap(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    enum { L_ADDRESS, L_READONLY, L_HOW, L_COUNT = L_HOW + WRAP_ARGS };
    static const Signature sig = {
        .function = "wrap",
        .names = {"address", "readonly", WRAP_NAMES, NULL},
        .positional = 1,
        .required = 1,
        .cache = SIG_LAYOUT_WRAP,
    };
    LayoutObject *lo = (LayoutObject *)self;
    State *st = lo->st;
    PyObject *arg[L_COUNT];
    void *start;
    AddressForm form;
    Wrapping w = {.function = sig.function, .arg = arg + L_HOW};
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        address_of(st, arg[L_ADDRESS], "address", &start, &form) < 0 ||
        address_block(st, arg[L_ADDRESS], form, &w.known) < 0 ||
        args_bool(arg[L_READONLY], &w.readonly) < 0) {
        return NULL;
    }
    return (PyObject *)wrap_buffer(st, &w, lo->element, &lo->layout, start);
}

/* ---- what it says of itself --------------------------------------------------- */

static PyObject *
get_shape(PyObject *self, void *Py_UNUSED(unused))
{
    const Layout *l = &((LayoutObject *)self)->layout;
    return tuple_of_dims(l->shape, l->ndim);
}

static PyObject *
get_strides(PyObject *self, void *Py_UNUSED(unused))
{
    const Layout *l = &((LayoutObject *)self)->layout;
    return tuple_of_dims(l->strides, l->ndim);
}

static PyObject *
get_ndim(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromLong(((LayoutObject *)self)->layout.ndim);
}

static PyObject *
get_itemsize(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(((LayoutObject *)self)->element->itemsize);
}

static PyObject *
get_nbytes(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(((LayoutObject *)self)->layout.nbytes);
}

static PyObject *
get_size(PyObject *self, void *Py_UNUSED(unused))
{
    LayoutObject *lo = (LayoutObject *)self;
    return PyLong_FromSsize_t(lo->layout.nbytes / lo->element->itemsize);
}

static PyObject *
get_format(PyObject *self, void *Py_UNUSED(unused))
{
    return PyUnicode_FromString(((LayoutObject *)self)->element->format);
}

/* The strides, if they do not follow from shape and order 'C' or 'F'; else
 * *order is set, and None is given. Owned. */
static PyObject *
strides_or_order(LayoutObject *lo, const char **order)
{
    Layout plain;
    plain.ndim = lo->layout.ndim;
    size_t size = (size_t)plain.ndim * sizeof plain.shape[0];
    memcpy(plain.shape, lo->layout.shape, size);
    for (const char *c = "CF"; *c != '\0'; c++) {
        if (layout_contiguous(&plain, lo->element->itemsize, *c) < 0) {
            return NULL;
        }
        if (memcmp(plain.strides, lo->layout.strides, size) == 0) {
            *order = *c == 'C' ? "C" : "F";
            return Py_NewRef(Py_None);
        }
    }
    return tuple_of_dims(lo->layout.strides, plain.ndim);
}

static PyObject *
layout_repr(PyObject *self)
{
    LayoutObject *lo = (LayoutObject *)self;
    const char *order = "C";
    PyObject *strides = strides_or_order(lo, &order);
    PyObject *shape = strides == NULL ? NULL : get_shape(self, NULL);
    PyObject *format = shape == NULL ? NULL : get_format(self, NULL);
    PyObject *text = NULL;
    if (format == NULL) {
        ;
    }
    else if (strides != Py_None) {
        text = PyUnicode_FromFormat("pybuf.Layout(%R, %R, strides=%R)", shape,
                                    format, strides);
    }
    else {
        text = PyUnicode_FromFormat("pybuf.Layout(%R, %R%s)", shape, format,
                                    *order == 'F' ? ", order='F'" : "");
    }
    Py_XDECREF(format);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    return text;
}

/* ---- equality, hash, pickles ---------------------------------------------------- */

static bool
equal(const LayoutObject *a, const LayoutObject *b)
{
    size_t size = (size_t)a->layout.ndim * sizeof a->layout.shape[0];
    return a->layout.ndim == b->layout.ndim &&
           memcmp(a->layout.shape, b->layout.shape, size) == 0 &&
           memcmp(a->layout.strides, b->layout.strides, size) == 0 &&
           strcmp(a->element->format, b->element->format) == 0;
}

static PyObject *
layout_richcompare(PyObject *self, PyObject *other, int op)
{
    if ((op != Py_EQ && op != Py_NE) ||
        !Py_IS_TYPE(other, Py_TYPE(self))) {
        return Py_NewRef(Py_NotImplemented);
    }
    return PyBool_FromLong(
        equal((LayoutObject *)self, (LayoutObject *)other) == (op == Py_EQ));
}

static Py_hash_t
layout_hash(PyObject *self)
{
    PyObject *parts = Py_BuildValue("(NNN)", get_shape(self, NULL),
                                    get_strides(self, NULL),
                                    get_format(self, NULL));
    if (parts == NULL) {
        return -1;
    }
    Py_hash_t hash = PyObject_Hash(parts);
    Py_DECREF(parts);
    return hash;
}

static PyObject *
layout_reduce(PyObject *self, PyObject *Py_UNUSED(unused))
{
    LayoutObject *lo = (LayoutObject *)self;
    PyObject *core = PyImport_ImportModule("pybuf._core");
    PyObject *rebuild =
        core == NULL ? NULL : PyObject_GetAttrString(core, "_layout");
    Py_XDECREF(core);
    const char *order = "C";
    PyObject *strides =
        rebuild == NULL ? NULL : strides_or_order(lo, &order);
    if (strides == NULL) {
        Py_XDECREF(rebuild);
        return NULL;
    }
    return Py_BuildValue("N(NssN)", rebuild, get_shape(self, NULL),
                         lo->element->format, order, strides);
}

PyObject *
layout_rebuild(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 4) {
        PyErr_SetString(PyExc_TypeError,
                        "_layout() takes what a pickled Layout holds: shape, "
                        "format, order, strides");
        return NULL;
    }
    return make(state_of_module(module), args[0], args[1],
                args[3] == Py_None ? args[2] : NULL, args[3]);
}

/* ---- the type ------------------------------------------------------------------- */

static PyMethodDef layout_methods[] = {
    {"empty", FAST(layout_empty),
     "empty($self, /, *, align=64, source='c')\n--\n\n"
     "New memory of this layout that is not initialised, as a Buffer."},
    {"zeros", FAST(layout_zeros),
     "zeros($self, /, *, align=64, source='c')\n--\n\n"
     "New memory of this layout, of zeros, as a Buffer."},
    {"wrap", FAST(layout_wrap),
     "wrap($self, /, address, *, readonly=False, owner=None, release=None, "
     "unowned=False, nbytes=None, offset=0)\n--\n\n"
     "Memory that somebody else made, in this layout, as a Buffer: as\n"
     "pybuf.wrap, with nothing left to read but the address and who frees."},
    {"__reduce__", layout_reduce, METH_NOARGS,
     "__reduce__($self, /)\n--\n\n"
     "Pickles shape, format and strides."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef layout_getset[] = {
    {"shape", get_shape, NULL, "Items along each axis, a tuple.", NULL},
    {"strides", get_strides, NULL, "Bytes from one item to the next along "
     "each axis, a tuple.", NULL},
    {"ndim", get_ndim, NULL, "Number of axes.", NULL},
    {"itemsize", get_itemsize, NULL, "Bytes of one item.", NULL},
    {"nbytes", get_nbytes, NULL, "Bytes of all items: size * itemsize.",
     NULL},
    {"size", get_size, NULL, "Number of items.", NULL},
    {"format", get_format, NULL, "PEP 3118 format of one item.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(layout_doc,
"Layout(shape, dtype='B', *, order='C', strides=None)\n--\n\n"
"Shape, strides and element type, judged once and used often.\n\n"
"shape, dtype, order: as pybuf.zeros has them. strides, in bytes, instead of\n"
"an order. Layouts are immutable, equal if their shape, strides and format\n"
"are, hashable, and can be pickled.");

static PyType_Slot layout_slots[] = {
    {Py_tp_doc, (void *)layout_doc},
    {Py_tp_new, layout_tp_new},
    {Py_tp_dealloc, layout_dealloc},
    {Py_tp_repr, layout_repr},
    {Py_tp_hash, layout_hash},
    {Py_tp_richcompare, layout_richcompare},
    {Py_tp_methods, layout_methods},
    {Py_tp_getset, layout_getset},
    {0, NULL},
};

PyType_Spec layout_spec = {
    .name = "pybuf.Layout",
    .basicsize = sizeof(LayoutObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = layout_slots,
};
