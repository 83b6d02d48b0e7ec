# cython: language_level=3, binding=False, boundscheck=False, wraparound=False
"""A consumer of indirect memory that knows nothing of pybuf: what test_indirect_cython.py asks.

The functions that end in a kind of typed memoryview do the same work through it;
the rest takes and gives pointers, as a wrapper of a C library does.
"""

from cython cimport view
from libc.stdlib cimport free, malloc


# ---- loops over typed memoryviews, without the GIL ----
#
# The weights tell items apart: a sum is that of the right items in the right places.


def total_rows(int[::view.indirect_contiguous, ::1] rows):
    cdef Py_ssize_t i, j
    cdef long total = 0
    with nogil:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                total += rows[i, j] * (100 * i + j)
    return total


def total_const(const int[::view.indirect_contiguous, ::1] rows):
    cdef Py_ssize_t i, j
    cdef long total = 0
    with nogil:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                total += rows[i, j] * (100 * i + j)
    return total


def total_indirect(int[::view.indirect, ::view.contiguous] rows):
    cdef Py_ssize_t i, j
    cdef long total = 0
    with nogil:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                total += rows[i, j] * (100 * i + j)
    return total


def total_generic(int[::view.generic, ::view.generic] items):
    cdef Py_ssize_t i, j
    cdef long total = 0
    with nogil:
        for i in range(items.shape[0]):
            for j in range(items.shape[1]):
                total += items[i, j] * (100 * i + j)
    return total


def total_const_generic(const int[::view.generic, ::view.generic] items):
    cdef Py_ssize_t i, j
    cdef long total = 0
    with nogil:
        for i in range(items.shape[0]):
            for j in range(items.shape[1]):
                total += items[i, j] * (100 * i + j)
    return total


def add_rows(int[::view.indirect_contiguous, ::1] rows, int n):
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                rows[i, j] += n


def add_indirect(int[::view.indirect, ::view.contiguous] rows, int n):
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                rows[i, j] += n


def add_generic(int[::view.generic, ::view.generic] items, int n):
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(items.shape[0]):
            for j in range(items.shape[1]):
                items[i, j] += n


def scale_doubles(double[::view.indirect, :] rows, double factor):
    """Rows whose items may have gaps."""
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(rows.shape[0]):
            for j in range(rows.shape[1]):
                rows[i, j] *= factor


def columns_from(double[::view.indirect, :] rows, Py_ssize_t first):
    """A slice, which is a layout of its own."""
    return rows[:, first:]


def scale_cube(double[::view.indirect, ::view.indirect, :] cube, double factor):
    """A T***: two levels of pointers. Cython takes no ::1 behind more than one."""
    cdef Py_ssize_t i, j, k
    with nogil:
        for i in range(cube.shape[0]):
            for j in range(cube.shape[1]):
                for k in range(cube.shape[2]):
                    cube[i, j, k] *= factor


def total_strided(int[::view.strided, ::view.strided] items):
    """Plain memory only."""
    cdef Py_ssize_t i, j
    cdef long total = 0
    for i in range(items.shape[0]):
        for j in range(items.shape[1]):
            total += items[i, j] * (100 * i + j)
    return total


# ---- typed memoryviews that stay ----


cdef class Kept:
    """Holds memory by nothing but a typed memoryview."""

    cdef int[::view.indirect_contiguous, ::1] rows

    def __init__(self, obj):
        self.rows = obj

    @property
    def shape(self):
        return self.rows.shape[0], self.rows.shape[1]

    def __getitem__(self, tuple index):
        return self.rows[<Py_ssize_t>index[0], <Py_ssize_t>index[1]]

    def __setitem__(self, tuple index, int value):
        self.rows[<Py_ssize_t>index[0], <Py_ssize_t>index[1]] = value

    def exporter(self):
        """Cython's own memoryview object, which exports what it views."""
        return self.rows

    def drop(self):
        self.rows = None


cdef class KeptConst:
    cdef const int[::view.indirect_contiguous, ::1] rows

    def __init__(self, obj):
        self.rows = obj

    def __getitem__(self, tuple index):
        return self.rows[<Py_ssize_t>index[0], <Py_ssize_t>index[1]]


# ---- pointers ----


def through_pointers(size_t address, Py_ssize_t rows, Py_ssize_t columns, int n):
    """Adds n to all items of an int **; returns what add_rows() and total_rows() would."""
    cdef int **table = <int **>address
    cdef Py_ssize_t i, j
    cdef long total = 0
    with nogil:
        for i in range(rows):
            for j in range(columns):
                table[i][j] += n
                total += table[i][j] * (100 * i + j)
    return total


freed = 0


cdef class Nanny:
    """An int ** with each row from its own malloc; all goes with this object."""

    cdef int **table
    cdef readonly Py_ssize_t rows, columns

    def __cinit__(self, Py_ssize_t rows, Py_ssize_t columns):
        cdef Py_ssize_t i, j
        self.rows = rows
        self.columns = columns
        self.table = <int **>malloc(rows * sizeof(int *))
        for i in range(rows):
            self.table[i] = <int *>malloc(columns * sizeof(int))
            for j in range(columns):
                self.table[i][j] = <int>(i * columns + j)

    def __dealloc__(self):
        global freed
        cdef Py_ssize_t i
        for i in range(self.rows):
            free(self.table[i])
        free(self.table)
        freed += 1

    @property
    def address(self):
        return <size_t>self.table


# ---- Cython's arrays ----


def array(Py_ssize_t rows, Py_ssize_t columns, str mode="c"):
    """Items that count up in the order of indices."""
    made = view.array(shape=(rows, columns), itemsize=sizeof(int), format="i", mode=mode)
    cdef int[:, :] items = made
    cdef Py_ssize_t i, j
    for i in range(rows):
        for j in range(columns):
            items[i, j] = <int>(i * columns + j)
    return made


cdef void count_free(void *data) noexcept:
    global freed
    free(data)
    freed += 1


def array_of_malloc(Py_ssize_t n, int value):
    """A row of memory that C gave, and takes back when the array goes."""
    cdef view.array made = view.array(
        shape=(n,), itemsize=sizeof(int), format="i", allocate_buffer=False
    )
    cdef Py_ssize_t i
    cdef int *items = <int *>malloc(n * sizeof(int))
    for i in range(n):
        items[i] = value
    made.data = <char *>items
    made.callback_free_data = count_free
    return made
