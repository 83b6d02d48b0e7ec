/* pybuf.h: how C, C++ and Cython hand memory to Python and take it from there.
 *
 * Two halves:
 *
 * 1. The descriptor, by which one library hands memory and its layout to
 *    another, in one process. It needs neither Python nor a library to link.
 * 2. Functions for extension modules, which make Buffers and ndarrays of
 *    memory in one call. It is there where Python.h was included before this
 *    file, any version from 3.11 on, limited API or not. Nothing is linked
 *    here either: the installed package pybuf is found when it is needed.
 *
 * C99 and C++11 or later, of GCC or Clang. `python -m pybuf --includes` says
 * where this file is, and Python's own.
 *
 * Rules for the whole header, exceptions are noted at the item:
 * - Units: sizes, strides and suboffsets are bytes; extents are items.
 * - Pointers may not be NULL unless the item says so.
 */
#ifndef PYBUF_H
#define PYBUF_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ==== 1. The descriptor ====================================================
 *
 * A producer fills one in and gives its address away, or NULL if it has no
 * memory for one. The consumer looks at version and flags, takes it over, once,
 * and calls its release, once. Nothing else passes between them: neither needs
 * the other's language, runtime or header files but this one.
 *
 *     producer                          consumer
 *     d = one block of malloc
 *     d->magic = ...; d->data = ...
 *     return (uintptr_t)d         ->    pybuf_descriptor_take(d)
 *                                       ... looks at d->data ...
 *                                 <-    d->release(d)
 *     gives the memory back, free(d)
 *
 * In Python pybuf.adopt(d) is the consumer and pybuf.lend(obj) the producer,
 * in an extension module pybuf_adopt and pybuf_lend below. In Go they are
 * pybuf.Slice and Buffer.Export.
 *
 * - Ownership: the descriptor and all that it points to belong to the
 *   producer, who keeps it unchanged until release is called. Whoever has
 *   taken it may read it; nobody may write to it.
 * - Threads: any thread may take, read and release, with or without locks of
 *   its own; each of these happens in one thread at a time.
 */

/* First word of a descriptor that nobody has taken: "PYBUFDSC" in memory on
 * little-endian machines. */
#define PYBUF_DESCRIPTOR_MAGIC UINT64_C(0x4353444655425950)

/* Version of the struct below. Whoever knows version n reads every version up
 * to n: fields are added at the end, and flags that change the meaning of old
 * fields raise the version. */
#define PYBUF_DESCRIPTOR_VERSION 1

/* Name of a PyCapsule whose pointer is a descriptor, and its name after it was
 * taken over: by this a second take is always noticed. Its destructor is the
 * producer's: where it finds the first name it takes the descriptor itself, and
 * releases it. */
#define PYBUF_CAPSULE "pybuf_descriptor"
#define PYBUF_CAPSULE_USED "used_pybuf_descriptor"

/* The most dimensions of a layout: PyBUF_MAX_NDIM of CPython. */
#define PYBUF_MAX_NDIM 64

/* Bits of pybuf_descriptor.flags. One that the consumer does not know is a
 * reason to refuse. */
enum {
    /* The memory may not be written to. */
    PYBUF_FLAG_READONLY = 1,
    /* The memory belongs to a runtime that does not outlive a fork: release
     * may be called only in the process whose number is in `pid`. In a forked
     * child the consumer may look at the memory, which is a copy, and drops
     * it without a call. */
    PYBUF_FLAG_PROCESS = 2,
    /* There is no memory: the producer failed. `format` is a text for people,
     * UTF-8; `ndim` is one of the kinds below; with PYBUF_ESYSTEM `nbytes` is
     * the errno. The other fields but `release`, `ctx` and with
     * PYBUF_FLAG_PROCESS `pid` say nothing. */
    PYBUF_FLAG_ERROR = 4
};

/* Kinds of errors, and the exceptions of Python that they are. */
enum {
    PYBUF_OK = 0,
    PYBUF_EVALUE = 1,    /* a value that cannot be: ValueError */
    PYBUF_ETYPE = 2,     /* something of the wrong sort: TypeError */
    PYBUF_EOVERFLOW = 3, /* a number too large for what it counts: OverflowError */
    PYBUF_EMEMORY = 4,   /* memory that cannot be had: MemoryError */
    PYBUF_EBUFFER = 5,   /* a request that a buffer cannot answer: BufferError */
    PYBUF_ERUNTIME = 6,  /* whatever else failed: RuntimeError */
    PYBUF_ESYSTEM = 7    /* a call of the operating system: OSError */
};

/* Memory and its layout. The producer makes it as one block of malloc, or of
 * whatever its own release frees; it is aligned to 8 bytes. */
typedef struct pybuf_descriptor {
    /* PYBUF_DESCRIPTOR_MAGIC until somebody takes it, then anything else. Read
     * and changed by pybuf_descriptor_take only. */
    uint64_t magic;

    /* PYBUF_DESCRIPTOR_VERSION of the header that the producer knew. */
    uint32_t version;

    /* PYBUF_FLAG_ bits. */
    uint32_t flags;

    /* Dimensions, 0 to PYBUF_MAX_NDIM; 0 is one item alone. */
    int32_t ndim;

    /* With PYBUF_FLAG_PROCESS: getpid() of the producer. Else 0. */
    int32_t pid;

    /* Where the item lies whose indices are all 0. NULL only if there are no
     * items. With suboffsets: where the outermost table of pointers begins. */
    void *data;

    /* Bytes of one item, > 0, the same as `format` says. */
    int64_t itemsize;

    /* Bytes of all items: product of the extents times itemsize, whatever
     * gaps or overlaps there are (Py_buffer.len). */
    int64_t nbytes;

    /* PEP 3118 format of an item, such as "d" or "T{<i:id:<d:price:}". */
    const char *format;

    /* Items along each axis, each >= 0. NULL if ndim is 0. */
    const int64_t *shape;

    /* Bytes from one index to the next along each axis, any sign. NULL: the
     * items lie packed, the last index moves fastest. */
    const int64_t *strides;

    /* For each axis, what to add to the pointer that is read there, or a
     * negative number where none is read (PEP 3118). NULL: none anywhere. With
     * any that is not negative, strides may not be NULL. */
    const int64_t *suboffsets;

    /* Gives memory and descriptor back: called once, by whoever took it, on
     * any thread; afterwards neither may be touched. It may not throw, and
     * may not wait for a lock of the consumer's, such as Python's GIL if that
     * is Python. A descriptor of Python's own does wait for the GIL: hold no
     * lock that a thread of Python's may want. */
    void (*release)(struct pybuf_descriptor *);

    /* The producer's. May be NULL. */
    void *ctx;
} pybuf_descriptor;

/* Takes the descriptor over: what follows is the caller's duty to call release.
 * d may be NULL. Of several threads that try, one gets it.
 * Returns: 1, or 0 if it is none or was taken before. That is sure while its
 * block lives; after the release it is like a second free(). */
static inline int
pybuf_descriptor_take(pybuf_descriptor *d)
{
    uint64_t untaken = PYBUF_DESCRIPTOR_MAGIC;
    return d != NULL &&
           __atomic_compare_exchange_n(&d->magic, &untaken, 0, 0,
                                       __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#ifdef __cplusplus
}
#endif

#endif /* PYBUF_H */

/* ==== 2. Functions for extension modules =====================================
 *
 *     static void
 *     give_back(const void *data, size_t nbytes, void *arg)
 *     {
 *         samples_free((samples *)arg);
 *     }
 *
 *     samples *s = samples_read();
 *     Py_ssize_t n = s->count;
 *     return pybuf_wrap(s->values, 1, &n, NULL, "d", PYBUF_ARRAY, give_back, s);
 *
 * That is all: the last line returns an ndarray that stands on s->values, and
 * give_back is called when the last array, memoryview or slice of it is gone.
 *
 * - Ownership: memory that comes with a release is pybuf's from the call on.
 *   The release is called exactly once, also if the call fails, before it
 *   returns then. An `owner` is borrowed: a reference to it is taken, and none
 *   if the call fails. `shape`, `strides` and `format` are copied.
 * - Threads: call these with the GIL, in any interpreter.
 * - Returns: a new reference, or NULL with an exception set.
 * - Nothing has to be called first; pybuf_import says it early where pybuf is
 *   not there.
 */
#if defined(Py_PYTHON_H) && !defined(PYBUF_PYTHON_H)
#define PYBUF_PYTHON_H

/* Casts are C's, which C++ has too. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wcast-qual"
#ifdef __cplusplus
#pragma GCC diagnostic ignored "-Wold-style-cast"
extern "C" {
#endif

/* Gives memory back. data: what was given to pybuf; nbytes: how many bytes the
 * layout spans, 0 if the call failed before that was known; arg: yours.
 *
 * It is called when the last view is gone, on whatever thread that is. That
 * thread holds the GIL today; do not build on it. A release that needs Python
 * calls PyGILState_Ensure, one that needs none may release the GIL while it
 * works, where PyGILState_Check says that it has it. These two functions of
 * CPython's are for processes with one interpreter: in another one of 3.11 the
 * first waits forever. What is to work there gives pybuf an owner, whose dealloc
 * does what needs Python. A release may not throw. Memory that is alive when
 * Python has ended is never given back: it goes with the process. */
typedef void (*pybuf_release)(const void *data, size_t nbytes, void *arg);

/* Bits of `flags`. */
enum {
    /* Nobody may write to the memory, by whatever door. */
    PYBUF_READONLY = 1,
    /* The result is a numpy.ndarray in place of a pybuf.Buffer. NumPy is
     * imported for it: ModuleNotFoundError if it is not there. Indirect memory
     * can be one if its rows lie at even distances, else BufferError. */
    PYBUF_ARRAY = 2,
    /* The memory outlives every view of it, and nobody frees it: for static
     * data. Without this bit a release or an owner has to be given, with it
     * none may be. */
    PYBUF_UNOWNED = 4,
    /* Of pybuf_new: the memory need not be zeroed. */
    PYBUF_EMPTY = 8
};

/* Version of the table below. It is another one only if functions that are in
 * it change; new ones come at its end. */
#define PYBUF_API_VERSION 1

/* Name of the PyCapsule that holds the table: the attribute _C_API of pybuf. */
#define PYBUF_API "pybuf._C_API"

/* What an installed pybuf can do: the functions that those below call, with the
 * same arguments. It lives as long as the process, and is the same in every
 * interpreter. */
typedef struct pybuf_api {
    uint32_t version; /* PYBUF_API_VERSION of the installed pybuf */
    uint32_t size;    /* its sizeof(pybuf_api) */
    PyObject *(*wrap)(void *data, int ndim, const Py_ssize_t *shape,
                      const Py_ssize_t *strides, const char *format, int flags,
                      pybuf_release release, void *arg);
    PyObject *(*wrap_owned)(void *data, int ndim, const Py_ssize_t *shape,
                            const Py_ssize_t *strides, const char *format,
                            int flags, PyObject *owner);
    PyObject *(*pointers)(void *table, int levels, int ndim,
                          const Py_ssize_t *shape, const char *format,
                          int flags, pybuf_release release, void *arg);
    PyObject *(*pointers_owned)(void *table, int levels, int ndim,
                                const Py_ssize_t *shape, const char *format,
                                int flags, PyObject *owner);
    PyObject *(*make)(int ndim, const Py_ssize_t *shape, const char *format,
                      int flags, void **data);
    PyObject *(*adopt)(pybuf_descriptor *d, int flags);
    pybuf_descriptor *(*lend)(PyObject *exporter, int flags);
    PyObject *(*array)(PyObject *memory);
    int (*check)(PyObject *obj);
    PyObject *(*rows)(void **rows, Py_ssize_t nrows, Py_ssize_t ncolumns,
                      const char *format, int flags, PyObject *owner);
    PyObject *(*rows_new)(Py_ssize_t nrows, Py_ssize_t ncolumns,
                          const char *format, int flags);
    void **(*rows_table)(PyObject *memory);
} pybuf_api;

/* The table, once it was found. */
static const pybuf_api *pybuf_api_found;

/* Imports pybuf and finds its table. To be called from a module's init function,
 * where ImportError is best raised; the others call it where that was forgotten.
 * Returns: 0, or -1 with ImportError set if pybuf cannot be imported, or is too
 * old or too new for this header: the sentence has both versions. */
static inline int
pybuf_import(void)
{
    const pybuf_api *api;
    PyObject *module = PyImport_ImportModule("pybuf"); /* which says why not */
    if (module == NULL) {
        return -1;
    }
    Py_DECREF(module);
    api = (const pybuf_api *)PyCapsule_Import(PYBUF_API, 0);
    if (api == NULL) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_ImportError,
                         "this module was built for version %d of pybuf's C "
                         "API, and the pybuf that is installed has none: "
                         "install a newer pybuf",
                         (int)PYBUF_API_VERSION);
        }
        return -1;
    }
    if (api->version != PYBUF_API_VERSION || api->size < sizeof(pybuf_api)) {
        PyErr_Format(PyExc_ImportError,
                     "this module was built for version %d of pybuf's C API "
                     "with a table of %d bytes, and the pybuf that is "
                     "installed has version %d with %d bytes: %s",
                     (int)PYBUF_API_VERSION, (int)sizeof(pybuf_api),
                     (int)api->version, (int)api->size,
                     api->version > PYBUF_API_VERSION
                         ? "build this module again, with its pybuf.h"
                         : "install a newer pybuf");
        return -1;
    }
    __atomic_store_n(&pybuf_api_found, api, __ATOMIC_RELAXED);
    return 0;
}

/* The table; NULL with an exception set. */
static inline const pybuf_api *
pybuf_api_get(void)
{
    const pybuf_api *api = __atomic_load_n(&pybuf_api_found, __ATOMIC_RELAXED);
    if (api == NULL && pybuf_import() == 0) {
        api = pybuf_api_found;
    }
    return api;
}

/* The same, and memory that pybuf cannot take over is given back. */
static inline const pybuf_api *
pybuf_api_or_release(const void *data, pybuf_release release, void *arg)
{
    const pybuf_api *api = pybuf_api_get();
    if (api == NULL && release != NULL) {
        /* A release may look at errors. These two are deprecated from 3.12 on,
         * and their successors are not in 3.11. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        PyObject *type, *value, *traceback;
        PyErr_Fetch(&type, &value, &traceback);
        release(data, 0, arg);
        PyErr_Restore(type, value, traceback);
#pragma GCC diagnostic pop
    }
    return api;
}

/* ---- memory with a release ---------------------------------------------------- */

/* Memory of any layout as a Buffer, or with PYBUF_ARRAY as an ndarray.
 *
 * data: where the item lies whose indices are all 0; NULL only without items.
 * ndim: 0 (one item alone) to PYBUF_MAX_NDIM.
 * shape: items along each axis, each >= 0; may be NULL if ndim is 0.
 * strides: bytes from one index to the next along each axis, any sign; NULL if
 *   the items lie packed, the last index moving fastest. A release gets `data`,
 *   which with negative strides is not where the memory begins.
 * format: of an item as pybuf.wrap() takes it as dtype=, such as "d", "<i4" or
 *   "T{<i:id:4x<d:price:}"; NULL is "B".
 * flags: PYBUF_READONLY, PYBUF_ARRAY, PYBUF_UNOWNED.
 * release: NULL only with PYBUF_UNOWNED.
 *
 * Fails with ValueError, TypeError or OverflowError for a layout that cannot
 * be, MemoryError, and what NumPy's import raises. Go is asked about a format
 * that is new and about strides that are not the last ones; else neither Go nor
 * Python code runs, from here until the memory is released. */
static inline PyObject *
pybuf_wrap(void *data, int ndim, const Py_ssize_t *shape,
           const Py_ssize_t *strides, const char *format, int flags,
           pybuf_release release, void *arg)
{
    const pybuf_api *api = pybuf_api_or_release(data, release, arg);
    return api == NULL ? NULL
                       : api->wrap(data, ndim, shape, strides, format, flags,
                                   release, arg);
}

/* Bytes that nobody may write to, as a Buffer of one axis and format "B". */
static inline PyObject *
pybuf_memory(const void *data, size_t nbytes, pybuf_release release, void *arg)
{
    Py_ssize_t n = (Py_ssize_t)nbytes;
    return pybuf_wrap((void *)data, 1, &n, NULL, "B", PYBUF_READONLY, release,
                      arg);
}

/* The same, which anybody may write to. */
static inline PyObject *
pybuf_memory_writable(void *data, size_t nbytes, pybuf_release release,
                      void *arg)
{
    Py_ssize_t n = (Py_ssize_t)nbytes;
    return pybuf_wrap(data, 1, &n, NULL, "B", 0, release, arg);
}

/* A release for memory of malloc: calls free(data). */
static inline void
pybuf_release_free(const void *data, size_t nbytes, void *arg)
{
    (void)nbytes;
    (void)arg;
    free((void *)data);
}

/* ---- memory that an object of Python's keeps ------------------------------------- */

/* As pybuf_wrap, for memory that is valid as long as `owner`, any object, is
 * alive: a reference to it is held until the last view is gone. owner: NULL
 * only with PYBUF_UNOWNED. */
static inline PyObject *
pybuf_wrap_owned(void *data, int ndim, const Py_ssize_t *shape,
                 const Py_ssize_t *strides, const char *format, int flags,
                 PyObject *owner)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? NULL
                       : api->wrap_owned(data, ndim, shape, strides, format,
                                         flags, owner);
}

/* ---- new memory --------------------------------------------------------------------- */

/* New memory of pybuf's own, packed and aligned to 64 bytes, as a Buffer or with
 * PYBUF_ARRAY as an ndarray. Zeroed unless PYBUF_EMPTY is in the flags.
 * data: gets where the first item lies, or NULL if the call fails; may be
 * NULL. */
static inline PyObject *
pybuf_new(int ndim, const Py_ssize_t *shape, const char *format, int flags,
          void **data)
{
    const pybuf_api *api = pybuf_api_get();
    PyObject *made =
        api == NULL ? NULL : api->make(ndim, shape, format, flags, data);
    if (made == NULL && data != NULL) {
        *data = NULL;
    }
    return made;
}

/* ---- memory behind tables of pointers -------------------------------------------------- */

/* Memory such as T** (levels 1, ndim 2) or T*** (levels 2, ndim 3): along the
 * first `levels` axes each index is a pointer, the other axes are packed.
 *
 * table: the outermost table. Pointers in it lead to shape[1] pointers or to
 *   packed items; none may be NULL where items are behind it, and they are
 *   followed each time, so that tables have to stay as long as their items.
 * levels: 1 to ndim.
 *
 * The rest is as with pybuf_wrap; the release gets the table, and the bytes of
 * it. */
static inline PyObject *
pybuf_pointers(void *table, int levels, int ndim, const Py_ssize_t *shape,
               const char *format, int flags, pybuf_release release, void *arg)
{
    const pybuf_api *api = pybuf_api_or_release(table, release, arg);
    return api == NULL ? NULL
                       : api->pointers(table, levels, ndim, shape, format,
                                       flags, release, arg);
}

/* The same with an owner, as pybuf_wrap_owned. */
static inline PyObject *
pybuf_pointers_owned(void *table, int levels, int ndim, const Py_ssize_t *shape,
                     const char *format, int flags, PyObject *owner)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? NULL
                       : api->pointers_owned(table, levels, ndim, shape, format,
                                             flags, owner);
}

/* Rows as pybuf.indirect.IndirectMemory2D, which is IndirectMemory2D.from_ptr or,
 * with an owner, from_ptr_with_memory_nanny.
 * rows: nrows pointers, each to ncolumns packed items. owner: NULL only with
 * PYBUF_UNOWNED. flags: PYBUF_READONLY, PYBUF_UNOWNED. */
static inline PyObject *
pybuf_rows(void **rows, Py_ssize_t nrows, Py_ssize_t ncolumns,
           const char *format, int flags, PyObject *owner)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL
               ? NULL
               : api->rows(rows, nrows, ncolumns, format, flags, owner);
}

/* New zeroed rows: IndirectMemory2D.create_memory. flags: PYBUF_READONLY. */
static inline PyObject *
pybuf_rows_new(Py_ssize_t nrows, Py_ssize_t ncolumns, const char *format,
               int flags)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? NULL : api->rows_new(nrows, ncolumns, format, flags);
}

/* The table of row pointers of an IndirectMemory2D. It belongs to `memory`, and
 * is valid as long as that is: the caller holds a reference.
 * Returns: never NULL but with TypeError, if it is none, or ValueError, if it was
 * closed. */
static inline void **
pybuf_rows_table(PyObject *memory)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? NULL : api->rows_table(memory);
}

/* ---- descriptors ---------------------------------------------------------------------------- */

/* Takes a descriptor over, as pybuf.adopt(). From the taking on it is released
 * whatever happens; one that cannot be taken stays the caller's. flags:
 * PYBUF_ARRAY. d: NULL is ValueError, for a producer that had no memory. */
static inline PyObject *
pybuf_adopt(pybuf_descriptor *d, int flags)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? NULL : api->adopt(d, flags);
}

/* A descriptor of the memory of any exporter (a Buffer, an ndarray, a
 * bytearray): to be given to a library that takes it, or to be taken here. It
 * holds one export of the exporter until its release, which may be called on
 * any thread, with or without the GIL. One that nobody takes is to be taken and
 * released by the caller.
 * flags: PYBUF_READONLY if nobody will write; without it memory that is
 * read-only is BufferError.
 * Returns: NULL with an exception set; BufferError in a sub-interpreter. */
static inline pybuf_descriptor *
pybuf_lend(PyObject *exporter, int flags)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? NULL : api->lend(exporter, flags);
}

/* ---- Buffers that are there ------------------------------------------------------------------ */

/* An ndarray on the memory of a Buffer or an IndirectMemory2D, as their numpy();
 * never a copy: BufferError for rows that no ndarray can view. */
static inline PyObject *
pybuf_array(PyObject *memory)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? NULL : api->array(memory);
}

/* Whether obj is a pybuf.Buffer. Its memory is had by PyObject_GetBuffer, as that
 * of any exporter.
 * Returns: 1 or 0, or -1 with an exception set. */
static inline int
pybuf_check(PyObject *obj)
{
    const pybuf_api *api = pybuf_api_get();
    return api == NULL ? -1 : api->check(obj);
}

#ifdef __cplusplus
}
#endif
#pragma GCC diagnostic pop

#endif
