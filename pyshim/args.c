/* args.c: Python arguments into C values.
 *
 * The limited API has no parser for vectorcalls, and the generic one of
 * tuples costs more than a whole Buffer. */
#include "shim.h"

#include <string.h>

static int
index_of(const Signature *sig, PyObject *name)
{
    for (int i = 0; sig->names[i] != NULL; i++) {
        if (PyUnicode_CompareWithASCIIString(name, sig->names[i]) == 0) {
            return i;
        }
    }
    return refuse(PyExc_TypeError, name,
                  "%s() has no parameter named {}",
                  sig->function);
}

/* Which parameter each keyword of this call is. A call site passes the same
 * tuple of names each time, so the answer for the last tuple is kept. Copied
 * out, since what ends with the tuple before may be anything. */
static int
keyword_indices(State *st, const Signature *sig, PyObject *kwnames,
                Py_ssize_t n, signed char *index)
{
    KeywordCache *cache = &st->keywords[sig->cache];
    if (n > ARGS_MAX) {
        PyErr_Format(PyExc_TypeError, "%s() got %zd keyword arguments",
                     sig->function, n);
        return -1;
    }
    if (cache->kwnames == kwnames) {
        memcpy(index, cache->index, (size_t)n);
        return 0;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        int at = index_of(sig, PyTuple_GetItem(kwnames, i));
        if (at < 0) {
            return -1;
        }
        index[i] = (signed char)at;
    }
    PyObject *old = cache->kwnames;
    cache->kwnames = Py_NewRef(kwnames);
    memcpy(cache->index, index, (size_t)n);
    Py_XDECREF(old);
    return 0;
}

int
args_bind(State *st, const Signature *sig, PyObject *const *args,
          Py_ssize_t nargs, PyObject *kwnames, PyObject **out)
{
    if (nargs > sig->positional) {
        PyErr_Format(PyExc_TypeError,
                     "%s() takes at most %d argument%s by position, and %zd "
                     "came so: name the others",
                     sig->function, sig->positional,
                     sig->positional == 1 ? "" : "s", nargs);
        return -1;
    }
    for (int i = 0; sig->names[i] != NULL; i++) {
        out[i] = i < nargs ? args[i] : NULL;
    }
    Py_ssize_t n = kwnames == NULL ? 0 : PyTuple_Size(kwnames);
    if (n > 0) {
        signed char index[ARGS_MAX];
        if (keyword_indices(st, sig, kwnames, n, index) < 0) {
            return -1;
        }
        for (Py_ssize_t i = 0; i < n; i++) {
            if (out[index[i]] != NULL) {
                PyErr_Format(PyExc_TypeError,
                             "%s() got argument '%s' by position and by name",
                             sig->function, sig->names[index[i]]);
                return -1;
            }
            out[index[i]] = args[nargs + i];
        }
    }
    for (int i = 0; i < sig->required; i++) {
        if (out[i] == NULL) {
            PyErr_Format(PyExc_TypeError, "%s() needs the argument '%s'",
                         sig->function, sig->names[i]);
            return -1;
        }
    }
    return 0;
}

int
args_order(PyObject *arg, const char *function, char *out)
{
    if (arg == NULL) {
        return 0;
    }
    if (PyUnicode_Check(arg)) {
        if (PyUnicode_CompareWithASCIIString(arg, "C") == 0) {
            *out = 'C';
            return 0;
        }
        if (PyUnicode_CompareWithASCIIString(arg, "F") == 0) {
            *out = 'F';
            return 0;
        }
        return refuse(PyExc_ValueError, arg,
                      "%s(): order is {}; it must be \"C\" (rows first) or "
                      "\"F\" (columns first)",
                      function);
    }
    return refuse(PyExc_TypeError, arg,
                  "%s(): order is {}; it must be the string \"C\" or \"F\"",
                  function);
}

int
args_bool(PyObject *arg, bool *out)
{
    if (arg == NULL) {
        return 0;
    }
    int truth = PyObject_IsTrue(arg);
    if (truth < 0) {
        return -1;
    }
    *out = truth;
    return 0;
}

int
args_ssize(PyObject *arg, const char *what, Py_ssize_t *out)
{
    if (PyLong_CheckExact(arg)) { /* nearly always: no object in between */
        *out = PyLong_AsSsize_t(arg);
        if (*out != -1 || !PyErr_Occurred()) {
            return 0;
        }
        PyErr_Clear(); /* said in words below */
    }
    if (!PyIndex_Check(arg)) {
        return refuse(PyExc_TypeError, arg,
                      "%s is {}; it must be an integer",
                      what);
    }
    PyObject *number = PyNumber_Index(arg);
    if (number == NULL) {
        return -1;
    }
    *out = PyLong_AsSsize_t(number);
    if (*out == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Clear();
            refuse(PyExc_OverflowError, number,
                   "%s is {}, which does not fit in 64 bits",
                   what);
        }
        Py_DECREF(number);
        return -1;
    }
    Py_DECREF(number);
    return 0;
}

int
args_dims(PyObject *arg, const char *what, const char *item, Py_ssize_t *out)
{
    bool plain = PyTuple_CheckExact(arg);
    if (!plain && PyIndex_Check(arg)) {
        if (args_ssize(arg, what, out) == 0) {
            return 1;
        }
        /* An ndarray of several numbers has an __index__ too, that fails. */
        if (!PyErr_ExceptionMatches(PyExc_TypeError) ||
            !PySequence_Check(arg)) {
            return -1;
        }
        PyErr_Clear();
    }
    if (!plain && (!PySequence_Check(arg) || PyUnicode_Check(arg) ||
                   PyBytes_Check(arg))) {
        return refuse(PyExc_TypeError, arg,
                      "%s is {}; it must be an integer or a sequence of "
                      "integers",
                      what);
    }
    /* Asked before the items are taken, which may be more than memory holds;
     * and then of the tuple, for the sequence may lie or change. */
    Py_ssize_t n = PySequence_Size(arg);
    if (n < 0) {
        return -1;
    }
    PyObject *tuple = NULL;
    if (n <= PYBUF_MAX_NDIM) {
        tuple = plain ? Py_NewRef(arg) : PySequence_Tuple(arg);
        if (tuple == NULL) {
            return -1;
        }
        n = PyTuple_Size(tuple);
    }
    if (n > PYBUF_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError,
                     "%s has %zd numbers; a buffer has at most %d dimensions",
                     what, n, PYBUF_MAX_NDIM);
        Py_XDECREF(tuple);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (args_ssize(PyTuple_GetItem(tuple, i), item, &out[i]) < 0) {
            Py_DECREF(tuple);
            return -1;
        }
    }
    Py_DECREF(tuple);
    return (int)n;
}

PyObject *
tuple_of_dims(const Py_ssize_t *dims, int n)
{
    PyObject *tuple = PyTuple_New(n);
    if (tuple == NULL) {
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        PyObject *number = PyLong_FromSsize_t(dims[i]);
        if (number == NULL || PyTuple_SetItem(tuple, i, number) < 0) {
            Py_DECREF(tuple);
            return NULL;
        }
    }
    return tuple;
}
