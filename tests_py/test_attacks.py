"""What a hostile tester found: each of these broke a promise once."""

from __future__ import annotations

import _testbuffer
import ctypes
import gc
import mmap
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pybuf

Fresh = Callable[..., Any]
BLOCK = (ctypes.c_char * 16)(*b"0123456789abcdef")
ADDRESS = ctypes.addressof(BLOCK)


# ---- exporters and arrays that are out of the ordinary ---------------------------------


def _deep_ctypes_array(ndim: int) -> Any:
    kind: Any = ctypes.c_ubyte
    for _ in range(ndim):
        kind *= 1
    return kind()


@pytest.mark.parametrize(
    "call",
    [
        "pybuf.copy(_testbuffer.ndarray([1], shape=[1] * 65))",
        "pybuf.copy(_testbuffer.ndarray([1], shape=[1] * 128))",
        "pybuf.copy(deep(65))",
        "pybuf.copy(deep(400))",
        "pybuf.wrap(deep(65), unowned=True)",
        "pybuf.wrap(deep(400), unowned=True)",
    ],
)
def test_more_dimensions_than_a_buffer_has_are_refused(call: str, fresh: Fresh):
    """They were written behind the end of a block on the stack."""
    fresh(
        f"""
        import _testbuffer, ctypes, pybuf

        def deep(ndim):
            kind = ctypes.c_ubyte
            for _ in range(ndim):
                kind *= 1
            return kind()

        try:
            {call}
        except ValueError as error:
            assert "at most 64 dimensions" in str(error), error
        else:
            raise AssertionError
        """
    )


def test_as_many_dimensions_as_a_buffer_has_are_taken():
    assert pybuf.copy(_testbuffer.ndarray([1], shape=[1] * 64)).ndim == 64
    array = _deep_ctypes_array(64)
    assert pybuf.wrap(array, owner=array).ndim == 64


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 688 is of Python 3.12")
def test_a_frame_that_gives_new_memory_at_each_request_is_asked_once():
    class Lazy:
        def __init__(self) -> None:
            self.made: list[bytearray] = []

        def __buffer__(self, flags: int) -> memoryview:
            self.made.append(bytearray(b"A" * 4096))
            return memoryview(self.made[-1])

    text = pickle.dumps(pybuf.zeros(4096), 5, buffer_callback=lambda _: None)
    lazy = Lazy()
    b = pickle.loads(text, buffers=[lazy])
    address = b.address
    kept = [ctypes.addressof(ctypes.c_char.from_buffer(block)) for block in lazy.made]
    del lazy.made[kept.index(address)]  # the Buffer stands on it, and must keep it
    others = [bytearray(b"B" * 4096) for _ in range(8)]
    assert b.tobytes() == b"A" * 4096
    assert len(others) == 8
    assert len(kept) == 1


# ---- code of others that runs inside of ours -------------------------------------------


def test_another_type_s_eq_gets_the_buffer_and_not_a_view_of_it():
    """What it keeps of that is counted, like any view."""
    kept: list[memoryview] = []
    seen: list[Any] = []

    class Asked(mmap.mmap):  # closed, so that memoryview cannot compare and leaves it to __eq__
        def __eq__(self, other: object) -> bool:
            seen.append(other)
            kept.append(memoryview(other)[2:])  # type: ignore[arg-type]
            return True

        __hash__ = None  # type: ignore[assignment]

    asked = Asked(-1, 4)
    asked.close()
    b = pybuf.copy(b"abcdef")
    assert b == asked
    assert seen.pop() is b
    assert b.exports == 1
    assert not b.close()
    assert kept[0].tobytes() == b"cdef"
    kept.clear()


@pytest.mark.parametrize("act", ["close", "resize"])
@pytest.mark.parametrize(
    "ask",
    ["b.cast('B')", "b.toreadonly()", "b.shape", "b.strides", "b.__array_interface__", "repr(b)"],
)
def test_a_collection_that_starts_inside_of_a_call_finds_it_prepared(
    act: str, ask: str, fresh: Fresh
):
    """Until 3.11 any new tuple or Buffer may start one, and that may run any code."""
    fresh(
        f"""
        import ctypes, gc, pybuf
        gc.disable()
        size = 1 << 20

        def attempt(threshold):
            b = pybuf.zeros((1, 1, 1, size))
            def hook(phase, info):
                if phase == "start":
                    gc.callbacks.remove(hook)
                    try:
                        b.close() if {act!r} == "close" else b.resize(8)
                    except BufferError:
                        pass
            gc.collect()
            gc.callbacks.append(hook)
            gc.set_threshold(threshold)
            gc.enable()
            try:
                answer = {ask}
            except ValueError:
                answer = None
            gc.disable()
            if hook in gc.callbacks:
                gc.callbacks.remove(hook)
            if isinstance(answer, pybuf.Buffer) and not answer.closed:
                assert answer.nbytes == b.nbytes
                assert bytes(memoryview(answer.cast("B"))) == bytes(b.nbytes)
            elif isinstance(answer, dict):
                assert answer["data"][0] != 0
                assert answer["shape"] == b.shape
            elif isinstance(answer, tuple):
                assert len(answer) in (1, 4)
                assert all(0 < n <= size for n in answer)

        for threshold in range(1, 6):
            attempt(threshold)
        """
    )


def test_a_close_while_numpy_is_imported_is_seen(fresh: Fresh):
    fresh(
        """
        import sys, pybuf
        b = pybuf.zeros(4)
        class Finder:
            def find_spec(self, name, path=None, target=None):
                if name == "numpy":
                    assert b.close()
        sys.meta_path.insert(0, Finder())
        try:
            b.numpy()
        except ValueError as error:
            assert "closed" in str(error)
        else:
            raise AssertionError
        assert b.exports == 0
        """
    )


def test_a_keyword_that_calls_again_when_it_dies_changes_nothing():
    class Name(str):
        armed = False
        __slots__ = ()

        def __del__(self) -> None:
            if Name.armed:
                Name.armed = False
                pybuf.zeros(order="F", shape=(2, 3)).close()

    pybuf.zeros(**{Name("shape"): (2, 3), "dtype": "d"}).close()
    Name.armed = True
    b = pybuf.zeros(shape=(4, 5), dtype="d")
    assert (b.shape, b.format) == ((4, 5), "d")
    Name.armed = False


# ---- the end of Buffers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "look",
    [bytes, list, lambda b: np.asarray(b).sum(), lambda b: b.numpy(), lambda b: b.address],
    ids=["bytes", "list", "asarray", "numpy", "address"],
)
def test_a_del_that_looks_at_its_buffer_does_not_keep_it_for_ever(look, releases):
    class Camera:
        def __init__(self) -> None:
            self.frame = pybuf.wrap(ADDRESS, 16, release=self.give_back)

        def give_back(self, address: int) -> None:
            releases(address)

        def __del__(self) -> None:
            look(self.frame)

    Camera()
    for _ in range(3):
        gc.collect()
    assert releases == [ADDRESS]


def test_a_call_of_del_by_a_finalizer_releases_nothing_under_its_view(releases):
    kept: list[Any] = []

    class Camera:
        def __init__(self) -> None:
            self.frame = pybuf.wrap(ADDRESS, 16, release=self.give_back)

        def give_back(self, address: int) -> None:
            releases(address)

        def __del__(self) -> None:
            kept.append(np.ndarray(16, "u1", buffer=self.frame))
            self.frame.__del__()

    Camera()
    gc.collect()
    assert bool(kept) != bool(releases)
    kept.clear()
    gc.collect()
    assert releases == [ADDRESS]


def test_a_call_of_del_releases_nothing_under_a_view(releases):
    b = pybuf.wrap(ADDRESS, 16, release=releases)
    view = np.ndarray(16, "u1", buffer=b)
    gc.collect()
    b.__del__()
    assert releases == []
    del b, view
    assert releases == [ADDRESS]


@pytest.mark.parametrize("depth", range(30, 35))
def test_a_view_that_closes_is_gone_before_what_it_held_is_released(depth: int, fresh: Fresh):
    """Its root may be freed before the last release of the chain runs. (Best seen with ASan.)"""
    fresh(
        f"""
        import ctypes, pybuf
        block = ctypes.create_string_buffer(64)
        seen = []
        def touch(address):
            junk.extend(pybuf.zeros(8) for _ in range(64))  # takes the place of what was freed
            try:
                hash(b)
            except ValueError as error:
                seen.append("closed" in str(error))
        junk = []
        inner = pybuf.wrap(ctypes.addressof(block), 64, release=touch)
        b = pybuf.wrap(ctypes.addressof(block), 64, owner=inner, readonly=True)
        del inner
        for _ in range({depth}):
            b = b.cast("B")
        assert b.close()
        assert seen == [True]
        """
    )
