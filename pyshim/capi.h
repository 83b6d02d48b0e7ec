/* capi.h: what the files behind the table of pybuf.h share; see each for its
 * concern. Conventions are those of shim.h. */
#ifndef PYBUF_CAPI_H
#define PYBUF_CAPI_H

#include "shim.h"

#include <stdatomic.h>

/* ---- here.c ------------------------------------------------------------------ */

/* One interpreter that has the module. Never freed, and used again: a look may
 * be under way in another interpreter, which runs at the same time. What belongs
 * to an interpreter is written and used under its GIL alone, so its own look
 * finds what is complete, and takes nothing from the others but their names. */
typedef struct Room {
    _Atomic(PyInterpreterState *) interpreter; /* NULL: the room is free */
    State *st;
    struct Room *next;
} Room;

extern _Atomic(Room *) here_rooms;

/* The state of this interpreter's module can be found from now on. */
int here_enter(State *st);
/* It cannot any more. */
void here_leave(const State *st);
/* Imports pybuf, where another interpreter did for the table. */
State *here_import(void);

/* The state, or NULL. */
static inline State *
here_find(void)
{
    PyInterpreterState *mine = PyInterpreterState_Get();
    for (Room *r = atomic_load_explicit(&here_rooms, memory_order_acquire);
         r != NULL; r = r->next) {
        if (atomic_load_explicit(&r->interpreter, memory_order_relaxed) ==
            mine) {
            return r->st;
        }
    }
    return NULL;
}

/* The state; imports pybuf where it was not. Borrowed. */
static inline State *
here(void)
{
    State *st = here_find();
    return __builtin_expect(st != NULL, 1) ? st : here_import();
}

/* What keeps the state while Python runs, which might let the module go: our caller
 * has no object of its. Owned. */
static inline PyObject *
here_hold(State *st)
{
    return Py_NewRef(OBJECT(st->buffer_type));
}

/* ---- given.c: memory in the words of C ------------------------------------------ */

/* What C code says of its memory: the arguments of the functions of pybuf.h. */
typedef struct {
    const char *function; /* static: whose errors they are */
    void *data;
    bool tables; /* the first `levels` axes read pointers */
    int levels;
    int ndim;
    const Py_ssize_t *shape, *strides;
    const char *format;
    int flags;
    pybuf_release release;
    void *arg;
    PyObject *owner; /* borrowed */
} Given;

/* Bits that the function does not know are ValueError. */
int given_flags(const char *function, int flags, int known);
/* TypeError unless it is said who sees to the memory. */
int given_keeper(const Given *g);
/* A Buffer, or what the flags ask for in its place. Gives the memory back where
 * it fails. st may be NULL with an exception set. */
PyObject *given_result(State *st, const Given *g);
/* The Buffer, or an ndarray in its place. Takes the reference to the Buffer, which
 * may be NULL with an exception set. */
PyObject *given_as(State *st, Buffer *b, int flags);

/* ---- capi_rows.c: IndirectMemory2D -------------------------------------------------- */

PyObject *capi_rows(void **rows, Py_ssize_t nrows, Py_ssize_t ncolumns,
                    const char *format, int flags, PyObject *owner);
PyObject *capi_rows_new(Py_ssize_t nrows, Py_ssize_t ncolumns,
                        const char *format, int flags);
void **capi_rows_table(PyObject *memory);

/* ---- capi.c: the table ---------------------------------------------------------------- */

/* The capsule _C_API of the module. */
int capi_add(PyObject *module);

#endif
