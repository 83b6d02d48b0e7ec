"""An extension type over one external buffer, from its creation to the line after its end."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from blocks import NativeRelease, libc

import pybuf

SIZE = 32


class External:
    """A third-party library that allocates 32 bytes, fills them 0, 1, 2, ..., and frees them."""

    def __init__(self, events: list[str]) -> None:
        self.events = events
        self.release = NativeRelease(self._free)

    def allocate(self) -> int:
        address = libc.malloc(SIZE)
        self.events.append("allocate")
        ctypes.memmove(address, bytes(range(SIZE)), SIZE)
        self.address = address
        return address

    def _free(self, data: int, nbytes: int, arg: int | None) -> None:
        assert (data, nbytes, arg) == (self.address, SIZE, None)
        self.events.append("free")
        libc.free(data)

    def create(self) -> pybuf.Buffer:
        return pybuf.wrap(self.allocate(), SIZE, release=self.release)


def shown(*items: int) -> str:
    return " ".join(repr(np.array(items, "u1")).split())


#: The array as it was filled; with 10 added to every other byte; with 42 written first.
FILLED = shown(*range(32))
ADDED = shown(*(i + 10 * (i % 2 == 0) for i in range(32)))
WRITTEN = shown(42, *(i + 10 * (i % 2 == 0) for i in range(1, 32)))


def test_an_external_buffer_is_freed_before_the_line_after_its_last_view():
    events: list[str] = []
    external = External(events)

    def say(*what: Any) -> None:
        events.append(" ".join(" ".join(map(str, what)).split()))

    exporter = external.create()
    say(exporter)
    view = memoryview(exporter)
    say(view.shape, view.format)
    array = np.asarray(exporter)
    say(repr(array))
    array[::2] += 10
    say(repr(array))
    view[0] = 42
    say(repr(array))
    del exporter
    say("its own name is gone")
    del view
    say("the memoryview is gone")
    del array
    say("the array is gone, and it was the last")

    assert events == [
        "allocate",
        "<pybuf.Buffer shape=(32,) format='B' source='foreign' exports=0>",
        "(32,) B",
        FILLED,
        ADDED,
        WRITTEN,
        "its own name is gone",
        "the memoryview is gone",
        "free",
        "the array is gone, and it was the last",
    ]


def test_a_memoryview_of_the_exporter_says_what_it_is():
    events: list[str] = []
    external = External(events)
    b = external.create()
    m = memoryview(b)
    assert (m.shape, m.strides, m.format, m.itemsize, m.ndim) == ((32,), (1,), "B", 1, 1)
    assert (m.nbytes, m.readonly, m.suboffsets) == (32, False, ())
    assert m.obj is b
    assert m.c_contiguous
    assert np.asarray(b).ctypes.data == external.address


def test_many_exporters_free_each_their_own():
    events: list[str] = []
    externals = [External(events) for _ in range(10)]
    arrays = [np.asarray(e.create()) for e in externals]
    assert events == ["allocate"] * 10
    del arrays[::2]
    assert events == ["allocate"] * 10 + ["free"] * 5
    del arrays
    assert events == ["allocate"] * 10 + ["free"] * 10
