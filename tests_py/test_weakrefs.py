"""Weak references to a Buffer, to its owner and to its callback."""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import numpy as np
import pytest

import pybuf

BLOCK = ctypes.create_string_buffer(b"0123456789abcdef", 16)


class Owner:
    def free(self, address: int) -> None:
        """Stands for what gives the memory back."""


def test_a_weak_reference_ends_with_the_last_view():
    b = pybuf.zeros(8)
    ref = weakref.ref(b)
    view = memoryview(b)
    assert ref() is b
    del b
    assert ref() is view.obj
    del view
    assert ref() is None


def test_a_weak_reference_holds_no_memory(releases):
    b = pybuf.wrap(BLOCK, release=releases)
    ref = weakref.ref(b)
    del b
    assert releases == [ctypes.addressof(BLOCK)]
    assert ref() is None


def test_a_weak_reference_finds_a_buffer_that_only_an_array_keeps():
    """The base of an array is no Buffer; the weak reference is the way back to it."""
    b = pybuf.zeros(8)
    ref = weakref.ref(b)
    array = np.ndarray(8, "B", buffer=b)
    del b
    assert ref().exports == 0
    assert ref().close() is False
    array[0] = 1
    del array
    assert ref() is None


def test_the_callback_of_a_weak_reference_runs_before_the_memory_is_freed():
    events: list[str] = []
    b = pybuf.wrap(BLOCK, release=lambda _: events.append("freed"))
    ref = weakref.ref(b, lambda _: events.append("weakref"))
    del b
    assert events == ["weakref", "freed"]
    assert ref() is None


def test_the_callback_of_a_weak_reference_cannot_bring_the_buffer_back():
    found: list[Any] = []
    b = pybuf.wrap(BLOCK, release=lambda _: None)
    ref = weakref.ref(b, lambda r: found.append(r()))
    del b
    assert found == [None]
    assert ref() is None


def test_weakref_finalize_runs_once_with_the_last_view():
    events: list[str] = []
    b = pybuf.zeros(8)
    weakref.finalize(b, events.append, "finalized")
    view = b[2:5]
    del b
    assert events == []
    del view
    assert events == ["finalized"]


def test_a_proxy_of_a_buffer_works_until_the_last_view_is_gone():
    b = pybuf.wrap(BLOCK, unowned=True)
    proxy = weakref.proxy(b)
    assert proxy.shape == (16,)
    assert proxy[0] == b"0"
    assert len(proxy) == 16
    assert proxy.tobytes() == BLOCK.raw
    view = memoryview(b)
    del b
    assert proxy.exports == 1
    del view
    with pytest.raises(ReferenceError):
        proxy.shape  # noqa: B018


def test_a_weak_dictionary_forgets_freed_buffers():
    cache = weakref.WeakValueDictionary({"x": (b := pybuf.zeros(4))})
    names = weakref.WeakKeyDictionary({b.toreadonly(): "never kept"})
    assert list(cache) == ["x"]
    del b
    assert list(cache) == []
    assert len(names) == 0


def test_the_owner_lives_as_long_as_a_view_of_the_buffer():
    owner = Owner()
    ref = weakref.ref(owner)
    array = np.asarray(pybuf.wrap(BLOCK, owner=owner))
    assert array.base.obj.owner is owner
    view = array[3:]
    del owner, array
    assert ref() is not None
    del view
    assert ref() is None


def test_a_proxy_of_the_owner_works_until_the_last_view_is_gone():
    owner = Owner()
    proxy = weakref.proxy(owner)
    proxy.word = "here"
    view = memoryview(pybuf.wrap(BLOCK, owner=owner))
    del owner
    assert proxy.word == "here"
    view.release()
    del view
    with pytest.raises(ReferenceError):
        proxy.word  # noqa: B018


def test_the_callback_lives_as_long_as_a_view_of_the_buffer():
    owner = Owner()
    ref = weakref.ref(owner)
    view = memoryview(pybuf.wrap(BLOCK, release=owner.free))
    del owner
    assert ref() is not None
    del view
    assert ref() is None


def test_owner_and_callback_are_let_go_by_a_close_that_frees():
    owner, releaser = Owner(), Owner()
    refs = weakref.ref(owner), weakref.ref(releaser)
    b = pybuf.wrap(BLOCK, owner=owner, release=releaser.free)
    del owner, releaser
    assert b.close() is True
    assert [ref() for ref in refs] == [None, None]
    assert b.owner is None


def test_a_weak_reference_to_garbage_in_a_cycle_is_cleared(releases):
    owner = Owner()
    owner.buffer = pybuf.wrap(BLOCK, owner=owner, release=releases)
    ref = weakref.ref(owner.buffer)
    del owner
    assert ref() is not None
    gc.collect()
    assert ref() is None
    assert releases == [ctypes.addressof(BLOCK)]
