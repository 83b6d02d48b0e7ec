/* keep.c: the base of an ndarray that C code made of its memory in one call.
 *
 * A Buffer could be asked for more views, so it has more to remember than there
 * is to do for one array. A Keep knows how its memory goes, and what inspection
 * tells of it; it ends with the array, and is nothing that the collector would
 * have to look at. */
#include "keep.h"

#include <stdlib.h>

static Keep *
keep_at(Place *place)
{
    return (Keep *)((char *)place - offsetof(Keep, place));
}

/* ---- the end ---------------------------------------------------------------- */

void
keep_give_back(pybuf_release release, void *data, Py_ssize_t nbytes, void *arg)
{
    if (release == NULL) {
        free(arg);
    }
    else {
        memory_call_native((NativeRelease)release, data, nbytes, arg);
    }
}

static Source
source_of(const Keep *keep)
{
    return keep->release == NULL ? SOURCE_C : SOURCE_FOREIGN;
}

static void
tell_of_end(const Keep *keep)
{
    Memory mem = {.data = keep->data,
                  .block_size = keep->nbytes,
                  .source = source_of(keep)};
    trace_untold(keep->ledger, &mem);
}

/* It is in every loop: so it stands in the dealloc. */
__attribute__((always_inline)) static inline void
end(Keep *keep)
{
    Ledger *ledger = keep->ledger;
    ledger->freed++;
    ledger->live_bytes -= keep->nbytes;
    ring_remove(&keep->place.ring);
    if (trace_concerns(ledger)) {
        tell_of_end(keep);
    }
    ledger->ending++;
    keep_give_back(keep->release, keep->data, keep->nbytes, keep->arg);
    ledger->ending--;
    Py_DECREF(OBJECT(keep->element));
    State *st = ledger->st; /* now: what was called may have ended it */
    ledger_drop(ledger);
    spare_give(st, SPARE_KEEP, OBJECT(keep));
}

void
keep_end(Place *place)
{
    end(keep_at(place));
}

/* A count of the interpreter's is asked first, for to ask for what is the thread's
 * own takes longer. It may count ends in other threads: then they are nested
 * sooner than they need be. */
static void
keep_dealloc(PyObject *self)
{
    Keep *keep = (Keep *)self;
    if (__builtin_expect(keep->ledger->ending < NESTING_MAX, 1)) {
        end(keep);
    }
    else {
        nest_end(keep->ledger, &keep->place);
    }
}

/* ---- the beginning, where it is in keep.h --------------------------------------- */

PyObject *
keep_ask_descr(State *st, Element *e)
{
    PyObject *held = here_hold(st);
    PyObject *descr = element_descr(st, e);
    Py_DECREF(held);
    return descr;
}

/* ---- what it is to others ------------------------------------------------------- */

bool
keep_look(Place *place, Live *out)
{
    Keep *keep = keep_at(place);
    if (Py_REFCNT(OBJECT(keep)) == 0) {
        return false;
    }
    out->address = keep->data;
    out->nbytes = keep->nbytes;
    out->exports = 1; /* the array */
    out->element = keep->element;
    out->ndim = keep->ndim;
    out->shape = keep->shape;
    out->strides = keep->packed ? out->packed : keep->strides;
    out->source = source_of(keep);
    out->readonly = keep->readonly;
    out->closed = false;
    out->buffer = NULL;
    Py_ssize_t step = keep->element->itemsize;
    for (int i = keep->ndim - 1; i >= 0; i--) {
        out->packed[i] = step;
        step *= keep->shape[i];
    }
    return true;
}

/* NumPy asks the base of an array whether it may be made writable again. */
static int
keep_getbuffer(PyObject *self, Py_buffer *view, int flags)
{
    Keep *keep = (Keep *)self;
    return PyBuffer_FillInfo(view, self, keep->low, keep->nbytes,
                             keep->readonly, flags);
}

static PyObject *
keep_repr(PyObject *self)
{
    const Keep *keep = (Keep *)self;
    return PyUnicode_FromFormat("<keep of %zd bytes at %p>", keep->nbytes,
                                (void *)keep->low);
}

static PyType_Slot keep_slots[] = {
    {Py_tp_doc, "The base of an array that C code made of its memory."},
    {Py_tp_dealloc, keep_dealloc},
    {Py_tp_repr, keep_repr},
    {Py_bf_getbuffer, keep_getbuffer},
    {0, NULL},
};

PyType_Spec keep_spec = {
    .name = "pybuf._core._Keep",
    .basicsize = sizeof(Keep),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = keep_slots,
};
