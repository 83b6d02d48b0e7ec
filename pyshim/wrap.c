/* wrap.c: memory that somebody else made.
 *
 * Nothing is taken over until every argument is judged: if wrap() raises, the
 * memory is still the caller's. */
#include "shim.h"

enum {
    W_ADDRESS,
    W_SHAPE,
    W_DTYPE,
    W_STRIDES,
    W_SUBOFFSETS,
    W_READONLY,
    W_HOW, /* WRAP_ARGS of them */
    W_COUNT = W_HOW + WRAP_ARGS
};

static bool
given(PyObject *arg)
{
    return arg != NULL && arg != Py_None;
}

/* shape= and dtype=, from the arguments or from the array that address= is. */
static int
wrap_what(State *st, PyObject **arg, Layout *l, Element **e)
{
    bool typed = given(arg[W_DTYPE]), shaped = given(arg[W_SHAPE]);
    Py_ssize_t itemsize = 0;
    int array = 0;
    *e = NULL;
    if (!typed || !shaped) {
        array = address_array(st, arg[W_ADDRESS], l, &itemsize,
                              typed ? NULL : e);
        if (array < 0) {
            return -1;
        }
    }
    if (typed) {
        *e = element_from_dtype(st, arg[W_DTYPE]);
    }
    else if (!array) {
        *e = element_default(st);
    }
    if (*e == NULL) {
        return -1;
    }
    int failed = 0;
    if (shaped) {
        l->ndim = args_dims(arg[W_SHAPE], "shape", "an extent of shape",
                            l->shape);
        failed = l->ndim < 0;
    }
    else if (!array) {
        PyErr_SetString(PyExc_TypeError,
                        "wrap() needs a shape: only a ctypes or cffi array "
                        "brings its own");
        failed = 1;
    }
    else if (itemsize != (*e)->itemsize) {
        PyErr_Format(PyExc_ValueError,
                     "wrap(): the array has items of %zd bytes and dtype has "
                     "%zd ('%s'): give the shape too",
                     itemsize, (*e)->itemsize, (*e)->format);
        failed = 1;
    }
    if (failed) {
        Py_CLEAR(*e);
        return -1;
    }
    return 0;
}

int
wrap_dims(PyObject *arg, const char *function, const char *what,
          const char *item, int ndim, Py_ssize_t *out)
{
    int n = args_dims(arg, what, item, out);
    if (n >= 0 && n != ndim) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): %s has %d number%s and shape has %d; each axis "
                     "needs one",
                     function, what, n, n == 1 ? "" : "s", ndim);
        return -1;
    }
    return n < 0 ? -1 : 0;
}

static int
wrap_layout(PyObject **arg, Element **e, Layout *l)
{
    bool strided = given(arg[W_STRIDES]);
    l->indirect = given(arg[W_SUBOFFSETS]);
    if (strided && wrap_dims(arg[W_STRIDES], "wrap", "strides", "a stride",
                             l->ndim, l->strides) < 0) {
        return -1;
    }
    if (l->indirect && wrap_dims(arg[W_SUBOFFSETS], "wrap", "suboffsets",
                                 "a suboffset", l->ndim, l->suboffsets) < 0) {
        return -1;
    }
    if (l->indirect && !strided) {
        PyErr_SetString(PyExc_ValueError,
                        "wrap(): suboffsets without strides: indirect memory "
                        "needs both");
        return -1;
    }
    if (layout_element(l, e, strided) < 0) {
        return -1;
    }
    return strided ? layout_judge(l, (*e)->itemsize, true, 'C')
                   : layout_contiguous(l, (*e)->itemsize, 'C');
}

/* Where the items lie: in [start, start + nbytes) if that is given, else in
 * [start, start + known) if the object at `start` shows its own size. */
static int
wrap_place(const Wrapping *w, const Layout *l, char *start, Memory *mem)
{
    PyObject *const *arg = w->arg;
    Py_ssize_t size = -1, offset = 0;
    if (given(arg[WRAP_NBYTES]) &&
        args_ssize(arg[WRAP_NBYTES], "nbytes", &size) < 0) {
        return -1;
    }
    if (given(arg[WRAP_OFFSET]) &&
        args_ssize(arg[WRAP_OFFSET], "offset", &offset) < 0) {
        return -1;
    }
    if (given(arg[WRAP_NBYTES]) && size < 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): nbytes is %zd; a block has 0 bytes or more",
                     w->function, size);
        return -1;
    }
    mem->block = start;
    mem->block_size = size >= 0 ? size : l->high - l->low;
    bool none = l->high == l->low;
    Py_ssize_t first, last;
    bool fits = !__builtin_add_overflow(offset, l->low, &first) &&
                !__builtin_add_overflow(offset, l->high, &last);
    Py_ssize_t bound = size >= 0 ? size : w->known;
    if (fits && bound >= 0) {
        fits = first >= 0 && last <= bound;
    }
    if (!fits) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): the layout uses bytes %zd to %zd from its first "
                     "item, which lies at offset %zd; the block has %zd bytes%s",
                     w->function, l->low, l->high, offset,
                     bound >= 0 ? bound : mem->block_size,
                     bound < 0 || size >= 0 ? ""
                     : !w->tables
                         ? ", as its ctypes type says: give nbytes= if there "
                           "are more"
                         : ", as its ctypes type says: give its address as a "
                           "number if there are more");
        return -1;
    }
    if (start == NULL && (!none || size > 0)) {
        return layout_refuse_null(w->function, "address",
                                  none ? size : l->high - l->low);
    }
    if (start == NULL) {
        mem->data = memory_nowhere();
        return 0;
    }
    if (layout_reaches(w->function, start, first, last) < 0) {
        return -1;
    }
    mem->data = start + offset;
    return 0;
}

/* Who sees to the memory: owner=, release=, or nobody by name. */
static int
wrap_owner(State *st, const Wrapping *w, Memory *mem)
{
    PyObject *const *arg = w->arg;
    bool unowned = false;
    bool held = given(arg[WRAP_OWNER]) || given(arg[WRAP_RELEASE]);
    if (args_bool(arg[WRAP_UNOWNED], &unowned) < 0) {
        return -1;
    }
    if (!held && !unowned) {
        PyErr_Format(PyExc_TypeError,
                     "%s() needs to know who frees this memory: give owner= "
                     "(an object to keep alive), release= (what frees it), or "
                     "unowned=True if it outlives every view",
                     w->function);
        return -1;
    }
    if (held && unowned) {
        PyErr_Format(PyExc_TypeError,
                     "%s(): unowned=True says that nobody is to be kept or "
                     "called, and owner= or release= was given",
                     w->function);
        return -1;
    }
    mem->release = RELEASE_NOTHING;
    if (given(arg[WRAP_RELEASE]) &&
        address_release(st, arg[WRAP_RELEASE], mem) < 0) {
        return -1;
    }
    if (given(arg[WRAP_OWNER])) {
        mem->owner = Py_NewRef(arg[WRAP_OWNER]);
    }
    return 0;
}

Buffer *
wrap_buffer(State *st, const Wrapping *w, Element *e, const Layout *l,
            void *start)
{
    Buffer *b = buffer_blank(st);
    if (b == NULL) {
        return NULL;
    }
    Memory *mem = &b->mem;
    mem->align = 0;
    mem->source = SOURCE_FOREIGN;
    if (wrap_place(w, l, start, mem) < 0 || wrap_owner(st, w, mem) < 0 ||
        (w->tables && tables_check(mem->data, l, w->function) < 0) ||
        buffer_fill(st, b, e, l, w->readonly) < 0) {
        mem->release = RELEASE_GONE; /* nothing was taken */
        Py_CLEAR(mem->callback);
        Py_CLEAR(mem->owner);
        Py_CLEAR(b);
    }
    return b;
}

PyObject *
module_wrap(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const Signature sig = {
        .function = "wrap",
        .names = {"address", "shape", "dtype", "strides", "suboffsets",
                  "readonly", WRAP_NAMES, NULL},
        .positional = 3,
        .required = 1,
        .cache = SIG_WRAP,
    };
    State *st = state_of_module(module);
    PyObject *arg[W_COUNT];
    void *start;
    AddressForm form;
    Element *e;
    Layout layout;
    Wrapping w = {.function = "wrap", .arg = arg + W_HOW};
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        address_of(st, arg[W_ADDRESS], "address", &start, &form) < 0 ||
        address_block(st, arg[W_ADDRESS], form, &w.known) < 0 ||
        args_bool(arg[W_READONLY], &w.readonly) < 0 ||
        wrap_what(st, arg, &layout, &e) < 0) {
        return NULL;
    }
    Buffer *b = NULL;
    if (wrap_layout(arg, &e, &layout) == 0) {
        b = wrap_buffer(st, &w, e, &layout, start);
    }
    Py_DECREF(OBJECT(e));
    return (PyObject *)b;
}
