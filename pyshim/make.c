/* make.c: new memory: empty() and zeros(). */
#include "shim.h"

/* source=: where new memory is to come from. */
int
make_source(PyObject *arg, const char *function)
{
    if (arg == NULL) {
        return 0;
    }
    if (PyUnicode_Check(arg) &&
        PyUnicode_CompareWithASCIIString(arg, "c") == 0) {
        return 0;
    }
    return refuse(PyUnicode_Check(arg) ? PyExc_ValueError : PyExc_TypeError, arg,
                  "%s(): source is {}; memory can be had from \"c\"",
                  function);
}

/* C memory for a layout, and a writable Buffer over it. */
Buffer *
make_buffer(State *st, Element *e, const Layout *l, Py_ssize_t align,
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
        make_source(arg[4], sig->function) < 0) {
        return NULL;
    }
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
    if (layout_contiguous(&layout, e->itemsize, order) == 0) {
        b = make_buffer(st, e, &layout, align, zeroed);
    }
    Py_DECREF(OBJECT(e));
    return (PyObject *)b;
}

#define MAKE_NAMES {"shape", "dtype", "order", "align", "source", NULL}

PyObject *
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

PyObject *
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
