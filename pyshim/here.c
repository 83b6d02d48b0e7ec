/* here.c: the module's state, found by the interpreter that asks.
 *
 * C code calls with no object of ours in hand. It keeps our table in a static
 * variable, which all interpreters of the process share; so the table is one,
 * and the state has to be found. */
#include "capi.h"

#include <stdlib.h>

_Atomic(Room *) here_rooms;

static Room *
free_room(PyInterpreterState *mine)
{
    for (Room *r = atomic_load(&here_rooms); r != NULL; r = r->next) {
        PyInterpreterState *nobody = NULL;
        if (atomic_compare_exchange_strong(&r->interpreter, &nobody, mine)) {
            return r;
        }
    }
    Room *r = calloc(1, sizeof *r);
    if (r == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    atomic_init(&r->interpreter, mine);
    r->next = atomic_load(&here_rooms);
    while (!atomic_compare_exchange_weak(&here_rooms, &r->next, r)) {
    }
    return r;
}

void
here_leave(const State *st)
{
    PyInterpreterState *mine = PyInterpreterState_Get();
    for (Room *r = atomic_load(&here_rooms); r != NULL; r = r->next) {
        if (atomic_load(&r->interpreter) == mine && r->st == st) {
            r->st = NULL;
            atomic_store(&r->interpreter, NULL);
        }
    }
}

static void
leave_at_last(PyObject *capsule)
{
    here_leave(PyCapsule_GetPointer(capsule, NULL));
}

/* A module that somebody holds is not cleared with its interpreter, whose address
 * may be another's then. What lies in the interpreter's own dict goes at the very
 * end. */
static int
leave_with_interpreter(State *st)
{
    PyObject *dict = PyInterpreterState_GetDict(PyInterpreterState_Get());
    PyObject *key = PyLong_FromVoidPtr(&here_rooms); /* this library's alone */
    PyObject *capsule = PyCapsule_New(st, NULL, leave_at_last);
    int failed = dict == NULL || key == NULL || capsule == NULL
                     ? -1
                     : PyDict_SetItem(dict, key, capsule);
    Py_XDECREF(key);
    Py_XDECREF(capsule);
    if (failed && !PyErr_Occurred()) {
        PyErr_NoMemory(); /* for the dict */
    }
    return failed;
}

int
here_enter(State *st)
{
    /* First: it ends what an earlier module left there, whose state may have had
     * the same address. */
    if (leave_with_interpreter(st) < 0) {
        return -1;
    }
    Room *r = free_room(PyInterpreterState_Get());
    if (r == NULL) {
        return -1;
    }
    r->st = st;
    return 0;
}

State *
here_import(void)
{
    PyObject *module = PyImport_ImportModule("pybuf");
    if (module == NULL) {
        return NULL;
    }
    Py_DECREF(module);
    State *st = here_find();
    if (st == NULL) {
        PyErr_SetString(PyExc_RuntimeError,
                        "pybuf was called too late: this interpreter has ended "
                        "the pybuf that the caller found, and what it imports "
                        "now, if anything, is another copy");
    }
    return st;
}
