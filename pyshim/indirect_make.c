/* indirect_make.c: memory of the kinds T**, T***...: pybuf.indirect.pointers and
 * zeros.
 *
 * The first axes of such a layout read pointers, one behind the other; the rest
 * are rows that are packed. All tables of one axis lie in one piece. */
#include "indirect.h"

#include <string.h>

/* ---- layouts with tables --------------------------------------------------------- */

int
tables_layout(Layout *l, Py_ssize_t itemsize, int levels)
{
    /* Rows are packed as they are without tables, and the shape is judged whole. */
    if (layout_contiguous(l, itemsize, 'C') < 0) {
        return -1;
    }
    for (int i = 0; i < l->ndim; i++) {
        if (i < levels) {
            l->strides[i] = POINTER_SIZE;
        }
        l->suboffsets[i] = i < levels ? 0 : -1;
    }
    l->indirect = true;
    return layout_judge(l, itemsize, true, 'C');
}

int
tables_layout_2d(Layout *l, Py_ssize_t rows, Py_ssize_t columns,
                 Py_ssize_t itemsize)
{
    l->ndim = 2;
    l->shape[0] = rows;
    l->shape[1] = columns;
    return tables_layout(l, itemsize, 1);
}

/* Whether there are so many pointers, or bytes, that no number counts them. */
static int
too_large(const Layout *l)
{
    PyObject *shape = tuple_of_dims(l->shape, l->ndim);
    if (shape != NULL) {
        PyErr_Format(PyExc_OverflowError,
                     "shape %R: tables of pointers and items together have more "
                     "than %zd bytes",
                     shape, PY_SSIZE_T_MAX);
        Py_DECREF(shape);
    }
    return -1;
}

int
tables_count(const Layout *l, int axis, Py_ssize_t *n)
{
    Py_ssize_t bytes = POINTER_SIZE;
    bool none = false;
    for (int i = 0; i <= axis; i++) {
        none |= l->shape[i] == 0;
    }
    for (int i = 0; i <= axis && !none; i++) {
        if (__builtin_mul_overflow(bytes, l->shape[i], &bytes)) {
            return too_large(l);
        }
    }
    *n = none ? 0 : bytes / POINTER_SIZE;
    return 0;
}

int
tables_new(Memory *mem, Py_ssize_t n)
{
    Wish wish = {.source = SOURCE_C, .align = POINTER_SIZE};
    if (memory_new(mem, n * POINTER_SIZE, wish) < 0) {
        return -1;
    }
    mem->align = 0; /* asked for by nobody: a copy is aligned as others are */
    mem->source = SOURCE_FOREIGN; /* as the items are, which are what is lent */
    return 0;
}

char **
tables_link(char *start, const Layout *l, int levels)
{
    Py_ssize_t n = 1;
    for (int axis = 0; axis < levels - 1; axis++) {
        n *= l->shape[axis];
        char **table = (char **)start;
        start += n * POINTER_SIZE;
        for (Py_ssize_t i = 0; i < n; i++) {
            table[i] = start + i * l->shape[axis + 1] * POINTER_SIZE;
        }
    }
    return (char **)start;
}

Buffer *
tables_buffer(State *st, Element *e, const Layout *l, Memory *mem,
              PyObject *owner, bool readonly)
{
    mem->owner = owner;
    Buffer *b = buffer_new(st, e, l, mem, readonly);
    if (b == NULL) {
        memory_release(mem);
    }
    return b;
}

/* ---- arguments ---------------------------------------------------------------------- */

/* shape=, dtype= and levels=: which axes read pointers, and what follows. */
static int
read_layout(State *st, const char *function, PyObject *shape, PyObject *dtype,
            PyObject *levels_arg, Layout *l, Element **e, int *levels)
{
    l->ndim = args_dims(shape, "shape", "an extent of shape", l->shape);
    if (l->ndim < 0) {
        return -1;
    }
    Py_ssize_t n = l->ndim > 1 ? l->ndim - 1 : 1;
    if (levels_arg != NULL && levels_arg != Py_None &&
        args_ssize(levels_arg, "levels", &n) < 0) {
        return -1;
    }
    if (l->ndim == 0 || n < 1 || n > l->ndim) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): levels is %zd and shape has %d number%s; of the "
                     "axes at least one reads pointers, and at most all do",
                     function, n, l->ndim, l->ndim == 1 ? "" : "s");
        return -1;
    }
    *levels = (int)n;
    *e = dtype == NULL ? element_default(st) : element_from_dtype(st, dtype);
    if (*e == NULL) {
        return -1;
    }
    if (layout_element(l, e, false) < 0 ||
        tables_layout(l, (*e)->itemsize, *levels) < 0) {
        Py_CLEAR(*e);
        return -1;
    }
    return 0;
}

/* ---- pointers() ----------------------------------------------------------------------- */

PyObject *
indirect_pointers(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
                  PyObject *kwnames)
{
    /* What is left out of wrap()'s arguments stands behind the others. */
    enum { P_ADDRESS, P_SHAPE, P_DTYPE, P_LEVELS, P_READONLY, P_HOW,
           P_COUNT = P_HOW + WRAP_ARGS };
    static const Signature sig = {
        .function = "pointers",
        .names = {"address", "shape", "dtype", "levels", "readonly", "owner",
                  "release", "unowned", NULL},
        .positional = 3,
        .required = 2,
        .cache = SIG_POINTERS,
    };
    State *st = state_of_module(module);
    PyObject *arg[P_COUNT] = {NULL};
    void *start;
    AddressForm form;
    Layout l;
    Element *e;
    int levels;
    Wrapping w = {.function = sig.function, .arg = arg + P_HOW, .tables = true};
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        address_of(st, arg[P_ADDRESS], "address", &start, &form) < 0 ||
        address_block(st, arg[P_ADDRESS], form, &w.known) < 0 ||
        args_bool(arg[P_READONLY], &w.readonly) < 0 ||
        read_layout(st, "pointers", arg[P_SHAPE], arg[P_DTYPE], arg[P_LEVELS],
                    &l, &e, &levels) < 0) {
        return NULL;
    }
    Buffer *b = wrap_buffer(st, &w, e, &l, start);
    Py_DECREF(OBJECT(e));
    return (PyObject *)b;
}

/* ---- zeros() -------------------------------------------------------------------------- */

/* One block: the tables, and behind them the rows, without gaps. */
static Buffer *
make_zeros(State *st, Element *e, const Layout *l, int levels, Wish wish)
{
    Py_ssize_t tables = 0, rows = 0, total;
    for (int axis = 0; axis < levels; axis++) {
        Py_ssize_t bytes;
        if (tables_count(l, axis, &rows) < 0) {
            return NULL;
        }
        bytes = rows * POINTER_SIZE;
        if (__builtin_add_overflow(tables, bytes, &tables)) {
            too_large(l);
            return NULL;
        }
    }
    if (__builtin_add_overflow(tables, wish.align - 1, &tables) ||
        __builtin_add_overflow(tables &= -wish.align, l->nbytes, &total)) {
        too_large(l);
        return NULL;
    }
    Memory mem;
    if (memory_new(&mem, total, wish) < 0) {
        return NULL;
    }
    char **table = tables_link(mem.data, l, levels);
    Py_ssize_t width = rows == 0 ? 0 : l->nbytes / rows;
    for (Py_ssize_t i = 0; i < rows; i++) {
        table[i] = mem.data + tables + i * width;
    }
    return tables_buffer(st, e, l, &mem, NULL, false);
}

PyObject *
indirect_zeros(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
               PyObject *kwnames)
{
    static const Signature sig = {
        .function = "zeros",
        .names = {"shape", "dtype", "levels", "align", NULL},
        .positional = 2,
        .required = 1,
        .cache = SIG_INDIRECT_ZEROS,
    };
    State *st = state_of_module(module);
    PyObject *arg[4];
    Wish wish;
    Layout l;
    Element *e;
    int levels;
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        memory_wish(arg[3], NULL, "zeros", &wish) < 0 ||
        read_layout(st, "zeros", arg[0], arg[1], arg[2], &l, &e, &levels) < 0) {
        return NULL;
    }
    wish.zeroed = true;
    if (wish.align < POINTER_SIZE) {
        wish.align = POINTER_SIZE; /* tables begin the block */
    }
    Buffer *b = make_zeros(st, e, &l, levels, wish);
    Py_DECREF(OBJECT(e));
    return (PyObject *)b;
}
