/* indirect.h: what the files of pybuf.indirect share; see each for its
 * concern. Conventions are those of shim.h. */
#ifndef PYBUF_INDIRECT_H
#define PYBUF_INDIRECT_H

#include "shim.h"

#define POINTER_SIZE ((Py_ssize_t)sizeof(char *))

/* Of a private function with arguments by position. */
static inline int
takes(Py_ssize_t nargs, Py_ssize_t wanted)
{
    if (nargs != wanted) {
        PyErr_Format(PyExc_TypeError, "%zd arguments were given, %zd are needed",
                     nargs, wanted);
        return -1;
    }
    return 0;
}

/* ---- holder.c: an export that is held --------------------------------------- */

typedef struct {
    PyObject_HEAD
    Py_buffer view; /* filled here, where its own pointers may lead to */
} Holder;

extern PyType_Spec holder_spec;
/* Holds one export of obj; `flags` are those of the request. What the exporter
 * raises passes through. */
Holder *holder_new(State *st, PyObject *obj, int flags);
/* Whether the exporter gives no address for items that it has; and the ValueError
 * for that, which begins with the prefix and calls it `row`. Returns -1. */
static inline bool
holder_is_nowhere(const Holder *h)
{
    return h->view.buf == NULL && h->view.len > 0;
}
int holder_refuse_nowhere(const Holder *h, const char *prefix, const char *row);
/* Where its item with all indices 0 lies, if it has any. Never NULL. */
static inline char *
holder_data(const Holder *h)
{
    return h->view.buf == NULL ? memory_nowhere() : h->view.buf;
}

/* ---- indirect_make.c: tables of pointers ------------------------------------- */

/* Strides and suboffsets for a shape whose first `levels` axes read pointers and
 * whose others are packed in C order, as Go judges it. */
int tables_layout(Layout *l, Py_ssize_t itemsize, int levels);
/* The same for rows of two-dimensional memory. */
int tables_layout_2d(Layout *l, Py_ssize_t rows, Py_ssize_t columns,
                     Py_ssize_t itemsize);
/* The pointers that an axis in such a layout reads, all its tables together. An
 * OverflowError if they are more bytes than a number counts. */
int tables_count(const Layout *l, int axis, Py_ssize_t *n);
/* Memory for `n` pointers to memory of others: its source is "foreign". */
int tables_new(Memory *mem, Py_ssize_t n);
/* Links the tables of the axes before the last of `levels`, which lie one behind
 * the other from `start` on, each to the next; returns where those of the last
 * begin. */
char **tables_link(char *start, const Layout *l, int levels);
/* A Buffer over `mem`, which it takes over together with the reference to owner;
 * also if it fails. */
Buffer *tables_buffer(State *st, Element *e, const Layout *l, Memory *mem,
                      PyObject *owner, bool readonly);

PyObject *indirect_pointers(PyObject *module, PyObject *const *args,
                            Py_ssize_t nargs, PyObject *kwnames);
PyObject *indirect_zeros(PyObject *module, PyObject *const *args,
                         Py_ssize_t nargs, PyObject *kwnames);

/* ---- indirect_leaves.c: the exporters that rows() is given ----------------------- */

typedef struct {
    State *st;
    int flags; /* of the requests */
    int depth; /* of the lists */
    Py_ssize_t counts[PYBUF_MAX_NDIM]; /* of each list at this depth */
    Py_ssize_t index[PYBUF_MAX_NDIM];  /* of the leaf at hand */
    PyObject *holders; /* owned: a tuple, which nobody else sees */
    Py_ssize_t total, held;
    bool readonly; /* one of them is */
    /* Of the first leaf: */
    Element *element; /* owned */
    PyTypeObject *type; /* owned */
    bool plain; /* its format says all of it */
    Layout leaf;
} Rows;

static inline Py_ssize_t
rows_suboffset(const Layout *l, int axis)
{
    return layout_reads_pointers(l, axis) ? l->suboffsets[axis] : -1;
}

/* Holds all leaves of seq, with st and flags given and the rest zeroed. What is
 * owned is the caller's to drop, also if it fails. */
int rows_collect(Rows *r, PyObject *seq);

/* ---- indirect_rows.c ------------------------------------------------------------ */

PyObject *indirect_rows(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames);

/* ---- indirect_lines.c, indirect_collection.c ------------------------------------- */

/* Each gives (Buffer, format): what IndirectMemory2D takes. */
PyObject *indirect_lines(PyObject *module, PyObject *const *args,
                         Py_ssize_t nargs);
PyObject *indirect_collection(PyObject *module, PyObject *const *args,
                              Py_ssize_t nargs);
PyObject *indirect_ctypes(PyObject *module, PyObject *const *args,
                          Py_ssize_t nargs);

/* ---- indirect_format.c ------------------------------------------------------------ */

static inline const char *
view_format(const Py_buffer *view)
{
    return view->format == NULL ? "B" : view->format;
}

/* Whether exporters of one Python type with this format have items of one type: of
 * records ctypes and NumPy leave something out, and of ctypes' characters a
 * memoryview does. */
bool format_says_all(const char *format);
/* A format that may be a str or bytes, as bytes. Owned. */
PyObject *format_bytes(PyObject *format);
/* The text that views carry of an element: what was given, if an exporter may say
 * so and means the same by it; else our own. Bytes, owned. */
PyObject *format_spelled(State *st, const Element *e, PyObject *given);
/* TypeError if an item of this type is several; of what those are made of. */
int format_is_one_item(const Element *e);
int format_refuse(const Element *base);
/* The items that a format given as bytes means, one at each place. Owned. */
Element *format_read(State *st, PyObject *format);
/* The items of an export, likewise. */
Element *format_element(State *st, PyObject *obj, const Py_buffer *view);
/* (Buffer, format). Takes the reference to the Buffer, which may be NULL. */
PyObject *format_with(Buffer *b, const char *format);

/* ---- indirect.c: the base of IndirectMemory2D ------------------------------------ */

typedef struct {
    PyObject_HEAD
    Buffer *buffer;   /* owned */
    PyObject *format; /* owned: bytes, which views point into */
    PyObject *weakrefs;
} Memory2D;

static inline Buffer *
memory2d_buffer(PyObject *self)
{
    return ((Memory2D *)self)->buffer;
}

extern PyType_Spec indirect_spec;
PyObject *indirect_over(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs);

/* ---- indirect_copy.c -------------------------------------------------------------- */

PyObject *memory2d_copy_from(PyObject *self, PyObject *const *args,
                             Py_ssize_t nargs, PyObject *kwnames);
PyObject *memory2d_copy_to(PyObject *self, PyObject *const *args,
                           Py_ssize_t nargs, PyObject *kwnames);

/* ---- functions.c ------------------------------------------------------------------ */

/* Those of the module pybuf.indirect. */
extern PyMethodDef indirect_functions[];

#endif
