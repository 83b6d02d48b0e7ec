/* indirect.h: what the files of pybuf.indirect share; see each for its
 * concern. Conventions are those of shim.h. */
#ifndef PYBUF_INDIRECT_H
#define PYBUF_INDIRECT_H

#include "shim.h"

#define POINTER_SIZE ((Py_ssize_t)sizeof(char *))

/* ---- holder.c: an export that is held --------------------------------------- */

typedef struct {
    PyObject_HEAD
    Py_buffer view; /* filled here, where its own pointers may lead to */
} Holder;

extern PyType_Spec holder_spec;
/* Holds one export of obj; `flags` are those of the request. What the exporter
 * raises passes through. */
Holder *holder_new(State *st, PyObject *obj, int flags);
/* Where its item with all indices 0 lies. NULL with a ValueError if the exporter
 * gives no address for items that it has; `row` names it. */
char *holder_address(const Holder *h, const char *row);

/* ---- indirect_make.c: tables of pointers ------------------------------------- */

/* Strides and suboffsets for a shape whose first `levels` axes read pointers and
 * whose others are packed in C order, as Go judges it. */
int tables_layout(Layout *l, Py_ssize_t itemsize, int levels);
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

/* ---- indirect_rows.c ------------------------------------------------------------ */

PyObject *indirect_rows(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames);

/* ---- indirect_lines.c: exporters as rows of two dimensions ---------------------- */

/* Each gives (Buffer, format): what IndirectMemory2D takes. */
PyObject *indirect_lines(PyObject *module, PyObject *const *args,
                         Py_ssize_t nargs);
PyObject *indirect_collection(PyObject *module, PyObject *const *args,
                              Py_ssize_t nargs);
PyObject *indirect_ctypes(PyObject *module, PyObject *const *args,
                          Py_ssize_t nargs);

/* ---- indirect.c: the base of IndirectMemory2D ------------------------------------ */

extern PyType_Spec indirect_spec;
PyObject *indirect_over(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs);
/* A format that may be a str or bytes, as bytes. Owned. */
PyObject *format_bytes(PyObject *format);
/* TypeError if an item of this type is several. */
int format_is_one_item(const Element *e);

/* The functions of the module pybuf.indirect. */
extern PyMethodDef indirect_functions[];

#endif
