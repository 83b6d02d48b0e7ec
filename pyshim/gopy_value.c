/* gopy_value.c: values of gopy modules as exporters. */
#include "gopy.h"

Buffer *
gopy_view(GopyLibrary *library, int64_t handle)
{
    uint64_t d = library->go->view(handle);
    if (d == 0) {
        PyErr_NoMemory();
        return NULL;
    }
    return adopt_descriptor(state_of(OBJECT(library)),
                            (pybuf_descriptor *)(uintptr_t)d);
}

/* The slice may move or go while views live: so what is lent is a Buffer of its
 * memory as it is now, and each view holds that. */
static int
value_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    int64_t handle;
    Buffer *b = NULL;
    view->obj = NULL;
    GopyLibrary *library = gopy_library_of(self);
    if (library == NULL) {
        return -1;
    }
    if (gopy_check_alive(library, PyExc_BufferError) == 0 &&
        gopy_handle(self, &handle) == 0) {
        b = gopy_view(library, handle);
    }
    int failed = -1;
    if (b != NULL && b->suboffsets != NULL) {
        /* NumPy asks for such memory and then does not take it. */
        PyErr_SetString(PyExc_BufferError,
                        "the rows of this slice lie apart, each at an address "
                        "of its own: take one row, make the slice by "
                        "pybuf.Matrix in Go, or take pybuf.gopy.view() of it");
    }
    else if (b != NULL) {
        failed = PyObject_GetBuffer(OBJECT(b), view, flags);
    }
    Py_XDECREF(OBJECT(b));
    Py_DECREF(OBJECT(library));
    return failed;
}

static PyType_Slot value_slots[] = {
    {Py_tp_doc, (void *)"A Go value that lends its memory: the base that "
                        "pybuf.gopy.enable() gives to gopy's classes."},
    {Py_bf_getbuffer, value_getbuffer},
    {0, NULL},
};

PyType_Spec gopy_value_spec = {
    .name = "pybuf._core.GopyValue",
    .basicsize = sizeof(PyObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = value_slots,
};
