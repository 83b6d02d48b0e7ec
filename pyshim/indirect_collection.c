/* indirect_collection.c: many objects as the rows of two-dimensional memory. Texts
 * and order of the checks are those of the package indirect_buffer. */
#include "indirect.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    State *st;
    PyObject *holders; /* owned: a list, which nobody else sees */
    Py_ssize_t columns; /* -1: as many as the first one has */
    PyObject *format;  /* owned: bytes, or NULL: as the first one has it */
    Element *element;  /* owned, NULL before the first one */
    PyTypeObject *type; /* of the first one; owned, or NULL */
    bool unravel, readonly;
} Collection;

static int
refuse_format(const Collection *c, Py_ssize_t i, PyObject *found)
{
    PyErr_Format(PyExc_BufferError,
                 "%zd. object, expected format: [%R], found format: [%R]", i,
                 c->format, found);
    return -1;
}

static int
check_format(Collection *c, Py_ssize_t i, PyObject *obj, const Py_buffer *view)
{
    bool same = c->format == NULL ||
                strcmp(PyBytes_AsString(c->format), view_format(view)) == 0;
    if (!same || c->format == NULL) {
        PyObject *found = PyBytes_FromString(view_format(view));
        if (found == NULL) {
            return -1;
        }
        if (!same) {
            refuse_format(c, i, found);
            Py_DECREF(found);
            return -1;
        }
        c->format = found;
    }
    if (c->type == Py_TYPE(obj) && c->element->itemsize == view->itemsize &&
        format_says_all(view_format(view))) {
        return 0;
    }
    Element *e = format_element(c->st, obj, view);
    if (e == NULL) {
        return -1;
    }
    if (c->element == NULL) {
        c->element = e;
        c->type = (PyTypeObject *)Py_NewRef(OBJECT(Py_TYPE(obj)));
        return 0;
    }
    same = element_is_same(e, c->element);
    if (!same) {
        PyErr_Format(PyExc_BufferError,
                     "%zd. object, expected items: '%s' of %zd bytes, found "
                     "items: '%s' of %zd bytes",
                     i, c->element->format, c->element->itemsize, e->format,
                     e->itemsize);
    }
    Py_DECREF(OBJECT(e));
    return same ? 0 : -1;
}

static int
add_object(Collection *c, Py_ssize_t i, PyObject *obj)
{
    if (!PyObject_CheckBuffer(obj)) {
        return refuse(PyExc_TypeError, obj,
                      "%zd. object is {}, which has no buffer protocol; a row is "
                      "an array, a Buffer, a bytearray or another exporter",
                      i);
    }
    Holder *h = holder_new(c->st, obj, PyBUF_ANY_CONTIGUOUS | PyBUF_FORMAT);
    if (h == NULL) {
        return -1;
    }
    int failed = PyList_Append(c->holders, OBJECT(h));
    Py_DECREF(OBJECT(h)); /* the list has it */
    if (failed) {
        return -1;
    }
    const Py_buffer *view = &h->view;
    if (!c->unravel && view->ndim != 1) {
        PyErr_Format(PyExc_BufferError,
                     "%zd. object has dimensionality: %d, but only "
                     "one-dimensional objects are accepted",
                     i, view->ndim);
        return -1;
    }
    if (check_format(c, i, obj, view) < 0) {
        return -1;
    }
    Py_ssize_t columns = view->len / view->itemsize;
    if (c->columns < 0) {
        c->columns = columns;
    }
    if (columns != c->columns) {
        PyErr_Format(PyExc_BufferError,
                     "%zd. object, expected column count: %zd, found column "
                     "count: %zd",
                     i, c->columns, columns);
        return -1;
    }
    c->readonly |= view->readonly;
    if (holder_is_nowhere(h)) {
        char name[48];
        snprintf(name, sizeof name, "%zd. object", i);
        return holder_refuse_nowhere(h, "", name);
    }
    return 0;
}

static int
add_objects(Collection *c, PyObject *rows)
{
    PyObject *iterator = PyObject_GetIter(rows);
    PyObject *obj;
    int failed = iterator == NULL;
    for (Py_ssize_t i = 0;
         !failed && (obj = PyIter_Next(iterator)) != NULL; i++) {
        failed = add_object(c, i, obj) < 0;
        Py_DECREF(obj);
    }
    Py_XDECREF(iterator);
    return failed || PyErr_Occurred() ? -1 : 0;
}

/* Without objects the caller says what they would be. */
static int
settle_empty(Collection *c)
{
    if (c->element != NULL) {
        return 0;
    }
    if (c->format == NULL) {
        PyErr_SetString(PyExc_ValueError,
                        "the collection is empty, so nothing says its format: "
                        "give format=, and column_count= unless it is 0");
        return -1;
    }
    c->element = format_read(c->st, c->format);
    if (c->columns < 0) {
        c->columns = 0;
    }
    return c->element == NULL ? -1 : 0;
}

static Buffer *
make_collection(Collection *c)
{
    Layout l;
    Memory mem;
    Py_ssize_t n = PyList_Size(c->holders);
    if (tables_layout_2d(&l, n, c->columns, c->element->itemsize) < 0 ||
        tables_new(&mem, n) < 0) {
        return NULL;
    }
    PyObject *holders = PyList_AsTuple(c->holders);
    if (holders == NULL) {
        memory_release(&mem);
        return NULL;
    }
    char **table = (char **)mem.data;
    for (Py_ssize_t i = 0; i < n; i++) {
        table[i] = holder_data((Holder *)PyTuple_GetItem(holders, i));
    }
    return tables_buffer(c->st, c->element, &l, &mem, holders, c->readonly);
}

static int
read_columns(PyObject *arg, Py_ssize_t *columns)
{
    if (args_ssize(arg, "column_count", columns) < 0) {
        return -1;
    }
    if (*columns < -1) {
        PyErr_Format(PyExc_ValueError,
                     "column_count is %zd; it counts the items of a row, or is "
                     "-1 for as many as the first one has",
                     *columns);
        return -1;
    }
    return 0;
}

/* (rows, column_count, format, unravel) */
PyObject *
indirect_collection(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Collection c = {.st = state_of_module(module)};
    if (takes(nargs, 4) < 0 || read_columns(args[1], &c.columns) < 0 ||
        args_bool(args[3], &c.unravel) < 0 ||
        (args[2] != Py_None && (c.format = format_bytes(args[2])) == NULL)) {
        return NULL;
    }
    c.holders = PyList_New(0);
    if (c.holders != NULL) {
        PyObject_GC_UnTrack(c.holders); /* so that nobody finds it */
    }
    Buffer *b = c.holders == NULL || add_objects(&c, args[0]) < 0 ||
                        settle_empty(&c) < 0
                    ? NULL
                    : make_collection(&c);
    PyObject *result =
        format_with(b, c.format == NULL ? "" : PyBytes_AsString(c.format));
    Py_XDECREF(c.holders);
    Py_XDECREF(c.format);
    Py_XDECREF(OBJECT(c.element));
    Py_XDECREF(OBJECT(c.type));
    return result;
}
