/* indirect_rows.c: pybuf.indirect.rows: exporters that lie anywhere become one.
 *
 * A tuple of the BufferHolders that keep them is the owner of the result. */
#include "indirect.h"

#include <string.h>

/* ---- the result -------------------------------------------------------------------------- */

/* How far below its item 0 a leaf that goes backwards has memory: items, or its
 * first table. Pointers lead there and the suboffset back: a consumer that cuts
 * rows adds to the suboffset, and one below 0 would read no pointer any more. */
static Py_ssize_t
backwards(const Rows *r)
{
    const Layout *leaf = &r->leaf;
    Py_ssize_t back = 0;
    for (int i = 0; i < leaf->ndim; i++) {
        if (leaf->shape[i] == 0) {
            return 0;
        }
    }
    for (int i = 0; i < leaf->ndim; i++) {
        if (leaf->strides[i] < 0) {
            back -= (leaf->shape[i] - 1) * leaf->strides[i];
        }
        if (rows_suboffset(leaf, i) >= 0) {
            break;
        }
    }
    return back;
}

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
        l->suboffsets[outer + i] = rows_suboffset(leaf, i);
    }
    l->indirect = true;
    if (layout_judge(l, r->element->itemsize, true, 'C') < 0) {
        return -1;
    }
    l->suboffsets[outer - 1] = backwards(r); /* which now is no overflow */
    return 0;
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
    Py_ssize_t back = l->suboffsets[l->ndim - r->leaf.ndim - 1];
    *leaves = flat ? (char **)mem->data : tables_link(mem->data, l, r->depth);
    for (Py_ssize_t i = 0; i < r->total; i++) {
        const Holder *h = (Holder *)PyTuple_GetItem(r->holders, i);
        (*leaves)[i] = holder_data(h) - back; /* 0 where there are no items */
    }
    return 0;
}

/* For those who want no tables, where some are needed. */
static int
refuse_uneven(const char *data, const Layout *l, const Uneven *where)
{
    if (where->n == 0) {
        return tables_check(data, l, "rows");
    }
    PyErr_Format(PyExc_ValueError,
                 "rows(): %s lies %zd bytes from where the rows before it lead "
                 "to, and indirect=False wants even distances; leave it out, or "
                 "copy the rows into one array",
                 name_of(where->index, where->n).text, where->off);
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
    Uneven where;
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
    else if (tables_collapse(&data, &l, itemsize, &where)) {
        plain = true;
        failed = layout_strided(&l, itemsize);
    }
    else if (tabled == NEVER) {
        failed = refuse_uneven(data, &l, &where);
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
    if (rows_collect(&r, arg[0]) == 0) {
        PyObject_GC_Track(r.holders); /* all of them are there */
        b = make_rows(&r, arg[1] == Py_None ? NULL : arg[1],
                      says_readonly ? readonly : r.readonly,
                      !says_indirect ? WHERE_NEEDED
                      : indirect     ? ALWAYS
                                     : NEVER);
    }
    Py_XDECREF(r.holders);
    Py_XDECREF(OBJECT(r.element));
    Py_XDECREF(OBJECT(r.type));
    return (PyObject *)b;
}
