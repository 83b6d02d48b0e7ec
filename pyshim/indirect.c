/* indirect.c: IndirectBase, of which pybuf.indirect makes IndirectMemory2D.
 *
 * It owns a Buffer that nobody else sees, of two axes, the first of which reads
 * pointers; and lends that Buffer's memory in its own name. Two things differ
 * from a Buffer: views carry the format as it was spelled by whoever gave it, and
 * element type and columns may change while nothing is lent. What locks it is the
 * Buffer's count of exports. */
#include "indirect.h"

#include <string.h>

/* ---- beginning and end ----------------------------------------------------------------- */

static PyObject *
memory2d_tp_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
                PyObject *Py_UNUSED(kwargs))
{
    PyObject *name = PyType_GetName(type);
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError,
                     "%U() would have no memory: it is made by create_memory(), "
                     "from_ptr(), from_ctype_ptr(), view_from_rows() and "
                     "view_from_columns()",
                     name);
        Py_DECREF(name);
    }
    return NULL;
}

/* (class, buffer, format, readonly): an object of a class that this is the base
 * of, which takes the Buffer for itself. A function of the module: a class of
 * Python's does not lead to it. */
PyObject *
indirect_over(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    State *st = state_of_module(module);
    PyTypeObject *type = nargs == 4 && PyType_Check(args[0])
                             ? (PyTypeObject *)args[0]
                             : NULL;
    Buffer *b = nargs == 4 && Py_IS_TYPE(args[1], st->buffer_type)
                    ? (Buffer *)args[1]
                    : NULL;
    if (b != NULL && b->ndim > 2) {
        format_refuse(b->element);
        return NULL;
    }
    if (type == NULL || b == NULL || !PyType_IsSubtype(type, st->indirect_type) ||
        b->ndim != 2 || b->suboffsets == NULL || b->suboffsets[0] != 0 ||
        b->suboffsets[1] >= 0) {
        PyErr_SetString(PyExc_TypeError,
                        "_over() takes a class, a Buffer of two axes whose "
                        "first reads pointers, a format and a flag");
        return NULL;
    }
    bool readonly = b->readonly;
    if (args_bool(args[3], &readonly) < 0) {
        return NULL;
    }
    PyObject *format = format_spelled(st, b->element, args[2]);
    if (format == NULL) {
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    Memory2D *self = (Memory2D *)alloc(type, 0);
    if (self == NULL) {
        Py_DECREF(format);
        return NULL;
    }
    b->readonly |= readonly; /* nobody else has it yet */
    self->buffer = (Buffer *)Py_NewRef(OBJECT(b));
    self->format = format;
    return OBJECT(self);
}

static void
memory2d_dealloc(PyObject *self)
{
    Memory2D *m = (Memory2D *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (m->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    Py_XDECREF(OBJECT(m->buffer));
    Py_XDECREF(m->format);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(OBJECT(type));
}

/* Without tp_clear, as the Buffer is, and for the same reason. */
static int
memory2d_traverse(PyObject *self, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(OBJECT(memory2d_buffer(self)));
    return 0;
}

/* ---- views -------------------------------------------------------------------------------- */

static int
memory2d_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    Buffer *b = memory2d_buffer(self);
    view->obj = NULL;
    if (buffer_open(b) < 0) {
        return -1;
    }
    if ((flags & PyBUF_WRITABLE) && b->readonly) {
        PyErr_SetString(PyExc_BufferError, "buffer is not writable");
        return -1;
    }
    if ((flags & PyBUF_INDIRECT) != PyBUF_INDIRECT) {
        PyErr_SetString(PyExc_BufferError,
                        "need PyBUF_INDIRECT-able buffer-consumer: the rows "
                        "lie apart, each behind a pointer; numpy() gives an "
                        "array, and copy_to() fills one");
        return -1;
    }
    if (door_lend_view(b, view, flags) < 0) {
        return -1;
    }
    view->obj = Py_NewRef(self); /* which keeps the Buffer */
    Py_DECREF(OBJECT(b));
    if (view->format != NULL) {
        view->format = PyBytes_AsString(((Memory2D *)self)->format);
    }
    return 0;
}

static void
memory2d_releasebuffer(PyObject *self, Py_buffer *view)
{
    /* Of a class with a __buffer__ of its own Python gives back here what it has
     * from there. */
    if (view->obj == self) {
        door_releasebuffer(OBJECT(memory2d_buffer(self)), view);
    }
}

/* ---- changes while nothing is lent --------------------------------------------------------- */

static int
unlocked(const Buffer *b)
{
    if (b->exports > 0) {
        PyErr_SetString(PyExc_BufferError, "buffer is locked");
        return -1;
    }
    return 0;
}

/* The bytes of a row as items of another type. */
static int
recolumn(Buffer *b, Element *e)
{
    Py_ssize_t row = b->shape[1] * b->element->itemsize;
    if (row % e->itemsize != 0) {
        PyErr_Format(PyExc_BufferError,
                     "a row has %zd bytes, which is no whole number of items of "
                     "%zd bytes ('%s')",
                     row, e->itemsize, e->format);
        return -1;
    }
    PyObject *old = OBJECT(b->element);
    b->shape[1] = row / e->itemsize;
    b->strides[1] = e->itemsize;
    b->element = (Element *)Py_NewRef(OBJECT(e));
    Py_DECREF(old);
    return 0;
}

static PyObject *
memory2d_reinterpret(PyObject *self, PyObject *arg)
{
    Memory2D *m = (Memory2D *)self;
    Buffer *b = m->buffer;
    State *st = state_of(OBJECT(b));
    PyObject *text = format_bytes(arg);
    if (text == NULL) {
        return NULL;
    }
    if (strcmp(PyBytes_AsString(text), PyBytes_AsString(m->format)) == 0) {
        Py_DECREF(text);
        Py_RETURN_NONE;
    }
    Element *e = format_read(st, text);
    PyObject *format = e == NULL ? NULL : format_spelled(st, e, text);
    /* Asked after what may run Python. */
    bool done = format != NULL && buffer_open(b) == 0 && unlocked(b) == 0 &&
                recolumn(b, e) == 0;
    if (done) {
        PyObject *old = m->format;
        m->format = Py_NewRef(format);
        Py_DECREF(old);
    }
    Py_XDECREF(format);
    Py_XDECREF(OBJECT(e));
    Py_DECREF(text);
    return done ? Py_NewRef(Py_None) : NULL;
}

static PyObject *
memory2d_make_read_only(PyObject *self, PyObject *Py_UNUSED(unused))
{
    Buffer *b = memory2d_buffer(self);
    if (!b->readonly) {
        if (unlocked(b) < 0) {
            return NULL;
        }
        b->readonly = true;
    }
    Py_RETURN_NONE;
}

/* ---- what the Buffer answers ----------------------------------------------------------------- */

static PyObject *
ask(PyObject *self, const char *method, PyObject *args, PyObject *kwargs)
{
    PyObject *bound = PyObject_GetAttrString(OBJECT(memory2d_buffer(self)), method);
    PyObject *answer = bound == NULL ? NULL : PyObject_Call(bound, args, kwargs);
    Py_XDECREF(bound);
    return answer;
}

/* The same for what makes a view: locked meanwhile, for NumPy's import may run
 * what it likes, and other threads. */
static PyObject *
ask_for_view(PyObject *self, const char *method, PyObject *args,
             PyObject *kwargs)
{
    Buffer *b = memory2d_buffer(self);
    buffer_lend(b);
    PyObject *answer = ask(self, method, args, kwargs);
    buffer_unlend(b);
    buffer_unlend_pointer(b);
    return answer;
}

static PyObject *
memory2d_numpy(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return ask_for_view(self, "numpy", args, kwargs);
}

static PyObject *
memory2d_row(PyObject *self, PyObject *args)
{
    return ask_for_view(self, "row", args, NULL);
}

static PyObject *
memory2d_close(PyObject *self, PyObject *args, PyObject *kwargs)
{
    return ask(self, "close", args, kwargs);
}

static PyObject *
memory2d_enter(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return buffer_open(memory2d_buffer(self)) < 0 ? NULL : Py_NewRef(self);
}

static PyObject *
memory2d_exit(PyObject *self, PyObject *args)
{
    return ask(self, "__exit__", args, NULL);
}

static PyObject *
memory2d_sizeof(PyObject *self, PyObject *Py_UNUSED(unused))
{
    PyObject *own = PyObject_GetAttrString(OBJECT(Py_TYPE(self)),
                                           "__basicsize__");
    PyObject *rest = own == NULL ? NULL
                                 : buffer_sizeof(OBJECT(memory2d_buffer(self)), NULL);
    PyObject *sum = rest == NULL ? NULL : PyNumber_Add(own, rest);
    Py_XDECREF(own);
    Py_XDECREF(rest);
    return sum;
}

static PyObject *
memory2d_get_format(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return Py_NewRef(((Memory2D *)self)->format);
}

static PyObject *
get_shape(PyObject *self, void *Py_UNUSED(unused))
{
    /* Of a copy: making a tuple may run the collector, and that a change. */
    const Buffer *b = memory2d_buffer(self);
    Py_ssize_t shape[2] = {b->shape[0], b->shape[1]};
    return tuple_of_dims(shape, 2);
}

static PyObject *
get_readonly(PyObject *self, void *Py_UNUSED(unused))
{
    return PyBool_FromLong(memory2d_buffer(self)->readonly);
}

static PyObject *
get_address(PyObject *self, void *Py_UNUSED(unused))
{
    Buffer *b = memory2d_buffer(self);
    return buffer_open(b) < 0 ? NULL : buffer_address(b);
}

static PyObject *
get_exports(PyObject *self, void *Py_UNUSED(unused))
{
    return PyLong_FromSsize_t(memory2d_buffer(self)->exports);
}

static PyObject *
get_closed(PyObject *self, void *Py_UNUSED(unused))
{
    return PyBool_FromLong(buffer_is_closed(memory2d_buffer(self)));
}

static PyObject *
memory2d_repr(PyObject *self)
{
    const Buffer *b = memory2d_buffer(self);
    PyObject *name = PyType_GetQualName(Py_TYPE(self));
    PyObject *text = NULL;
    if (name != NULL) {
        text = PyUnicode_FromFormat(
            "<pybuf.indirect.%U shape=(%zd, %zd) format='%s' exports=%zd%s%s>",
            name, b->shape[0], b->shape[1],
            PyBytes_AsString(((Memory2D *)self)->format), b->exports,
            b->readonly ? " readonly" : "",
            buffer_is_closed(b) ? " closed" : "");
        Py_DECREF(name);
    }
    return text;
}

/* ---- the type ------------------------------------------------------------------------------------ */

static PyMethodDef memory2d_methods[] = {
    {"copy_from", FAST(memory2d_copy_from),
     "copy_from($self, /, obj, cast=False)\n--\n\n"
     "Copies all items of an exporter of this shape and format into this\n"
     "memory; with cast, of any format with items of this size."},
    {"copy_to", FAST(memory2d_copy_to),
     "copy_to($self, /, obj, cast=False)\n--\n\n"
     "Copies all items into an exporter, likewise."},
    {"_make_read_only", memory2d_make_read_only, METH_NOARGS,
     "Refuses writers from now on."},
    {"get_format", memory2d_get_format, METH_NOARGS,
     "get_format($self, /)\n--\n\n"
     "The format of an item as views carry it, bytes: as it was spelled."},
    {"_reinterpret", memory2d_reinterpret, METH_O,
     "The same bytes as items of another format."},
    {"numpy", (PyCFunction)(void (*)(void))memory2d_numpy,
     METH_VARARGS | METH_KEYWORDS,
     "numpy($self, /, *, copy=None)\n--\n\n"
     "The items as an ndarray: a view if the rows lie at even distances, as\n"
     "those of create_memory() do, else a copy. copy=False raises BufferError\n"
     "where it would have to copy; copy=True always copies."},
    {"row", memory2d_row, METH_VARARGS,
     "row($self, i, /)\n--\n\n"
     "A Buffer over row i, not copied, counted as one export."},
    {"close", (PyCFunction)(void (*)(void))memory2d_close,
     METH_VARARGS | METH_KEYWORDS,
     "close($self, /, *, strict=False)\n--\n\n"
     "Says \"I am done\"; True if the memory is gone now. As Buffer.close()."},
    {"__enter__", memory2d_enter, METH_NOARGS,
     "__enter__($self, /)\n--\n\n"
     "This object, unless it is closed."},
    {"__exit__", memory2d_exit, METH_VARARGS,
     "__exit__($self, /, *args)\n--\n\n"
     "Closes, as close() does: views stay valid, and nothing is raised."},
    {"__sizeof__", memory2d_sizeof, METH_NOARGS,
     "__sizeof__($self, /)\n--\n\n"
     "Bytes of this object, and of memory that pybuf made for it."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef memory2d_getset[] = {
    {"shape", get_shape, NULL, "Rows and columns, a tuple.", NULL},
    {"readonly", get_readonly, NULL, "Whether writers are refused.", NULL},
    {"address", get_address, NULL, "Address of the table of rows, for a "
     "function of C that takes T**. Reading it lends a pointer: the memory then "
     "lives as long as this object.", NULL},
    {"exports", get_exports, NULL, "Views that are alive.", NULL},
    {"closed", get_closed, NULL, "Whether close() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef memory2d_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Memory2D, weakrefs), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyType_Slot memory2d_slots[] = {
    {Py_tp_doc, (void *)"Rows and columns behind a table of pointers: the base "
                        "of pybuf.indirect.IndirectMemory2D."},
    {Py_tp_new, memory2d_tp_new},
    {Py_tp_dealloc, memory2d_dealloc},
    {Py_tp_traverse, memory2d_traverse},
    {Py_tp_repr, memory2d_repr},
    {Py_tp_methods, memory2d_methods},
    {Py_tp_members, memory2d_members},
    {Py_tp_getset, memory2d_getset},
    {Py_bf_getbuffer, memory2d_getbuffer},
    {Py_bf_releasebuffer, memory2d_releasebuffer},
    {0, NULL},
};

PyType_Spec indirect_spec = {
    .name = "pybuf._core.IndirectBase",
    .basicsize = sizeof(Memory2D),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = memory2d_slots,
};
