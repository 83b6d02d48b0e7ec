"""IndirectMemory2D: its memory, views and formats, as indirect_buffer has them."""

from __future__ import annotations

import ctypes
import gc
import re
import sys
from typing import Any

import numpy as np
import py_buffer
import pytest
from indirect_memories import make, says
from pybuf.indirect import IndirectMemory2D

POINTER = ctypes.sizeof(ctypes.c_void_p)


# ---- new memory ----


def test_arguments_go_by_position_and_by_keyword():
    a = IndirectMemory2D.create_memory(5, 6, b"i", 0)
    b = IndirectMemory2D.create_memory(rows=5, cols=6, format="i", readonly=False)
    assert a.shape == b.shape == (5, 6)


def test_new_memory_is_zeroed_and_its_views_see_each_other():
    mem = make()
    one, two = memoryview(mem), memoryview(mem)
    assert one.tolist() == [[0, 0, 0], [0, 0, 0]]
    one[1, 2] = 42
    assert two[1, 2] == 42


def test_a_view_says_where_the_rows_are():
    view = memoryview(make(2, 3, "d"))
    assert (view.ndim, view.shape, view.strides) == (2, (2, 3), (POINTER, 8))
    assert (view.suboffsets, view.nbytes, view.itemsize) == ((0, -1), 48, 8)
    assert not view.readonly


def test_the_table_holds_the_address_of_each_row():
    mem = make(3, 4, "h")
    table = (ctypes.POINTER(ctypes.c_int16) * 3).from_address(mem.address)
    table[2][3] = 7
    assert memoryview(mem)[2, 3] == 7


@pytest.mark.parametrize("format", ["i", b"i", "<i", "@i", "=d", "T{i:a:d:b:}", ">H", "Zd", "5s"])
def test_the_format_is_kept_as_it_was_spelled(format: Any):  # noqa: A002
    mem = make(2, 3, format)
    spelled = format if isinstance(format, bytes) else format.encode()
    assert mem.get_format() == spelled
    assert memoryview(mem).format == spelled.decode()


@pytest.mark.parametrize("dtype", ["f8", "float64", np.float64, np.dtype("f8")])
def test_what_is_no_format_is_read_as_a_dtype(dtype: Any):
    assert make(2, 3, dtype).get_format() == b"d"


def test_memory_without_items_is_memory():
    for shape in ((0, 3), (3, 0), (0, 0)):
        view = memoryview(make(*shape))
        assert (view.shape, view.nbytes) == (shape, 0)
        assert view.tolist() == [[] for _ in range(shape[0])]


@pytest.mark.parametrize(
    ("rows", "cols", "error"),
    [
        (-1, 3, ValueError),
        (3, -1, ValueError),
        (1 << 62, 1, OverflowError),
        (1 << 32, 1 << 32, OverflowError),
        (1 << 20, 1 << 30, MemoryError),
        (1 << 70, 1, OverflowError),
        ("2", 3, TypeError),
        (2.0, 3, TypeError),
    ],
)
def test_counts_that_cannot_be_are_refused_in_words(rows: Any, cols: Any, error: Any):
    with pytest.raises(error, match=r"."):
        make(rows, cols)


@pytest.mark.parametrize("shape", [(-1, 3), (3, -1)])
def test_a_shape_that_cannot_be_is_named_whole(shape: Any):
    with pytest.raises(ValueError, match=rf"^shape {re.escape(str(shape))}: extent"):
        make(*shape)


@pytest.mark.parametrize("format", ["nonsense", "", b"\xff", "i\0", "O"])
def test_a_format_that_cannot_be_is_refused(format: Any):  # noqa: A002
    with pytest.raises((ValueError, TypeError), match=r"."):
        make(2, 3, format)


def test_items_that_are_arrays_are_refused():
    with pytest.raises(TypeError, match="sub-arrays of 'i'"):
        make(2, 3, "(2)i")


def test_it_is_made_by_its_methods_only():
    with pytest.raises(TypeError, match=r"IndirectMemory2D\(\) would have no memory"):
        IndirectMemory2D()
    with pytest.raises(TypeError):
        object.__new__(IndirectMemory2D)


# ---- requests ----


def test_a_request_that_follows_no_pointers_is_refused():
    view = py_buffer.dirty()
    for flags in (py_buffer.SIMPLE, py_buffer.FULL & ~0x100, py_buffer.STRIDED):
        with pytest.raises(BufferError, match="need PyBUF_INDIRECT-able buffer-consumer"):
            py_buffer.get(make(), flags, view)
        assert view.obj is None


def test_a_writable_request_on_read_only_memory_is_refused_first():
    view = py_buffer.dirty()
    mem = make(readonly=True)
    for flags in (py_buffer.FULL, py_buffer.WRITABLE):
        with pytest.raises(BufferError, match=says("buffer is not writable")):
            py_buffer.get(mem, flags, view)
        assert view.obj is None
    assert mem.exports == 0


def test_each_request_is_answered_or_refused_as_it_says():
    mem, frozen = make(), make(readonly=True)
    for flags in py_buffer.ALL_REQUESTS:
        follows = flags & py_buffer.INDIRECT == py_buffer.INDIRECT
        plain = not flags & (0x020 | 0x040 | 0x080)
        for m in (mem, frozen):
            answer = py_buffer.ask(m, flags)
            writes = bool(flags & py_buffer.WRITABLE)
            assert (answer is not None) == (follows and plain and not (writes and m.readonly))
            if answer is not None:
                assert answer.format == ("i" if flags & py_buffer.FORMAT else None)
                assert answer.suboffsets == (0, -1)
                assert answer.readonly == m.readonly


def test_memoryview_does_not_write_to_read_only_memory():
    view = memoryview(make(readonly=True))
    with pytest.raises(TypeError, match=says("cannot modify read-only memory")):
        view[0, 0] = 1


def test_a_view_names_the_memory_and_counts_until_its_end():
    mem = make()
    view = memoryview(mem)
    assert view.obj is mem
    assert (mem.exports, sys.getrefcount(mem)) == (1, 3)
    view.release()
    assert (mem.exports, sys.getrefcount(mem)) == (0, 2)


def test_a_view_keeps_memory_whose_name_is_gone():
    view = memoryview(make())
    gc.collect()
    view[1, 1] = 9
    assert view.tolist() == [[0, 0, 0], [0, 9, 0]]


def test_cython_like_consumers_get_strides_they_can_walk():
    with py_buffer.held(make(2, 3, "d"), py_buffer.FULL) as view:
        table = ctypes.cast(view.buf, ctypes.POINTER(ctypes.POINTER(ctypes.c_double)))
        table[1][2] = 2.5
        assert py_buffer.read(view).len == 48


# ---- reinterpret_data ----


def test_the_same_format_is_no_change_even_while_a_view_lives():
    mem = make()
    view = memoryview(mem)
    mem.reinterpret_data("i")
    mem.reinterpret_data(new_format=b"i")
    assert view.format == "i"


def test_another_format_is_refused_while_a_view_lives():
    mem = make()
    view = memoryview(mem)
    with pytest.raises(BufferError, match=says("buffer is locked")):
        mem.reinterpret_data("f")
    assert (mem.get_format(), mem.shape, view.format) == (b"i", (2, 3), "i")
    view.release()
    mem.reinterpret_data("f")


@pytest.mark.parametrize("door", ["numpy", "row"])
def test_arrays_and_rows_lock_it_too(door: str):
    mem = make()
    held = mem.numpy() if door == "numpy" else mem.row(0)
    with pytest.raises(BufferError, match=says("buffer is locked")):
        mem.reinterpret_data("b")
    del held
    mem.reinterpret_data("b")


@pytest.mark.parametrize(("format", "cols"), [("b", 24), ("h", 12), ("d", 3), ("f", 6)])
def test_columns_follow_from_the_bytes_of_a_row(format: str, cols: int):  # noqa: A002
    mem = make(2, 6)
    memoryview(mem)[1, 0] = 1
    mem.reinterpret_data(format)
    view = memoryview(mem)
    assert mem.shape == view.shape == (2, cols)
    assert (view.format, view.strides[1]) == (format, view.itemsize)
    assert (len(view), view.nbytes, mem.numpy().shape) == (2, 48, (2, cols))
    del view
    mem.reinterpret_data("i")
    assert memoryview(mem)[1, 0] == 1


def test_a_row_that_is_no_whole_number_of_items_is_refused():
    mem = make(2, 3)
    with pytest.raises(BufferError, match="12 bytes, which is no whole number of items of 8"):
        mem.reinterpret_data("d")
    assert (mem.shape, mem.get_format()) == ((2, 3), b"i")


def test_a_new_format_that_cannot_be_is_refused():
    mem = make()
    for bad in ("nonsense", "(3)i", 5, None):
        with pytest.raises((ValueError, TypeError), match=r"."):
            mem.reinterpret_data(bad)
    assert mem.get_format() == b"i"
