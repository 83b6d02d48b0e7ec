"""__array_interface__, version 3: https://numpy.org/doc/stable/reference/arrays.interface.html"""

from __future__ import annotations

import numpy as np
import pytest
import strategies as s
from hypothesis import given

import pybuf


class Forwarding:
    """No exporter, but a class that hands on the interface of one it keeps."""

    def __init__(self, b: pybuf.Buffer) -> None:
        self._b = b

    @property
    def __array_interface__(self) -> dict[str, object]:
        return self._b.__array_interface__


@given(block=s.blocks())
def test_the_fields_say_what_numpy_would_say_of_the_same_memory(block):
    b = block.buffer
    got = b.__array_interface__
    a = np.asarray(b).__array_interface__
    assert got == {
        "version": 3,
        "typestr": a["typestr"],
        "shape": b.shape,
        "strides": b.strides,
        "data": (b.address, b.readonly),
    }
    assert a["data"] == got["data"]


@pytest.mark.parametrize("fmt", s.FORMATS)
def test_the_typestr_is_numpy_s(fmt):
    assert pybuf.zeros(1, fmt).__array_interface__["typestr"] == s.DTYPE[fmt].str


@given(block=s.blocks())
def test_numpy_reads_the_same_items_through_it(block):
    a = np.asarray(Forwarding(block.buffer))
    assert a.tobytes() == block.tobytes()
    assert a.dtype == np.asarray(block.buffer).dtype
    assert a.flags.writeable is not block.buffer.readonly
    assert np.array(Forwarding(block.buffer)).tobytes() == block.tobytes()


def test_an_array_made_through_it_keeps_whoever_handed_it_on(releases):
    b = pybuf.wrap(1 << 20, 3, release=releases)
    a = np.asarray(Forwarding(b))
    del b
    assert releases == []
    del a
    assert releases == [1 << 20]


def test_reading_it_lends_a_pointer_and_counts_no_export():
    """Whoever has the address never says when it is done with it."""
    b = pybuf.zeros(3)
    assert b.__array_interface__["shape"] == (3,)
    assert b.exports == 0
    with pytest.raises(BufferError, match="pointer"):
        b.resize(5)
    assert b.close() is False


def test_each_read_gives_a_new_dictionary():
    b = pybuf.zeros(3)
    b.__array_interface__["shape"] = (100,)
    assert b.__array_interface__["shape"] == (3,)


def test_it_cannot_be_set():
    with pytest.raises(AttributeError):
        pybuf.zeros(3).__array_interface__ = {}


def test_a_closed_buffer_refuses_it_with_valueerror():
    """NumPy drops getbuffer's error and comes here; were it an AttributeError,
    an array of one object would come out."""
    b = pybuf.zeros(3)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        _ = b.__array_interface__
    with pytest.raises(ValueError, match="closed"):
        np.asarray(Forwarding(b))


def test_indirect_memory_refuses_it():
    b = s.indirect([[1, 2], [3, 4]])
    with pytest.raises(BufferError, match="indirect"):
        _ = b.__array_interface__
    assert b.close() is True  # nothing was lent
