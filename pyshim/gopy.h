/* gopy.h: what the files about gopy modules share.
 *
 * A gopy module is a library with a Go runtime of its own, in which gopybuf is
 * linked. What is found there and what is refused is decided there. */
#ifndef PYBUF_SHIM_GOPY_H
#define PYBUF_SHIM_GOPY_H

#include "shim.h"

#include "gopybuf.h"

/* The functions of one gopy module. */
typedef struct {
    PyObject_HEAD
    const pybuf_gopy_functions *go;
    uint32_t generation; /* of the process that loaded it */
} GopyLibrary;

/* One reference to a loan, see gopybuf.h. */
typedef struct {
    PyObject_HEAD
    GopyLibrary *library; /* owned */
    int64_t loan;
} GopyLoan;

/* ---- gopy.c: a gopy module ------------------------------------------------ */

/* False in a child of the process that loaded it: its Go runtime is dead there. */
bool gopy_is_alive(const GopyLibrary *library);
/* Sets an exception of the type where it is not alive. */
int gopy_check_alive(const GopyLibrary *library, PyObject *type);
/* Whether anything is lent to it; Go is not asked. */
bool gopy_is_lending(const GopyLibrary *library);
/* A handle, of a Python int and of a gopy object. */
int gopy_read_handle(PyObject *number, int64_t *out);
int gopy_handle(PyObject *obj, int64_t *out);
/* The library of a value's class. Owned. */
GopyLibrary *gopy_library_of(PyObject *value);

/* ---- gopy_value.c: its values as exporters --------------------------------- */

/* The memory of what the handle names, as it is now. */
Buffer *gopy_view(GopyLibrary *library, int64_t handle);

/* ---- gopy_call.c: calls of its functions ----------------------------------- */

/* An object that has the reference to a loan. */
PyObject *gopy_loan(GopyLibrary *library, int64_t id);
/* function(*given, **kwargs); go_class is the class of all gopy objects. */
PyObject *gopy_call(GopyLibrary *library, PyObject *function,
                    PyObject *go_class, PyObject *given, PyObject *kwargs);

#endif
