/* indirect_copy.c: copies between IndirectMemory2D and other exporters. Texts and
 * order of the checks are those of the package indirect_buffer. */
#include "indirect.h"

#include <string.h>

/* What a copy from one to the other takes for granted. */
typedef struct {
    const Layout *layout;
    Py_ssize_t itemsize;
    const char *format;
} Items;

static int
fit(const Items *to, const Items *from, bool cast)
{
    const Items *both[] = {to, from};
    const char *reason = NULL;
    for (int i = 0; i < 2; i++) {
        if (both[i]->layout->ndim != 2) {
            PyErr_Format(PyExc_BufferError,
                         "wrong number of dimensions: expected 2, received %d",
                         both[i]->layout->ndim);
            return -1;
        }
    }
    const Py_ssize_t *mine = to->layout->shape, *other = from->layout->shape;
    if (mine[0] != other[0] || mine[1] != other[1]) {
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
refuse_readonly(void)
{
    PyErr_SetString(PyExc_BufferError, "copying to readonly buffer");
    return -1;
}

/* A view to write to. An exporter that has none, but one to read, is read-only. */
static int
open_writable(State *st, OwnView *own, PyObject *obj)
{
    if (own_view_open(st, own, obj, PyBUF_FULL) == 0) {
        return 0;
    }
    Pending why = pending_save();
    if (own_view_open(st, own, obj, PyBUF_FULL_RO) < 0) {
        pending_restore(why); /* its first answer */
        return -1;
    }
    bool readonly = own->view.readonly;
    own_view_close(own);
    if (!readonly) {
        pending_restore(why);
        return -1;
    }
    pending_drop(why);
    return refuse_readonly();
}

static int
copy_items_2d(Memory2D *m, const Py_buffer *view, bool cast, bool from_self)
{
    Buffer *b = m->buffer;
    const char *function = from_self ? "copy_to" : "copy_from";
    CopySide mine = {function, "the memory", .data = b->mem.data};
    CopySide theirs = {function, "obj", .data = view->buf};
    buffer_get_layout(b, &mine.layout);
    if (layout_of_view(&theirs.layout, view) < 0) {
        return -1;
    }
    Items ours = {&mine.layout, b->element->itemsize, PyBytes_AsString(m->format)};
    Items others = {&theirs.layout, view->itemsize, view_format(view)};
    CopySide *to = from_self ? &theirs : &mine, *from = from_self ? &mine : &theirs;
    if (fit(from_self ? &others : &ours, from_self ? &ours : &others, cast) < 0 ||
        layout_of_exporter(&theirs.layout, view, view->itemsize) < 0) {
        return -1;
    }
    return copy_sides(to, from, view->itemsize);
}

static PyObject *
copy_2d(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
        PyObject *kwnames, bool from_self)
{
    static const Signature to = {.function = "copy_to",
                                 .names = {"obj", "cast", NULL},
                                 .positional = 2,
                                 .required = 1,
                                 .cache = SIG_COPY_2D};
    static const Signature from = {.function = "copy_from",
                                   .names = {"obj", "cast", NULL},
                                   .positional = 2,
                                   .required = 1,
                                   .cache = SIG_COPY_2D};
    Memory2D *m = (Memory2D *)self;
    Buffer *b = m->buffer;
    State *st = state_of(OBJECT(b));
    PyObject *arg[2];
    bool cast = false;
    OwnView own;
    if (args_bind(st, from_self ? &to : &from, args, nargs, kwnames, arg) < 0 ||
        args_bool(arg[1], &cast) < 0 || buffer_open(b) < 0) {
        return NULL;
    }
    if (!from_self && b->readonly) {
        refuse_readonly();
        return NULL;
    }
    if (!PyObject_CheckBuffer(arg[0])) {
        refuse(PyExc_TypeError, arg[0],
               "%s(): {} has no buffer protocol; give an array, a Buffer or "
               "another exporter",
               from_self ? "copy_to" : "copy_from");
        return NULL;
    }
    /* Locked from here on: an exporter may run what it likes. */
    buffer_lend(b);
    int failed = from_self ? open_writable(st, &own, arg[0])
                           : own_view_open(st, &own, arg[0], PyBUF_FULL_RO);
    if (!failed) {
        failed = copy_items_2d(m, &own.view, cast, from_self);
        own_view_close(&own);
    }
    buffer_unlend(b);
    buffer_unlend_pointer(b);
    return failed ? NULL : Py_NewRef(Py_None);
}

PyObject *
memory2d_copy_from(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                   PyObject *kwnames)
{
    return copy_2d(self, args, nargs, kwnames, false);
}

PyObject *
memory2d_copy_to(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
                 PyObject *kwnames)
{
    return copy_2d(self, args, nargs, kwnames, true);
}
