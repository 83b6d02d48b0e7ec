/* functions.c: the functions of the module: empty, zeros, copy, wrap. */
#include "shim.h"

#include <string.h>

/* ---- empty, zeros ------------------------------------------------------------- */

/* source=: where new memory is to come from. */
static int
source_of(PyObject *arg, const char *function)
{
    if (arg == NULL) {
        return 0;
    }
    if (PyUnicode_Check(arg) &&
        PyUnicode_CompareWithASCIIString(arg, "c") == 0) {
        return 0;
    }
    PyErr_Format(PyUnicode_Check(arg) ? PyExc_ValueError : PyExc_TypeError,
                 "%s(): source is %R; memory can be had from \"c\"", function,
                 arg);
    return -1;
}

static Element *
dtype_or_default(State *st, PyObject *dtype)
{
    return dtype == NULL ? element_default(st)
                         : element_from_dtype(st, dtype);
}

/* C memory for a layout, and a writable Buffer over it. */
static Buffer *
fresh_buffer(State *st, Element *e, const Layout *l, Py_ssize_t align,
             bool zeroed)
{
    Memory mem;
    if (memory_c(&mem, l->nbytes, align, zeroed) < 0) {
        return NULL;
    }
    Buffer *b = buffer_new(st, e, l, &mem, false);
    if (b == NULL) {
        memory_release(&mem);
    }
    return b;
}

static PyObject *
make(PyObject *module, const Signature *sig, PyObject *const *args,
     Py_ssize_t nargs, PyObject *kwnames, bool zeroed)
{
    State *st = state_of_module(module);
    PyObject *arg[5];
    char order = 'C';
    Py_ssize_t align;
    Layout layout;
    if (args_bind(st, sig, args, nargs, kwnames, arg) < 0 ||
        args_order(arg[2], sig->function, &order) < 0 ||
        memory_align(arg[3], &align) < 0 ||
        source_of(arg[4], sig->function) < 0) {
        return NULL;
    }
    layout.ndim =
        args_dims(arg[0], "shape", "an extent of shape", layout.shape);
    if (layout.ndim < 0) {
        return NULL;
    }
    Element *e = dtype_or_default(st, arg[1]);
    if (e == NULL) {
        return NULL;
    }
    Buffer *b = NULL;
    if (layout_contiguous(&layout, e->itemsize, order) == 0) {
        b = fresh_buffer(st, e, &layout, align, zeroed);
    }
    Py_DECREF(OBJECT(e));
    return (PyObject *)b;
}

#define MAKE_NAMES {"shape", "dtype", "order", "align", "source", NULL}

static PyObject *
pybuf_empty(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const Signature sig = {.function = "empty",
                                  .names = MAKE_NAMES,
                                  .positional = 2,
                                  .required = 1,
                                  .cache = SIG_EMPTY};
    return make(module, &sig, args, nargs, kwnames, false);
}

static PyObject *
pybuf_zeros(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const Signature sig = {.function = "zeros",
                                  .names = MAKE_NAMES,
                                  .positional = 2,
                                  .required = 1,
                                  .cache = SIG_ZEROS};
    return make(module, &sig, args, nargs, kwnames, true);
}

/* ---- copy ---------------------------------------------------------------------- */

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
copy_view(State *st, Py_buffer *view, char order, Py_ssize_t align)
{
    Element *e = element_from_text(
        st, view->format == NULL ? "B" : view->format, PYBUF_FORMAT);
    if (e == NULL) {
        return NULL;
    }
    Layout layout;
    Buffer *b = NULL;
    layout.ndim = view->ndim;
    for (int i = 0; i < view->ndim; i++) {
        layout.shape[i] = view->shape[i];
    }
    if (e->itemsize != view->itemsize) {
        PyErr_Format(PyExc_ValueError,
                     "the exporter says format '%s', items of %zd bytes, and "
                     "has items of %zd bytes",
                     view->format, e->itemsize, view->itemsize);
    }
    else if (layout_contiguous(&layout, e->itemsize, order) == 0) {
        if (layout.nbytes != view->len) {
            PyErr_Format(PyExc_ValueError,
                         "the exporter says a shape of %zd bytes and a length "
                         "of %zd bytes",
                         layout.nbytes, view->len);
        }
        else {
            b = fresh_buffer(st, e, &layout, align, false);
        }
    }
    Py_DECREF(OBJECT(e));
    if (b != NULL && copy_items(b->mem.data, view, order) < 0) {
        Py_CLEAR(b);
    }
    return b;
}

Buffer *
copy_of(State *st, PyObject *src, char order, Py_ssize_t align)
{
    Py_buffer view;
    if (!PyObject_CheckBuffer(src)) {
        PyErr_Format(PyExc_TypeError,
                     "copy(): %R has no buffer protocol; give bytes, an "
                     "array, a memoryview or another exporter",
                     src);
        return NULL;
    }
    if (PyObject_GetBuffer(src, &view, PyBUF_FULL_RO) < 0) {
        return NULL;
    }
    Buffer *b = copy_view(st, &view, order, align);
    PyBuffer_Release(&view);
    return b;
}

static PyObject *
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
    Py_ssize_t align;
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        args_order(arg[1], "copy", &order) < 0 ||
        memory_align(arg[2], &align) < 0 || source_of(arg[3], "copy") < 0) {
        return NULL;
    }
    return (PyObject *)copy_of(st, arg[0], order, align);
}

/* ---- wrap ---------------------------------------------------------------------- */

enum {
    W_ADDRESS,
    W_SHAPE,
    W_DTYPE,
    W_STRIDES,
    W_SUBOFFSETS,
    W_READONLY,
    W_OWNER,
    W_RELEASE,
    W_UNOWNED,
    W_NBYTES,
    W_OFFSET,
    W_COUNT
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
    Element *own = NULL;
    int array = 0;
    *e = NULL;
    if (!given(arg[W_SHAPE]) || !given(arg[W_DTYPE])) {
        array = address_array(st, arg[W_ADDRESS], l, &own);
        if (array < 0) {
            return -1;
        }
    }
    if (given(arg[W_DTYPE])) {
        *e = element_from_dtype(st, arg[W_DTYPE]);
    }
    else {
        *e = array ? (Element *)Py_NewRef(OBJECT(own)) : element_default(st);
    }
    if (*e == NULL) {
        Py_XDECREF(OBJECT(own));
        return -1;
    }
    int failed = 0;
    if (given(arg[W_SHAPE])) {
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
    else if (own->itemsize != (*e)->itemsize) {
        PyErr_Format(PyExc_ValueError,
                     "wrap(): the array has items of %zd bytes ('%s') and "
                     "dtype has %zd ('%s'): give the shape too",
                     own->itemsize, own->format, (*e)->itemsize,
                     (*e)->format);
        failed = 1;
    }
    Py_XDECREF(OBJECT(own));
    if (failed) {
        Py_CLEAR(*e);
        return -1;
    }
    return 0;
}

/* One number for each axis. */
static int
wrap_dims(PyObject *arg, const char *what, const char *item, int ndim,
          Py_ssize_t *out)
{
    int n = args_dims(arg, what, item, out);
    if (n >= 0 && n != ndim) {
        PyErr_Format(PyExc_ValueError,
                     "wrap(): %s has %d number%s and shape has %d; each axis "
                     "needs one",
                     what, n, n == 1 ? "" : "s", ndim);
        return -1;
    }
    return n < 0 ? -1 : 0;
}

static int
wrap_layout(PyObject **arg, Py_ssize_t itemsize, Layout *l)
{
    bool strided = given(arg[W_STRIDES]);
    l->indirect = given(arg[W_SUBOFFSETS]);
    if (strided && wrap_dims(arg[W_STRIDES], "strides", "a stride", l->ndim,
                             l->strides) < 0) {
        return -1;
    }
    if (l->indirect && wrap_dims(arg[W_SUBOFFSETS], "suboffsets",
                                 "a suboffset", l->ndim, l->suboffsets) < 0) {
        return -1;
    }
    if (l->indirect && !strided) {
        PyErr_SetString(PyExc_ValueError,
                        "wrap(): suboffsets without strides: indirect memory "
                        "needs both");
        return -1;
    }
    return strided ? layout_judge(l, itemsize, true, 'C')
                   : layout_contiguous(l, itemsize, 'C');
}

/* Where the items lie: [start, start + size) if the block is bounded. */
static int
wrap_place(PyObject **arg, const Layout *l, char *start, Memory *mem)
{
    Py_ssize_t size = -1, offset = 0;
    if (given(arg[W_NBYTES]) && args_ssize(arg[W_NBYTES], "nbytes", &size) < 0) {
        return -1;
    }
    if (given(arg[W_OFFSET]) &&
        args_ssize(arg[W_OFFSET], "offset", &offset) < 0) {
        return -1;
    }
    if (given(arg[W_NBYTES]) && size < 0) {
        PyErr_Format(PyExc_ValueError,
                     "wrap(): nbytes is %zd; a block has 0 bytes or more",
                     size);
        return -1;
    }
    mem->block = start;
    mem->block_size = size >= 0 ? size : l->high - l->low;
    bool none = l->high == l->low;
    Py_ssize_t first, last;
    bool fits = !__builtin_add_overflow(offset, l->low, &first) &&
                !__builtin_add_overflow(offset, l->high, &last);
    if (fits && size >= 0) {
        fits = first >= 0 && last <= size;
    }
    if (!fits) {
        PyErr_Format(PyExc_ValueError,
                     "wrap(): the layout uses bytes %zd to %zd from its first "
                     "item, which lies at offset %zd; the block has %zd bytes",
                     l->low, l->high, offset, mem->block_size);
        return -1;
    }
    if (start == NULL && (!none || size > 0)) {
        PyErr_Format(PyExc_ValueError,
                     "wrap(): address is NULL and the layout has %zd bytes; "
                     "NULL can stand for zero bytes only",
                     none ? size : l->high - l->low);
        return -1;
    }
    if (start == NULL) {
        mem->data = memory_nowhere();
        return 0;
    }
    /* Neither end may leave the address space. */
    uintptr_t base = (uintptr_t)start;
    uintptr_t below = first < 0 ? (uintptr_t)0 - (uintptr_t)first : 0;
    uintptr_t above = last > 0 ? (uintptr_t)last : 0;
    if (below > base || above > UINTPTR_MAX - base) {
        PyErr_Format(PyExc_ValueError,
                     "wrap(): the layout uses bytes %zd to %zd from address "
                     "%p, which leaves the address space",
                     first, last, start);
        return -1;
    }
    mem->data = start + offset;
    return 0;
}

/* Who sees to the memory: owner=, release=, or nobody by name. */
static int
wrap_owner(State *st, PyObject **arg, Memory *mem)
{
    bool unowned = false;
    bool held = given(arg[W_OWNER]) || given(arg[W_RELEASE]);
    if (args_bool(arg[W_UNOWNED], &unowned) < 0) {
        return -1;
    }
    if (!held && !unowned) {
        PyErr_SetString(PyExc_TypeError,
                        "wrap() needs to know who frees this memory: give "
                        "owner= (an object to keep alive), release= (what "
                        "frees it), or unowned=True if it outlives every "
                        "view");
        return -1;
    }
    if (held && unowned) {
        PyErr_SetString(PyExc_TypeError,
                        "wrap(): unowned=True says that nobody is to be "
                        "kept or called, and owner= or release= was given");
        return -1;
    }
    mem->release = RELEASE_NOTHING;
    if (given(arg[W_RELEASE]) &&
        address_release(st, arg[W_RELEASE], mem) < 0) {
        return -1;
    }
    if (given(arg[W_OWNER])) {
        mem->owner = Py_NewRef(arg[W_OWNER]);
    }
    return 0;
}

static PyObject *
pybuf_wrap(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
           PyObject *kwnames)
{
    static const Signature sig = {
        .function = "wrap",
        .names = {"address", "shape", "dtype", "strides", "suboffsets",
                  "readonly", "owner", "release", "unowned", "nbytes",
                  "offset", NULL},
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
    bool readonly = false;
    Memory mem = {.source = SOURCE_FOREIGN};
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        address_of(st, arg[W_ADDRESS], "address", &start, &form) < 0 ||
        args_bool(arg[W_READONLY], &readonly) < 0 ||
        wrap_what(st, arg, &layout, &e) < 0) {
        return NULL;
    }
    Buffer *b = NULL;
    if (wrap_layout(arg, e->itemsize, &layout) == 0 &&
        wrap_place(arg, &layout, start, &mem) == 0 &&
        wrap_owner(st, arg, &mem) == 0) {
        b = buffer_new(st, e, &layout, &mem, readonly);
    }
    if (b == NULL) { /* nothing was taken: the memory stays the caller's */
        Py_XDECREF(mem.callback);
        Py_XDECREF(mem.owner);
    }
    Py_DECREF(OBJECT(e));
    return (PyObject *)b;
}

/* ---- what tests read ------------------------------------------------------------- */

static PyObject *
core_counters(PyObject *module, PyObject *Py_UNUSED(unused))
{
    Ledger *ledger = state_of_module(module)->ledger;
    return Py_BuildValue("{s:K,s:K,s:L,s:K}", "made",
                         (unsigned long long)ledger->made, "freed",
                         (unsigned long long)ledger->freed, "live_bytes",
                         (long long)ledger->live_bytes, "go_calls",
                         (unsigned long long)go_calls());
}

static PyObject *
core_go_runtime(PyObject *Py_UNUSED(module), PyObject *collect)
{
    char name[64];
    pybuf_runtime r = {.go = {.data = name, .cap = sizeof name}};
    int truth = PyObject_IsTrue(collect);
    if (truth < 0) {
        return NULL;
    }
    if (go_runtime(truth, &r) != PYBUF_OK) {
        PyErr_SetString(PyExc_SystemError, "the Go runtime gave no answer");
        return NULL;
    }
    return Py_BuildValue("{s:s,s:L,s:L,s:L,s:L}", "go", name, "goroutines",
                         (long long)r.goroutines, "heap_objects",
                         (long long)r.heap_objects, "heap_bytes",
                         (long long)r.heap_bytes, "collections",
                         (long long)r.collections);
}

/* ---- the table --------------------------------------------------------------------- */

#define FAST(f) ((PyCFunction)(void (*)(void))(f)), METH_FASTCALL | METH_KEYWORDS

PyMethodDef module_functions[] = {
    {"empty", FAST(pybuf_empty),
     "empty($module, /, shape, dtype='B', *, order='C', align=64, "
     "source='c')\n--\n\n"
     "New memory that is not initialised, as a Buffer."},
    {"zeros", FAST(pybuf_zeros),
     "zeros($module, /, shape, dtype='B', *, order='C', align=64, "
     "source='c')\n--\n\n"
     "New memory of zeros, as a Buffer. Pages are zeroed by the system when\n"
     "they are first used."},
    {"copy", FAST(pybuf_copy),
     "copy($module, /, obj, *, order='C', align=64, source='c')\n--\n\n"
     "New memory with a contiguous copy of what any exporter of the buffer\n"
     "protocol holds, indirect memory included."},
    {"wrap", FAST(pybuf_wrap),
     "wrap($module, /, address, shape=None, dtype=None, *, strides=None, "
     "suboffsets=None, readonly=False, owner=None, release=None, "
     "unowned=False, nbytes=None, offset=0)\n--\n\n"
     "Memory that somebody else made, as a Buffer, not copied.\n\n"
     "address: an int, a ctypes pointer or array, a cffi pointer or array,\n"
     "or a capsule: where the item with all indices 0 lies. With nbytes the\n"
     "block is [address, address + nbytes), that item lies at\n"
     "address + offset, and the layout must fit.\n"
     "shape, dtype: may be left out for a ctypes or cffi array; else dtype\n"
     "is \"B\" if left out.\n"
     "owner: an object to keep alive. release: called once when the last\n"
     "view is gone; a callable that gets the address, a pair\n"
     "(function pointer, arg) for void f(void *data, size_t nbytes,\n"
     "void *arg), or a ctypes or cffi function such as libc.free. One of\n"
     "them is needed, or unowned=True.\n\n"
     "If it raises, nothing was taken over and nothing is released."},
    {"_rebuild", (PyCFunction)(void (*)(void))door_rebuild, METH_FASTCALL,
     "Makes a Buffer of what its pickle holds."},
    {"_counters", core_counters, METH_NOARGS,
     "Counts of this interpreter's memory, and calls into Go."},
    {"_go_runtime", core_go_runtime, METH_O,
     "What the Go runtime says of itself; collects first if asked."},
    {NULL, NULL, 0, NULL},
};
