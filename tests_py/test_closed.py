"""A closed Buffer gives no new view at any door, and still says what it was."""

from __future__ import annotations

import array
import copy
import ctypes
import hashlib
import io
import pickle
import struct
import sys
import weakref
import zlib
from collections.abc import Callable
from typing import Any

import cffi
import numpy as np
import pyarrow as pa
import pytest
from blocks import python_callback
from consumers import InterfaceOnly

import pybuf

DOORS: dict[str, Callable[[pybuf.Buffer], Any]] = {
    # the buffer protocol
    "memoryview": memoryview,
    "bytes": bytes,
    "bytearray": bytearray,
    "bytearray slice": lambda b: bytearray(8).__setitem__(slice(0, 4), b),
    "int.from_bytes": lambda b: int.from_bytes(b, "little"),
    "hashlib": hashlib.sha256,
    "zlib": zlib.crc32,
    "struct.unpack_from": lambda b: struct.unpack_from("<i", b),
    "write": lambda b: io.BytesIO().write(b),
    "array.frombytes": lambda b: array.array("B").frombytes(b),
    "PickleBuffer": pickle.PickleBuffer,
    "ctypes from_buffer": (ctypes.c_char * 8).from_buffer,
    "ctypes from_buffer_copy": (ctypes.c_char * 8).from_buffer_copy,
    "cffi from_buffer": cffi.FFI().from_buffer,
    "pybuf.copy": pybuf.copy,
    # NumPy
    "np.asarray": np.asarray,
    "np.asarray with a dtype": lambda b: np.asarray(b, "B"),
    "np.array": np.array,
    "np.array without a copy": lambda b: np.array(b, copy=False),
    "np.array of objects": lambda b: np.array(b, dtype=object),
    "np.asanyarray": np.asanyarray,
    "np.frombuffer": lambda b: np.frombuffer(b, "B"),
    "np.ndarray": lambda b: np.ndarray(8, "B", buffer=b),
    "np.copyto": lambda b: np.copyto(np.zeros(8, "B"), b),
    "np.sum": np.sum,
    "np.add": lambda b: np.add(b, 1),
    "an array's operator": lambda b: np.zeros(8, "B") + b,
    "an array's items": lambda b: np.zeros(8, "B").__setitem__(slice(None), b),
    "np.from_dlpack": np.from_dlpack,
    "array interface of another": lambda b: np.asarray(InterfaceOnly(b)),
    "Buffer.numpy": lambda b: b.numpy(),
    # what hands the memory out by itself
    "__array_interface__": lambda b: b.__array_interface__,
    "__dlpack__": lambda b: b.__dlpack__(),
    "versioned __dlpack__": lambda b: b.__dlpack__(max_version=(1, 0)),
    "__dlpack__ copy": lambda b: b.__dlpack__(copy=True),
    "__dlpack_device__": lambda b: b.__dlpack_device__(),
    "address": lambda b: b.address,
    "cast": lambda b: b.cast("i"),
    "toreadonly": lambda b: b.toreadonly(),
    "resize": lambda b: b.resize(4),
    "with": lambda b: b.__enter__(),
    # items
    "len": len,
    "truth": bool,
    "item": lambda b: b[0],
    "slice": lambda b: b[1:3],
    "item to set": lambda b: b.__setitem__(0, 1),
    "slice to set": lambda b: b.__setitem__(slice(0, 1), b"x"),
    "iter": iter,
    "list": list,
    "in": lambda b: 3 in b,
    "tolist": lambda b: b.tolist(),
    "tobytes": lambda b: b.tobytes(),
    # pickling
    "pickle 2": lambda b: pickle.dumps(b, protocol=2),
    "pickle 5": lambda b: pickle.dumps(b, protocol=5),
    "pickle out of band": lambda b: pickle.dumps(b, protocol=5, buffer_callback=[].append),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
}


#: Where CPython puts its own TypeError in place of the exporter's error, a released
#: memoryview's too.
REWORDED: dict[str, Callable[[pybuf.Buffer], Any]] = {
    "struct.pack_into": lambda b: struct.pack_into("<i", b, 0, 1),
    "readinto": lambda b: io.BytesIO(bytes(8)).readinto(b),
}


def gone() -> tuple[pybuf.Buffer, Any]:
    """Closed, and its memory is freed."""
    b = pybuf.zeros(8)
    assert b.close() is True
    return b, None


def viewed() -> tuple[pybuf.Buffer, Any]:
    """Closed, with a view that lives."""
    b = pybuf.zeros(8)
    view = memoryview(b)
    assert b.close() is False
    return b, view


def child() -> tuple[pybuf.Buffer, Any]:
    """Closed, a view of an open Buffer."""
    parent = pybuf.zeros(8)
    b = parent.toreadonly()
    b.close()
    return b, parent


MAKERS = pytest.mark.parametrize("make", [gone, viewed, child])


@MAKERS
@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_a_closed_buffer_is_refused_at_every_door(door, make):
    closed, _held = make()
    exports = closed.exports
    with pytest.raises(ValueError, match="closed"):
        door(closed)
    assert closed.exports == exports


@MAKERS
@pytest.mark.parametrize("door", REWORDED.values(), ids=REWORDED)
def test_a_closed_buffer_is_refused_where_cpython_words_the_error(door, make):
    closed, _held = make()
    with pytest.raises(TypeError, match="read-write bytes-like object"):
        door(closed)


@pytest.mark.parametrize("door", (DOORS | REWORDED).values(), ids=DOORS | REWORDED)
def test_every_door_is_open_before(door):
    """Else the tests above might pass for another reason."""
    door(pybuf.zeros(8))


def test_a_buffer_whose_memory_is_gone_has_no_hash():
    """One that is closed under a view has: hash() of a memoryview asks its exporter."""
    b = pybuf.wrap(0x1000, 8, readonly=True, unowned=True)
    assert b.close() is True
    with pytest.raises(ValueError, match="closed"):
        hash(b)


@MAKERS
def test_pyarrow_is_refused_too(make):
    closed, _held = make()
    with pytest.raises(ValueError, match="closed"):
        pa.py_buffer(closed)


def test_a_closed_buffer_is_refused_in_a_list_of_others():
    b = pybuf.zeros(8)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        np.array([pybuf.zeros(8), b])


# ---- what stays ------------------------------------------------------------------------

ATTRIBUTES = {
    "shape": (2, 4),
    "strides": (16, 4),
    "suboffsets": (),
    "ndim": 2,
    "itemsize": 4,
    "size": 8,
    "nbytes": 32,
    "format": "i",
    "readonly": True,
    "source": "foreign",
    "exports": 0,
    "closed": True,
}


def test_attributes_stay_readable_when_the_memory_is_gone():
    b = pybuf.wrap(0x1000, (2, 4), "i", readonly=True, owner=object())
    assert b.close() is True
    assert {name: getattr(b, name) for name in ATTRIBUTES} == ATTRIBUTES


def test_attributes_stay_readable_when_a_view_lives():
    owner = object()
    block = ctypes.create_string_buffer(32)
    b = pybuf.wrap(ctypes.addressof(block), (2, 4), "i", readonly=True, owner=(owner, block))
    view = memoryview(b)
    b.close()
    assert {name: getattr(b, name) for name in ATTRIBUTES} == ATTRIBUTES | {"exports": 1}
    assert b.owner == (owner, block)
    del view
    assert b.exports == 0


@MAKERS
def test_repr_says_closed(make):
    closed, _held = make()
    assert "closed" in repr(closed)
    assert "shape=(8,)" in repr(closed)


def test_sizeof_counts_no_memory_that_is_gone():
    b = pybuf.zeros(1 << 20)
    assert sys.getsizeof(b) > 1 << 20
    b.close()
    assert sys.getsizeof(b) < 1 << 10


@MAKERS
def test_a_closed_buffer_equals_itself_only(make):
    """As a released memoryview does; equality raises nothing."""
    closed, _held = make()
    other, _ = gone()
    assert closed == closed  # noqa: PLR0124
    assert not (closed != closed)  # noqa: PLR0124, SIM202
    assert closed != other
    assert closed != pybuf.zeros(8)
    assert closed != bytes(8)
    assert pybuf.zeros(8) != closed


@MAKERS
def test_a_closed_buffer_takes_weak_references(make):
    closed, _held = make()
    assert weakref.ref(closed)() is closed


def test_a_closed_buffer_can_be_closed_and_dropped_by_anybody():
    buffer, _, freed = python_callback()
    held = [buffer, {"b": buffer}]
    assert buffer.close() is True
    del buffer
    assert all(x.close() for x in (held[0], held[1]["b"]))
    del held
    assert freed() == 1


def test_a_writable_lease_may_be_made_writable_again_after_close():
    """NumPy asks the base of an array; that memory was lent before the close."""
    array = (b := pybuf.zeros(8)).numpy()
    array.flags.writeable = False
    b.close()
    array.flags.writeable = True
    array[0] = 1
    locked = (ro := pybuf.zeros(8).toreadonly()).numpy()
    ro.close()
    with pytest.raises(ValueError, match="WRITEABLE"):
        locked.flags.writeable = True
