/* gopy_call.c: what is lent to gopy modules, and kept by calls of theirs. */
#include "gopy.h"

#include <stdlib.h>

/* ---- loans ----------------------------------------------------------------------- */

PyObject *
gopy_loan(GopyLibrary *library, int64_t id)
{
    State *st = state_of(OBJECT(library));
    GopyLoan *loan = PyObject_New(GopyLoan, st->gopy_loan_type);
    if (loan == NULL) {
        library->go->drop(id);
        return NULL;
    }
    loan->library = (GopyLibrary *)Py_NewRef(OBJECT(library));
    loan->loan = id;
    return OBJECT(loan);
}

static void
loan_dealloc(PyObject *self)
{
    GopyLoan *loan = (GopyLoan *)self;
    PyTypeObject *type = Py_TYPE(self);
    if (gopy_is_alive(loan->library)) {
        Aside aside = aside_put();
        loan->library->go->drop(loan->loan);
        aside_return(aside);
    }
    Py_DECREF(OBJECT(loan->library));
    PyObject_Free(self);
    Py_DECREF(OBJECT(type));
}

static PyType_Slot loan_slots[] = {
    {Py_tp_doc, (void *)"Keeps memory that was lent to Go."},
    {Py_tp_dealloc, loan_dealloc},
    {0, NULL},
};

PyType_Spec gopy_loan_spec = {
    .name = "pybuf._core.GopyLoan",
    .basicsize = sizeof(GopyLoan),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
             Py_TPFLAGS_IMMUTABLETYPE,
    .slots = loan_slots,
};

/* ---- calls ----------------------------------------------------------------------- */

/* The loan that a gopy object stands on, borrowed; NULL if there is none. */
static GopyLoan *
standing_on(const State *st, PyObject *value)
{
    PyObject *names = PyObject_GetAttrString(value, "__dict__");
    PyObject *loan =
        names == NULL ? NULL : PyDict_GetItemString(names, "__pybuf_loan__");
    Py_XDECREF(names); /* the object has it */
    PyErr_Clear();
    return loan != NULL && Py_TYPE(loan) == st->gopy_loan_type ? (GopyLoan *)loan
                                                               : NULL;
}

/* The loans of a call, held until it is over, whatever ends the slices that
 * stand on them meanwhile. */
typedef struct {
    PyObject *held; /* list */
    int64_t *ids;
    int64_t n;
} Taken;

static int
taken_add(const State *st, Taken *taken, PyObject *values)
{
    Py_ssize_t size = PySequence_Size(values);
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *value = PySequence_GetItem(values, i);
        GopyLoan *loan = value == NULL ? NULL : standing_on(st, value);
        int failed = value == NULL ||
                     (loan != NULL && PyList_Append(taken->held, OBJECT(loan)) < 0);
        if (loan != NULL && !failed) {
            taken->ids[taken->n++] = loan->loan;
        }
        Py_XDECREF(value);
        if (failed) {
            return -1;
        }
    }
    return 0;
}

static void
bind_value(const GopyLibrary *library, PyObject *go_class, PyObject *value,
           const Taken *taken)
{
    int64_t handle = 0;
    if (PyObject_IsInstance(value, go_class) == 1 &&
        standing_on(state_of(OBJECT(library)), value) == NULL &&
        gopy_handle(value, &handle) == 0) {
        library->go->bind(handle, taken->ids, taken->n);
    }
    PyErr_Clear(); /* what has no handle is nothing of Go's */
}

static void
bind_values(const GopyLibrary *library, PyObject *go_class, PyObject *values,
            const Taken *taken)
{
    Py_ssize_t size = PySequence_Size(values);
    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *value = PySequence_GetItem(values, i);
        if (value != NULL) {
            bind_value(library, go_class, value, taken);
            Py_DECREF(value);
        }
    }
}

/* In C, for the handler of a signal may raise between any two instructions of
 * Python's: nothing of it runs from the end of Go's function to that of this. */
PyObject *
gopy_call(GopyLibrary *library, PyObject *function, PyObject *go_class,
          PyObject *given, PyObject *kwargs)
{
    PyObject *result = NULL;
    PyObject *named = PyDict_Values(kwargs);
    Taken taken = {.held = PyList_New(0)};
    if (named != NULL && taken.held != NULL) {
        size_t most = (size_t)(PyTuple_Size(given) + PyList_Size(named));
        taken.ids = malloc((most + 1) * sizeof *taken.ids);
        if (taken.ids == NULL) {
            PyErr_NoMemory();
        }
        else if (!gopy_is_lending(library) ||
                 (taken_add(state_of(OBJECT(library)), &taken, given) == 0 &&
                  taken_add(state_of(OBJECT(library)), &taken, named) == 0)) {
            result = PyObject_Call(function, given, kwargs);
            /* Asked again: a callback or another thread may have lent since. */
            if (gopy_is_lending(library)) {
                Pending pending = pending_save();
                bind_values(library, go_class, given, &taken);
                bind_values(library, go_class, named, &taken);
                if (result != NULL) {
                    bind_value(library, go_class, result, &taken);
                }
                pending_restore(pending);
            }
        }
    }
    Py_XDECREF(named);
    Aside aside = aside_put();
    Py_XDECREF(taken.held); /* memory may go, by Python's code */
    aside_return(aside);
    free(taken.ids);
    return result;
}
