/* indirect_lines.c: one object as rows of two-dimensional memory: the lines of an
 * array, and ctypes arrays of pointers.
 *
 * Texts and order of the checks are those of the package indirect_buffer. */
#include "indirect.h"

#include <string.h>

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
    char *start = holder_data(h);
    for (Py_ssize_t i = 0; i < lines->rows; i++) {
        table[i] = none && lines->hop >= 0 ? memory_nowhere()
                                           : start + i * lines->step;
        if (lines->hop < 0 || none) {
            continue;
        }
        table[i] = pointer_at(table[i]);
        if (table[i] == NULL) {
            return tables_refuse_null("view_from_rows", &i, 1,
                                      "the buffer-object", true);
        }
        table[i] += lines->hop;
    }
    return 0;
}

static Buffer *
make_lines(State *st, Holder *h, Element *e, bool by_column, bool readonly)
{
    Lines lines;
    Layout l, theirs; /* the latter only to be judged */
    Memory mem;
    Py_ssize_t n;
    if (read_lines(&h->view, by_column, &lines) < 0 ||
        tables_layout_2d(&l, lines.rows, lines.columns, e->itemsize) < 0 ||
        layout_of_exporter(&theirs, &h->view, e->itemsize) < 0 ||
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
    Element *e = format_element(st, args[0], &h->view);
    Buffer *b = e == NULL ? NULL : make_lines(st, h, e, by_column, readonly);
    PyObject *result = format_with(b, view_format(&h->view));
    Py_XDECREF(OBJECT(e));
    Py_DECREF(OBJECT(h));
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
    const char *format = view_format(view);
    if (format[0] != '&' || format[1] == '&') {
        PyObject *text = PyBytes_FromString(format);
        if (text != NULL) {
            PyErr_Format(PyExc_BufferError, "wrong format: %R", text);
            Py_DECREF(text);
        }
        return -1;
    }
    int ctypes = address_is_ctypes(st, Py_TYPE(array));
    /* A __buffer__ of its own may give something else. */
    bool gaps = view->strides != NULL && view->ndim == 1 &&
                view->strides[0] != POINTER_SIZE;
    if (ctypes <= 0 || view->ndim != 1 || gaps ||
        view->itemsize != POINTER_SIZE) {
        return ctypes < 0 ? -1
                          : refuse(PyExc_TypeError, array,
                                   "ptr is {}; it must be a ctypes array of "
                                   "pointers, with one axis and without gaps");
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
    if (tables_layout_2d(&l, rows, columns, e->itemsize) < 0 ||
        tables_check(h->view.buf, &l, "from_ctype_ptr") < 0) {
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
    PyObject *result = format_with(b, view_format(&h->view) + 1);
    Py_XDECREF(OBJECT(e));
    Py_DECREF(OBJECT(h));
    return result;
}
