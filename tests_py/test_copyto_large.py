"""Copies that take long: in parts, by several threads, with signals and other threads alive.

Where a copy is to last as long as a test wants, a row of 1 MiB is repeated without end: strides
of 0 make petabytes of it, in no more memory.
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

import pybuf

MIB = 1 << 20

# Petabytes, for fresh interpreters: nobody waits for the end.
ENDLESS = """
    import os, signal, threading, time
    import numpy as np, pybuf
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows = [pybuf.zeros(1 << 20) for _ in range(2)]
    dst, src = (pybuf.wrap(row.address, (1 << 31, 1 << 20), strides=(0, 1), owner=row)
                for row in rows)
    def interrupt():
        def soon():
            wait_for(lambda: dst.exports > 0)  # it has begun
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=soon).start()
    def tasks():
        return len(os.listdir("/proc/self/task"))
    def wait_for(what):
        while not what():
            time.sleep(0.001)
"""


def permuted(a: Any, axes: Any) -> Any:
    """The same shape, another order in memory."""
    return a.transpose(axes).copy().transpose(np.argsort(axes))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((1500, 1300), "f8"),
        ((16 * MIB + 5,), "u1"),
        ((3, 700, 1001), "f8"),
        ((2, 2, 1100000), "c8"),
        ((5000000, 3), "u2"),
    ],
)
def test_all_parts_arrive(shape: Any, dtype: str):
    src = np.arange(np.prod(shape)).astype(dtype).reshape(shape)
    axes = tuple(reversed(range(len(shape))))
    for of in (src, permuted(src, axes)):
        for to in (np.zeros(shape, dtype), permuted(np.zeros(shape, dtype), axes)):
            pybuf.copyto(to, of)
            assert np.array_equal(to, src)
            assert np.array_equal(pybuf.copy(of, order="F").numpy(), src)


def behind(items: Any, levels: int) -> tuple[int, list[Any]]:
    if levels == 0:
        return items.ctypes.data, [items]
    order = np.random.default_rng(levels).permutation(len(items))
    parts: list[Any] = [None] * len(items)
    for i in order:  # made in another order than they are in
        parts[i] = behind(items[i].copy(), levels - 1)
    table = np.array([part[0] for part in parts], "u8")
    return table.ctypes.data, [table, *(part[1] for part in parts)]


@pytest.mark.parametrize(("shape", "levels"), [((2, 60, 12000), 2), ((1, 3, 500, 1001), 2)])
def test_all_parts_behind_pointers_arrive(shape: Any, levels: int):
    """Also where the outer axes are too short to be cut into parts."""
    src = np.arange(np.prod(shape), dtype="f8").reshape(shape)
    address, kept = behind(src, levels)
    strides = (8,) * levels + src.strides[levels:]
    suboffsets = (0,) * levels + (-1,) * (len(shape) - levels)
    b = pybuf.wrap(address, shape, "d", strides=strides, suboffsets=suboffsets, owner=kept)
    assert np.array_equal(b.numpy(copy=True), src)
    pybuf.copyto(b, np.asfortranarray(src * 2))
    back = np.zeros(shape)
    pybuf.copyto(back, b)
    assert np.array_equal(back, src * 2)


def test_overlapping_parts_arrive_as_they_were():
    memory = np.arange(3 * MIB, dtype="f8")
    expected = memory[:-1].copy()
    pybuf.copyto(memory[1:], memory[:-1])
    assert np.array_equal(memory[1:], expected)


def test_the_threads_of_a_copy_end_with_it():
    dst, src = (as_strided(np.zeros(MIB, "B"), (64, MIB), (0, 1)) for _ in range(2))
    pybuf.copyto(dst, src)
    before = len(os.listdir("/proc/self/task"))
    for _ in range(5):
        pybuf.copyto(dst, src)
    assert len(os.listdir("/proc/self/task")) <= before


def test_other_threads_run_meanwhile():
    """Each turn of theirs needs the GIL; the copy ends when they have had enough of them."""
    row = np.zeros(MIB, "B")
    turns, ended = 0, threading.Event()

    def run() -> None:
        nonlocal turns
        while not ended.is_set():
            turns += 1

    runner = threading.Thread(target=run)
    runner.start()
    before = turns
    pybuf.copyto(*[as_strided(row, (4096, MIB), (0, 1)) for row in (row, row.copy())])  # 4 GiB
    after = turns
    ended.set()
    runner.join()
    assert after - before > 100


def test_a_signal_s_exception_ends_a_copy(fresh: Any):
    fresh(
        ENDLESS
        + """
    turned = pybuf.wrap(rows[1].address + (1 << 20) - 1, src.shape, strides=(0, -1), owner=rows)
    for of in (src, turned):
        interrupt()
        try:
            pybuf.copyto(dst, of)
        except KeyboardInterrupt:
            assert (dst.exports, of.exports) == (0, 0)
        else:
            raise AssertionError
    """
    )


def test_a_signal_s_handler_may_let_it_go_on(fresh: Any):
    fresh(
        ENDLESS
        + """
    got = []
    def handler(*args):
        got.append(args)
        if len(got) == 3:
            raise ZeroDivisionError
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        pybuf.copyto(dst, src)
    except ZeroDivisionError:
        pass
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert len(got) >= 3
    """
    )


def test_a_new_copy_that_is_ended_frees_its_memory(fresh: Any):
    fresh(
        """
        import os, signal, threading
        import numpy as np, pybuf
        from numpy.lib.stride_tricks import as_strided
        class Stop(Exception):
            pass
        def handler(*args):
            raise Stop
        signal.signal(signal.SIGALRM, handler)
        src = as_strided(np.zeros(1 << 20, "B"), (1 << 11, 1 << 20), (0, 1))
        for copy in (lambda: pybuf.copy(src), lambda: pybuf.wrap(
                src.ctypes.data, src.shape, "B", strides=src.strides, owner=src).tobytes()):
            before = pybuf.stats()["bytes"]
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.01)
                copy()
            except Stop:
                pass
            signal.setitimer(signal.ITIMER_REAL, 0)
            assert pybuf.stats()["bytes"] == before
        """
    )


def test_a_fork_during_a_copy_leaves_the_child_whole(fresh: Any):
    fresh(
        ENDLESS
        + """
    import warnings
    warnings.simplefilter("ignore")
    alone = tasks()
    threading.Thread(target=pybuf.copyto, args=(dst, src), daemon=True).start()
    wait_for(lambda: tasks() > alone)
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            a = np.arange(4 << 20, dtype="d")
            b = np.zeros(4 << 20)
            pybuf.copyto(b, a)
            os._exit(0 if (a == b).all() else 1)
        assert os.waitpid(pid, 0)[1] == 0
    os._exit(0)
    """,
        options=(),
    )


def test_a_child_that_a_signal_s_handler_forks_has_all_of_its_copy(fresh: Any):
    """What the helpers were about then, too, which are not in it."""
    fresh(
        """
        import os, signal, warnings
        import numpy as np, pybuf
        warnings.simplefilter("ignore")
        src = np.resize(np.arange(1, 252, dtype="B"), 96 << 20).view("S3").reshape(-1, 4096).T
        dst = np.zeros_like(src, order="C")
        copying, pid = False, None
        def handler(*args):
            global pid
            if copying:
                pid = os.fork()
        signal.signal(signal.SIGALRM, handler)
        while pid is None:
            dst[:] = b""
            copying = True
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            pybuf.copyto(dst, src)
            copying = False
        whole = (dst == src).all()
        if pid == 0:
            os._exit(0 if whole else 1)
        assert whole
        assert os.waitpid(pid, 0)[1] == 0
        """
    )


@pytest.mark.parametrize("daemon", ["copies", "waits for the copy's sake"])
def test_a_process_ends_during_a_copy(fresh: Any, daemon: str):
    """Its thread comes back for Python's lock and finds Python gone; its helpers go on."""
    fresh(
        ENDLESS
        + """
    alone = tasks()
    threading.Thread(target=pybuf.copyto, args=(dst, src), daemon=True).start()
    wait_for(lambda: tasks() > alone + (len(os.sched_getaffinity(0)) > 1))
    """
        + ("time.sleep(0.2)" if "waits" in daemon else "")
    )


def test_without_another_thread_the_caller_copies_alone(fresh: Any):
    """As where the limit of addresses leaves no stack for one."""
    fresh(
        """
        import os, resource
        import numpy as np, pybuf
        a, b = np.arange(4 << 20, dtype="d"), np.zeros(4 << 20)
        with open("/proc/self/statm") as f:
            pages = int(f.read().split()[0])
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + (100 << 10), hard))
        pybuf.copyto(b, a)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        assert (a == b).all()
        """
    )


def test_the_helpers_are_given_no_signals(fresh: Any):
    fresh(
        ENDLESS
        + """
    def blocked(task):
        with open(f"/proc/self/task/{task}/status") as f:
            return next(int(line.split()[1], 16) for line in f if line.startswith("SigBlk"))
    known = set(os.listdir("/proc/self/task"))
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    copying = threading.Thread(target=pybuf.copyto, args=(dst, src), daemon=True)
    copying.start()
    known.add(str(copying.native_id))
    if len(os.sched_getaffinity(0)) > 1:
        wait_for(lambda: set(os.listdir("/proc/self/task")) - known)
        for task in set(os.listdir("/proc/self/task")) - known:
            assert blocked(task) & (1 << signal.SIGINT - 1 | 1 << signal.SIGTERM - 1)
    wait_for(lambda: blocked(copying.native_id) == 0)  # its own mask is as it was
    os._exit(0)
    """
    )
