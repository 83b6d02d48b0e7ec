/* What capi.py times pybuf.h beside: the same by hand, on NumPy's C API with a
 * base type of its own, which is an exporter where no array is asked for. It knows
 * what it needs and no more: it counts nothing, lists nothing, checks nothing. */
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include "capi_jobs.h"

#include <numpy/arrayobject.h>

/* ---- what holds the memory ------------------------------------------------------ */

typedef struct {
    PyObject_HEAD
    release_function release;
    void *data, *arg;
    Py_ssize_t items;
} Holder;

static PyTypeObject HolderType;
static Py_ssize_t itemsize = sizeof(double);

static PyObject *
holder(void *data, Py_ssize_t items, release_function release, void *arg)
{
    Holder *h = PyObject_New(Holder, &HolderType);
    if (h == NULL) {
        release(data, (size_t)(items * itemsize), arg);
        return NULL;
    }
    h->release = release;
    h->data = data;
    h->arg = arg;
    h->items = items;
    return (PyObject *)h;
}

static void
holder_dealloc(PyObject *self)
{
    Holder *h = (Holder *)self;
    h->release(h->data, (size_t)(h->items * itemsize), h->arg);
    PyObject_Free(self);
}

static int
holder_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    Holder *h = (Holder *)self;
    *view = (Py_buffer){
        .buf = h->data,
        .obj = Py_NewRef(self),
        .len = h->items * itemsize,
        .itemsize = itemsize,
        .format = (flags & PyBUF_FORMAT) != 0 ? "d" : NULL,
        .ndim = 1,
        .shape = &h->items,
        .strides = &itemsize,
    };
    return 0;
}

static PyBufferProcs holder_buffer = {.bf_getbuffer = holder_getbuffer};

static PyTypeObject HolderType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "capi_hand.Holder",
    .tp_basicsize = sizeof(Holder),
    .tp_dealloc = holder_dealloc,
    .tp_as_buffer = &holder_buffer,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
};

/* ---- arrays ------------------------------------------------------------------------ */

static PyArray_Descr *trade_descr;

/* Takes the references to descr and base over. */
static PyObject *
array(void *data, PyArray_Descr *descr, int ndim, const npy_intp *shape,
      const npy_intp *strides, PyObject *base)
{
    if (base == NULL) {
        Py_DECREF(descr);
        return NULL;
    }
    PyObject *made =
        PyArray_NewFromDescr(&PyArray_Type, descr, ndim, shape, strides, data,
                             NPY_ARRAY_WRITEABLE, NULL);
    if (made == NULL) {
        Py_DECREF(base);
    }
    else if (PyArray_SetBaseObject((PyArrayObject *)made, base) < 0) {
        Py_CLEAR(made);
    }
    return made;
}

static PyObject *
array_of_doubles(double *data, release_function release, void *arg)
{
    npy_intp shape = ITEMS;
    return array(data, PyArray_DescrFromType(NPY_DOUBLE), 1, &shape, NULL,
                 holder(data, ITEMS, release, arg));
}

/* ---- the jobs ------------------------------------------------------------------------ */

static int
prepare(void)
{
    import_array1(-1);
    if (PyType_Ready(&HolderType) < 0) {
        return -1;
    }
    PyObject *fields = Py_BuildValue("[(ss)(ss)]", "id", "i8", "price", "f8");
    int done = fields != NULL && PyArray_DescrConverter(fields, &trade_descr);
    Py_XDECREF(fields);
    return done ? 0 : -1;
}

static PyObject *
wrapped(void)
{
    return array_of_doubles(block, block_released, &released);
}

static void
free_data(const void *data, size_t nbytes, void *arg)
{
    (void)nbytes;
    (void)arg;
    free((void *)data);
}

static PyObject *
allocated(int zeroed)
{
    double *data = zeroed ? calloc(ITEMS, sizeof *data)
                          : malloc(ITEMS * sizeof *data);
    return data == NULL ? PyErr_NoMemory()
                        : array_of_doubles(data, free_data, NULL);
}

static PyObject *
made(int zeroed)
{
    return allocated(zeroed);
}

static PyObject *
exporter(void)
{
    return holder(block, ITEMS, block_released, &released);
}

static PyObject *
records(void)
{
    npy_intp shape = ITEMS / 2;
    return array(block, (PyArray_Descr *)Py_NewRef((PyObject *)trade_descr), 1,
                 &shape, NULL, holder(block, ITEMS, block_released, &released));
}

static PyObject *
strided(void)
{
    npy_intp shape[] = {ROWS, COLUMNS};
    npy_intp strides[] = {2 * COLUMNS * itemsize, itemsize};
    return array(block, PyArray_DescrFromType(NPY_DOUBLE), 2, shape, strides,
                 holder(block, ITEMS, block_released, &released));
}

static PyObject *
owned(PyObject *owner)
{
    npy_intp shape = ITEMS;
    return array(block, PyArray_DescrFromType(NPY_DOUBLE), 1, &shape, NULL,
                 Py_NewRef(owner));
}

MODULE(capi_hand)
