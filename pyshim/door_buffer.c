/* door_buffer.c: the buffer protocol, PEP 3118.
 *
 * Rules: the tables "Buffer request types" of the C-API documentation. The
 * answer comes from the object alone; nothing is allocated and Go is not
 * entered. Shape, strides and format that a view points to live as long as
 * the object, which the view keeps alive. */
#include "shim.h"

/* A request that is composed of several bits asks for all of them. */
static bool
asks(int flags, int request)
{
    return (flags & request) == request;
}

static int
deny(const char *reason)
{
    PyErr_SetString(PyExc_BufferError, reason);
    return -1;
}

/* Whether the request is granted without a closer look: C-ordered memory
 * grants every request but these. What this refuses is judged, and what is
 * refused there is explained. */
static bool
plainly_granted(const Buffer *b, int flags)
{
    const int doubtful = (b->readonly ? PyBUF_WRITABLE : 0) |
                         (PyBUF_F_CONTIGUOUS & ~PyBUF_STRIDES);
    return (b->contiguous & PYBUF_C_CONTIGUOUS) &&
           (flags & doubtful) == 0 && (flags & PyBUF_ND) &&
           b->suboffsets == NULL;
}

/* Whether the request can be answered at all. */
static int
judge(const Buffer *b, int flags)
{
    bool c = b->contiguous & PYBUF_C_CONTIGUOUS;
    bool f = b->contiguous & PYBUF_F_CONTIGUOUS;
    if (asks(flags, PyBUF_WRITABLE) && b->readonly) {
        return deny("a writable view was asked for and the Buffer is "
                      "read-only");
    }
    if (b->suboffsets != NULL && !asks(flags, PyBUF_INDIRECT)) {
        return deny("the memory is indirect (it has suboffsets) and the "
                      "consumer did not ask with PyBUF_INDIRECT");
    }
    if (asks(flags, PyBUF_C_CONTIGUOUS) && !c) {
        return deny("C-contiguous memory was asked for and this is not");
    }
    if (asks(flags, PyBUF_F_CONTIGUOUS) && !f) {
        return deny("Fortran-contiguous memory was asked for and this is "
                      "not");
    }
    if (asks(flags, PyBUF_ANY_CONTIGUOUS) && !c && !f) {
        return deny("contiguous memory was asked for and this is not");
    }
    if (!asks(flags, PyBUF_STRIDES) && !c) {
        return deny("the consumer did not ask for strides and the memory "
                      "is not C-contiguous");
    }
    if (asks(flags, PyBUF_FORMAT) && !asks(flags, PyBUF_ND)) {
        return deny("a format was asked for without a shape (PyBUF_FORMAT "
                      "without PyBUF_ND), which leaves the items unknown");
    }
    return 0;
}

int
door_lend_view(Buffer *b, Py_buffer *view, int flags)
{
    if (!plainly_granted(b, flags) && judge(b, flags) < 0) {
        view->obj = NULL; /* what a consumer may rely on after a failure */
        return -1;
    }
    /* A scalar has no shape, no strides: the documentation asks for NULL. */
    bool shaped = asks(flags, PyBUF_ND);
    bool pointers = shaped && b->ndim > 0;
    view->buf = b->mem.data;
    view->obj = Py_NewRef(OBJECT(b));
    view->len = b->nbytes;
    view->itemsize = b->element->itemsize;
    view->readonly = b->readonly;
    view->ndim = shaped ? b->ndim : 1;
    view->format = asks(flags, PyBUF_FORMAT) ? b->element->format : NULL;
    view->shape = pointers ? b->shape : NULL;
    view->strides =
        pointers && asks(flags, PyBUF_STRIDES) ? b->strides : NULL;
    view->suboffsets = b->suboffsets;
    view->internal = NULL;
    buffer_lend(b);
    return trace_concerns(b->ledger) ? trace_view(b, view) : 0;
}

int
door_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    Buffer *b = (Buffer *)self;
    if (buffer_is_closed(b)) {
        view->obj = NULL;
        return buffer_open(b);
    }
    return door_lend_view(b, view, flags);
}

void
door_releasebuffer(PyObject *self, Py_buffer *view)
{
    Buffer *b = (Buffer *)self;
    buffer_unlend(b);
    if (trace_concerns(b->ledger)) {
        trace_view_end(b, view);
    }
}
