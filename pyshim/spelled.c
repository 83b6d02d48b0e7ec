/* spelled.c: element types by the formats that C code gives.
 *
 * What a format means is looked up as if Python had given it; but a dict wants
 * an object of Python's for each look, which takes as long as making an array.
 * So the last few are kept here, where they are C's text. */
#include "shim.h"

#include <stdlib.h>

static void
remember(Spelled *place, uint64_t key, const char *text, Element *e)
{
    char *kept = NULL;
    if ((key & SPELLED_LONG) != 0 && (kept = strdup(text)) == NULL) {
        return; /* and it is looked up again */
    }
    Spelled old = *place;
    *place = (Spelled){key, kept, (Element *)Py_NewRef(OBJECT(e))};
    free(old.text);
    Py_XDECREF(OBJECT(old.element));
}

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
        remember(&st->spelled[spelled_place(key)], key, text, e);
    }
    return e;
}

void
spelled_clear(State *st)
{
    for (int i = 0; i < SPELLED; i++) {
        Spelled old = st->spelled[i];
        st->spelled[i] = (Spelled){0, NULL, NULL};
        free(old.text);
        Py_XDECREF(OBJECT(old.element));
    }
}
