/* capi_rows.c: IndirectMemory2D for C code, by the class methods of Python's. */
#include "indirect.h"
#include "capi.h"

/* The class. Borrowed; NULL with an exception set. */
static PyObject *
memory2d_class(State *st)
{
    return st == NULL ? NULL
                      : import_once(&st->memory2d, "pybuf.indirect",
                                    "IndirectMemory2D");
}

/* A format as the class takes it: "B" for NULL. */
static const char *
spelled(const char *format)
{
    return format == NULL ? "B" : format;
}

PyObject *
capi_rows(void **rows, Py_ssize_t nrows, Py_ssize_t ncolumns,
          const char *format, int flags, PyObject *owner)
{
    Given g = {.function = "pybuf_rows", .flags = flags, .owner = owner};
    PyObject *type = memory2d_class(here());
    if (type == NULL ||
        given_flags(g.function, flags, PYBUF_READONLY | PYBUF_UNOWNED) < 0 ||
        given_keeper(&g) < 0) {
        return NULL;
    }
    PyObject *address = PyLong_FromVoidPtr(rows);
    PyObject *readonly = PyBool_FromLong(flags & PYBUF_READONLY);
    PyObject *memory =
        address == NULL
            ? NULL
            : PyObject_CallMethod(type, "from_ptr_with_memory_nanny", "OnnyOO",
                                  address, nrows, ncolumns, spelled(format),
                                  readonly, owner != NULL ? owner : Py_None);
    Py_XDECREF(address);
    Py_DECREF(readonly);
    return memory;
}

PyObject *
capi_rows_new(Py_ssize_t nrows, Py_ssize_t ncolumns, const char *format,
              int flags)
{
    PyObject *type = memory2d_class(here());
    if (type == NULL ||
        given_flags("pybuf_rows_new", flags, PYBUF_READONLY) < 0) {
        return NULL;
    }
    PyObject *readonly = PyBool_FromLong(flags & PYBUF_READONLY);
    PyObject *memory =
        PyObject_CallMethod(type, "create_memory", "nnyO", nrows, ncolumns,
                            spelled(format), readonly);
    Py_DECREF(readonly);
    return memory;
}

void **
capi_rows_table(PyObject *memory)
{
    State *st = here();
    if (st == NULL) {
        return NULL;
    }
    if (!PyObject_TypeCheck(memory, st->indirect_type)) {
        refuse(PyExc_TypeError, memory,
               "pybuf_rows_table(): {} is no IndirectMemory2D");
        return NULL;
    }
    Buffer *b = memory2d_buffer(memory);
    if (buffer_open(b) < 0) {
        return NULL;
    }
    buffer_lend_pointer(b);
    return (void **)b->mem.data;
}
