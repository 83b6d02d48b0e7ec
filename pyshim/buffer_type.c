/* buffer_type.c: the type Buffer, put together from the files around. */
#include "shim.h"

static PyMemberDef buffer_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Buffer, weakrefs), READONLY,
     NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyMethodDef buffer_methods[] = {
    {"close", FAST(buffer_close),
     "close($self, /, *, strict=False)\n--\n\n"
     "Says \"I am done\"; True if the memory is gone now.\n\n"
     "Never frees under a view and never raises because of one: memory that\n"
     "was never lent goes at once, other memory with its last view and the\n"
     "last name of this Buffer. A closed Buffer gives no new views.\n\n"
     "strict=True raises BufferError, and changes nothing, when counted\n"
     "views live. It cannot see np.ndarray(buffer=b)."},
    {"resize", buffer_resize, METH_O,
     "resize($self, shape, /)\n--\n\n"
     "Gives the Buffer another shape, with the same items in memory order\n"
     "and zeros behind them. Moves memory, so it is refused with\n"
     "BufferError once anything was lent, and for memory of others."},
    {"cast", FAST(buffer_cast),
     "cast($self, /, dtype, shape=None)\n--\n\n"
     "The same bytes as other items: a Buffer that counts as one export of\n"
     "this one and outlives its close(). C-contiguous memory only; without\n"
     "a shape the result has one axis."},
    {"toreadonly", buffer_toreadonly, METH_NOARGS,
     "toreadonly($self, /)\n--\n\n"
     "The same memory, refused to writers: a Buffer that counts as one\n"
     "export of this one and outlives its close()."},
    {"row", buffer_row, METH_O,
     "row($self, i, /)\n--\n\n"
     "What index i of the first axis leads to, by a pointer if that axis has\n"
     "them, not copied: a Buffer with one axis less, which counts as one\n"
     "export of this one and outlives its close()."},
    {"numpy", FAST(door_numpy),
     "numpy($self, /, *, copy=None)\n--\n\n"
     "The memory as a numpy.ndarray, not copied, counted as one export\n"
     "until the last array that stands on it is gone.\n\n"
     "Indirect memory is copied, unless its rows lie at even distances.\n"
     "copy=False raises BufferError instead; copy=True always copies."},
    {"tobytes", FAST(buffer_tobytes),
     "tobytes($self, /, order='C')\n--\n\n"
     "A copy of the items as bytes, as memoryview.tobytes() gives it."},
    {"tolist", buffer_tolist, METH_NOARGS,
     "tolist($self, /)\n--\n\n"
     "The items as nested lists, as memoryview.tolist() gives them."},
    {"__enter__", buffer_enter, METH_NOARGS,
     "__enter__($self, /)\n--\n\n"
     "This Buffer, unless it is closed."},
    {"__exit__", buffer_exit, METH_VARARGS,
     "__exit__($self, /, *args)\n--\n\n"
     "Closes, as close() does: views stay valid, and nothing is raised."},
    {"__sizeof__", buffer_sizeof, METH_NOARGS,
     "__sizeof__($self, /)\n--\n\n"
     "Bytes of this object, and of its memory where pybuf made it: of the\n"
     "sources \"c\" and \"go\"."},
    {"__copy__", buffer_copy, METH_NOARGS,
     "__copy__($self, /)\n--\n\n"
     "A Buffer with the same items in memory of its own, without gaps. Shape,\n"
     "format, order, alignment, read-only and memory of Go's are kept."},
    {"__deepcopy__", buffer_copy, METH_O,
     "__deepcopy__($self, memo, /)\n--\n\n"
     "The same as __copy__."},
    {"__reduce_ex__", door_reduce_ex, METH_O,
     "__reduce_ex__($self, protocol, /)\n--\n\n"
     "Pickles the items; from protocol 5 on out of band, without a copy."},
    {"__dlpack__", FAST(door_dlpack),
     "__dlpack__($self, /, *, stream=None, max_version=None, dl_device=None, "
     "copy=None)\n--\n\n"
     "A DLPack capsule over the memory, counted as one export until the\n"
     "consumer deletes it."},
    {"__dlpack_device__", door_dlpack_device, METH_NOARGS,
     "__dlpack_device__($self, /)\n--\n\n"
     "(1, 0): the memory is the CPU's."},
    {"__arrow_c_array__", FAST(door_arrow),
     "__arrow_c_array__($self, /, requested_schema=None)\n--\n\n"
     "Arrow capsules (schema, array) over the memory, counted as one export\n"
     "until the consumer releases them. One axis without gaps."},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(buffer_doc,
"Foreign memory lent to Python: an exporter of the buffer protocol.\n\n"
"Made by pybuf.empty, zeros, copy and wrap, and by Layouts. The memory is\n"
"freed exactly once, when the last array, memoryview or slice of it is gone.");

static PyType_Slot buffer_slots[] = {
    {Py_tp_doc, (void *)buffer_doc},
    {Py_tp_dealloc, buffer_dealloc},
    {Py_tp_traverse, buffer_traverse},
    {Py_tp_finalize, buffer_finalize},
    {Py_tp_repr, buffer_repr},
    {Py_tp_hash, buffer_hash},
    {Py_tp_richcompare, buffer_richcompare},
    {Py_tp_iter, buffer_iter},
    {Py_tp_methods, buffer_methods},
    {Py_tp_members, buffer_members},
    {Py_tp_getset, buffer_getset},
    {Py_sq_length, buffer_len},
    {Py_sq_item, buffer_item},
    {Py_mp_length, buffer_len},
    {Py_mp_subscript, buffer_subscript},
    {Py_mp_ass_subscript, buffer_ass_subscript},
    {Py_bf_getbuffer, door_getbuffer},
    {Py_bf_releasebuffer, door_releasebuffer},
    {0, NULL},
};

/* Final, made by the functions only, and without tp_clear: like a tuple it
 * cannot let go of its owner while somebody may look at the memory; the
 * cycles that it is in are cleared through the other objects. */
PyType_Spec buffer_spec = {
    .name = "pybuf.Buffer",
    .basicsize = sizeof(Buffer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = buffer_slots,
};
