"""Objects that __del__ brings back from a collection, and what the collector is told."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blocks import libc, malloc

import pybuf

BLOCK = (ctypes.c_char * 16)(*b"0123456789abcdef")
ADDRESS = ctypes.addressof(BLOCK)


pytestmark = pytest.mark.usefixtures("only_explicit_collections")


# ---- __del__ and resurrection ----------------------------------------------------------


@pytest.mark.parametrize("buffer_first", [False, True])
def test_the_del_of_an_owner_reads_the_memory_or_is_refused(buffer_first, releases, unraisable):
    """The collector runs the two in an order of its own; freed memory is never read."""
    seen: list[bytes] = []

    class Owner:
        def __del__(self) -> None:
            seen.append(self.buf.tobytes())

    link: list[Any] = []
    owner = None if buffer_first else Owner()
    buf = pybuf.wrap(ADDRESS, 16, owner=link, release=releases)
    owner = owner or Owner()
    owner.buf = buf
    link.append(owner)
    del owner, link, buf
    gc.collect()
    assert releases == [ADDRESS]
    refused = [e for e in unraisable if "closed" in e]
    assert len(seen) + len(refused) == 1
    assert seen in ([], [BLOCK.raw])


RESURRECTED: list[Any] = []


VIEWS: dict[str, Callable[[pybuf.Buffer], Any]] = {
    "itself": lambda buf: buf,
    "memoryview": memoryview,
    "asarray": np.asarray,
    "numpy": lambda buf: buf.numpy(),
    "ndarray(buffer=)": lambda buf: np.ndarray(16, "B", buffer=buf),
    "child": lambda buf: buf.toreadonly(),
    "ndarray(buffer=) of a new child": lambda buf: np.ndarray(16, "B", buffer=buf.cast("B")),
    "iterator": iter,
}


@pytest.mark.parametrize("keep", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("of", ["buffer", "child", "grandchild"])
def test_what_a_del_brings_back_never_stands_on_released_memory(keep, of, releases, unraisable):
    """A view made by a __del__ in the very collection that would release the memory."""

    class Owner:
        def __del__(self) -> None:
            RESURRECTED.append(keep(getattr(self, of)))

    owner = Owner()
    owner.buffer = pybuf.wrap(ADDRESS, 16, owner=owner, release=releases)
    owner.child = owner.buffer.cast("i")
    owner.grandchild = owner.child.cast("B")
    del owner
    gc.collect()
    back = RESURRECTED.pop() if RESURRECTED else None
    if isinstance(back, pybuf.Buffer):
        # Alive, or it refuses and says why.
        assert back.closed is (releases == [ADDRESS])
        with contextlib.suppress(ValueError):
            assert bytes(memoryview(back)) == BLOCK.raw
            assert releases == []
    elif back is not None:
        assert releases == []
        assert next(iter(back)) & 0xFF == BLOCK.raw[0]
    else:
        assert "closed" in unraisable[0]
    del back
    gc.collect()
    assert releases == [ADDRESS]


@pytest.mark.parametrize("make", [lambda b: b, lambda b: b.toreadonly().cast("i")])
def test_calling_the_finalizer_by_hand_does_nothing(make, releases):
    """Python shows it as __del__; only the collector knows that nobody can look any more."""
    b = make(pybuf.wrap(ADDRESS, 16, owner=releases, release=releases))
    uncounted = np.ndarray(16, "B", buffer=b)
    for _ in range(3):
        b.__del__()
    assert not b.closed
    assert releases == []
    assert uncounted.tobytes() == BLOCK.raw
    del b, uncounted
    assert releases == [ADDRESS]


def test_an_object_that_its_del_brings_back_still_works(unraisable):
    """All but the Buffer, if that was given back in between."""
    log: list[Any] = []

    class Phoenix:
        def __init__(self) -> None:
            self.name = "phoenix"
            self.table = {"handle": 7}
            self.buf = pybuf.wrap(ADDRESS, 16, release=self._free)

        def _free(self, address: int) -> None:
            log.append((address, self.name, self.table["handle"], self.buf.closed))

        def __del__(self) -> None:
            if not RESURRECTED:
                RESURRECTED.append(self)

    Phoenix()
    gc.collect()
    back = RESURRECTED[0]
    assert (back.name, back.table) == ("phoenix", {"handle": 7})
    assert back.buf.closed is (log != [])
    del back
    RESURRECTED.clear()
    gc.collect()
    assert log == [(ADDRESS, "phoenix", 7, True)]


@pytest.mark.parametrize("thunk", ["lambda f: f", "ctypes.CFUNCTYPE(None, ctypes.c_void_p)"])
def test_a_release_that_one_collection_put_off_is_done_by_the_next(thunk, fresh):
    """The collector finalizes an object once, and a __del__ may lend the memory at that time: the
    callback is then called, whole, by a later collection."""
    fresh(
        f"""
        import ctypes, gc
        import pybuf

        class Node:
            def __del__(self):
                kept.append(memoryview(self.buf))

        calls, kept = [], []
        gc.disable()

        def make():
            cell = []
            def release(address):
                calls.append(len(cell))
            node = Node()
            cell.append(node)
            node.buf = pybuf.wrap(4096, 4, owner=node, release=({thunk})(release))

        for _ in range(50):
            make()
        gc.collect()
        assert len(kept) == 50, kept
        assert calls == []
        kept.clear()
        gc.collect()
        assert calls == [1] * 50, calls
        """
    )


# ---- what the collector sees -----------------------------------------------------------


def test_a_buffer_that_holds_no_object_is_not_tracked():
    free = ctypes.cast(libc.free, ctypes.c_void_p).value  # an integer: nothing to keep
    for b in (
        pybuf.zeros(4),
        pybuf.empty(4),
        pybuf.copy(b"abc"),
        pybuf.wrap(ADDRESS, 16, unowned=True),
        pybuf.wrap(malloc(b"abc"), 3, release=(free, None)),
        pybuf.zeros(4).toreadonly().cast("b"),
    ):
        assert not gc.is_tracked(b)
    del b


def test_a_buffer_that_holds_an_object_is_tracked():
    owner, release = object(), lambda _: None
    for b in (
        pybuf.wrap(ADDRESS, 16, owner=owner),
        pybuf.wrap(ADDRESS, 16, release=release),
        pybuf.wrap(ADDRESS, 16, owner=owner).toreadonly().cast("b"),
    ):
        assert gc.is_tracked(b)


def test_the_collector_is_told_of_owner_and_callback_and_type():
    owner, release = object(), lambda _: None
    b = pybuf.wrap(ADDRESS, 16, owner=owner, release=release)
    assert sorted(map(id, gc.get_referents(b))) == sorted(map(id, (pybuf.Buffer, owner, release)))
    b.close()
    assert gc.get_referents(b) == [pybuf.Buffer]


def test_the_collector_is_told_of_a_native_release_s_arg_and_of_a_parent():
    arg = (ctypes.c_char * 4)()
    pair = (libc.free, arg)
    b = pybuf.wrap(0, 0, release=pair)
    assert pair in gc.get_referents(b)
    parent = pybuf.wrap(ADDRESS, 16, owner=arg)
    assert any(x is parent for x in gc.get_referents(parent.toreadonly()))


def test_collecting_while_buffers_come_and_go_does_no_harm(releases):
    gc.enable()
    threshold = gc.get_threshold()
    gc.set_threshold(5)
    try:
        for _ in range(500):
            pybuf.wrap(ADDRESS, 16, owner=[pybuf.zeros(8)], release=releases).cast("i")
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    assert releases == [ADDRESS] * 500
