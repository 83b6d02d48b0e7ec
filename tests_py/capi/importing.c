/* importing.c: a module whose init function calls pybuf_import, as they should.
 * Tests compile it with other headers than the package's. */
#include <Python.h>
#include "pybuf.h"

static PyObject *
make(PyObject *self, PyObject *args)
{
    Py_ssize_t n = 3;
    (void)self;
    (void)args;
    return pybuf_new(1, &n, "d", 0, NULL);
}

static PyMethodDef functions[] = {{"make", make, METH_NOARGS, NULL},
                                  {NULL, NULL, 0, NULL}};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "importing", NULL, -1, functions, NULL, NULL, NULL,
    NULL};

PyMODINIT_FUNC
PyInit_importing(void)
{
    return pybuf_import() < 0 ? NULL : PyModule_Create(&definition);
}
