"""IndirectMemory2D: names, meanings, texts and order of checks of indirect_buffer."""

from __future__ import annotations

import array
import ctypes
import gc
import re
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import py_buffer
import pytest
from pybuf.indirect import IndirectMemory2D, zeros

import pybuf

POINTER = ctypes.sizeof(ctypes.c_void_p)


def says(text: str) -> str:
    """A pattern for the whole of an exception's text."""
    return f"^{re.escape(text)}$"


def make(rows: int = 2, cols: int = 3, format: str = "i", **kwargs: Any) -> IndirectMemory2D:  # noqa: A002
    return IndirectMemory2D.create_memory(rows, cols, format, **kwargs)


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
    mem.reinterpret_data(b"i")
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


# ---- copies ----

A = np.arange(6, dtype="i").reshape(2, 3)
LAYOUTS = {
    "C": A.copy(),
    "Fortran": np.asfortranarray(A),
    "turned": A[::-1, ::-1].copy()[::-1, ::-1],
    "gaps": np.repeat(np.repeat(A, 2, 0), 2, 1)[::2, ::2],
    "transposed": A.T.copy().T,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_items_go_from_and_to_any_layout(layout: str):
    source = LAYOUTS[layout]
    mem = make()
    mem.copy_from(source)
    assert memoryview(mem).tolist() == A.tolist()
    target = np.zeros_like(source)
    mem.copy_to(target)
    assert (target == A).all()


def test_items_go_between_two_of_a_kind():
    one, two = make(), make()
    one.copy_from(A)
    one.copy_to(two)
    assert memoryview(two).tolist() == A.tolist()
    three = make()
    three.copy_from(two)
    assert memoryview(three).tolist() == A.tolist()


def test_copies_of_overlapping_memory_are_those_of_what_was_there():
    block = np.arange(24, dtype="i").reshape(6, 4)
    expected = block.copy()
    expected[1:] = block[:-1]
    IndirectMemory2D.view_from_rows(block[1:]).copy_from(
        IndirectMemory2D.view_from_rows(block[:-1], readonly=True)
    )
    assert (block == expected).all()


def test_a_copy_leaves_no_view_behind():
    mem, other = make(), pybuf.zeros((2, 3), "i")
    mem.copy_from(other)
    mem.copy_to(other)
    assert (mem.exports, other.exports) == (0, 0)
    other.resize((3, 2))  # which it refuses once it was lent


@pytest.mark.parametrize("other", [A, np.zeros(3, "i")], ids=["fits", "does not"])
def test_read_only_memory_takes_no_copy_whatever_is_given(other: Any):
    with pytest.raises(BufferError, match=says("copying to readonly buffer")):
        make(readonly=True).copy_from(other)


@pytest.mark.parametrize(
    "target",
    [
        lambda: make(readonly=True),
        lambda: make(5, 5, readonly=True),
        lambda: b"123",
        lambda: pybuf.zeros((2, 3)).toreadonly(),
    ],
    ids=["memory", "of another shape", "bytes", "a Buffer"],
)
def test_nothing_is_copied_to_what_is_read_only(target: Any):
    with pytest.raises(BufferError, match=says("copying to readonly buffer")):
        make().copy_to(target())


WRONG = {
    "wrong number of dimensions: expected 2, received 1": np.zeros(3, "i"),
    "wrong number of dimensions: expected 2, received 3": np.zeros((2, 3, 1), "i"),
    "wrong number of dimensions: expected 2, received 0": np.zeros((), "i"),
}


@pytest.mark.parametrize("text", WRONG)
def test_partners_have_two_dimensions(text: str):
    for copy in (make().copy_from, make().copy_to):
        with pytest.raises(BufferError, match=says(text)):
            copy(WRONG[text])


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (3, 2)])
def test_partners_have_one_shape(shape: Any):
    for copy in (make().copy_from, make().copy_to):
        with pytest.raises(BufferError, match=says("different shapes")):
            copy(np.zeros(shape, "d"))  # the format would come later


def test_partners_have_one_format_as_it_is_spelled():
    for copy in (make().copy_from, make().copy_to):
        for dtype in ("f", "d", ">i"):
            with pytest.raises(BufferError, match=says("different formats")):
                copy(np.zeros((2, 3), dtype))
    with pytest.raises(BufferError, match=says("different formats")):
        make(2, 3, "<i").copy_from(A)


def test_with_cast_partners_have_one_itemsize():
    for cast in (True, 1):
        with pytest.raises(BufferError, match=says("different itemsizes")):
            make().copy_from(np.zeros((2, 3), "d"), cast=cast)
        with pytest.raises(BufferError, match=says("different itemsizes")):
            make().copy_to(np.zeros((2, 3), "d"), cast)
    mem = make()
    mem.copy_from(np.ones((2, 3), "f"), cast=True)
    assert memoryview(mem)[0, 0] == 0x3F800000
    back = np.zeros((2, 3), "f")
    mem.copy_to(back, cast=True)
    assert (back == 1).all()


def test_what_exports_nothing_is_refused_in_words():
    with pytest.raises(TypeError, match=r"copy_from\(\): \[1, 2\] has no buffer protocol"):
        make().copy_from([1, 2])
    with pytest.raises(TypeError, match=r"copy_to\(\): None has no buffer protocol"):
        make().copy_to(None)


# ---- the lines of an array ----

BOTH = (IndirectMemory2D.view_from_rows, IndirectMemory2D.view_from_columns)


@pytest.mark.parametrize(
    "source", [np.zeros((7, 4)), np.zeros((14, 4))[::2], np.zeros((7, 4))[::-1]]
)
def test_rows_are_viewed_where_they_lie(source: Any):
    mem = IndirectMemory2D.view_from_rows(source, readonly=False)
    assert mem.shape == source.shape
    memoryview(mem)[2, 1] = 6.0
    assert source[2, 1] == 6.0


def test_columns_are_viewed_as_rows():
    source = np.zeros((7, 4), order="F")
    mem = IndirectMemory2D.view_from_columns(source, readonly=False)
    assert mem.shape == (4, 7)
    memoryview(mem)[1, 0] = 6.0
    assert source[0, 1] == 6.0
    assert IndirectMemory2D.view_from_columns(source[:, ::2]).shape == (2, 7)


@pytest.mark.parametrize("view", BOTH)
def test_one_dimension_is_one_line(view: Any):
    data = array.array("i", [1, 2, 3])
    assert memoryview(view(data)).tolist() == [[1, 2, 3]]
    assert memoryview(view(np.array(5, "i"))).tolist() == [[5]]


def test_lines_with_gaps_are_refused():
    for bad in (np.zeros((4, 8))[:, ::2], np.zeros((4, 8), order="F"), np.zeros(8)[::2]):
        with pytest.raises(BufferError, match=says("rows of the buffer-object aren't contiguous")):
            IndirectMemory2D.view_from_rows(bad)
    for bad in (np.zeros((8, 4), order="F")[::2], np.zeros((4, 8)), np.zeros(8)[::-1]):
        with pytest.raises(
            BufferError, match=says("columns of the buffer-object aren't contiguous")
        ):
            IndirectMemory2D.view_from_columns(bad)


def test_a_line_of_one_item_has_no_gaps():
    assert IndirectMemory2D.view_from_rows(np.zeros((7, 2))[:, ::2]).shape == (7, 1)


@pytest.mark.parametrize("view", BOTH)
def test_three_dimensions_are_too_many(view: Any):
    with pytest.raises(BufferError, match=says("expected at most 2 but found 3 dimensions")):
        view(np.zeros((2, 3, 4)))


@pytest.mark.parametrize("view", BOTH)
def test_the_sources_own_refusal_passes_through(view: Any):
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match=says("buffer source array is read-only")):
        view(frozen)
    with pytest.raises(ValueError, match=says("buffer source array is read-only")):
        view(frozen, readonly=False)
    assert view(frozen, True).readonly


def test_read_only_is_as_asked_even_if_the_source_may_be_written_to():
    assert not IndirectMemory2D.view_from_rows(np.zeros((2, 2))).readonly
    mem = IndirectMemory2D.view_from_rows(np.zeros((2, 2)), readonly=True)
    assert mem.readonly
    assert memoryview(mem).readonly


@pytest.mark.parametrize("view", BOTH)
def test_a_source_is_referred_to_once_and_cannot_move(view: Any):
    source = np.zeros(4)
    before = sys.getrefcount(source)
    mem = view(source)
    assert sys.getrefcount(source) == before + 1
    with pytest.raises(ValueError, match="cannot resize"):
        source.resize(8)
    del mem
    assert sys.getrefcount(source) == before
    source.resize(8, refcheck=False)


def test_rows_of_indirect_memory_are_viewed_too():
    inner = make()
    inner.copy_from(A)
    mem = IndirectMemory2D.view_from_rows(inner)
    assert memoryview(mem).tolist() == A.tolist()
    memoryview(mem)[0, 0] = 8
    assert memoryview(inner)[0, 0] == 8
    with pytest.raises(BufferError, match="columns of the buffer-object aren't contiguous"):
        IndirectMemory2D.view_from_columns(inner)


def test_lines_without_items_are_lines():
    for shape in ((0, 3), (3, 0)):
        assert IndirectMemory2D.view_from_rows(np.zeros(shape)).shape == shape


def test_more_lines_than_memory_has_pointers_are_refused():
    endless = np.broadcast_to(np.zeros(1, "B"), (1 << 61, 1))
    with pytest.raises((OverflowError, MemoryError), match=r"."):
        IndirectMemory2D.view_from_rows(endless, readonly=True)


# ---- ctypes ----

Row = ctypes.c_int * 1


def pointer_array() -> Any:
    return (ctypes.POINTER(ctypes.c_int) * 2)(Row(0), Row(42))


def test_a_ctypes_array_of_pointers_is_memory():
    mem = IndirectMemory2D.from_ctype_ptr(pointer_array(), 2, 1)
    assert (mem.get_format(), mem.shape, mem.readonly) == (b"<i", (2, 1), False)
    view = memoryview(mem)
    with pytest.raises(NotImplementedError, match="unsupported format <i"):
        view[1, 0]
    assert mem.numpy()[1, 0] == 42
    del view
    gc.collect()
    mem.reinterpret_data("i")
    assert memoryview(mem)[1, 0] == 42


def test_fewer_rows_than_there_are_may_be_asked_for():
    assert IndirectMemory2D.from_ctype_ptr(pointer_array(), 1, 1, True).readonly


def test_a_ctypes_array_is_referred_to_once_more():
    data = pointer_array()
    before = sys.getrefcount(data)
    mem = IndirectMemory2D.from_ctype_ptr(data, rows=2, cols=1)
    assert sys.getrefcount(data) == before + 1
    del mem
    assert sys.getrefcount(data) == before


def test_what_is_no_array_of_pointers_to_items_is_of_a_wrong_format():
    row = ctypes.pointer(ctypes.c_int(3))
    for bad in ((ctypes.c_double * 2)(), (ctypes.POINTER(type(row)) * 1)(ctypes.pointer(row))):
        with pytest.raises(BufferError, match="wrong format: b'"):
            IndirectMemory2D.from_ctype_ptr(bad, 5, 1)  # the count would come later
    with pytest.raises(BufferError, match="wrong format: b'd'"):
        IndirectMemory2D.from_ctype_ptr(np.zeros(3), 1, 1)


def test_more_rows_than_there_are_are_refused():
    with pytest.raises(BufferError, match=says("less rows than expected: 2 vs. 3")):
        IndirectMemory2D.from_ctype_ptr(pointer_array(), 3, 1)


def test_a_row_that_is_null_is_refused():
    with pytest.raises(ValueError, match="row 1 is NULL"):
        IndirectMemory2D.from_ctype_ptr((ctypes.POINTER(ctypes.c_int) * 2)(Row(1), None), 2, 1)
    null = (ctypes.POINTER(ctypes.c_int) * 2)()
    assert IndirectMemory2D.from_ctype_ptr(null, 2, 0).shape == (2, 0)


def test_negative_counts_of_a_ctypes_array_are_refused():
    for counts in ((-1, 1), (1, -1)):
        with pytest.raises(ValueError, match="extents count items"):
            IndirectMemory2D.from_ctype_ptr(pointer_array(), *counts)


def test_records_of_ctypes_are_items():
    class Pair(ctypes.Structure):
        _fields_ = (("a", ctypes.c_int8), ("b", ctypes.c_double))

    data = (ctypes.POINTER(Pair) * 1)((Pair * 2)(Pair(1, 2.5), Pair(3, 4.5)))
    mem = IndirectMemory2D.from_ctype_ptr(data, 1, 2)
    assert mem.numpy()["b"].tolist() == [[2.5, 4.5]]
    assert memoryview(mem).itemsize == ctypes.sizeof(Pair)


# ---- pointers of others ----


def test_a_pointer_is_wrapped_and_nothing_freed():
    row = (ctypes.c_int * 3)(1, 2, 3)
    table = (ctypes.c_void_p * 1)(ctypes.addressof(row))
    for ptr in (ctypes.addressof(table), ctypes.cast(table, ctypes.c_void_p), table):
        mem = IndirectMemory2D.from_ptr(ptr, 1, 3, b"i", 0)
        assert memoryview(mem).tolist() == [[1, 2, 3]]
        assert mem.address == ctypes.addressof(table)
        memoryview(mem)[0, 0] = 1


def test_a_null_pointer_is_memory_without_rows():
    assert IndirectMemory2D.from_ptr(0, 0, 3, "i").shape == (0, 3)
    with pytest.raises(ValueError, match="NULL"):
        IndirectMemory2D.from_ptr(0, 1, 3, "i")


class Nanny:
    def __init__(self, log: list[str]) -> None:
        self.log = log

    def __del__(self) -> None:
        self.log.append("gone")


def test_a_nanny_goes_with_the_last_view_and_not_before():
    row = (ctypes.c_int * 2)(1, 2)
    table = (ctypes.c_void_p * 1)(ctypes.addressof(row))
    log: list[str] = []
    mem = IndirectMemory2D.from_ptr_with_memory_nanny(table, 1, 2, "i", True, Nanny(log))
    assert mem.readonly
    view = memoryview(mem)
    del mem
    gc.collect()
    assert (log, view[0, 1]) == ([], 2)
    view.release()
    assert log == ["gone"]


def test_a_nanny_that_is_refused_goes_at_once():
    log: list[str] = []
    with pytest.raises(ValueError, match="NULL"):
        IndirectMemory2D.from_ptr_with_memory_nanny(0, 1, 2, "i", False, Nanny(log))
    gc.collect()
    assert log == ["gone"]


# ---- beyond the original ----


def test_numpy_is_a_view_of_new_memory():
    mem = make()
    a = mem.numpy()
    a[1, 2] = 5
    assert memoryview(mem)[1, 2] == 5
    assert mem.exports == 1
    del mem
    assert a.tolist() == [[0, 0, 0], [0, 0, 5]]


def test_numpy_copies_rows_that_lie_anywhere():
    mem = IndirectMemory2D.from_ctype_ptr(
        (ctypes.POINTER(ctypes.c_int) * 3)(*(Row(i) for i in (1, 2, 3))), 3, 1
    )
    assert mem.numpy(copy=True).tolist() == [[1], [2], [3]]
    rows = zeros((3, 2), "i")
    table = (ctypes.c_void_p * 3).from_address(rows.address)
    table[1], table[2] = table[2], table[1]
    mem = IndirectMemory2D.from_ptr_with_memory_nanny(rows.address, 3, 2, "i", False, rows)
    with pytest.raises(BufferError):
        mem.numpy(copy=False)
    assert not np.shares_memory(mem.numpy(), rows.row(0).numpy())


def test_a_row_is_a_buffer():
    mem = make()
    row = mem.row(-1)
    row[2] = 4
    assert (row.shape, row.suboffsets, mem.exports) == ((3,), (), 1)
    assert memoryview(mem)[1, 2] == 4
    with pytest.raises(IndexError):
        mem.row(2)
    del mem
    assert row.tolist() == [0, 0, 4]


def test_close_refuses_new_views_and_keeps_those_that_live():
    mem = make()
    view = memoryview(mem)
    with pytest.raises(BufferError, match="1 view"):
        mem.close(strict=True)
    with mem as same:
        assert same is mem
    assert mem.closed
    view[0, 0] = 3
    for use in (memoryview, IndirectMemory2D.numpy, lambda m: m.row(0), lambda m: m.copy_from(A)):
        with pytest.raises(ValueError, match="closed"):
            use(mem)
    with pytest.raises(ValueError, match="closed"):
        mem.address  # noqa: B018
    with pytest.raises(ValueError, match="closed"):
        mem.reinterpret_data("b")
    assert (view[0, 0], mem.shape, mem.get_format()) == (3, (2, 3), b"i")


def test_close_frees_at_once_what_was_never_lent():
    assert make().close() is True
    mem = make()
    memoryview(mem).release()
    assert mem.close() is False


def test_it_says_what_it_is():
    mem = make(readonly=True)
    assert repr(mem) == (
        "<pybuf.indirect.IndirectMemory2D shape=(2, 3) format='i' exports=0 readonly>"
    )
    assert sys.getsizeof(mem) > 2 * POINTER + 24


def test_it_takes_weak_references():
    mem = make()
    ref = weakref.ref(mem)
    assert ref() is mem
    del mem
    assert ref() is None


class Mine(IndirectMemory2D):
    """Has attributes of its own, and an end."""

    ended: ClassVar[list[int]] = []

    def __del__(self) -> None:
        Mine.ended.append(1)


def test_classes_may_be_derived_whose_methods_make_their_own():
    mem = Mine.create_memory(2, 3, "i")
    assert type(mem) is Mine
    mem.name = "mine"
    assert type(Mine.view_from_rows(A.copy())) is Mine
    assert repr(mem).startswith("<pybuf.indirect.Mine ")
    Mine.ended.clear()
    view = memoryview(mem)
    del mem
    assert not Mine.ended
    view.release()
    assert Mine.ended == [1]


def test_cycles_through_it_are_collected():
    class Owner:
        pass

    row = (ctypes.c_int * 2)()
    table = (ctypes.c_void_p * 1)(ctypes.addressof(row))
    owner = Owner()
    owner.mem = IndirectMemory2D.from_ptr_with_memory_nanny(table, 1, 2, "i", False, owner)
    ref = weakref.ref(owner)
    del owner
    gc.collect()
    assert ref() is None
    mem = Mine.create_memory(2, 2, "i")
    mem.view, mem.myself = memoryview(mem), mem
    ref = weakref.ref(mem)
    del mem
    gc.collect()
    assert ref() is None


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """double trace(double **rows, long n): sums the diagonal and writes 1 into it."""
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler")
    folder: Path = tmp_path_factory.mktemp("trace")
    (folder / "trace.c").write_text(
        "double trace(double **rows, long n) { double sum = 0;\n"
        "for (long i = 0; i < n; i++) { sum += rows[i][i]; rows[i][i] = 1; }\n"
        "return sum; }\n"
    )
    library = folder / "trace.so"
    subprocess.run(
        [cc, "-shared", "-fPIC", "-o", str(library), str(folder / "trace.c")], check=True
    )
    function = ctypes.CDLL(str(library)).trace
    function.argtypes = [ctypes.c_void_p, ctypes.c_long]
    function.restype = ctypes.c_double
    return function


def test_a_function_of_c_takes_the_address_as_pointers_to_rows(trace: Any):
    source = np.arange(9.0).reshape(3, 3)
    for mem in (make(3, 3, "d"), IndirectMemory2D.view_from_rows(source.copy())):
        mem.copy_from(source)
        assert trace(mem.address, 3) == 12
        assert mem.numpy().diagonal().tolist() == [1, 1, 1]


def test_memory_is_seen_by_threads_at_once(parallel: Any):
    mem = make(64, 64, "q")
    mem.copy_from(np.arange(64 * 64, dtype="l").reshape(64, 64).view("q"), cast=True)

    def work(i: int) -> None:
        for _ in range(50):
            with memoryview(mem) as view:
                assert view[i, 1] == i * 64 + 1
            assert mem.row(i)[2] == i * 64 + 2
            target = make(64, 64, "q")
            mem.copy_to(target)

    parallel(work)
    assert mem.exports == 0


def test_a_trace_names_its_views(tmp_path: Path):
    mem = make()
    with pybuf.trace(str(tmp_path / "lines")):
        view = memoryview(mem)
        view.release()
        del mem, view
    text = (tmp_path / "lines").read_text()
    assert "release" in text
    assert "free" in text
