"""Buffer.row() and Buffer.numpy() of indirect memory."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

import pybuf
from pybuf import indirect

# ---- memory with pointers ----


def tree(items: Any, levels: int) -> tuple[int, list[Any]]:
    """Tables of pointers to the axes of an array, and what keeps them."""
    if levels == 0:
        return items.ctypes.data, [items]
    parts = [tree(items[i, ...], levels - 1) for i in range(len(items))]
    table = np.array([address for address, _ in parts], "u8")
    return table.ctypes.data, [table, *(kept for _, kept in parts)]


def behind(items: Any, levels: int = 1, **kwargs: Any) -> pybuf.Buffer:
    """An array behind pointers along its first axes."""
    address, kept = tree(items, levels)
    return pybuf.wrap(
        address,
        items.shape,
        items.dtype,
        strides=(8,) * levels + items.strides[levels:],
        suboffsets=(0,) * levels + (-1,) * (items.ndim - levels),
        owner=kept,
        **kwargs,
    )


def uneven(shape: tuple[int, ...], dtype: str = "i4") -> Any:
    """Rows at distances that are not all the same."""
    whole = np.arange(math.prod(shape) * 2, dtype=dtype).reshape(2 * shape[0], *shape[1:])
    return [whole[i] for i in [0, 1, 3, *range(4, 4 + shape[0])][: shape[0]]]


def rows_of(arrays: list[Any]) -> pybuf.Buffer:
    table = np.array([a.ctypes.data for a in arrays], "u8")
    return pybuf.wrap(
        table.ctypes.data,
        (len(arrays), *arrays[0].shape),
        arrays[0].dtype,
        strides=(8, *arrays[0].strides),
        suboffsets=(0,) + (-1,) * arrays[0].ndim,
        owner=(table, arrays),
    )


# ---- numpy() ----


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple),
    turned=st.lists(st.sampled_from([1, -1, 2]), min_size=4, max_size=4),
    data=st.data(),
)
def test_rows_at_even_distances_are_viewed(shape: Any, turned: Any, data: Any):
    whole = np.arange(math.prod(shape) * 2 ** len(shape), dtype="i2")
    items = whole.reshape([2 * n for n in shape])[
        tuple(slice(None, None, step) for step in turned[: len(shape)])
    ][tuple(slice(n) for n in shape)]
    b = behind(items, data.draw(st.integers(1, len(shape))))
    view = b.numpy(copy=False)
    assert np.array_equal(view, items)
    assert np.shares_memory(view, whole)
    view[...] = 7
    assert (items == 7).all()
    assert b.exports == 1
    assert view.base.obj is b


@pytest.mark.parametrize("shape", [(3, 2), (4, 2, 3)])
def test_rows_at_other_distances_are_copied(shape: Any):
    parts = uneven(shape)
    b = rows_of(parts)
    array = b.numpy()
    assert np.array_equal(array, np.array(parts))
    assert not np.shares_memory(array, parts[0])
    assert array.flags.c_contiguous
    assert array.flags.writeable
    assert b.exports == 0


def test_copy_false_refuses_to_copy():
    b = rows_of(uneven((3, 2)))
    with pytest.raises(BufferError, match=r"copy=False.*even distances.*copied"):
        b.numpy(copy=False)
    assert b.exports == 0


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 3)])
def test_without_items_there_is_nothing_to_copy(shape: Any):
    b = indirect.zeros(shape, "d")
    assert b.suboffsets is not None
    for copy in (False, None):
        array = b.numpy(copy=copy)
        assert array.shape == shape
        assert b.exports == 1
        del array


@pytest.mark.parametrize("readonly", [False, True])
def test_copy_true_always_copies_and_may_be_written(readonly: bool):
    source = np.arange(6.0).reshape(2, 3)
    plain = pybuf.wrap(source.ctypes.data, (2, 3), "d", owner=source, readonly=readonly)
    for b in (plain, behind(source, readonly=readonly)):
        array = b.numpy(copy=True)
        array[:] = 0
        assert source.any()
        assert b.exports == 0


@pytest.mark.parametrize("copy", [None, False])
def test_plain_memory_is_never_copied_unasked(copy: bool | None):
    b = pybuf.zeros(3, "i")
    b.numpy(copy=copy)[1] = 5
    assert b.tolist() == [0, 5, 0]


def test_what_is_read_only_is_viewed_read_only():
    assert not behind(np.zeros((2, 3)), readonly=True).numpy(copy=False).flags.writeable


def test_the_distances_are_those_of_now():
    source = np.arange(6.0).reshape(3, 2)
    table = np.array([source.ctypes.data + 16 * i for i in range(3)], "u8")
    b = pybuf.wrap(
        table.ctypes.data, (3, 2), "d", strides=(8, 8), suboffsets=(0, -1), owner=(table, source)
    )
    before = b.numpy(copy=False)
    table[:] = table[::-1]
    assert b.numpy(copy=False).tolist() == source[::-1].tolist()
    assert before.tolist() == source.tolist()


def test_rows_of_one_address_are_viewed_with_a_stride_of_0():
    row = np.arange(3.0)
    b = rows_of([row] * 4)
    assert b.numpy(copy=False).strides == (0, 8)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_without_items_there_is_an_array_of_the_shape(shape: Any):
    b = pybuf.wrap(
        (ctypes.c_void_p * 3)(), shape, "d", strides=(8, 8), suboffsets=(0, -1), unowned=True
    )
    assert b.numpy().shape == shape


def test_a_null_row_gives_no_array():
    table = (ctypes.c_void_p * 3)(ctypes.addressof(ctypes.c_double()), None, None)
    b = pybuf.wrap(
        table, (3, 1), "d", strides=(8, 8), suboffsets=(0, -1), owner=table, readonly=True
    )
    with pytest.raises(ValueError, match="row 1 is NULL"):
        b.numpy()
    with pytest.raises(BufferError, match="copy=False"):
        b.numpy(copy=False)


# ---- row() ----


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    data=st.data(),
)
def test_a_row_is_what_numpy_finds_there(shape: Any, data: Any):
    items = np.arange(math.prod(shape), dtype="i2").reshape(shape)[::-1]
    b = behind(items, data.draw(st.integers(0, len(shape))))
    i = data.draw(st.integers(-shape[0], shape[0] - 1))
    row = b.row(i)
    assert row.shape == shape[1:]
    assert row.tolist() == items[i].tolist()


def test_a_row_is_no_copy():
    arrays = uneven((3, 4))
    b = rows_of(arrays)
    b.row(-1).numpy()[2] = 99
    assert arrays[2][2] == 99


def test_a_row_of_rows_is_one_level_less():
    items = np.arange(24.0).reshape(2, 3, 4)
    row = behind(items, 2).row(1)
    assert row.suboffsets == (0, -1)
    assert row.row(2).suboffsets == ()
    assert row.row(2).tolist() == items[1, 2].tolist()


def test_a_row_of_plain_memory_is_contiguous():
    row = pybuf.zeros((2, 3), "d").row(1)
    assert memoryview(row).c_contiguous
    assert (row.strides, row.nbytes) == ((8,), 24)


def test_a_row_with_gaps_says_so():
    source = np.zeros((2, 6))
    b = pybuf.wrap(source.ctypes.data, (2, 3), "d", strides=(48, 16), owner=source)
    assert not memoryview(b.row(0)).contiguous


def test_a_row_is_one_export_and_outlives_close():
    b = pybuf.copy(np.arange(6).reshape(2, 3))
    row = b.row(1)
    assert b.exports == 1
    b.close()
    assert row.tolist() == [3, 4, 5]
    with pytest.raises(ValueError, match="closed"):
        b.row(0)
    del row
    assert b.exports == 0


def test_a_row_of_read_only_memory_is_read_only():
    assert pybuf.zeros((2, 3)).toreadonly().row(0).readonly


@pytest.mark.parametrize("i", [2, -3, 2**62])
def test_a_row_that_is_not_there_is_an_index_error(i: int):
    with pytest.raises(IndexError, match=f"no row {i}: the Buffer has 2 rows"):
        pybuf.zeros((2, 3)).row(i)


@pytest.mark.parametrize("i", [1.0, "1", None])
def test_a_row_is_asked_for_by_an_integer(i: Any):
    with pytest.raises(TypeError):
        pybuf.zeros((2, 3)).row(i)


def test_an_item_alone_has_no_rows():
    with pytest.raises(IndexError, match="no axes"):
        pybuf.zeros(()).row(0)


def test_a_null_row_is_refused():
    table = (ctypes.c_void_p * 2)(None, None)
    b = pybuf.wrap(table, (2, 1), "d", strides=(8, 8), suboffsets=(0, -1), owner=table)
    with pytest.raises(ValueError, match="row 1 is NULL"):
        b.row(1)
    assert b.exports == 0


def test_a_row_of_no_items_reads_no_pointer():
    table = (ctypes.c_void_p * 2)(None, None)
    b = pybuf.wrap(table, (2, 0), "d", strides=(8, 8), suboffsets=(0, -1), owner=table)
    assert b.row(1).shape == (0,)
