/* copies.h: a part of shim.h, and included by it alone: items of one memory into
 * another. */
#ifndef PYBUF_COPIES_H
#define PYBUF_COPIES_H

/* The pointer in a table at `at`, which nobody promises to be aligned. */
static inline char *
pointer_at(const char *at)
{
    char *pointer;
    memcpy(&pointer, at, sizeof pointer);
    return pointer;
}

/* ---- transfer.c --------------------------------------------------------- */

/* Copies all items into another memory that does not overlap with it. The
 * layouts have one shape and item size, and no NULL in their tables. Read of
 * them: ndim, shape, strides, indirect and suboffsets. Any thread. */
void transfer_items(char *to, const Layout *dst, const char *from,
                    const Layout *src, Py_ssize_t itemsize);

/* ---- transfer_large.c ----------------------------------------------------- */

/* The same in parts, with other threads, for which also nbytes is read of dst.
 * go_on(context) is called from time to time, on the calling thread, and ends
 * the copy if it returns false; it may fork: the child copies all once more,
 * alone. Returns 1; 0 if it was ended; or -1, with nothing copied, if there is
 * no memory. Any thread. */
int transfer_large(char *to, const Layout *dst, const char *from,
                   const Layout *src, Py_ssize_t itemsize,
                   bool (*go_on)(void *), void *context);

/* ---- tables.c: the tables of pointers that indirect layouts read ----------- */

#define NAME_CAP 1600 /* 64 numbers of 20 digits and what is between them */

typedef struct {
    char text[NAME_CAP];
} Name;

/* "row 3", or "row (1, 2)": what a pointer leads to, by its n indices. */
Name name_of(const Py_ssize_t *index, int n);
/* The ValueError for a NULL that the first n indices lead to, in the memory that
 * is `what` (NULL: there is no other), where a pointer to items belongs, or to a
 * table. Returns -1. */
int tables_refuse_null(const char *function, const Py_ssize_t *index, int n,
                       const char *what, bool items);
/* ValueError, of `function`, if one of the pointers is NULL. Of l nbytes is read
 * too. */
int tables_check(const char *data, const Layout *l, const char *function);
/* The first pointer that lies at no even distance from those before it. */
typedef struct {
    int n; /* indices; 0: it is a NULL */
    Py_ssize_t index[PYBUF_MAX_NDIM];
    Py_ssize_t off; /* bytes from where it would be */
} Uneven;
/* Where all pointers lie at even distances: makes the layout a strided one from
 * *data on and returns true. Its flags are not worked out. Else it changes
 * nothing, says why in *where, which may be NULL, and returns false. */
bool tables_collapse(char **data, Layout *l, Py_ssize_t itemsize,
                     Uneven *where);

/* ---- overlap.c ------------------------------------------------------------- */

/* One side of a copy. */
typedef struct {
    const char *function; /* whose errors they are, */
    const char *what;     /* and how those name this side */
    char *data;           /* as the items are found: */
    Layout layout;
    char *tables; /* where the tables begin that lead to them, */
    Layout given; /* and how they are laid out; NULL: there are none */
} CopySide;

typedef enum {
    OVERLAP_NONE,
    OVERLAP_ITEMS,  /* items of dst may lie where items of src do */
    OVERLAP_TABLES, /* or where a table is that either side needs */
} Overlap;

/* Both sides have items. ValueError for a NULL in a table, MemoryError. */
int copy_overlap(const CopySide *dst, const CopySide *src,
                 Py_ssize_t itemsize, Overlap *out);

/* ---- copy.c ----------------------------------------------------------------- */

/* A new Buffer with a contiguous copy of what `src` exports. */
Buffer *copy_of(State *st, PyObject *src, char order, Wish wish);
/* What a view holds that the exporter `obj` has filled: the type of its items,
 * owned, and where they lie: ndim, shape, strides and suboffsets of the layout,
 * whether it is indirect, and nbytes. */
Element *read_exporter(State *st, PyObject *obj, const Py_buffer *view,
                       Layout *l);
/* The layout alone, for items of so many bytes, whatever they are. */
int layout_of_exporter(Layout *l, const Py_buffer *view, Py_ssize_t itemsize);
/* The items of a Buffer that need not be open, in `order`, at `to`. Errors are
 * those of `function`. */
int copy_out(Buffer *b, char order, char *to, const char *function);
/* As transfer_items(), of memories that the caller holds. Other threads run
 * while much is copied, and what signals raise ends it. */
int copy_items(char *to, const Layout *dst, const char *from,
               const Layout *src, Py_ssize_t itemsize);
/* A copy of an open Buffer in memory of C's, writable and without gaps, for
 * `function`. */
Buffer *copy_plain(State *st, Buffer *b, const char *function);
/* __copy__ and __deepcopy__: items are no objects, so the two are one. */
PyObject *buffer_copy(PyObject *self, PyObject *memo);

/* A view that is ours: held for a copy, which nobody sees. */
typedef struct {
    Py_buffer view;
    Buffer *ours; /* borrowed: whose memory it is; NULL: no Buffer's, or some
                   * __buffer__ has handed it on */
} OwnView;

int own_view_open(State *st, OwnView *own, PyObject *obj, int flags);
void own_view_close(OwnView *own);
PyObject *module_copy(PyObject *module, PyObject *const *args,
                      Py_ssize_t nargs, PyObject *kwnames);

/* ---- copyto.c -------------------------------------------------------------- */

/* All items of src to dst, of one shape and item size; both are held, and may
 * overlap. Of the sides data and layout are given, the rest is this function's.
 * ValueError, before anything is written, for NULL in a table and for a table
 * that would be written over. */
int copy_sides(CopySide *dst, CopySide *src, Py_ssize_t itemsize);

PyObject *module_copyto(PyObject *module, PyObject *const *args,
                        Py_ssize_t nargs, PyObject *kwnames);

#endif
