"""Source "go": memory of Go's heap is memory as any other, at every door."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import oracle
import pyarrow as pa
import pytest
import strategies as s
from hypothesis import given
from hypothesis import strategies as st

import pybuf
from pybuf import _core

Make = Callable[..., pybuf.Buffer]

zeros: Make = partial(pybuf.zeros, source="go")
empty: Make = partial(pybuf.empty, source="go")
copy: Make = partial(pybuf.copy, source="go")


def counting(n: int = 24) -> pybuf.Buffer:
    return copy(bytes(range(n)))


# ---- making ----------------------------------------------------------------------------


def test_the_source_is_said():
    b = zeros((2, 3), "d")
    assert (b.source, b.owner, b.readonly, b.closed) == ("go", None, False, False)
    assert repr(b) == "<pybuf.Buffer shape=(2, 3) format='d' source='go' exports=0>"
    assert empty(3).source == copy(b"abc").source == copy(b).source == "go"


@given(shape=s.shapes, order=st.sampled_from("CF"))
@pytest.mark.parametrize("fmt", s.FORMATS)
def test_every_element_type_and_order_can_be_had(fmt, shape, order):
    layout = oracle.judge(s.ITEMSIZE[fmt], shape, order=order)
    for make in (zeros, empty):
        b = make(shape, fmt, order=order)
        assert (b.shape, b.format, b.nbytes) == (shape, fmt, layout.nbytes)
        assert b.strides == layout.strides
    assert zeros(shape, fmt, order=order).tobytes() == bytes(layout.nbytes)


@given(block=s.blocks(), order=st.sampled_from("CF"))
def test_copy_takes_any_layout(block, order):
    b = copy(block.buffer, order=order)
    assert b.tobytes() == block.tobytes()
    assert b.format == block.buffer.format
    assert b.strides == oracle.packed_strides(b.shape, b.itemsize, order)


def test_copy_takes_indirect_memory_and_a_copy_goes_back_to_c():
    b = copy(s.indirect([[1, 2], [3, 4]]))
    assert b.tolist() == [[1, 2], [3, 4]]
    assert pybuf.copy(b).source == "c"
    assert pybuf.copy(b).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("align", [1 << k for k in range(17)])
def test_the_first_item_lies_at_a_multiple_of_align(align):
    held = []
    for n in (0, 1, 7, 8, 100, 4096, 8192, 8193, 100_001):
        held += [zeros(n, align=align), empty(n, align=align), copy(bytes(n), align=align)]
    assert {b.address % align for b in held} == {0}
    assert not any(b.numpy().any() for b in held)


def test_without_a_wish_items_lie_at_a_multiple_of_64():
    for n in range(200):
        assert zeros(n).address % 64 == 0
        assert copy(bytes(n)).address % 64 == 0


@pytest.mark.parametrize("n", [1, 63, 4096, 8192, 100_000, 5 << 20])
def test_zeros_are_zero_where_memory_was_used_before(n):
    used: set[int] = set()
    again = 0
    for _ in range(200):
        held = [zeros(n) for _ in range(5)]
        assert not any(b.numpy().any() for b in held)
        again += sum(b.address in used for b in held)
        used |= {b.address for b in held}
        for b in held:
            b.numpy()[:] = 255
        held.clear()
        del b
        _core._go_runtime(True)
        if again >= 5:
            return
    pytest.fail("no memory was used again, so this says nothing")


def test_no_bytes_have_an_address_of_their_own_that_is_aligned():
    for align in (1, 64, 4096, 65536):
        for make in (zeros, empty):
            b = make((3, 0), "d", align=align)
            assert b.address != 0
            assert b.address % align == 0
            assert np.asarray(b).ctypes.data == b.address
            assert (b.nbytes, b.tobytes(), b.tolist()) == (0, b"", [[], [], []])


def test_the_size_of_the_object_holds_the_memory():
    sizes = {n: sys.getsizeof(zeros(n)) for n in (0, 1, 1000, 1 << 20)}
    assert all(size - sizes[0] == n for n, size in sizes.items())
    b = zeros(3)
    b.resize(1000)
    assert sys.getsizeof(b) == sizes[1000]
    b.close()
    assert sys.getsizeof(b) == sizes[0]
    assert sys.getsizeof(zeros(1000).toreadonly()) < 1000  # not its own


# ---- the doors -------------------------------------------------------------------------


def _out_of_band(b: pybuf.Buffer) -> Any:
    frames: list[pickle.PickleBuffer] = []
    data = pickle.dumps(b, 5, buffer_callback=frames.append)
    return pickle.loads(data, buffers=frames).numpy()


class Interface:
    """Nothing but an array interface, and what it stands on."""

    def __init__(self, b: pybuf.Buffer) -> None:
        self.kept = b
        self.__array_interface__ = b.__array_interface__


#: Each gives an array on the memory itself.
DOORS: dict[str, Callable[[pybuf.Buffer], Any]] = {
    "memoryview": lambda b: np.frombuffer(memoryview(b), b.format),
    "np.asarray": np.asarray,
    "numpy()": lambda b: b.numpy(),
    "np.ndarray(buffer=)": lambda b: np.ndarray(b.shape, b.format, buffer=b),
    "array interface": lambda b: np.asarray(Interface(b)),
    "DLPack": np.from_dlpack,
    "DLPack with a version": lambda b: np.from_dlpack(b.cast(b.format)),
    "Arrow": lambda b: pa.array(b).to_numpy(),
    "pickle out of band": _out_of_band,
    "cast": lambda b: b.cast("B").cast("i").numpy(),
    "toreadonly": lambda b: b.toreadonly().numpy(),
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_every_door_gives_the_memory_itself(door):
    b = copy(np.arange(6, dtype="i"))
    view = door(b)
    assert view.ctypes.data == b.address
    assert view.tolist() == [0, 1, 2, 3, 4, 5]
    b[2] = 70
    assert view[2] == 70


@pytest.mark.parametrize("door", [d for d in DOORS if d not in ("Arrow", "toreadonly", "DLPack")])
def test_what_is_written_through_a_door_is_seen_in_the_buffer(door):
    b = zeros(6, "i")
    view = DOORS[door](b)
    if door == "DLPack with a version" and not s.NUMPY_SPEAKS_VERSIONED_DLPACK:
        pytest.skip("this NumPy's arrays over DLPack are read-only")
    view[4] = 7
    assert b.tolist() == [0, 0, 0, 0, 7, 0]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_in_band_is_a_copy(protocol):
    b = copy(np.arange(6.0).reshape(2, 3))
    got = pickle.loads(pickle.dumps(b, protocol))
    assert got.tolist() == b.tolist()
    got[0, 0] = 5
    assert b[0, 0] == 0


def test_items_are_read_and_written():
    b = counting()
    assert (b[3], b[-1], len(b), list(b)[:3]) == (3, 23, 24, [0, 1, 2])
    assert b[2:5].tobytes() == b"\2\3\4"
    b[0] = 9
    b[1:3] = b"xy"
    assert b.tobytes() == b"\x09xy" + bytes(range(3, 24))
    assert b == pybuf.copy(b)


# ---- close -----------------------------------------------------------------------------


def test_close_says_whether_the_memory_is_gone():
    b = counting()
    assert b.close() is True
    assert (b.closed, b.source, b.shape) == (True, "go", (24,))
    with pytest.raises(ValueError, match="closed"):
        memoryview(b)
    b = counting()
    view = memoryview(b)
    assert b.close() is False
    assert bytes(view) == bytes(range(24))


def test_with_closes():
    with counting() as b:
        assert b[1] == 1
    assert b.closed


def test_a_strict_close_under_a_view_changes_nothing():
    b = counting()
    view = b.numpy()
    with pytest.raises(BufferError, match=r"close\(strict=True\): 1 view"):
        b.close(strict=True)
    assert not b.closed
    del view
    assert b.close(strict=True) is False
    assert b.closed


# ---- other guises ----------------------------------------------------------------------


def test_views_as_other_items_are_of_the_same_source():
    b = counting()
    for view in (b.cast("i"), b.toreadonly(), b.cast("d").toreadonly().cast("B")):
        assert (view.source, view.address) == ("go", b.address)
        assert view.tobytes() == bytes(range(24))
    assert b.exports == 1
    del view
    assert b.exports == 0


@given(old=s.shapes, new=s.shapes, align=st.sampled_from([1, 64, 4096, 65536]))
def test_resize_keeps_items_source_and_align_and_fills_with_zeros(old, new, align):
    b = empty(old, "i", align=align)
    content = bytes(i % 251 for i in range(b.nbytes))
    memory = bytearray(content)
    b = copy(np.ndarray(old, "i", memory), align=align)
    b.resize(new)
    assert (b.shape, b.source) == (new, "go")
    kept = content[: b.nbytes]
    assert b.tobytes() == kept + bytes(b.nbytes - len(kept))
    assert b.address % align == 0


def test_resize_under_a_view_is_refused():
    b = counting()
    view = memoryview(b)
    with pytest.raises(BufferError, match="1 view"):
        b.resize(5)
    assert bytes(view) == bytes(range(24))
