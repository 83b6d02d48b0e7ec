# cython: language_level=3
"""pybuf.h for Cython: ``cimport pybuf``, and compile with pybuf.get_include().

pybuf.h is the manual of all of it. Functions that give an object raise what C
says by NULL; those that take a ``release`` call it in any case, once. The owner
of memory that has none is None.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "pybuf.h":
    # ---- descriptors: nogil, and no Python is needed ----

    uint64_t PYBUF_DESCRIPTOR_MAGIC
    int PYBUF_DESCRIPTOR_VERSION
    const char *PYBUF_CAPSULE
    const char *PYBUF_CAPSULE_USED
    int PYBUF_MAX_NDIM

    enum:
        PYBUF_FLAG_READONLY
        PYBUF_FLAG_PROCESS
        PYBUF_FLAG_ERROR

    enum:
        PYBUF_OK
        PYBUF_EVALUE
        PYBUF_ETYPE
        PYBUF_EOVERFLOW
        PYBUF_EMEMORY
        PYBUF_EBUFFER
        PYBUF_ERUNTIME
        PYBUF_ESYSTEM

    ctypedef struct pybuf_descriptor:
        uint64_t magic
        uint32_t version
        uint32_t flags
        int32_t ndim
        int32_t pid
        void *data
        int64_t itemsize
        int64_t nbytes
        const char *format
        const int64_t *shape
        const int64_t *strides
        const int64_t *suboffsets
        void (*release)(pybuf_descriptor *) noexcept nogil
        void *ctx

    bint pybuf_descriptor_take(pybuf_descriptor *d) nogil

    # ---- memory of C's becomes a Buffer, or with PYBUF_ARRAY an ndarray ----

    enum:
        PYBUF_READONLY
        PYBUF_ARRAY
        PYBUF_UNOWNED
        PYBUF_EMPTY

    ctypedef void (*pybuf_release)(const void *data, size_t nbytes, void *arg) noexcept

    int pybuf_import() except -1

    object pybuf_wrap(void *data, int ndim, const Py_ssize_t *shape,
                      const Py_ssize_t *strides, const char *format, int flags,
                      pybuf_release release, void *arg)
    object pybuf_memory(const void *data, size_t nbytes, pybuf_release release, void *arg)
    object pybuf_memory_writable(void *data, size_t nbytes, pybuf_release release, void *arg)
    void pybuf_release_free(const void *data, size_t nbytes, void *arg) noexcept nogil

    object pybuf_wrap_owned(void *data, int ndim, const Py_ssize_t *shape,
                            const Py_ssize_t *strides, const char *format, int flags,
                            object owner)

    object pybuf_new(int ndim, const Py_ssize_t *shape, const char *format, int flags,
                     void **data)

    # ---- memory behind tables of pointers ----

    object pybuf_pointers(void *table, int levels, int ndim, const Py_ssize_t *shape,
                          const char *format, int flags, pybuf_release release, void *arg)
    object pybuf_pointers_owned(void *table, int levels, int ndim, const Py_ssize_t *shape,
                                const char *format, int flags, object owner)
    object pybuf_rows(void **rows, Py_ssize_t nrows, Py_ssize_t ncolumns,
                      const char *format, int flags, object owner)
    object pybuf_rows_new(Py_ssize_t nrows, Py_ssize_t ncolumns, const char *format, int flags)
    void **pybuf_rows_table(object memory) except NULL

    # ---- descriptors, and memory that is there ----

    object pybuf_adopt(pybuf_descriptor *d, int flags)
    pybuf_descriptor *pybuf_lend(object exporter, int flags) except NULL
    object pybuf_array(object memory)
    bint pybuf_check(object obj) except -1

    # The name under which this function has been asked for.
    object MemBuf_init "pybuf_memory"(const void *p, size_t l, pybuf_release dealloc, void *arg)
