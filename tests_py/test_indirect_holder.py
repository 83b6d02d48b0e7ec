"""BufferHolder: one export of another object, held."""

from __future__ import annotations

import array
import ctypes
import gc
import sys
import weakref

import numpy as np
import pytest
from pybuf.indirect import BufferHolder, rows

import pybuf


def test_one_export_and_one_reference_are_held_until_its_end():
    data = array.array("i", [1, 2])
    before = sys.getrefcount(data)
    holder = BufferHolder(data)
    assert holder.buffer_is_set() is True
    assert sys.getrefcount(data) == before + 1
    with pytest.raises(BufferError):
        data.pop()
    del holder
    assert sys.getrefcount(data) == before
    data.pop()


def test_it_says_what_it_holds():
    data = np.arange(6, dtype="i").reshape(2, 3)
    holder = BufferHolder(obj=data)
    assert holder.obj is data
    assert (holder.address, holder.nbytes) == (data.ctypes.data, 24)
    assert (holder.itemsize, holder.format, holder.shape) == (4, "i", (2, 3))
    assert (holder.readonly, BufferHolder(b"ab").readonly) == (False, True)


def test_what_exports_nothing_is_refused():
    with pytest.raises(TypeError, match=r"BufferHolder\(\): 3 has no buffer protocol"):
        BufferHolder(3)
    with pytest.raises(TypeError):
        BufferHolder()


def test_what_an_exporter_raises_passes_through():
    closed = pybuf.zeros(3)
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        BufferHolder(closed)


def test_indirect_memory_is_held_too():
    b = pybuf.indirect.zeros((2, 3))
    holder = BufferHolder(b)
    assert (holder.shape, b.exports) == ((2, 3), 1)
    del holder
    assert b.exports == 0


def test_holders_are_the_owner_of_rows():
    parts = [bytearray(2), bytearray(2)]
    b = rows(parts)
    assert all(type(holder) is BufferHolder for holder in b.owner)
    assert [holder.obj for holder in b.owner] == parts


class Array(np.ndarray):  # which may have attributes
    pass


class Number(ctypes.c_int):
    pass


def test_cycles_through_one_are_collected():
    number = Number(3)  # of the collector, as ndarrays are not
    number.holder = BufferHolder(number)
    ref = weakref.ref(number)
    del number
    gc.collect()
    assert ref() is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_an_exporter_of_python_is_told_of_the_end():
    told = []

    class Exporter:
        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(b"ab")

        def __release_buffer__(self, view: memoryview) -> None:
            told.append(view.nbytes)

    holder = BufferHolder(Exporter())
    assert told == []
    del holder
    assert told == [2]
