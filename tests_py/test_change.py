"""The same memory in another guise: cast, toreadonly, resize."""

from __future__ import annotations

import _testbuffer
import sys

import hypothesis.strategies as st
import numpy as np
import oracle
import py_buffer as pb
import pytest
import strategies as s
from hypothesis import given

import pybuf

ND = _testbuffer
every_format = pytest.mark.parametrize("fmt", s.FORMATS)

VIEWS = {
    "cast": lambda b: b.cast("B"),
    "toreadonly": lambda b: b.toreadonly(),
}
each_view = pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)


# ---- cast ----


@given(old=s.formats, new=s.formats, shape=s.shapes, n=st.integers(0, 5))
def test_cast_shows_the_same_bytes_as_whole_items_of_another_type(old, new, shape, n):
    shape = (n * s.ITEMSIZE[new], *shape)  # so that it often comes out even
    b = s.counting(shape, old)
    got = b.cast(new)
    size = s.ITEMSIZE[new]
    assert (got.format, got.shape, got.strides) == (new, (b.nbytes // size,), (size,))
    assert got.tobytes() == b.tobytes()
    assert got.address == b.address


@given(data=st.data(), fmt=s.formats, shape=s.shapes)
def test_cast_to_any_shape_of_as_many_bytes(data, fmt, shape):
    layout = oracle.judge(s.ITEMSIZE[fmt], shape)
    b = s.counting(layout.nbytes, "B")
    got = b.cast(fmt, shape)
    assert (got.shape, got.strides, got.nbytes) == (shape, layout.strides, b.nbytes)
    assert b.cast(dtype=fmt, shape=list(shape)).shape == shape
    other = data.draw(s.shapes)
    if oracle.judge(s.ITEMSIZE[fmt], other).nbytes != b.nbytes:
        with pytest.raises(TypeError, match=rf"{b.nbytes}$"):
            b.cast(fmt, other)


@every_format
def test_cast_takes_every_spelling_and_answers_as_memoryview_s_cast(fmt):
    """Where memoryview can: from bytes to a native format."""
    b = s.counting(240, "B")
    assert b.cast(s.DTYPE[fmt]).format == pybuf.empty(0, s.DTYPE[fmt]).format
    if fmt in s.INDEXABLE_FORMATS:
        expected = memoryview(b.tobytes()).cast(fmt, (2, 120 // s.ITEMSIZE[fmt]))
        got = b.cast(fmt, (2, 120 // s.ITEMSIZE[fmt]))
        assert got.tobytes() == expected.tobytes()
        assert repr(got.tolist()) == repr(expected.tolist())


def test_cast_between_no_axes_and_many():
    b = s.counting((), "d")
    assert b.cast("i").shape == (2,)
    assert b.cast("B", (2, 2, 2)).cast("d", ()).tobytes() == b.tobytes()
    assert pybuf.zeros((0, 3), "d").cast("i").shape == (0,)
    assert pybuf.zeros((0, 3), "d").cast("i", (7, 0)).shape == (7, 0)


@given(block=s.blocks())
def test_cast_needs_c_contiguous_memory(block):
    if "C" in block.layout.contiguous:
        assert block.buffer.cast("B").tobytes() == block.tobytes()
    else:
        with pytest.raises(TypeError, match=r"C-contiguous.*pybuf\.copy"):
            block.buffer.cast("B")


def test_cast_that_leaves_a_rest_says_how_many_bytes_there_are():
    with pytest.raises(TypeError, match=r"10 bytes.*items of 8 bytes \('d'\)"):
        pybuf.zeros(10).cast("d")
    with pytest.raises(TypeError, match=r"12 bytes.*has 10"):
        pybuf.zeros(10).cast("i", 3)


def test_cast_keeps_read_only_and_source():
    assert not pybuf.zeros(4).cast("i").readonly
    assert pybuf.zeros(4).toreadonly().cast("i").readonly
    assert pybuf.zeros(4).cast("i").source == "c"
    assert pybuf.zeros(4, source="go").cast("i").source == "go"
    assert pybuf.wrap(1 << 20, 4, unowned=True).cast("i").source == "foreign"


# ---- toreadonly ----


@given(block=s.blocks())
def test_toreadonly_is_the_same_memory_in_the_same_layout(block):
    b = block.buffer
    ro = b.toreadonly()
    assert ro.readonly
    assert pb.ask(ro, pb.WRITABLE) is None
    assert (ro.shape, ro.strides, ro.format) == (b.shape, b.strides, b.format)
    assert (ro.address, ro.nbytes) == (b.address, b.nbytes)
    assert ro.tobytes() == block.tobytes()


def test_toreadonly_keeps_indirect_memory_indirect():
    b = s.indirect([[1, 2], [3, 4]])
    ro = b.toreadonly()
    assert ro.suboffsets == b.suboffsets == (0, -1)
    assert ro.tolist() == [[1, 2], [3, 4]]
    with pytest.raises(TypeError, match="C-contiguous"):
        b.cast("B")


def test_a_read_only_view_sees_what_is_written_through_the_buffer():
    b = pybuf.zeros(3)
    ro = b.toreadonly()
    b[1] = 7
    assert ro.tolist() == [0, 7, 0]


# ---- both count as an export ----


@each_view
def test_a_view_counts_as_one_export_until_it_is_gone(view):
    b = pybuf.zeros(8)
    v = view(b)
    assert (b.exports, v.exports) == (1, 0)
    assert v.owner is b
    w = view(v)
    assert (b.exports, v.exports) == (1, 1)
    del v
    assert b.exports == 1
    del w
    assert b.exports == 0


@each_view
def test_a_view_outlives_the_close_of_its_parent(view):
    b = pybuf.copy(b"abcdefgh")
    v = view(b)
    assert b.close() is False
    del b
    assert v.tobytes() == b"abcdefgh"
    assert memoryview(v).nbytes == v.numpy().nbytes == 8
    assert view(v).tobytes() == b"abcdefgh"


@each_view
def test_the_close_of_a_view_leaves_its_parent_open(view):
    b = pybuf.copy(b"abcdefgh")
    v = view(b)
    assert v.close() is False  # the memory is not gone: it is the parent's
    assert b.exports == 0
    assert not b.closed
    with pytest.raises(ValueError, match="closed"):
        view(v)


@each_view
def test_a_closed_buffer_gives_none(view):
    b = pybuf.zeros(8)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        view(b)


def test_views_in_a_loop_leave_no_reference_behind():
    b = pybuf.zeros(16)
    before = sys.getrefcount(b)
    for _ in range(1000):
        b.cast("d")
        b.toreadonly()
    assert sys.getrefcount(b) == before


# ---- resize ----


@pytest.fixture
def live_bytes():
    return lambda: pybuf._core._counters()["live_bytes"]


@given(old=s.shapes, new=s.shapes, fmt=s.formats, order=st.sampled_from("CF"))
def test_resize_keeps_the_items_in_memory_order_and_fills_with_zeros(old, new, fmt, order):
    content = bytes(i % 251 for i in range(oracle.judge(s.ITEMSIZE[fmt], old).nbytes))
    b = pybuf.copy(np.ndarray(old, s.DTYPE[fmt].str.replace("S", "u"), content), order=order)
    before = b.tobytes("A")
    b.resize(new)
    # Memory that is contiguous both ways goes on in C order.
    kept = "F" if "C" not in oracle.judge(b.itemsize, old, order=order).contiguous else "C"
    layout = oracle.judge(b.itemsize, new, order=kept)
    assert (b.shape, b.strides, b.nbytes) == (new, layout.strides, layout.nbytes)
    in_memory = b.tobytes(kept)
    cut = min(len(before), len(in_memory))
    assert in_memory[:cut] == before[:cut]
    assert in_memory[cut:] == bytes(len(in_memory) - cut)


@pytest.mark.parametrize("source", ["c", "go"])
def test_resize_keeps_the_source_and_the_alignment_that_were_asked_for(source):
    b = pybuf.zeros(3, align=8192, source=source)
    b.resize(5000)
    assert b.source == source
    assert b.address % 8192 == 0


@pytest.mark.parametrize("source", ["c", "go"])
def test_resize_moves_live_bytes_and_nothing_else_in_the_books(source, live_bytes):
    before = live_bytes()
    b = pybuf.zeros(1000, source=source)
    b.resize((3, 5))
    assert live_bytes() - before == 15
    b.resize(0)
    assert live_bytes() == before
    b.resize(10)
    del b
    assert live_bytes() == before


def test_resize_under_views_is_refused_with_their_number():
    b = pybuf.zeros(3)
    one = memoryview(b)
    with pytest.raises(BufferError, match=r"1 view\b"):
        b.resize(5)
    two = b.numpy()
    three = b.cast("B")
    with pytest.raises(BufferError, match=r"3 views\b"):
        b.resize(5)
    del one, two, three
    assert b.shape == (3,)


LENDS = {
    "address": lambda b: b.address,
    "interface": lambda b: b.__array_interface__,
    "a view that ended": lambda b: memoryview(b).release(),
    "ndarray(buffer=)": lambda b: np.ndarray(3, "B", b),
}


@pytest.mark.parametrize("source", ["c", "go"])
@pytest.mark.parametrize("lend", LENDS.values(), ids=LENDS)
def test_resize_is_refused_for_good_once_anything_was_lent(lend, source):
    """np.ndarray(buffer=b) keeps a pointer and reports nothing."""
    b = pybuf.zeros(3, source=source)
    lend(b)
    assert b.exports == 0
    with pytest.raises(BufferError, match="pointer"):
        b.resize(5)
    assert b.shape == (3,)


def test_memory_of_others_is_not_resized():
    parent = pybuf.zeros(4)
    for b, word in (
        (pybuf.wrap(1 << 20, 3, unowned=True), "foreign"),
        (parent.cast("i"), "view of another Buffer"),
        (parent.toreadonly(), "view of another Buffer"),
    ):
        with pytest.raises(BufferError, match=word):
            b.resize(5)


@pytest.mark.parametrize("source", ["c", "go"])
def test_a_resize_that_cannot_be_leaves_everything_as_it_was(source):
    b = pybuf.zeros((2, 3), "d", source=source)
    b[0, 0] = 1.5
    for shape, error in (
        (-1, ValueError), ((2, -3), ValueError), (1.5, TypeError), (2**70, OverflowError),
        (2**61, OverflowError), (2**59, MemoryError), (None, TypeError), ((1,) * 65, ValueError),
    ):  # fmt: skip
        with pytest.raises(error):
            b.resize(shape)
    assert b.shape == (2, 3)
    assert b.tolist() == [[1.5, 0, 0], [0, 0, 0]]
    b.resize(1)  # still its own
    assert b.tolist() == [1.5]


def test_a_closed_buffer_is_not_resized():
    b = pybuf.zeros(3)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        b.resize(5)
