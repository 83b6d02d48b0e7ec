"""What a Buffer says of itself, open and closed."""

from __future__ import annotations

import math

import pytest
import strategies as s
from hypothesis import given

import pybuf

LASTING = (
    "shape", "strides", "suboffsets", "ndim", "itemsize", "size", "nbytes", "format", "readonly",
    "source", "owner",
)  # fmt: skip


@given(block=s.blocks())
def test_the_attributes_are_memoryview_s(block):
    b = block.buffer
    m = memoryview(b)
    for name in ("shape", "strides", "suboffsets", "ndim", "itemsize", "nbytes", "format"):
        assert getattr(b, name) == getattr(m, name)
    assert b.readonly is m.readonly
    assert b.size == math.prod(b.shape)
    assert b.owner is block.memory


def test_the_attributes_of_indirect_memory_are_memoryview_s():
    b = s.indirect([[1, 2], [3, 4]])
    m = memoryview(b)
    for name in ("shape", "strides", "suboffsets", "ndim", "itemsize", "nbytes", "format"):
        assert getattr(b, name) == getattr(m, name)


def test_the_source_says_whose_memory_it_is():
    assert pybuf.zeros(3).source == "c"
    assert pybuf.zeros(3, source="c").owner is None
    assert pybuf.zeros(3, source="go").source == "go"
    assert pybuf.zeros(3, source="go").owner is None
    assert pybuf.wrap(1 << 20, 3, unowned=True).source == "foreign"


def test_all_but_the_address_stays_readable_when_closed():
    b = pybuf.zeros((2, 3), "d", order="F")
    before = [getattr(b, name) for name in LASTING]
    assert not b.closed
    b.close()
    assert [getattr(b, name) for name in LASTING] == before
    assert b.closed
    assert b.exports == 0
    with pytest.raises(ValueError, match="closed"):
        _ = b.address


def test_no_attribute_can_be_set_deleted_or_added():
    b = pybuf.zeros((2, 3), "d")
    for name in (*LASTING, "address", "exports", "closed", "__array_interface__", "other"):
        with pytest.raises(AttributeError):
            setattr(b, name, 1)
        with pytest.raises(AttributeError):
            delattr(b, name)


def test_repr_says_shape_format_source_and_exports():
    b = pybuf.zeros((2, 3), "d")
    assert repr(b) == "<pybuf.Buffer shape=(2, 3) format='d' source='c' exports=0>"
    view = memoryview(b)
    assert "exports=1" in repr(b)
    del view
    assert repr(b.toreadonly()).endswith(" readonly>")
    b.close()
    assert repr(b).endswith(" closed>")
    foreign = pybuf.wrap(1 << 20, (), ">i2", unowned=True)
    assert repr(foreign) == "<pybuf.Buffer shape=() format='>h' source='foreign' exports=0>"


def test_the_type_is_named_as_it_is_imported():
    assert (pybuf.Buffer.__module__, pybuf.Buffer.__qualname__) == ("pybuf", "Buffer")
    assert type(pybuf.zeros(3)) is pybuf.Buffer
