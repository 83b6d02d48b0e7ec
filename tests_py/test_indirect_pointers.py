"""pointers() and zeros(): T**, T***... of others, and new."""

from __future__ import annotations

import copy
import ctypes
import gc
import math
import sys
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from pybuf.indirect import pointers, rows, zeros

import pybuf

POINTER = ctypes.sizeof(ctypes.c_void_p)
Row = ctypes.c_double * 3


def table_of(*blocks: Any) -> Any:
    """A table that keeps the blocks."""
    table = (ctypes.c_void_p * len(blocks))(*map(ctypes.addressof, blocks))
    table.blocks = blocks
    return table


def over(table: Any, *args: Any, **kwargs: Any) -> pybuf.Buffer:
    return pointers(table, *args, owner=table, **kwargs)


# ---- pointers() ----


def test_a_table_of_rows_is_two_dimensional():
    parts = [Row(1, 2, 3), Row(4, 5, 6)]
    b = over(table_of(*parts), (2, 3), "d")
    assert (b.strides, b.suboffsets) == ((POINTER, 8), (0, -1))
    assert b.tolist() == [[1, 2, 3], [4, 5, 6]]
    b[1, 2] = 7
    assert parts[1][2] == 7


def test_a_table_of_tables_is_three_dimensional():
    parts = [Row(*range(i, i + 3)) for i in range(6)]
    tables = [table_of(*parts[:2]), table_of(*parts[2:4]), table_of(*parts[4:])]
    b = over(table_of(*tables), (3, 2, 3), "d")
    assert (b.strides, b.suboffsets) == ((POINTER, POINTER, 8), (0, 0, -1))
    assert b[2, 1, 0] == 5


def test_levels_say_how_many_axes_read_pointers():
    block = (ctypes.c_int16 * 12)(*range(12))
    b = over(table_of(block), (1, 3, 4), "h", levels=1)
    assert (b.strides, b.suboffsets) == ((POINTER, 8, 2), (0, -1, -1))
    assert b[0, 2, 3] == 11
    items = [ctypes.c_int(i) for i in (7, 5)]
    for levels in (None, 1):
        b = over(table_of(*items), 2, "i", levels=levels)
        assert (b.strides, b.suboffsets, b.tolist()) == ((POINTER,), (0,), [7, 5])
    b = over(table_of(table_of(*items)), (1, 2), "i", levels=2)
    assert b.tolist() == [[7, 5]]


@pytest.mark.parametrize(("shape", "levels"), [((), None), ((), 1), (3, 0), (3, 2), ((2, 3), -1)])
def test_levels_that_cannot_be_are_refused(shape: Any, levels: Any):
    for make in (zeros, lambda *a, **k: pointers(4096, *a, unowned=True, **k)):
        with pytest.raises(ValueError, match=r"\(\): levels is"):
            make(shape, "B", levels=levels)
    with pytest.raises(TypeError, match="levels is 'x'"):
        zeros((2, 3), levels="x")


def test_an_address_has_any_form_that_wrap_takes():
    row = Row(1, 2, 3)
    table = table_of(row)
    for address in (table, ctypes.addressof(table), ctypes.pointer(table)):
        assert pointers(address, (1, 3), "d", unowned=True).tolist() == [[1, 2, 3]]
    with pytest.raises(TypeError, match="address is 'x'"):
        pointers("x", (1, 3), "d", unowned=True)


def test_who_frees_must_be_said():
    with pytest.raises(TypeError, match=r"^pointers\(\) needs to know who frees this memory"):
        pointers(4096, (1, 3), "d")
    with pytest.raises(TypeError, match=r"^pointers\(\): unowned=True says that nobody"):
        pointers(4096, (1, 3), "d", owner=1, unowned=True)


def test_an_owner_is_kept_and_a_release_called_once():
    row = Row(1, 2, 3)
    table = table_of(row)
    before = sys.getrefcount(row)
    log: list[int] = []
    b = pointers(table, (1, 3), "d", owner=row, release=log.append)
    assert b.owner is row
    view = memoryview(b)
    del b
    gc.collect()
    assert (log, sys.getrefcount(row)) == ([], before + 1)
    view.release()
    del view
    assert (log, sys.getrefcount(row)) == ([ctypes.addressof(table)], before)


def test_null_in_a_table_is_refused_by_its_index_and_nothing_released():
    log: list[int] = []
    with pytest.raises(ValueError, match=r"^pointers\(\): row 1 is NULL"):
        pointers((ctypes.c_void_p * 2)(ctypes.addressof(Row()), None), (2, 3), release=log.append)
    inner = (ctypes.c_void_p * 2)(ctypes.addressof(Row()), None)
    with pytest.raises(ValueError, match=r"^pointers\(\): row \(0, 1\) is NULL"):
        pointers(table_of(inner), (1, 2, 3), release=log.append)
    with pytest.raises(ValueError, match="address is NULL"):
        pointers(0, (2, 3), release=log.append)
    assert log == []


def test_null_is_well_where_there_are_no_items():
    assert pointers((ctypes.c_void_p * 2)(), (2, 0), unowned=True).nbytes == 0
    assert pointers(0, (0, 3), unowned=True).tolist() == []


def test_a_ctypes_array_bounds_the_table():
    with pytest.raises(ValueError, match="the block has 16 bytes, as its ctypes type says"):
        pointers((ctypes.c_void_p * 2)(), (3, 3), unowned=True)


def test_read_only_is_read_only():
    table = table_of(Row())
    b = pointers(table, (1, 3), "d", unowned=True, readonly=True)
    assert b.readonly
    with pytest.raises(TypeError, match="read-only"):
        b[0, 0] = 1


# ---- zeros() ----


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_new_memory_is_zeroed_behind_tables(levels: int):
    b = zeros((2, 3, 4), "d", levels=levels)
    assert b.suboffsets == (0,) * levels + (-1,) * (3 - levels)
    assert (b.source, b.readonly, b.nbytes) == ("c", False, 192)
    assert b.tolist() == np.zeros((2, 3, 4)).tolist()
    b[1, 2, 3] = 5
    assert b[1, 2, 3] == 5
    assert np.count_nonzero(b.numpy()) == 1


def test_the_last_axis_is_the_row_unless_levels_are_given():
    assert zeros((2, 3)).suboffsets == (0, -1)
    assert zeros((2, 3, 4)).suboffsets == (0, 0, -1)
    assert zeros(3).suboffsets == (0,)


@pytest.mark.parametrize("align", [1, 2, 8, 64, 4096])
def test_rows_lie_behind_the_tables_without_gaps_from_an_alignment_on(align: int):
    b = zeros((3, 5), "d", align=align)
    a = b.numpy(copy=False)
    assert a.strides == (40, 8)
    assert a.ctypes.data % max(align, 8) == 0
    assert 0 < a.ctypes.data - b.address < 3 * POINTER + max(align, POINTER)


def test_all_of_it_is_one_block_that_is_freed_once():
    before = pybuf.stats()
    b = zeros((10, 10), "d")
    after = pybuf.stats()
    assert after["blocks"] == before["blocks"] + 1
    assert after["bytes"] == before["bytes"] + 128 + 800  # a table of 80, and rows from 128 on
    assert sys.getsizeof(b) > 800
    b.close()
    assert pybuf.stats()["bytes"] == before["bytes"]


def test_it_cannot_be_resized():
    with pytest.raises(BufferError, match="do not lie one behind the other"):
        zeros((2, 3)).resize((3, 2))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 0, 3), (2, 3, 0), 0])
def test_memory_without_items_has_tables_that_lead_somewhere(shape: Any):
    b = zeros(shape, "d")
    assert b.nbytes == 0
    n = b.shape[0]
    assert all((ctypes.c_void_p * n).from_address(b.address))
    assert b.tolist() == np.zeros(shape).tolist()


@pytest.mark.parametrize(
    ("shape", "error"),
    [
        ((-1, 3), ValueError),
        ((1 << 62, 1), OverflowError),
        ((1 << 31, 1 << 32), OverflowError),
        (((1 << 60) - 1, 0), OverflowError),
        ((1 << 30, 1 << 29, 2), OverflowError),
        ((1 << 59, 1), OverflowError),
        ((1 << 58, 1), MemoryError),
        ((1 << 20, 1 << 30), MemoryError),
    ],
)
def test_memory_that_cannot_be_is_refused_in_words(shape: Any, error: Any):
    with pytest.raises(error, match=r"."):
        zeros(shape, "d")


def test_a_sub_array_gives_its_extents_to_the_rows():
    b = zeros((2, 3), "(4)d")
    assert (b.shape, b.suboffsets) == ((2, 3, 4), (0, -1, -1))


def test_copies_of_it_are_plain():
    b = zeros((2, 3), "i")
    b[1, 1] = 4
    for c in (copy.copy(b), pybuf.copy(b)):
        assert (c.suboffsets, c.tolist()) == ((), b.tolist())


@given(
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    data=st.data(),
    dtype=st.sampled_from(["B", "h", "d", "5s", "Zd"]),
)
def test_each_item_has_a_place_of_its_own(shape: list[int], data: Any, dtype: str):
    levels = data.draw(st.integers(1, len(shape)))
    b = zeros(shape, dtype, levels=levels)
    a = np.random.default_rng(1).integers(0, 255, (math.prod(shape), b.itemsize), "u1")
    source = pybuf.wrap(a.ctypes.data, shape, dtype, owner=a, readonly=True)
    pybuf.copyto(b, source)
    assert b.numpy().tobytes() == pybuf.copy(b).tobytes() == a.tobytes()
    assert pybuf.copy(pointers(b.address, shape, dtype, levels=levels, owner=b)).tobytes() == (
        a.tobytes()
    )


# ---- the module ----


def test_the_module_comes_when_it_is_first_used(fresh: Any):
    fresh(
        """
        import sys
        import pybuf
        assert "pybuf.indirect" not in sys.modules
        assert not hasattr(pybuf, "direct")
        assert pybuf.indirect.zeros((2, 3)).shape == (2, 3)
        assert pybuf.indirect is sys.modules["pybuf.indirect"]
        """
    )


def test_its_functions_say_where_they_are_from():
    for function in (zeros, pointers, rows):
        assert function.__module__ == "pybuf.indirect"
        assert getattr(pybuf.indirect, function.__name__) is function


def test_a_sub_interpreter_has_it_too(fresh: Any):
    fresh(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        code = '''if True:
            import pybuf
            mem = pybuf.indirect.IndirectMemory2D.create_memory(2, 3, "i")
            kept = [memoryview(mem), pybuf.indirect.rows([b"ab", b"cd"], indirect=True)]
            kept.append(kept)
            '''
        here = interpreters.create()
        failed = interpreters.run_string(here, code)
        assert failed is None, failed
        interpreters.destroy(here)
        """,
        options=("-X", "dev"),
    )
