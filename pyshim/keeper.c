/* keeper.c: another chance for a release that the collector could not run.
 *
 * The collector calls the finalizer of an object once. If a Buffer's must not
 * release, because a view is alive or one was just taken, its callback has to
 * stay whole, and the next collection has to ask again. A keeper does both: it
 * is new, so not part of the garbage at hand, and what it refers to survives;
 * and it has a finalizer of its own, which asks the Buffer. */
#include "shim.h"

typedef struct {
    PyObject_HEAD
    Buffer *buffer; /* borrowed: it owns this; NULL when it is gone */
    PyObject *callback; /* owned */
} Keeper;

static void
keeper_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Py_XDECREF(((Keeper *)self)->callback);
    PyObject_GC_Del(self);
    Py_DECREF(OBJECT(type));
}

static int
keeper_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Keeper *)self)->callback);
    return 0;
}

static void
keeper_finalize(PyObject *self)
{
    Buffer *b = ((Keeper *)self)->buffer;
    if (b != NULL && PyObject_GC_IsFinalized(self)) {
        buffer_collected(b);
    }
}

PyObject *
keeper_new(State *st, Buffer *b)
{
    if (st == NULL || st->keeper_type == NULL) {
        return NULL; /* the module is gone already */
    }
    Keeper *keeper = PyObject_GC_New(Keeper, st->keeper_type);
    if (keeper == NULL) {
        PyErr_Clear();
        return NULL;
    }
    keeper->buffer = b;
    keeper->callback = Py_NewRef(b->mem.callback);
    PyObject_GC_Track(keeper);
    return OBJECT(keeper);
}

void
keeper_drop(PyObject *self)
{
    if (self != NULL) {
        ((Keeper *)self)->buffer = NULL;
        Py_DECREF(self);
    }
}

static PyType_Slot keeper_slots[] = {
    {Py_tp_dealloc, keeper_dealloc},
    {Py_tp_traverse, keeper_traverse},
    {Py_tp_finalize, keeper_finalize},
    {0, NULL},
};

PyType_Spec keeper_spec = {
    .name = "pybuf._core._Keeper",
    .basicsize = sizeof(Keeper),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = keeper_slots,
};
