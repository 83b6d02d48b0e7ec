"""The same memory in another guise: cast, toreadonly, resize; and copies."""

from __future__ import annotations

import _testbuffer
import array
import copy
import ctypes
import sys
from typing import Any

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


def counting(shape: Any = (2, 3), fmt: str = "i", **kwargs: Any) -> pybuf.Buffer:
    """New memory whose bytes count up."""
    b = pybuf.empty(shape, fmt, **kwargs)
    ctypes.memmove(b.address, bytes(i % 251 for i in range(b.nbytes)), b.nbytes)
    return b


# ---- cast ----


@given(old=s.formats, new=s.formats, shape=s.shapes, n=st.integers(0, 5))
def test_cast_shows_the_same_bytes_as_whole_items_of_another_type(old, new, shape, n):
    shape = (n * s.ITEMSIZE[new], *shape)  # so that it often comes out even
    b = counting(shape, old)
    got = b.cast(new)
    size = s.ITEMSIZE[new]
    assert (got.format, got.shape, got.strides) == (new, (b.nbytes // size,), (size,))
    assert got.tobytes() == b.tobytes()
    assert got.address == b.address


@given(data=st.data(), fmt=s.formats, shape=s.shapes)
def test_cast_to_any_shape_of_as_many_bytes(data, fmt, shape):
    layout = oracle.judge(s.ITEMSIZE[fmt], shape)
    b = counting(layout.nbytes, "B")
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
    b = counting(240, "B")
    assert b.cast(s.DTYPE[fmt]).format == pybuf.empty(0, s.DTYPE[fmt]).format
    if fmt in s.INDEXABLE_FORMATS:
        expected = memoryview(b.tobytes()).cast(fmt, (2, 120 // s.ITEMSIZE[fmt]))
        got = b.cast(fmt, (2, 120 // s.ITEMSIZE[fmt]))
        assert got.tobytes() == expected.tobytes()
        assert repr(got.tolist()) == repr(expected.tolist())


def test_cast_between_no_axes_and_many():
    b = counting((), "d")
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


def test_resize_keeps_the_alignment_that_was_asked_for():
    b = pybuf.zeros(3, align=8192)
    b.resize(5000)
    assert b.address % 8192 == 0


def test_resize_moves_live_bytes_and_nothing_else_in_the_books(live_bytes):
    before = live_bytes()
    b = pybuf.zeros(1000)
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


@pytest.mark.parametrize("lend", LENDS.values(), ids=LENDS)
def test_resize_is_refused_for_good_once_anything_was_lent(lend):
    """np.ndarray(buffer=b) keeps a pointer and reports nothing."""
    b = pybuf.zeros(3)
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


def test_a_resize_that_cannot_be_leaves_everything_as_it_was():
    b = pybuf.zeros((2, 3), "d")
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


# ---- copies of any exporter ----


def exporters() -> dict[str, Any]:
    grid = np.arange(24, dtype="i2").reshape(4, 6)
    numbers = list(range(12))
    found = {
        "bytes": b"abc",
        "bytearray": bytearray(b"abc"),
        "memoryview": memoryview(b"abcdef")[::-2],
        "memoryview cast": memoryview(bytes(24)).cast("d", (1, 3)),
        "ndarray": grid,
        "ndarray of Fortran": np.asfortranarray(grid),
        "ndarray turned": grid[::-1, ::-2],
        "ndarray transposed": grid.T,
        "ndarray broadcast": np.broadcast_to(grid[0], (3, 6)),
        "ndarray misaligned": np.frombuffer(bytes(range(25)), "B")[1:].view("d"),
        "ndarray big-endian": grid.astype(">i2"),
        "ndarray complex": grid.astype("c8"),
        "ndarray 0-d": np.array(1.5),
        "ndarray empty": np.empty((3, 0, 2)),
        "ctypes array": (ctypes.c_double * 3)(1, 2, 3),
        "ctypes grid": ((ctypes.c_int * 3) * 2)((1, 2, 3), (4, 5, 6)),
        "ctypes cube": (((ctypes.c_short * 2) * 3) * 2)(),
        "ctypes number": ctypes.c_long(5),
        "indirect": ND.ndarray(numbers, shape=[3, 4], format="i", flags=ND.ND_PIL),
        "indirect turned": ND.ndarray(numbers, shape=[6, 2], format="q", flags=ND.ND_PIL)[::-2],
        "indirect cube": ND.ndarray(numbers, shape=[2, 3, 2], format="d", flags=ND.ND_PIL),
        "Buffer": counting((2, 3), "h"),
        "Buffer of Fortran": counting((2, 3), "h", order="F"),
    }
    for code in "bBhHiIlLqQfd":
        found[f"array.array {code}"] = array.array(code, [1, 2, 3])
    return found


@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("name", exporters())
def test_copy_takes_the_items_of_any_exporter(name, order):
    source = exporters()[name]
    m = memoryview(source)
    b = pybuf.copy(source, order=order)
    assert b.shape == m.shape
    assert b.tobytes() == m.tobytes()
    assert b.tobytes("F") == m.tobytes("F")
    assert b.strides == oracle.packed_strides(m.shape, m.itemsize, order)
    assert np.asarray(b).dtype == np.dtype(m.format if m.format[0] != "Z" else source.dtype)
    assert not b.readonly
    assert b.source == "c"
    assert b.address % 64 == 0


def test_copy_takes_characters_back_from_numpy():
    """A Buffer of 'c' is an array of S1 there, which leaves as "1s"."""
    b = pybuf.copy(pybuf.zeros(3, "c").numpy())
    assert b.format == "c"


@given(block=s.blocks(), order=st.sampled_from("CF"), align=st.sampled_from([1, 8, 4096]))
def test_copy_of_a_buffer_has_its_items_in_new_memory(block, order, align):
    b = pybuf.copy(block.buffer, order=order, align=align)
    assert b.format == block.buffer.format
    assert b.tobytes() == block.tobytes()
    assert b.address % align == 0
    assert b.address != block.buffer.address
    if b.size:
        ctypes.memset(b.address, 0xFF, b.nbytes)
        assert block.buffer.tobytes() == block.tobytes()


def test_copy_of_much_memory_is_whole():
    """From 1 MiB on it is copied with other threads running."""
    source = np.random.default_rng(1).integers(0, 256, (3, 1 << 20), "u1")
    assert pybuf.copy(source).tobytes() == source.tobytes()
    assert pybuf.copy(source[:, ::-1]).tobytes() == source[:, ::-1].tobytes()


def test_copy_leaves_no_export_behind():
    source = bytearray(b"abc")
    pybuf.copy(source)
    with pytest.raises(TypeError, match="record"):
        pybuf.copy(np.zeros(3, "i4,i4"))
    source.append(1)  # bytearray refuses while a view lives


def test_copy_of_its_own_memory_lends_nothing():
    """pybuf is done with the memory when the copy is made."""
    b = pybuf.copy(b"abc")
    pybuf.copy(b)
    b.resize(5)


@pytest.mark.parametrize(
    ("source", "error", "word"),
    [
        (np.zeros(2, "i4,f8"), TypeError, "record"),
        (np.zeros(2, "O"), TypeError, "object"),
        (np.zeros(2, "S3"), TypeError, "string"),
        (np.zeros(2, "U3"), TypeError, "w|UCS-4|repeated"),
        (np.zeros(2, np.longdouble), TypeError, "long double"),
        (np.zeros(2, "M8[s]"), (ValueError, BufferError), "dtype"),
        ((ctypes.c_void_p * 2)(), (TypeError, ValueError), '"?P"?'),
        ((ctypes.py_object * 1)(1), TypeError, "object"),
        ([1, 2], TypeError, "buffer protocol"),
        ("abc", TypeError, "buffer protocol"),
        (None, TypeError, "buffer protocol"),
    ],
    ids=str,
)
def test_copy_refuses_items_that_are_no_plain_element(source, error, word):
    with pytest.raises(error, match=word):
        pybuf.copy(source)


# ---- copy.copy, deepcopy ----


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@given(block=s.blocks())
def test_the_copy_module_copies_the_items(copied, block):
    b = copied(block.buffer)
    assert type(b) is pybuf.Buffer
    assert b.tobytes() == block.tobytes()
    assert (b.shape, b.readonly) == (block.buffer.shape, block.buffer.readonly)
    assert np.asarray(b).dtype == np.asarray(block.buffer).dtype
    assert block.buffer.exports == 0
    if b.size:
        assert b.address != block.buffer.address


def test_a_writable_copy_is_written_without_harm_to_the_original():
    b = pybuf.copy(b"abc")
    c = copy.deepcopy([b, b])
    assert c[0] is c[1]
    c[0][0] = 0
    assert (b.tobytes(), c[0].tobytes()) == (b"abc", b"\0bc")


def test_sys_getrefcount_of_a_format_s_record_is_steady():
    """Elements are shared; casting in a loop must not leak or drop them."""
    b = pybuf.zeros(16)
    before = sys.getrefcount(b)
    for _ in range(1000):
        b.cast("d")
        b.toreadonly()
    assert sys.getrefcount(b) == before
