"""copyto(): items of one exporter into another, whatever their layouts."""

from __future__ import annotations

import _testbuffer
import array
import copy
import ctypes
import math
import sys
import threading
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import strategies as s
from hypothesis import given
from indirect_memories import at_null

import pybuf

ND = _testbuffer
NATIVE = "bBhHiIlLqQfd?"

# ---- any layout into any other ----


def slices(n: int) -> st.SearchStrategy[slice]:
    """Those that leave n items of a longer axis, forwards or backwards."""

    def cut(step: int, before: int) -> slice:
        if step > 0:
            return slice(before, before + (n - 1) * step + 1, step)
        last = before + (n - 1) * -step
        return slice(last, before - 1 if before > 0 else None, step)

    return st.builds(cut, st.sampled_from([1, 1, 2, 3, -1, -2]), st.integers(0, 1))


def room(n: int, cut: slice) -> int:
    """Items of an axis from which the slice can be taken."""
    return max(cut.start, cut.stop or 0, n) + 1


@st.composite
def exporters(draw: Any, shape: tuple[int, ...], fmt: str, start: int) -> Any:
    """CPython's own exporter: a slice of an array, with row pointers or without."""
    cuts = [draw(slices(n)) for n in shape]
    whole = [room(n, cut) for n, cut in zip(shape, cuts, strict=True)]
    count = math.prod(whole)
    items = [bool((start + i) % 3) if fmt == "?" else (start + i) % 100 for i in range(count)]
    flags = ND.ND_WRITABLE | draw(st.sampled_from([0, ND.ND_FORTRAN, ND.ND_PIL]))
    if not shape:
        return ND.ndarray(items[0], shape=[], format=fmt, flags=ND.ND_WRITABLE)
    array_ = ND.ndarray(items, shape=whole, format=fmt, flags=flags)
    return array_[tuple(cuts) if len(cuts) > 1 else cuts[0]]


@given(
    data=st.data(),
    shape=st.lists(st.integers(1, 4), max_size=4).map(tuple),
    fmt=st.sampled_from(NATIVE),
)
def test_any_exporter_goes_into_any_other(data: Any, shape: Any, fmt: str):
    dst = data.draw(exporters(shape, fmt, 1), "dst")
    src = data.draw(exporters(shape, fmt, 50), "src")
    pybuf.copyto(dst, src)
    assert dst.tolist() == src.tolist()


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple), data=st.data())
def test_nothing_is_written_but_the_items(shape: Any, data: Any):
    cuts = tuple(data.draw(slices(n)) for n in shape)
    memory = np.zeros([room(n, cut) for n, cut in zip(shape, cuts, strict=True)], "i2")
    expected = memory.copy()
    src = data.draw(exporters(shape, "h", 1))
    pybuf.copyto(memory[cuts], src)
    expected[cuts] = np.array(src.tolist())
    assert np.array_equal(memory, expected)


@pytest.mark.parametrize(
    "dst",
    [bytearray(6), array.array("B", bytes(6)), (ctypes.c_ubyte * 6)(), np.zeros(6, "B")],
    ids=["bytearray", "array", "ctypes", "numpy"],
)
def test_everyday_exporters_take_items(dst: Any):
    pybuf.copyto(dst, b"sixsix")
    assert bytes(dst) == b"sixsix"


def test_an_item_alone_has_no_axes():
    dst = np.array(0.0)
    pybuf.copyto(dst, ctypes.c_double(2.5))
    assert dst == 2.5


def test_records_are_copied_with_their_pads():
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    src = np.array([(1, 2.5), (3, 4.5)], dtype)
    dst = np.zeros(2, dtype)
    pybuf.copyto(dst, src[::-1])
    assert dst.tolist() == [(3, 4.5), (1, 2.5)]


# ---- element types ----


@pytest.mark.parametrize(("a", "b"), [("<i4", "i4"), ("l", "q"), ("<f8", "d")])
def test_one_type_may_be_spelled_in_two_ways(a: str, b: str):
    dst = np.zeros(3, a)
    pybuf.copyto(dst, np.arange(3, dtype=b))
    assert dst.tolist() == [0, 1, 2]


@pytest.mark.parametrize(("a", "b"), [("i4", "f4"), ("i4", "u4"), (">i4", "<i4"), ("?", "B")])
def test_other_types_of_the_size_need_cast(a: str, b: str):
    dst, src = np.zeros(3, a), np.ones(3, b)
    with pytest.raises(ValueError, match="nothing is converted: cast=True copies their bytes"):
        pybuf.copyto(dst, src)
    assert not dst.any()
    pybuf.copyto(dst, src, cast=True)
    assert dst.tobytes() == src.tobytes()


@pytest.mark.parametrize("cast", [False, True])
def test_other_sizes_are_refused(cast: bool):
    with pytest.raises(ValueError, match=r"'f'.*'d'|4 bytes.*8"):
        pybuf.copyto(np.zeros(2, "f"), np.zeros(2, "d"), cast=cast)


# ---- refused ----


@pytest.mark.parametrize("shape", [(6,), (3, 2), (2, 3, 1), (), (2, 4)])
def test_another_shape_is_refused(shape: Any):
    with pytest.raises(ValueError, match=r"dst has shape \(2, 3\) and src"):
        pybuf.copyto(np.zeros((2, 3)), np.zeros(shape))


@pytest.mark.parametrize(
    ("dst", "error"),
    [
        (b"read", BufferError),
        (memoryview(b"read"), BufferError),
        (pybuf.copy(b"read").toreadonly(), BufferError),
        (np.frombuffer(b"read", "B"), ValueError),
    ],
    ids=["bytes", "memoryview", "Buffer", "numpy"],
)
def test_what_is_read_only_refuses_in_its_own_words(dst: Any, error: Any):
    with pytest.raises(error, match=r"not writable|read-only"):
        pybuf.copyto(dst, b"four")
    assert bytes(dst) == b"read"


@pytest.mark.parametrize(("dst", "src", "what"), [(3, b"", "dst"), (bytearray(), "text", "src")])
def test_what_has_no_buffer_protocol_is_named(dst: Any, src: Any, what: str):
    with pytest.raises(TypeError, match=f"given as {what}, has no buffer protocol"):
        pybuf.copyto(dst, src)


def test_a_closed_buffer_is_refused():
    b = pybuf.zeros(3)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        pybuf.copyto(b, b"abc")
    with pytest.raises(ValueError, match="closed"):
        pybuf.copyto(bytearray(3), b)


def pointers(shape: tuple[int, ...], *rows: int, keep: Any = None) -> pybuf.Buffer:
    """Bytes behind a table of addresses."""
    table = (ctypes.c_void_p * len(rows))(*rows)
    return pybuf.wrap(table, shape, "B", strides=(8, 1), suboffsets=(0, -1), owner=(table, keep))


@pytest.mark.parametrize("side", ["dst", "src"])
def test_a_null_among_the_rows_is_named_and_nothing_is_written(side: str):
    row = (ctypes.c_ubyte * 2)(7, 8)
    broken = pointers((3, 2), ctypes.addressof(row), 0, ctypes.addressof(row), keep=row)
    whole = np.zeros((3, 2), "B")
    pair = (broken, whole) if side == "dst" else (whole, broken)
    with pytest.raises(ValueError, match=rf"^copyto\(\): row 1 of {side} is NULL"):
        pybuf.copyto(*pair)
    assert bytes(row) == b"\x07\x08"
    assert not whole.any()


def test_a_null_in_an_inner_table_is_named_by_all_its_indices():
    inner = (ctypes.c_void_p * 2)(ctypes.addressof(ctypes.c_int()), 0)
    outer = (ctypes.c_void_p * 1)(ctypes.addressof(inner))
    b = pybuf.wrap(
        outer, (1, 2, 1), "i", strides=(8, 8, 4), suboffsets=(0, 0, -1), owner=(outer, inner)
    )
    with pytest.raises(ValueError, match=r"row \(0, 1\) of src is NULL"):
        pybuf.copyto(np.zeros((1, 2, 1), "i"), b)


def test_a_null_row_is_an_error_of_the_function_that_was_called():
    b = pointers((1, 2), 0)
    for name in ("tobytes", "numpy"):
        with pytest.raises(ValueError, match=rf"^{name}\(\): row 0 is NULL"):
            getattr(b, name)()
    for function in (pybuf.copy, copy.copy):
        with pytest.raises(ValueError, match=r"^copy\(\): row 0 is NULL"):
            function(b)


@pytest.mark.parametrize("shape", [(0, 2), (2, 0)])
def test_where_there_are_no_items_no_pointer_is_read(shape: Any):
    pybuf.copyto(pointers(shape, 0, 0), np.zeros(shape, "B"))
    pybuf.copyto(np.zeros(shape, "B"), pointers(shape, 0, 0))


def test_more_items_than_memory_are_refused_before_their_tables_are_read():
    """One pointer for all of them: to look at each would take years."""
    row = ctypes.c_ubyte(7)
    table = ctypes.c_void_p(ctypes.addressof(row))
    b = pybuf.wrap(
        ctypes.addressof(table), (1 << 60,), "B", strides=0, suboffsets=0, owner=(table, row)
    )
    with pytest.raises(MemoryError):
        pybuf.copy(b)
    with pytest.raises(MemoryError):
        b.tobytes()


# ---- who holds what ----


def test_both_sides_are_held_only_during_the_copy():
    dst, src = pybuf.zeros(4), pybuf.copy(b"four")
    pybuf.copyto(dst, src)
    assert (dst.exports, src.exports) == (0, 0)
    assert src.close()
    assert dst.close()


def test_a_buffer_may_be_both_sides():
    b = pybuf.copy(b"same")
    pybuf.copyto(b, b)
    assert b.tobytes() == b"same"
    assert b.exports == 0
    assert b.close()


def test_the_views_end_when_the_copy_is_refused():
    dst, src = bytearray(3), bytearray(4)
    with pytest.raises(ValueError, match="shape"):
        pybuf.copyto(dst, src)
    dst.append(1)
    src.append(1)


@pytest.mark.parametrize("call", [(), (b"",), (b"", b"", True)])
def test_arguments_are_two_and_cast_is_a_keyword(call: Any):
    with pytest.raises(TypeError, match="copyto"):
        pybuf.copyto(*call)


# ---- what is left behind ----


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_copies_of_two_threads_at_a_time_leave_nothing_lent():
    """Whichever ends first."""

    class Waits:
        def __init__(self) -> None:
            self.asked, self.answer = threading.Event(), threading.Event()

        def __buffer__(self, flags: int) -> memoryview:
            self.asked.set()
            self.answer.wait()
            return memoryview(b"abc")

    dst, sources, threads = pybuf.zeros(3), [Waits(), Waits()], []
    for src in sources:
        threads.append(threading.Thread(target=pybuf.copyto, args=(dst, src)))
        threads[-1].start()
        src.asked.wait()
    for src, thread in zip(sources, threads, strict=True):
        src.answer.set()
        thread.join()
    assert dst.tobytes() == b"abc"
    assert dst.close()


def test_an_exporter_of_items_at_null_is_refused():
    nowhere = at_null()
    for call in (
        lambda: pybuf.copyto(nowhere, b"abc"),
        lambda: pybuf.copyto(bytearray(3), nowhere),
        lambda: pybuf.copy(nowhere),
    ):
        with pytest.raises(ValueError, match="3 bytes and says that they lie at NULL"):
            call()


# ---- rows of pybuf's own strategies ----


@given(s.blocks(), st.data())
def test_a_copy_there_and_back_is_the_same(block: Any, data: Any):
    b = block.buffer
    between = pybuf.zeros(b.shape, b.format, order=data.draw(st.sampled_from("CF")))
    pybuf.copyto(between, b)
    assert between.tobytes() == b.tobytes()
