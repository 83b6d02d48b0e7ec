"""IndirectMemory2D.copy_from and copy_to, with the checks of indirect_buffer."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from indirect_memories import A, make, says
from pybuf.indirect import IndirectMemory2D

import pybuf

# ---- copies ----

LAYOUTS = {
    "C": A.copy(),
    "Fortran": np.asfortranarray(A),
    "turned": A[::-1, ::-1].copy()[::-1, ::-1],
    "gaps": np.repeat(np.repeat(A, 2, 0), 2, 1)[::2, ::2],
    "transposed": A.T.copy().T,
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_items_go_from_and_to_any_layout(layout: str):
    source = LAYOUTS[layout]
    mem = make()
    mem.copy_from(source)
    assert memoryview(mem).tolist() == A.tolist()
    target = np.zeros_like(source)
    mem.copy_to(target)
    assert (target == A).all()


def test_items_go_between_two_of_a_kind():
    one, two = make(), make()
    one.copy_from(A)
    one.copy_to(two)
    assert memoryview(two).tolist() == A.tolist()
    three = make()
    three.copy_from(two)
    assert memoryview(three).tolist() == A.tolist()


def test_copies_of_overlapping_memory_are_those_of_what_was_there():
    block = np.arange(24, dtype="i").reshape(6, 4)
    expected = block.copy()
    expected[1:] = block[:-1]
    IndirectMemory2D.view_from_rows(block[1:]).copy_from(
        IndirectMemory2D.view_from_rows(block[:-1], readonly=True)
    )
    assert (block == expected).all()


def test_a_copy_leaves_no_view_behind():
    mem, other = make(), pybuf.zeros((2, 3), "i")
    mem.copy_from(other)
    mem.copy_to(other)
    assert (mem.exports, other.exports) == (0, 0)
    other.resize((3, 2))  # which it refuses once it was lent


@pytest.mark.parametrize("other", [A, np.zeros(3, "i")], ids=["fits", "does not"])
def test_read_only_memory_takes_no_copy_whatever_is_given(other: Any):
    with pytest.raises(BufferError, match=says("copying to readonly buffer")):
        make(readonly=True).copy_from(other)


@pytest.mark.parametrize(
    "target",
    [
        lambda: make(readonly=True),
        lambda: make(5, 5, readonly=True),
        lambda: b"123",
        lambda: pybuf.zeros((2, 3)).toreadonly(),
    ],
    ids=["memory", "of another shape", "bytes", "a Buffer"],
)
def test_nothing_is_copied_to_what_is_read_only(target: Any):
    with pytest.raises(BufferError, match=says("copying to readonly buffer")):
        make().copy_to(target())


WRONG = {
    "wrong number of dimensions: expected 2, received 1": np.zeros(3, "i"),
    "wrong number of dimensions: expected 2, received 3": np.zeros((2, 3, 1), "i"),
    "wrong number of dimensions: expected 2, received 0": np.zeros((), "i"),
}


@pytest.mark.parametrize("text", WRONG)
def test_partners_have_two_dimensions(text: str):
    for copy in (make().copy_from, make().copy_to):
        with pytest.raises(BufferError, match=says(text)):
            copy(WRONG[text])


@pytest.mark.parametrize("shape", [(2, 4), (3, 3), (3, 2)])
def test_partners_have_one_shape(shape: Any):
    for copy in (make().copy_from, make().copy_to):
        with pytest.raises(BufferError, match=says("different shapes")):
            copy(np.zeros(shape, "d"))  # the format would come later


def test_partners_have_one_format_as_it_is_spelled():
    for copy in (make().copy_from, make().copy_to):
        for dtype in ("f", "d", ">i"):
            with pytest.raises(BufferError, match=says("different formats")):
                copy(np.zeros((2, 3), dtype))
    with pytest.raises(BufferError, match=says("different formats")):
        make(2, 3, "<i").copy_from(A)


def test_with_cast_partners_have_one_itemsize():
    for cast in (True, 1):
        with pytest.raises(BufferError, match=says("different itemsizes")):
            make().copy_from(np.zeros((2, 3), "d"), cast=cast)
        with pytest.raises(BufferError, match=says("different itemsizes")):
            make().copy_to(np.zeros((2, 3), "d"), cast)
    mem = make()
    mem.copy_from(np.ones((2, 3), "f"), cast=True)
    assert memoryview(mem)[0, 0] == 0x3F800000
    back = np.zeros((2, 3), "f")
    mem.copy_to(back, cast=True)
    assert (back == 1).all()


def test_copies_that_cannot_be_are_errors_of_the_method_that_was_called():
    mem = make(2, 1, "l")
    table = (ctypes.c_void_p * 2).from_address(mem.address)
    over = pybuf.wrap(mem.address, (2, 1), "l", owner=mem)
    with pytest.raises(ValueError, match=r"^copy_to\(\): items of obj lie where a table"):
        mem.copy_to(over)
    table[1] = None
    with pytest.raises(ValueError, match=r"^copy_to\(\): row 1 of the memory is NULL"):
        mem.copy_to(np.zeros((2, 1), "l"))
    with pytest.raises(ValueError, match=r"^copy_from\(\): row 1 of obj is NULL"):
        make(2, 1, "l").copy_from(mem)


def test_what_exports_nothing_is_refused_in_words():
    with pytest.raises(TypeError, match=r"copy_from\(\): \[1, 2\] has no buffer protocol"):
        make().copy_from([1, 2])
    with pytest.raises(TypeError, match=r"copy_to\(\): None has no buffer protocol"):
        make().copy_to(None)
