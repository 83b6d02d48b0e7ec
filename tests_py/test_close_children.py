"""Casts and read-only views are Buffers of their own: closed apart, one export of the parent."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pybuf

CONTENT = b"0123456789abcdef"
BLOCK = (ctypes.c_char * 16)(*CONTENT)
ADDRESS = ctypes.addressof(BLOCK)


def wrapped(release: Callable[[int], Any]) -> pybuf.Buffer:
    return pybuf.wrap(ADDRESS, 16, release=release)


CHILDREN: dict[str, Callable[[pybuf.Buffer], pybuf.Buffer]] = {
    "cast": lambda b: b.cast("B"),
    "toreadonly": lambda b: b.toreadonly(),
    "both": lambda b: b.cast("d").toreadonly().cast("B"),
}


@pytest.mark.parametrize("make", CHILDREN.values(), ids=CHILDREN)
def test_a_child_outlives_the_close_of_its_parent(make, releases):
    b = wrapped(releases)
    child = make(b)
    with pytest.raises(BufferError, match="1 view"):
        b.close(strict=True)
    assert b.close() is False
    del b
    assert not child.closed
    assert child.tobytes() == memoryview(child).tobytes() == CONTENT
    assert releases == []
    del child
    assert releases == [ADDRESS]


@pytest.mark.parametrize("make", CHILDREN.values(), ids=CHILDREN)
def test_the_close_of_a_child_ends_its_export_and_leaves_the_parent_open(make, releases):
    b = wrapped(releases)
    child = make(b)
    assert b.exports == 1
    child.close()
    assert b.exports == 0
    assert not b.closed
    assert b.tobytes() == CONTENT
    with pytest.raises(ValueError, match="closed"):
        memoryview(child)
    del child
    assert b.exports == 0
    assert releases == []


@pytest.mark.parametrize("make", CHILDREN.values(), ids=CHILDREN)
def test_the_close_of_a_child_says_gone_only_if_the_memory_is_gone(make, releases):
    b = wrapped(releases)
    child = make(b)
    assert child.close() is False
    assert releases == []
    only = make(b)
    del b, child
    assert only.close() is True
    assert releases == [ADDRESS]


def test_a_view_of_a_child_keeps_the_memory_when_all_are_closed(releases):
    b = wrapped(releases)
    child = b.toreadonly()
    view = np.asarray(child)
    assert child.close() is False
    assert b.close() is False
    del b, child
    gc.collect()
    assert view.tobytes() == CONTENT
    assert releases == []
    del view
    assert releases == [ADDRESS]
