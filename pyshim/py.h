/* py.h: CPython for the shim: the stable ABI of 3.11, the first with Py_buffer in
 * it, so that one cp311-abi3 file serves every later version. Names that came
 * later are written out here and used only where Py_Version says so. */
#ifndef PYBUF_PY_H
#define PYBUF_PY_H

#include "pyabi.h"

#include <stdbool.h>

/* 3.12: module slot that says whether sub-interpreters may have a GIL each. */
#define SLOT_MULTIPLE_INTERPRETERS 3
#define PER_INTERPRETER_GIL_SUPPORTED ((void *)2)

#define Py_RETURN_NONE return Py_NewRef(Py_None)

/* The exception that is set, put aside while other code runs. Its functions
 * are deprecated from 3.12 on; their successors are not in 3.11. */
typedef struct {
    PyObject *type, *value, *traceback;
} Pending;

static inline Pending
pending_save(void)
{
    Pending p;
    PyErr_Fetch(&p.type, &p.value, &p.traceback);
    return p;
}

static inline void
pending_restore(Pending p)
{
    PyErr_Restore(p.type, p.value, p.traceback);
}

/* Makes an object of it, if it is not one yet. */
static inline void
pending_normalize(Pending *p)
{
    PyErr_NormalizeException(&p->type, &p->value, &p->traceback);
}

static inline void
pending_drop(Pending p)
{
    Py_XDECREF(p.type);
    Py_XDECREF(p.value);
    Py_XDECREF(p.traceback);
}

/* The same where there seldom is one: saving none costs as much. */
typedef struct {
    bool is_set;
    Pending pending;
} Aside;

static inline Aside
aside_put(void)
{
    Aside aside = {.is_set = PyErr_Occurred() != NULL};
    if (aside.is_set) {
        aside.pending = pending_save();
    }
    return aside;
}

static inline void
aside_return(Aside aside)
{
    if (aside.is_set) {
        pending_restore(aside.pending);
    }
}

/* The limited API's functions take nothing but PyObject *. */
#define OBJECT(x) ((PyObject *)(x))

#endif
