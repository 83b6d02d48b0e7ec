/* buffer.c: the Buffer as an object: how it is made, lent, closed and ended. */
#include "shim.h"

#include <stdlib.h>

/* ---- making ---------------------------------------------------------------- */

int
buffer_set_dims(Buffer *b, const Layout *l)
{
    size_t n = (size_t)l->ndim;
    size_t rows = l->indirect ? 3 : 2;
    Py_ssize_t *dims = b->inline_dims;
    if (rows * n > INLINE_DIMS) {
        dims = malloc(rows * n * sizeof *dims);
        if (dims == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    if (b->shape != NULL && b->shape != b->inline_dims) {
        free(b->shape);
    }
    b->ndim = l->ndim;
    b->shape = dims;
    b->strides = dims + n;
    b->suboffsets = l->indirect ? dims + 2 * n : NULL;
    for (size_t i = 0; i < n; i++) {
        b->shape[i] = l->shape[i];
        b->strides[i] = l->strides[i];
        if (l->indirect) {
            b->suboffsets[i] = l->suboffsets[i];
        }
    }
    b->nbytes = l->nbytes;
    b->contiguous = (unsigned char)l->flags;
    return 0;
}

void
buffer_get_layout(const Buffer *b, Layout *l)
{
    l->ndim = b->ndim;
    l->flags = b->contiguous;
    l->indirect = b->suboffsets != NULL;
    l->nbytes = b->nbytes;
    for (int i = 0; i < b->ndim; i++) {
        l->shape[i] = b->shape[i];
        l->strides[i] = b->strides[i];
        if (l->indirect) {
            l->suboffsets[i] = b->suboffsets[i];
        }
    }
}

/* The collector has nothing to do with a Buffer that holds no Python object,
 * nor with a view of such a Buffer. */
static bool
can_be_in_a_cycle(const Memory *mem)
{
    if (mem->release == RELEASE_PARENT) {
        return ((Buffer *)mem->owner)->tracked;
    }
    return mem->owner != NULL || mem->callback != NULL;
}

Buffer *
buffer_blank(State *st)
{
    Buffer *b = PyObject_GC_New(Buffer, st->buffer_type);
    if (b == NULL) {
        return NULL;
    }
    b->mem.release = RELEASE_GONE;
    b->mem.tracked = false;
    b->mem.callback = NULL;
    b->mem.owner = NULL;
    b->history = NULL;
    b->root = b;
    b->place.is_keep = false;
    b->element = NULL;
    b->shape = NULL;
    b->exports = 0;
    b->lends = 0;
    b->lends_traversed = 0;
    b->finalized = false;
    b->finalize_spent = false;
    b->keeper = NULL;
    b->views = 0;
    b->closed = false;
    b->tracked = false;
    b->ledger = NULL;
    b->weakrefs = NULL;
    return b;
}

int
buffer_fill(State *st, Buffer *b, Element *e, const Layout *l, bool readonly)
{
    if (buffer_set_dims(b, l) < 0) {
        return -1;
    }
    b->readonly = readonly;
    b->element = (Element *)Py_NewRef(OBJECT(e));
    if (b->mem.release == RELEASE_PARENT) {
        b->root = ((Buffer *)b->mem.owner)->root;
        ring_init(&b->place.ring);
    }
    else {
        ring_add(&st->ledger->live, &b->place.ring);
    }
    b->ledger = st->ledger;
    b->ledger->holders++;
    b->ledger->made++;
    b->ledger->live_bytes += b->mem.block_size;
    b->tracked = can_be_in_a_cycle(&b->mem);
    if (b->tracked) {
        PyObject_GC_Track(b);
    }
    if (trace_concerns(b->ledger) && b->mem.release != RELEASE_PARENT) {
        trace_made(b);
    }
    return 0;
}

Buffer *
buffer_new(State *st, Element *e, const Layout *l, const Memory *mem,
           bool readonly)
{
    Buffer *b = buffer_blank(st);
    if (b == NULL) {
        return NULL;
    }
    b->mem = *mem;
    if (buffer_fill(st, b, e, l, readonly) < 0) {
        b->mem.release = RELEASE_GONE; /* still the caller's */
        Py_CLEAR(b);
    }
    return b;
}

/* ---- ending ---------------------------------------------------------------- */

/* The line comes first, so that one about the same address cannot overtake it.
 * Python runs then, to which the memory is gone already. */
static void
give_back_traced(Buffer *b)
{
    Memory last = b->mem;
    b->mem.release = RELEASE_GONE;
    b->mem.data = NULL;
    b->mem.callback = NULL;
    b->mem.owner = NULL;
    trace_free(b, &last);
    memory_release(&last);
}

static void
give_back(Buffer *b)
{
    if (b->mem.release == RELEASE_GONE || b->mem.release == RELEASE_LEFT) {
        return;
    }
    b->ledger->freed++;
    b->ledger->live_bytes -= b->mem.block_size;
    ring_remove(&b->place.ring);
    if (trace_concerns(b->ledger)) {
        give_back_traced(b);
    }
    else {
        memory_release(&b->mem);
    }
}

/* The same for a view of another Buffer, whose memory is gone only if nobody
 * else holds a Buffer on the way to it. */
static void
leave_parent(Buffer *b)
{
    PyObject *above = b->mem.owner;
    while (Py_REFCNT(above) == 1 &&
           ((Buffer *)above)->mem.release == RELEASE_PARENT) {
        above = ((Buffer *)above)->mem.owner;
    }
    bool gone = Py_REFCNT(above) == 1;
    b->root = b; /* first: the root may go, and callbacks look at this one */
    give_back(b);
    b->mem.release = gone ? RELEASE_GONE : RELEASE_LEFT;
}

static void
destroy(Buffer *b)
{
    PyTypeObject *type = Py_TYPE((PyObject *)b);
    give_back(b);
    if (b->shape != NULL && b->shape != b->inline_dims) {
        free(b->shape);
    }
    if (b->history != NULL) {
        history_free(b);
    }
    if (b->ledger != NULL) {
        ledger_drop(b->ledger);
    }
    keeper_drop(b->keeper);
    Py_XDECREF(OBJECT(b->element));
    PyObject_GC_Del(b);
    Py_DECREF(OBJECT(type));
}

void
buffer_end(Place *place)
{
    destroy((Buffer *)((char *)place - offsetof(Buffer, place)));
}

void
buffer_dealloc(PyObject *self)
{
    Buffer *b = (Buffer *)self;
    if (b->tracked) {
        PyObject_GC_UnTrack(self);
    }
    if (b->weakrefs != NULL) {
        PyObject_ClearWeakRefs(self);
    }
    /* Without one of these nothing else ends with this one. */
    if (b->mem.owner != NULL || b->mem.callback != NULL ||
        b->mem.release == RELEASE_NATIVE ||
        b->mem.release == RELEASE_DESCRIPTOR) {
        nest_end(b->ledger, &b->place);
    }
    else {
        destroy(b);
    }
}

/* The collector empties garbage before its dealloc: a function has no closure
 * then, a bound method's object no attributes, a thunk no code, and calling
 * them ends the process. So the work is done in buffer_finalize, before that.
 * While a view lives it cannot be done there, and what dealloc will call counts
 * as held from outside the collector: the garbage around it stays whole, until
 * the view ends. A view inside of that garbage keeps it. */
static bool
keeps_callback_whole(const Buffer *b)
{
    return b->root->views > 0 || b->finalize_spent;
}

int
buffer_traverse(PyObject *self, visitproc visit, void *arg)
{
    Buffer *b = (Buffer *)self;
    b->lends_traversed = b->lends;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(b->mem.owner);
    Py_VISIT(b->keeper);
    if (!keeps_callback_whole(b)) {
        Py_VISIT(b->mem.callback);
    }
    return 0;
}

/* The Buffer is garbage in a cycle, and the other objects are not yet emptied.
 * A finalizer that ran before this one may have lent the memory again, to a
 * view that lives on and need not be counted: then a later collection is to
 * ask again. */
void
buffer_collected(Buffer *b)
{
    if (b->mem.callback == NULL) {
        return; /* needs no other object: dealloc is early enough */
    }
    PyObject *last = b->keeper;
    b->keeper = NULL;
    if (b->views == 0 && b->lends == b->lends_traversed) {
        b->closed = true;
        give_back(b);
    }
    else {
        b->keeper = keeper_new(state_of(OBJECT(b)), b);
        b->finalize_spent = b->keeper == NULL;
    }
    keeper_drop(last);
}

void
buffer_finalize(PyObject *self)
{
    Buffer *b = (Buffer *)self;
    /* The slot is __del__ to Python, which anybody may call. The collector
     * marks the object first, and comes once. */
    if (PyObject_GC_IsFinalized(self) && !b->finalized) {
        b->finalized = true;
        buffer_collected(b);
    }
}

/* ---- lending --------------------------------------------------------------- */

int
buffer_open(Buffer *b)
{
    if (buffer_is_closed(b)) {
        PyErr_SetString(PyExc_ValueError,
                        "the Buffer is closed: it gives no new views "
                        "(those made before stay valid)");
        return -1;
    }
    return 0;
}

void
buffer_lend_child(Buffer *parent)
{
    parent->exports++;
    parent->lends++;
}

void
buffer_unlend_child(Buffer *parent)
{
    parent->exports--;
}

PyObject *
buffer_address(Buffer *b)
{
    buffer_lend_pointer(b);
    return PyLong_FromVoidPtr(b->mem.data);
}

static PyObject *
close_impl(Buffer *b, bool strict)
{
    if (!b->closed) {
        if (strict && b->exports > 0) {
            char where[TOLD_MAX];
            history_tell(b, b->exports, where, sizeof where);
            PyErr_Format(PyExc_BufferError,
                         "close(strict=True): %zd view%s of this Buffer "
                         "still live%s; nothing was changed%s",
                         b->exports, b->exports == 1 ? "" : "s",
                         b->exports == 1 ? "s" : "",
                         where[0] != '\0'
                             ? where
                             : "; where a pybuf.trace() is on, this names "
                               "those who took them");
            return NULL;
        }
        b->closed = true;
        if (b->lends == 0 && b->exports == 0) {
            if (b->mem.release == RELEASE_PARENT) {
                leave_parent(b);
            }
            else {
                give_back(b);
            }
        }
    }
    return PyBool_FromLong(b->mem.release == RELEASE_GONE);
}

PyObject *
buffer_close(PyObject *self, PyObject *const *args, Py_ssize_t nargs,
             PyObject *kwnames)
{
    static const Signature sig = {
        .function = "close",
        .names = {"strict", NULL},
        .positional = 0,
        .cache = SIG_CLOSE,
    };
    PyObject *arg[1];
    bool strict = false;
    if (args_bind(state_of(self), &sig, args, nargs, kwnames, arg) < 0 ||
        args_bool(arg[0], &strict) < 0) {
        return NULL;
    }
    return close_impl((Buffer *)self, strict);
}

PyObject *
buffer_enter(PyObject *self, PyObject *Py_UNUSED(unused))
{
    return buffer_open((Buffer *)self) < 0 ? NULL : Py_NewRef(self);
}

PyObject *
buffer_exit(PyObject *self, PyObject *Py_UNUSED(args))
{
    PyObject *gone = close_impl((Buffer *)self, false);
    Py_XDECREF(gone);
    return gone == NULL ? NULL : Py_NewRef(Py_None);
}
