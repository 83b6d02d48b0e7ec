"""The fast road: an array whose base is a keep, made and freed with no other code at work."""

from __future__ import annotations

import gc
import os
import re
import sys
import tracemalloc
from typing import Any

import capi_uses as cu
import numpy as np
import pytest
import tracing
from capi_uses import ADDRESS, ARRAY, NUMBERS, READONLY, Every

import pybuf

NAME = "pybuf._core._Keep"


def base_of(array: Any) -> str:
    kind = type(array.base)
    return f"{kind.__module__}.{kind.__qualname__}"


def found(address: int = ADDRESS) -> list[pybuf.LiveMemory]:
    return [record for record in pybuf.live() if record.address == address]


def test_packed_memory_has_a_keep(every: Every):
    for shape in ((8,), (2, 4), (1, 2, 4), (1, 2, 1, 4)):
        for flags in (ARRAY, ARRAY | READONLY):
            array = every.wrap(shape=shape, flags=flags)
            assert base_of(array) == NAME
            assert array.base.__class__.__name__ == "_Keep"
            assert re.fullmatch(r"<keep of 64 bytes at 0x[0-9a-f]+>", repr(array.base))
            assert bytes(memoryview(array.base)) == bytes(cu.BLOCK)
    assert base_of(every.new((8,))[0]) == NAME


STRUCT = b"T{<d:price:<q:a name that is long:}"


@pytest.mark.parametrize(
    "asked",
    [
        {"strides": (16,), "shape": (4,)},
        {"strides": (8, 32), "shape": (4, 2)},
        {"format": b"(2)d", "shape": (4,)},
        {"format": STRUCT, "shape": (4,)},
        {"format": STRUCT, "shape": (2,), "strides": (32,)},
        {"format": b"<u2", "shape": (2, 2, 8)},
    ],
    ids=str,
)
def test_so_has_memory_with_strides_or_of_any_type(every: Every, asked):
    for _ in range(2):
        array = every.wrap(**asked)
        assert base_of(array) == NAME
        (record,) = found()
        assert (record.shape, record.strides) == (array.shape, array.strides)
        array.setflags(write=False)
        array.setflags(write=True)
        low, high = np.lib.array_utils.byte_bounds(array)
        with memoryview(array.base) as view:
            assert view.nbytes == record.nbytes == high - low


def test_memory_below_its_first_item_is_in_the_keep(every: Every):
    array = every.wrap(ADDRESS + 56, (8,), strides=(-8,))
    assert array.tolist() == NUMBERS[::-1]
    assert bytes(memoryview(array.base)) == bytes(cu.BLOCK)
    del array
    assert every.released() == [(ADDRESS + 56, 64)]


def test_each_layout_is_judged_as_what_it_is(every: Every):
    """The verdict on the last strides is kept, and serves no others."""
    asked = [
        {"shape": (4,), "strides": (16,)},
        {"shape": (3,), "strides": (16,)},
        {"shape": (3,), "strides": (8,)},
        {"shape": (3,), "strides": (8,), "format": b"f"},
        {"shape": (3, 1), "strides": (8, 8), "format": b"f"},
        {"shape": (3,), "strides": (-8,), "format": b"f", "data": ADDRESS + 16},
    ]
    for more in (asked, asked[::-1], asked[::2]):
        for one in more:
            for _ in range(2):
                array = every.wrap(**one)
                want = np.ndarray(
                    one["shape"],
                    one.get("format", b"d").decode(),
                    cu.BLOCK,
                    one.get("data", ADDRESS) - ADDRESS,
                    one["strides"],
                )
                assert (array.shape, array.strides) == (want.shape, want.strides)
                assert array.tobytes() == want.tobytes()
                (record,) = found(one.get("data", ADDRESS))
                assert record.nbytes == np.subtract(*np.lib.array_utils.byte_bounds(want)[::-1])
                del array, record


def test_formats_are_told_apart_though_few_are_kept(every: Every):
    names = [f"{'field of a name that is long' * (i % 3)}{i}" for i in range(100)]
    for _ in range(2):
        for name in names:
            array = every.wrap(shape=(8,), format=f"T{{d:{name}:}}".encode())
            assert array.dtype.names == (name,)
            del array


@pytest.mark.parametrize("asked", [{"shape": (0,)}, {"shape": (1, 1, 1, 1, 8)}], ids=str)
def test_other_memory_has_a_lease_of_a_buffer(every: Every, asked):
    assert base_of(every.wrap(**asked)) == "pybuf._core._Lease"


def test_nobody_makes_a_keep_or_changes_the_type(every: Every):
    keep = type(every.wrap().base)
    with pytest.raises(TypeError, match="cannot create"):
        keep()
    with pytest.raises(TypeError, match="immutable"):
        keep.x = 1


def test_the_base_lives_as_long_as_a_view(every: Every):
    base = every.wrap().base
    gc.collect()
    assert memoryview(base).nbytes == 64
    assert every.released() == []
    del base
    assert every.released() == [(ADDRESS, 64)]


# ---- what runs meanwhile ---------------------------------------------------------------


def test_neither_go_nor_python_runs(every: Every, go_calls):
    loop, events = every.module.loop, list[str]()
    loop(1, cu.NOTE)
    before = go_calls()
    sys.setprofile(lambda frame, event, arg: events.append(event))
    try:
        loop(100, cu.NOTE)
    finally:
        sys.setprofile(None)
    assert go_calls() == before == pybuf.stats()["go_calls"]
    assert events == ["c_call", "c_return", "c_call"]  # the loop's own, and the end of this
    assert len(every.calls()) == 64  # as many as are remembered
    assert every.module.calls()[0] - every.before == 101


def test_making_and_freeing_leaves_the_allocator_where_it_was(every: Every):
    every.loop(10, cu.NOTE)
    before = sys.getallocatedblocks()
    every.loop(1000, cu.NOTE)
    assert abs(sys.getallocatedblocks() - before) < 50


def test_all_that_was_made_was_freed(every: Every):
    before = pybuf._core._counters()
    every.loop(100, cu.NOTE)
    after = pybuf._core._counters()
    assert after["made"] - before["made"] == after["freed"] - before["freed"] == 100
    assert after["live_bytes"] == before["live_bytes"]


def test_many_at_once_are_kept_apart(every: Every):
    block = np.arange(300.0)
    address = block.ctypes.data
    arrays = [every.wrap(address + 8 * i, (1,)) for i in range(300)]
    for i in (*range(0, 300, 3), *range(1, 300, 3)):
        arrays[i] = None
    assert len(every.calls()) == 64
    assert [a.tolist() for a in arrays if a is not None] == [[i] for i in range(2, 300, 3)]
    again = [every.wrap(address + 8 * i, (1,)) for i in range(100)]
    assert [a.tolist() for a in again] == [[i] for i in range(100)]


# ---- who is told -----------------------------------------------------------------------


def test_it_is_listed_as_it_is(every: Every):
    before = pybuf.stats()
    array = every.wrap(shape=(2, 2), format=b"<f8", flags=ARRAY | READONLY)
    (record,) = found()
    assert (record.nbytes, record.shape, record.strides) == (32, (2, 2), (16, 8))
    assert (record.format, record.source, record.exports) == ("d", "foreign", 1)
    assert (record.readonly, record.closed, record.where) == (True, False, None)
    after = pybuf.stats()
    for key, more in (("blocks", 1), ("bytes", 32), ("exports", 1)):
        assert after[key] - before[key] == more
        assert after["sources"]["foreign"][key] - before["sources"]["foreign"][key] == more
    del array
    assert found() == []
    assert pybuf.stats()["blocks"] == before["blocks"]


def test_new_memory_is_listed_as_c_s(every: Every):
    before = pybuf.stats()["sources"]["c"]
    array, address = every.new((3, 4), b"i")
    (record,) = found(address)
    assert (record.source, record.nbytes, record.shape) == ("c", 48, (3, 4))
    after = pybuf.stats()["sources"]["c"]
    assert (after["blocks"] - before["blocks"], after["bytes"] - before["bytes"]) == (1, 48)
    assert array.ctypes.data == address


def test_a_release_does_not_see_its_own_memory(every: Every):
    seen: list[Any] = []
    look = lambda address: seen.append(found(address))  # noqa: E731
    array = every.wrap(release=cu.CALL_PYTHON, arg=look)
    del array
    assert seen == [[]]


def test_an_array_made_in_a_release_has_a_keep_of_its_own(every: Every):
    made: list[Any] = []
    again = lambda address: made.append(every.wrap())  # noqa: E731
    array = every.wrap(release=cu.CALL_PYTHON, arg=again)
    first = id(array.base)
    del array
    assert made[0].tolist() == NUMBERS
    assert id(made[0].base) != first
    made.clear()
    assert len(every.calls()) == 2


def test_a_trace_sees_what_is_made_while_it_is_on(every: Every):
    with tracing.traced() as lines:
        array = every.wrap()
        assert base_of(array) == "pybuf._core._Lease"
        array = None
    assert tracing.events(lines) == ["wrap", "export", "release", "free"]
    assert all(line.address == ADDRESS for line in lines)
    assert "self.module.wrap(" in tracing.source(lines[0].where) or lines[0].where
    assert base_of(every.wrap()) == NAME


def test_a_trace_is_told_of_the_end_of_what_was_made_before(every: Every):
    array = every.wrap()
    with tracing.traced() as lines:
        del array
    (line,) = lines
    assert (line.event, line.address, line.nbytes, line.source) == ("free", ADDRESS, 64, "foreign")
    assert line.before is None


def test_tracemalloc_sees_new_memory_and_not_that_of_others(every: Every):
    only = tracemalloc.DomainFilter(True, pybuf.tracemalloc_domain)

    def traced() -> int:
        taken = tracemalloc.take_snapshot().filter_traces([only])
        return sum(s.size for s in taken.statistics("filename"))

    early = every.new((1000,), b"B")[0]
    tracemalloc.start()
    try:
        late, _ = every.new((2000,), b"B")
        other = every.wrap()
        assert traced() == 2000
        del early, other
        assert traced() == 2000
        del late
        assert traced() == 0
    finally:
        tracemalloc.stop()


def test_what_is_alive_when_python_has_ended_is_reported(with_every):
    done = with_every(
        """
        c.new((1,))
        c.keep(0, c.wrap(release=END_PROCESS))
        c.keep(1, c.new((3,), b"h")[0])
        """,
        env=os.environ | {"PYBUF_LEAKS": "1"},
        check=False,
    )
    assert done.returncode == 0
    first, *rest = done.stderr.splitlines()
    assert "2 memories of 70 bytes still alive after the end of Python" in first
    assert re.fullmatch(r"  0x[0-9a-f]+: 64 bytes of foreign, format 'd', exports 1", rest[0])
    assert re.fullmatch(r"  0x[0-9a-f]+: 6 bytes of c, format 'h', exports 1", rest[1])
    assert len(rest) == 2
