"""The copy engine by itself: any layout into any other, for every size of items.

Through pybuf a copy has no gaps, and items have the sizes of plain types; the
engine promises more. So it is compiled alone here, and called through ctypes.
"""

from __future__ import annotations

import ctypes
import itertools
import math
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import strategies as s
from hypothesis import given

pytestmark = pytest.mark.build

ROOT = Path(__file__).parents[1]
ENGINE = ("transfer.c", "transfer_plan.c", "transfer_loops.c")
POINTER = ctypes.sizeof(ctypes.c_void_p)
ITEMSIZES = (1, 2, 3, 4, 5, 8, 12, 16, 24, 64, 65, 200)

Dims = ctypes.c_ssize_t * oracle.NDIM_MAX


class CLayout(ctypes.Structure):
    """Layout of shim.h."""

    _fields_ = (
        ("ndim", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("indirect", ctypes.c_bool),
        ("nbytes", ctypes.c_ssize_t),
        ("low", ctypes.c_ssize_t),
        ("high", ctypes.c_ssize_t),
        ("shape", Dims),
        ("strides", Dims),
        ("suboffsets", Dims),
    )


def c_layout(shape: Any, strides: Any, suboffsets: Any = ()) -> CLayout:
    return CLayout(
        ndim=len(shape),
        indirect=bool(suboffsets),
        shape=Dims(*shape),
        strides=Dims(*strides),
        suboffsets=Dims(*suboffsets),
    )


@pytest.fixture(scope="module")
def transfer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler")
    library = tmp_path_factory.mktemp("engine") / "engine.so"
    folders = (ROOT / "capi", ROOT / "pyshim")
    subprocess.run(
        [cc, "-std=c11", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        + [f"-I{folder}" for folder in folders]
        + [str(ROOT / "pyshim" / name) for name in ENGINE]
        + ["-o", str(library)],
        check=True,
    )
    function = ctypes.CDLL(str(library)).transfer_items
    layout = ctypes.POINTER(CLayout)
    function.restype = None
    function.argtypes = [ctypes.c_void_p, layout, ctypes.c_void_p, layout, ctypes.c_ssize_t]
    return function


# ---- layouts with memory ----


@dataclass(frozen=True, eq=False)
class Ground:
    """Memory in which a layout lies, with some bytes to spare on either side."""

    layout: oracle.Layout
    memory: np.ndarray[Any, Any]
    offset: int  # of item 0

    @property
    def address(self) -> int:
        return int(self.memory.ctypes.data) + self.offset

    def items(self, memory: np.ndarray[Any, Any] | None = None) -> np.ndarray[Any, Any]:
        """As NumPy sees them, here or in other memory of this size."""
        return np.ndarray(
            self.layout.shape,
            f"V{self.layout.itemsize}",
            self.memory if memory is None else memory,
            self.offset,
            self.layout.strides,
        )


def ground(layout: oracle.Layout, seed: int, slack: int = 9) -> Ground:
    size = layout.high - layout.low + 2 * slack
    memory = np.random.default_rng(seed).integers(0, 256, size, "u1")
    return Ground(layout, memory, slack - layout.low)


@st.composite
def spread(draw: Any, itemsize: int, shape: tuple[int, ...]) -> oracle.Layout:
    """No two items in one place: axes in any order, turned, with gaps, misaligned."""
    step, strides = itemsize, [0] * len(shape)
    for axis in draw(st.permutations(range(len(shape)))):
        step += draw(st.sampled_from([0, 0, 0, 1, itemsize]))
        strides[axis] = draw(st.sampled_from([1, 1, -1])) * step
        step *= max(shape[axis], 1)
    return oracle.Layout(itemsize, shape, tuple(strides))


# Long enough for more than one tile; not more items than a test has time for.
LONG = ((300,), (3, 600), (70, 90), (300, 130), (5, 40, 70), (33, 2, 65))
long_shapes = st.sampled_from(LONG).flatmap(lambda shape: st.permutations(shape).map(tuple))
all_shapes = st.one_of(s.shapes, long_shapes)


def check(transfer: Any, to: Ground, start: int, layout: CLayout, items: Any) -> None:
    """All items arrive, and no byte around them changes."""
    expected = to.memory.copy()
    to.items(expected)[...] = items
    transfer(
        to.address,
        c_layout(to.layout.shape, to.layout.strides),
        start,
        layout,
        to.layout.itemsize,
    )
    assert np.array_equal(to.memory, expected)


# ---- rules ----


@given(data=st.data(), itemsize=st.sampled_from(ITEMSIZES), shape=all_shapes, seed=st.integers(0))
def test_any_layout_goes_into_any_other(transfer, data, itemsize, shape, seed):
    source = data.draw(
        st.one_of(spread(itemsize, shape), s.layouts(itemsize, of=st.just(shape))), "source"
    )
    here = ground(source, seed)
    there = ground(data.draw(spread(itemsize, shape), "target"), seed + 1)
    check(transfer, there, here.address, c_layout(shape, source.strides), here.items())


def packed(itemsize: int, shape: Any, axes: Any, gap: int) -> oracle.Layout:
    """With the last of the axes as the fastest, `gap` bytes behind each step along it."""
    step, strides = itemsize + gap, [0] * len(shape)
    for axis in reversed(axes):
        strides[axis] = step
        step *= shape[axis]
    return oracle.Layout(itemsize, shape, tuple(strides))


@pytest.mark.parametrize("itemsize", ITEMSIZES)
@pytest.mark.parametrize("shape", [t for shape in LONG for t in {shape, shape[::-1]}], ids=str)
def test_many_items_go_into_any_order_of_axes(transfer, shape, itemsize):
    """Items that are repeated in the source, too: along the fastest axis of the target."""
    there = ground(packed(itemsize, shape, range(len(shape)), 0), 1)
    wide = ground(packed(itemsize, shape, range(len(shape)), 3), 1)
    for axes in itertools.permutations(range(len(shape))):
        for gap in (0, 5, itemsize):
            here = ground(packed(itemsize, shape, axes, gap), 2)
            for to in (there, wide):
                strides = here.layout.strides
                check(transfer, to, here.address, c_layout(shape, strides), here.items())
        strides = (*strides[:-1], 0)
        same = np.broadcast_to(here.items()[..., :1], shape)
        check(transfer, there, here.address, c_layout(shape, strides), same)


@pytest.mark.parametrize("itemsize", [1, 8, 24])
@pytest.mark.parametrize("stride", [4096, 4096 - 200, 600])
def test_many_rows_far_apart_become_columns(transfer, itemsize, stride):
    """Distances of a power of two have a way of their own."""
    shape = (700, 600 // itemsize)
    here = ground(oracle.Layout(itemsize, shape, (stride, itemsize)), 3)
    there = ground(packed(itemsize, shape, (1, 0), 0), 4)
    check(transfer, there, here.address, c_layout(shape, here.layout.strides), here.items())


@dataclass
class Tree:
    """An indirect layout: tables of pointers, and items behind the last of them."""

    strides: tuple[int, ...] = ()
    suboffsets: tuple[int, ...] = ()
    keep: list[Any] = field(default_factory=list)
    leaves: list[Any] = field(default_factory=list)  # in the order of the indices

    def grow(self, levels: list[oracle.Layout], hops: list[int], seed: int) -> tuple[int, Any]:
        """The address of item 0, and the items."""
        here = ground(levels[0], seed)
        self.keep.append(here)
        if len(levels) == 1:
            self.leaves.append(here)
            return here.address, here.items().copy()
        parts = []
        for i, offset in enumerate(levels[0].offsets()):
            address, items = self.grow(levels[1:], hops[1:], seed + i + 1)
            ctypes.c_ssize_t.from_address(here.address + offset).value = address - hops[0]
            parts.append(items)
        rest = sum((level.shape for level in levels[1:]), ())
        return here.address, np.array(parts).reshape(levels[0].shape + rest)


def cut(shape: tuple[int, ...], draw: Any) -> list[tuple[int, ...]]:
    """The axes up to each pointer, and those behind the last."""
    ends = sorted(draw(st.sets(st.integers(1, len(shape)), max_size=len(shape))) if shape else ())
    starts = [0, *ends]
    return [shape[a:b] for a, b in zip(starts, [*ends, len(shape)], strict=True)]


@st.composite
def trees(draw: Any, itemsize: int, shape: tuple[int, ...]) -> tuple[int, CLayout, Tree, Any]:
    """Where it begins, its layout, what keeps it, and its items."""
    groups = cut(shape, draw)
    sizes = [POINTER] * (len(groups) - 1) + [itemsize]
    levels = [draw(spread(size, group)) for size, group in zip(sizes, groups, strict=True)]
    hops = [draw(st.sampled_from([0, 8, 13])) for _ in groups[1:]]
    tree = Tree()
    address, items = tree.grow(levels, hops, draw(st.integers(0, 1000)))
    strides = sum((level.strides for level in levels), ())
    suboffsets = [-1] * len(strides)
    at = -1
    for group, hop in zip(groups, hops, strict=False):
        at += len(group)
        suboffsets[at] = hop
    return address, c_layout(shape, strides, suboffsets), tree, items


# Blocks take time to make: not too many.
tree_shapes = st.one_of(
    st.lists(st.integers(1, 5), max_size=4).map(tuple),
    st.sampled_from([(290, 3), (3, 290), (70, 70), (9, 70, 2), (2, 70, 9), (70, 3, 9)]),
)


@given(data=st.data(), itemsize=st.sampled_from(ITEMSIZES), shape=tree_shapes, seed=st.integers(0))
def test_pointers_are_followed_at_any_axis(transfer, data, itemsize, shape, seed):
    address, layout, tree, items = data.draw(trees(itemsize, shape))
    there = ground(data.draw(spread(itemsize, shape), "target"), seed)
    check(transfer, there, address, layout, items)
    assert tree.keep


@given(data=st.data(), itemsize=st.sampled_from(ITEMSIZES), shape=tree_shapes, seed=st.integers(0))
def test_a_target_may_have_pointers_at_any_axis(transfer, data, itemsize, shape, seed):
    """Either side may; nothing is written but the items."""
    address, layout, tree, _ = data.draw(trees(itemsize, shape), "target")
    if data.draw(st.booleans()):
        start, source, kept, items = data.draw(trees(itemsize, shape), "source")
    else:
        kept = here = ground(data.draw(spread(itemsize, shape), "source"), seed)
        start, items = here.address, here.items()
        source = c_layout(shape, here.layout.strides)
    before = [part.memory.copy() for part in tree.keep]
    transfer(address, layout, start, source, itemsize)
    flat, at = items.reshape(-1), 0
    for part, expected in zip(tree.keep, before, strict=True):
        if part in tree.leaves:
            n = math.prod(part.layout.shape)
            part.items(expected)[...] = flat[at : at + n].reshape(part.layout.shape)
            at += n
        assert np.array_equal(part.memory, expected)
    assert kept is not None


@pytest.mark.parametrize("order", "CF")
def test_there_may_be_64_axes(transfer, order):
    wide = (2, 3, 2, 2, 3, 2, 2)
    shape = (1,) * 50 + sum(((n, 1) for n in wide), ())
    assert len(shape) == oracle.NDIM_MAX
    # NumPy 1 has 32 axes: it sees those along which there is a second item.
    here = ground(oracle.Layout(2, wide, oracle.packed_strides(wide, 2, "C")), 1)
    there = ground(oracle.Layout(2, wide, oracle.packed_strides(wide, 2, order)), 2)
    expected = there.memory.copy()
    there.items(expected)[...] = here.items()
    layouts = [c_layout(shape, oracle.packed_strides(shape, 2, o)) for o in (order, "C")]
    transfer(there.address, layouts[0], here.address, layouts[1], 2)
    assert np.array_equal(there.memory, expected)


@pytest.mark.parametrize("indirect", [False, True])
def test_of_no_items_nothing_is_read(transfer, indirect):
    """Not even the pointers that lead to them."""
    shape, strides = (3, 0, 2), (8, 8, 8)
    suboffsets = (0, -1, -1) if indirect else ()
    transfer(None, c_layout(shape, strides), None, c_layout(shape, strides, suboffsets), 8)
