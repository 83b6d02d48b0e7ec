/* layout.c: from a shape to bytes.
 *
 * Go's Layout is the rule. The multiplication here is its fast path, for
 * shapes that are plainly in order; whatever is not is judged, and refused in
 * words, by Go. A test holds the two equal. */
#include "shim.h"

#include <string.h>

#define ERROR_CAP 1024

/* The product over a contiguous layout without the checks' sentences. strided:
 * of strides that are there, which must be those of such a layout.
 * Returns false for what Go must judge. */
static bool
multiply(Layout *l, Py_ssize_t itemsize, bool strided, char order)
{
    Py_ssize_t step = itemsize;
    bool empty = false;
    int wide = 0; /* axes along which there is a second item */
    for (int k = 0; k < l->ndim; k++) {
        int i = order == 'F' ? k : l->ndim - 1 - k;
        Py_ssize_t n = l->shape[i];
        if (n < 0) {
            return false;
        }
        if (!strided) {
            l->strides[i] = step;
        }
        else if (n > 1 && l->strides[i] != step) {
            return false;
        }
        empty |= n == 0;
        wide += n > 1;
        if (n > 1 && __builtin_mul_overflow(step, n, &step)) {
            return false;
        }
    }
    l->nbytes = empty ? 0 : step;
    l->low = 0;
    l->high = l->nbytes;
    l->indirect = false;
    l->flags = empty || wide < 2
                   ? PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS
                   : (order == 'F' ? PYBUF_F_CONTIGUOUS : PYBUF_C_CONTIGUOUS);
    return true;
}

int
layout_element(Layout *l, Element **e, bool strided)
{
    Element *base = (*e)->base;
    if (base == NULL) {
        return 0;
    }
    int outer = l->ndim, inner = (*e)->ndim;
    if (outer + inner > PYBUF_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError,
                     "shape has %d numbers and the sub-array of dtype has %d "
                     "more; a buffer has at most %d dimensions",
                     outer, inner, PYBUF_MAX_NDIM);
        return -1;
    }
    Layout packed = {.ndim = inner};
    memcpy(packed.shape, (*e)->extents, (size_t)inner * sizeof packed.shape[0]);
    if (layout_contiguous(&packed, base->itemsize, 'C') < 0) {
        return -1;
    }
    l->ndim = outer + inner;
    for (int i = 0; i < inner; i++) {
        l->shape[outer + i] = packed.shape[i];
        if (strided) {
            l->strides[outer + i] = packed.strides[i];
            l->suboffsets[outer + i] = -1;
        }
    }
    Py_INCREF(OBJECT(base));
    Py_DECREF(OBJECT(*e));
    *e = base;
    return 0;
}

int
layout_given(Layout *l, const char *function, const char *what, int ndim,
             const Py_ssize_t *shape, const Py_ssize_t *strides)
{
    if (ndim < 0 || ndim > PYBUF_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): %s has %d dimensions; a buffer has 0 to %d",
                     function, what, ndim, PYBUF_MAX_NDIM);
        return -1;
    }
    if (shape == NULL && ndim > 0) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): %s has dimensions and no shape (NULL)", function,
                     what);
        return -1;
    }
    l->ndim = ndim;
    l->indirect = false;
    for (int i = 0; i < ndim; i++) {
        l->shape[i] = shape[i];
        if (strides != NULL) {
            l->strides[i] = strides[i];
        }
    }
    return 0;
}

int
layout_of_view(Layout *l, const Py_buffer *view)
{
    if (view->ndim < 0 || view->ndim > PYBUF_MAX_NDIM) {
        PyErr_Format(PyExc_ValueError,
                     "the exporter has %d dimensions; a buffer has at most %d "
                     "dimensions",
                     view->ndim, PYBUF_MAX_NDIM);
        return -1;
    }
    l->ndim = view->ndim;
    if (view->shape == NULL && view->ndim == 1 && view->itemsize > 0) {
        l->shape[0] = view->len / view->itemsize; /* as memoryview takes it */
        return 0;
    }
    if (view->shape == NULL && view->ndim > 0) {
        PyErr_Format(PyExc_ValueError,
                     "the exporter has %d dimensions and gives no shape",
                     view->ndim);
        return -1;
    }
    for (int i = 0; i < view->ndim; i++) {
        l->shape[i] = view->shape[i];
    }
    return 0;
}

int
layout_contiguous(Layout *l, Py_ssize_t itemsize, char order)
{
    if (multiply(l, itemsize, false, order)) {
        return 0;
    }
    l->indirect = false;
    return layout_judge(l, itemsize, false, order);
}

int
layout_strided(Layout *l, Py_ssize_t itemsize)
{
    if (!l->indirect && (multiply(l, itemsize, true, 'C') ||
                         multiply(l, itemsize, true, 'F'))) {
        return 0;
    }
    return layout_judge(l, itemsize, true, 'C');
}

void
layout_of_part(Layout *l, Py_ssize_t itemsize)
{
    if (!l->indirect && (multiply(l, itemsize, true, 'C') ||
                         multiply(l, itemsize, true, 'F'))) {
        return;
    }
    l->flags = 0;
    l->nbytes = itemsize;
    for (int i = 0; i < l->ndim; i++) {
        l->nbytes *= l->shape[i];
    }
    if (l->nbytes == 0 && !l->indirect) {
        l->flags = PYBUF_C_CONTIGUOUS | PYBUF_F_CONTIGUOUS;
    }
}

int
layout_refuse_null(const char *function, const char *what, Py_ssize_t bytes)
{
    PyErr_Format(PyExc_ValueError,
                 "%s(): %s is NULL and the layout has %zd bytes; NULL can "
                 "stand for zero bytes only",
                 function, what, bytes);
    return -1;
}

int
layout_reaches(const char *function, const void *start, Py_ssize_t first,
               Py_ssize_t last)
{
    if (layout_is_reachable(start, first, last)) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError,
                 "%s(): the layout uses bytes %zd to %zd from address %p, "
                 "which leaves the address space",
                 function, first, last, start);
    return -1;
}

int
layout_judge(Layout *l, Py_ssize_t itemsize, bool strided, char order)
{
    int64_t strides[PYBUF_MAX_NDIM];
    char message[ERROR_CAP];
    pybuf_text err = {.data = message, .cap = sizeof message, .len = 0};
    pybuf_layout ask = {
        .ndim = l->ndim,
        .itemsize = itemsize,
        .shape = l->shape,
        .strides = strided ? l->strides : NULL,
        .suboffsets = l->indirect ? l->suboffsets : NULL,
        .order = order,
        .out_strides = strides,
    };
    int32_t kind = go_layout(&ask, &err);
    if (kind != PYBUF_OK) {
        go_raise(kind, &err);
        return -1;
    }
    for (int i = 0; i < l->ndim; i++) {
        l->strides[i] = strides[i];
    }
    l->nbytes = ask.nbytes;
    l->low = ask.low;
    l->high = ask.high;
    l->flags = (unsigned)ask.flags;
    l->indirect = ask.indirect != 0;
    return 0;
}
