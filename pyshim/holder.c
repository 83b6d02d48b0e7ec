/* holder.c: the type BufferHolder: one export of another object, held.
 *
 * It is what keeps rows alive, and what they are: as long as it lives, its
 * exporter neither moves nor frees them. */
#include "indirect.h"

Holder *
holder_new(State *st, PyObject *obj, int flags)
{
    Holder *h = PyObject_GC_New(Holder, st->holder_type);
    if (h == NULL) {
        return NULL;
    }
    h->view.obj = NULL; /* what a failure leaves is not ours to release */
    if (PyObject_GetBuffer(obj, &h->view, flags) < 0) {
        h->view.obj = NULL;
        element_explain(st, obj);
        Py_CLEAR(h);
        return NULL;
    }
    if (h->view.obj == NULL) {
        refuse(PyExc_BufferError, obj,
               "{} lends memory and nothing by which that can be held: take a "
               "copy of it");
        Py_CLEAR(h);
        return NULL;
    }
    PyObject_GC_Track(h);
    return h;
}

int
holder_refuse_nowhere(const Holder *h, const char *prefix, const char *row)
{
    PyErr_Format(PyExc_ValueError,
                 "%s%s has %zd bytes and its exporter says that they lie at NULL",
                 prefix, row, h->view.len);
    return -1;
}

static PyObject *
holder_tp_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"obj", NULL};
    PyObject *obj;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:BufferHolder", names,
                                     &obj)) {
        return NULL;
    }
    if (!PyObject_CheckBuffer(obj)) {
        refuse(PyExc_TypeError, obj,
               "BufferHolder(): {} has no buffer protocol; give bytes, an "
               "array, a memoryview or another exporter");
        return NULL;
    }
    return (PyObject *)holder_new(PyType_GetModuleState(type), obj,
                                  PyBUF_FULL_RO);
}

static void
holder_dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    Aside aside = aside_put(); /* an exporter may run Python */
    PyBuffer_Release(&((Holder *)self)->view);
    aside_return(aside);
    PyObject_GC_Del(self);
    Py_DECREF(OBJECT(type));
}

/* Like a tuple it never lets go of what it holds: it has no tp_clear. Whatever
 * leads back here from the exporter was made later, and has one on the way. */
static int
holder_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((Holder *)self)->view.obj);
    return 0;
}

/* ---- what it says of the export --------------------------------------------------- */

static const Py_buffer *
view_of(PyObject *self)
{
    return &((Holder *)self)->view;
}

static PyObject *
holder_is_set(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return PyBool_FromLong(view_of(self)->obj != NULL);
}

static PyObject *
get_obj(PyObject *self, void *Py_UNUSED(unused))
{
    return Py_NewRef(view_of(self)->obj);
}

static PyObject *
get_address(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromVoidPtr(view_of(self)->buf);
}

static PyObject *
get_nbytes(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(view_of(self)->len);
}

static PyObject *
get_itemsize(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(view_of(self)->itemsize);
}

static PyObject *
get_format(PyObject *self, void *Py_UNUSED(unused))
{
    return PyUnicode_FromString(view_format(view_of(self)));
}

static PyObject *
get_readonly(PyObject *self, void *Py_UNUSED(unused))
{
    return PyBool_FromLong(view_of(self)->readonly);
}

static PyObject *
get_shape(PyObject *self, void *Py_UNUSED(unused))
{
    Layout l;
    return layout_of_view(&l, view_of(self)) < 0
               ? NULL
               : tuple_of_dims(l.shape, l.ndim);
}

static PyGetSetDef holder_getset[] = {
    {"obj", get_obj, NULL, "The exporter.", NULL},
    {"address", get_address, NULL, "Address of its item with all indices 0.",
     NULL},
    {"nbytes", get_nbytes, NULL, "Bytes of all its items.", NULL},
    {"itemsize", get_itemsize, NULL, "Bytes of one item.", NULL},
    {"format", get_format, NULL, "The format that it gives.", NULL},
    {"readonly", get_readonly, NULL, "Whether it may not be written to.", NULL},
    {"shape", get_shape, NULL, "Items along each axis, a tuple.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef holder_methods[] = {
    {"buffer_is_set", holder_is_set, METH_NOARGS,
     "buffer_is_set($self, /)\n--\n\n"
     "Whether an export is held: always, as long as this object lives."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(holder_doc,
"BufferHolder(obj)\n--\n\n"
"Holds one export of obj, which can neither move nor free its memory until\n"
"this object is gone.");

static PyType_Slot holder_slots[] = {
    {Py_tp_doc, (void *)holder_doc},
    {Py_tp_new, holder_tp_new},
    {Py_tp_dealloc, holder_dealloc},
    {Py_tp_traverse, holder_traverse},
    {Py_tp_methods, holder_methods},
    {Py_tp_getset, holder_getset},
    {0, NULL},
};

PyType_Spec holder_spec = {
    .name = "pybuf.indirect.BufferHolder",
    .basicsize = sizeof(Holder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = holder_slots,
};
