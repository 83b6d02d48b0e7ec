"""Many threads make, view, close and drop Buffers; every count is exact at the end."""

from __future__ import annotations

import ctypes
import gc
import itertools
import queue
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from blocks import NativeRelease, libc, malloc

import pybuf
from pybuf import _core

Parallel = Callable[..., None]

THREADS = 8
ROUNDS = 300


@pytest.fixture(autouse=True)
def _switch_often() -> Iterator[None]:
    """Threads change places at nearly every instruction of Python."""
    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(old)


@pytest.fixture
def made_and_freed() -> Callable[[], tuple[int, int]]:
    """Memories made and freed since the test began."""
    start = _core._counters()

    def since() -> tuple[int, int]:
        now = _core._counters()
        return now["made"] - start["made"], now["freed"] - start["freed"]

    return since


@pytest.mark.parametrize("source", ["c", "go"])
def test_counters_are_exact_after_many_threads_made_and_freed(
    source: Any, parallel: Parallel, made_and_freed
):
    def work(_: int) -> None:
        for i in range(ROUNDS):
            b = pybuf.zeros((i % 7, 3), "d", source=source)
            memoryview(b)
            b.numpy()

    parallel(work, THREADS)
    assert made_and_freed() == (THREADS * ROUNDS, THREADS * ROUNDS)


def test_one_buffer_viewed_by_many_threads_counts_every_view(parallel: Parallel, releases):
    block = ctypes.create_string_buffer(64)
    b = pybuf.wrap(block, 64, release=releases)
    views: list[Any] = []
    kinds = [memoryview, np.asarray, pybuf.Buffer.numpy, pybuf.Buffer.toreadonly]

    def work(_: int, b: pybuf.Buffer = b) -> None:
        for i in range(ROUNDS):
            views.append(kinds[i % 4](b))  # noqa: PERF401

    parallel(work, THREADS)
    del work
    assert b.exports == len(views) == THREADS * ROUNDS

    def drop(_: int) -> None:
        for _ in range(ROUNDS):
            views.pop()

    parallel(drop, THREADS)
    assert b.exports == 0
    assert releases == []
    del b
    assert releases == [ctypes.addressof(block)]


def test_close_from_many_threads_frees_once(parallel: Parallel, releases):
    said: list[bool] = []
    for i in range(100):
        b = pybuf.wrap(i, 0, release=releases)
        parallel(lambda _, b=b: said.append(b.close()), threads=4)
    assert said == [True] * 400
    assert releases == list(range(100))


def test_close_races_with_new_views_and_each_sees_one_of_two_worlds(parallel: Parallel):
    """A view that was given out reads; a refusal is a ValueError. There is no third outcome."""
    pattern = bytes(range(64))
    outcomes: set[str | bytes] = set()
    for _ in range(100):
        b = pybuf.copy(pattern)

        def work(i: int, b: pybuf.Buffer = b) -> None:
            if i == 0:
                b.close()
                return
            try:
                view = (memoryview, np.asarray, pybuf.Buffer.toreadonly)[i % 3](b)
            except ValueError as e:
                outcomes.add(str(e))
            else:
                outcomes.add(bytes(view))

        parallel(work, threads=4)
        assert b.closed
    assert outcomes
    assert all("closed" in refusal for refusal in outcomes - {pattern})


def test_strict_close_races_with_views_and_is_all_or_nothing(parallel: Parallel):
    for _ in range(100):
        b = pybuf.zeros(8)
        closed: list[bool] = []

        def work(i: int, b: pybuf.Buffer = b, closed: list[bool] = closed) -> None:
            if i:
                try:
                    b.close(strict=True)
                    closed.append(b.closed)
                except BufferError:
                    closed.append(False)
                return
            for _ in range(20):
                try:
                    memoryview(b).release()
                except ValueError:
                    return

        parallel(work, threads=3)
        assert b.closed is any(closed)


def test_buffers_are_freed_on_the_thread_that_drops_them(parallel: Parallel):
    """Made on one thread, dropped on another; the callback runs on the latter."""
    baskets = [queue.SimpleQueue[list[Any]]() for _ in range(THREADS)]
    events: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()

    def make() -> list[Any]:
        """A box with the only reference to the view: who pops it drops it."""

        def release(_: int) -> None:
            events.put(("released", threading.get_ident()))

        return [memoryview(pybuf.wrap(4096, 4, release=release))]

    def drop(basket: queue.SimpleQueue[list[Any]]) -> None:
        events.put(("dropped", threading.get_ident()))
        basket.get().pop()

    def work(me: int) -> None:
        for i in range(ROUNDS):
            baskets[(me + i) % THREADS].put(make())
        for _ in range(ROUNDS):
            drop(baskets[me])

    parallel(work, THREADS)
    log = [events.get() for _ in range(events.qsize())]
    dropped = [ident for event, ident in log if event == "dropped"]
    released = [ident for event, ident in log if event == "released"]
    assert len(released) == THREADS * ROUNDS
    assert sorted(released) == sorted(dropped)


def test_native_releases_run_on_many_threads(parallel: Parallel, made_and_freed):
    def work(_: int) -> None:
        for _ in range(ROUNDS):
            np.asarray(pybuf.wrap(malloc(b"abcd"), 4, release=libc.free))[0] = 1

    parallel(work, THREADS)
    assert made_and_freed() == (THREADS * ROUNDS, THREADS * ROUNDS)


def test_thunks_run_on_many_threads(parallel: Parallel):
    seen: list[tuple[int, int]] = []
    release = NativeRelease(lambda data, nbytes, arg: seen.append((arg, threading.get_ident())))

    def work(me: int) -> None:
        for _ in range(ROUNDS):
            pybuf.wrap(4096, 4, release=(release, me + 1)).close()

    parallel(work, THREADS)
    assert len(seen) == THREADS * ROUNDS
    assert all(len({ident for me, ident in seen if me == n + 1}) == 1 for n in range(THREADS))


def test_casts_and_chains_on_many_threads_end_on_all_of_them(parallel: Parallel, made_and_freed):
    """The list of those that wait for their end, deep in a chain, is each thread's own."""
    counts = itertools.count()

    def work(_: int) -> None:
        for _ in range(5):
            chain = pybuf.wrap(4096, 8, release=lambda _: next(counts))
            for i in range(200):
                chain = chain.cast("d") if i % 2 else pybuf.wrap(4096, 8, owner=chain)
            del chain

    parallel(work, THREADS)
    assert next(counts) == THREADS * 5
    made, freed = made_and_freed()
    assert made == freed == THREADS * 5 * 201


def test_a_callback_that_lets_other_threads_in_keeps_their_chains_apart(parallel: Parallel):
    """Each callback waits until every thread is inside one, deep in a chain of its own."""
    inside = threading.Barrier(4)
    freed: list[tuple[int, int]] = []

    def work(me: int) -> None:
        chain = pybuf.wrap(me, 0, release=lambda a: freed.append((a, threading.get_ident())))
        for depth in range(100):
            wait = inside.wait if depth == 50 else int

            def release(address: int, wait: Callable[[], Any] = wait) -> None:
                wait()
                freed.append((address, threading.get_ident()))

            chain = pybuf.wrap(me, 0, owner=chain, release=release)
        del chain, release
        mine = [ident for address, ident in freed if address == me]
        assert mine == [threading.get_ident()] * 101

    parallel(work, threads=4)
    assert len(freed) == 404


def test_collections_on_many_threads_release_garbage_once(parallel: Parallel):
    counts = itertools.count()

    class Node:
        def __init__(self) -> None:
            self.buf = pybuf.wrap(4096, 4, release=self.free)

        def free(self, _: int) -> None:
            assert self.buf.closed
            next(counts)

    def work(me: int) -> None:
        for i in range(50):
            Node()
            if i % 10 == me:
                gc.collect()

    parallel(work, THREADS)
    gc.collect()
    assert next(counts) == THREADS * 50


def test_writers_on_many_threads_write_into_one_memory(parallel: Parallel):
    b = pybuf.zeros((THREADS, 100), "q")

    def work(me: int) -> None:
        row = np.asarray(b)[me]
        for i in range(100):
            row[i] = b[me, i] + me
            b[me, i] += 1

    parallel(work, THREADS)
    assert b.tolist() == [[me + 1] * 100 for me in range(THREADS)]


def test_a_dtype_that_is_new_to_many_threads_is_one_dtype(parallel: Parallel):
    """They ask Go at the same time; who comes last finds the cache filled, no harm done."""
    formats: dict[str, list[str]] = {f"{o}{c}": [] for o in "@=!" for c in "hHiIqQfd"}

    def work(me: int) -> None:
        for dtype, found in formats.items():
            found.append(pybuf.zeros(me, dtype).format)

    parallel(work, THREADS)
    for dtype, found in formats.items():
        assert found == [found[0]] * THREADS, dtype


def test_thousands_of_short_threads_leave_nothing_behind(made_and_freed):
    for _ in range(1000):
        thread = threading.Thread(target=lambda: memoryview(pybuf.zeros(8)).tolist())
        thread.start()
        thread.join()
    assert made_and_freed() == (1000, 1000)


# ---- DLPack: the deleter may come on any thread, without the interpreter's lock --------


def test_a_dlpack_deleter_without_the_lock_on_a_foreign_thread_takes_it(parallel: Parallel):
    """As torch and others do: the capsule is renamed, and a C function ends the tensor."""
    api = ctypes.pythonapi
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_void_p]
    used = ctypes.create_string_buffer(b"used_dltensor_versioned")
    # struct {version (2 * u32); void *context; void (*deleter)(self); ...}; ctypes' CFUNCTYPE lets
    # go of the lock around the call.
    delete = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    freed: list[int] = []

    def work(_: int) -> None:
        for _ in range(50):
            b = pybuf.wrap(4096, 4, release=lambda _: freed.append(threading.get_ident()))
            capsule = b.__dlpack__(max_version=(1, 0))
            tensor = api.PyCapsule_GetPointer(capsule, b"dltensor_versioned")
            api.PyCapsule_SetName(capsule, ctypes.addressof(used))
            del capsule, b
            deleter = ctypes.cast(tensor + 16, ctypes.POINTER(ctypes.c_void_p))[0]
            before = freed.count(threading.get_ident())
            delete(deleter)(tensor)
            assert freed.count(threading.get_ident()) == before + 1

    parallel(work, threads=4)
    assert len(freed) == 200
