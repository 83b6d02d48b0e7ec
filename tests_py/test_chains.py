"""Buffers that own one another, in chains of any length, end without deep recursion."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from blocks import NativeRelease

import pybuf

#: Each level of an unchecked recursion takes some hundred bytes of stack, which has 8 MiB.
LENGTH = 100_000

BLOCK = ctypes.create_string_buffer(8)


class Holder:
    """An object in the middle of a chain."""

    def __init__(self, held: Any) -> None:
        self.held = held


def _nothing(*_held_and_address: Any) -> None:
    pass


@NativeRelease
def _natively(data: int, nbytes: int, arg: int | None) -> None:
    pass


LINKS: dict[str, Callable[[Any], Any]] = {
    "owner": lambda b: pybuf.wrap(BLOCK, owner=b),
    "owner and callback": lambda b: pybuf.wrap(BLOCK, owner=b, release=_nothing),
    "owner and native release": lambda b: pybuf.wrap(BLOCK, owner=b, release=(_natively, None)),
    "callback": lambda b: pybuf.wrap(BLOCK, release=partial(_nothing, b)),
    "closure": lambda b: pybuf.wrap(BLOCK, release=lambda _, held=b: None),
    "owner in a list": lambda b: pybuf.wrap(BLOCK, owner=[b]),
    "owner in a tuple": lambda b: pybuf.wrap(BLOCK, owner=(b,)),
    "owner in an object": lambda b: pybuf.wrap(BLOCK, owner=Holder(b)),
    "view of the owner": lambda b: pybuf.wrap(BLOCK, owner=memoryview(b)),
    "array of the owner": lambda b: pybuf.wrap(BLOCK, owner=b.numpy()),
    "uncounted array of the owner": lambda b: pybuf.wrap(BLOCK, owner=np.ndarray(8, "B", b)),
    "toreadonly": lambda b: b.toreadonly(),
    "cast": lambda b: b.cast("d"),
    "lent and adopted": lambda b: pybuf.adopt(pybuf.lend(b, writable=False)),
}


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS)
def test_a_chain_of_buffers_that_own_one_another_ends_without_overflow(link):
    freed: list[int] = []
    chain = pybuf.wrap(BLOCK, release=freed.append)
    for _ in range(LENGTH):
        chain = link(chain)
    assert freed == []
    del chain
    assert freed == [ctypes.addressof(BLOCK)]


def test_a_mixed_chain_ends_without_overflow():
    links = list(LINKS.values())
    freed: list[int] = []
    chain = pybuf.wrap(BLOCK, release=freed.append)
    for i in range(LENGTH):
        chain = links[i % len(links)](chain)
    del chain
    assert freed == [ctypes.addressof(BLOCK)]


def test_every_link_is_freed_before_the_statement_ends_and_the_outer_ones_first():
    freed: list[int] = []
    chain = None
    for i in range(1000):
        chain = pybuf.wrap(i, 0, owner=chain, release=freed.append)
    del chain
    assert freed == list(range(999, -1, -1))


def test_many_short_chains_inside_one_release_are_all_freed():
    """Each end below the depth at which the dead must wait; none may be forgotten there."""
    freed: list[int] = []

    def tree(depth: int) -> pybuf.Buffer:
        children = [tree(depth - 1) for _ in range(2)] if depth else []
        return pybuf.wrap(depth, 0, owner=children, release=freed.append)

    root = tree(10)
    chain = root
    for _ in range(100):
        chain = pybuf.wrap(BLOCK, owner=chain)
    del root, chain
    assert len(freed) == 2**11 - 1


def test_a_chain_that_is_garbage_in_a_cycle_ends_without_overflow():
    freed: list[int] = []
    cycle: list[Any] = []
    chain = pybuf.wrap(BLOCK, owner=cycle, release=freed.append)
    for _ in range(LENGTH):
        chain = pybuf.wrap(BLOCK, owner=chain, release=_nothing)
    cycle.append(chain)
    del cycle, chain
    assert freed == []
    gc.collect()
    assert freed == [ctypes.addressof(BLOCK)]


def test_a_chain_made_by_callbacks_that_drop_the_next_one_ends_without_overflow():
    """No reference joins these: each release takes the last name of the next Buffer away."""
    freed: list[int] = []
    waiting: list[pybuf.Buffer] = []

    def release(address: int) -> None:
        freed.append(address)
        if waiting:
            waiting.pop()

    length = 500  # a Python call at each level counts against the recursion limit
    waiting.extend(pybuf.wrap(i, 0, release=release) for i in range(length))
    waiting.pop()
    assert sorted(freed) == list(range(length))
