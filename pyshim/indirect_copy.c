/* indirect_copy.c: whether IndirectMemory2D may be copied from and to. The copy is
 * copyto()'s; texts and order of the checks are indirect_buffer's. */
#include "indirect.h"

#include <string.h>

/* What a copy from `from` to `to` takes for granted. */
typedef struct {
    int ndim;
    const Py_ssize_t *shape;
    Py_ssize_t itemsize;
    const char *format;
} Side;

static int
fits(const Side *to, const Side *from, bool cast)
{
    const Side *sides[] = {to, from};
    const char *reason = NULL;
    for (int i = 0; i < 2; i++) {
        if (sides[i]->ndim != 2) {
            PyErr_Format(PyExc_BufferError,
                         "wrong number of dimensions: expected 2, received %d",
                         sides[i]->ndim);
            return -1;
        }
    }
    if (to->shape[0] != from->shape[0] || to->shape[1] != from->shape[1]) {
        reason = "different shapes";
    }
    else if (!cast && strcmp(to->format, from->format) != 0) {
        reason = "different formats";
    }
    else if (to->itemsize != from->itemsize) {
        reason = "different itemsizes";
    }
    if (reason != NULL) {
        PyErr_SetString(PyExc_BufferError, reason);
        return -1;
    }
    return 0;
}

static int
fits_view(PyObject *self, const Py_buffer *view, bool cast, bool from_self)
{
    const Buffer *b = memory2d_buffer(self);
    Layout theirs;
    if (from_self && view->readonly) {
        PyErr_SetString(PyExc_BufferError, "copying to readonly buffer");
        return -1;
    }
    if (layout_of_view(&theirs, view) < 0) {
        return -1;
    }
    Side ours = {b->ndim, b->shape, b->element->itemsize,
                 PyBytes_AsString(((Memory2D *)self)->format)};
    Side other = {theirs.ndim, theirs.shape, view->itemsize,
                  view->format == NULL ? "B" : view->format};
    return from_self ? fits(&other, &ours, cast) : fits(&ours, &other, cast);
}

/* _admit(obj, cast, from_self): whether items may be copied between this memory
 * and obj, in the direction that is said. */
PyObject *
memory2d_admit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Buffer *b = memory2d_buffer(self);
    bool cast = false, from_self = false;
    OwnView held;
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError,
                        "_admit() takes an exporter and two flags");
        return NULL;
    }
    if (args_bool(args[1], &cast) < 0 || args_bool(args[2], &from_self) < 0 ||
        buffer_open(b) < 0) {
        return NULL;
    }
    if (!from_self && b->readonly) {
        PyErr_SetString(PyExc_BufferError, "copying to readonly buffer");
        return NULL;
    }
    if (!PyObject_CheckBuffer(args[0])) {
        refuse(PyExc_TypeError, args[0],
               "%s(): {} has no buffer protocol; give an array, a Buffer or "
               "another exporter",
               from_self ? "copy_to" : "copy_from");
        return NULL;
    }
    if (own_view_open(state_of(OBJECT(b)), &held, args[0], PyBUF_FULL_RO) < 0) {
        return NULL;
    }
    int failed = fits_view(self, &held.view, cast, from_self);
    Aside aside = aside_put();
    own_view_close(&held);
    aside_return(aside);
    return failed ? NULL : Py_NewRef(Py_None);
}
