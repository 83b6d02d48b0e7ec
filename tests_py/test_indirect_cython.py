"""Cython's typed memoryviews over indirect memory: C that follows the pointers itself.

They know nothing of pybuf: all that they take, they take by the buffer protocol.
"""

from __future__ import annotations

import ctypes
import gc
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import cython_build
import numpy as np
import pytest
from pybuf.indirect import BufferCollection2D, IndirectMemory2D

import pybuf

Items = np.ndarray[Any, Any]

READS = ["total_rows", "total_const", "total_indirect", "total_generic", "total_const_generic"]
WRITES = ["add_rows", "add_indirect", "add_generic"]


@pytest.fixture(scope="session")
def cy() -> Any:
    if lack := cython_build.lacking():
        pytest.skip(lack)
    return cython_build.load("indirect_cython")


@pytest.fixture
def freed(cy: Any) -> Callable[[], int]:
    """How often memory of the module's own has been freed since the test began."""
    before = cy.freed
    return lambda: cy.freed - before


def says(text: str) -> str:
    """A pattern for the whole of an exception's text."""
    return f"^{re.escape(text)}$"


def counting() -> Items:
    return np.arange(12, dtype="i").reshape(3, 4)


def total(items: Any) -> int:
    """What the totals of the module are."""
    array = np.asarray(items)
    weights = 100 * np.arange(array.shape[0])[:, None] + np.arange(array.shape[1])
    return int((array * weights).sum())


def created() -> IndirectMemory2D:
    mem = IndirectMemory2D.create_memory(3, 4, "i")
    mem.copy_from(counting())
    return mem


def zeros() -> pybuf.Buffer:
    b = pybuf.indirect.zeros((3, 4), "i")
    pybuf.copyto(b, counting())
    return b


def apart() -> list[Items]:
    """Rows that lie at no even distances."""
    block = np.empty((4, 4), "i")
    block[[0, 1, 3]] = counting()
    return [block[0], block[1], block[3]]


EXPORTERS: dict[str, Callable[[], Any]] = {
    "create_memory": created,
    "view_from_rows": lambda: IndirectMemory2D.view_from_rows(counting()),
    "view_from_rows of a slice": lambda: IndirectMemory2D.view_from_rows(
        np.repeat(counting(), 2, 0)[::2]
    ),
    "view_from_columns": lambda: IndirectMemory2D.view_from_columns(counting().T),
    "BufferCollection2D": lambda: BufferCollection2D(apart()),
    "zeros": zeros,
    "rows": lambda: pybuf.indirect.rows(apart(), indirect=True),
    "rows of rows": lambda: pybuf.indirect.rows(
        [created().row(i) for i in range(3)], indirect=True
    ),
}

each_exporter = pytest.mark.parametrize("make", EXPORTERS.values(), ids=EXPORTERS)


# ---- items ----


@each_exporter
@pytest.mark.parametrize("read", READS)
def test_every_kind_of_typed_memoryview_reads_the_items(cy, make, read):
    assert getattr(cy, read)(make()) == total(counting())


@each_exporter
@pytest.mark.parametrize("write", WRITES)
def test_every_kind_of_typed_memoryview_writes_the_items(cy, make, write):
    mem = make()
    view = memoryview(mem)
    getattr(cy, write)(mem, 7)
    assert view.tolist() == (counting() + 7).tolist()
    view[2, 3] = 1000
    assert cy.total_rows(mem) == total(view.tolist())


def test_writes_arrive_in_the_rows_themselves(cy):
    rows = apart()
    for mem in (BufferCollection2D(rows), pybuf.indirect.rows(rows)):
        cy.add_generic(mem, 10)
    assert [row.tolist() for row in rows] == (counting() + 20).tolist()


def test_two_typed_memoryviews_see_each_other_s_writes(cy):
    mem = created()
    one, other = cy.Kept(mem), cy.Kept(mem)
    one[1, 2] = 42
    assert other[1, 2] == 42
    assert one.shape == other.shape == (3, 4)
    assert mem.exports == 2


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)], ids=str)
def test_memory_without_items_is_taken(cy, shape):
    mem = IndirectMemory2D.create_memory(*shape, "i")
    assert cy.Kept(mem).shape == shape
    assert [getattr(cy, read)(mem) for read in READS] == [0] * len(READS)


def test_generic_ones_take_plain_and_indirect_memory_alike(cy):
    items = counting()
    for plain in (items, pybuf.copy(created()), pybuf.indirect.rows(list(items))):
        assert cy.total_generic(plain) == cy.total_generic(created()) == total(items)


def test_rows_at_even_distances_are_indirect_if_that_is_asked(cy):
    """Cython takes no plain memory where it was told of pointers."""
    even = list(counting())
    with pytest.raises(ValueError, match="not indirectly contiguous"):
        cy.total_rows(pybuf.indirect.rows(even))
    assert cy.total_rows(pybuf.indirect.rows(even, indirect=True)) == total(counting())


def test_rows_with_gaps_are_followed(cy):
    rows = [np.arange(8.0), np.arange(100.0, 108.0)]
    for step in (2, -1, -3):
        cut = [row[::step] for row in rows]
        expected = [(row * 3).tolist() for row in cut]
        cy.scale_doubles(pybuf.indirect.rows(cut, indirect=True), 3)
        assert [row.tolist() for row in cut] == expected


@pytest.mark.parametrize("step", [1, 2, -1, -2])
def test_columns_are_cut_off_rows_of_any_direction(cy, step):
    """Which adds to the suboffset: it may not become negative."""
    lines = [np.arange(8.0) + 10 * i for i in range(3)]
    made = pybuf.indirect.rows([line[::step] for line in lines], indirect=True)
    for first in range(len(lines[0][::step]) + 1):
        piece = cy.columns_from(made, first)
        assert memoryview(piece).tolist() == [line[::step][first:].tolist() for line in lines]


def cube_of_rows() -> pybuf.Buffer:
    planes = np.arange(24.0).reshape(2, 3, 4)
    return pybuf.indirect.rows([[row.copy() for row in plane] for plane in planes], indirect=True)


def cube_of_zeros() -> pybuf.Buffer:
    b = pybuf.indirect.zeros((2, 3, 4), "d")
    pybuf.copyto(b, np.arange(24.0).reshape(2, 3, 4))
    return b


@pytest.mark.parametrize("make", [cube_of_rows, cube_of_zeros])
def test_two_levels_of_pointers_are_followed(cy, make):
    cube = make()
    assert cube.suboffsets == (0, 0, -1)
    cy.scale_cube(cube, 0.5)
    assert cube.tolist() == (np.arange(24).reshape(2, 3, 4) / 2).tolist()


def test_loops_without_the_gil_run_beside_each_other(cy, parallel):
    mem = IndirectMemory2D.create_memory(8, 5000, "i")
    rows = [BufferCollection2D([mem.row(i)]) for i in range(8)]

    def work(i: int) -> None:
        for _ in range(20):
            cy.add_rows(rows[i], i)
            cy.total_rows(mem)

    parallel(work)
    assert (mem.numpy() == 20 * np.arange(8)[:, None]).all()


# ---- refusals ----


@pytest.mark.parametrize("make", [created, lambda: BufferCollection2D(apart())])
def test_consumers_that_follow_no_pointers_are_refused(cy, make):
    mem = make()
    with pytest.raises(BufferError, match="need PyBUF_INDIRECT-able buffer-consumer"):
        cy.total_strided(mem)
    assert mem.exports == 0
    with pytest.raises(BufferError, match="suboffsets"):
        cy.total_strided(pybuf.indirect.rows(apart()))


@pytest.mark.parametrize("write", WRITES)
def test_read_only_memory_refuses_writers(cy, write):
    for mem in (
        IndirectMemory2D.create_memory(3, 4, "i", readonly=True),
        IndirectMemory2D.view_from_rows(counting(), readonly=True),
        BufferCollection2D([counting().tobytes()]),
    ):
        with pytest.raises(BufferError, match=says("buffer is not writable")):
            getattr(cy, write)(mem, 1)
        assert mem.exports == 0


def test_read_only_memory_is_read_through_const(cy):
    mem = IndirectMemory2D.view_from_rows(counting(), readonly=True)
    assert cy.total_const(mem) == cy.total_const_generic(mem) == total(counting())
    kept = cy.KeptConst(mem)
    assert kept[2, 3] == 11
    with pytest.raises(BufferError, match=says("buffer is not writable")):
        cy.Kept(mem)


def test_items_of_another_type_are_refused_by_cython(cy):
    mem = IndirectMemory2D.create_memory(2, 3, "d")
    with pytest.raises(ValueError, match="dtype mismatch, expected 'int' but got 'double'"):
        cy.total_rows(mem)
    assert mem.exports == 0
    mem.reinterpret_data("i")
    assert cy.Kept(mem).shape == (2, 6)


def test_formats_of_ctypes_are_read_as_they_are(cy):
    """Where memoryview needs reinterpret_data first."""
    rows = [(ctypes.c_int * 3)(1, 2, 3), (ctypes.c_int * 3)(4, 5, 6)]
    mem = IndirectMemory2D.from_ctype_ptr((ctypes.POINTER(ctypes.c_int) * 2)(*rows), 2, 3)
    assert mem.get_format() == b"<i"
    cy.add_rows(mem, 1)
    assert [list(row) for row in rows] == [[2, 3, 4], [5, 6, 7]]


# ---- how long memory lives ----


def test_a_typed_memoryview_locks_the_memory(cy):
    mem = BufferCollection2D(apart())
    kept = cy.Kept(mem)
    for change in (mem.make_read_only, lambda: mem.reinterpret_data("f")):
        with pytest.raises(BufferError, match=says("buffer is locked")):
            change()
    kept.drop()
    mem.make_read_only()
    mem.reinterpret_data("f")


@each_exporter
def test_a_typed_memoryview_holds_the_memory_when_the_exporter_is_gone(cy, make):
    before = pybuf.stats()["blocks"]
    kept = cy.Kept(make())
    gc.collect()
    assert pybuf.stats()["blocks"] > before
    kept[1, 1] = 99
    assert [kept[1, j] for j in range(4)] == [4, 99, 6, 7]
    kept.drop()
    assert pybuf.stats()["blocks"] == before


def test_closed_memory_stays_for_a_typed_memoryview(cy):
    mem = created()
    kept = cy.Kept(mem)
    assert mem.close() is False
    with pytest.raises(ValueError, match="closed"):
        cy.Kept(mem)
    assert kept[2, 3] == 11


def test_an_owner_goes_with_the_last_view_and_not_before(cy, freed):
    nanny = cy.Nanny(3, 4)
    mem = IndirectMemory2D.from_ptr_with_memory_nanny(nanny.address, 3, 4, b"i", False, nanny)
    del nanny
    kept, view = cy.Kept(mem), memoryview(mem)
    del mem
    gc.collect()
    assert (kept[2, 3], freed()) == (11, 0)
    del kept
    assert (view[2, 3], freed()) == (11, 0)
    del view
    assert freed() == 1


def test_what_is_only_wrapped_is_not_freed(cy, freed):
    nanny = cy.Nanny(3, 4)
    mem = IndirectMemory2D.from_ptr(nanny.address, 3, 4, "i")
    cy.add_rows(mem, 5)
    del mem
    assert freed() == 0
    assert cy.through_pointers(nanny.address, 3, 4, 0) == total(counting() + 5)


# ---- pointers ----


@each_exporter
def test_the_address_is_that_of_an_array_of_pointers(cy, make):
    mem = make()
    assert cy.through_pointers(mem.address, 3, 4, 2) == total(counting() + 2)
    assert cy.total_rows(mem) == total(counting() + 2)


# ---- Cython's arrays, and its memoryviews as exporters ----


@pytest.mark.parametrize("mode", ["c", "fortran"])
def test_arrays_of_cython_are_copied_both_ways(cy, mode):
    source, target = cy.array(3, 4, mode), cy.array(3, 4, mode)
    mem = IndirectMemory2D.create_memory(3, 4, "i")
    mem.copy_from(source)
    assert memoryview(mem).tolist() == counting().tolist()
    cy.add_rows(mem, 1)
    mem.copy_to(target)
    assert np.array_equal(target, counting() + 1)
    assert np.array_equal(source, counting())


def test_copy_partners_have_the_same_axes(cy):
    with pytest.raises(BufferError, match=says("different shapes")):
        created().copy_from(cy.array(4, 3))
    with pytest.raises(
        BufferError, match=says("wrong number of dimensions: expected 2, received 1")
    ):
        created().copy_to(cy.array_of_malloc(4, 0))


def test_rows_and_columns_of_arrays_of_cython_are_viewed(cy):
    source = cy.array(3, 4)
    assert cy.total_rows(IndirectMemory2D.view_from_rows(source)) == total(counting())
    turned = cy.array(3, 4, "fortran")
    mem = IndirectMemory2D.view_from_columns(turned)
    assert mem.shape == (4, 3)
    cy.add_rows(mem, 3)
    assert np.array_equal(turned, counting() + 3)
    with pytest.raises(BufferError, match=says("rows of the buffer-object aren't contiguous")):
        IndirectMemory2D.view_from_rows(turned)
    with pytest.raises(BufferError, match=says("columns of the buffer-object aren't contiguous")):
        IndirectMemory2D.view_from_columns(source)


def test_arrays_of_cython_are_rows_which_are_unravelled(cy):
    mem = BufferCollection2D([cy.array(2, 3), cy.array(2, 3, "fortran")])
    assert memoryview(mem).tolist() == [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5]]
    with pytest.raises(
        BufferError,
        match=says(
            "0. object has dimensionality: 2, but only one-dimensional objects are accepted"
        ),
    ):
        BufferCollection2D([cy.array(2, 3)], unravel=False)


def test_rows_of_cython_are_freed_once_when_the_last_view_is_gone(cy, freed):
    for collect in (BufferCollection2D, partial(pybuf.indirect.rows, indirect=True)):
        before = freed()
        kept = cy.Kept(collect([cy.array_of_malloc(5, 10 * i) for i in range(4)]))
        gc.collect()
        assert ([kept[i, 4] for i in range(4)], freed()) == ([0, 10, 20, 30], before)
        del kept
        assert freed() == before + 4


CUTS = [
    (slice(None), slice(1, 3)),
    (slice(None, None, -1), slice(None, None, 2)),
    (slice(2, None), slice(None, None, -1)),
    (slice(None, None, 2), slice(3, 0, -2)),
]


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_slices_that_cython_makes_are_indirect_exporters(cy, cut):
    """A slice along a row moves the suboffset of the pointers before it."""
    mem = created()
    piece = cy.Kept(mem).exporter()[cut]
    expected = counting()[cut].tolist()
    assert memoryview(piece).tolist() == expected
    assert pybuf.copy(piece).tolist() == expected
    into = pybuf.zeros(np.shape(expected), "i", order="F")
    pybuf.copyto(into, piece)
    assert into.tolist() == expected
    pybuf.copyto(piece, np.full(np.shape(expected), -1, "i"))
    changed = counting()
    changed[cut] = -1
    assert memoryview(mem).tolist() == changed.tolist()


@pytest.mark.parametrize("cut", CUTS, ids=str)
def test_slices_that_cython_makes_are_rows_of_one_level_more(cy, cut):
    parts = [created(), created()]
    cy.add_rows(parts[1], 50)
    pieces = [cy.Kept(mem).exporter()[cut] for mem in parts]
    cube = pybuf.indirect.rows(pieces)
    assert cube.tolist() == [counting()[cut].tolist(), (counting() + 50)[cut].tolist()]
    assert np.array_equal(cube.numpy(), cube.tolist())
    assert [mem.exports for mem in parts] == [1, 1]
