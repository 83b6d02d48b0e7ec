/* capi.c: the table of pybuf.h, which C, C++ and Cython call.
 *
 * Loops call wrap and make: what is packed and of a plain type gets a Keep there,
 * with no step that could be spared. All else is given.c's. */
#include "indirect.h"
#include "capi.h"
#include "keep.h"

/* ---- memory of others ------------------------------------------------------------ */

/* What all functions are told. */
static Given
given(const char *function, void *data, int ndim, const Py_ssize_t *shape,
      const char *format, int flags)
{
    return (Given){
        .function = function,
        .data = data,
        .ndim = ndim,
        .shape = shape,
        .format = format,
        .flags = flags,
    };
}

/* Whatever is no case of a Keep's. */
__attribute__((noinline)) static PyObject *
wrap_any(State *st, void *data, int ndim, const Py_ssize_t *shape,
         const Py_ssize_t *strides, const char *format, int flags,
         pybuf_release release, void *arg)
{
    Given g = given("pybuf_wrap", data, ndim, shape, format, flags);
    g.strides = strides;
    g.release = release;
    g.arg = arg;
    return given_result(st, &g);
}

static PyObject *
api_wrap(void *data, int ndim, const Py_ssize_t *shape,
         const Py_ssize_t *strides, const char *format, int flags,
         pybuf_release release, void *arg)
{
    State *st = here();
    if (st != NULL && (flags & ~PYBUF_READONLY) == PYBUF_ARRAY &&
        strides == NULL && shape != NULL && data != NULL && release != NULL) {
        Element *e = element_spelled_lately(st, format);
        Py_ssize_t nbytes;
        if (e != NULL && keep_suits(st, ndim, e) &&
            keep_bytes(ndim, shape, e->itemsize, &nbytes) &&
            layout_is_reachable(data, 0, nbytes)) {
            return keep_array(st, e, ndim, shape, NULL, data, nbytes, data,
                              (flags & PYBUF_READONLY) != 0, release, arg);
        }
    }
    return wrap_any(st, data, ndim, shape, strides, format, flags, release,
                    arg);
}

static PyObject *
api_wrap_owned(void *data, int ndim, const Py_ssize_t *shape,
               const Py_ssize_t *strides, const char *format, int flags,
               PyObject *owner)
{
    Given g = given("pybuf_wrap_owned", data, ndim, shape, format, flags);
    g.strides = strides;
    g.owner = owner;
    return given_result(here(), &g);
}

static PyObject *
api_pointers(void *table, int levels, int ndim, const Py_ssize_t *shape,
             const char *format, int flags, pybuf_release release, void *arg)
{
    Given g = given("pybuf_pointers", table, ndim, shape, format, flags);
    g.tables = true;
    g.levels = levels;
    g.release = release;
    g.arg = arg;
    return given_result(here(), &g);
}

static PyObject *
api_pointers_owned(void *table, int levels, int ndim, const Py_ssize_t *shape,
                   const char *format, int flags, PyObject *owner)
{
    Given g =
        given("pybuf_pointers_owned", table, ndim, shape, format, flags);
    g.tables = true;
    g.levels = levels;
    g.owner = owner;
    return given_result(here(), &g);
}

/* ---- new memory --------------------------------------------------------------------- */

/* Of a layout for which keep_bytes holds. */
static PyObject *
new_array(State *st, Element *e, int ndim, const Py_ssize_t *shape,
          Py_ssize_t nbytes, Wish wish, void **data)
{
    void *block;
    char *start = source_c_block(nbytes, wish, &block);
    if (start == NULL) {
        return NULL;
    }
    if (data != NULL) {
        *data = start;
    }
    return keep_array(st, e, ndim, shape, NULL, start, nbytes, start, false,
                      NULL, block);
}

static PyObject *
new_memory(State *st, Element **e, int ndim, const Py_ssize_t *shape, int flags,
           Wish wish, void **data)
{
    Layout l;
    if (layout_given(&l, "pybuf_new", "the memory", ndim, shape, NULL) < 0 ||
        layout_element(&l, e, false) < 0 ||
        layout_contiguous(&l, (*e)->itemsize, 'C') < 0) {
        return NULL;
    }
    Buffer *b = make_buffer(st, *e, &l, wish);
    if (b != NULL && data != NULL) {
        buffer_lend_pointer(b); /* which may be used as long as it lives */
        *data = b->mem.data;
    }
    return given_as(st, b, flags);
}

static PyObject *
api_make(int ndim, const Py_ssize_t *shape, const char *format, int flags,
         void **data)
{
    State *st = here();
    Py_ssize_t nbytes;
    Wish wish = {.source = SOURCE_C,
                 .align = ALIGN_DEFAULT,
                 .zeroed = (flags & PYBUF_EMPTY) == 0};
    if (st == NULL ||
        given_flags("pybuf_new", flags, PYBUF_ARRAY | PYBUF_EMPTY) < 0) {
        return NULL;
    }
    Element *e = element_spelled_lately(st, format);
    if (e != NULL && (flags & PYBUF_ARRAY) != 0 && shape != NULL &&
        keep_suits(st, ndim, e) && !tracemalloc_is_on() &&
        keep_bytes(ndim, shape, e->itemsize, &nbytes)) {
        return new_array(st, e, ndim, shape, nbytes, wish, data);
    }
    PyObject *held = here_hold(st);
    e = element_spelled(st, format);
    PyObject *made =
        e == NULL ? NULL : new_memory(st, &e, ndim, shape, flags, wish, data);
    Py_XDECREF(OBJECT(e));
    Py_DECREF(held);
    return made;
}

/* ---- descriptors, and Buffers that are there ------------------------------------------- */

static PyObject *
api_adopt(pybuf_descriptor *d, int flags)
{
    State *st = here();
    if (st == NULL || given_flags("pybuf_adopt", flags, PYBUF_ARRAY) < 0) {
        return NULL;
    }
    PyObject *held = here_hold(st);
    PyObject *made = given_as(st, adopt_descriptor(st, d), flags);
    Py_DECREF(held);
    return made;
}

static pybuf_descriptor *
api_lend(PyObject *exporter, int flags)
{
    State *st = here();
    if (st == NULL || given_flags("pybuf_lend", flags, PYBUF_READONLY) < 0) {
        return NULL;
    }
    PyObject *held = here_hold(st); /* an exporter may run Python */
    pybuf_descriptor *d =
        lend_descriptor(st, exporter, (flags & PYBUF_READONLY) == 0);
    Py_DECREF(held);
    return d;
}

static PyObject *
api_array(PyObject *memory)
{
    State *st = here();
    if (st == NULL) {
        return NULL;
    }
    Buffer *b = Py_IS_TYPE(memory, st->buffer_type) ? (Buffer *)memory
                : PyObject_TypeCheck(memory, st->indirect_type)
                    ? memory2d_buffer(memory)
                    : NULL;
    if (b == NULL) {
        refuse(PyExc_TypeError, memory,
               "pybuf_array(): {} is no Buffer and no IndirectMemory2D of the "
               "pybuf that is imported");
        return NULL;
    }
    return buffer_open(b) < 0 ? NULL : numpy_of(st, b, COPY_NEVER);
}

static int
api_check(PyObject *obj)
{
    State *st = here();
    return st == NULL ? -1 : Py_IS_TYPE(obj, st->buffer_type);
}

/* ---- the table ------------------------------------------------------------------------- */

static const pybuf_api table = {
    .version = PYBUF_API_VERSION,
    .size = sizeof table,
    .wrap = api_wrap,
    .wrap_owned = api_wrap_owned,
    .pointers = api_pointers,
    .pointers_owned = api_pointers_owned,
    .make = api_make,
    .adopt = api_adopt,
    .lend = api_lend,
    .array = api_array,
    .check = api_check,
    .rows = capi_rows,
    .rows_new = capi_rows_new,
    .rows_table = capi_rows_table,
};

int
capi_add(PyObject *module)
{
    PyObject *capsule = PyCapsule_New((void *)&table, PYBUF_API, NULL);
    int failed = capsule == NULL
                     ? -1
                     : PyModule_AddObjectRef(module, "_C_API", capsule);
    Py_XDECREF(capsule);
    return failed;
}
