"""The C struct Py_buffer, by ctypes: what a consumer written in C sees."""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

SIMPLE = 0
WRITABLE = 0x001
FORMAT = 0x004
ND = 0x008
STRIDES = 0x010 | ND
C_CONTIGUOUS = 0x020 | STRIDES
F_CONTIGUOUS = 0x040 | STRIDES
ANY_CONTIGUOUS = 0x080 | STRIDES
INDIRECT = 0x100 | STRIDES
CONTIG = ND | WRITABLE
CONTIG_RO = ND
STRIDED = STRIDES | WRITABLE
STRIDED_RO = STRIDES
RECORDS = STRIDES | WRITABLE | FORMAT
RECORDS_RO = STRIDES | FORMAT
FULL = INDIRECT | WRITABLE | FORMAT
FULL_RO = INDIRECT | FORMAT

# Every number that is made of bits with a meaning, whole requests or not: the
# named requests, all that can be or-ed of them, and pieces of them. Not 0x100
# alone: that is PyBUF_READ, no request, and 3.13 refuses it without asking.
ALL_REQUESTS = [n for n in range(0x200) if not n & 0x002 and n != 0x100]


class PyBuffer(ctypes.Structure):
    """The fields of the limited API's Py_buffer, in their order."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_ssize_t)),
        ("strides", ctypes.POINTER(ctypes.c_ssize_t)),
        ("suboffsets", ctypes.POINTER(ctypes.c_ssize_t)),
        ("internal", ctypes.c_void_p),
    )


_api = ctypes.PyDLL(None)  # not pythonapi, whose functions all modules share
_get = _api.PyObject_GetBuffer
_get.argtypes = [ctypes.py_object, ctypes.POINTER(PyBuffer), ctypes.c_int]
_release = _api.PyBuffer_Release
_release.argtypes = [ctypes.POINTER(PyBuffer)]
_release.restype = None
memoryview_of = _api.PyMemoryView_FromBuffer
memoryview_of.argtypes = [ctypes.POINTER(PyBuffer)]
memoryview_of.restype = ctypes.py_object
_is_contiguous = _api.PyBuffer_IsContiguous
_is_contiguous.argtypes = [ctypes.POINTER(PyBuffer), ctypes.c_char]


@dataclass(frozen=True)
class Answer:
    """A granted request; None where the struct has NULL."""

    buf: int | None
    len: int
    itemsize: int
    readonly: bool
    ndim: int
    format: str | None
    shape: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    suboffsets: tuple[int, ...] | None


def _dims(pointer: Any, n: int) -> tuple[int, ...] | None:
    return tuple(pointer[:n]) if pointer else None


def read(view: PyBuffer) -> Answer:
    return Answer(
        buf=view.buf,
        len=view.len,
        itemsize=view.itemsize,
        readonly=bool(view.readonly),
        ndim=view.ndim,
        format=None if view.format is None else view.format.decode(),
        shape=_dims(view.shape, view.ndim),
        strides=_dims(view.strides, view.ndim),
        suboffsets=_dims(view.suboffsets, view.ndim),
    )


def dirty() -> PyBuffer:
    """A struct as a consumer's stack has it: no field is zero by chance."""
    view = PyBuffer()
    ctypes.memset(ctypes.byref(view), 0xAA, ctypes.sizeof(view))
    return view


def get(obj: object, flags: int, view: PyBuffer) -> None:
    _get(obj, view, flags)


def release(view: PyBuffer) -> None:
    _release(view)


@contextlib.contextmanager
def held(obj: object, flags: int) -> Iterator[PyBuffer]:
    """The struct, for as long as the request is held."""
    view = dirty()
    _get(obj, view, flags)
    try:
        yield view
    finally:
        _release(view)


def ask(obj: object, flags: int) -> Answer | None:
    """What a request is answered; None if it is refused with BufferError."""
    view = dirty()
    try:
        _get(obj, view, flags)
    except BufferError:
        return None
    answer = read(view)
    _release(view)
    return answer


def is_contiguous(
    shape: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    order: str,
    suboffsets: Sequence[int] | None = None,
) -> bool:
    """CPython's PyBuffer_IsContiguous, asked about a layout."""
    n = len(shape)
    dims = ctypes.c_ssize_t * n
    view = PyBuffer()
    view.len = itemsize
    for extent in shape:
        view.len *= extent
    view.itemsize = itemsize
    view.ndim = n
    view.shape = dims(*shape)
    view.strides = dims(*strides)
    if suboffsets:
        view.suboffsets = dims(*suboffsets)
    return bool(_is_contiguous(view, order.encode()))


@dataclass(frozen=True)
class Twin:
    """A memoryview that no exporter stands behind, over a copy of a block:
    CPython's own answer to the question what a layout holds."""

    memory: Any
    format: bytes
    view: memoryview


def twin(
    content: bytes,
    offset: int,
    *,
    shape: Sequence[int],
    strides: Sequence[int],
    itemsize: int,
    format: str,  # noqa: A002
    readonly: bool,
) -> Twin:
    # One byte more: even an empty block needs an address.
    memory = ctypes.create_string_buffer(content, len(content) + 1)
    dims = ctypes.c_ssize_t * len(shape)
    text = format.encode(errors="surrogateescape")
    view = PyBuffer(
        buf=ctypes.addressof(memory) + offset,
        len=math.prod(shape) * itemsize,
        itemsize=itemsize,
        readonly=readonly,
        ndim=len(shape),
        format=text,
        shape=dims(*shape),
        strides=dims(*strides),
    )
    return Twin(memory, text, memoryview_of(view))
