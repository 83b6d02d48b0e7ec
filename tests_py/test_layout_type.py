"""Layout: shape, strides and element type, judged once and used often."""

from __future__ import annotations

import copy
import ctypes
import gc
import pickle
import sys
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import strategies as s
from hypothesis import given
from numpy.lib.stride_tricks import as_strided

import pybuf

RECORD = "T{<i:id:4x<d:price:}"
ELEMENTS = ("B", "d", "l", ">i", "Zd", "c", "g", "5s", "3w", "8x", RECORD)


@st.composite
def _layouts(draw: Any) -> pybuf.Layout:
    fmt = draw(st.sampled_from(ELEMENTS))
    shape = draw(s.shapes)
    if draw(st.booleans()):
        return pybuf.Layout(shape, fmt, order=draw(st.sampled_from("CF")))
    itemsize = pybuf.Layout((), fmt).itemsize
    return pybuf.Layout(shape, fmt, strides=s._strides(draw, shape, itemsize))


layouts = _layouts()


# ---- what it says ----


def test_a_layout_says_what_a_buffer_of_it_says():
    for order in "CF":
        layout = pybuf.Layout((3, 4), "<i", order=order)
        b = pybuf.zeros((3, 4), "<i", order=order)
        for name in ("shape", "strides", "ndim", "itemsize", "size", "nbytes", "format"):
            assert getattr(layout, name) == getattr(b, name), name


def test_the_element_type_is_b_when_left_out():
    assert pybuf.Layout(3).format == "B"


@given(layout=layouts)
def test_its_repr_makes_it_again(layout):
    assert eval(repr(layout), {"pybuf": pybuf}) == layout


def test_its_repr_says_what_it_was_made_of():
    assert repr(pybuf.Layout((2, 3), "d")) == "pybuf.Layout((2, 3), 'd')"
    assert repr(pybuf.Layout((2, 3), "d", order="F")) == "pybuf.Layout((2, 3), 'd', order='F')"
    assert repr(pybuf.Layout(2, strides=(-4,))) == "pybuf.Layout((2,), 'B', strides=(-4,))"


def test_the_extents_of_a_sub_array_are_the_last_of_its_shape():
    layout = pybuf.Layout(4, "(2,3)d")
    assert (layout.shape, layout.format) == ((4, 2, 3), "d")
    assert layout == pybuf.Layout((4, 2, 3), "d")


def test_strides_go_on_into_the_extents_of_a_sub_array():
    layout = pybuf.Layout(4, "(2,3)d", strides=(-100,))
    assert layout.strides == (-100, 24, 8)


# ---- equality, hash, pickles ----


@given(one=layouts, other=layouts)
def test_layouts_are_equal_if_shape_strides_and_format_are(one, other):
    same = (one.shape, one.strides, one.format) == (other.shape, other.strides, other.format)
    assert (one == other) is same
    assert (one != other) is not same
    if same:
        assert hash(one) == hash(other)


@given(layout=layouts)
def test_a_layout_equals_one_made_again_and_has_its_hash(layout):
    again = pybuf.Layout(layout.shape, layout.format, strides=layout.strides)
    assert again == layout
    assert hash(again) == hash(layout)
    assert len({again, layout}) == 1


def test_a_layout_is_unequal_to_anything_else():
    layout = pybuf.Layout(3)
    assert layout != 3
    assert layout != pybuf.zeros(3)
    with pytest.raises(TypeError):
        layout < pybuf.Layout(3)  # type: ignore[operator]  # noqa: B015


@given(layout=layouts, protocol=st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_a_layout_comes_back_from_its_pickle(layout, protocol):
    again = pickle.loads(pickle.dumps(layout, protocol))
    assert again == layout


def test_pickles_are_the_same_for_equal_layouts():
    """joblib and the like hash them."""
    one, other = pybuf.Layout((2, 3), "<f8"), pybuf.Layout((2, 3), np.float64)
    assert pickle.dumps(one) == pickle.dumps(other)


def test_a_copy_of_a_layout_is_equal():
    layout = pybuf.Layout((2, 3), RECORD, order="F")
    assert copy.copy(layout) == copy.deepcopy(layout) == layout


def test_a_layout_is_final_and_immutable():
    layout = pybuf.Layout(3)
    with pytest.raises(TypeError):
        type("Sub", (pybuf.Layout,), {})
    with pytest.raises(AttributeError):
        layout.shape = (4,)  # type: ignore[misc]
    with pytest.raises(TypeError):
        pybuf.Layout.extra = 1  # type: ignore[attr-defined]


# ---- new memory ----


@given(
    layout=layouts, source=st.sampled_from(["c", "go"]), way=st.sampled_from(["zeros", "empty"])
)
def test_memory_of_a_layout_has_it(layout, source, way):
    b = getattr(layout, way)(source=source)
    assert (b.shape, b.strides, b.format) == (layout.shape, layout.strides, layout.format)
    assert b.source == source
    assert not b.readonly


@given(layout=layouts)
def test_zeros_of_a_layout_are_zeros_in_every_item(layout):
    assert not any(layout.zeros().tobytes())


def test_memory_of_turned_strides_is_all_its_own():
    """Items below the first one lie in the block, too: ASan and canaries of the
    allocator would tell."""
    layout = pybuf.Layout((300, 400), "d", strides=(-400 * 16, 16))
    a = layout.zeros().numpy()
    a[:] = np.arange(300 * 400).reshape(300, 400)
    assert a.sum() == np.arange(300 * 400.0).sum()
    assert a.strides == layout.strides


def test_memory_of_a_layout_with_gaps_is_as_long_as_its_reach():
    layout = pybuf.Layout(3, "d", strides=(100,))
    assert sys.getsizeof(layout.zeros()) - sys.getsizeof(pybuf.empty(0)) == 208


@pytest.mark.parametrize("strides", [(100, 8), (-24, 8), (0, 8)])
def test_memory_whose_items_are_in_no_row_is_not_resized(strides):
    b = pybuf.Layout((2, 3), "d", strides=strides).zeros()
    with pytest.raises(BufferError, match="do not lie one behind the other"):
        b.resize((3, 3))


def test_a_layout_aligns_the_item_that_it_is_asked_to():
    for align in (1, 64, 4096):
        assert pybuf.Layout(3, "d").empty(align=align).address % align == 0


def test_where_strides_are_negative_the_lowest_item_is_aligned():
    b = pybuf.Layout((2, 3), "d", strides=(-24, 8)).empty(align=4096)
    assert (b.address - 24) % 4096 == 0


# ---- wrap ----


def test_wrap_is_the_function_wrap_with_the_layout_known(releases):
    memory = (ctypes.c_double * 6)(*range(6))
    layout = pybuf.Layout((2, 3), "d", order="F")
    b = layout.wrap(memory, readonly=True, release=releases, owner=memory)
    assert np.array_equal(b.numpy(), np.arange(6.0).reshape((2, 3), order="F"))
    assert (b.source, b.readonly, b.owner) == ("foreign", True, memory)
    del b
    gc.collect()
    assert releases == [ctypes.addressof(memory)]


@given(layout=layouts, slack=st.integers(0, 3))
def test_wrap_checks_the_layout_against_the_block(layout, slack):
    facts = oracle.Layout(layout.itemsize, layout.shape, layout.strides)
    size = facts.high - facts.low
    memory = ctypes.create_string_buffer(max(size + slack, 1))
    b = layout.wrap(memory, owner=memory, nbytes=size + slack, offset=-facts.low)
    assert b.shape == layout.shape
    if size > 0:
        with pytest.raises(ValueError, match="the block has"):
            layout.wrap(memory, owner=memory, nbytes=size - 1, offset=-facts.low)


def test_wrap_needs_to_know_who_frees():
    with pytest.raises(TypeError, match="who frees this memory"):
        pybuf.Layout(3).wrap(1 << 40)  # type: ignore[call-overload]


def test_a_refused_wrap_takes_nothing(releases):
    layout = pybuf.Layout(3, "d")
    for bad in ({"nbytes": 8}, {"offset": 1 << 63}, {"unowned": True}):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            layout.wrap(1 << 40, release=releases, **bad)
    gc.collect()
    assert releases == []


def test_a_pair_is_called_with_address_size_and_argument():
    calls = []
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
    function = signature(lambda *got: calls.append(got))
    address = ctypes.cast(function, ctypes.c_void_p).value
    memory = (ctypes.c_double * 3)()
    at = ctypes.addressof(memory)
    pybuf.Layout(3, "d").wrap(at, release=(address, 7)).close()
    assert calls == [(at, 24, 7)]


# ---- NumPy's descriptor ----


@pytest.mark.parametrize("fmt", ELEMENTS)
def test_numpy_arrays_of_a_layout_share_one_descriptor(fmt):
    """Parsed once: np.asarray() does it for each array."""
    layout = pybuf.Layout(3, fmt)
    first, second = layout.zeros().numpy(), layout.empty().numpy()
    assert first.dtype is second.dtype


def test_the_dtype_that_a_layout_was_made_of_is_the_one_of_its_arrays():
    dtype = np.dtype([(("the title", "a"), "i4"), ("b", "f8", (2,))], align=True)
    assert pybuf.Layout(3, dtype).zeros().numpy().dtype is dtype


def test_the_loop_of_a_layout_makes_no_call_into_go(go_calls):
    memory = (ctypes.c_double * 6)()
    layout = pybuf.Layout((2, 3), RECORD, strides=(-16, 48))
    plain = pybuf.Layout(6, "d")
    before = go_calls()
    for _ in range(100):
        layout.zeros()
        plain.wrap(memory, owner=memory).numpy()
    assert go_calls() == before


@given(layout=layouts)
def test_numpy_stands_on_the_layout_as_it_is(layout):
    b = layout.zeros()
    a = b.numpy()
    assert (a.shape, a.strides) == (b.shape, b.strides)
    assert np.shares_memory(a, as_strided(a)) or a.size == 0
    assert a.ctypes.data == b.address
    assert a.flags.aligned == np.asarray(b).flags.aligned
    assert a.flags.c_contiguous == np.asarray(b).flags.c_contiguous
    assert a.flags.f_contiguous == np.asarray(b).flags.f_contiguous


# ---- refusals ----


def test_an_order_and_strides_are_not_taken_together():
    with pytest.raises(TypeError, match="order and strides"):
        pybuf.Layout(3, "d", order="C", strides=(8,))  # type: ignore[call-overload]


def test_each_axis_needs_a_stride():
    with pytest.raises(ValueError, match=r"strides has 1 number and shape has 2"):
        pybuf.Layout((2, 3), "d", strides=(8,))


@given(shape=s.any_shapes, order=st.sampled_from("CF"), fmt=st.sampled_from(["B", "d", RECORD]))
def test_a_layout_is_refused_as_memory_of_it_is(shape, order, fmt):
    itemsize = {"B": 1, "d": 8, RECORD: 16}[fmt]
    wanted = oracle.judge(itemsize, shape, order=order)
    got = oracle.outcome(pybuf.Layout, shape, fmt, order=order)
    if isinstance(wanted, oracle.Layout):
        assert got.strides == wanted.strides
        assert got.nbytes == wanted.nbytes
    else:
        assert got is wanted


def test_a_sub_array_adds_to_the_dimensions_that_there_may_be():
    pybuf.Layout((1,) * 62, "(1,1)d")
    with pytest.raises(ValueError, match="at most 64 dimensions"):
        pybuf.Layout((1,) * 63, "(1,1)d")
