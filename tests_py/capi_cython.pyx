# cython: language_level=3, binding=False
"""What a wrapper of a C library does with pybuf.pxd: what test_capi_cython*.py ask.

`freed` counts memory of the module's own that was given back.
"""

import pybuf
cimport pybuf
from cpython.buffer cimport PyObject_GetBuffer
from cython cimport view
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from pybuf cimport (
    PYBUF_ARRAY,
    PYBUF_DESCRIPTOR_MAGIC,
    PYBUF_READONLY,
    PYBUF_UNOWNED,
    MemBuf_init,
    pybuf_adopt,
    pybuf_descriptor,
    pybuf_descriptor_take,
    pybuf_lend,
    pybuf_memory,
    pybuf_memory_writable,
    pybuf_new,
    pybuf_pointers,
    pybuf_release,
    pybuf_release_free,
    pybuf_rows,
    pybuf_rows_new,
    pybuf_rows_table,
    pybuf_wrap,
    pybuf_wrap_owned,
)

freed = 0
cdef int natively = 0


def freed_natively():
    """How often a release without the GIL has run."""
    return natively


# ---- bytes, by the code that asked for this first ----


cdef void dummy_function(const void **p, size_t *l) noexcept:
    cdef void *tmp = malloc(17)
    memcpy(tmp, b"some test\0 bytes", 17)
    p[0] = tmp
    l[0] = 17


cdef void free_dummy_data(const void *p, size_t l, void *arg) noexcept:
    free(<void *>p)


cpdef getbuf():
    cdef const void *p = NULL
    cdef size_t l = 0
    dummy_function(&p, &l)
    return MemBuf_init(p, l, &free_dummy_data, NULL)


# ---- releases of each kind ----


cdef void release_plain(const void *p, size_t n, void *arg) noexcept:
    global natively
    natively += 1
    free(<void *>p)


cdef void release_nogil(const void *p, size_t n, void *arg) noexcept nogil:
    global natively
    natively += 1
    free(<void *>p)


cdef void release_gil(const void *p, size_t n, void *arg) noexcept with gil:
    global freed
    free(<void *>p)
    freed += 1


cdef void release_raises(const void *p, size_t n, void *arg) noexcept with gil:
    release_gil(p, n, arg)
    raise RuntimeError(f"{n} bytes could not be counted")


cdef void release_slowly(const void *p, size_t n, void *arg) noexcept with gil:
    global freed
    with nogil:
        free(<void *>p)
    freed += 1


cdef pybuf_release release_of(str kind) except *:
    if kind == "plain":
        return release_plain
    if kind == "nogil":
        return release_nogil
    if kind == "with gil":
        return release_gil
    if kind == "raises":
        return release_raises
    if kind == "slow":
        return release_slowly
    raise ValueError(kind)


def doubles(Py_ssize_t n, str kind="with gil", int flags=PYBUF_ARRAY, bytes format=b"d"):
    """n doubles that count up, of malloc."""
    cdef double *items = <double *>malloc(max(n, 1) * sizeof(double))
    cdef Py_ssize_t i
    for i in range(n):
        items[i] = i
    return pybuf_wrap(items, 1, &n, NULL, format, flags, release_of(kind), NULL)


def plain_bytes(bytes content, bint writable):
    cdef char *items = <char *>malloc(max(len(content), 1))
    memcpy(items, <char *>content, len(content))
    if writable:
        return pybuf_memory_writable(items, len(content), pybuf_release_free, NULL)
    return pybuf_memory(items, len(content), pybuf_release_free, NULL)


def strided(Py_ssize_t rows, Py_ssize_t columns, int flags):
    """Every other column of a matrix of shorts that count up."""
    cdef short *items = <short *>malloc(rows * columns * 2 * sizeof(short))
    cdef Py_ssize_t i
    cdef Py_ssize_t[2] shape = [rows, columns]
    cdef Py_ssize_t[2] strides = [columns * 2 * sizeof(short), 2 * sizeof(short)]
    for i in range(rows * columns * 2):
        items[i] = <short>i
    return pybuf_wrap(items, 2, shape, strides, "h", flags, release_gil, NULL)


def squares(Py_ssize_t n, int flags=PYBUF_ARRAY):
    """New memory, which is written while its object is in hand."""
    cdef void *data = NULL
    memory = pybuf_new(1, &n, "q", flags, &data)
    cdef Py_ssize_t i
    for i in range(n):
        (<long long *>data)[i] = i * i
    return memory


# ---- typed memoryviews ----


def total(const double[::1] items):
    cdef double sum = 0
    cdef Py_ssize_t i
    with nogil:
        for i in range(items.shape[0]):
            sum += items[i]
    return sum


def scale(double[::1] items, double by):
    cdef Py_ssize_t i
    with nogil:
        for i in range(items.shape[0]):
            items[i] *= by


def total_shorts(const short[:, :] items):
    cdef long sum = 0
    cdef Py_ssize_t i, j
    for i in range(items.shape[0]):
        for j in range(items.shape[1]):
            sum += items[i, j]
    return sum


def total_bytes(const unsigned char[::1] items):
    cdef long sum = 0
    cdef Py_ssize_t i
    for i in range(items.shape[0]):
        sum += items[i]
    return sum


def total_chars(const char[::1] items):
    return sum(items)


def kept_as_typed(obj):
    """A memoryview object of Cython's: nothing else holds the memory."""
    cdef double[::1] items = obj
    return items


# ---- an owner ----


cdef class Samples:
    """Owns memory, gives arrays of it, and is an exporter itself."""

    cdef double *items
    cdef Py_ssize_t n
    cdef public object kept
    cdef object __weakref__

    def __cinit__(self, Py_ssize_t n):
        cdef Py_ssize_t i
        self.n = n
        self.items = <double *>malloc(max(n, 1) * sizeof(double))
        for i in range(n):
            self.items[i] = i

    def __dealloc__(self):
        global freed
        free(self.items)
        freed += 1

    def memory(self, int flags=0):
        return pybuf_wrap_owned(self.items, 1, &self.n, NULL, "d", flags, self)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyObject_GetBuffer(self.memory(), view, flags)


def owned_by(owner, bint unowned=False, int flags=0):
    """Static memory, said to be of that owner."""
    cdef const char *text = "abc"
    cdef Py_ssize_t n = 3
    return pybuf_wrap_owned(
        <void *>text, 1, &n, NULL, NULL,
        flags | PYBUF_READONLY | (PYBUF_UNOWNED if unowned else 0), owner,
    )


# ---- rows: the questions of indirect_buffer that need its C functions ----


def rows_new(Py_ssize_t rows, Py_ssize_t columns, int flags=0):
    return pybuf_rows_new(rows, columns, "i", flags)


def item_by_pointer(memory, Py_ssize_t i, Py_ssize_t j):
    return (<int **>pybuf_rows_table(memory))[i][j]


def set_by_view(int[::view.indirect_contiguous, ::1] rows, Py_ssize_t i, Py_ssize_t j, int value):
    rows[i, j] = value


def item_by_const_view(const int[::view.indirect_contiguous, ::1] rows, Py_ssize_t i, Py_ssize_t j):
    return rows[i, j]


cdef int one_item = 5
cdef int *one_row = &one_item
cdef int **one_table = &one_row


def rows_of_one(int value, int flags=PYBUF_UNOWNED, owner=None):
    """An int ** of the module's own, of one item."""
    global one_item
    one_item = value
    return pybuf_rows(<void **>one_table, 1, 1, "i", flags, owner)


def the_item():
    return one_item


cdef void release_table(const void *table, size_t n, void *arg) noexcept with gil:
    global freed
    cdef int **rows = <int **>table
    cdef size_t i
    for i in range(n // sizeof(int *)):
        free(rows[i])
    free(rows)
    freed += 1


def pointers(Py_ssize_t rows, Py_ssize_t columns, int flags=0, int levels=1):
    """An int ** with each row from its own malloc, which a release takes."""
    cdef int **table = <int **>malloc(rows * sizeof(int *))
    cdef Py_ssize_t i, j
    cdef Py_ssize_t[2] shape = [rows, columns]
    for i in range(rows):
        table[i] = <int *>malloc(columns * sizeof(int))
        for j in range(columns):
            table[i][j] = <int>(i * columns + j)
    if levels != 1:
        try:
            return pybuf_pointers(table, levels, 2, shape, "i", flags, keep_table, NULL)
        finally:
            release_table(table, rows * sizeof(int *), NULL)
    return pybuf_pointers(table, 1, 2, shape, "i", flags, release_table, NULL)


cdef void keep_table(const void *table, size_t n, void *arg) noexcept nogil:
    pass


# ---- descriptors ----


cdef struct Made:
    pybuf_descriptor d
    int64_t n
    double[4] items


cdef void give_back(pybuf_descriptor *d) noexcept nogil:
    global natively
    natively += 1
    free(d)


cdef pybuf_descriptor *make_descriptor() noexcept nogil:
    """As a library without Python does it."""
    cdef Made *made = <Made *>malloc(sizeof(Made))
    cdef int i
    made.n = 4
    for i in range(4):
        made.items[i] = i
    made.d.magic = PYBUF_DESCRIPTOR_MAGIC
    made.d.version = pybuf.PYBUF_DESCRIPTOR_VERSION
    made.d.flags = 0
    made.d.ndim = 1
    made.d.pid = 0
    made.d.data = made.items
    made.d.itemsize = sizeof(double)
    made.d.nbytes = 4 * sizeof(double)
    made.d.format = "d"
    made.d.shape = &made.n
    made.d.strides = NULL
    made.d.suboffsets = NULL
    made.d.release = give_back
    made.d.ctx = NULL
    return &made.d


def adopted(int flags=0):
    cdef pybuf_descriptor *d
    with nogil:
        d = make_descriptor()
    return pybuf_adopt(d, flags)


def adopt_nothing():
    return pybuf_adopt(NULL, 0)


def total_lent(obj, int flags=PYBUF_READONLY):
    """Takes a descriptor of doubles, and gives it back without the GIL."""
    cdef pybuf_descriptor *d = pybuf_lend(obj, flags)
    cdef double sum = 0
    cdef int64_t i
    with nogil:
        if pybuf_descriptor_take(d):
            for i in range(d.nbytes // d.itemsize):
                sum += (<double *>d.data)[i]
            d.release(d)
    return sum


# ---- what is there ----


def array(memory):
    return pybuf.pybuf_array(memory)


def check(obj):
    return pybuf.pybuf_check(obj)


def both_modules():
    """A function of pybuf.pxd beside one of the package."""
    return pybuf.pybuf_check(pybuf.zeros(2))


# ---- a fault ----


def read_after_release():
    """What a sanitizer has to find."""
    cdef double *items = <double *>malloc(sizeof(double))
    cdef Py_ssize_t n = 1
    items[0] = 1
    array = pybuf_wrap(items, 1, &n, NULL, "d", PYBUF_ARRAY, release_nogil, NULL)
    del array
    return items[0]
