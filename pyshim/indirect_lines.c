/* indirect_lines.c: exporters as rows of two-dimensional memory: the lines of one
 * object, a collection of objects, a ctypes array of pointers.
 *
 * Texts and order of the checks are those of the package indirect_buffer. */
#include "indirect.h"

#include <string.h>

static const char *
format_of(const Py_buffer *view)
{
    return view->format == NULL ? "B" : view->format;
}

static int
takes(Py_ssize_t nargs, Py_ssize_t wanted)
{
    if (nargs != wanted) {
        PyErr_Format(PyExc_TypeError, "%zd arguments were given, %zd are needed",
                     nargs, wanted);
        return -1;
    }
    return 0;
}

static int
exports(PyObject *obj, const char *what)
{
    return PyObject_CheckBuffer(obj)
               ? 0
               : refuse(PyExc_TypeError, obj,
                        "%s is {}, which has no buffer protocol; give an array, "
                        "a Buffer, a bytearray or another exporter",
                        what);
}

/* The items of an export, one at each place. Owned. */
static Element *
element_of(State *st, PyObject *obj, const Py_buffer *view)
{
    Element *e = element_of_exporter(st, obj, format_of(view), view->itemsize);
    if (e != NULL && format_is_one_item(e) < 0) {
        Py_CLEAR(e);
    }
    return e;
}

/* What IndirectMemory2D takes: (Buffer, format). Takes the reference to the
 * Buffer, which may be NULL. */
static PyObject *
with_format(Buffer *b, const char *format)
{
    return b == NULL ? NULL : Py_BuildValue("(Ny)", b, format);
}

static int
layout_2d(Layout *l, Py_ssize_t rows, Py_ssize_t columns, Py_ssize_t itemsize)
{
    l->ndim = 2;
    l->shape[0] = rows;
    l->shape[1] = columns;
    return tables_layout(l, itemsize, 1);
}

/* ---- the rows or columns of one object ---------------------------------------------- */

/* Which axes of a view are walked from row to row, and along a row. */
typedef struct {
    Py_ssize_t rows, columns;
    Py_ssize_t step; /* bytes from one row to the next */
    Py_ssize_t hop;  /* suboffset of that axis: its pointers are read; or -1 */
} Lines;

static int
read_lines(const Py_buffer *view, bool by_column, Lines *lines)
{
    Layout l;
    if (view->ndim > 2) {
        PyErr_Format(PyExc_BufferError,
                     "expected at most 2 but found %d dimensions", view->ndim);
        return -1;
    }
    if (layout_of_view(&l, view) < 0) {
        return -1;
    }
    bool strided = view->ndim > 0 && view->strides != NULL;
    Py_ssize_t along = view->itemsize;
    *lines = (Lines){.rows = 1, .columns = 1, .hop = -1};
    int inner = by_column ? 0 : l.ndim - 1; /* the one that is a row here */
    if (l.ndim == 2) {
        int outer = 1 - inner;
        lines->rows = l.shape[outer];
        lines->step = strided ? view->strides[outer]
                      : outer == 0 ? l.shape[1] * view->itemsize
                                   : view->itemsize;
        lines->hop = view->suboffsets == NULL ? -1 : view->suboffsets[outer];
    }
    if (l.ndim > 0) {
        lines->columns = l.shape[inner];
        along = strided ? view->strides[inner]
                : l.ndim == 2 && inner == 0 ? l.shape[1] * view->itemsize
                                            : view->itemsize;
    }
    bool apart = view->suboffsets != NULL && l.ndim > 0 &&
                 (view->suboffsets[inner] >= 0 ||
                  (lines->hop >= 0 && by_column));
    if (apart || (along != view->itemsize && lines->columns > 1)) {
        PyErr_Format(PyExc_BufferError,
                     "%s of the buffer-object aren't contiguous",
                     by_column ? "columns" : "rows");
        return -1;
    }
    return 0;
}

static int
fill_lines(Memory *mem, const Lines *lines, const Holder *h, bool none)
{
    char **table = (char **)mem->data;
    char *start = h->view.buf == NULL ? memory_nowhere() : h->view.buf;
    for (Py_ssize_t i = 0; i < lines->rows; i++) {
        table[i] = none && lines->hop >= 0 ? memory_nowhere()
                                           : start + i * lines->step;
        if (lines->hop < 0 || none) {
            continue;
        }
        memcpy(&table[i], table[i], sizeof table[i]);
        if (table[i] == NULL) {
            PyErr_Format(PyExc_ValueError,
                         "row %zd of the buffer-object is NULL", i);
            return -1;
        }
        table[i] += lines->hop;
    }
    return 0;
}

static Buffer *
make_lines(State *st, Holder *h, Element *e, bool by_column, bool readonly)
{
    Lines lines;
    Layout l;
    Memory mem;
    Py_ssize_t n;
    if (read_lines(&h->view, by_column, &lines) < 0 ||
        layout_2d(&l, lines.rows, lines.columns, e->itemsize) < 0 ||
        holder_address(h, "the buffer-object") == NULL ||
        tables_count(&l, 0, &n) < 0 || tables_new(&mem, n) < 0) {
        return NULL;
    }
    if (fill_lines(&mem, &lines, h, l.nbytes == 0) < 0) {
        memory_release(&mem);
        return NULL;
    }
    return tables_buffer(st, e, &l, &mem, Py_NewRef(OBJECT(h)),
                         readonly || h->view.readonly);
}

/* (obj, by_column, readonly) */
PyObject *
indirect_lines(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *st = state_of_module(module);
    bool by_column = false, readonly = false;
    if (takes(nargs, 3) < 0 || args_bool(args[1], &by_column) < 0 ||
        args_bool(args[2], &readonly) < 0 || exports(args[0], "array2d") < 0) {
        return NULL;
    }
    Holder *h = holder_new(st, args[0], readonly ? PyBUF_FULL_RO : PyBUF_FULL);
    if (h == NULL) {
        return NULL;
    }
    Element *e = element_of(st, args[0], &h->view);
    Buffer *b = e == NULL ? NULL : make_lines(st, h, e, by_column, readonly);
    PyObject *result = with_format(b, format_of(&h->view));
    Py_XDECREF(OBJECT(e));
    Py_DECREF(OBJECT(h));
    return result;
}

/* ---- a collection of objects ------------------------------------------------------------ */

typedef struct {
    State *st;
    PyObject *holders; /* owned: a list, which nobody else sees */
    Py_ssize_t columns; /* -1: as many as the first one has */
    PyObject *format;  /* owned: bytes, or NULL: as the first one has it */
    Element *element;  /* owned, NULL before the first one */
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
                strcmp(PyBytes_AsString(c->format), format_of(view)) == 0;
    if (!same || c->format == NULL) {
        PyObject *found = PyBytes_FromString(format_of(view));
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
    /* Of records the text does not say all. */
    if (c->element != NULL && format_of(view)[0] != 'T' &&
        c->element->itemsize == view->itemsize) {
        return 0;
    }
    Element *e = element_of(c->st, obj, view);
    if (e == NULL) {
        return -1;
    }
    if (c->element == NULL) {
        c->element = e;
        return 0;
    }
    same = e->itemsize == c->element->itemsize &&
           strcmp(e->format, c->element->format) == 0;
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
    return holder_address(h, "an object") == NULL ? -1 : 0;
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
    PyObject *text = PyUnicode_DecodeUTF8(PyBytes_AsString(c->format),
                                          PyBytes_Size(c->format), "replace");
    c->element = text == NULL ? NULL : element_from_dtype(c->st, text);
    Py_XDECREF(text);
    if (c->columns < 0) {
        c->columns = 0;
    }
    return c->element == NULL ? -1 : format_is_one_item(c->element);
}

static Buffer *
make_collection(Collection *c)
{
    Layout l;
    Memory mem;
    Py_ssize_t n = PyList_Size(c->holders);
    if (layout_2d(&l, n, c->columns, c->element->itemsize) < 0 ||
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
        char *row = ((Holder *)PyTuple_GetItem(holders, i))->view.buf;
        table[i] = row == NULL ? memory_nowhere() : row;
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
    Buffer *b = c.holders == NULL || add_objects(&c, args[0]) < 0 ||
                        settle_empty(&c) < 0
                    ? NULL
                    : make_collection(&c);
    PyObject *result =
        with_format(b, c.format == NULL ? "" : PyBytes_AsString(c.format));
    Aside aside = aside_put(); /* exporters may run Python */
    Py_XDECREF(c.holders);
    Py_XDECREF(c.format);
    Py_XDECREF(OBJECT(c.element));
    aside_return(aside);
    return result;
}

/* ---- a ctypes array of pointers ---------------------------------------------------------------- */

/* What the pointers point to. Owned. */
static Element *
pointee(State *st, PyObject *array)
{
    PyObject *pointer = PyObject_GetAttrString(array, "_type_");
    PyObject *type =
        pointer == NULL ? NULL : PyObject_GetAttrString(pointer, "_type_");
    Element *e = type == NULL ? NULL : element_from_ctypes(st, type, false);
    Py_XDECREF(type);
    Py_XDECREF(pointer);
    if (e != NULL && format_is_one_item(e) < 0) {
        Py_CLEAR(e);
    }
    return e;
}

static int
check_pointers(State *st, PyObject *array, const Py_buffer *view,
               Py_ssize_t rows)
{
    const char *format = format_of(view);
    if (format[0] != '&' || format[1] == '&') {
        PyObject *text = PyBytes_FromString(format);
        if (text != NULL) {
            PyErr_Format(PyExc_BufferError, "wrong format: %R", text);
            Py_DECREF(text);
        }
        return -1;
    }
    int ctypes = address_is_ctypes(st, Py_TYPE(array));
    if (ctypes <= 0 || view->ndim != 1) {
        return ctypes < 0 ? -1
                          : refuse(PyExc_TypeError, array,
                                   "ptr is {}; it must be a ctypes array of "
                                   "pointers, with one axis");
    }
    Py_ssize_t have = view->len / view->itemsize;
    if (have < rows) {
        PyErr_Format(PyExc_BufferError,
                     "less rows than expected: %zd vs. %zd", have, rows);
        return -1;
    }
    return 0;
}

/* The table is the array itself: who changes it changes the memory's rows. */
static Buffer *
make_ctypes(State *st, Holder *h, Element *e, Py_ssize_t rows,
            Py_ssize_t columns, bool readonly)
{
    Layout l;
    if (layout_2d(&l, rows, columns, e->itemsize) < 0 ||
        tables_check(h->view.buf, &l, "from_ctype_ptr()") < 0) {
        return NULL;
    }
    Memory mem = {
        .data = h->view.buf,
        .block = h->view.buf,
        .block_size = l.high - l.low,
        .source = SOURCE_FOREIGN,
        .release = RELEASE_NOTHING,
    };
    return tables_buffer(st, e, &l, &mem, Py_NewRef(OBJECT(h)), readonly);
}

/* (array, rows, columns, readonly) */
PyObject *
indirect_ctypes(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *st = state_of_module(module);
    Py_ssize_t rows, columns;
    bool readonly = false;
    if (takes(nargs, 4) < 0 || args_ssize(args[1], "rows", &rows) < 0 ||
        args_ssize(args[2], "cols", &columns) < 0 ||
        args_bool(args[3], &readonly) < 0 || exports(args[0], "ptr") < 0) {
        return NULL;
    }
    Holder *h = holder_new(st, args[0], PyBUF_FULL_RO);
    if (h == NULL) {
        return NULL;
    }
    Element *e = check_pointers(st, args[0], &h->view, rows) < 0
                     ? NULL
                     : pointee(st, args[0]);
    Buffer *b =
        e == NULL ? NULL : make_ctypes(st, h, e, rows, columns, readonly);
    PyObject *result = with_format(b, format_of(&h->view) + 1);
    Py_XDECREF(OBJECT(e));
    Py_DECREF(OBJECT(h));
    return result;
}
