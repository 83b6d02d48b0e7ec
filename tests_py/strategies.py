"""Hypothesis strategies: element types, their spellings, layouts, bad input."""

from __future__ import annotations

import ctypes
import decimal
import fractions
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import py_buffer

import pybuf

# Its arrays over unversioned capsules are read-only.
NUMPY_SPEAKS_VERSIONED_DLPACK = np.lib.NumpyVersion(np.__version__) >= "2.1.0"

NATIVE, SWAPPED = "<>" if sys.byteorder == "little" else "><"


# ---- element types ----


@dataclass(frozen=True)
class Plain:
    """An element type: the home of its letters on the side of the tests."""

    typestr: str  # without byte order
    own: tuple[str, ...]  # native letters that leave as they are; the first one is NumPy's
    other: tuple[str, ...] = ()  # native letters that leave as the first
    standard: tuple[str, ...] = ()  # letters of this size after = < > !; the first one leaves

    @property
    def itemsize(self) -> int:
        return int(self.typestr[1:])

    @property
    def format(self) -> str:
        return self.own[0]

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.typestr)

    @property
    def swapped(self) -> str:
        """The format in the other byte order; the same for single bytes."""
        return self.format if self.itemsize == 1 else SWAPPED + self.standard[0]


PLAIN = (
    Plain("b1", ("?",), standard=("?",)),
    Plain("S1", ("c",), ("s",), ("c", "s")),
    Plain("i1", ("b",), standard=("b",)),
    Plain("u1", ("B",), standard=("B",)),
    Plain("i2", ("h",), standard=("h",)),
    Plain("u2", ("H",), standard=("H",)),
    Plain("i4", ("i",), standard=("i", "l")),
    Plain("u4", ("I",), standard=("I", "L")),
    # LP64: a C long has 8 bytes.
    Plain("i8", ("l", "q"), ("n",), ("q",)),
    Plain("u8", ("L", "Q"), ("N", "P"), ("Q",)),
    Plain("f2", ("e",), standard=("e",)),
    Plain("f4", ("f",), standard=("f",)),
    Plain("f8", ("d",), standard=("d",)),
    Plain("c8", ("Zf",), ("F",), ("Zf", "F")),
    Plain("c16", ("Zd",), ("D",), ("Zd", "D")),
)

# Formats as they leave, both byte orders, each once.
FORMATS = tuple(dict.fromkeys([own for p in PLAIN for own in p.own] + [p.swapped for p in PLAIN]))
ITEMSIZE = {f: p.itemsize for p in PLAIN for f in (*p.own, p.swapped)}
DTYPE = {f: p.dtype for p in PLAIN for f in p.own} | {
    p.swapped: p.dtype.newbyteorder("S") for p in PLAIN
}
# What the struct module can pack; and what memoryview indexes, which is all of
# it from 3.12 on.
NATIVE_FORMATS = tuple(f for f in FORMATS if len(f) == 1)
INDEXABLE_FORMATS = tuple(f for f in NATIVE_FORMATS if f != "e" or sys.version_info >= (3, 12))


@dataclass(frozen=True)
class Spelling:
    """A dtype as a user writes it, and the format that it must leave as."""

    text: str
    format: str

    def __str__(self) -> str:  # pytest's id of a parameter
        return self.text


def _letters(p: Plain) -> Iterator[Spelling]:
    for letter in (*p.own, *p.other):
        leaves = letter if letter in p.own else p.format
        for prefix in ("", "@", "^"):
            yield Spelling(prefix + letter, leaves)
    for letter in p.standard:
        for prefix in ("=", NATIVE):
            yield Spelling(prefix + letter, p.format)
        yield Spelling(SWAPPED + letter, p.swapped)
        yield Spelling("!" + letter, p.swapped if sys.byteorder == "little" else p.format)


def _typestrs(p: Plain) -> Iterator[Spelling]:
    for prefix in ("", "=", "|", NATIVE):
        yield Spelling(prefix + p.typestr, p.format)
    yield Spelling(SWAPPED + p.typestr, p.swapped)


LETTERS = tuple(s for p in PLAIN for s in _letters(p))
TYPESTRS = tuple(s for p in PLAIN for s in _typestrs(p))

formats = st.sampled_from(FORMATS)
indexable_formats = st.sampled_from(INDEXABLE_FORMATS)


# ---- layouts ----

extents = st.integers(0, 4)
shapes = st.lists(extents, max_size=4).map(tuple)
huge = st.one_of(
    st.sampled_from([0, 1, 2, 3, 2**16, 2**31, 2**32, 2**61, 2**62, 2**63 - 1]),
    st.integers(0, 2**63 - 1),
)
# Shapes of every sort: possible, impossible, at the edge of what has an address.
any_shapes = st.one_of(
    shapes,
    st.lists(huge, max_size=5).map(tuple),
    st.lists(st.one_of(huge, st.integers(-(2**70), 2**70)), max_size=5).map(tuple),
    st.integers(0, 70).map(lambda n: (1,) * n),
)


def _strides(draw: Any, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    kind = draw(st.sampled_from(["C", "F", "gaps", "signs", "items", "bytes"]))
    if kind in "CF":
        return oracle.packed_strides(shape, itemsize, kind)
    if kind in ("gaps", "signs"):
        # A packed layout seen through another order of axes, steps and turns.
        order = draw(st.permutations(range(len(shape))))
        step, strides = itemsize, [0] * len(shape)
        for axis in order:
            gap = draw(st.integers(1, 2)) if kind == "gaps" else 1
            turn = draw(st.sampled_from([1, -1, -1, 0])) if kind == "signs" else 1
            strides[axis] = turn * gap * step
            step *= max(shape[axis], 1) * gap
        return tuple(strides)
    step = itemsize if kind == "items" else 1
    return tuple(draw(st.integers(-5, 5)) * step for _ in shape)


@st.composite
def layouts(draw: Any, itemsize: int, *, of: st.SearchStrategy[Any] = shapes) -> oracle.Layout:
    """A layout of few bytes: packed either way, with gaps, negative and zero
    strides, misaligned, of no dimensions, of no items."""
    shape = draw(of)
    return oracle.Layout(itemsize, shape, _strides(draw, shape, itemsize))


@dataclass(frozen=True)
class Block:
    """Bytes with a Buffer over a piece of them."""

    layout: oracle.Layout
    memory: Any  # a ctypes array of chars, larger than the layout
    offset: int  # of item 0
    buffer: pybuf.Buffer

    def item(self, offset: int) -> bytes:
        start = self.offset + offset
        return self.memory.raw[start : start + self.layout.itemsize]

    def twin(self) -> py_buffer.Twin:
        """The same items in the same layout, in other memory."""
        b, layout = self.buffer, self.layout
        return py_buffer.twin(
            self.memory.raw,
            self.offset,
            shape=layout.shape,
            strides=layout.strides,
            itemsize=layout.itemsize,
            format=b.format,
            readonly=b.readonly,
        )

    def tobytes(self) -> bytes:
        """The items in C order, read from the block itself."""
        return b"".join(map(self.item, self.layout.offsets()))


def block_of(
    layout: oracle.Layout, fmt: str, content: bytes, *, slack: int, readonly: bool
) -> Block:
    """A block that just holds the layout, with `slack` bytes at either end.

    content fills it, repeated or cut as needed; without it every byte counts
    up, so that items at different places differ.
    """
    size = layout.high - layout.low + 2 * slack
    fill = content or bytes(range(1, 252))
    memory = (ctypes.c_char * size).from_buffer_copy((fill * (size // len(fill) + 1))[:size])
    offset = slack - layout.low
    buffer = pybuf.wrap(
        ctypes.addressof(memory),
        layout.shape,
        fmt,
        strides=layout.strides,
        readonly=readonly,
        owner=memory,
        nbytes=size,
        offset=offset,
    )
    return Block(layout, memory, offset, buffer)


def counting(shape: Any = (2, 3), fmt: str = "i", **kwargs: Any) -> pybuf.Buffer:
    """New memory whose bytes count up."""
    b = pybuf.empty(shape, fmt, **kwargs)
    ctypes.memmove(b.address, bytes(i % 251 for i in range(b.nbytes)), b.nbytes)
    return b


def indirect(rows: list[list[int]]) -> pybuf.Buffer:
    """A Buffer of C ints whose rows lie behind a table of pointers."""
    arrays = [(ctypes.c_int * len(row))(*row) for row in rows]
    table = (ctypes.c_void_p * len(rows))(*map(ctypes.addressof, arrays))
    return pybuf.wrap(
        table,
        (len(rows), len(rows[0])),
        "i",
        strides=(ctypes.sizeof(ctypes.c_void_p), ctypes.sizeof(ctypes.c_int)),
        suboffsets=(0, -1),
        owner=(table, arrays),
    )


@st.composite
def blocks(draw: Any, fmts: st.SearchStrategy[str] = formats, **kwargs: Any) -> Block:
    fmt = draw(fmts)
    layout = draw(layouts(ITEMSIZE[fmt], **kwargs))
    # Bools are 0 or 1 in memory: any other byte is undefined in C.
    content = bytes([0, 1, 1, 0, 1]) if fmt == "?" else draw(st.binary(max_size=40))
    return block_of(
        layout, fmt, content, slack=draw(st.integers(0, 3)), readonly=draw(st.booleans())
    )


# ---- bad input ----


class Index:
    """An integer that is no int."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __repr__(self) -> str:
        return f"Index({self.value})"


def indices(values: Iterable[int]) -> list[Index]:
    return list(map(Index, values))


_numbers = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64]),
    st.integers(),
    st.sampled_from([10**30, -(10**30)]),
)
letters_of_formats = st.text("?bBcdefghHiIlLnNopPqQstuUVwxXZTMm@=<>!^&|(){}:,.[]0123456789 ")
_plain_objects: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    _numbers,
    _numbers.map(Index),
    _numbers.map(np.array),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=8),
    letters_of_formats,
    st.sampled_from([s.text for s in LETTERS + TYPESTRS] + ["C", "F", "c", "go", "float64"]),
    st.binary(max_size=8),
    st.binary(max_size=8).map(bytearray),
    st.sampled_from([object(), object, int, np.float64, NotImplemented, ..., slice(None), len]),
    st.sampled_from([decimal.Decimal(2), fractions.Fraction(4, 2), range(0), range(3)]),
    st.sampled_from([np.dtype("f8"), np.dtype("O"), np.dtype([("a", "i4")])]),
    st.builds(ctypes.c_int, st.integers(0, 9)),
    st.builds(ctypes.c_void_p, st.integers(0, 9)),
)
things: st.SearchStrategy[Any] = st.one_of(
    _plain_objects,
    st.lists(_plain_objects, max_size=4),
    st.lists(_plain_objects, max_size=4).map(tuple),
    any_shapes,
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.sets(st.integers(0, 9), max_size=3),
    st.lists(st.integers(0, 9), max_size=4).map(np.array),
)
