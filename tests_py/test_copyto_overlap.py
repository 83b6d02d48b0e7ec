"""copyto() where both sides share memory: as if src were copied first."""

from __future__ import annotations

import ctypes
import itertools
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from numpy.lib.stride_tricks import as_strided

import pybuf


def starts(strides: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    """The least item 0 so that nothing lies below the memory, and the reach above it."""
    below = sum(min((n - 1) * s, 0) for n, s in zip(shape, strides, strict=True))
    above = sum(max((n - 1) * s, 0) for n, s in zip(shape, strides, strict=True))
    return -below, above


def window(memory: Any, at: int, shape: Any, strides: Any) -> Any:
    low, _ = starts(strides, shape)
    return as_strided(memory[low + at :], shape, [s * memory.itemsize for s in strides])


def is_spread(shape: Any, strides: Any) -> bool:
    places = [
        sum(i * s for i, s in zip(index, strides, strict=True))
        for index in itertools.product(*map(range, shape))
    ]
    return len(set(places)) == len(places)


@given(
    shape=st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    data=st.data(),
)
def test_strided_memory_that_overlaps_arrives_as_it_was(shape: Any, data: Any):
    strides = st.tuples(*[st.integers(-9, 9)] * len(shape))
    to = data.draw(strides.filter(lambda s: is_spread(shape, s)), "dst")
    of = data.draw(strides, "src")
    size = 200
    memory = np.arange(size, dtype="i4")
    ends = [sum(starts(s, shape)) for s in (to, of)]
    dst = window(memory, data.draw(st.integers(0, size - 1 - ends[0])), shape, to)
    src = window(memory, data.draw(st.integers(0, size - 1 - ends[1])), shape, of)
    expected = src.copy()
    pybuf.copyto(dst, src)
    assert np.array_equal(dst, expected)


def by_pointers(grid: Any, order: Any, table: Any = None) -> pybuf.Buffer:
    """The rows of a grid, in any order, behind a table of pointers."""
    if table is None:
        table = np.zeros(len(order), "u8")
    table[:] = [grid.ctypes.data + i * grid.strides[0] for i in order]
    return pybuf.wrap(
        table.ctypes.data,
        (len(order), grid.shape[1]),
        grid.dtype,
        strides=(table.strides[0], grid.strides[1]),
        suboffsets=(0, -1),
        owner=(table, grid),
    )


@given(dst=st.permutations(range(5)), src=st.permutations(range(5)), shift=st.integers(0, 2))
def test_rows_that_overlap_arrive_as_they_were(dst: Any, src: Any, shift: int):
    grid = np.arange(40.0).reshape(5, 8)
    to = by_pointers(grid[:, :6], dst)
    of = by_pointers(grid[:, shift : shift + 6], src)
    expected = pybuf.copy(of)
    pybuf.copyto(to, of)
    assert to == expected


@given(order=st.permutations(range(6)))
def test_rows_between_those_of_the_other_side_do_not_overlap(order: Any):
    """Their bounds meet, and no row meets another."""
    grid = np.arange(24.0).reshape(6, 4)
    expected = grid[order[3:]].copy()
    pybuf.copyto(by_pointers(grid, order[:3]), by_pointers(grid, order[3:]))
    assert np.array_equal(grid[order[:3]], expected)


def test_rows_go_into_the_grid_that_they_are_rows_of():
    grid = np.arange(24.0).reshape(6, 4)
    expected = grid[[3, 1, 5, 0, 2, 4]]
    pybuf.copyto(grid, by_pointers(grid, [3, 1, 5, 0, 2, 4]))
    assert np.array_equal(grid, expected)


def test_a_table_among_the_items_of_dst_is_refused():
    grid = np.zeros((4, 3), "u8")
    grid[:] = 7
    rows = by_pointers(grid[1:], [0, 2], grid[0, :2])
    before = grid.copy()
    with pytest.raises(ValueError, match="where a table of pointers is"):
        pybuf.copyto(grid[:2, :3], rows)
    assert np.array_equal(grid, before)


def test_a_table_between_the_rows_of_dst_is_no_harm():
    grid = np.zeros((4, 3), "u8")
    rows = by_pointers(grid, [0, 3], grid[1, :2])
    pybuf.copyto(rows, np.arange(6, dtype="u8").reshape(2, 3))
    assert grid[0].tolist() == [0, 1, 2]
    assert grid[3].tolist() == [3, 4, 5]


@pytest.mark.parametrize("place", [1, 2, 37])
def test_a_table_between_rows_of_one_item_is_no_harm(place: int):
    """Such rows are always evenly spaced, as the items of a column are."""
    grid = np.zeros((40, 2), "u8")
    for order in ([0, 39], [39, 0]):
        rows = by_pointers(grid[:, :1], order, grid[place])
        pybuf.copyto(rows, np.array([[5], [6]], "u8"))
        assert grid[order, 0].tolist() == [5, 6]
        assert rows.tolist() == [[5], [6]]


def test_a_table_among_the_items_of_a_column_is_refused():
    grid = np.zeros((40, 1), "u8")
    rows = by_pointers(grid, [0, 39], grid[20:22, 0])
    with pytest.raises(ValueError, match="where a table of pointers is"):
        pybuf.copyto(grid[::20], rows)
    pybuf.copyto(grid[1:40:38], rows)


def test_items_between_the_pointers_of_a_table_are_no_harm():
    """As in a table of structs of a pointer and a number, packed."""
    grid = np.arange(8, dtype="i").reshape(4, 2)
    table = np.zeros(2, [("row", "u8"), ("n", "i")])
    table["row"] = grid[0].ctypes.data, grid[3].ctypes.data
    rows = pybuf.wrap(
        table.ctypes.data, (2, 1), "i", strides=(12, 4), suboffsets=(0, -1), owner=(table, grid)
    )
    pybuf.copyto(table["n"].reshape(2, 1), rows)
    assert table["n"].tolist() == [0, 6]
    with pytest.raises(ValueError, match="where a table of pointers is"):
        pybuf.copyto(
            pybuf.wrap(table.ctypes.data + 4, (2, 1), "i", strides=(12, 4), owner=table), rows
        )


def test_an_own_table_as_a_row_of_dst_is_refused():
    table = np.zeros(2, "u8")
    row = np.zeros(2, "u8")
    table[:] = row.ctypes.data, table.ctypes.data
    b = pybuf.wrap(
        table.ctypes.data, (2, 2), "L", strides=(8, 8), suboffsets=(0, -1), owner=(table, row)
    )
    with pytest.raises(ValueError, match="where a table of pointers is"):
        pybuf.copyto(b, np.ones((2, 2), "u8"))
    assert table[0] == row.ctypes.data


def test_many_rows_that_lie_anywhere_are_compared_one_by_one():
    """More than the first room for them."""
    rows = [(ctypes.c_double * 3)(i, i, i) for i in range(500)]
    addresses = np.array([ctypes.addressof(row) for row in rows], "u8")
    mixed = np.random.default_rng(1).permutation(500)

    def view(order: Any) -> pybuf.Buffer:
        table = addresses[order]
        return pybuf.wrap(
            table.ctypes.data,
            (len(order), 3),
            "d",
            strides=(8, 8),
            suboffsets=(0, -1),
            owner=(table, rows),
        )

    pybuf.copyto(view(mixed[:250]), view(mixed[250:]))
    assert [rows[i][2] for i in mixed[:250]] == [float(i) for i in mixed[250:]]
    expected = pybuf.copy(view(mixed[::-1]))
    pybuf.copyto(view(mixed), view(mixed[::-1]))
    assert view(mixed) == expected
