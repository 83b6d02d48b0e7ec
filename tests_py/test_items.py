"""Items: len, indexing, iteration, comparison and hash are memoryview's.

The oracle is a memoryview of other memory with the same items in the same
layout, never one of the Buffer itself.
"""

from __future__ import annotations

import _testbuffer
import array
import bisect
import copy
import math
import operator
import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
import py_buffer as pb
import pytest
import strategies as s
from hypothesis import given
from oracle import outcome

import pybuf

ND = _testbuffer
orders = st.sampled_from(["C", "F", "A", None])


def plain(value: Any) -> Any:
    """A form in which values of both sides compare: views as all they say."""
    if isinstance(value, memoryview):
        return (
            value.format, value.shape, value.strides, value.readonly, value.tobytes(),
        )  # fmt: skip
    return (type(value), repr(value))


@dataclass(frozen=True)
class Pair:
    """A Buffer, and a memoryview of other memory with the same content."""

    block: s.Block
    twin: pb.Twin

    def __iter__(self) -> Iterator[Any]:
        return iter((self.block.buffer, self.twin.view))


def pairs(fmts: st.SearchStrategy[str] = s.formats) -> st.SearchStrategy[Pair]:
    return s.blocks(fmts).map(lambda block: Pair(block, block.twin()))


numbers = st.one_of(st.integers(-6, 6), st.just(s.Index(1)), st.booleans())
slices = st.builds(slice, *[st.one_of(st.none(), st.integers(-6, 6))] * 3)
keys = st.one_of(
    numbers,
    slices,
    st.just(...),
    st.lists(st.one_of(numbers, slices), max_size=4).map(tuple),
    st.sampled_from([None, 1.0, "a", (None,), (..., 0), 2**70, -(2**70)]),
)
values = st.one_of(
    st.integers(-300, 300),
    st.integers(),
    st.floats(allow_nan=False),
    st.booleans(),
    st.binary(max_size=2),
    st.complex_numbers(allow_nan=False),
    st.sampled_from([None, "x", s.Index(7), bytearray(b"x")]),
)


# ---- reading ----


@given(pair=pairs())
def test_len_is_the_first_extent_as_of_a_memoryview(pair):
    b, m = pair
    if b.ndim:
        assert len(b) == len(m) == b.shape[0]
        assert bool(b) is bool(m)


def test_a_buffer_of_no_dimensions_has_no_length():
    """As a memoryview from 3.12 on; in 3.11 that said 1."""
    with pytest.raises(TypeError, match="no length"):
        len(pybuf.zeros((), "d"))


@given(pair=pairs(), key=keys)
def test_indexing_answers_as_memoryview_does(pair, key):
    b, m = pair
    assert plain(outcome(operator.getitem, b, key)) == plain(outcome(operator.getitem, m, key))


@given(pair=pairs())
def test_tolist_answers_as_memoryview_does(pair):
    b, m = pair
    assert plain(outcome(b.tolist)) == plain(outcome(m.tolist))


@given(pair=pairs(), order=orders)
def test_tobytes_answers_as_memoryview_does(pair, order):
    b, m = pair
    assert b.tobytes(order) == b.tobytes(order=order) == m.tobytes(order)
    assert b.tobytes() == m.tobytes()


@given(pair=pairs())
def test_iteration_answers_as_memoryview_does(pair):
    b, m = pair
    assert plain(outcome(list, b)) == plain(outcome(list, m))


@given(pair=pairs(), value=values)
def test_in_answers_as_memoryview_does(pair, value):
    b, m = pair
    assert plain(outcome(lambda: value in b)) == plain(outcome(lambda: value in m))


@given(pair=pairs(st.just("i")))
def test_reversed_answers_as_memoryview_does(pair):
    b, m = pair
    if b.ndim:
        both = [outcome(lambda v: list(reversed(v)), v) for v in (b, m)]
        assert both[0] == both[1]


def test_a_sorted_buffer_can_be_bisected_and_chosen_from():
    """Both go through the slots of a sequence, as for a memoryview."""
    b = pybuf.copy(array.array("d", [1, 2, 4, 8]))
    assert bisect.bisect_left(b, 4.0) == 2
    assert random.Random(1).choice(b) in b.tolist()


@pytest.mark.parametrize("fmt", s.INDEXABLE_FORMATS)
def test_every_native_item_can_be_read_and_written(fmt):
    items = [b"a", b"\0", b"z"] if fmt == "c" else [1, 0, 1]
    b = pybuf.zeros(3, fmt)
    for i, item in enumerate(items):
        b[i] = item
    assert b.tolist() == list(b) == [b[i] for i in range(3)] == items
    assert b.tobytes() == ND.ndarray(items, shape=[3], format=fmt).tobytes()


@pytest.mark.parametrize("fmt", [f for f in s.FORMATS if f not in s.INDEXABLE_FORMATS])
def test_an_item_that_memoryview_cannot_unpack_is_not_read_either(fmt):
    b = pybuf.zeros(3, fmt)
    for action in (lambda: b[0], b.tolist, lambda: list(b), lambda: b.__setitem__(0, 1)):
        with pytest.raises(NotImplementedError, match=fmt):
            action()
    assert b[1:].tobytes() == b.tobytes()[b.itemsize :]  # bytes it has all the same


def test_an_iterator_holds_the_buffer_until_it_is_dropped():
    b = pybuf.copy(b"abc")
    items = iter(b)
    assert b.exports == 1
    b.close()
    assert list(items) == [97, 98, 99]
    del items
    assert b.exports == 0


def test_a_slice_is_a_memoryview_of_the_buffer_and_counts_as_its_view():
    b = pybuf.copy(b"abcdef")
    view = b[1:5:2]
    assert type(view) is memoryview
    assert view.obj is b
    assert b.exports == 1
    view[0] = 0
    assert b.tobytes() == b"a\0cdef"


def test_what_reads_and_leaves_nothing_behind_lends_nothing():
    """So the memory may still move, or go at once."""
    b = pybuf.copy(b"abcdef")
    b[0] = b[1]
    b[0:2] = b"xy"
    assert (len(b), b[2], b.tolist()[3], b.tobytes()[4], b == b"xycdef") == (6, 99, 100, 101, True)
    with pytest.raises(IndexError):
        b[9]
    with pytest.raises(ValueError, match="structures"):
        b[9:] = b"z"
    assert b.exports == 0
    b.resize(3)
    assert b.close() is True


# ---- writing ----


@given(pair=pairs(), key=keys, value=values)
def test_setting_items_answers_as_memoryview_does(pair, key, value):
    b, m = pair
    assert outcome(operator.setitem, b, key, value) == outcome(operator.setitem, m, key, value)
    assert b.tobytes() == m.tobytes()


@given(pair=pairs(s.indexable_formats), key=slices, data=st.data())
def test_setting_slices_answers_as_memoryview_does(pair, key, data):
    b, m = pair
    n = data.draw(st.integers(1, 4))
    source = ND.ndarray([b"x"] * n if b.format == "c" else [1] * n, shape=[n], format=b.format)
    for value in (source, outcome(operator.getitem, m, key)):
        assert outcome(operator.setitem, b, key, value) == outcome(operator.setitem, m, key, value)
        assert b.tobytes() == m.tobytes()


@given(pair=pairs(), key=keys)
def test_no_item_can_be_deleted(pair, key):
    b, m = pair
    refusal = outcome(operator.delitem, m, key)
    assert issubclass(refusal, Exception)
    assert outcome(operator.delitem, b, key) is refusal


def test_a_read_only_buffer_refuses_every_write():
    b = pybuf.copy(b"abc").toreadonly()
    for key, value in ((0, 1), (slice(0, 1), b"x"), (..., b"xyz"), (9, 1)):
        with pytest.raises(TypeError, match="read-only"):
            b[key] = value
    assert b.tobytes() == b"abc"


# ---- comparing ----


@given(pair=pairs(), other=pairs(), changed=st.booleans())
def test_equality_answers_as_memoryview_does(pair, other, changed):
    b, m = pair
    if changed and not b.readonly and b.ndim == 1 and b.size and b.format in s.INDEXABLE_FORMATS:
        b[0] = b"\x7f" if b.format == "c" else 1
        m[0] = b[0]
    for partner in (m, *other, m.tobytes(), bytearray(m.tobytes())):
        assert (b == partner) is (m == partner)
        assert (b != partner) is (m != partner)


@pytest.mark.parametrize("fmt", [f for f in s.FORMATS if "Z" not in f])
def test_a_buffer_equals_the_same_items_in_any_order(fmt):
    b = pybuf.zeros((2, 3), fmt)
    assert b == pybuf.zeros((2, 3), fmt, order="F")
    assert b != pybuf.zeros((3, 2), fmt)
    assert (b == b"\0" * b.nbytes) is False  # one axis against two


def test_complex_items_are_equal_to_nothing_as_in_memoryview():
    """The struct module cannot unpack them; NumPy compares them."""
    m = memoryview(np.zeros(3, "c16"))
    assert m != m  # noqa: PLR0124
    b = pybuf.zeros(3, "Zd")
    assert b != pybuf.zeros(3, "Zd")
    assert (b.numpy() == pybuf.zeros(3, "Zd").numpy()).all()


def test_items_are_compared_by_value_across_formats():
    assert pybuf.copy(array.array("d", [1, 2])) == array.array("h", [1, 2])
    assert array.array("h", [1, 2]).tobytes() != pybuf.copy(array.array("d", [1, 2]))
    nan = pybuf.copy(array.array("d", [math.nan]))
    assert nan != nan  # noqa: PLR0124
    assert pybuf.copy(b"ab") == b"ab"
    assert b"ab" == pybuf.copy(b"ab")  # noqa: SIM300


def test_a_buffer_is_never_equal_to_what_exports_nothing_and_has_no_order():
    b = pybuf.copy(b"ab")
    for other in (None, 1, "ab", [97, 98], object()):
        assert (b == other) is False
        assert (b != other) is True
    for compare in (operator.lt, operator.le, operator.gt, operator.ge):
        with pytest.raises(TypeError):
            compare(b, pybuf.copy(b"ab"))


@given(pair=pairs())
def test_hash_answers_as_memoryview_does(pair):
    b, m = pair
    assert outcome(hash, b) == outcome(hash, memoryview(b)) == outcome(hash, m)


@pytest.mark.parametrize("fmt", "bBc?hd")
def test_bytes_and_characters_have_a_hash_and_other_items_none(fmt):
    b = pybuf.zeros((2, 3), fmt).toreadonly()
    expected = hash(bytes(6)) if fmt in "bBc" else ValueError
    assert outcome(hash, b) == outcome(hash, memoryview(b)) == expected


def test_equal_buffers_and_bytes_have_equal_hashes():
    b = pybuf.copy(b"abc").toreadonly()
    assert hash(b) == hash(b"abc") == hash(copy.copy(b))
    assert {b: 1}[b"abc"] == 1


def test_the_refusal_of_a_hash_says_what_to_do():
    with pytest.raises(ValueError, match="toreadonly"):
        hash(pybuf.zeros(3))
    with pytest.raises(ValueError, match="'d'"):
        hash(pybuf.zeros(3, "d").toreadonly())


def test_a_view_keeps_its_hash_when_the_buffer_is_closed():
    """A close never takes anything from a view, and hash(view) asks its
    exporter for a hash first."""
    b = pybuf.copy(b"abc").toreadonly()
    view = memoryview(b)
    b.close()
    assert hash(view) == hash(b"abc")


# ---- no number ----


def test_a_buffer_is_no_number():
    """bytearray()[:] = b would take it for a length, and int(b) for an
    address; what NumPy's arrays of one item are is not offered."""
    b = pybuf.copy(b"7")
    for number in (operator.index, math.sqrt, abs, operator.neg, complex):
        with pytest.raises(TypeError):
            number(b)
    for slot in ("__int__", "__float__", "__index__", "__complex__", "__add__", "__bool__"):
        assert not hasattr(b, slot)


def test_int_and_float_read_the_bytes_as_they_do_of_any_exporter():
    """They parse text in exporters, as of a memoryview, and no item."""
    for convert in (int, float):
        for content in (b"7", b"x", b"", b"\x07"):
            b = pybuf.copy(content)
            assert outcome(convert, b) == outcome(convert, memoryview(content))


def test_a_bytearray_takes_the_bytes_of_a_buffer():
    target = bytearray(b"xx")
    target[:] = pybuf.copy(b"abc")
    assert target == b"abc"
    assert bytearray(pybuf.copy(b"abc")) == bytes(pybuf.copy(b"abc")) == b"abc"
    assert b"".join([pybuf.copy(b"ab"), pybuf.copy(b"c")]) == b"abc"


def test_sizeof_counts_memory_that_is_the_buffers_own():
    own, lent = pybuf.zeros(10**6), pybuf.wrap(1 << 20, 10**6, unowned=True)
    assert sys.getsizeof(own) - sys.getsizeof(lent) == 10**6
    deep = pybuf.wrap(1 << 20, (1,) * 20, unowned=True)
    assert sys.getsizeof(deep) - sys.getsizeof(lent) == 2 * 20 * 8
