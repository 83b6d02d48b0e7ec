/* indirect_format.c: formats as they were spelled, which two-dimensional memory
 * keeps. */
#include "indirect.h"

#include <string.h>

bool
format_says_all(const char *format)
{
    return format[0] != 'T' &&
           strcmp(format[0] == '\0' ? "" : format + 1, "u") != 0;
}

PyObject *
format_bytes(PyObject *format)
{
    PyObject *text = NULL;
    if (PyBytes_CheckExact(format)) {
        text = Py_NewRef(format);
    }
    else if (PyBytes_Check(format)) { /* which may be in a cycle, we are not */
        text = PyBytes_FromStringAndSize(PyBytes_AsString(format),
                                         PyBytes_Size(format));
    }
    else if (PyUnicode_Check(format)) {
        text = PyUnicode_AsUTF8String(format);
    }
    if (text != NULL &&
        strlen(PyBytes_AsString(text)) == (size_t)PyBytes_Size(text)) {
        return text;
    }
    if (text != NULL || PyErr_Occurred()) {
        if (text != NULL) {
            refuse(PyExc_ValueError, format,
                   "the format is {}, which has a NUL in it");
            Py_DECREF(text);
        }
        return NULL;
    }
    refuse(PyExc_TypeError, format,
           "the format is {}; it must be a str or bytes, as the module struct "
           "has it");
    return NULL;
}

int
format_refuse(const Element *e)
{
    PyErr_Format(PyExc_TypeError,
                 "items of this format are sub-arrays of '%s': two-dimensional "
                 "memory has rows and columns, and one item at each place; "
                 "pybuf.indirect.zeros(), pointers() and rows() have any number "
                 "of axes",
                 e->format);
    return -1;
}

int
format_is_one_item(const Element *e)
{
    if (e->base == NULL) {
        return 0;
    }
    return format_refuse(e->base);
}

PyObject *
format_spelled(State *st, const Element *e, PyObject *given)
{
    if (PyBytes_Check(given) || PyUnicode_Check(given)) {
        PyObject *text = format_bytes(given);
        Element *read = text == NULL ? NULL
                                     : element_from_format(
                                           st, PyBytes_AsString(text),
                                           e->itemsize);
        bool same = read != NULL && read->base == NULL &&
                    strcmp(read->format, e->format) == 0;
        Py_XDECREF(OBJECT(read));
        if (same) {
            return text;
        }
        Py_XDECREF(text);
        if (PyErr_Occurred()) {
            if (!PyErr_ExceptionMatches(PyExc_ValueError) &&
                !PyErr_ExceptionMatches(PyExc_TypeError)) {
                return NULL;
            }
            PyErr_Clear();
        }
    }
    return PyBytes_FromString(e->format);
}

Element *
format_element(State *st, PyObject *obj, const Py_buffer *view)
{
    Element *e =
        element_of_exporter(st, obj, view_format(view), view->itemsize);
    if (e != NULL && format_is_one_item(e) < 0) {
        Py_CLEAR(e);
    }
    return e;
}

PyObject *
format_with(Buffer *b, const char *format)
{
    return b == NULL ? NULL : Py_BuildValue("(Ny)", b, format);
}

Element *
format_read(State *st, PyObject *format)
{
    PyObject *text = PyUnicode_DecodeUTF8(PyBytes_AsString(format),
                                          PyBytes_Size(format), "replace");
    Element *e = text == NULL ? NULL : element_from_dtype(st, text);
    Py_XDECREF(text);
    if (e != NULL && format_is_one_item(e) < 0) {
        Py_CLEAR(e);
    }
    return e;
}
