"""IndirectMemory2D over the lines of arrays, ctypes arrays and pointers of others."""

from __future__ import annotations

import array
import ctypes
import gc
import sys
from typing import Any

import numpy as np
import py_buffer
import pytest
from indirect_memories import A, at_null, make, says
from pybuf.indirect import IndirectMemory2D

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
def test_a_source_at_null_is_refused(view: Any):
    with pytest.raises(ValueError, match=r"3 bytes .* lie at NULL"):
        view(at_null())


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


def test_a_length_that_is_not_that_of_the_shape_is_refused():
    memory = ctypes.create_string_buffer(b"short", 5)
    short = py_buffer.PyBuffer(
        buf=ctypes.addressof(memory),
        len=5,
        itemsize=1,
        readonly=1,
        ndim=2,
        format=b"B",
        shape=(ctypes.c_ssize_t * 2)(2, 3),
        strides=(ctypes.c_ssize_t * 2)(3, 1),
    )
    view = py_buffer.memoryview_of(short)
    with pytest.raises(ValueError, match="a shape of 6 bytes and a length of 5 bytes"):
        IndirectMemory2D.view_from_rows(view, readonly=True)


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


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_pointers_that_do_not_lie_one_behind_the_other_are_refused():
    table = pointer_array()

    class Other(type(table)):  # type: ignore[misc]
        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(table)[::-1]

    with pytest.raises(TypeError, match="with one axis and without gaps"):
        IndirectMemory2D.from_ctype_ptr(Other(), 2, 1)
