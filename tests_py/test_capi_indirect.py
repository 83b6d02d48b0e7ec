"""Tables of pointers of C code: pybuf_pointers, and pybuf_rows with its kin."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from typing import Any

import numpy as np
import pytest
from capi_uses import ADDRESS, ARRAY, NONE, READONLY, UNOWNED, Every
from pybuf.indirect import IndirectMemory2D

import pybuf

SIZE = ctypes.sizeof(ctypes.c_void_p)


def table(*addresses: int | None) -> Any:
    return (ctypes.c_void_p * len(addresses))(*addresses)


#: Rows of two, three or four doubles of BLOCK: those at even distances, and others.
EVEN = table(ADDRESS, ADDRESS + 32)
UNEVEN = table(ADDRESS, ADDRESS + 48, ADDRESS + 16)
HOLE = table(ADDRESS, None, ADDRESS + 16)


def at(t: Any) -> int:
    return ctypes.addressof(t)


# ---- pybuf_pointers --------------------------------------------------------------------


def test_a_table_of_rows_becomes_indirect_memory(every: Every):
    b = every.pointers(at(UNEVEN), 1, (3, 2))
    assert (b.shape, b.strides, b.suboffsets) == ((3, 2), (SIZE, 8), (0, -1))
    assert b.tolist() == [[0, 1], [6, 7], [2, 3]]
    view = memoryview(b)
    del b
    assert view.tolist() == [[0, 1], [6, 7], [2, 3]]
    assert every.released() == []
    del view
    assert every.released() == [(at(UNEVEN), 3 * SIZE)]


def test_two_levels_of_tables_are_followed(every: Every):
    planes = [table(ADDRESS, ADDRESS + 24), table(ADDRESS + 8, ADDRESS + 40)]
    outer = table(*map(at, planes))
    expected = [[[0, 1], [3, 4]], [[1, 2], [5, 6]]]
    for levels, shape in ((2, (2, 2, 2)), (3, (2, 2, 2))):
        if levels == 3:
            items = [[table(*(ADDRESS + 8 * int(x) for x in row)) for row in p] for p in expected]
            inner = [table(*map(at, rows)) for rows in items]
            outer = table(*map(at, inner))
        b = every.pointers(at(outer), levels, shape)
        assert b.tolist() == expected
        assert b.suboffsets == (0,) * levels + (-1,) * (3 - levels)


def test_a_table_of_items_has_one_axis(every: Every):
    items = table(ADDRESS + 24, ADDRESS)
    b = every.pointers(at(items), 1, (2,))
    assert (b.suboffsets, b.tolist()) == ((0,), [3, 0])


def test_even_rows_are_an_array_and_others_are_refused(every: Every):
    array = every.pointers(at(EVEN), 1, (2, 3), flags=ARRAY)
    assert array.tolist() == [[0, 1, 2], [4, 5, 6]]
    assert (array.ctypes.data, array.strides) == (ADDRESS, (32, 8))
    del array
    with pytest.raises(BufferError, match="even distances"):
        every.pointers(at(UNEVEN), 1, (3, 2), flags=ARRAY)
    assert every.released() == [(at(EVEN), 2 * SIZE), (at(UNEVEN), 3 * SIZE)]


@pytest.mark.parametrize("flags", [0, ARRAY])
def test_a_hole_is_refused_by_its_row(every: Every, flags):
    with pytest.raises((ValueError, BufferError), match=r"NULL|even"):
        np.asarray(every.pointers(at(HOLE), 1, (3, 2), flags=flags).numpy())
    assert every.released() == [(at(HOLE), 3 * SIZE)]


@pytest.mark.parametrize("shape", [(3, 0), (0, 2), (0, 0)], ids=str)
@pytest.mark.parametrize("flags", [0, ARRAY])
def test_without_items_holes_and_tables_do_not_matter(every: Every, shape, flags):
    for address in (at(HOLE), 0) if shape[0] == 0 else (at(HOLE),):
        assert every.pointers(address, 1, shape, flags=flags).shape == shape
    assert every.released()[0][0] == at(HOLE)


@pytest.mark.parametrize(
    ("levels", "shape", "error", "words"),
    [
        (0, (2, 3), ValueError, "levels is 0 and there are 2 dimensions"),
        (-1, (2, 3), ValueError, "levels is -1 and there are 2 dimensions"),
        (3, (2, 3), ValueError, "levels is 3 and there are 2 dimensions"),
        (1, (), ValueError, "levels is 1 and there are 0 dimensions"),
        (1, (2, -3), ValueError, "-3"),
        (1, (2**62, 2), OverflowError, "4611686018427387904"),
    ],
)
def test_a_table_that_cannot_be_is_refused(every: Every, levels, shape, error, words):
    owner = object()
    before = sys.getrefcount(owner)
    with pytest.raises(error, match=words):
        every.pointers(at(EVEN), levels, shape)
    with pytest.raises(error, match=words):
        every.pointers_owned(at(EVEN), levels, len(shape), list(shape), b"d", 0, owner)
    assert sys.getrefcount(owner) == before
    assert [data for data, _ in every.released()] == [at(EVEN)]


def test_null_is_no_table_for_items(every: Every):
    with pytest.raises(ValueError, match="NULL"):
        every.pointers(0, 1, (2, 2))
    assert len(every.released()) == 1


def test_an_owner_keeps_a_table(every: Every):
    owner = table(ADDRESS, ADDRESS + 16)
    before = sys.getrefcount(owner)
    args = (at(owner), 1, 2, [2, 2], b"d")
    for flags in (0, ARRAY, READONLY):
        memory = every.pointers_owned(*args, flags, owner)
        assert sys.getrefcount(owner) == before + 1
        assert memory.tolist() == [[0, 1], [2, 3]]
        assert memoryview(memory).readonly is bool(flags & READONLY)
        del memory
        assert sys.getrefcount(owner) == before
    assert every.pointers_owned(*args, UNOWNED, None).tolist() == [[0, 1], [2, 3]]
    assert every.pointers(at(owner), 1, (2, 2), flags=UNOWNED, release=NONE).shape == (2, 2)


# ---- IndirectMemory2D ------------------------------------------------------------------


def test_rows_are_what_the_class_makes_of_them(every: Every):
    owner = table(ADDRESS, ADDRESS + 48)
    before = sys.getrefcount(owner)
    mem = every.rows(at(owner), 2, 2, b"d", 0, owner)
    assert type(mem) is IndirectMemory2D
    assert sys.getrefcount(owner) == before + 1
    assert memoryview(mem).tolist() == [[0, 1], [6, 7]]
    assert every.rows_table(mem) == at(owner)
    assert not memoryview(mem).readonly
    assert memoryview(every.rows(at(owner), 2, 2, b"d", READONLY | UNOWNED, None)).readonly
    assert memoryview(every.rows(at(owner), 2, 2, None, UNOWNED, None)).format == "B"
    del mem
    assert sys.getrefcount(owner) == before


def test_new_rows_are_zeroed_and_their_table_leads_to_them(every: Every):
    mem = every.rows_new(3, 2, b"d", 0)
    rows = ctypes.cast(every.rows_table(mem), ctypes.POINTER(ctypes.POINTER(ctypes.c_double)))
    assert memoryview(mem).tolist() == [[0, 0]] * 3
    rows[1][1] = 5
    assert memoryview(mem)[1, 1] == 5
    assert memoryview(every.rows_new(3, 2, b"d", READONLY)).readonly
    assert every.rows_new(0, 2, b"d", 0).shape == (0, 2)


def test_a_table_is_lent_as_long_as_its_memory(every: Every):
    mem = every.rows_new(2, 2, b"d", 0)
    every.rows_table(mem)
    assert mem.close() is False
    with pytest.raises(ValueError, match="closed"):
        every.rows_table(mem)
    del mem
    gc.collect()


@pytest.mark.parametrize("wrong", [None, 3, b"x", [[1]]], ids=str)
def test_what_is_no_indirect_memory_has_no_table(every: Every, wrong):
    for obj in (wrong, pybuf.zeros(2)):
        with pytest.raises(TypeError, match=re.escape("pybuf_rows_table()")):
            every.rows_table(obj)


def test_rows_that_cannot_be_are_refused_and_the_owner_let_go(every: Every):
    owner = object()
    before = sys.getrefcount(owner)
    for args, error in (
        ((at(EVEN), -1, 2, b"d", 0), ValueError),
        ((at(EVEN), 2, -1, b"d", 0), ValueError),
        ((at(EVEN), 2**61, 2**10, b"d", 0), OverflowError),
        ((at(EVEN), 2, 2, b"no", 0), ValueError),
        ((at(EVEN), 2, 2, b"\xff", 0), ValueError),
        ((0, 2, 2, b"d", 0), ValueError),
        ((at(EVEN), 2, 2, b"d", ARRAY), ValueError),
        ((at(EVEN), 2, 2, b"d", UNOWNED), TypeError),
    ):
        with pytest.raises(error):
            every.rows(*args, owner)
    with pytest.raises(TypeError, match="who frees this memory"):
        every.rows(at(EVEN), 2, 2, b"d", 0, None)
    with pytest.raises(ValueError, match="-2"):
        every.rows_new(-2, 2, b"d", 0)
    assert sys.getrefcount(owner) == before


def test_an_array_of_rows_is_a_view_or_refused(every: Every):
    mem = every.rows(at(EVEN), 2, 3, b"d", UNOWNED, None)
    array = every.array(mem)
    assert (array.ctypes.data, array.strides) == (ADDRESS, (32, 8))
    uneven = every.rows(at(UNEVEN), 3, 2, b"d", UNOWNED, None)
    with pytest.raises(BufferError, match="even distances"):
        every.array(uneven)
