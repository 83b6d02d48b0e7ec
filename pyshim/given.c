/* given.c: memory in the words of C becomes a Buffer or an ndarray.
 *
 * From the call on the memory is ours: so whatever fails gives it back, once. */
#include "indirect.h"
#include "keep.h"

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

/* Strides as Go judges them. A loop asks about one layout again and again: the last
 * answer is kept. */
static int
judge_strides(State *st, Layout *l, Py_ssize_t itemsize)
{
    Judged *last = &st->judged;
    size_t size = (size_t)l->ndim * sizeof l->shape[0];
    bool small = l->ndim <= KEEP_DIMS;
    if (small && last->itemsize == itemsize && last->ndim == l->ndim &&
        memcmp(last->shape, l->shape, size) == 0 &&
        memcmp(last->strides, l->strides, size) == 0) {
        l->nbytes = last->nbytes;
        l->low = last->low;
        l->high = last->high;
        l->flags = last->flags;
        return 0;
    }
    if (layout_strided(l, itemsize) < 0) {
        return -1;
    }
    if (small) {
        *last = (Judged){.itemsize = itemsize,
                         .ndim = l->ndim,
                         .flags = l->flags,
                         .nbytes = l->nbytes,
                         .low = l->low,
                         .high = l->high};
        memcpy(last->shape, l->shape, size);
        memcpy(last->strides, l->strides, size);
    }
    return 0;
}

static int
given_layout(State *st, const Given *g, Element **e, Layout *l)
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
    return strided ? judge_strides(st, l, (*e)->itemsize)
                   : layout_contiguous(l, (*e)->itemsize, 'C');
}

/* ---- a Buffer ------------------------------------------------------------------- */

static int
given_place(const Given *g, const Layout *l)
{
    if (g->data == NULL && l->high != l->low) {
        return layout_refuse_null(g->function, "data", l->high - l->low);
    }
    return g->data == NULL
               ? 0
               : layout_reaches(g->function, g->data, l->low, l->high);
}

static Buffer *
over(State *st, const Given *g, Element *e, const Layout *l)
{
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

/* ---- an ndarray without one ---------------------------------------------------------- */

static bool
needs_no_buffer(const State *st, const Given *g, const Element *e,
                const Layout *l)
{
    return (g->flags & PYBUF_ARRAY) != 0 && g->release != NULL && !g->tables &&
           l->nbytes > 0 && keep_suits(st, l->ndim, e);
}

static PyObject *
array_over(State *st, const Given *g, Element *e, const Layout *l)
{
    char *data = g->data;
    return keep_array(st, e, l->ndim, l->shape, l->strides, data + l->low,
                      l->high - l->low, data, (g->flags & PYBUF_READONLY) != 0,
                      g->release, g->arg);
}

/* ---- either ---------------------------------------------------------------------------- */

/* *taken: the memory is somebody's, who gives it back also if this fails. *span is
 * how many bytes the layout has, where it is known. */
static PyObject *
make(State *st, const Given *g, bool *taken, Py_ssize_t *span)
{
    Layout l;
    PyObject *made = NULL;
    PyObject *held = here_hold(st);
    bool array = (g->flags & PYBUF_ARRAY) != 0;
    Element *e = judge(g) < 0 || (array && numpy_find(st) < 0)
                     ? NULL
                     : element_spelled(st, g->format);
    if (e != NULL && given_layout(st, g, &e, &l) == 0) {
        *span = l.high - l.low;
        if (given_place(g, &l) < 0) {
            ;
        }
        else if (needs_no_buffer(st, g, e, &l)) {
            *taken = true;
            made = array_over(st, g, e, &l);
        }
        else {
            Buffer *b = over(st, g, e, &l);
            *taken = b != NULL;
            made = given_as(st, b, g->flags);
        }
    }
    Py_XDECREF(OBJECT(e));
    Py_DECREF(held);
    return made;
}

PyObject *
given_result(State *st, const Given *g)
{
    bool taken = false;
    Py_ssize_t span = 0;
    PyObject *made = st == NULL ? NULL : make(st, g, &taken, &span);
    if (!taken && g->release != NULL) {
        memory_call_native((NativeRelease)g->release, g->data, span, g->arg);
    }
    return made;
}
