"""What takes a Buffer and keeps a view of it: each returns the object that holds the view."""

from __future__ import annotations

import ctypes
import pickle
import re
import struct
from collections.abc import Callable
from typing import Any

import cffi
import numpy as np

import pybuf

Consumer = Callable[[pybuf.Buffer], Any]

ffi = cffi.FFI()


class InterfaceHolder:
    """Passes on an array interface and keeps the exporter, as such objects must."""

    def __init__(self, exporter: pybuf.Buffer) -> None:
        self.exporter = exporter
        self.__array_interface__ = exporter.__array_interface__


class InterfaceOnly:
    """Hands a Buffer's interface through and nothing else."""

    def __init__(self, exporter: pybuf.Buffer) -> None:
        self.exporter = exporter

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.exporter.__array_interface__


def _started(iterator: Any) -> Any:
    next(iterator)
    return iterator


def _nested_memoryviews(b: pybuf.Buffer) -> memoryview:
    view = memoryview(b)
    for _ in range(20):
        view = memoryview(view)[:]
    return view


def _nested_arrays(b: pybuf.Buffer) -> np.ndarray:
    array = np.asarray(b)
    for _ in range(20):
        array = np.asarray(memoryview(array[:]))
    return array


def _nested_buffers(b: pybuf.Buffer) -> pybuf.Buffer:
    for _ in range(20):
        b = b.cast("d").toreadonly().cast("B")
    return b


def _out_of_band(b: pybuf.Buffer) -> Any:
    frames: list[pickle.PickleBuffer] = []
    data = pickle.dumps(b, protocol=5, buffer_callback=frames.append)
    return pickle.loads(data, buffers=frames)


#: Count as an export for as long as they live.
COUNTED: dict[str, Consumer] = {
    "memoryview": memoryview,
    "slice of a memoryview": lambda b: memoryview(b)[3:20],
    "reversed slice of a memoryview": lambda b: memoryview(b)[::-2],
    "cast of a memoryview": lambda b: memoryview(b).cast("d"),
    "read-only memoryview": lambda b: memoryview(b).toreadonly(),
    "memoryviews of memoryviews": _nested_memoryviews,
    "slice of a Buffer": lambda b: b[3:20],
    "iterator": iter,
    "iterator under way": lambda b: _started(iter(b)),
    "zip": lambda b: _started(zip(b, b, strict=True)),
    "np.asarray": np.asarray,
    "np.array without a copy": lambda b: np.array(b, copy=False),
    "np.frombuffer": lambda b: np.frombuffer(b, "B"),
    "Buffer.numpy": lambda b: b.numpy(),
    "slice of an array": lambda b: np.asarray(b)[3:20],
    "strided slice of a slice": lambda b: b.numpy()[::2][::-3],
    "one item as an array": lambda b: np.asarray(b)[5:6].reshape(()),
    "array viewed as doubles": lambda b: np.asarray(b).view(np.double),
    "slice of an array viewed as doubles": lambda b: b.numpy().view(np.double)[2:4],
    "array viewed as records": lambda b: b.numpy().view([("a", "i4"), ("b", "f4")]),
    "field of an array of records": lambda b: b.numpy().view([("a", "i4"), ("b", "f4")])["b"],
    "array of another shape": lambda b: np.asarray(b).reshape(8, 8).T,
    "array with made-up strides": lambda b: np.lib.stride_tricks.sliding_window_view(b, 4),
    "masked array": lambda b: np.ma.MaskedArray(b, copy=False),
    "subclass of ndarray": lambda b: np.asarray(b).view(np.recarray),
    "arrays of memoryviews of arrays": _nested_arrays,
    "flat iterator": lambda b: np.asarray(b).flat,
    "np.nditer": lambda b: np.nditer(np.asarray(b)),
    "np.broadcast": lambda b: np.broadcast(np.asarray(b), 1),
    "array's ctypes pointer": lambda b: np.asarray(b).ctypes.data_as(ctypes.c_void_p),
    "np.from_dlpack": np.from_dlpack,
    "DLPack capsule": lambda b: b.__dlpack__(),
    "versioned DLPack capsule": lambda b: b.__dlpack__(max_version=(1, 0)),
    "PickleBuffer": pickle.PickleBuffer,
    "PickleBuffer.raw": lambda b: pickle.PickleBuffer(b).raw(),
    "pickled out of band": _out_of_band,
    "ctypes from_buffer": (ctypes.c_char * 64).from_buffer,
    "ctypes from_buffer with an offset": lambda b: (ctypes.c_int * 4).from_buffer(b, 16),
    "element of a ctypes array": lambda b: (ctypes.c_int * 4 * 4).from_buffer(b)[2],
    "cffi from_buffer": ffi.from_buffer,
    "toreadonly": lambda b: b.toreadonly(),
    "cast": lambda b: b.cast("i", (4, 4)),
    "Buffers of Buffers": _nested_buffers,
    "view of a cast": lambda b: np.asarray(b.cast("d")),
    "owner of another Buffer": lambda b: pybuf.wrap(b.address, 64, owner=memoryview(b)),
    "struct.iter_unpack": lambda b: _started(struct.iter_unpack("<i", b)),
}

#: Keep the Buffer itself and give the Py_buffer back at once, so they cannot be counted.
UNCOUNTED: dict[str, Consumer] = {
    "np.ndarray(buffer=)": lambda b: np.ndarray(64, "B", buffer=b),
    "np.ndarray(buffer=) of part": lambda b: np.ndarray(4, "<i4", buffer=b, offset=16),
    "slice of np.ndarray(buffer=)": lambda b: np.ndarray(64, "B", buffer=b)[5:].view("B"),
    "np.ndarray(buffer=memoryview)": lambda b: np.ndarray(64, "B", buffer=memoryview(b)),
    "array interface, kept beside": lambda b: np.asarray(InterfaceHolder(b)),
    "array interface, handed through": lambda b: np.asarray(InterfaceOnly(b)),
    "slice by array interface": lambda b: np.asarray(InterfaceHolder(b))[::2].view("B"),
    "match of a regular expression": lambda b: re.match(rb"\x00", b),
    "owner= of another Buffer": lambda b: pybuf.wrap(b.address, 64, owner=b),
}
