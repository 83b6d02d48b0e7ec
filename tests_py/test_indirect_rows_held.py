"""What rows() holds, how long, and what it is to whoever changes it meanwhile."""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from indirect_memories import uneven
from pybuf.indirect import BufferCollection2D, BufferHolder, IndirectMemory2D, rows

import pybuf

POINTER = ctypes.sizeof(ctypes.c_void_p)


def test_each_row_is_held_by_one_export_until_the_last_view_is_gone():
    parts = [bytearray(4) for _ in range(3)]
    before = [sys.getrefcount(p) for p in parts]
    b = rows(parts)
    assert [sys.getrefcount(p) for p in parts] == [n + 1 for n in before]
    view = memoryview(b)
    del b
    for part in parts:
        with pytest.raises(BufferError):
            part.clear()
    view.release()
    del view
    for part in parts:
        part.clear()


def test_close_lets_the_rows_go_at_once_if_nothing_was_lent():
    part = bytearray(4)
    b = rows([part, part])
    assert b.close() is True
    part.clear()


def test_a_table_that_fails_holds_nothing():
    part = bytearray(4)
    for bad in ([part, b"abc"], [part, 5], [[part], []]):
        with pytest.raises((ValueError, TypeError)):
            rows(bad)
    with pytest.raises(ValueError, match="shape"):
        rows([part], shape=2)
    part.clear()


def test_rows_of_a_generator_live():
    def parts() -> Iterator[Any]:
        for i in range(50):
            yield np.full(20, i, "i")

    b = rows(parts())
    gc.collect()
    assert [row[0] for row in b.tolist()] == list(range(50))


def test_released_and_closed_rows_are_refused():
    released = memoryview(b"ab")
    released.release()
    closed = pybuf.zeros(2)
    closed.close()
    for bad in (released, closed):
        with pytest.raises(ValueError, match=r"released|closed"):
            rows([bad])


def test_a_row_that_is_closed_afterwards_stays():
    part = pybuf.copy(b"abc")
    b = rows([part])
    part.close()
    del part
    assert b.tolist() == [[97, 98, 99]]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_lists_that_change_while_rows_are_asked_are_no_danger():
    seq: list[Any] = []

    class Shrinks:
        def __buffer__(self, flags: int) -> memoryview:
            seq.clear()
            gc.collect()
            return memoryview(b"ab")

    seq += [Shrinks(), Shrinks(), Shrinks()]
    assert rows(seq).tolist() == [[97, 98]] * 3
    seq += [[Shrinks()], [Shrinks()]]
    assert rows(seq).tolist() == [[[97, 98]]] * 2
    inner = [b"cd"]

    class Grows:
        def __buffer__(self, flags: int) -> memoryview:
            inner.append(b"ef")
            return memoryview(b"ab")

    with pytest.raises(ValueError, match="row 1 has 2 rows and row 0 has 1"):
        rows([[Grows()], inner])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_nobody_finds_what_is_not_yet_whole():
    class Finder:
        def __buffer__(self, flags: int) -> memoryview:
            for found in gc.get_objects():
                if type(found) in {list, tuple}:
                    assert not any(type(item) is BufferHolder for item in found)
            return memoryview(b"ab")

    rows([Finder(), Finder()])
    BufferCollection2D([Finder(), Finder()])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_an_exporter_that_raises_is_heard_and_the_rest_given_back():
    told = []

    class Exporter:
        def __init__(self, works: bool) -> None:
            self.works = works

        def __buffer__(self, flags: int) -> memoryview:
            if not self.works:
                raise ZeroDivisionError
            return memoryview(b"ab")

        def __release_buffer__(self, view: memoryview) -> None:
            told.append(1)

    with pytest.raises(ZeroDivisionError):
        rows([Exporter(True), Exporter(True), Exporter(False)])
    assert told == [1, 1]


def test_cycles_through_rows_are_collected():
    class Keeper(list[Any]):
        pass

    class Number(ctypes.c_int):
        pass

    keeper, number = Keeper(), Number(5)
    keeper.append(rows([number, number], indirect=True))
    number.keeper = keeper
    ref = weakref.ref(keeper)
    del keeper, number
    gc.collect()
    assert ref() is None


def test_long_chains_of_rows_end():
    b: Any = pybuf.zeros(1)
    for _ in range(60):
        b = rows([b], indirect=True)
    mem: Any = b
    for _ in range(20_000):  # each the owner of the next
        mem = IndirectMemory2D.from_ptr_with_memory_nanny(0, 0, 1, "B", False, mem)
    del b, mem


def test_threads_may_make_rows_of_one_row(parallel: Any):
    parts = [np.full(100, i) for i in range(20)]

    def work(i: int) -> None:
        for _ in range(30):
            b = rows(parts)
            assert b[i, 99] == i

    parallel(work)


def test_the_memory_of_the_rows_is_counted_where_it_is_owned():
    parts = [pybuf.zeros(1000) for _ in range(3)]
    before = pybuf.stats()["bytes"]
    plain, tabled = rows(parts[:2]), rows(parts, indirect=True)
    assert pybuf.stats()["bytes"] == before + 3 * POINTER
    assert (plain.source, tabled.source) == ("foreign", "foreign")


def test_copies_of_rows_are_plain_and_aligned():
    import copy  # noqa: PLC0415

    b = copy.copy(rows(uneven(), indirect=True))
    assert (b.suboffsets, b.source, b.address % 64) == ((), "c", 0)
