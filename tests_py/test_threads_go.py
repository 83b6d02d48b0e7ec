"""Threads that use Go's memory: many at once, thousands in turn, small and deep."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import pytest

import pybuf
from pybuf import _core

Fresh = Callable[..., Any]
Parallel = Callable[..., None]


def collected() -> dict[str, Any]:
    return _core._go_runtime(True)


# ---- many ------------------------------------------------------------------------------


def test_two_hundred_threads_at_once_have_each_its_own_memory(parallel: Parallel):
    barrier = threading.Barrier(200)

    def work(i: int) -> None:
        b = pybuf.zeros(1 << i % 17, source="go")
        view = memoryview(b)
        view[:] = bytes([i]) * len(view)
        barrier.wait()
        if i % 20 == 0:
            collected()
        barrier.wait()
        assert view.tobytes() == bytes([i]) * len(view)

    before = collected()
    parallel(work, threads=200)
    after = collected()
    assert (after["blocks"], after["block_bytes"]) == (before["blocks"], before["block_bytes"])


def test_memory_that_one_thread_makes_another_frees(parallel: Parallel):
    """While collections run, on as many threads as there are."""
    made: list[Any] = []

    def make(i: int) -> None:
        for n in range(100):
            b = pybuf.copy(bytes([i]) * (n * 97 + 1), source="go")
            made.append(memoryview(b))

    def free(i: int) -> None:
        for n in range(100):
            view = made.pop()
            assert view.tobytes() == view[:1].tobytes() * len(view)
            if n % 25 == i:
                collected()

    parallel(make)
    assert collected()["blocks"] == 800
    parallel(free)
    assert collected()["blocks"] == 0


def test_thousands_of_short_threads_leave_nothing_behind(fresh: Fresh):
    """Neither threads of the system, nor goroutines, nor blocks, nor memory."""
    fresh(
        """
        import os, threading
        import pybuf
        from pybuf import _core

        def work():
            memoryview(pybuf.zeros(1 << 12, source="go"))[0] = 1

        def run(n):
            for _ in range(n):
                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
                # Python's part of it is over: Go hears of the end when the system's is.
                while os.path.exists(f"/proc/self/task/{thread.native_id}"):
                    os.sched_yield()

        def now():
            go = _core._go_runtime(True)
            with open("/proc/self/statm") as f:
                rss = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
            return go["goroutines"], go["blocks"], len(os.listdir("/proc/self/task")), rss

        run(500)
        before = now()
        run(2500)
        after = now()
        assert after[1] == 0
        # One that Go's collector started.
        assert after[0] <= before[0] + 1, (before, after)
        assert after[2] <= before[2] + 2, (before, after)
        assert after[3] <= before[3] + (16 << 20), (before, after)
        """
    )


def test_many_threads_in_turn_leave_no_threads_of_go_s(fresh: Fresh):
    """Go keeps one for each call under way, and no more."""
    fresh(
        """
        import os, threading
        import pybuf

        def at_once(n):
            barrier = threading.Barrier(n)
            def work():
                barrier.wait()
                for _ in range(5):
                    pybuf.zeros(1 << 21, source="go")
            threads = [threading.Thread(target=work) for _ in range(n)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
                while os.path.exists(f"/proc/self/task/{t.native_id}"):
                    os.sched_yield()
            return len(os.listdir("/proc/self/task"))

        at_once(50)
        first = at_once(50)
        for _ in range(10):
            last = at_once(50)
        assert last <= first + 20, (first, last)  # of the 500 since
        """
    )


# ---- small and deep --------------------------------------------------------------------


@pytest.mark.parametrize("kib", [32, 64, 128, 1024])
def test_threads_with_small_stacks_use_go(kib: int, fresh: Fresh):
    fresh(
        f"""
        import threading
        import numpy  # which is asked for names that pybuf does not know, and its import is deep
        import pybuf
        from pybuf import _core

        def work():
            kept = [pybuf.zeros(n, source="go") for n in (1, 1 << 12, 1 << 22)]
            _core._go_runtime(True)
            assert pybuf.zeros((2, 3), "<i2", order="F").strides == (2, 4)
            for bad in ("no such type", "1000p", ">T{{O:a:}}"):
                try:
                    pybuf.zeros(1, bad)
                except (ValueError, TypeError):
                    done.append(True)

        done = []
        threading.stack_size({kib} << 10)
        for _ in range(3):
            threads = [threading.Thread(target=work) for _ in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
        assert len(done) == 3 * 8 * 3
        """,
        options=(),
    )


def test_go_is_called_from_any_depth(fresh: Fresh):
    fresh(
        """
        import sys, threading
        import pybuf
        from pybuf import _core

        def down(n, kept):
            if n:
                return down(n - 1, [kept, pybuf.zeros(8, source="go")])
            _core._go_runtime(True)
            return _core._go_runtime(False)["blocks"]

        def run():
            found.append(down(4000, None))

        found = []
        sys.setrecursionlimit(10_000)
        threading.stack_size(64 << 20)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        run()
        assert found == [4000, 4000]
        assert _core._go_runtime(True)["blocks"] == 0
        """
    )


@pytest.mark.parametrize("use", [memoryview, pybuf.Buffer.close, lambda b: b.resize(5)])
def test_a_resize_takes_no_block_away_that_was_lent_while_the_next_was_made(use: Any):
    """Other threads run while Go makes a large block."""
    small, large = 1 << 20, 8 << 20
    for _ in range(20):
        b = pybuf.zeros(small, source="go")
        begin = threading.Event()
        used: list[Any] = []

        def other(b: pybuf.Buffer = b, begin: Any = begin, used: list[Any] = used) -> None:
            begin.wait()
            with contextlib.suppress(BufferError):
                used.append(use(b))

        thread = threading.Thread(target=other)
        thread.start()
        begin.set()
        with contextlib.suppress(BufferError, ValueError):
            b.resize(large)
        thread.join()
        if use is memoryview:
            assert used[0].nbytes == b.nbytes
            assert used[0].tobytes() == bytes(b.nbytes)
        elif not b.closed:
            assert b.tobytes() == bytes(b.nbytes)
