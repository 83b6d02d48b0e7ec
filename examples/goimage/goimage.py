"""Pictures read and written by Go, bound with ctypes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

import pybuf
from build import library

File = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Array = np.ndarray[Any, np.dtype[np.uint8]]

_lib = ctypes.CDLL(library())
# Without this ctypes takes an address for an int of C, and cuts it.
for _function in (_lib.Decode, _lib.Encode, _lib.Address):
    _function.restype = ctypes.c_size_t


def _name(path: File) -> bytes:
    name = os.fsencode(path)
    if b"\0" in name:  # where C would end it
        raise ValueError("embedded null byte")
    return name


def _array(descriptor: int) -> Array:
    return pybuf.adopt(descriptor).numpy()


def _arrays(function: Any, path: File) -> list[Array]:
    out = (ctypes.c_size_t * 4)()
    return [_array(descriptor) for descriptor in out[: function(_name(path), out)]]


def decode(path: File) -> Array:
    """Read a picture as (height, width, 4): red, green, blue, alpha."""
    return _array(_lib.Decode(_name(path)))


def decode_all(paths: Iterable[File]) -> list[Array | Exception]:
    """Read many pictures at once; of one that cannot be read the exception is in the list."""
    names = [_name(path) for path in paths]
    out = (ctypes.c_size_t * len(names))()
    _lib.DecodeAll((ctypes.c_char_p * len(names))(*names), len(names), out)
    results: list[Array | Exception] = []
    for descriptor in out:
        try:
            results.append(_array(descriptor))
        except Exception as error:
            results.append(error.with_traceback(None))  # which would hold the others
    return results


def parts(path: File) -> list[Array]:
    """Read a picture as its file has it: planes, or indices and palette, or pixels."""
    return _arrays(_lib.Parts, path)


def pair(path: File) -> list[Array]:
    """Read a picture twice, side by side: the whole, its left and its right half."""
    return _arrays(_lib.Pair, path)


def encode(path: File, pixels: Array, quality: int = 90) -> None:
    """Write pixels to a .png or .jpg file."""
    with pybuf.lend(pixels, writable=False) as lent:
        error = _lib.Encode(_name(path), lent, quality)
    if error:
        pybuf.adopt(error)


def address(pixels: Array) -> int:
    """Where Go finds the first pixel."""
    with pybuf.lend(pixels, writable=False) as lent:
        return int(_lib.Address(lent))


def live() -> int:
    """How much memory Go and Python have of each other."""
    return int(_lib.Live())
