"""A const pointer, a length, and a C function that ends them: bytes of a C library, not copied."""

from __future__ import annotations

import ctypes
import hashlib
from typing import Any

import cffi
import numpy as np
import pytest
from blocks import NativeRelease, libc, malloc

import pybuf

TEXT = b"some test\0 bytes\0"  # sizeof "some test\0 bytes", with the NUL that ends it


class CApi:
    """A library that hands out (pointer, length) and takes them back with an argument."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.free_data = NativeRelease(self._free_data)

    @staticmethod
    def get() -> tuple[int, int]:
        return malloc(TEXT), len(TEXT)

    def _free_data(self, p: int, length: int, arg: int | None) -> None:
        self.calls.append((p, length, arg))
        libc.free(p)


def getbuf(api: CApi, arg: Any = None) -> pybuf.Buffer:
    p, length = api.get()
    return pybuf.wrap(p, length, readonly=True, release=(api.free_data, arg))


def test_the_bytes_are_the_library_s_with_their_zeros():
    assert len(TEXT) == 17
    buf = getbuf(CApi())
    assert repr(memoryview(buf).tobytes()) == r"b'some test\x00 bytes\x00'"
    assert bytes(buf) == TEXT
    assert len(buf) == 17
    assert buf[0] == ord("s")
    assert buf == TEXT


def test_the_callback_gets_pointer_length_and_argument_once():
    api = CApi()
    buf = getbuf(api, 0xC0FFEE)
    p = buf.address
    view = memoryview(buf)[5:9]
    assert bytes(view) == b"test"
    del buf
    assert api.calls == []
    del view
    assert api.calls == [(p, 17, 0xC0FFEE)]


def test_without_a_view_the_callback_runs_at_once():
    api = CApi()
    getbuf(api)
    assert len(api.calls) == 1
    assert api.calls[0][1:] == (17, None)


def test_two_views_are_one_block_and_one_callback():
    api = CApi()
    buf = getbuf(api)
    views = [memoryview(buf), np.asarray(buf), np.frombuffer(buf, "S17")]
    assert views[2][0] == TEXT.rstrip(b"\0")
    del buf
    while views:
        assert api.calls == []
        views.pop()
    assert len(api.calls) == 1


def test_a_request_for_a_writable_view_is_refused_and_costs_nothing():
    """A cast that dropped the const would write into memory that must not change."""
    api = CApi()
    buf = getbuf(api)
    assert memoryview(buf).readonly
    assert not np.asarray(buf).flags.writeable
    with pytest.raises(TypeError):
        buf[0] = 0
    with pytest.raises(TypeError):
        memoryview(buf)[0] = 0
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(buf)[0] = 0
    with pytest.raises((BufferError, TypeError)):
        (ctypes.c_char * 17).from_buffer(buf)
    with pytest.raises((BufferError, TypeError), match=r"writable|read-write"):
        cffi.FFI().from_buffer(buf, require_writable=True)
    assert buf.exports == 0
    assert bytes(buf) == TEXT


def test_no_byte_is_copied_on_the_way():
    buf = getbuf(CApi())
    address = buf.address
    assert np.asarray(buf).ctypes.data == address
    assert np.frombuffer(memoryview(buf)[5:], "B").ctypes.data == address + 5
    assert ctypes.string_at(address, 17) == TEXT


def test_consumers_of_bytes_take_it():
    buf = getbuf(CApi())
    assert hashlib.sha256(buf).digest() == hashlib.sha256(TEXT).digest()
    assert b"".join([buf, buf]) == TEXT * 2
    assert bytearray(buf).split(b"\0") == [b"some test", b" bytes", b""]
    assert bytes(memoryview(buf)[:9]).decode() == "some test"


def test_a_callback_of_cffi_does_as_well():
    ffi = cffi.FFI()
    calls: list[tuple[Any, ...]] = []

    @ffi.callback("void(const void *, size_t, void *)")
    def free_data(p: Any, length: int, arg: Any) -> None:
        calls.append((ffi.buffer(p, length)[:], length, ffi.from_handle(arg)))

    block = ffi.new("char[]", TEXT[:-1])  # cffi adds the NUL
    handle = ffi.new_handle("context")
    buf = pybuf.wrap(block, 17, readonly=True, owner=block, release=(free_data, handle))
    assert bytes(buf) == TEXT
    del buf
    assert calls == [(TEXT, 17, "context")]


def test_memory_that_the_library_keeps_is_wrapped_without_an_owner_when_that_is_said():
    """The old way, a pointer and a length alone, leaves open who frees: here it must be said."""
    p, length = CApi.get()
    with pytest.raises(TypeError, match="who frees"):
        pybuf.wrap(p, length, readonly=True)
    buf = pybuf.wrap(p, length, readonly=True, unowned=True)
    view = memoryview(buf)
    assert view.tobytes() == TEXT
    assert buf.owner is None
    del buf, view
    assert ctypes.string_at(p, length) == TEXT  # still the library's
    libc.free(p)


def test_an_empty_block_of_the_library_still_ends_once():
    api = CApi()
    buf = pybuf.wrap(0, 0, readonly=True, release=(api.free_data, 1))
    assert bytes(buf) == b""
    assert memoryview(buf).nbytes == 0
    del buf
    assert api.calls == [(None, 0, 1)]
