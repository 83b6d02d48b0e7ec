"""New memory, descriptors, Buffers that are there: pybuf_new, _adopt, _lend, _array, _check."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

import descriptors as ds
import numpy as np
import pytest
from capi_uses import ARRAY, EMPTY, READONLY, UNOWNED, Every
from pybuf.indirect import IndirectMemory2D

import pybuf

# ---- pybuf_new -------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, ARRAY, EMPTY, ARRAY | EMPTY])
@pytest.mark.parametrize(
    ("shape", "format"),
    [
        ((8,), b"d"),
        ((), b"i"),
        (None, b"h"),
        ((0,), b"d"),
        ((3, 0, 2), b"f"),
        ((2, 1, 3), b"Zd"),
        ((1,) * 5 + (3,), b"h"),
        ((2,), b"(2,3)d"),
        ((3,), b"T{<i:id:4x<d:price:}"),
        ((5,), None),
        ((1000, 1000), b"B"),
    ],
)
def test_new_memory_is_aligned_and_c_is_told_where(every: Every, shape, format, flags):  # noqa: A002
    memory, address = every.new(shape, format, flags)
    array = np.asarray(memory)
    assert type(memory) is (np.ndarray if flags & ARRAY else pybuf.Buffer)
    assert address % 64 == 0
    assert address != 0
    if array.size:
        assert array.ctypes.data == address
    twin = np.asarray(pybuf.zeros(shape or (), "B" if format is None else format.decode()))
    assert (array.shape, array.dtype, array.strides) == (twin.shape, twin.dtype, twin.strides)
    assert array.flags.writeable
    if not flags & EMPTY:
        assert array.tobytes() == bytes(twin.nbytes)
    ctypes.memset(address, 1, array.nbytes)
    assert array.tobytes() == b"\1" * array.nbytes


def test_memory_whose_address_c_has_is_not_moved(every: Every):
    b, address = every.new((8,), b"d", 0)
    with pytest.raises(BufferError, match="resize"):
        b.resize(9)
    assert b.address == address


@pytest.mark.parametrize("flags", [0, ARRAY])
@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"shape": (-1,)}, ValueError),
        ({"shape": (1,) * 65}, ValueError),
        ({"shape": None, "ndim": 1}, ValueError),
        ({"shape": (), "ndim": -1}, ValueError),
        ({"shape": (2**60, 8)}, OverflowError),
        ({"shape": (2**59,)}, MemoryError),
        ({"shape": (2,), "format": b"no"}, ValueError),
        ({"shape": (2,), "format": b"O"}, TypeError),
        ({"shape": (2,), "flags": READONLY}, ValueError),
        ({"shape": (2,), "flags": UNOWNED}, ValueError),
    ],
    ids=str,
)
def test_new_memory_that_cannot_be_is_refused(every: Every, asked, error, flags):
    for _ in range(2):
        with pytest.raises(error):
            every.new(**asked | {"flags": asked.get("flags", 0) | flags})


# ---- pybuf_adopt -----------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, ARRAY])
def test_a_descriptor_is_taken_and_released_with_the_last_view(every: Every, flags, released):
    address = ds.produce(flags=ds.READONLY, release=ds.KEEP)
    memory = every.adopt(address, flags)
    assert type(memory) is (np.ndarray if flags else pybuf.Buffer)
    assert np.asarray(memory).tolist() == list(ds.BLOCK)
    assert memoryview(memory).readonly
    with pytest.raises(ValueError, match="adopted before"):
        every.adopt(address, flags)
    assert released() == 0
    del memory
    assert released() == 1


def test_indirect_memory_that_no_array_views_is_released(every: Every, released):
    rows = (ctypes.c_void_p * 3)(*(ctypes.addressof(ds.BLOCK) + n for n in (0, 40, 8)))
    kwargs: dict[str, Any] = {
        "shape": (3, 2),
        "strides": (8, 8),
        "suboffsets": (0, -1),
        "nbytes": 48,
        "data": ctypes.addressof(rows),
    }
    with pytest.raises(BufferError, match="even distances"):
        every.adopt(ds.produce(**kwargs), ARRAY)
    assert released() == 1
    assert every.adopt(ds.produce(**kwargs), 0).tolist() == [[0, 1], [5, 6], [1, 2]]
    assert released() == 2


def test_an_error_is_raised_and_null_refused(every: Every, released):
    with pytest.raises(OSError, match="no such picture"):
        every.adopt(ds.failure(7, b"no such picture", 2), ARRAY)
    assert released() == 1
    with pytest.raises(ValueError, match="gave no descriptor"):
        every.adopt(0, 0)


def test_what_is_not_taken_stays_the_caller_s(every: Every, released):
    address = ds.produce()
    for flags in (READONLY, UNOWNED, 16):
        with pytest.raises(ValueError, match="pybuf_adopt"):
            every.adopt(address, flags)
    assert released() == 0
    assert every.adopt(address, 0).nbytes == 64
    assert released() == 1


# ---- pybuf_lend ------------------------------------------------------------------------


def test_an_exporter_is_lent_until_it_is_released_without_the_gil(every: Every):
    exporter = np.arange(5.0)
    before = sys.getrefcount(exporter)
    address = every.lend(exporter, 0)
    d = ds.at(address)
    assert (d.data, d.itemsize, d.nbytes, d.format) == (exporter.ctypes.data, 8, 40, b"d")
    assert (d.flags & ds.READONLY, d.shape[0], d.strides[0]) == (0, 5, 8)
    assert ds.lent_now() == 1
    assert sys.getrefcount(exporter) > before
    every.take_and_release(address)
    gc.collect()
    assert ds.lent_now() == 0
    assert sys.getrefcount(exporter) == before


def test_a_loan_outlives_the_last_other_reference(every: Every):
    memory = every.wrap(flags=0)
    address = every.lend(memory, 0)
    del memory
    gc.collect()
    assert every.released() == []
    every.take_and_release(address)
    gc.collect()
    (call,) = every.calls()
    assert call.gil
    assert call.thread


def test_what_is_read_only_is_lent_as_such_only(every: Every):
    for exporter in (b"abc", every.wrap(flags=ARRAY | READONLY)):
        with pytest.raises(BufferError, match="read-only"):
            every.lend(exporter, 0)
        address = every.lend(exporter, READONLY)
        assert ds.at(address).flags & ds.READONLY
        every.take_and_release(address)
    address = every.lend(bytearray(3), READONLY)
    assert ds.at(address).flags & ds.READONLY
    every.take_and_release(address)
    gc.collect()


def test_what_is_lent_is_adopted_again(every: Every):
    array = np.arange(6.0).reshape(2, 3)
    again = every.adopt(every.lend(array.T, 0), ARRAY)
    assert again.tolist() == array.T.tolist()
    again[0, 1] = 7
    assert array[1, 0] == 7
    del again
    gc.collect()
    assert ds.lent_now() == 0


@pytest.mark.parametrize("wrong", [None, 3, "x", object], ids=str)
def test_what_exports_nothing_is_not_lent(every: Every, wrong):
    with pytest.raises(TypeError):
        every.lend(wrong, 0)


# ---- Buffers that are there ------------------------------------------------------------


def test_an_array_of_a_buffer_is_its_numpy(every: Every):
    b = pybuf.zeros((2, 3), "d")
    array = every.array(b)
    assert (array.ctypes.data, array.shape, array.base.obj) == (b.address, (2, 3), b)
    mem = IndirectMemory2D.create_memory(2, 3, "d")
    assert every.array(mem).shape == (2, 3)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        every.array(b)


@pytest.mark.parametrize("wrong", [None, 3, b"x", np.zeros(3)], ids=str)
def test_only_pybuf_s_memory_has_an_array(every: Every, wrong):
    with pytest.raises(TypeError, match=r"^pybuf_array\(\)"):
        every.array(wrong)


def test_check_knows_a_buffer(every: Every):
    assert every.check(pybuf.zeros(3)) is True
    closed = pybuf.zeros(3)
    closed.close()
    assert every.check(closed) is True
    for other in (None, np.zeros(3), pybuf.Buffer, IndirectMemory2D.create_memory(1, 1, "d")):
        assert every.check(other) is False
