/* indirect_rows.c: pybuf.indirect.rows: exporters that lie anywhere become one.
 *
 * Lists of lists lead to the exporters, the leaves, all at one depth. Each leaf
 * is held by a BufferHolder; a tuple of these is the owner of the result. What
 * the caller gives may change while exporters are asked, which may run Python: so
 * each list is copied when it is come to, and held against what was found first. */
#include "indirect.h"

#include <stdio.h>
#include <string.h>

#define NAME_CAP 1600 /* 64 numbers of 20 digits and what is between them */

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

/* ---- names of rows ------------------------------------------------------------------ */

typedef struct {
    char text[NAME_CAP];
} Name;

/* "row 3", or "row (1, 2)". */
static Name
name_of(const Py_ssize_t *index, int n)
{
    Name name;
    size_t used = (size_t)snprintf(name.text, NAME_CAP, n == 1 ? "row " : "row (");
    for (int i = 0; i < n; i++) {
        used += (size_t)snprintf(name.text + used, NAME_CAP - used,
                                 i == 0 ? "%zd" : ", %zd", index[i]);
    }
    if (n > 1) {
        snprintf(name.text + used, NAME_CAP - used, ")");
    }
    return name;
}

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

static Py_ssize_t
suboffset(const Layout *l, int axis)
{
    return l->indirect && l->suboffsets[axis] >= 0 ? l->suboffsets[axis] : -1;
}

static bool
same_suboffsets(const Layout *a, const Layout *b)
{
    for (int i = 0; i < a->ndim; i++) {
        if (suboffset(a, i) != suboffset(b, i)) {
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

static bool
same_element(const Element *a, const Element *b)
{
    return a == b || (a->itemsize == b->itemsize &&
                      a->structured == b->structured &&
                      strcmp(a->structured ? a->format : a->typestr,
                             b->structured ? b->format : b->typestr) == 0);
}

/* Whether exporters of one type with this format have items of one type: of
 * records ctypes and NumPy leave something out, and of ctypes' characters a
 * memoryview does. */
static bool
says_all(const char *format)
{
    return format[0] != 'T' && strcmp(format[0] == '\0' ? "" : format + 1, "u") != 0;
}

static const char *
format_of(const Py_buffer *view)
{
    return view->format == NULL ? "B" : view->format;
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
           strcmp(format_of(v), format_of(first)) == 0 &&
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
    bool same = same_element(e, r->element);
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
    r->plain = says_all(format_of(view));
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
    if (h == NULL || PyTuple_SetItem(r->holders, r->held, OBJECT(h)) < 0) {
        return -1;
    }
    r->held++;
    r->readonly |= h->view.readonly;
    if (h->view.buf == NULL &&
        holder_address(h, name_of(r->index, r->depth).text) == NULL) {
        return -1;
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

/* Holds all leaves of seq. */
static int
collect(Rows *r, PyObject *seq)
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
        failed = r->holders == NULL ? -1 : add_list(r, all, 0);
    }
    Py_DECREF(all);
    return failed;
}

/* ---- the result -------------------------------------------------------------------------- */

/* The axes of the table, and behind them those of the leaves. shape: of the table,
 * if the caller gave one. */
static int
compose(const Rows *r, PyObject *shape, Layout *l)
{
    const Layout *leaf = &r->leaf;
    int outer = r->depth;
    if (shape != NULL) {
        outer = args_dims(shape, "shape", "an extent of shape", l->shape);
        if (outer < 0) {
            return -1;
        }
        Layout table = {.ndim = outer};
        memcpy(table.shape, l->shape, (size_t)outer * sizeof *l->shape);
        if (layout_contiguous(&table, POINTER_SIZE, 'C') < 0) {
            return -1;
        }
        if (r->depth > 1 || outer == 0 ||
            table.nbytes / POINTER_SIZE != r->total) {
            PyErr_Format(PyExc_ValueError,
                         "rows(): shape %R does not fit %zd row%s%s; it gives "
                         "axes to one list, and holds as many as that does",
                         shape, r->total, r->total == 1 ? "" : "s",
                         r->depth > 1 ? " in lists of lists" : "");
            return -1;
        }
        memcpy(l->strides, table.strides, (size_t)outer * sizeof *l->strides);
    }
    l->ndim = outer + leaf->ndim;
    if (l->ndim > PYBUF_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError,
                     "rows(): the table has %d axes and a row has %d; a buffer "
                     "has at most %d dimensions",
                     outer, leaf->ndim, PYBUF_MAX_NDIM);
        return -1;
    }
    for (int i = 0; i < outer; i++) {
        if (shape == NULL) {
            l->shape[i] = r->counts[i];
            l->strides[i] = POINTER_SIZE;
        }
        l->suboffsets[i] = shape == NULL || i == outer - 1 ? 0 : -1;
    }
    for (int i = 0; i < leaf->ndim; i++) {
        l->shape[outer + i] = leaf->shape[i];
        l->strides[outer + i] = leaf->strides[i];
        l->suboffsets[outer + i] = suboffset(leaf, i);
    }
    l->indirect = true;
    return layout_judge(l, r->element->itemsize, true, 'C');
}

/* The tables, linked; *leaves is where the pointers to all leaves lie. */
static int
make_tables(const Rows *r, const Layout *l, bool flat, Memory *mem,
            char ***leaves)
{
    Py_ssize_t all = 0, n;
    for (int axis = flat ? r->depth - 1 : 0; axis < r->depth; axis++) {
        Layout lists = {.ndim = r->depth};
        memcpy(lists.shape, r->counts, sizeof lists.shape);
        if (tables_count(&lists, axis, &n) < 0) {
            return -1;
        }
        all += n; /* of objects that are there: far from an overflow */
    }
    if (tables_new(mem, all) < 0) {
        return -1;
    }
    *leaves = flat ? (char **)mem->data : tables_link(mem->data, l, r->depth);
    for (Py_ssize_t i = 0; i < r->total; i++) {
        const Holder *h = (Holder *)PyTuple_GetItem(r->holders, i);
        (*leaves)[i] = h->view.buf == NULL ? memory_nowhere() : h->view.buf;
    }
    return 0;
}

/* Where the leaves are not at even distances, for those who want them so: the
 * first that is not where the ones before it lead to. */
static int
refuse_uneven(const Layout *l, int outer, char *const *leaves, Py_ssize_t total)
{
    uintptr_t step[PYBUF_MAX_NDIM];
    Py_ssize_t index[PYBUF_MAX_NDIM], width = 1;
    for (int axis = outer - 1; axis >= 0; axis--) {
        step[axis] = l->shape[axis] > 1
                         ? (uintptr_t)leaves[width] - (uintptr_t)leaves[0]
                         : 0;
        width *= l->shape[axis];
    }
    for (Py_ssize_t i = 0; i < total; i++) {
        uintptr_t expected = (uintptr_t)leaves[0];
        Py_ssize_t rest = i;
        for (int axis = outer - 1; axis >= 0; axis--) {
            index[axis] = rest % l->shape[axis];
            rest /= l->shape[axis];
            expected += (uintptr_t)index[axis] * step[axis];
        }
        if (expected != (uintptr_t)leaves[i]) {
            PyErr_Format(PyExc_ValueError,
                         "rows(): %s lies %zd bytes from where the rows before "
                         "it lead to, and indirect=False wants even distances; "
                         "leave it out, or copy the rows into one array",
                         name_of(index, outer).text,
                         (Py_ssize_t)((uintptr_t)leaves[i] - expected));
            return -1;
        }
    }
    PyErr_SetString(PyExc_ValueError,
                    "rows(): the rows read pointers themselves, which lie at no "
                    "even distances, and indirect=False wants those; leave it "
                    "out, or copy the rows into one array");
    return -1;
}

typedef enum { WHERE_NEEDED, ALWAYS, NEVER } Tabled;

static Buffer *
make_rows(Rows *r, PyObject *shape, bool readonly, Tabled tabled)
{
    Layout l;
    Memory mem;
    char **leaves;
    Py_ssize_t itemsize = r->element->itemsize;
    if (compose(r, shape, &l) < 0 ||
        make_tables(r, &l, shape != NULL, &mem, &leaves) < 0) {
        return NULL;
    }
    char *data = mem.data;
    bool plain = false;
    int failed = 0;
    if (tabled == ALWAYS) {
        ;
    }
    else if (l.nbytes == 0) { /* no items: they lie as anyone likes */
        plain = true;
        data = memory_nowhere();
        failed = layout_contiguous(&l, itemsize, 'C');
    }
    else if (tables_collapse(&data, &l, itemsize)) {
        plain = true;
        failed = layout_strided(&l, itemsize);
    }
    else if (tabled == NEVER) {
        failed = refuse_uneven(&l, l.ndim - r->leaf.ndim, leaves, r->total);
    }
    if (plain || failed) {
        memory_release(&mem);
    }
    if (failed) {
        return NULL;
    }
    if (plain) {
        mem = (Memory){
            .data = data,
            .block = data,
            .block_size = 0, /* counted where it is owned */
            .source = SOURCE_FOREIGN,
            .release = RELEASE_NOTHING,
        };
    }
    return tables_buffer(r->st, r->element, &l, &mem, Py_NewRef(r->holders),
                         readonly);
}

/* None, or a truth value. */
static int
maybe(PyObject *arg, bool *given, bool *value)
{
    *given = arg != NULL && arg != Py_None;
    return *given ? args_bool(arg, value) : 0;
}

PyObject *
indirect_rows(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
              PyObject *kwnames)
{
    static const Signature sig = {
        .function = "rows",
        .names = {"seq", "shape", "readonly", "indirect", NULL},
        .positional = 1,
        .required = 1,
        .cache = SIG_ROWS,
    };
    PyObject *arg[4];
    Rows r = {.st = state_of_module(module)};
    bool says_readonly, readonly = false, says_indirect, indirect = false;
    if (args_bind(r.st, &sig, args, nargs, kwnames, arg) < 0 ||
        maybe(arg[2], &says_readonly, &readonly) < 0 ||
        maybe(arg[3], &says_indirect, &indirect) < 0) {
        return NULL;
    }
    r.flags = says_readonly && !readonly ? PyBUF_FULL : PyBUF_FULL_RO;
    Buffer *b = NULL;
    if (collect(&r, arg[0]) == 0) {
        b = make_rows(&r, arg[1] == Py_None ? NULL : arg[1],
                      says_readonly ? readonly : r.readonly,
                      !says_indirect ? WHERE_NEEDED
                      : indirect     ? ALWAYS
                                     : NEVER);
    }
    Aside aside = aside_put(); /* exporters may run Python */
    Py_XDECREF(r.holders);
    Py_XDECREF(OBJECT(r.element));
    Py_XDECREF(OBJECT(r.type));
    aside_return(aside);
    return (PyObject *)b;
}
