"""Indirect memory beside CPython's own: _testbuffer.ndarray, which puts the first axis of any
layout behind pointers (ND_PIL), and whose slices move suboffsets.

As a source, as a target, as rows, and as the consumer of what pybuf exports.
"""

from __future__ import annotations

import _testbuffer
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import py_buffer as pb
import pytest
from hypothesis import given
from pybuf.indirect import BufferCollection2D, IndirectMemory2D, pointers, rows, zeros

import pybuf

ND = _testbuffer
POINTER = ND.get_sizeof_void_p()
NATIVE = "bBhHiIlLqQfd?"
Shape = tuple[int, ...]

formats = st.sampled_from(NATIVE)
shapes = st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)
shapes_2d = st.tuples(st.integers(0, 4), st.integers(0, 4))

# ---- CPython's arrays ----


def cut_of(n: int, before: int, step: int) -> slice:
    """Leaves n items of an axis: forwards from `before` on, or backwards to it."""
    if n == 0:
        return slice(before, before)
    if step > 0:
        return slice(before, before + (n - 1) * step + 1, step)
    last = before + (n - 1) * -step
    return slice(last, before - 1 if before > 0 else None, step)


def reach(n: int, cut: slice) -> int:
    return max(cut.start, cut.stop or 0) + 1 if n else cut.start + 1


@dataclass(frozen=True)
class Design:
    """A base, and how a piece is cut of it."""

    fmt: str
    shape: Shape
    steps: Shape  # strides in items
    flags: int
    lead: Shape  # cut off before all else
    cuts: tuple[slice, ...]

    def make(self, start: int) -> Array:
        """Items count up from there."""
        ends = [(n - 1) * step for n, step in zip(self.shape, self.steps, strict=True)]
        low, high = sum(min(e, 0) for e in ends), sum(max(e, 0) for e in ends)
        numbers = range(start, start + high - low + 1)
        itemsize = np.dtype(self.fmt).itemsize
        base = ND.ndarray(
            [n % 3 == 0 if self.fmt == "?" else n % 100 for n in numbers],
            shape=list(self.shape),
            strides=[step * itemsize for step in self.steps],
            offset=-low * itemsize,
            format=self.fmt,
            flags=self.flags,
        )
        return Array(base, self)


@dataclass(frozen=True)
class Array:
    base: Any
    design: Design

    @property
    def piece(self) -> Any:
        found = self.base
        for cut in (tuple(slice(n, None) for n in self.design.lead), self.design.cuts):
            found = found[cut if len(cut) > 1 else cut[0]]
        return found

    def model(self) -> tuple[Any, Any]:
        """The base as an array of NumPy's, and the piece of that."""
        base = np.array(self.base.tolist(), self.design.fmt).reshape(self.base.shape)
        whole = base[tuple(slice(n, None) for n in self.design.lead)]
        return base, whole[self.design.cuts]


def steps_of(draw: Any, shape: Shape, *, aliases: bool) -> Shape:
    """Any order of axes, turned, with gaps; items of one axis are the same one, if they may."""
    steps, step = [0] * len(shape), 1
    for axis in draw(st.permutations(range(len(shape)))):
        steps[axis] = step * draw(st.sampled_from([1, 1, -1]))
        step *= max(shape[axis], 1) + draw(st.integers(0, 1))
    if aliases and draw(st.booleans()):
        steps[draw(st.integers(0, len(shape) - 1))] = 0
    return tuple(steps)


flags_of = st.sampled_from([ND.ND_PIL, ND.ND_PIL, ND.ND_PIL, 0]).map(ND.ND_WRITABLE.__or__)


def cuts_for(draw: Any, shape: Shape) -> tuple[slice, ...]:
    steps = st.sampled_from([1, 1, 2, -1, -2])
    return tuple(cut_of(n, draw(st.integers(0, 1)), draw(steps)) for n in shape)


@st.composite
def designs(draw: Any, shape: Shape, fmt: str, *, aliases: bool = True) -> Design:
    """Of pieces of this shape."""
    lead = tuple(draw(st.integers(0, 1)) for _ in shape)
    cuts = cuts_for(draw, shape)
    whole = tuple(a + reach(n, cut) for a, n, cut in zip(lead, shape, cuts, strict=True))
    steps = steps_of(draw, whole, aliases=aliases)
    return Design(fmt, whole, steps, draw(flags_of), lead, cuts)


@given(data=st.data(), shape=shapes, fmt=formats)
def test_the_model_is_what_cpython_says(data: Any, shape: Shape, fmt: str):
    array = data.draw(designs(shape, fmt)).make(1)
    assert array.piece.tolist() == array.model()[1].tolist()
    assert array.piece.shape == shape


# ---- copies ----


@given(data=st.data(), shape=shapes, fmt=formats, order=st.sampled_from("CF"))
def test_a_copy_holds_the_items_in_either_order(data: Any, shape: Shape, fmt: str, order: str):
    piece = data.draw(designs(shape, fmt)).make(1).piece
    copied = pybuf.copy(piece, order=order)
    assert copied.tolist() == piece.tolist()
    assert copied.strides == oracle.packed_strides(shape, copied.itemsize, order)
    contiguous = ND.py_buffer_to_contiguous(piece, order, pb.FULL_RO)
    assert memoryview(copied).tobytes("A") == contiguous


@given(data=st.data(), shape=shapes, fmt=formats)
def test_items_go_to_their_places_and_no_others(data: Any, shape: Shape, fmt: str):
    to = data.draw(designs(shape, fmt, aliases=False), "to").make(1)
    of = data.draw(designs(shape, fmt), "of").make(50)
    base, items = to.model()
    items[...] = of.model()[1]
    pybuf.copyto(to.piece, of.piece)
    assert to.base.tolist() == base.tolist()


@given(data=st.data(), shape=shapes, fmt=formats)
def test_items_go_between_pieces_of_one_array_as_if_copied_first(
    data: Any, shape: Shape, fmt: str
):
    one, other = (cuts_for(data.draw, shape) for _ in range(2))
    whole = tuple(max(reach(n, a), reach(n, b)) for n, a, b in zip(shape, one, other, strict=True))
    steps = steps_of(data.draw, whole, aliases=False)
    design = Design(fmt, whole, steps, data.draw(flags_of), (0,) * len(shape), one)
    to = design.make(1)
    of = Array(to.base, replace(design, cuts=other))
    base, items = to.model()
    items[...] = of.model()[1]
    pybuf.copyto(to.piece, of.piece)
    assert to.base.tolist() == base.tolist()


@given(data=st.data(), shape=shapes_2d, fmt=formats)
def test_indirect_memory_is_copied_from_and_to(data: Any, shape: Shape, fmt: str):
    of = data.draw(designs(shape, fmt), "of").make(50)
    to = data.draw(designs(shape, fmt, aliases=False), "to").make(1)
    mem = IndirectMemory2D.create_memory(*shape, fmt)
    mem.copy_from(of.piece)
    assert memoryview(mem).tolist() == of.piece.tolist()
    base, items = to.model()
    items[...] = of.model()[1]
    mem.copy_to(to.piece)
    assert to.base.tolist() == base.tolist()


# ---- rows ----


@given(data=st.data(), shape=shapes_2d, fmt=formats)
def test_rows_without_gaps_are_viewed_and_others_refused(data: Any, shape: Shape, fmt: str):
    array = data.draw(designs(shape, fmt, aliases=False)).make(1)
    piece = array.piece
    if shape[1] > 1 and piece.strides[1] != piece.itemsize:
        with pytest.raises(BufferError, match=r"^rows of the buffer-object aren't contiguous$"):
            IndirectMemory2D.view_from_rows(piece)
        return
    mem = IndirectMemory2D.view_from_rows(piece)
    assert memoryview(mem).tolist() == piece.tolist()
    mem.copy_from(pybuf.zeros(shape, fmt))
    base, items = array.model()
    items[...] = 0
    assert array.base.tolist() == base.tolist()


@given(
    data=st.data(),
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple),
    fmt=formats,
    count=st.integers(1, 4),
    indirect=st.sampled_from([None, True]),
)
def test_arrays_of_one_layout_are_rows_with_their_suboffsets(
    data: Any, shape: Shape, fmt: str, count: int, indirect: bool | None
):
    design = data.draw(designs(shape, fmt))
    made = [design.make(10 * i).piece for i in range(count)]
    b = rows(made, indirect=indirect)
    expected = [piece.tolist() for piece in made]
    assert b.shape == (count, *shape)
    assert b.tolist() == memoryview(b).tolist() == expected
    assert pybuf.copy(b).tolist() == b.numpy().tolist() == expected
    assert [b.row(i).tolist() for i in range(count)] == expected
    if indirect:
        below = tuple(made[0].suboffsets) or (-1,) * len(shape)
        assert b.suboffsets[1:] == below


@given(data=st.data(), fmt=formats, outer=st.tuples(st.integers(1, 3), st.integers(1, 3)))
def test_lists_of_lists_of_arrays_have_a_level_for_each(data: Any, fmt: str, outer: Shape):
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple))
    design = data.draw(designs(shape, fmt, aliases=False))
    made = [[design.make(7 * (i * 3 + j)) for j in range(outer[1])] for i in range(outer[0])]
    b = rows([[array.piece for array in line] for line in made], indirect=True)
    expected = [[array.piece.tolist() for array in line] for line in made]
    assert b.tolist() == pybuf.copy(b, order="F").tolist() == expected
    other = np.array(expected, fmt)[:, ::-1]
    pybuf.copyto(b, other)
    assert [[array.piece.tolist() for array in line] for line in made] == other.tolist()


def walk(b: pybuf.Buffer) -> Any:
    """The items, by one axis after the other."""
    return b.tolist() if b.ndim == 0 else [walk(b.row(i)) for i in range(b.shape[0])]


@given(data=st.data(), shape=shapes, fmt=formats)
def test_rows_of_rows_end_at_the_items(data: Any, shape: Shape, fmt: str):
    piece = data.draw(designs(shape, fmt)).make(1).piece
    b = rows([piece]).row(0)
    assert b.shape == shape
    assert walk(b) == piece.tolist()
    if math.prod(shape):
        last = b
        for _ in shape:
            last = last.row(-1)
        assert last.tolist() == ND.get_pointer(piece, [n - 1 for n in shape])


@given(data=st.data(), shape=shapes, fmt=formats)
def test_arrays_are_views_where_numpy_can_say_them(data: Any, shape: Shape, fmt: str):
    array = data.draw(designs(shape, fmt, aliases=False)).make(1)
    b = rows([array.piece]).row(0)
    assert b.numpy().tolist() == array.piece.tolist()
    view = b.numpy(copy=False)  # CPython's pointers lie at even distances
    base, items = array.model()
    items[...] = 0
    view[...] = 0
    assert array.base.tolist() == base.tolist()


# ---- what pybuf exports ----


@dataclass(frozen=True)
class Export:
    exporter: Any
    items: Any  # in NumPy
    strides: Shape
    suboffsets: Shape

    @property
    def layout(self) -> oracle.Layout:
        items = self.items
        return oracle.Layout(items.itemsize, items.shape, self.strides, self.suboffsets)


def numbers(shape: Shape, fmt: str, start: int = 1) -> Any:
    items = np.arange(start, start + math.prod(shape)).reshape(shape) % 100
    return items.astype(fmt) if fmt != "?" else items % 3 == 0


def packed(shape: Shape, fmt: str, levels: int) -> tuple[Shape, Shape]:
    """Strides and suboffsets behind so many levels of pointers."""
    strides = oracle.packed_strides(shape[levels:], np.dtype(fmt).itemsize)
    return (POINTER,) * levels + strides, (0,) * levels + (-1,) * (len(shape) - levels)


def export_of_zeros(draw: Any, shape: Shape, fmt: str) -> Export:
    levels = draw(st.integers(1, len(shape)))
    b, items = zeros(shape, fmt, levels=levels), numbers(shape, fmt)
    pybuf.copyto(b, items)
    return Export(b, items, *packed(shape, fmt, levels))


def export_of_pointers(draw: Any, shape: Shape, fmt: str) -> Export:
    made = export_of_zeros(draw, shape, fmt)
    levels, old = sum(n == 0 for n in made.suboffsets), made.exporter
    b = pointers(old.address, shape, fmt, levels=levels, owner=old, readonly=draw(st.booleans()))
    return Export(b, made.items, made.strides, made.suboffsets)


def until_pointers(piece: Any) -> list[tuple[int, int]]:
    """Extents and strides of the axes by which the items are found, or their table."""
    axes = list(zip(piece.shape, piece.strides, strict=True))
    return axes[:1] if piece.suboffsets else axes


def export_of_rows(draw: Any, shape: Shape, fmt: str) -> Export:
    """Of CPython's arrays, which may read pointers too."""
    design = draw(designs(shape[1:], fmt)) if len(shape) > 1 else None
    if design is None or shape[0] == 0:
        return export_of_zeros(draw, shape, fmt)
    made = [design.make(10 * i).piece for i in range(shape[0])]
    items = np.array([piece.tolist() for piece in made], fmt).reshape(shape)
    below = tuple(made[0].suboffsets) or (-1,) * (len(shape) - 1)
    back = sum(-(n - 1) * min(s, 0) for n, s in until_pointers(made[0])) if items.size else 0
    return Export(rows(made, indirect=True), items, (POINTER, *made[0].strides), (back, *below))


def export_of_memory(draw: Any, shape: Shape, fmt: str) -> Export:
    shape = (*shape, 2)[:2]
    items = numbers(shape, fmt)
    mem = IndirectMemory2D.create_memory(*shape, fmt, readonly=False)
    mem.copy_from(items)
    mem = IndirectMemory2D.view_from_rows(mem, readonly=draw(st.booleans()))
    return Export(mem, items, *packed(shape, fmt, 1))


def export_of_collection(draw: Any, shape: Shape, fmt: str) -> Export:
    shape = (*shape, 2)[:2]
    items = numbers(shape, fmt)
    mem = BufferCollection2D([row.copy() for row in items], shape[1], fmt)
    return Export(mem, items, *packed(shape, fmt, 1))


MAKERS = (
    export_of_zeros,
    export_of_pointers,
    export_of_rows,
    export_of_memory,
    export_of_collection,
)


@st.composite
def exports(draw: Any) -> Export:
    make: Callable[..., Export] = draw(st.sampled_from(MAKERS))
    shape = draw(st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple))
    return make(draw, shape, draw(formats))


@given(made=exports())
def test_every_request_is_answered_as_the_tables_of_the_documentation_say(made: Export):
    exporter = made.exporter
    with pb.held(exporter, pb.FULL_RO) as view:
        whole = pb.read(view)
    for flags in pb.ALL_REQUESTS:
        expected = oracle.answer(
            made.layout,
            flags,
            buf=exporter.address,
            format=made.items.dtype.char,
            readonly=exporter.readonly,
        )
        assert pb.ask(exporter, flags) == expected, hex(flags)
    assert whole.buf == exporter.address
    assert exporter.exports == 0


@given(made=exports())
def test_cpython_s_consumer_reads_the_items(made: Export):
    requests = [pb.FULL_RO, pb.INDIRECT, *([] if made.exporter.readonly else [pb.FULL])]
    for flags in requests:
        nd = ND.ndarray(made.exporter, getbuf=flags)
        assert (nd.shape, nd.strides) == (made.items.shape, made.strides)
        assert nd.suboffsets == made.suboffsets
        assert (nd.readonly, nd.nbytes) == (made.exporter.readonly, made.items.nbytes)
        assert nd.tobytes() == made.items.tobytes()
        if flags & pb.FORMAT:
            assert nd.tolist() == made.items.tolist()
        assert made.exporter.exports == 1
        del nd
    assert made.exporter.exports == 0


@given(made=exports(), order=st.sampled_from("CF"))
def test_cpython_s_functions_find_the_items(made: Export, order: str):
    exporter, items = made.exporter, made.items
    assert ND.py_buffer_to_contiguous(exporter, order, pb.FULL_RO) == items.tobytes(order)
    for index in itertools.product(*map(range, items.shape)):
        assert ND.get_pointer(exporter, list(index)) == items[index]
    assert not any(ND.is_contiguous(exporter, kind) for kind in "CFA")
    assert ND.get_contiguous(exporter, ND.PyBUF_READ, order).tobytes(order) == items.tobytes(order)


@given(made=exports(), data=st.data())
def test_slices_that_cpython_makes_of_them_are_copied(made: Export, data: Any):
    """It adds to suboffsets, none of which may become negative: also of rows that go
    backwards."""
    steps = st.sampled_from([1, 2, -1, -2])
    cut = tuple(slice(None, None, data.draw(steps)) for _ in made.items.shape)
    nd = ND.ndarray(made.exporter, getbuf=pb.FULL_RO)
    piece = nd[cut if len(cut) > 1 else cut[0]]
    assert pybuf.copy(piece).tolist() == piece.tolist() == made.items[cut].tolist()
