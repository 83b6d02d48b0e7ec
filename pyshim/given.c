/* given.c: memory in the words of C becomes a Buffer or an ndarray.
 *
 * From the call on the memory is ours: so whatever fails gives it back, once. */
#include "indirect.h"
#include "capi.h"

/* ---- what may be said ---------------------------------------------------------- */

int
given_flags(const char *function, int flags, int known)
{
    if ((flags & ~known) == 0) {
        return 0;
    }
    PyErr_Format(PyExc_ValueError,
                 "%s(): flags is 0x%x, and of these bits 0x%x mean nothing "
                 "here; pybuf.h says what each does",
                 function, flags, flags & ~known);
    return -1;
}

int
given_keeper(const Given *g)
{
    bool kept = g->release != NULL ||
                (g->owner != NULL && g->owner != Py_None);
    bool unowned = (g->flags & PYBUF_UNOWNED) != 0;
    if (kept != unowned) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError,
                 kept ? "%s(): PYBUF_UNOWNED says that nobody is to be kept or "
                        "called, and an owner or a release was given"
                      : "%s() needs to know who frees this memory: give a "
                        "release or an owner, or PYBUF_UNOWNED if it outlives "
                        "every view",
                 g->function);
    return -1;
}

static int
given_layout(const Given *g, Element **e, Layout *l)
{
    bool strided = g->strides != NULL;
    if (layout_given(l, g->function, "the memory", g->ndim, g->shape,
                     g->strides) < 0 ||
        layout_element(l, e, strided) < 0) {
        return -1;
    }
    if (g->tables) {
        return tables_layout(l, (*e)->itemsize, g->levels);
    }
    return strided ? layout_strided(l, (*e)->itemsize)
                   : layout_contiguous(l, (*e)->itemsize, 'C');
}

/* ---- a Buffer ------------------------------------------------------------------- */

static Buffer *
over(State *st, const Given *g, Element *e, const Layout *l)
{
    if (g->data == NULL && l->high != l->low) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): data is NULL and the layout has %zd bytes; NULL "
                     "can stand for zero bytes only",
                     g->function, l->high - l->low);
        return NULL;
    }
    if (g->data != NULL &&
        layout_reaches(g->function, g->data, l->low, l->high) < 0) {
        return NULL;
    }
    Buffer *b = buffer_blank(st);
    if (b == NULL) {
        return NULL;
    }
    Memory *mem = &b->mem;
    mem->data = g->data != NULL ? g->data : memory_nowhere();
    mem->block = g->data;
    mem->block_size = l->high - l->low;
    mem->align = 0;
    mem->source = SOURCE_FOREIGN;
    mem->native = (NativeRelease)g->release;
    mem->arg = g->arg;
    mem->release = g->release != NULL ? RELEASE_NATIVE : RELEASE_NOTHING;
    if (g->owner != NULL && g->owner != Py_None) {
        mem->owner = Py_NewRef(g->owner);
    }
    if ((g->tables && tables_check(mem->data, l, g->function) < 0) ||
        buffer_fill(st, b, e, l, (g->flags & PYBUF_READONLY) != 0) < 0) {
        mem->release = RELEASE_GONE; /* nothing was taken */
        Py_CLEAR(mem->owner);
        Py_CLEAR(b);
    }
    return b;
}

static int
judge(const Given *g)
{
    if (given_flags(g->function, g->flags,
                    PYBUF_READONLY | PYBUF_ARRAY | PYBUF_UNOWNED) < 0 ||
        given_keeper(g) < 0) {
        return -1;
    }
    if (g->tables && (g->levels < 1 || g->levels > g->ndim)) {
        PyErr_Format(PyExc_ValueError,
                     "%s(): levels is %d and there are %d dimensions; of the "
                     "axes at least one reads pointers, and at most all do",
                     g->function, g->levels, g->ndim);
        return -1;
    }
    return 0;
}

PyObject *
given_as(State *st, Buffer *b, int flags)
{
    if (b == NULL || (flags & PYBUF_ARRAY) == 0) {
        return OBJECT(b);
    }
    PyObject *array = numpy_of(st, b, COPY_NEVER);
    Py_DECREF(OBJECT(b));
    return array;
}

/* *span is how many bytes the layout has, where it is known. */
static Buffer *
make(State *st, const Given *g, Py_ssize_t *span)
{
    Layout l;
    Buffer *b = NULL;
    PyObject *held = here_hold(st);
    Element *e = judge(g) < 0 ? NULL : element_spelled(st, g->format);
    if (e != NULL && given_layout(g, &e, &l) == 0) {
        *span = l.high - l.low;
        b = over(st, g, e, &l);
    }
    Py_XDECREF(OBJECT(e));
    Py_DECREF(held);
    return b;
}

PyObject *
given_result(State *st, const Given *g)
{
    Py_ssize_t span = 0;
    Buffer *b = st == NULL ? NULL : make(st, g, &span);
    if (b == NULL && g->release != NULL) {
        memory_call_native((NativeRelease)g->release, g->data, span, g->arg);
    }
    return given_as(st, b, g->flags);
}
