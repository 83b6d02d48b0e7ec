/* capi_rows.c: IndirectMemory2D for C code, by the class methods of Python's. */
#include "indirect.h"
#include "capi.h"

/* The class. Owned; NULL with an exception set. */
static PyObject *
memory2d_class(void)
{
    State *st = here();
    if (st == NULL) {
        return NULL;
    }
    PyObject *held = here_hold(st); /* the import runs what it likes */
    PyObject *type = Py_XNewRef(import_once(&st->memory2d, "pybuf.indirect",
                                            "IndirectMemory2D"));
    Py_DECREF(held);
    return type;
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
    if (given_flags(g.function, flags, PYBUF_READONLY | PYBUF_UNOWNED) < 0 ||
        given_keeper(&g) < 0) {
        return NULL;
    }
    PyObject *type = memory2d_class();
    PyObject *address = type == NULL ? NULL : PyLong_FromVoidPtr(rows);
    PyObject *readonly = PyBool_FromLong(flags & PYBUF_READONLY);
    PyObject *memory =
        address == NULL
            ? NULL
            : PyObject_CallMethod(type, "from_ptr_with_memory_nanny", "OnnyOO",
                                  address, nrows, ncolumns, spelled(format),
                                  readonly, owner != NULL ? owner : Py_None);
    Py_XDECREF(type);
    Py_XDECREF(address);
    Py_DECREF(readonly);
    return memory;
}

PyObject *
capi_rows_new(Py_ssize_t nrows, Py_ssize_t ncolumns, const char *format,
              int flags)
{
    if (given_flags("pybuf_rows_new", flags, PYBUF_READONLY) < 0) {
        return NULL;
    }
    PyObject *type = memory2d_class();
    PyObject *readonly = PyBool_FromLong(flags & PYBUF_READONLY);
    PyObject *memory =
        type == NULL ? NULL
                     : PyObject_CallMethod(type, "create_memory", "nnyO", nrows,
                                           ncolumns, spelled(format), readonly);
    Py_XDECREF(type);
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
               "pybuf_rows_table(): {} is no IndirectMemory2D of the pybuf that "
               "is imported");
        return NULL;
    }
    Buffer *b = memory2d_buffer(memory);
    if (buffer_open(b) < 0) {
        return NULL;
    }
    buffer_lend_pointer(b);
    return (void **)b->mem.data;
}
