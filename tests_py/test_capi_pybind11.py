"""C++ with pybind11: std::vectors become arrays and Buffers without a copy."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import capi_build
import numpy as np
import pytest

import pybuf


@pytest.fixture
def cpp() -> Any:
    return capi_build.load("pybind11")


@pytest.fixture
def deleted(cpp: Any) -> Callable[[], int]:
    before = cpp.deleted()
    return lambda: cpp.deleted() - before


def test_a_vector_is_an_array_and_deleted_with_the_last_view(cpp, deleted):
    array = cpp.array(1000)
    assert np.array_equal(array, np.arange(1000.0))
    array += 1
    view = array[10:20]
    del array
    gc.collect()
    assert (deleted(), view[0]) == (0, 11)
    del view
    assert deleted() == 1


def test_a_vector_is_a_read_only_buffer(cpp, deleted):
    b = cpp.buffer(5)
    assert type(b) is pybuf.Buffer
    assert b.readonly
    assert np.asarray(b).tolist() == [0, 1, 2, 3, 4]
    del b
    assert deleted() == 1


def test_a_vector_of_any_size_and_shape(cpp, deleted):
    assert cpp.array(0).shape == (0,)
    assert cpp.grid(3, 2).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert cpp.shaped([2, 1, 2, 1, 2], "d").shape == (2, 1, 2, 1, 2)
    assert deleted() == 3


def test_a_vector_of_structs_is_an_array_of_records(cpp, deleted):
    trades = cpp.trades(3)
    assert trades.dtype.names == ("id", "price")
    assert (trades["id"].tolist(), trades["price"].tolist()) == ([0, 1, 2], [0, 0.5, 1])
    del trades
    assert deleted() == 1


def test_exceptions_of_pybuf_pass_through_cpp(cpp, deleted):
    for shape, fmt, error in (
        ([-1], "d", ValueError),
        ([2**62], "d", OverflowError),
        ([8], "O", TypeError),
        ([8], "no", ValueError),
    ):
        with pytest.raises(error, match=r"-1|4611686018427387904|O|no"):
            cpp.shaped(shape, fmt)
    assert deleted() == 4


def test_exceptions_of_cpp_leave_nothing(cpp, deleted):
    with pytest.raises(IndexError, match="negative size"):
        cpp.array(-1)
    assert deleted() == 0


def test_an_object_of_cpp_lives_as_long_as_its_views(cpp, deleted):
    recording = cpp.Recording(4)
    for flags in (0, 2):
        view = memoryview(recording.view(flags))
        assert view.tolist() == [0, 1, 2, 3]
    del recording
    gc.collect()
    assert (deleted(), view[3]) == (0, 3)
    del view
    gc.collect()
    assert deleted() == 1


def test_threads_make_and_drop_vectors(cpp, deleted, parallel):
    parallel(lambda i: [cpp.array(i).sum() for _ in range(100)])
    assert deleted() == 800
