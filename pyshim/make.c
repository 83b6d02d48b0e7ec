/* make.c: new memory: empty() and zeros(). */
#include "shim.h"

Buffer *
make_buffer(State *st, Element *e, const Layout *l, Wish wish)
{
    Buffer *b = buffer_blank(st);
    if (b == NULL) {
        return NULL;
    }
    if (memory_new(&b->mem, l->high - l->low, wish) < 0) {
        b->mem.release = RELEASE_GONE;
        Py_CLEAR(b);
        return NULL;
    }
    b->mem.data -= l->low; /* where strides are negative, items lie below */
    if (buffer_fill(st, b, e, l, false) < 0) {
        memory_release(&b->mem);
        Py_CLEAR(b);
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
    Wish wish;
    Layout layout;
    if (args_bind(st, sig, args, nargs, kwnames, arg) < 0 ||
        args_order(arg[2], sig->function, &order) < 0 ||
        memory_wish(arg[3], arg[4], sig->function, &wish) < 0) {
        return NULL;
    }
    wish.zeroed = zeroed;
    layout.ndim =
        args_dims(arg[0], "shape", "an extent of shape", layout.shape);
    if (layout.ndim < 0) {
        return NULL;
    }
    Element *e = arg[1] == NULL ? element_default(st)
                                : element_from_dtype(st, arg[1]);
    if (e == NULL) {
        return NULL;
    }
    Buffer *b = NULL;
    if (layout_element(&layout, &e, false) == 0 &&
        layout_contiguous(&layout, e->itemsize, order) == 0) {
        b = make_buffer(st, e, &layout, wish);
    }
    Py_DECREF(OBJECT(e));
    return (PyObject *)b;
}

#define MAKE_NAMES {"shape", "dtype", "order", "align", "source", NULL}

PyObject *
module_empty(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    static const Signature sig = {.function = "empty",
                                  .names = MAKE_NAMES,
                                  .positional = 2,
                                  .required = 1,
                                  .cache = SIG_EMPTY};
    return make(module, &sig, args, nargs, kwnames, false);
}

PyObject *
module_zeros(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    static const Signature sig = {.function = "zeros",
                                  .names = MAKE_NAMES,
                                  .positional = 2,
                                  .required = 1,
                                  .cache = SIG_ZEROS};
    return make(module, &sig, args, nargs, kwnames, true);
}
