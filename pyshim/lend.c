/* lend.c: any exporter as a descriptor, for libraries that know no Python.
 *
 * Two things begin with lend(): a Loan, which holds the view and is what the
 * library sees, and a Lent, which is what Python sees. A loan that nobody took
 * goes with its Lent. One that was taken goes when the library gives it back, on
 * any thread, before the Lent or after it.
 *
 * All of a loan is guarded by the GIL, but for its magic: whoever clears that has
 * the loan. So the Lent takes it like anybody else before it ends it. */
#include "shim.h"

#include <stdlib.h>

typedef struct Lent Lent;

#define INLINE_LOAN_DIMS 8

typedef struct {
    pybuf_descriptor d; /* first: what is lent is its address */
    Py_buffer view;     /* filled here, where its own pointers may lead to */
    Element *element;   /* owned: the format is its text */
    Ledger *ledger;     /* held */
    Lent *lent;         /* borrowed; NULL when it is gone */
    int64_t *dims;      /* inline_dims, or malloc'd */
    int64_t inline_dims[INLINE_LOAN_DIMS];
} Loan;

struct Lent {
    PyObject_HEAD
    Loan *loan; /* NULL: it came back */
    bool shown; /* somebody was told the address */
    bool taken; /* by the library; known when it came back */
};

/* ---- the end of a loan --------------------------------------------------------- */

/* The block is kept for a while, without its magic: a number that somebody still
 * has of it is told from a descriptor then. */
static void
spend(Ledger *ledger, Loan *loan)
{
    unsigned place = ledger->next_spent++ % SPENT_LOANS;
    free(ledger->spent[place]);
    ledger->spent[place] = loan;
}

/* Of a loan that is taken, by us or by somebody who has given it back. */
static void
loan_end(Loan *loan)
{
    Ledger *ledger = loan->ledger;
    Aside aside = aside_put();
    if (loan->lent != NULL) { /* first: what follows may run Python */
        loan->lent->loan = NULL;
        loan->lent = NULL;
    }
    ledger->lent--;
    PyBuffer_Release(&loan->view);
    Py_DECREF(OBJECT(loan->element));
    if (loan->dims != loan->inline_dims) {
        free(loan->dims);
    }
    spend(ledger, loan);
    ledger_drop(ledger);
    aside_return(aside);
}

static void
come_back(void *context)
{
    Loan *loan = context;
    if (loan->lent != NULL) {
        loan->lent->taken = true;
    }
    loan_end(loan);
}

/* What the library calls. */
static void
loan_release(pybuf_descriptor *d)
{
    gil_call(come_back, d);
}

/* ---- the beginning --------------------------------------------------------------- */

/* A view that may be written to if that is wanted. */
static int
get_view(State *st, PyObject *obj, bool writable, Py_buffer *view)
{
    if (!PyObject_CheckBuffer(obj)) {
        return refuse(PyExc_TypeError, obj,
                      "lend(): {} has no buffer protocol; give an array, a "
                      "Buffer, a bytearray or another exporter");
    }
    if (PyObject_GetBuffer(obj, view, writable ? PyBUF_FULL : PyBUF_FULL_RO) ==
        0) {
        return 0;
    }
    if (writable) { /* what exporters say of it is of many kinds */
        Py_buffer other;
        Pending refusal = pending_save();
        bool readable =
            PyObject_GetBuffer(obj, &other, PyBUF_FULL_RO) == 0;
        bool readonly = readable && other.readonly;
        if (readable) {
            PyBuffer_Release(&other);
        }
        if (readonly) {
            pending_drop(refusal);
            return refuse(PyExc_BufferError, obj,
                          "lend(): the memory of {} is read-only, and who gets "
                          "it might write to it: lend it with writable=False");
        }
        PyErr_Clear();
        pending_restore(refusal);
    }
    element_explain(st, obj);
    return -1;
}

static bool
is_indirect(const Layout *l)
{
    for (int i = 0; l->indirect && i < l->ndim; i++) {
        if (l->suboffsets[i] >= 0) {
            return true;
        }
    }
    return false;
}

static int
fill_dims(Loan *loan, const Layout *l)
{
    size_t n = (size_t)l->ndim;
    bool indirect = is_indirect(l);
    size_t count = (indirect ? 3 : 2) * n;
    loan->dims = count > INLINE_LOAN_DIMS ? malloc(count * sizeof *loan->dims)
                                          : loan->inline_dims;
    if (loan->dims == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        loan->dims[i] = l->shape[i];
        loan->dims[n + i] = l->strides[i];
        if (indirect) {
            loan->dims[2 * n + i] = l->suboffsets[i];
        }
    }
    loan->d.ndim = l->ndim;
    if (n > 0) { /* one item alone has none of these */
        loan->d.shape = loan->dims;
        loan->d.strides = loan->dims + n;
        loan->d.suboffsets = indirect ? loan->dims + 2 * n : NULL;
    }
    return 0;
}

/* Of what the view holds; the magic comes last, when there is a Lent. */
static int
fill_loan(State *st, Loan *loan, PyObject *obj, bool writable)
{
    Layout layout;
    loan->element = read_exporter(st, obj, &loan->view, &layout);
    if (loan->element == NULL) {
        return -1;
    }
    if (fill_dims(loan, &layout) < 0) {
        Py_CLEAR(loan->element);
        return -1;
    }
    pybuf_descriptor *d = &loan->d;
    d->version = PYBUF_DESCRIPTOR_VERSION;
    d->flags = writable ? 0 : PYBUF_FLAG_READONLY;
    d->data = loan->view.buf;
    d->itemsize = loan->element->itemsize;
    d->nbytes = layout.nbytes;
    d->format = loan->element->format;
    d->release = loan_release;
    return 0;
}

static Loan *
loan_new(State *st, PyObject *obj, bool writable)
{
    Loan *loan = calloc(1, sizeof *loan);
    if (loan == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    if (get_view(st, obj, writable, &loan->view) < 0) {
        free(loan);
        return NULL;
    }
    if (fill_loan(st, loan, obj, writable) < 0) {
        Pending pending = pending_save(); /* an exporter may run Python */
        PyBuffer_Release(&loan->view);
        pending_restore(pending);
        free(loan);
        return NULL;
    }
    loan->ledger = st->ledger;
    loan->ledger->holders++;
    loan->ledger->lent++;
    return loan;
}

pybuf_descriptor *
lend_descriptor(State *st, PyObject *obj, bool writable)
{
    Loan *loan = gil_can_return("a descriptor") < 0
                     ? NULL
                     : loan_new(st, obj, writable);
    if (loan == NULL) {
        return NULL;
    }
    __atomic_store_n(&loan->d.magic, PYBUF_DESCRIPTOR_MAGIC, __ATOMIC_RELEASE);
    return &loan->d;
}

PyObject *
module_lend(PyObject *module, PyObject *const *args, Py_ssize_t nargs,
            PyObject *kwnames)
{
    static const Signature sig = {.function = "lend",
                                  .names = {"obj", "writable", NULL},
                                  .positional = 1,
                                  .required = 1,
                                  .cache = SIG_LEND};
    State *st = state_of_module(module);
    PyObject *arg[2];
    bool writable = true;
    if (args_bind(st, &sig, args, nargs, kwnames, arg) < 0 ||
        args_bool(arg[1], &writable) < 0 || gil_can_return("a descriptor") < 0) {
        return NULL;
    }
    Loan *loan = loan_new(st, arg[0], writable);
    if (loan == NULL) {
        return NULL;
    }
    Lent *lent = PyObject_GC_New(Lent, st->lent_type);
    if (lent == NULL) {
        loan_end(loan);
        return NULL;
    }
    lent->loan = loan;
    lent->shown = false;
    lent->taken = false;
    loan->lent = lent;
    __atomic_store_n(&loan->d.magic, PYBUF_DESCRIPTOR_MAGIC, __ATOMIC_RELEASE);
    PyObject_GC_Track(lent);
    return OBJECT(lent);
}

/* ---- the Lent ---------------------------------------------------------------------- */

static bool
is_taken(const Lent *lent)
{
    return lent->loan == NULL
               ? lent->taken
               : __atomic_load_n(&lent->loan->d.magic, __ATOMIC_ACQUIRE) !=
                     PYBUF_DESCRIPTOR_MAGIC;
}

/* Gives back what nobody took; from then on nobody can. */
static void
give_back_untaken(Lent *lent)
{
    Loan *loan = lent->loan;
    if (loan != NULL && pybuf_descriptor_take(&loan->d)) {
        loan_end(loan);
    }
}

static void
lent_dealloc(PyObject *self)
{
    Lent *lent = (Lent *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    give_back_untaken(lent);
    if (lent->loan != NULL) {
        lent->loan->lent = NULL;
    }
    PyObject_GC_Del(self);
    Py_DECREF(OBJECT(type));
}

/* The exporter is the Lent's while nobody can have taken the loan. The magic
 * alone would not do: the collector goes through an object twice, and between the
 * two a thread without the GIL could take it. There is no tp_clear: an exporter
 * that leads back here is older than this, and something on the way has one. */
static int
lent_traverse(PyObject *self, visitproc visit, void *arg)
{
    Lent *lent = (Lent *)self;
    Py_VISIT(Py_TYPE(self));
    if (lent->loan != NULL && !lent->shown) {
        Py_VISIT(lent->loan->view.obj);
    }
    return 0;
}

static PyObject *
lent_address(PyObject *self)
{
    Lent *lent = (Lent *)self;
    bool taken = is_taken(lent);
    if (taken || lent->loan == NULL) {
        PyErr_Format(PyExc_ValueError,
                     "the descriptor was %s, and each is taken over once: "
                     "lend() the memory again",
                     taken ? "taken over before"
                           : "given back before anybody took it over");
        return NULL;
    }
    lent->shown = true;
    return PyLong_FromVoidPtr(&lent->loan->d);
}

static PyObject *
lent_parameter(PyObject *self, void *Py_UNUSED(unused))
{
    State *st = state_of(self);
    PyObject *address = lent_address(self);
    if (address == NULL) {
        return NULL;
    }
    PyObject *wrap =
        import_once(&st->parameter, "pybuf._parameter", "parameter");
    PyObject *result =
        wrap == NULL ? NULL : PyObject_CallFunctionObjArgs(wrap, address, NULL);
    Py_DECREF(address);
    return result;
}

static PyObject *
lent_taken(PyObject *self, void *Py_UNUSED(unused))
{
    return PyBool_FromLong(is_taken((Lent *)self));
}

static PyObject *
lent_returned(PyObject *self, void *Py_UNUSED(unused))
{
    return PyBool_FromLong(((Lent *)self)->loan == NULL);
}

static PyObject *
lent_enter(PyObject *self, PyObject *Py_UNUSED(unused))
{
    if (((Lent *)self)->loan == NULL) {
        Py_XDECREF(lent_address(self)); /* says why */
        return NULL;
    }
    return Py_NewRef(self);
}

static PyObject *
lent_exit(PyObject *self, PyObject *Py_UNUSED(args))
{
    give_back_untaken((Lent *)self);
    Py_RETURN_NONE;
}

static PyObject *
lent_repr(PyObject *self)
{
    const Lent *lent = (Lent *)self;
    const Loan *loan = lent->loan;
    if (loan == NULL) {
        return PyUnicode_FromFormat("<pybuf.Lent: %s>",
                                    lent->taken ? "it was taken over, and came back"
                                                : "nobody took it, and it was "
                                                  "given back");
    }
    PyObject *shape = tuple_of_dims(loan->dims, loan->d.ndim);
    PyObject *text =
        shape == NULL
            ? NULL
            : PyUnicode_FromFormat(
                  "<pybuf.Lent shape=%R format='%s'%s: %s>", shape,
                  loan->element->format,
                  loan->d.flags & PYBUF_FLAG_READONLY ? " readonly" : "",
                  is_taken(lent) ? "taken over, and not yet given back"
                                 : "not taken over yet");
    Py_XDECREF(shape);
    return text;
}

static PyMethodDef lent_methods[] = {
    {"__enter__", lent_enter, METH_NOARGS,
     "__enter__($self, /)\n--\n\n"
     "This Lent, unless it came back."},
    {"__exit__", lent_exit, METH_VARARGS,
     "__exit__($self, /, *args)\n--\n\n"
     "Gives the memory back if nobody took it over. What was taken over is\n"
     "held until whoever has it gives it back."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef lent_getset[] = {
    {"taken", lent_taken, NULL,
     "Whether the descriptor was taken over.", NULL},
    {"returned", lent_returned, NULL,
     "Whether the memory was given back, and is held no more.", NULL},
    {"_as_parameter_", lent_parameter, NULL,
     "What ctypes passes to a function: the address of the descriptor.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyDoc_STRVAR(lent_doc,
"Memory on its way to a library: what pybuf.lend gives.\n\n"
"It stands for the address of its descriptor: in calls of ctypes, by int(),\n"
"and wherever Python takes an index. The library takes the descriptor over\n"
"once, and gives it back when it is done, on any thread.");

static PyType_Slot lent_slots[] = {
    {Py_tp_doc, (void *)lent_doc},
    {Py_tp_dealloc, lent_dealloc},
    {Py_tp_traverse, lent_traverse},
    {Py_tp_repr, lent_repr},
    {Py_tp_methods, lent_methods},
    {Py_tp_getset, lent_getset},
    {Py_nb_index, lent_address},
    {Py_nb_int, lent_address},
    {0, NULL},
};

PyType_Spec lent_spec = {
    .name = "pybuf.Lent",
    .basicsize = sizeof(Lent),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
             Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = lent_slots,
};
