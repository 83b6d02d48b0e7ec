/* indirect_leaves.c: the exporters that rows() is given, each held by a
 * BufferHolder.
 *
 * Lists of lists lead to them, to all at one depth. What the caller gives may
 * change while exporters are asked, which may run Python: so each list is copied
 * when it is come to, and held against what was found first. */
#include "indirect.h"

#include <string.h>

/* ---- names of rows ------------------------------------------------------------------ */

static Name
first_name(int n)
{
    static const Py_ssize_t zeros[PYBUF_MAX_NDIM];
    return name_of(zeros, n);
}

/* ---- one leaf ------------------------------------------------------------------------- */

/* Two things of two rows that ought to be one. */
static int
differ(const Rows *r, const char *what, PyObject *mine, PyObject *firsts)
{
    if (mine != NULL && firsts != NULL) {
        PyErr_Format(PyExc_ValueError,
                     "rows(): %s has %s %R and %s has %R; rows of one table are "
                     "alike in shape, element type, strides and suboffsets",
                     name_of(r->index, r->depth).text, what, mine,
                     first_name(r->depth).text, firsts);
    }
    Py_XDECREF(mine);
    Py_XDECREF(firsts);
    return -1;
}

static bool
same_dims(const Py_ssize_t *a, const Py_ssize_t *b, int n)
{
    return n == 0 || memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* Strides along which there is a second item. */
static bool
same_strides(const Layout *l, const Py_ssize_t *strides)
{
    for (int i = 0; i < l->ndim; i++) {
        if (l->shape[i] > 1 && l->strides[i] != strides[i]) {
            return false;
        }
    }
    return true;
}

static bool
same_suboffsets(const Layout *a, const Layout *b)
{
    for (int i = 0; i < a->ndim; i++) {
        if (rows_suboffset(a, i) != rows_suboffset(b, i)) {
            return false;
        }
    }
    return true;
}

static PyObject *
suboffsets_of(const Layout *l)
{
    return tuple_of_dims(l->suboffsets, l->indirect ? l->ndim : 0);
}

/* As the first one, at a glance: nearly always. */
static bool
plainly_like_first(const Rows *r, PyObject *obj, const Py_buffer *v,
                   const Py_buffer *first)
{
    const Layout *l = &r->leaf;
    return r->plain && Py_TYPE(obj) == r->type && v->ndim == first->ndim &&
           v->ndim == l->ndim && v->itemsize == first->itemsize &&
           v->len == first->len && v->suboffsets == NULL &&
           first->suboffsets == NULL &&
           strcmp(view_format(v), view_format(first)) == 0 &&
           (l->ndim == 0 ||
            (v->shape != NULL && v->strides != NULL &&
             same_dims(v->shape, l->shape, l->ndim) &&
             same_strides(l, v->strides)));
}

static int
like_first(const Rows *r, PyObject *obj, const Py_buffer *view)
{
    Layout l;
    const Layout *first = &r->leaf;
    Element *e = read_exporter(r->st, obj, view, &l);
    if (e == NULL) {
        return -1;
    }
    bool same = element_is_same(e, r->element);
    PyObject *format = same ? NULL : PyUnicode_FromString(e->format);
    Py_DECREF(OBJECT(e));
    if (l.ndim != first->ndim || !same_dims(l.shape, first->shape, l.ndim)) {
        Py_XDECREF(format);
        return differ(r, "shape", tuple_of_dims(l.shape, l.ndim),
                      tuple_of_dims(first->shape, first->ndim));
    }
    if (!same) {
        return differ(r, "items of format", format,
                      PyUnicode_FromString(r->element->format));
    }
    if (!same_strides(first, l.strides)) {
        return differ(r, "strides", tuple_of_dims(l.strides, l.ndim),
                      tuple_of_dims(first->strides, first->ndim));
    }
    return same_suboffsets(first, &l)
               ? 0
               : differ(r, "suboffsets", suboffsets_of(&l),
                        suboffsets_of(first));
}

static int
take_first(Rows *r, PyObject *obj, const Py_buffer *view)
{
    r->element = read_exporter(r->st, obj, view, &r->leaf);
    if (r->element == NULL) {
        return -1;
    }
    r->type = (PyTypeObject *)Py_NewRef(OBJECT(Py_TYPE(obj)));
    r->plain = format_says_all(view_format(view));
    return 0;
}

static int
add_leaf(Rows *r, PyObject *obj)
{
    if (!PyObject_CheckBuffer(obj)) {
        bool list = PyList_Check(obj) || PyTuple_Check(obj);
        Name row = name_of(r->index, r->depth);
        if (list) {
            PyErr_Format(PyExc_ValueError,
                         "rows(): %s is a list of rows and %s is a row; lists "
                         "have to be nested equally deep",
                         row.text, first_name(r->depth).text);
            return -1;
        }
        PyObject *name = PyType_GetName(Py_TYPE(obj));
        if (name != NULL) {
            refuse(PyExc_TypeError, obj,
                   "rows(): %s is {}, of type %U, which has no buffer protocol; "
                   "a row is an array, a Buffer, a bytearray or another "
                   "exporter",
                   row.text, name);
            Py_DECREF(name);
        }
        return -1;
    }
    Holder *h = holder_new(r->st, obj, r->flags);
    if (h == NULL) {
        refuse_note("rows(): of %s", name_of(r->index, r->depth).text);
        return -1;
    }
    if (PyTuple_SetItem(r->holders, r->held, OBJECT(h)) < 0) {
        return -1;
    }
    r->held++;
    r->readonly |= h->view.readonly;
    if (holder_is_nowhere(h)) {
        Name row = name_of(r->index, r->depth);
        return holder_refuse_nowhere(h, "rows(): ", row.text);
    }
    if (r->held == 1) {
        return take_first(r, obj, &h->view);
    }
    const Holder *first = (Holder *)PyTuple_GetItem(r->holders, 0);
    return plainly_like_first(r, obj, &h->view, &first->view)
               ? 0
               : like_first(r, obj, &h->view);
}

/* ---- lists of them --------------------------------------------------------------------- */

static bool
is_list(PyObject *obj)
{
    return (PyList_Check(obj) || PyTuple_Check(obj)) && !PyObject_CheckBuffer(obj);
}

/* How deep the lists are, and how long those on the way to the first leaf. */
static int
measure(Rows *r, PyObject *all)
{
    PyObject *list = Py_NewRef(all);
    r->total = 1;
    for (;;) {
        Py_ssize_t n = PySequence_Size(list);
        if (n == 0) {
            PyErr_SetString(PyExc_ValueError,
                            "rows(): there are no rows, so nothing says their "
                            "shape and element type; pybuf.zeros() makes "
                            "memory without items");
        }
        PyObject *first = n > 0 ? PySequence_GetItem(list, 0) : NULL;
        Py_DECREF(list);
        if (first == NULL) {
            return -1;
        }
        r->counts[r->depth++] = n;
        if (__builtin_mul_overflow(r->total, n, &r->total)) {
            Py_DECREF(first);
            PyErr_SetString(PyExc_OverflowError,
                            "rows(): the lists have more than 2**63 rows");
            return -1;
        }
        if (!is_list(first)) {
            Py_DECREF(first);
            return 0;
        }
        if (r->depth == PYBUF_MAX_NDIM) {
            Py_DECREF(first);
            PyErr_Format(PyExc_ValueError,
                         "rows(): the lists are nested more than %d deep; a "
                         "buffer has at most %d dimensions",
                         PYBUF_MAX_NDIM, PYBUF_MAX_NDIM);
            return -1;
        }
        list = first;
    }
}

static int add_list(Rows *r, PyObject *list, int level);

static int
add_any(Rows *r, PyObject *obj, int level)
{
    if (level == r->depth) {
        return add_leaf(r, obj);
    }
    if (!is_list(obj)) {
        Name row = name_of(r->index, level);
        return refuse(PyExc_ValueError, obj,
                      "rows(): %s is {}, and %s is a list of rows; lists have to "
                      "be nested equally deep",
                      row.text, first_name(level).text);
    }
    PyObject *list = PySequence_Tuple(obj);
    int failed = list == NULL ? -1 : add_list(r, list, level);
    Py_XDECREF(list);
    return failed;
}

static int
add_list(Rows *r, PyObject *list, int level)
{
    Py_ssize_t n = PyTuple_Size(list);
    if (n != r->counts[level]) {
        PyErr_Format(PyExc_ValueError,
                     "rows(): %s has %zd rows and %s has %zd; each needs as "
                     "many",
                     name_of(r->index, level).text, n, first_name(level).text,
                     r->counts[level]);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        r->index[level] = i;
        if (add_any(r, PyTuple_GetItem(list, i), level + 1) < 0) {
            return -1;
        }
    }
    return 0;
}

int
rows_collect(Rows *r, PyObject *seq)
{
    PyObject *all = PySequence_Tuple(seq);
    if (all == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError) &&
            !PySequence_Check(seq) && !PyIter_Check(seq)) {
            PyErr_Clear();
            refuse(PyExc_TypeError, seq,
                   "rows(): {} cannot be iterated over; give a list of "
                   "exporters");
        }
        return -1;
    }
    int failed = measure(r, all);
    if (!failed) {
        r->holders = PyTuple_New(r->total);
        if (r->holders == NULL) {
            failed = -1;
        }
        else { /* nobody may find it while there are holes in it */
            PyObject_GC_UnTrack(r->holders);
            failed = add_list(r, all, 0);
        }
    }
    if (!failed && r->leaf.ndim == 0 && PyObject_CheckBuffer(seq)) {
        failed = refuse(PyExc_ValueError, seq,
                        "rows(): the items of {} are copies, each in memory of "
                        "its own, and no rows of it; give an array of two axes "
                        "or more, or a list of exporters");
    }
    Py_DECREF(all);
    return failed;
}
