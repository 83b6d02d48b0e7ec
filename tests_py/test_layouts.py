"""Layouts: C's multiplication, Go's judgement and Python's arithmetic agree.

A shape alone is multiplied in C and enters Go only to be refused; explicit
strides are always judged by Go. Both are asked for the same layout here, at an
address that nothing touches, and held to the oracle.
"""

from __future__ import annotations

import array
import collections
import ctypes
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import py_buffer as pb
import pytest
import strategies as s
from hypothesis import example, given

import pybuf

# In the middle of the address space: whatever fits 63 bits fits on either side.
MIDDLE = 1 << 63


def wrapped(shape: Any, fmt: str, **kwargs: Any) -> pybuf.Buffer | type[Exception]:
    return oracle.outcome(pybuf.wrap, MIDDLE, shape, fmt, unowned=True, **kwargs)


def facts(b: pybuf.Buffer) -> dict[str, Any]:
    """All that a Buffer says of its layout; contiguity by what it grants."""
    return {
        "shape": b.shape,
        "strides": b.strides,
        "nbytes": b.nbytes,
        "size": b.size,
        "ndim": b.ndim,
        "contiguous": "".join(
            order
            for order, request in (("C", pb.C_CONTIGUOUS), ("F", pb.F_CONTIGUOUS))
            if pb.ask(b, request)
        ),
        "len": pb.ask(b, pb.STRIDES).len,
    }


def expected_facts(layout: oracle.Layout) -> dict[str, Any]:
    return {
        "shape": layout.shape,
        "strides": layout.strides,
        "nbytes": layout.nbytes,
        "size": math.prod(layout.shape),
        "ndim": len(layout.shape),
        "contiguous": layout.contiguous,
        "len": layout.nbytes,
    }


def assert_same(got: pybuf.Buffer | type[Exception], expected: Any) -> None:
    if isinstance(expected, oracle.Layout):
        assert isinstance(got, pybuf.Buffer), (got, expected)
        assert facts(got) == expected_facts(expected)
    else:
        assert got is expected


# ---- one rule in two languages ----


@given(fmt=s.formats, shape=s.any_shapes)
@example(fmt="d", shape=(2**60,))  # 2**63 bytes: one too many
@example(fmt="d", shape=(2**60 - 1,))
@example(fmt="B", shape=(2**63 - 1,))
@example(fmt="d", shape=(0, 2**60))
@example(fmt="d", shape=(0, 2**59))
@example(fmt="d", shape=(2**31, 0, 2**29))
@example(fmt="B", shape=(2**32, 2**32))  # the product is 0 in 64 bits
@example(fmt="B", shape=(3, 2**63 // 3, 3))
@example(fmt="d", shape=(-1, 2**62))
@example(fmt="d", shape=(0, -1))
def test_c_multiplies_a_shape_as_go_judges_its_strides(fmt, shape):
    itemsize = s.ITEMSIZE[fmt]
    expected = oracle.judge(itemsize, shape)
    by_c = wrapped(shape, fmt)
    assert_same(by_c, expected)
    if isinstance(expected, oracle.Layout):
        by_go = wrapped(shape, fmt, strides=expected.strides)
        assert_same(by_go, expected)
    else:
        assert wrapped(shape, fmt, strides=(itemsize,) * len(shape)) in (
            expected,
            ValueError if any(n < 0 for n in shape) else OverflowError,
        )


def strided(draw: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    stride = st.one_of(st.integers(-40, 40), s.huge, s.huge.map(lambda n: -n - 1))
    shape = draw(s.any_shapes)
    return shape, tuple(draw(stride) for _ in shape)


@given(fmt=s.formats, layout=st.composite(strided)())
@example(fmt="B", layout=((2, 2), (2**62, -(2**62))))  # neither side is too long, both are
@example(fmt="B", layout=((2, 2), (2**62, -(2**62) + 2)))
@example(fmt="d", layout=((2,), (2**63 - 1,)))
@example(fmt="B", layout=((2,), (-(2**63),)))
@example(fmt="B", layout=((2,), (-(2**63) + 2,)))
@example(fmt="B", layout=((1, 0), (-(2**63), 2**63 - 1)))  # steps that nobody takes
@example(fmt="d", layout=((2**31, 2**31), (2**40, 0)))
def test_go_judges_strides_as_arithmetic_does(fmt, layout):
    shape, strides = layout
    assert_same(
        wrapped(shape, fmt, strides=strides), oracle.judge(s.ITEMSIZE[fmt], shape, strides)
    )


@given(data=st.data(), fmt=s.formats)
def test_small_strided_layouts_are_judged_as_arithmetic_does(data, fmt):
    layout = data.draw(s.layouts(s.ITEMSIZE[fmt]))
    assert_same(wrapped(layout.shape, fmt, strides=layout.strides), layout)


@given(fmt=s.formats, shape=s.shapes, order=st.sampled_from("CF"))
def test_new_memory_is_packed_in_the_order_asked(fmt, shape, order):
    layout = oracle.judge(s.ITEMSIZE[fmt], shape, order=order)
    for b in (pybuf.zeros(shape, fmt, order=order), pybuf.empty(shape, fmt, order=order)):
        assert facts(b) == expected_facts(layout)
        if 0 not in shape:  # NumPy 2.4 has other strides for no items than 1.26
            assert b.strides == np.empty(shape, s.DTYPE[fmt], order).strides


@given(fmt=s.formats, shape=s.any_shapes, order=st.sampled_from("CF"), at=st.integers(0, 5))
def test_strides_of_no_items_are_packed_in_the_order_asked(fmt, shape, order, at):
    """With an extent of 0 there is no memory to be had, so any size goes."""
    shape = (*shape[:at], 0, *shape[at:])
    expected = oracle.judge(s.ITEMSIZE[fmt], shape, order=order)
    assert_same(oracle.outcome(pybuf.empty, shape, fmt, order=order), expected)


def test_a_shape_that_is_accepted_never_enters_go(go_calls):
    before = go_calls()
    for n in range(50):
        pybuf.empty((n, 3), "d", order="CF"[n % 2])
        pybuf.wrap(MIDDLE, (n, 5), "i", unowned=True)
    assert go_calls() == before


# ---- how a shape is given ----


@given(shape=s.shapes)
def test_any_sequence_of_ints_is_a_shape(shape):
    for sequence in (
        list(shape),
        s.indices(shape),
        array.array("q", shape),
        (ctypes.c_long * len(shape))(*shape),
        collections.deque(shape),
    ):
        assert pybuf.empty(sequence).shape == shape


@given(shape=s.shapes)
def test_an_array_of_ints_is_a_shape(shape):
    """It has __index__ as every ndarray has, and is a sequence all the same."""
    assert pybuf.empty(np.array(shape, "i8")).shape == shape


def test_an_int_is_the_shape_of_one_axis():
    for n in (5, np.int64(5), np.uint8(5), s.Index(5), True):
        assert pybuf.empty(n).shape == (int(n.__index__()),)


def test_an_axis_may_be_one_of_64_and_not_of_65():
    assert pybuf.empty((1,) * 64, "d").ndim == 64
    with pytest.raises(ValueError, match=r"65.*64"):
        pybuf.empty((1,) * 65)
    with pytest.raises(ValueError, match=r"65.*64"):
        pybuf.wrap(MIDDLE, (1,) * 64, strides=(1,) * 65, unowned=True)


# ---- inside of a block ----


@given(data=st.data(), fmt=s.formats)
def test_with_nbytes_the_layout_must_fit_into_the_block(data, fmt):
    """One byte short at either end is refused, as far as it goes is taken."""
    layout = data.draw(s.layouts(s.ITEMSIZE[fmt]))
    need = layout.high - layout.low
    nbytes = data.draw(st.integers(max(need - 3, 0), need + 3))
    offset = data.draw(st.integers(-3, 3)) - layout.low
    kwargs = {"strides": layout.strides, "nbytes": nbytes, "offset": offset}
    got = wrapped(layout.shape, fmt, **kwargs)
    refused = oracle.place(layout, MIDDLE, nbytes, offset)
    assert (got if refused else type(got)) is (refused or pybuf.Buffer)
    if not refused:
        assert got.address == MIDDLE + offset


@given(
    data=st.data(),
    fmt=s.formats,
    address=st.one_of(st.integers(0, 100), st.integers(2**64 - 100, 2**64 - 1), s.huge),
    offset=st.one_of(st.integers(-100, 100), s.huge, s.huge.map(lambda n: -n - 1)),
    nbytes=st.one_of(st.none(), st.integers(0, 300), s.huge),
)
@example(data=None, fmt="B", address=2**64 - 1, offset=0, nbytes=None)
@example(data=None, fmt="d", address=2**64 - 9, offset=0, nbytes=None)
@example(data=None, fmt="d", address=2**64 - 8, offset=0, nbytes=None)
@example(data=None, fmt="d", address=0, offset=8, nbytes=None)
@example(data=None, fmt="d", address=0, offset=0, nbytes=8)
def test_no_layout_may_leave_the_address_space(data, fmt, address, offset, nbytes):
    itemsize = s.ITEMSIZE[fmt]
    layout = oracle.Layout(itemsize, (1,), (itemsize,))
    if data is not None:
        layout = data.draw(s.layouts(itemsize))
    refused = oracle.place(layout, address, nbytes, offset)
    kwargs = {"strides": layout.strides, "nbytes": nbytes, "offset": offset, "unowned": True}
    if refused:
        with pytest.raises(refused, match="wrap"):
            pybuf.wrap(address, layout.shape, fmt, **kwargs)
    else:
        b = pybuf.wrap(address, layout.shape, fmt, **kwargs)
        assert b.address == address + offset or address == 0


def test_the_refusal_of_what_does_not_fit_says_what_is_used_and_what_is_there():
    with pytest.raises(ValueError, match=r"bytes -8 to 16 .* offset 4; the block has 64 bytes"):
        pybuf.wrap(MIDDLE, (2, 2), "d", strides=(8, -8), nbytes=64, offset=4, unowned=True)
    with pytest.raises(ValueError, match=r"nbytes is -1"):
        pybuf.wrap(MIDDLE, 0, nbytes=-1, unowned=True)


@given(data=st.data(), fmt=s.formats)
def test_item_0_lies_at_address_plus_offset(data, fmt):
    block = data.draw(s.blocks(st.just(fmt)))
    assert block.buffer.address == ctypes.addressof(block.memory) + block.offset


@given(data=st.data())
def test_the_items_are_the_bytes_at_their_strides(data):
    """Read from the block byte by byte, and by NumPy with the same strides."""
    block = data.draw(s.blocks())
    assert block.buffer.tobytes() == block.tobytes()
    assert np.asarray(block.buffer).tobytes() == block.tobytes()
    assert block.buffer.nbytes == len(block.tobytes())
