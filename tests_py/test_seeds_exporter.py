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


def test_the_life_of_an_external_buffer_line_by_line():
    events: list[str] = []
    external = External(events)

    def line(text: Any) -> None:
        events.append(" ".join(str(text).split()))  # NumPy's versions break lines elsewhere

    line("create buffer")
    b = external.create()

    line("print buffer")
    line(b)

    line("create memoryview")
    m = memoryview(b)

    line("print memoryview shape")
    line(m.shape)

    line("print memoryview format")
    line(m.format)

    line("create array")
    a = np.asarray(b)

    line("print array")
    line(repr(a))

    line("change every other byte in the array")
    a[::2] += 10

    line("print array")
    line(repr(a))

    line("change the first byte in the memoryview")
    m[0] = 42

    line("print array")
    line(repr(a))

    line("delete buffer")
    del b

    line("delete memoryview")
    del m

    line("delete array, the last reference: this frees")
    del a

    line("memory should be free before this line")

    assert events == [
        "create buffer",
        "allocate",
        "print buffer",
        "<pybuf.Buffer shape=(32,) format='B' source='foreign' exports=0>",
        "create memoryview",
        "print memoryview shape",
        "(32,)",
        "print memoryview format",
        "B",
        "create array",
        "print array",
        FILLED,
        "change every other byte in the array",
        "print array",
        ADDED,
        "change the first byte in the memoryview",
        "print array",
        WRITTEN,
        "delete buffer",
        "delete memoryview",
        "delete array, the last reference: this frees",
        "free",
        "memory should be free before this line",
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
