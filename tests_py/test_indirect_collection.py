"""BufferCollection2D: many exporters as the rows of one memory, as indirect_buffer has it."""

from __future__ import annotations

import array
import ctypes
import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from indirect_memories import at_null, says
from pybuf.indirect import BufferCollection2D, IndirectMemory2D

import pybuf


def test_it_is_an_indirect_memory():
    mem = BufferCollection2D([b"ab", b"cd"])
    assert isinstance(mem, IndirectMemory2D)
    assert (mem.shape, mem.get_format(), mem.readonly) == ((2, 2), b"B", True)
    assert memoryview(mem)[1, 1] == ord("d")


@pytest.mark.parametrize("of", [list, tuple, iter, dict.fromkeys], ids=lambda f: f.__name__)
def test_rows_come_from_any_iterable(of: Callable[[Any], Any]):
    assert memoryview(BufferCollection2D(of([b"ab", b"cd"]))).tolist() == [[97, 98], [99, 100]]


def test_rows_are_viewed_where_they_lie():
    rows = [array.array("i", [1, 2]), array.array("i", [3, 4])]
    mem = BufferCollection2D(rows)
    memoryview(mem)[1, 0] = 42
    assert rows[1][0] == 42
    rows[0][1] = 7
    assert memoryview(mem).tolist() == [[1, 7], [42, 4]]


def test_rows_of_several_axes_are_unravelled_in_the_order_of_memory():
    a = np.arange(6, dtype="i").reshape(2, 3)
    mem = BufferCollection2D([a, np.asfortranarray(a)])
    assert memoryview(mem).tolist() == [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5]]


def test_rows_are_held_and_referred_to_once():
    row, other = array.array("i", [1, 2]), array.array("i", [3, 4])
    before = sys.getrefcount(row)
    mem = BufferCollection2D([row, other])
    assert sys.getrefcount(row) == before + 1
    with pytest.raises(BufferError, match="cannot resize an array that is exporting buffers"):
        row.pop()
    with pytest.raises(BufferError):
        other.append(1)
    del mem
    assert sys.getrefcount(row) == before
    row.pop()


def test_a_view_holds_the_rows_when_the_collection_is_gone():
    row = bytearray(b"ab")
    view = memoryview(BufferCollection2D([row]))
    gc.collect()
    with pytest.raises(BufferError):
        row.clear()
    assert view[0, 1] == ord("b")
    del view
    row.clear()


def test_one_row_that_is_read_only_makes_all_read_only():
    assert not BufferCollection2D([bytearray(2), bytearray(2)]).readonly
    mem = BufferCollection2D([bytearray(2), b"ab"])
    assert mem.readonly
    assert memoryview(mem).readonly
    with pytest.raises(BufferError, match=says("copying to readonly buffer")):
        mem.copy_from(np.zeros((2, 2), "B"))


def test_a_row_may_come_twice():
    row = bytearray(b"ab")
    mem = BufferCollection2D([row, row])
    memoryview(mem)[0, 0] = ord("z")
    assert memoryview(mem).tolist() == [[122, 98], [122, 98]]


# ---- refusals, in the order of the checks ----


def test_unequal_lengths_are_refused():
    with pytest.raises(
        BufferError, match=says("1. object, expected column count: 2, found column count: 3")
    ):
        BufferCollection2D([b"ab", b"abc"])
    with pytest.raises(
        BufferError, match=says("0. object, expected column count: 5, found column count: 2")
    ):
        BufferCollection2D([b"ab"], 5)


def test_unequal_formats_are_refused():
    with pytest.raises(
        BufferError, match=says("1. object, expected format: [b'B'], found format: [b'i']")
    ):
        BufferCollection2D([b"ab", array.array("i", [1])])  # the count would come later
    for format in ("i", b"i"):  # noqa: A001
        with pytest.raises(
            BufferError, match=says("0. object, expected format: [b'i'], found format: [b'B']")
        ):
            BufferCollection2D([b"ab"], -1, format)


def test_records_of_one_text_and_other_items_are_refused():
    class Two(ctypes.Structure):
        _pack_ = 1
        _layout_ = "ms"
        _fields_ = (("a", ctypes.c_int8), ("b", ctypes.c_int16))

    class Three(ctypes.Structure):
        _pack_ = 1
        _layout_ = "ms"
        _fields_ = (("a", ctypes.c_int16), ("b", ctypes.c_int8))

    one, other = (Two * 2)(), (Three * 2)()
    if memoryview(one).format != memoryview(other).format:
        pytest.skip("ctypes tells packed structures apart by their formats")
    with pytest.raises(BufferError, match=r"^1\. object, expected items: 'T\{.* found items"):
        BufferCollection2D([one, other])


def test_records_are_rows():
    class Pair(ctypes.Structure):
        _fields_ = (("a", ctypes.c_int8), ("b", ctypes.c_int16))

    assert BufferCollection2D([(Pair * 2)(), (Pair * 2)()]).shape == (2, 2)


def test_without_unravel_rows_have_one_dimension():
    message = says(
        "0. object has dimensionality: 2, but only one-dimensional objects are accepted"
    )
    with pytest.raises(BufferError, match=message):
        BufferCollection2D([np.zeros((2, 3))], 1, "i", False)  # format and count come later
    assert BufferCollection2D([np.zeros(3)], unravel=False).shape == (1, 3)


def test_rows_with_gaps_are_refused_by_their_exporter():
    with pytest.raises(ValueError, match="ndarray is not contiguous"):
        BufferCollection2D([np.zeros(4)[::2]])
    with pytest.raises(BufferError, match="underlying buffer is not contiguous"):
        BufferCollection2D([memoryview(b"abcd")[::2]])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_what_an_exporter_raises_passes_through_unchanged():
    class Broken:
        def __buffer__(self, flags: int) -> memoryview:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match=says("mine")):
        BufferCollection2D([b"ab", Broken()])


@pytest.mark.parametrize("row", ["ab", 3, None, [1, 2]])
def test_what_exports_nothing_is_refused_by_its_number(row: Any):
    with pytest.raises(TypeError, match=r"^1\. object is .* has no buffer protocol"):
        BufferCollection2D([b"ab", row])


def test_a_row_at_null_is_refused_by_its_number():
    with pytest.raises(ValueError, match=r"^1\. object has 3 bytes .* lie at NULL"):
        BufferCollection2D([b"abc", at_null()])


def test_what_is_no_iterable_is_refused():
    with pytest.raises(TypeError, match="not iterable"):
        BufferCollection2D(3)


def test_a_column_count_below_minus_one_is_refused():
    with pytest.raises(ValueError, match="column_count is -2"):
        BufferCollection2D([b"ab"], -2)


# ---- an empty collection ----


def test_an_empty_collection_needs_a_format():
    with pytest.raises(ValueError, match="the collection is empty, so nothing says its format"):
        BufferCollection2D([])


def test_an_empty_collection_with_a_format_has_no_rows():
    mem = BufferCollection2D([], 3, "i")
    assert (mem.shape, mem.get_format(), memoryview(mem).tolist()) == ((0, 3), b"i", [])
    assert BufferCollection2D([], format="<d").shape == (0, 0)
    with pytest.raises(ValueError, match="nonsense"):
        BufferCollection2D([], 3, "nonsense")


def test_rows_without_items_are_rows():
    assert BufferCollection2D([b"", b""]).shape == (2, 0)
    assert BufferCollection2D([(ctypes.c_int * 0)()]).shape == (1, 0)


# ---- make_read_only ----


def test_make_read_only_is_refused_while_a_view_lives():
    mem = BufferCollection2D([bytearray(2)])
    view = memoryview(mem)
    with pytest.raises(BufferError, match=says("buffer is locked")):
        mem.make_read_only()
    view[0, 0] = 1
    view.release()
    mem.make_read_only()
    assert memoryview(mem).readonly


def test_make_read_only_is_no_change_for_what_is_read_only():
    mem = BufferCollection2D([b"ab"])
    view = memoryview(mem)
    mem.make_read_only()
    assert view.readonly


# ---- formats ----


def test_the_format_is_as_the_rows_spell_it():
    for code in "bBhHiIlLqQfd":
        assert BufferCollection2D([array.array(code, [1])]).get_format() == code.encode()
    rows = [(ctypes.c_int * 2)(1, 2), (ctypes.c_int * 2)(3, 4)]
    mem = BufferCollection2D(rows)
    assert (mem.get_format(), mem.numpy().tolist()) == (b"<i", [[1, 2], [3, 4]])
    mem.reinterpret_data("i")
    assert memoryview(mem)[1, 0] == 3


def test_records_of_numpy_are_rows():
    dtype = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    mem = BufferCollection2D([np.zeros(2, dtype), np.ones(2, dtype)])
    assert mem.numpy()["b"].tolist() == [[0, 0], [1, 1]]


# ---- rows that would go, or change, meanwhile ----


def test_a_row_that_only_a_generator_knows_lives():
    def rows() -> Iterator[Any]:
        for i in range(100):
            yield np.full(50, i)

    mem = BufferCollection2D(rows())
    gc.collect()
    assert [memoryview(mem)[i, 49] for i in range(100)] == list(range(100))


def test_a_collection_that_fails_holds_nothing():
    row = bytearray(b"ab")

    def rows() -> Iterator[Any]:
        yield row
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        BufferCollection2D(rows())
    with pytest.raises(BufferError):
        BufferCollection2D([row, b"abc"])
    row.clear()


def test_closed_and_released_rows_are_refused():
    released = memoryview(b"ab")
    released.release()
    with pytest.raises(ValueError, match="released"):
        BufferCollection2D([released])
    closed = pybuf.zeros(2)
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        BufferCollection2D([closed])


def test_a_row_that_is_closed_afterwards_stays():
    row = pybuf.copy(b"ab")
    mem = BufferCollection2D([row])
    assert row.close() is False
    del row
    assert memoryview(mem).tolist() == [[97, 98]]


def test_a_list_that_changes_while_it_is_walked_is_no_danger():
    rows: list[Any] = []

    class Grows:
        def __iter__(self) -> Iterator[Any]:
            for i in range(20):
                rows.append(np.full(3, i))
                yield rows[-1]
                if i % 5 == 4:
                    rows.clear()

    mem = BufferCollection2D(Grows())
    assert mem.numpy().tolist() == [[i] * 3 for i in range(20)]


# ---- classes ----


class Mine(BufferCollection2D):
    pass


def test_classes_may_be_derived():
    mem = Mine([b"ab"])
    assert type(mem) is Mine
    assert weakref.ref(mem)() is mem
    mem.myself = mem  # a cycle
    ref = weakref.ref(mem)
    del mem
    gc.collect()
    assert ref() is None
    assert type(Mine.create_memory(1, 1, "i")) is Mine


def test_it_says_what_it_is():
    mem = BufferCollection2D([bytearray(2), bytearray(2)])
    assert repr(mem) == "<pybuf.indirect.BufferCollection2D shape=(2, 2) format='B' exports=0>"
