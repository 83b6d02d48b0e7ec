/* door_interface.c: __array_interface__, version 3.
 *
 * Reading it hands out the address, so it counts as lent; who reads it keeps
 * the object, as NumPy does. It is here although NumPy asks the buffer
 * protocol first: NumPy clears that one's error, and a closed Buffer must be
 * refused in words and not become an array of one object. */
#include "shim.h"

/* What typestr does not say of a record, where NumPy is there to say it: only
 * NumPy reads it. */
static int
add_descr(State *st, Element *e, PyObject *interface)
{
    PyObject *dtype = element_descr(st, e);
    PyObject *descr =
        dtype == NULL ? NULL : PyObject_GetAttrString(dtype, "descr");
    Py_XDECREF(dtype);
    if (descr == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_ImportError)) {
            return -1;
        }
        PyErr_Clear();
        return 0;
    }
    int failed = PyDict_SetItemString(interface, "descr", descr);
    Py_DECREF(descr);
    return failed;
}

PyObject *
door_interface(PyObject *self, void *Py_UNUSED(unused))
{
    Buffer *b = (Buffer *)self;
    if (buffer_open(b) < 0) {
        return NULL;
    }
    if (b->suboffsets != NULL) {
        PyErr_SetString(PyExc_BufferError,
                        "the memory is indirect (it has suboffsets), which "
                        "the array interface cannot say");
        return NULL;
    }
    /* The address first: what is lent stays where and as it is, whatever the
     * collector runs when tuples are made. */
    PyObject *address = buffer_address(b);
    PyObject *shape = tuple_of_dims(b->shape, b->ndim);
    PyObject *strides = tuple_of_dims(b->strides, b->ndim);
    PyObject *result = NULL;
    if (shape != NULL && strides != NULL && address != NULL) {
        result = Py_BuildValue("{s:i,s:s,s:O,s:O,s:(OO)}", "version", 3,
                               "typestr", b->element->typestr, "shape", shape,
                               "strides", strides, "data", address,
                               b->readonly ? Py_True : Py_False);
    }
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    Py_XDECREF(address);
    if (result != NULL && b->element->structured &&
        add_descr(state_of(self), b->element, result) < 0) {
        Py_CLEAR(result);
    }
    return result;
}
