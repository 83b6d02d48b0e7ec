"""The rules of the GIL: who holds it when a release runs, and who may let it go."""

from __future__ import annotations

import ctypes
import gc
import threading
from typing import Any

import capi_uses as cu
import numpy as np
import pytest
from capi_uses import ADDRESS, ARRAY, Every

import pybuf

each_kind = pytest.mark.parametrize("flags", [0, ARRAY], ids=["Buffer", "array"])


def count(every: Every) -> int:
    return int(every.module.calls()[0]) - every.before


@each_kind
def test_a_release_runs_on_the_thread_that_drops_the_last_view(every: Every, flags):
    memory = [every.wrap(flags=flags)]
    threads: list[int] = []

    def drop() -> None:
        threads.append(threading.get_ident())
        memory.clear()

    other = threading.Thread(target=drop)
    other.start()
    other.join()
    (call,) = every.calls()
    assert call.thread == threads[0] != threading.get_ident()
    assert call.gil


@each_kind
def test_many_threads_make_and_drop(every: Every, parallel, flags):
    def work(i: int) -> None:
        held: list[Any] = []
        for n in range(200):
            held.append(every.wrap(ADDRESS + 8 * i, (1,), flags=flags))
            if n % 3 == i % 3:
                held.clear()
        assert all(memoryview(m)[0] == i for m in held)

    parallel(work)
    assert count(every) == 8 * 200


@each_kind
def test_what_one_thread_makes_others_drop(every: Every, parallel, flags):
    made = [every.wrap(flags=flags) for _ in range(800)]
    views = [memoryview(m)[i % 8 :] for i, m in enumerate(made)]
    parallel(lambda i: made.__delitem__(slice(0, 100)))
    assert count(every) == 0
    assert made == []
    parallel(lambda i: views.__delitem__(slice(0, 100)))
    assert count(every) == 800


@each_kind
def test_a_release_may_let_the_gil_go(every: Every, parallel, flags):
    block = ctypes.create_string_buffer(64)

    def work(i: int) -> None:
        for _ in range(100):
            a = every.wrap(
                ctypes.addressof(block), (64,), b"B", flags, release=cu.NOTE_WITHOUT_GIL
            )
            b = every.new((i + 1,), flags=flags)
            del a, b

    parallel(work)
    assert count(every) == 800
    assert block.raw[0] == 1


def test_a_loop_of_c_with_releases_that_let_the_gil_go(every: Every, parallel):
    parallel(lambda i: every.loop(200, cu.NOTE_WITHOUT_GIL if i % 2 else cu.NOTE))
    assert count(every) == 8 * 200


@each_kind
def test_a_release_on_a_thread_may_call_python(every: Every, parallel, flags):
    seen: list[int] = []

    def work(i: int) -> None:
        for _ in range(50):
            every.wrap(flags=flags, release=cu.CALL_PYTHON, arg=seen.append)

    parallel(work)
    assert seen == [ADDRESS] * 400


@each_kind
def test_the_dlpack_consumer_may_end_without_the_gil(every: Every, flags):
    memory = every.wrap(flags=flags)
    capsule = memory.__dlpack__()
    del memory
    gc.collect()
    assert count(every) == 0
    every.delete_tensor(capsule)
    gc.collect()
    (call,) = every.calls()
    assert (call.data, call.gil) == (ADDRESS, 1)


def test_an_owner_is_let_go_with_the_gil_wherever_the_last_view_ends(every: Every):
    ended: list[bool] = []

    class Owner:
        def __del__(self) -> None:
            ended.append(threading.current_thread() is threading.main_thread())

    for flags in (0, ARRAY):
        capsule = every.wrap_owned(Owner(), flags=flags).__dlpack__()
        assert ended == []
        every.delete_tensor(capsule)
        gc.collect()
        assert len(ended) == 1
        ended.clear()


def test_live_and_stats_walk_while_others_make_and_drop(every: Every, parallel):
    def work(i: int) -> None:
        for _ in range(100):
            if i == 0:
                pybuf.live()
                assert pybuf.stats()["blocks"] >= 0
            else:
                every.loop(5, cu.NOTE_WITHOUT_GIL)

    parallel(work)
    assert count(every) == 7 * 500


def test_deep_chains_of_owners_end_without_a_deep_stack(every: Every):
    memory = every.wrap()
    for _ in range(20000):
        memory = every.wrap_owned(memory)
    assert np.asarray(memory).tolist() == cu.NUMBERS
    del memory
    assert count(every) == 1


def wrap_and_keep(every: Every, memory: Any, flags: int) -> Any:
    """The same block again, whose release drops that memory."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))
    return every.wrap(flags=flags, release=cu.DROP, arg=memory)


@pytest.mark.parametrize("kinds", [(0,), (ARRAY,), (0, ARRAY)], ids=str)
def test_deep_chains_of_releases_end_without_a_deep_stack(every_c: Every, kinds):
    """Each drops the last reference to the memory before it, whatever that is."""
    memory = every_c.wrap()
    for i in range(100_000):
        memory = wrap_and_keep(every_c, memory, kinds[i % len(kinds)])
    del memory
    assert count(every_c) == 100_001


def test_chains_of_releases_end_on_the_thread_that_dropped_them(every_c: Every, parallel):
    """They wait for the outermost end of their own thread, however many threads there are."""

    def work(i: int) -> None:
        memory = every_c.wrap()
        for n in range(500):
            memory = wrap_and_keep(every_c, memory, ARRAY if n % 7 else 0)
        before = count(every_c)
        del memory
        assert count(every_c) >= before + 501

    parallel(work)
    assert count(every_c) == 8 * 501
