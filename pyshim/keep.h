/* keep.h: the making of a Keep, which stands in the functions that loops call.
 * Conventions are those of shim.h. */
#ifndef PYBUF_KEEP_H
#define PYBUF_KEEP_H

#include "capi.h"

/* The base of an ndarray that owns its memory, which goes with it. */
typedef struct Keep {
    PyObject_HEAD
    Place place; /* in ledger->live */
    Ledger *ledger;
    Element *element; /* owned */
    char *data;            /* the item with all indices 0 */
    char *low;             /* the first byte in use */
    Py_ssize_t nbytes;     /* bytes in use from there on */
    pybuf_release release; /* NULL: `arg` is a block of malloc */
    void *arg;
    int ndim;
    bool readonly;
    bool packed; /* in C order, and `strides` are not filled */
    Py_ssize_t shape[KEEP_DIMS];
    Py_ssize_t strides[KEEP_DIMS];
} Keep;

/* Gives memory back that a Keep has or was to have. */
void keep_give_back(pybuf_release release, void *data, Py_ssize_t nbytes,
                    void *arg);

/* NumPy's dtype of the element. Owned. */
PyObject *keep_ask_descr(State *st, Element *e);

/* The bytes of a packed layout in which nothing is to be judged. Others are no
 * Keep's: of zero items, and those that are refused. */
static inline bool
keep_bytes(int ndim, const Py_ssize_t *shape, Py_ssize_t itemsize,
           Py_ssize_t *nbytes)
{
    *nbytes = itemsize;
    for (int i = 0; i < ndim; i++) {
        if (shape[i] <= 0 ||
            __builtin_mul_overflow(*nbytes, shape[i], nbytes)) {
            return false;
        }
    }
    return true;
}

/* Whether an array of that kind may have a Keep: NumPy is known, and nobody asks
 * for what only a Buffer remembers. */
static inline bool
keep_suits(const State *st, int ndim, const Element *e)
{
    return st->numpy_api != NULL && e->base == NULL &&
           (unsigned)ndim <= KEEP_DIMS && !trace_concerns(st->ledger);
}

/* An ndarray over memory of such a layout, or of one that was judged: then `low` is
 * from where on it has nbytes, and strides are not NULL. Gives the memory back if
 * there can be none. */
__attribute__((always_inline)) static inline PyObject *
keep_array(State *st, Element *e, int ndim, const Py_ssize_t *shape,
           const Py_ssize_t *strides, char *low, Py_ssize_t nbytes, char *data,
           bool readonly, pybuf_release release, void *arg)
{
    Py_INCREF(OBJECT(e)); /* before NumPy is asked, which may run what it likes */
    PyObject *descr = __builtin_expect(e->descr != NULL && !e->structured, 1)
                          ? Py_NewRef(e->descr)
                          : keep_ask_descr(st, e);
    Keep *keep = descr == NULL ? NULL : (Keep *)spare_take(st, SPARE_KEEP);
    if (keep == NULL && descr != NULL) {
        keep = PyObject_New(Keep, st->keep_type);
    }
    if (keep == NULL) {
        Py_XDECREF(descr);
        Py_DECREF(OBJECT(e));
        keep_give_back(release, data, nbytes, arg);
        return NULL;
    }
    Ledger *ledger = st->ledger;
    keep->element = e;
    keep->data = data;
    keep->low = low;
    keep->nbytes = nbytes;
    keep->release = release;
    keep->arg = arg;
    keep->readonly = readonly;
    keep->ndim = ndim;
    keep->packed = strides == NULL;
    for (int i = 0; i < ndim; i++) {
        keep->shape[i] = shape[i];
        if (strides != NULL) {
            keep->strides[i] = strides[i];
        }
    }
    keep->place.is_keep = true;
    ring_add(&ledger->live, &keep->place.ring);
    keep->ledger = ledger;
    ledger->holders++;
    ledger->made++;
    ledger->live_bytes += nbytes;
    return numpy_array(st, descr, ndim, keep->shape, strides, data, readonly,
                       OBJECT(keep));
}

#endif
