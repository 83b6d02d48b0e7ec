# cython: language_level=3
"""pybuf.h for Cython, name for name. pybuf.h is the manual of all of it.

    cimport pybuf

finds this file by the installed package; cythonize needs no include_path for it.
The C compiler needs pybuf.get_include() among its include_dirs.

- What gives an object raises what C says by NULL.
- An owner is any object; None is none, and wants PYBUF_UNOWNED.
- Without `nogil` a function here wants the GIL.
- A release is a `cdef void f(const void *data, size_t nbytes, void *arg)` that is
  `noexcept nogil`, or `noexcept with gil` if it uses objects of Python's.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "pybuf.h":

    # ==== 1. The descriptor ==================================================

    const uint64_t PYBUF_DESCRIPTOR_MAGIC
    const int PYBUF_DESCRIPTOR_VERSION
    const char *PYBUF_CAPSULE
    const char *PYBUF_CAPSULE_USED
    const int PYBUF_MAX_NDIM

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

    bint pybuf_descriptor_take(pybuf_descriptor *d) noexcept nogil

    # ==== 2. Functions for extension modules ==================================

    ctypedef void (*pybuf_release)(const void *data, size_t nbytes, void *arg) noexcept

    enum:
        PYBUF_READONLY
        PYBUF_ARRAY
        PYBUF_UNOWNED
        PYBUF_EMPTY

    const int PYBUF_API_VERSION
    const char *PYBUF_API

    int pybuf_import() except -1

    # ---- memory with a release ----

    object pybuf_wrap(void *data, int ndim, const Py_ssize_t *shape,
                      const Py_ssize_t *strides, const char *format, int flags,
                      pybuf_release release, void *arg)
    object pybuf_memory(const void *data, size_t nbytes, pybuf_release release, void *arg)
    object pybuf_memory_writable(void *data, size_t nbytes, pybuf_release release, void *arg)
    void pybuf_release_free(const void *data, size_t nbytes, void *arg) noexcept nogil

    # The name by which it was first asked for.
    object MemBuf_init "pybuf_memory"(const void *data, size_t nbytes,
                                      pybuf_release release, void *arg)

    # ---- memory that an object of Python's keeps ----

    object pybuf_wrap_owned(void *data, int ndim, const Py_ssize_t *shape,
                            const Py_ssize_t *strides, const char *format, int flags,
                            object owner)

    # ---- new memory ----

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

    # ---- descriptors ----

    object pybuf_adopt(pybuf_descriptor *d, int flags)
    pybuf_descriptor *pybuf_lend(object exporter, int flags) except NULL

    # ---- Buffers that are there ----

    object pybuf_array(object memory)
    bint pybuf_check(object obj) except -1
