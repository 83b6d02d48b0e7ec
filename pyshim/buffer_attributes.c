/* buffer_attributes.c: what a Buffer says of itself. All of it stays readable
 * when the Buffer is closed, but for the address: that is a door. */
#include "shim.h"

static const char *
source_name(const Buffer *b)
{
    return memory_source_name(b->mem.source);
}

/* Of a copy: making a tuple may run the collector, and that a resize(). */

static PyObject *
get_shape(PyObject *self, void *Py_UNUSED(unused))
{
    Layout l;
    buffer_get_layout((Buffer *)self, &l);
    return tuple_of_dims(l.shape, l.ndim);
}

static PyObject *
get_strides(PyObject *self, void *Py_UNUSED(unused))
{
    Layout l;
    buffer_get_layout((Buffer *)self, &l);
    return tuple_of_dims(l.strides, l.ndim);
}

static PyObject *
get_suboffsets(PyObject *self, void *Py_UNUSED(unused))
{
    Layout l;
    buffer_get_layout((Buffer *)self, &l);
    return tuple_of_dims(l.suboffsets, l.indirect ? l.ndim : 0);
}

static PyObject *
get_ndim(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromLong(((Buffer *)self)->ndim);
}

static PyObject *
get_itemsize(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(((Buffer *)self)->element->itemsize);
}

static PyObject *
get_nbytes(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(((Buffer *)self)->nbytes);
}

static PyObject *
get_size(PyObject *self, void *Py_UNUSED(unused))
{
    Buffer *b = (Buffer *)self;
    return PyLong_FromSsize_t(b->nbytes / b->element->itemsize);
}

static PyObject *
get_format(PyObject *self, void *Py_UNUSED(unused))
{
    return PyUnicode_FromString(((Buffer *)self)->element->format);
}

static PyObject *
get_readonly(PyObject *self, void *Py_UNUSED(unused))
{
    return PyBool_FromLong(((Buffer *)self)->readonly);
}

static PyObject *
get_address(PyObject *self, void *Py_UNUSED(unused))
{
    Buffer *b = (Buffer *)self;
    return buffer_open(b) < 0 ? NULL : buffer_address(b);
}

static PyObject *
get_source(PyObject *self, void *Py_UNUSED(unused))
{
    return PyUnicode_FromString(source_name((Buffer *)self));
}

static PyObject *
get_exports(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(((Buffer *)self)->exports);
}

static PyObject *
get_closed(PyObject *self, void *Py_UNUSED(unused))
{
    return PyBool_FromLong(buffer_is_closed((Buffer *)self));
}

static PyObject *
get_owner(PyObject *self, void *Py_UNUSED(unused))
{
    PyObject *owner = ((Buffer *)self)->mem.owner;
    return Py_NewRef(owner == NULL ? Py_None : owner);
}

PyObject *
buffer_repr(PyObject *self)
{
    Buffer *b = (Buffer *)self;
    PyObject *shape = get_shape(self, NULL);
    if (shape == NULL) {
        return NULL;
    }
    PyObject *text = PyUnicode_FromFormat(
        "<pybuf.Buffer shape=%R format='%s' source='%s' exports=%zd%s%s>",
        shape, b->element->format, source_name(b), b->exports,
        b->readonly ? " readonly" : "", buffer_is_closed(b) ? " closed" : "");
    Py_DECREF(shape);
    return text;
}

PyObject *
buffer_sizeof(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Buffer *b = (Buffer *)self;
    size_t size = sizeof *b;
    if (b->shape != b->inline_dims) {
        size += (b->suboffsets ? 3 : 2) * (size_t)b->ndim * sizeof(Py_ssize_t);
    }
    if (b->mem.release == RELEASE_FREE || b->mem.release == RELEASE_GO) {
        size += (size_t)b->mem.block_size;
    }
    return PyLong_FromSize_t(size);
}

PyGetSetDef buffer_getset[] = {
    {"shape", get_shape, NULL, "Items along each axis, a tuple.", NULL},
    {"strides", get_strides, NULL, "Bytes from one item to the next along "
     "each axis, a tuple.", NULL},
    {"suboffsets", get_suboffsets, NULL, "PEP 3118 suboffsets in bytes, a "
     "tuple; () unless the memory is indirect.", NULL},
    {"ndim", get_ndim, NULL, "Number of axes.", NULL},
    {"itemsize", get_itemsize, NULL, "Bytes of one item.", NULL},
    {"nbytes", get_nbytes, NULL, "Bytes of all items: size * itemsize.",
     NULL},
    {"size", get_size, NULL, "Number of items.", NULL},
    {"format", get_format, NULL, "PEP 3118 format of one item.", NULL},
    {"readonly", get_readonly, NULL, "Whether every door refuses to write.",
     NULL},
    {"address", get_address, NULL, "Address of the item with all indices 0. "
     "Reading it lends a pointer: the memory then lives as long as the "
     "Buffer.", NULL},
    {"source", get_source, NULL, "Where the memory comes from: \"c\", "
     "\"go\" or \"foreign\".", NULL},
    {"exports", get_exports, NULL, "Views that are alive and will report "
     "their end. np.ndarray(buffer=b) reports nothing and is not counted.",
     NULL},
    {"closed", get_closed, NULL, "Whether close() was called.", NULL},
    {"owner", get_owner, NULL, "The object kept alive for the memory, or "
     "None.", NULL},
    {"__array_interface__", door_interface, NULL, "NumPy's array interface, "
     "version 3.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
