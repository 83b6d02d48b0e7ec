/* refuse.c: error messages about an argument, whatever it is.
 *
 * %R is not enough: a repr may be a million characters long (an array given
 * where its shape belongs), may raise, and an int may have more digits than
 * Python prints. */
#include "shim.h"

#include <stdarg.h>

#define SHOWN_MAX 120 /* characters */

static PyObject *
without_repr(PyObject *obj)
{
    if (PyLong_Check(obj)) {
        PyObject *bits = PyObject_CallMethod(obj, "bit_length", NULL);
        PyObject *text =
            bits == NULL ? NULL : PyUnicode_FromFormat("an int of %S bits", bits);
        Py_XDECREF(bits);
        return text;
    }
    PyObject *name = PyType_GetName(Py_TYPE(obj));
    PyObject *text =
        name == NULL ? NULL : PyUnicode_FromFormat("a %U object", name);
    Py_XDECREF(name);
    return text;
}

/* The object as a sentence shows it. Owned; NULL only when memory is out or
 * the user wants to stop. */
static PyObject *
shown(PyObject *obj)
{
    PyObject *text = PyObject_Repr(obj);
    if (text == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_Exception)) {
            return NULL;
        }
        PyErr_Clear();
        return without_repr(obj);
    }
    Py_ssize_t length = PyUnicode_GetLength(text);
    if (length > SHOWN_MAX) {
        PyObject *start = PyUnicode_Substring(text, 0, SHOWN_MAX);
        Py_DECREF(text);
        text = start == NULL ? NULL : PyUnicode_FromFormat("%U...", start);
        Py_XDECREF(start);
    }
    return text;
}

int
refuse(PyObject *type, PyObject *obj, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *sentence = PyUnicode_FromFormatV(format, args);
    va_end(args);
    PyObject *object = sentence == NULL ? NULL : shown(obj);
    PyObject *place = object == NULL ? NULL : PyUnicode_FromString("{}");
    PyObject *whole =
        place == NULL ? NULL : PyUnicode_Replace(sentence, place, object, 1);
    if (whole != NULL) {
        PyErr_SetObject(type, whole);
    }
    Py_XDECREF(sentence);
    Py_XDECREF(object);
    Py_XDECREF(place);
    Py_XDECREF(whole);
    return -1;
}

void
refuse_note(const char *format, ...)
{
    Pending error = pending_save();
    va_list args;
    va_start(args, format);
    PyObject *note = PyUnicode_FromFormatV(format, args);
    va_end(args);
    pending_normalize(&error);
    PyObject *done =
        note == NULL ? NULL
                     : PyObject_CallMethod(error.value, "add_note", "O", note);
    Py_XDECREF(done);
    Py_XDECREF(note);
    pending_restore(error); /* in place of one of its own */
}
