"""Memory for tests: blocks that know how often they were given back."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import NamedTuple

import pybuf
from pybuf import _core

PATTERN = bytes(range(64))

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.restype = None
libc.free.argtypes = [ctypes.c_void_p]

#: void release(void *data, size_t nbytes, void *arg)
NativeRelease = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)


class Lent(NamedTuple):
    """A Buffer over PATTERN, and an observer that does not keep it alive."""

    buffer: pybuf.Buffer
    address: int
    freed: Callable[[], int]  # how often the block was given back so far; see _watched


def malloc(content: bytes) -> int:
    """A block of C's malloc with this content."""
    address = libc.malloc(max(len(content), 1))
    ctypes.memmove(address, content, len(content))
    return address


def _watched(buffer: pybuf.Buffer, address: int) -> Lent:
    """For memory whose end nobody reports: that of the Buffer, as a weak reference sees it."""
    ref = weakref.ref(buffer)
    return Lent(buffer, address, lambda: int(ref() is None))


def own_memory() -> Lent:
    """Memory of pybuf's own. (Reading the address lends a pointer: lifetime is the same.)"""
    b = pybuf.copy(PATTERN)
    return _watched(b, b.address)


def go_blocks() -> int:
    """How many blocks of Go's heap are held for Python now."""
    return _core._go_runtime(False)["blocks"]


def go_memory() -> Lent:
    """Memory of Go's heap, which Go itself counts."""
    before = go_blocks()
    b = pybuf.copy(PATTERN, source="go")
    return Lent(b, b.address, lambda: before + 1 - go_blocks())


def native_free() -> Lent:
    """libc.free, called natively."""
    address = malloc(PATTERN)
    return _watched(pybuf.wrap(address, len(PATTERN), release=libc.free), address)


def python_callback() -> Lent:
    """A Python function that frees."""
    log: list[int] = []

    def release(address: int) -> None:
        log.append(address)
        libc.free(address)

    address = malloc(PATTERN)
    b = pybuf.wrap(address, len(PATTERN), release=release)
    return Lent(b, address, lambda: len(log))


def native_pair() -> Lent:
    """A C function pointer with its argument."""
    log: list[int] = []

    @NativeRelease
    def release(data: int, nbytes: int, arg: int | None) -> None:
        log.append(data)
        libc.free(data)

    address = malloc(PATTERN)
    b = pybuf.wrap(address, len(PATTERN), release=(release, None))
    return Lent(b, address, lambda: len(log))


class Owner:
    """Frees a block of malloc's when nobody keeps it any more."""

    def __init__(self, address: int, log: list[int]) -> None:
        self.address = address
        self.log = log

    def __del__(self) -> None:
        self.log.append(self.address)
        libc.free(self.address)


def python_owner() -> Lent:
    """An object that the Buffer keeps, and that frees at its own end."""
    log: list[int] = []
    address = malloc(PATTERN)
    b = pybuf.wrap(address, len(PATTERN), owner=Owner(address, log))
    return Lent(b, address, lambda: len(log))


#: One maker of a Lent for each way in which memory is given back.
KINDS = (own_memory, go_memory, native_free, python_callback, native_pair, python_owner)
