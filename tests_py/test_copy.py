"""copy() of any exporter, and the copy module."""

from __future__ import annotations

import _testbuffer
import array
import copy
import ctypes
import math
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import strategies as s
from hypothesis import given

import pybuf

ND = _testbuffer
TABLE = (ctypes.c_int * 3)(1, 2, 3)

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
        "Buffer": s.counting((2, 3), "h"),
        "Buffer of Fortran": s.counting((2, 3), "h", order="F"),
    }
    for code in "bBhHiIlLqQfd":
        found[f"array.array {code}"] = array.array(code, [1, 2, 3])
    return found


@pytest.mark.parametrize("memory", ["c", "go"])
@pytest.mark.parametrize("order", "CF")
@pytest.mark.parametrize("name", exporters())
def test_copy_takes_the_items_of_any_exporter(name, order, memory):
    source = exporters()[name]
    m = memoryview(source)
    b = pybuf.copy(source, order=order, source=memory)
    assert b.shape == m.shape
    assert b.tobytes() == m.tobytes()
    assert b.tobytes("F") == m.tobytes("F")
    assert b.strides == oracle.packed_strides(m.shape, m.itemsize, order)
    assert np.asarray(b).dtype == np.dtype(m.format if m.format[0] != "Z" else source.dtype)
    assert not b.readonly
    assert b.source == memory
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
    for view in (source, source[:, ::-1], source.T, source.view("i4")[::-1, ::3].T):
        for order in "CF":
            b = pybuf.copy(view, order=order)
            assert np.array_equal(np.asarray(b), view)
            assert b.tobytes("F" if order == "C" else "C") == view.tobytes(
                "F" if order == "C" else "C"
            )


@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    fmt=st.sampled_from("hidq"),
    order=st.sampled_from("CF"),
    turned=st.booleans(),
)
def test_copy_follows_pointers(shape, fmt, order, turned):
    size = math.prod(shape)
    source = ND.ndarray(list(range(size)), shape=shape, format=fmt, flags=ND.ND_PIL)
    if turned:
        source = source[::-1]
    b = pybuf.copy(source, order=order)
    assert b.tolist() == source.tolist()
    assert b.suboffsets == ()


def test_copy_leaves_no_export_behind():
    source = bytearray(b"abc")
    pybuf.copy(source)
    with pytest.raises(TypeError, match="objects"):
        pybuf.copy(np.zeros(3, "i4,O"))
    source.append(1)  # bytearray refuses while a view lives


def test_copy_of_its_own_memory_lends_nothing():
    """pybuf is done with the memory when the copy is made."""
    b = pybuf.copy(b"abc")
    pybuf.copy(b)
    b.resize(5)


@pytest.mark.parametrize(
    ("source", "error", "word"),
    [
        (np.zeros(2, "O"), TypeError, "object"),
        (np.zeros(2, "i4,O"), TypeError, 'field "f1" is of objects'),
        (np.zeros(2, []), (TypeError, ValueError), "0 bytes"),
        (np.zeros(2, "M8[s]"), TypeError, r'view\("i8"\)'),
        ((ctypes.POINTER(ctypes.c_int) * 2)(), TypeError, "pointers"),
        ((ctypes.py_object * 1)(1), TypeError, "object"),
        ([1, 2], TypeError, "buffer protocol"),
        ("abc", TypeError, "buffer protocol"),
        (None, TypeError, "buffer protocol"),
    ],
)
def test_copy_refuses_items_that_no_format_says(source, error, word):
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


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@given(block=s.blocks())
def test_the_copy_module_keeps_format_and_order(copied, block):
    """Gaps go: what has no order of its own gets C's."""
    first = copied(block.buffer)
    fortran = block.layout.contiguous == "F"
    shape, itemsize = block.layout.shape, block.layout.itemsize
    assert first.format == block.buffer.format
    assert first.strides == oracle.packed_strides(shape, itemsize, "F" if fortran else "C")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize(
    ("made", "source", "align"),
    [
        (lambda: pybuf.zeros(9), "c", 64),
        (lambda: pybuf.zeros(9, align=4096), "c", 4096),
        (lambda: pybuf.zeros(9, source="go", align=8192), "go", 8192),
        (lambda: pybuf.zeros(8, source="go", align=8192).cast("d").toreadonly(), "go", 8192),
        (lambda: pybuf.wrap(TABLE, owner=TABLE), "c", 64),
        (lambda: s.indirect([[1, 2], [3, 4]]), "c", 64),
    ],
)
def test_the_copy_module_keeps_memory_of_its_kind(copied, made, source, align):
    b = made()
    c = copied(b)
    assert (c.source, c.owner, c.suboffsets) == (source, None, ())
    assert c.tobytes() == b.tobytes()
    assert c.readonly == b.readonly
    assert c.address % align == 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pybuf.copy])
def test_copies_are_made_without_pickling_and_lend_nothing(copied, monkeypatch):
    def refuse(*args):
        raise AssertionError

    monkeypatch.setattr(pybuf._core, "_rebuild", refuse)
    b = pybuf.copy(b"abc")
    c = copied(b)
    b.resize(5)
    c.resize((2, 2))
    assert c.tolist() == [[97, 98], [99, 0]]


def test_a_writable_copy_is_written_without_harm_to_the_original():
    b = pybuf.copy(b"abc")
    c = copy.deepcopy([b, b])
    assert c[0] is c[1]
    c[0][0] = 0
    assert (b.tobytes(), c[0].tobytes()) == (b"abc", b"\0bc")
