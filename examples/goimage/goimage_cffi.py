"""Pictures read and written by Go, bound with cffi: the functions of goimage.py."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import cffi
import numpy as np

import pybuf
from build import library

File = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Array = np.ndarray[Any, np.dtype[np.uint8]]

_ffi = cffi.FFI()
_ffi.cdef("""
    uintptr_t Decode(char *path);
    void DecodeAll(char **paths, int n, uintptr_t *out);
    int Parts(char *path, uintptr_t *out);
    int Pair(char *path, uintptr_t *out);
    uintptr_t Encode(char *path, uintptr_t pixels, int quality);
    uintptr_t Address(uintptr_t pixels);
    int Live(void);
""")
_lib = _ffi.dlopen(library())


def _name(path: File) -> bytes:
    name = os.fsencode(path)
    if b"\0" in name:  # where C would end it
        raise ValueError("embedded null byte")
    return name


def _array(descriptor: int) -> Array:
    return pybuf.adopt(descriptor).numpy()


def _arrays(function: Any, path: File) -> list[Array]:
    out = _ffi.new("uintptr_t[4]")
    return [_array(descriptor) for descriptor in out[0 : function(_name(path), out)]]


def decode(path: File) -> Array:
    """Read a picture as (height, width, 4): red, green, blue, alpha."""
    return _array(_lib.Decode(_name(path)))


def decode_all(paths: Iterable[File]) -> list[Array | Exception]:
    """Read many pictures at once; of one that cannot be read the exception is in the list."""
    names = [_ffi.new("char[]", _name(path)) for path in paths]
    out = _ffi.new("uintptr_t[]", len(names))
    _lib.DecodeAll(names, len(names), out)
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
