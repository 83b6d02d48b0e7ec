/* numpy_api.c: where NumPy's function table is.
 *
 * NumPy is found at run time and is no dependency, neither of the build nor
 * of the wheel: the table is in a capsule. */
#include "shim.h"

typedef unsigned int (*GetCVersion)(void);

static PyObject *
import_capsule(void)
{
    /* NumPy 2 has an underscore where NumPy 1 had none. */
    PyObject *module = PyImport_ImportModule("numpy._core._multiarray_umath");
    if (module == NULL && PyErr_ExceptionMatches(PyExc_ModuleNotFoundError)) {
        PyErr_Clear();
        module = PyImport_ImportModule("numpy.core._multiarray_umath");
    }
    if (module == NULL) {
        return NULL;
    }
    PyObject *capsule = PyObject_GetAttrString(module, "_ARRAY_API");
    Py_DECREF(module);
    return capsule;
}

int
numpy_find(State *st)
{
    if (st->numpy_api != NULL || st->numpy_unknown) {
        return 0;
    }
    PyObject *capsule = import_capsule();
    if (capsule == NULL) {
        if (PyErr_ExceptionMatches(PyExc_ModuleNotFoundError)) {
            PyErr_Clear();
            PyErr_SetString(PyExc_ModuleNotFoundError,
                            "an ndarray needs NumPy, which cannot be imported: "
                            "install it, or use memoryview()");
        }
        return -1;
    }
    void **api = PyCapsule_GetPointer(capsule, NULL);
    Py_DECREF(capsule);
    if (api == NULL) {
        return -1;
    }
    unsigned int major = ((GetCVersion)api[NPY_GET_C_VERSION])() >> 24;
    if (major == 1 || major == 2) {
        st->numpy_api = api;
    }
    else {
        st->numpy_unknown = true;
    }
    return 0;
}
