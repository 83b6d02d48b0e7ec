/* spelled.c: element types by the formats that C code gives.
 *
 * What a format means is looked up as if Python had given it; but a dict wants
 * an object of Python's for each look, which takes as long as making an array.
 * So the last few short ones are kept here, where they are numbers. */
#include "shim.h"

#include <string.h>

Element *
element_spelled(State *st, const char *format)
{
    Element *e = element_spelled_lately(st, format);
    if (e != NULL) {
        return (Element *)Py_NewRef(OBJECT(e));
    }
    const char *text = format == NULL ? "B" : format;
    PyObject *spelling = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text),
                                              "backslashreplace");
    e = spelling == NULL ? NULL : element_from_dtype(st, spelling);
    Py_XDECREF(spelling);
    uint64_t key = spelled_key(text);
    if (e != NULL && key != 0) {
        Spelled *place = &st->spelled[spelled_place(key)];
        Element *old = place->element;
        place->key = key;
        place->element = (Element *)Py_NewRef(OBJECT(e));
        Py_XDECREF(OBJECT(old));
    }
    return e;
}
