"""Cycles through a Buffer are collected, and the callback finds its object as it was."""

from __future__ import annotations

import ctypes
import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blocks import NativeRelease

import pybuf

BLOCK = (ctypes.c_char * 16)(*b"0123456789abcdef")
ADDRESS = ctypes.addressof(BLOCK)


pytestmark = pytest.mark.usefixtures("only_explicit_collections")


class Library:
    """What people write: an object that keeps its Buffer, whose release is its own method."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.name = "library"
        self.table = {"handle": 7}
        self.buf = pybuf.wrap(ADDRESS, 16, release=self._free)

    def _free(self, address: int) -> None:
        self.log.append((address, self.name, self.table["handle"], self.buf.closed))


FREED = (ADDRESS, "library", 7, True)


# ---- the callback of a cycle -----------------------------------------------------------


def test_a_method_as_callback_finds_its_object_whole_when_the_cycle_is_collected():
    log: list[Any] = []
    Library(log)
    assert log == []
    gc.collect()
    assert log == [FREED]
    gc.collect()
    assert log == [FREED]


@pytest.mark.parametrize(
    "view", [memoryview, np.asarray, lambda b: b.numpy(), lambda b: np.ndarray(16, "B", b), iter]
)
def test_a_view_outside_keeps_the_whole_cycle(view):
    log: list[Any] = []
    held = view(Library(log).buf)
    gc.collect()
    assert log == []
    del held
    gc.collect()
    assert log == [FREED]


def test_views_that_ended_before_do_not_matter():
    log: list[Any] = []
    library = Library(log)
    memoryview(library.buf).release()
    np.ndarray(16, "B", library.buf)
    del library
    gc.collect()
    assert log == [FREED]


def test_a_closed_buffer_in_a_cycle_releases_once():
    log: list[Any] = []
    library = Library(log)
    library.buf.close()
    assert log == [FREED]
    del library
    gc.collect()
    assert log == [FREED]


def test_a_closed_buffer_that_was_lent_releases_with_its_cycle():
    log: list[Any] = []
    library = Library(log)
    library.view = np.asarray(library.buf)
    assert library.buf.close() is False
    del library.view
    del library
    gc.collect()
    assert log == [FREED]


def test_two_libraries_in_one_cycle_both_release():
    log: list[Any] = []
    one, two = Library(log), Library(log)
    one.other, two.other = two, one
    del one, two
    gc.collect()
    assert log == [FREED, FREED]


def test_a_buffer_owned_by_another_in_the_cycle_is_released_after_it():
    log: list[str] = []

    class Node:
        pass

    node = Node()
    node.inner = pybuf.wrap(ADDRESS, 16, owner=node, release=lambda _: log.append("inner"))
    node.outer = pybuf.wrap(ADDRESS, 16, owner=node.inner, release=lambda _: log.append("outer"))
    del node
    gc.collect()
    assert sorted(log) == ["inner", "outer"]


def _closure(node: Any) -> Callable[[int], None]:
    def release(address: int) -> None:
        node.call(address)

    return release


@pytest.mark.parametrize("through", ["owner", "closure", "default", "partial", "child"])
def test_cycles_by_any_road_are_collected(through, releases):
    class Node:
        def call(self, address: int) -> None:
            releases(address)

    node = Node()
    ref = weakref.ref(node)
    if through == "owner":
        node.buf = pybuf.wrap(ADDRESS, 16, owner=node, release=releases)
    elif through == "closure":
        node.buf = pybuf.wrap(ADDRESS, 16, release=_closure(node))
    elif through == "default":
        node.buf = pybuf.wrap(ADDRESS, 16, release=lambda a, n=node: n.call(a))
    elif through == "partial":
        node.buf = pybuf.wrap(ADDRESS, 16, release=node.call)
    else:
        node.buf = pybuf.wrap(ADDRESS, 16, release=node.call).toreadonly().cast("i")
    del node
    assert ref() is not None
    gc.collect()
    assert ref() is None
    assert releases == [ADDRESS]


def test_a_cycle_with_a_native_release_is_collected():
    log: list[Any] = []

    class Node:
        pass

    node = Node()
    release = NativeRelease(lambda data, nbytes, arg: log.append(data))
    node.buf = pybuf.wrap(ADDRESS, 16, owner=node, release=release)
    del node, release
    gc.collect()
    assert log == [ADDRESS]


def test_children_in_the_garbage_do_not_keep_the_callback_from_its_whole_object():
    """They are exports of their parent, and Buffers that the collector sees through."""
    log: list[Any] = []
    library = Library(log)
    library.child = library.buf.toreadonly()
    library.grandchild = library.child.cast("i")
    del library
    gc.collect()
    assert log == [FREED]


# The collector takes a function apart (its closure, its globals, the C code behind a thunk) before
# the Buffer's own end, if both are garbage: what is then called ends the process.

THUNKS = {
    "ctypes": "ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)",
    "cffi": "cffi.FFI().callback('void(void *, size_t, void *)')",
    "none": "(lambda function: function)",
}


@pytest.mark.parametrize("thunk", THUNKS)
@pytest.mark.parametrize("view", ["None", "memoryview(node.buf)", "node.buf.toreadonly()"])
def test_no_function_is_called_that_the_collector_took_apart(thunk, view, fresh):
    done = fresh(
        f"""
        import cffi, ctypes, gc
        import pybuf

        class Node:
            pass

        calls = []

        def make(thunk):
            cell = []

            def release(*data):
                calls.append(len(cell))

            release = thunk(release)
            node = Node()
            cell.append(node)
            node.buf = pybuf.wrap(4096, 4, owner=node, release=release)
            node.view = {view}

        for _ in range(50):
            make({THUNKS[thunk]})
        gc.collect()
        assert set(calls) <= {{1}}, calls
        print(len(calls))
        """
    )
    if view != "memoryview(node.buf)":  # a view inside the garbage keeps it all
        assert done.stdout == "50\n"


# ---- views inside the garbage ----------------------------------------------------------


def test_a_view_in_the_cycle_of_its_own_callback_is_never_left_on_freed_memory():
    """Who ends the view, or the collector if it can, ends the cycle; the order is what counts."""
    log: list[Any] = []
    seen: list[Any] = []

    class Viewer(Library):
        def __del__(self) -> None:
            seen.append((list(log), bytes(self.view)))

    viewer = Viewer(log)
    viewer.view = memoryview(viewer.buf)
    ref = weakref.ref(viewer)
    del viewer
    gc.collect()
    if ref() is not None:
        view = ref().view
        ref().view = bytes(view)
        view.release()
        gc.collect()
    assert seen == [([], BLOCK.raw)]
    assert log == [FREED]


def test_a_view_in_a_cycle_that_the_callback_has_no_part_in_does_not_keep_it(releases):
    class Node:
        pass

    node = Node()
    ref = weakref.ref(node)
    node.buf = pybuf.wrap(ADDRESS, 16, owner=node, release=releases)
    node.view = memoryview(node.buf)
    del node
    assert releases == []
    gc.collect()
    assert ref() is None
    assert releases == [ADDRESS]


@pytest.mark.parametrize(
    "make", [lambda b: b, lambda b: b.toreadonly(), lambda b: b.cast("i").cast("B")]
)
def test_a_view_in_such_a_cycle_is_read_by_a_del_before_the_memory_goes(make, releases):
    """A view of the Buffer, or of a child of it."""
    seen: list[Any] = []

    class Node:
        def __del__(self) -> None:
            seen.append((list(releases), bytes(self.view)))

    # One older than the Buffer and one younger: the collector goes by age.
    old = Node()
    old.buf = pybuf.wrap(ADDRESS, 16, owner=old, release=releases)
    young = Node()
    old.other, young.other = young, old
    old.view, young.view = memoryview(make(old.buf)), memoryview(make(old.buf))
    del old, young
    gc.collect()
    assert seen == [([], BLOCK.raw)] * 2
    assert releases == [ADDRESS]


def test_a_view_in_a_cycle_of_a_buffer_without_callback_does_not_keep_it():
    class Node:
        pass

    node = Node()
    ref = weakref.ref(node)
    node.buf = pybuf.wrap(ADDRESS, 16, owner=node)
    node.view = memoryview(node.buf)[2:]
    del node
    gc.collect()
    assert ref() is None


def test_a_cycle_through_an_array_is_kept_until_it_is_broken(releases):
    """NumPy's arrays take no part in the collector. Documented; so is the way out."""

    class Node:
        pass

    node = Node()
    ref = weakref.ref(node)
    node.array = np.asarray(pybuf.wrap(ADDRESS, 16, owner=node, release=releases))
    del node
    gc.collect()
    assert ref() is not None
    assert releases == []
    del ref().array
    assert ref() is None
    assert releases == [ADDRESS]
