/* every.c: every function of pybuf.h for Python, and releases that tell of
 * themselves. Compiled as C99, with the limited API, and as C++.
 *
 * Addresses are ints; shapes and strides are None or lists, whose lengths are
 * not compared with ndim; formats are None or bytes. */
#define PY_SSIZE_T_CLEAN
#include "pybuf.h" /* the descriptor alone */
#include <Python.h>
#include "pybuf.h" /* and the rest */

#include "releases.h"
#include "threads.h"

#include <string.h>

/* ---- arguments -------------------------------------------------- */

#define MOST (PYBUF_MAX_NDIM + 8)

typedef struct {
    Py_ssize_t numbers[MOST];
    const Py_ssize_t *given; /* NULL for None */
} Dims;

static int
read_dims(PyObject *from, void *to)
{
    Dims *d = (Dims *)to;
    d->given = NULL;
    if (from == Py_None) {
        return 1;
    }
    Py_ssize_t n = PyList_Size(from);
    if (n < 0 || n > MOST) {
        return 0;
    }
    memset(d->numbers, 0, sizeof d->numbers);
    for (Py_ssize_t i = 0; i < n; i++) {
        d->numbers[i] = PyLong_AsSsize_t(PyList_GetItem(from, i));
    }
    d->given = d->numbers;
    return !PyErr_Occurred();
}

static int
read_address(PyObject *from, void *to)
{
    *(void **)to = PyLong_AsVoidPtr(from);
    return !PyErr_Occurred();
}

static int
read_format(PyObject *from, void *to)
{
    const char **format = (const char **)to;
    *format = from == Py_None ? NULL : PyBytes_AsString(from);
    return *format != NULL || from == Py_None;
}

static PyObject *
or_none(PyObject *arg)
{
    return arg == Py_None ? NULL : arg;
}

/* ---- every function -------------------------------------------------- */

static PyObject *
f_wrap(PyObject *self, PyObject *args)
{
    void *data;
    int ndim, flags, release = 0;
    Dims shape, strides;
    const char *format;
    PyObject *arg = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&iO&O&O&i|iO", read_address, &data, &ndim,
                          read_dims, &shape, read_dims, &strides, read_format,
                          &format, &flags, &release, &arg)) {
        return NULL;
    }
    return pybuf_wrap(data, ndim, shape.given, strides.given, format, flags,
                      releases[release], arg);
}

static PyObject *
f_wrap_owned(PyObject *self, PyObject *args)
{
    void *data;
    int ndim, flags;
    Dims shape, strides;
    const char *format;
    PyObject *owner;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&iO&O&O&iO", read_address, &data, &ndim,
                          read_dims, &shape, read_dims, &strides, read_format,
                          &format, &flags, &owner)) {
        return NULL;
    }
    return pybuf_wrap_owned(data, ndim, shape.given, strides.given, format,
                            flags, or_none(owner));
}

static PyObject *
f_memory(PyObject *self, PyObject *args)
{
    void *data;
    Py_ssize_t nbytes;
    int writable, release;
    PyObject *arg = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&nii|O", read_address, &data, &nbytes,
                          &writable, &release, &arg)) {
        return NULL;
    }
    return (writable ? pybuf_memory_writable(data, (size_t)nbytes,
                                             releases[release], arg)
                     : pybuf_memory(data, (size_t)nbytes, releases[release],
                                    arg));
}

static PyObject *
f_new(PyObject *self, PyObject *args)
{
    int ndim, flags;
    Dims shape;
    const char *format;
    void *data = &shape; /* whatever was there */
    (void)self;
    if (!PyArg_ParseTuple(args, "iO&O&i", &ndim, read_dims, &shape, read_format,
                          &format, &flags)) {
        return NULL;
    }
    PyObject *made = pybuf_new(ndim, shape.given, format, flags, &data);
    if (made == NULL && data != NULL) {
        PyErr_SetString(PyExc_SystemError, "an address where there is no memory");
    }
    return made == NULL ? NULL : Py_BuildValue("Nn", made, (Py_ssize_t)data);
}

static PyObject *
f_pointers(PyObject *self, PyObject *args)
{
    void *table;
    int levels, ndim, flags, release = 0;
    Dims shape;
    const char *format;
    PyObject *arg = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&iiO&O&i|iO", read_address, &table, &levels,
                          &ndim, read_dims, &shape, read_format, &format,
                          &flags, &release, &arg)) {
        return NULL;
    }
    return pybuf_pointers(table, levels, ndim, shape.given, format, flags,
                          releases[release], arg);
}

static PyObject *
f_pointers_owned(PyObject *self, PyObject *args)
{
    void *table;
    int levels, ndim, flags;
    Dims shape;
    const char *format;
    PyObject *owner;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&iiO&O&iO", read_address, &table, &levels,
                          &ndim, read_dims, &shape, read_format, &format,
                          &flags, &owner)) {
        return NULL;
    }
    return pybuf_pointers_owned(table, levels, ndim, shape.given, format, flags,
                                or_none(owner));
}

static PyObject *
f_rows(PyObject *self, PyObject *args)
{
    void *rows;
    Py_ssize_t nrows, ncolumns;
    const char *format;
    int flags;
    PyObject *owner;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&nnO&iO", read_address, &rows, &nrows,
                          &ncolumns, read_format, &format, &flags, &owner)) {
        return NULL;
    }
    return pybuf_rows((void **)rows, nrows, ncolumns, format, flags,
                      or_none(owner));
}

static PyObject *
f_rows_new(PyObject *self, PyObject *args)
{
    Py_ssize_t nrows, ncolumns;
    const char *format;
    int flags;
    (void)self;
    if (!PyArg_ParseTuple(args, "nnO&i", &nrows, &ncolumns, read_format,
                          &format, &flags)) {
        return NULL;
    }
    return pybuf_rows_new(nrows, ncolumns, format, flags);
}

static PyObject *
f_rows_table(PyObject *self, PyObject *memory)
{
    void **table = pybuf_rows_table(memory);
    (void)self;
    return table == NULL ? NULL : PyLong_FromVoidPtr(table);
}

static PyObject *
f_adopt(PyObject *self, PyObject *args)
{
    void *d;
    int flags;
    (void)self;
    if (!PyArg_ParseTuple(args, "O&i", read_address, &d, &flags)) {
        return NULL;
    }
    return pybuf_adopt((pybuf_descriptor *)d, flags);
}

static PyObject *
f_lend(PyObject *self, PyObject *args)
{
    PyObject *exporter;
    int flags;
    (void)self;
    if (!PyArg_ParseTuple(args, "Oi", &exporter, &flags)) {
        return NULL;
    }
    pybuf_descriptor *d = pybuf_lend(exporter, flags);
    return d == NULL ? NULL : PyLong_FromVoidPtr(d);
}

static PyObject *
f_array(PyObject *self, PyObject *memory)
{
    (void)self;
    return pybuf_array(memory);
}

static PyObject *
f_check(PyObject *self, PyObject *obj)
{
    int is = pybuf_check(obj);
    (void)self;
    return is < 0 ? NULL : PyBool_FromLong(is);
}

static PyObject *
f_import(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    return pybuf_import() < 0 ? NULL
                              : Py_BuildValue("II", pybuf_api_found->version,
                                              pybuf_api_found->size);
}

/* As in a module whose init function has forgotten pybuf_import. */
static PyObject *
f_forget(PyObject *self, PyObject *args)
{
    (void)self;
    (void)args;
    pybuf_api_found = NULL;
    Py_RETURN_NONE;
}

/* ---- uses -------------------------------------------------- */

/* n times: eight doubles become an array, which ends. */
static PyObject *
f_loop(PyObject *self, PyObject *args)
{
    static double items[8];
    Py_ssize_t n, shape[2] = {2, 4};
    int release;
    (void)self;
    if (!PyArg_ParseTuple(args, "ni", &n, &release)) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *array = pybuf_wrap(items, 2, shape, NULL, "d", PYBUF_ARRAY,
                                     releases[release], NULL);
        if (array == NULL) {
            return NULL;
        }
        Py_DECREF(array);
    }
    Py_RETURN_NONE;
}

/* An array or a Buffer that ends while an exception is on its way. */
static PyObject *
f_end_in_error(PyObject *self, PyObject *args)
{
    static char bytes[8];
    Py_ssize_t n = 8;
    int flags, release;
    PyObject *arg = NULL;
    (void)self;
    if (!PyArg_ParseTuple(args, "ii|O", &flags, &release, &arg)) {
        return NULL;
    }
    PyObject *memory =
        pybuf_wrap(bytes, 1, &n, NULL, NULL, flags, releases[release], arg);
    PyErr_SetString(PyExc_KeyError, "on its way");
    Py_XDECREF(memory);
    return NULL;
}

/* One byte, whoever's it is by now: for the sanitizer. */
static PyObject *
f_peek(PyObject *self, PyObject *address)
{
    const volatile char *byte = (const volatile char *)PyLong_AsVoidPtr(address);
    (void)self;
    return PyErr_Occurred() ? NULL : PyLong_FromLong(*byte);
}

/* One more, in an int that may have no room for it: for the other sanitizer. */
static PyObject *
f_overflow(PyObject *self, PyObject *number)
{
    int n = (int)PyLong_AsLong(number);
    (void)self;
    return PyLong_FromLong(n + 1);
}

static PyObject *kept[8];

/* In a static variable until the process ends. */
static PyObject *
f_keep(PyObject *self, PyObject *args)
{
    int i;
    PyObject *obj;
    (void)self;
    if (!PyArg_ParseTuple(args, "iO", &i, &obj)) {
        return NULL;
    }
    Py_INCREF(obj);
    kept[i] = obj;
    Py_RETURN_NONE;
}

/* ---- the module -------------------------------------------------- */

static PyMethodDef functions[] = {
    {"wrap", f_wrap, METH_VARARGS, NULL},
    {"wrap_owned", f_wrap_owned, METH_VARARGS, NULL},
    {"memory", f_memory, METH_VARARGS, NULL},
    {"new", f_new, METH_VARARGS, NULL},
    {"pointers", f_pointers, METH_VARARGS, NULL},
    {"pointers_owned", f_pointers_owned, METH_VARARGS, NULL},
    {"rows", f_rows, METH_VARARGS, NULL},
    {"rows_new", f_rows_new, METH_VARARGS, NULL},
    {"rows_table", f_rows_table, METH_O, NULL},
    {"adopt", f_adopt, METH_VARARGS, NULL},
    {"lend", f_lend, METH_VARARGS, NULL},
    {"array", f_array, METH_O, NULL},
    {"check", f_check, METH_O, NULL},
    {"import_", f_import, METH_NOARGS, NULL},
    {"forget", f_forget, METH_NOARGS, NULL},
    {"loop", f_loop, METH_VARARGS, NULL},
    {"end_in_error", f_end_in_error, METH_VARARGS, NULL},
    {"peek", f_peek, METH_O, NULL},
    {"overflow", f_overflow, METH_O, NULL},
    {"keep", f_keep, METH_VARARGS, NULL},
    {"take_and_release", f_take_and_release, METH_O, NULL},
    {"delete_tensor", f_delete_tensor, METH_O, NULL},
    {"end_at_exit", f_end_at_exit, METH_VARARGS, NULL},
    {"calls", f_calls, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL}};

/* pybuf is not imported here: tests ask what happens then. */
static PyModuleDef_Slot slots[] = {{0, NULL}, {0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "every", NULL, 0, functions, slots, NULL, NULL,
    NULL};

PyMODINIT_FUNC
PyInit_every(void)
{
    if (Py_Version >= 0x030C0000) {
        slots[0].slot = 3; /* Py_mod_multiple_interpreters, */
        slots[0].value = (void *)2; /* each with its own GIL */
    }
    return PyModuleDef_Init(&definition);
}
