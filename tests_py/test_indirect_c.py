"""Functions of C that take double **, int ** and double ***: called with the addresses of
indirect memory, and givers of it.

C is told nothing but an address and extents, by ctypes and by cffi.
"""

from __future__ import annotations

import ctypes
import gc
import shutil
import subprocess
import weakref
from collections.abc import Callable
from typing import Any

import cffi
import numpy as np
import pytest
from pybuf.indirect import BufferCollection2D, IndirectMemory2D

import pybuf

DECLARATIONS = """
    double sum_doubles(const double *const *rows, ptrdiff_t n, ptrdiff_t m);
    long long sum_ints(const int *const *rows, ptrdiff_t n, ptrdiff_t m);
    double sum_cube(const double *const *const *cube, ptrdiff_t n, ptrdiff_t m, ptrdiff_t k);
    void scale_doubles(double **rows, ptrdiff_t n, ptrdiff_t m, double factor);
    void fill_ints(int **rows, ptrdiff_t n, ptrdiff_t m);
    void fill_cube(double ***cube, ptrdiff_t n, ptrdiff_t m, ptrdiff_t k);
    void transpose(double **rows, ptrdiff_t n);
    void swap_rows(double **rows, ptrdiff_t i, ptrdiff_t j);
    double **make_rows(ptrdiff_t n, ptrdiff_t m);
    void free_rows(void *rows, size_t nbytes, void *n);
    long freed(void);
"""

SOURCE = (
    "#include <stddef.h>\n#include <stdint.h>\n#include <stdlib.h>\n"
    + DECLARATIONS
    + """
/* Weights: a sum is that of the right items in the right places. */
#define FOR(i, n) for (ptrdiff_t i = 0; i < (n); i++)

double sum_doubles(const double *const *rows, ptrdiff_t n, ptrdiff_t m)
{
    double sum = 0;
    FOR(i, n) FOR(j, m) sum += rows[i][j] * (100 * i + j);
    return sum;
}

long long sum_ints(const int *const *rows, ptrdiff_t n, ptrdiff_t m)
{
    long long sum = 0;
    FOR(i, n) FOR(j, m) sum += rows[i][j] * (100 * i + j);
    return sum;
}

double sum_cube(const double *const *const *cube, ptrdiff_t n, ptrdiff_t m, ptrdiff_t k)
{
    double sum = 0;
    FOR(i, n) sum += (i + 1) * sum_doubles(cube[i], m, k);
    return sum;
}

void scale_doubles(double **rows, ptrdiff_t n, ptrdiff_t m, double factor)
{
    FOR(i, n) FOR(j, m) rows[i][j] *= factor;
}

void fill_ints(int **rows, ptrdiff_t n, ptrdiff_t m)
{
    FOR(i, n) FOR(j, m) rows[i][j] = (int)(i * m + j);
}

void fill_cube(double ***cube, ptrdiff_t n, ptrdiff_t m, ptrdiff_t k)
{
    FOR(i, n) FOR(j, m) FOR(l, k) cube[i][j][l] = (double)((i * m + j) * k + l);
}

void transpose(double **rows, ptrdiff_t n)
{
    FOR(i, n) FOR(j, i) {
        double item = rows[i][j];
        rows[i][j] = rows[j][i];
        rows[j][i] = item;
    }
}

void swap_rows(double **rows, ptrdiff_t i, ptrdiff_t j)
{
    double *row = rows[i];
    rows[i] = rows[j];
    rows[j] = row;
}

static long count;

double **make_rows(ptrdiff_t n, ptrdiff_t m)
{
    double **rows = malloc((size_t)n * sizeof *rows);
    FOR(i, n) {
        rows[i] = malloc((size_t)m * sizeof **rows);
        FOR(j, m) rows[i][j] = (double)(i * m + j);
    }
    return rows;
}

void free_rows(void *rows, size_t nbytes, void *n)
{
    (void)nbytes;
    FOR(i, (ptrdiff_t)(intptr_t)n) free(((double **)rows)[i]);
    free(rows);
    count++;
}

long freed(void)
{
    return count;
}
"""
)

P = ctypes.POINTER
D, N = ctypes.c_double, ctypes.c_ssize_t
# Of each function: what it gives, its pointer, the rest.
TYPES: dict[str, tuple[Any, Any, list[Any]]] = {
    "sum_doubles": (D, P(P(D)), [N, N]),
    "sum_ints": (ctypes.c_longlong, P(P(ctypes.c_int)), [N, N]),
    "sum_cube": (D, P(P(P(D))), [N, N, N]),
    "scale_doubles": (None, P(P(D)), [N, N, D]),
    "fill_ints": (None, P(P(ctypes.c_int)), [N, N]),
    "fill_cube": (None, P(P(P(D))), [N, N, N]),
    "transpose": (None, P(P(D)), [N]),
    "swap_rows": (None, P(P(D)), [N, N]),
}

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler")
    source = tmp_path_factory.mktemp("rows") / "rows.c"
    source.write_text(SOURCE)
    library = source.with_suffix(".so")
    options = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([cc, *options, str(source), "-o", str(library)], check=True)
    return str(library)


@pytest.fixture(scope="module")
def c(path: str) -> Any:
    """The functions that make and free."""
    library = ctypes.CDLL(path)
    library.make_rows.restype = ctypes.c_void_p
    library.make_rows.argtypes = [N, N]
    library.free_rows.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p]
    library.free_rows.restype = None
    return library


@pytest.fixture
def freed(c: Any) -> Callable[[], int]:
    before = c.freed()
    return lambda: c.freed() - before


def by_ctypes_pointers(path: str) -> Call:
    def call(name: str, address: int, *args: Any) -> Any:
        function = ctypes.CDLL(path)[name]
        function.restype, pointer, rest = TYPES[name]
        function.argtypes = [pointer, *rest]
        return function(ctypes.cast(address, pointer), *args)

    return call


def by_ctypes_addresses(path: str) -> Call:
    def call(name: str, address: int, *args: Any) -> Any:
        function = ctypes.CDLL(path)[name]
        function.restype, _, rest = TYPES[name]
        function.argtypes = [ctypes.c_void_p, *rest]
        return function(address, *args)

    return call


def by_cffi(path: str) -> Call:
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    library = ffi.dlopen(path)

    def call(name: str, address: int, *args: Any) -> Any:
        function = getattr(library, name)
        return function(ffi.cast(ffi.typeof(function).args[0], address), *args)

    return call


@pytest.fixture(scope="module", params=[by_ctypes_pointers, by_ctypes_addresses, by_cffi])
def call(request: pytest.FixtureRequest, path: str) -> Call:
    return request.param(path)


# ---- memory ----


def counting(dtype: str = "d") -> Any:
    return np.arange(9, dtype=dtype).reshape(3, 3)


def total(items: Any) -> float:
    """What the sums of the library are."""
    array = np.asarray(items)
    return float((array * (100 * np.arange(3)[:, None] + np.arange(3))).sum())


def created(dtype: str) -> Any:
    mem = IndirectMemory2D.create_memory(3, 3, dtype)
    mem.copy_from(counting(dtype))
    return mem


def zeros(dtype: str) -> Any:
    b = pybuf.indirect.zeros((3, 3), dtype)
    pybuf.copyto(b, counting(dtype))
    return b


def apart(dtype: str) -> list[Any]:
    """Rows at distances that are not the same, the last one before the others."""
    block = np.empty((4, 3), dtype)
    block[[1, 3, 0]] = counting(dtype)
    return [block[1], block[3], block[0]]


MEMORIES: dict[str, Callable[[str], Any]] = {
    "create_memory": created,
    "zeros": zeros,
    "rows": lambda dtype: pybuf.indirect.rows(apart(dtype), indirect=True),
    "BufferCollection2D": lambda dtype: BufferCollection2D(apart(dtype)),
    "view_from_columns": lambda dtype: IndirectMemory2D.view_from_columns(counting(dtype).T),
}

each_memory = pytest.mark.parametrize("make", MEMORIES.values(), ids=MEMORIES)


# ---- C reads and writes ----


@each_memory
def test_c_reads_the_items(call, make):
    assert call("sum_doubles", make("d").address, 3, 3) == total(counting())
    assert call("sum_ints", make("i").address, 3, 3) == total(counting())


@each_memory
def test_c_writes_the_items(call, make):
    doubles, ints = make("d"), make("i")
    view = memoryview(doubles)
    call("scale_doubles", doubles.address, 3, 3, -0.5)
    assert view.tolist() == (counting() * -0.5).tolist()
    view[1, 2] = 7
    assert call("sum_doubles", doubles.address, 3, 3) == total(view.tolist())
    pybuf.copyto(ints, np.zeros((3, 3), "i"))
    call("fill_ints", ints.address, 3, 3)
    assert ints.numpy().tolist() == counting().tolist()


@each_memory
def test_c_transposes_in_place(call, make):
    mem = make("d")
    call("transpose", mem.address, 3)
    assert np.array_equal(mem.numpy(), counting().T)
    target = np.zeros((3, 3), order="F")
    pybuf.copyto(target, mem)
    assert np.array_equal(target, counting().T)


def test_rows_of_others_are_written_where_they_lie(call):
    rows = apart("d")
    for mem in (pybuf.indirect.rows(rows, indirect=True), BufferCollection2D(rows)):
        call("scale_doubles", mem.address, 3, 3, 2)
    assert np.array_equal(rows, counting() * 4)


def test_c_reads_what_is_read_only(call):
    rows = [row.tobytes() for row in counting()]
    doubles = [memoryview(row).cast("d") for row in rows]
    for mem in (BufferCollection2D(doubles), pybuf.indirect.rows(doubles, indirect=True)):
        assert mem.readonly
        assert call("sum_doubles", mem.address, 3, 3) == total(counting())


def test_c_follows_two_levels_of_pointers(call):
    made = pybuf.indirect.zeros((2, 3, 3), "d")
    call("fill_cube", made.address, 2, 3, 3)
    planes = np.arange(18.0).reshape(2, 3, 3)
    assert made.tolist() == planes.tolist()
    nested = pybuf.indirect.rows([[row.copy() for row in p] for p in planes], indirect=True)
    again = pybuf.indirect.pointers(made.address, (2, 3, 3), "d", owner=made)
    expected = sum((i + 1) * total(plane) for i, plane in enumerate(planes))
    for cube in (made, nested, again):
        assert call("sum_cube", cube.address, 2, 3, 3) == expected


def test_a_plane_of_a_cube_is_a_table_of_rows(call):
    cube = pybuf.indirect.zeros((2, 3, 3), "i")
    call("fill_ints", cube.row(1).address, 3, 3)
    assert cube.tolist() == [np.zeros((3, 3)).tolist(), counting("i").tolist()]


# ---- C changes the pointers ----


@each_memory
@pytest.mark.parametrize("swap", [(0, 1), (0, 2), (2, 1)], ids=str)
def test_the_order_of_rows_is_that_of_the_pointers_now(call, make, swap):
    mem = make("d")
    before = mem.row(swap[0])
    call("swap_rows", mem.address, *swap)
    order = [0, 1, 2]
    order[swap[0]], order[swap[1]] = order[swap[1]], order[swap[0]]
    expected = counting()[order].tolist()
    assert memoryview(mem).tolist() == expected
    assert mem.numpy().tolist() == expected
    assert mem.numpy(copy=True).tolist() == expected
    assert pybuf.copy(mem).tolist() == expected
    assert [mem.row(i).tolist() for i in range(3)] == expected
    assert before.tolist() == counting()[swap[0]].tolist()  # a row is where it was


def test_rows_that_are_swapped_are_still_viewed_if_they_are_even(call):
    mem = created("d")
    call("swap_rows", mem.address, 0, 2)
    view = mem.numpy(copy=False)
    assert view.strides == (-24, 8)
    call("swap_rows", mem.address, 0, 1)
    assert view.tolist() == counting()[::-1].tolist()
    with pytest.raises(BufferError, match="even distances"):
        mem.numpy(copy=False)
    copied = mem.numpy()
    copied[:] = 0
    assert memoryview(mem).tolist() == counting()[[1, 2, 0]].tolist()


def test_pointers_that_c_sets_to_null_are_refused_by_name(call):
    table = (ctypes.c_void_p * 3)(*(row.ctypes.data for row in counting()))
    b = pybuf.indirect.pointers(table, (3, 3), "d", owner=table)
    table[1] = None
    for ask in (b.numpy, lambda: pybuf.copy(b), lambda: b.row(1)):
        with pytest.raises(ValueError, match="row 1 is NULL"):
            ask()


# ---- C gives memory ----


def by_native_function(c: Any, rows: int) -> pybuf.Buffer:
    release = (ctypes.cast(c.free_rows, ctypes.c_void_p).value, rows)
    return pybuf.indirect.pointers(c.make_rows(rows, 3), (rows, 3), "d", release=release)


def by_ctypes_function(c: Any, rows: int) -> pybuf.Buffer:
    release = (c.free_rows, rows)
    return pybuf.indirect.pointers(c.make_rows(rows, 3), (rows, 3), "d", release=release)


def by_callable(c: Any, rows: int) -> pybuf.Buffer:
    return pybuf.indirect.pointers(
        c.make_rows(rows, 3), (rows, 3), "d", release=lambda address: c.free_rows(address, 0, rows)
    )


class Nanny:
    """Owns rows of C's, as an object of a wrapper of a C library does."""

    def __init__(self, c: Any, rows: int) -> None:
        self.address = c.make_rows(rows, 3)
        weakref.finalize(self, c.free_rows, self.address, 0, rows)


def by_owner(c: Any, rows: int) -> pybuf.Buffer:
    nanny = Nanny(c, rows)
    return pybuf.indirect.pointers(nanny.address, (rows, 3), "d", owner=nanny)


def by_nanny(c: Any, rows: int) -> IndirectMemory2D:
    nanny = Nanny(c, rows)
    return IndirectMemory2D.from_ptr_with_memory_nanny(nanny.address, rows, 3, "d", False, nanny)


VIEWS: dict[str, Callable[[Any], Any]] = {
    "memoryview": memoryview,
    "slice": lambda mem: memoryview(mem)[1:],
    "numpy": lambda mem: mem.numpy(),
    "row": lambda mem: mem.row(1),
    "array of a row": lambda mem: mem.row(1).numpy()[1:],
    "rows of a row": lambda mem: pybuf.indirect.rows([mem.row(0)]),
}


@pytest.mark.parametrize(
    "give", [by_native_function, by_ctypes_function, by_callable, by_owner, by_nanny]
)
class TestMemoryOfC:
    def test_it_is_freed_once_when_the_exporter_is_gone(self, c, freed, give):
        mem = give(c, 5)
        gc.collect()
        assert freed() == 0
        assert pybuf.copy(mem).tolist() == np.arange(15.0).reshape(5, 3).tolist()
        del mem
        assert freed() == 1
        gc.collect()
        assert freed() == 1

    @pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
    def test_it_is_freed_when_the_last_view_is_gone(self, c, freed, give, view):
        mem = give(c, 2)
        seen = view(mem)
        items = memoryview(seen).tolist()
        assert mem.exports == 1  # also of numpy(): two rows are always at an even distance
        del mem
        gc.collect()
        assert freed() == 0
        assert memoryview(seen).tolist() == items
        del seen
        assert freed() == 1

    def test_it_is_freed_by_close(self, c, freed, give):
        mem = give(c, 4)
        assert mem.close() is True
        assert freed() == 1
        del mem
        assert freed() == 1

    def test_it_is_written_by_copies(self, c, freed, give):
        mem = give(c, 3)
        pybuf.copyto(mem, np.asfortranarray(counting()) * 2)
        assert memoryview(mem).tolist() == (counting() * 2).tolist()

    def test_a_thousand_rows_are_read(self, c, freed, give):
        mem = give(c, 1000)
        assert np.array_equal(mem.numpy(), np.arange(3000.0).reshape(1000, 3))
        del mem
        assert freed() == 1
