"""live() lists each memory that is alive, and changes nothing by looking."""

from __future__ import annotations

import ctypes
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pybuf

Fresh = Callable[..., Any]
Parallel = Callable[..., None]
BLOCK = ctypes.create_string_buffer(64)
ADDRESS = ctypes.addressof(BLOCK)


def found(address: int) -> list[pybuf.LiveMemory]:
    return [record for record in pybuf.live() if record.address == address]


def test_a_record_says_what_the_buffer_says():
    b = pybuf.zeros((2, 3), "<f8", source="go").toreadonly()
    owner = b.owner
    view = memoryview(b)
    (record,) = found(b.address)
    assert record.nbytes == owner.nbytes == 48
    assert record.shape == owner.shape == (2, 3)
    assert record.strides == owner.strides
    assert record.format == owner.format
    assert record.source == owner.source == "go"
    assert record.exports == 1
    assert record.readonly is owner.readonly is False
    assert record.closed is owner.closed is False
    assert record.where is None
    view.release()


def test_a_record_shows_its_fields_and_cannot_be_changed():
    b = pybuf.zeros(5)
    (record,) = found(b.address)
    text = repr(record)
    assert text.startswith("pybuf.LiveMemory(address=")
    assert "nbytes=5, shape=(5,), strides=(1,), format='B', source='c', exports=0" in text
    assert len(record) == 10
    assert hash(record) == hash(tuple(record))
    with pytest.raises(AttributeError):
        record.nbytes = 3  # type: ignore[misc]


def test_looking_lends_nothing_and_keeps_nothing():
    b = pybuf.zeros(16)
    records = pybuf.live()
    b.resize(32)  # refused once anything was lent
    gone = weakref.ref(b)
    assert b.close() is True
    del b
    assert gone() is None
    assert records


def test_memories_are_listed_and_not_the_buffers_that_are_views_of_them():
    before = len(pybuf.live())
    b = pybuf.zeros(16)
    cast = b.cast("h").toreadonly()
    assert len(pybuf.live()) == before + 1
    address = b.address
    del b
    assert len(found(address)) == 1
    del cast
    assert found(address) == []


def test_the_oldest_comes_first():
    made = [pybuf.zeros(n) for n in (3, 1, 2)]
    addresses = [b.address for b in made]
    assert [r.address for r in pybuf.live() if r.address in addresses] == addresses


def test_a_closed_memory_is_listed_as_long_as_it_is_there():
    b = pybuf.zeros(16)
    address, view = b.address, memoryview(b)
    b.close()
    del b
    assert [r.closed for r in found(address)] == [True]
    view.release()
    assert found(address) == []


def test_memory_of_zero_bytes_and_wrapped_memory_are_listed():
    nothing = pybuf.wrap(0, 0, unowned=True)
    strided = pybuf.wrap(ADDRESS + 63, 32, "B", strides=-2, unowned=True)
    records = pybuf.live()[-2:]
    assert [(r.nbytes, r.shape, r.strides, r.source) for r in records] == [
        (0, (0,), (1,), "foreign"),
        (63, (32,), (-2,), "foreign"),
    ]
    del nothing, strided


class Holder:
    array: Any
    buffer: Any


def test_a_cycle_that_the_collector_cannot_free_is_found():
    block = ctypes.create_string_buffer(16)
    holder = Holder()
    holder.array = np.asarray(pybuf.wrap(ctypes.addressof(block), 16, owner=holder))
    arrays = holder.__dict__  # the way to break it again
    del holder
    gc.collect()
    assert len(found(ctypes.addressof(block))) == 1
    arrays.clear()
    assert found(ctypes.addressof(block)) == []


# ---- at awkward moments -------------------------------------------------------------------


def test_a_release_does_not_see_its_own_memory():
    seen: list[Any] = []
    b = pybuf.wrap(ADDRESS, 64, release=lambda address: seen.append(found(address)))
    del b
    assert seen == [[]]


def test_a_weak_reference_that_ends_does_not_see_the_memory():
    seen: list[Any] = []
    b = pybuf.zeros(16)
    address = b.address
    weak = weakref.ref(b, lambda _: seen.append(found(address)))
    del b
    assert seen == [[]]
    assert weak() is None


def test_the_dead_of_a_long_chain_are_not_listed():
    """They wait for one another when one owns the next."""
    seen: list[int] = []
    before = len(pybuf.live())
    b = pybuf.wrap(ADDRESS, 64, release=lambda _: seen.append(len(pybuf.live())))
    for _ in range(200):
        b = pybuf.wrap(ADDRESS, 64, owner=b)
    for _ in range(3):
        b = pybuf.wrap(ADDRESS, 64, owner=b, release=lambda _: seen.append(len(pybuf.live())))
    assert len(pybuf.live()) == before + 204
    del b
    assert [n - before for n in seen] == [203, 202, 201, 0] or max(seen) <= before + 203
    assert len(pybuf.live()) == before


def test_a_release_that_the_collector_runs_may_look():
    seen: list[Any] = []
    holder = Holder()
    holder.buffer = pybuf.wrap(
        ADDRESS, 64, owner=holder, release=lambda address: seen.append(found(address))
    )
    del holder
    gc.collect()
    assert seen == [[]]


def test_the_collector_may_end_buffers_while_the_list_is_made():
    """On 3.11 it runs whenever a tuple is made."""
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(50):
            for _ in range(10):
                holder = Holder()
                holder.buffer = pybuf.wrap(
                    ADDRESS, (2, 4, 8), owner=holder, release=lambda _: pybuf.live()
                )
            for record in pybuf.live():
                assert record.nbytes >= 0
    finally:
        gc.set_threshold(*threshold)
    gc.collect()


def test_threads_may_look_while_others_make_and_end(parallel: Parallel):
    done = threading.Event()

    def work(i: int) -> None:
        if i == 0:
            while not done.is_set():
                for record in pybuf.live():
                    assert record.source in {"c", "go", "foreign"}
                pybuf.stats()
            return
        try:
            for n in range(2000):
                pybuf.zeros((n % 7, 3), "d").numpy()
        finally:
            done.set()

    parallel(work, 4)


def test_a_forked_child_sees_what_it_took_over(fresh: Fresh):
    fresh(
        """
        import os, pybuf
        b = pybuf.zeros(100)
        g = pybuf.zeros(50, source="go")
        before = pybuf.live()
        if (pid := os.fork()) == 0:
            calls = pybuf.stats()["go_calls"]
            good = pybuf.live() == before
            del g
            good = good and len(pybuf.live()) == 1 and pybuf.stats()["go_calls"] == calls
            os._exit(0 if good else 1)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        options=("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning"),
    )


def test_records_of_a_module_that_is_gone_stay(fresh: Fresh):
    fresh(
        """
        import gc, sys, pybuf
        b = pybuf.zeros(5)
        records = pybuf.live()
        for name in [n for n in sys.modules if n.partition(".")[0] == "pybuf"]:
            del sys.modules[name]
        del pybuf
        gc.collect()
        assert records[0].nbytes == 5, records
        del b
        import pybuf
        assert pybuf.live() == []
        """
    )
