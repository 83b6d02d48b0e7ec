"""gopy's modules with pybuf in a process: threads, forks, signals, ends, other runtimes."""

from __future__ import annotations

import os
from typing import Any

import gopy_runs
import pytest

#: From 3.12 on Python warns of each fork in a process with threads, and Go's threads are meant.
FORKING = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")
HARD = {"GOGC": "1", "GODEBUG": "clobberfree=1"}


def environ(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


# ---- threads -----------------------------------------------------------------------------


@pytest.mark.parametrize("hard", [{}, HARD, {"GOMAXPROCS": "1"}], ids=["", "hard", "one"])
def test_ten_thousand_rounds_on_eight_threads(hard: dict[str, str], gopy_run: Any):
    gopy_run(
        gopy_runs.ROUND
        + """
    def body(i):
        for n in range(1250):
            one_round(i * 10_000 + n)
            if n % 250 == i:
                gc.collect()
    on_threads(body)
    settle()
    """,
        env=environ(**hard),
    )


def test_the_module_may_be_there_before_pybuf(fresh: Any, gopy_site: Any):
    fresh(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import gopy_vecs
        from gopy_vecs import vecs
        old = vecs.Float64s(3)
        import pybuf
        from pybuf import gopy
        gopy.enable(gopy_vecs)
        b = pybuf.zeros(3, "d", source="go")
        assert vecs.SumFloat64s(b) == 0
        assert vecs.SumFloat64s(old) == 3
        assert memoryview(vecs.Float64s(3)).tolist() == [0, 1, 2]
        """,
        str(gopy_site("gopy_vecs")),
    )


def test_threads_share_one_slice(gopy_run: Any):
    gopy_run(
        """
        shared = vecs.Float64s(1000)
        x = np.arange(1000.0)
        def body(i):
            for n in range(300):
                a = np.asarray(shared)
                a[i] = n
                assert a[i] == shared[i] == n
                assert vecs.Len(vecs.Same(x)) == 1000
                assert vecs.Address(x) == x.ctypes.data
        on_threads(body)
        del shared
        settle()
        """
    )


def test_what_one_thread_makes_another_drops(gopy_run: Any):
    gopy_run(
        """
        made = []
        def make(i):
            for n in range(200):
                made.append((np.asarray(vecs.Float64s(100)), vecs.Same(np.full(100, 3.0)),
                             vecs.NewKeeper(np.ones(100))))
        def drop(i):
            for n in range(200):
                a, r, k = made.pop()
                assert a[99] == 99 and r[0] == 3 and k.Sum() == 100
        on_threads(make)
        on_threads(drop)
        settle()
        """,
        env=environ(**HARD),
    )


def test_complex_results_on_threads(gopy_run: Any):
    """gopy makes them without the GIL."""
    gopy_run(
        """
        x = np.full(10, 1 + 2j)
        def body(i):
            for _ in range(500):
                assert vecs.SumComplex(x) == 10 + 20j
                assert vecs.One() == 1 + 2j
                assert vecs.Complex128s(3)[2] == 2 - 2j
                assert list(vecs.Complex64s(3)) == [0, 1 - 1j, 2 - 2j]
        on_threads(body)
        """
    )


def test_short_threads_leave_nothing(gopy_run: Any):
    gopy_run(
        gopy_runs.ROUND
        + """
    def run(count):
        for n in range(count):
            t = threading.Thread(target=one_round, args=(n,))
            t.start()
            t.join()
        settle()
        return vecs.Goroutines(), len(os.listdir("/proc/self/task"))
    before = run(50)
    after = run(500)
    assert all(b <= a + 20 for a, b in zip(before, after)), (before, after)
    """
    )


def test_memory_does_not_grow(gopy_run: Any):
    gopy_run(
        """
        def used():
            settle()
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1]) * 4096, vecs.HeapBytes()
        def rounds(count):
            for _ in range(count):
                np.asarray(vecs.Float64s(10_000))
                np.asarray(vecs.Same(np.empty(10_000)))
                vecs.NewKeeper(np.empty(10_000))
                vecs.SumFloat64s(np.empty(10_000))
                try:
                    vecs.SumFloat64s(np.empty(10_000, "f4"))
                except TypeError:
                    pass
        rounds(2000)
        before = used()
        rounds(4000)
        after = used()
        assert after[0] - before[0] < 16 << 20, (before, after)
        assert after[1] - before[1] < 4 << 20, (before, after)
        """
    )


# ---- forks -------------------------------------------------------------------------------


def test_views_stay_valid_in_a_child(gopy_run: Any):
    gopy_run(
        """
        s = vecs.Float64s(1000)
        a, view = np.asarray(s), memoryview(vecs.Bytes(100))
        x = np.arange(1000.0)
        r = vecs.Same(x)
        b = np.asarray(r)
        for _ in range(5):
            if (child := os.fork()) == 0:
                signal.alarm(20)
                assert a.tolist() == b.tolist() == list(range(1000))
                assert view[5:8].tobytes() == bytes([5, 6, 7])
                a[0] = b[0] = 9
                part = a[10:]
                del a, b, view
                assert part[0] == 10
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        assert a[0] == b[0] == 0
        """,
        options=FORKING,
    )


def test_children_of_a_busy_process_drop_everything(gopy_run: Any):
    """Nothing enters the dead runtime: it would wait forever."""
    gopy_run(
        """
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                vecs.Litter(3)
                vecs.Collect()
        threads = [threading.Thread(target=busy) for _ in range(3)]
        for t in threads:
            t.start()
        for _ in range(40):
            x = np.arange(1000.0)
            held = [vecs.Float64s(1000), vecs.NewAcc(10), vecs.Same(x), vecs.NewKeeper(x),
                    vecs.Picture(4, 3), vecs.Ages(), vecs.RowsOf(x, 10)]
            held += [np.asarray(held[0]), memoryview(held[2]), np.asarray(held[4])]
            lent = pybuf.gopy.lend(go.Slice_float64, x)
            if (child := os.fork()) == 0:
                signal.alarm(20)
                del x, lent
                held.clear()
                gc.collect()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            del x, lent, held
        stop.set()
        for t in threads:
            t.join()
        settle()
        """,
        options=FORKING,
    )


@pytest.mark.parametrize(
    "ask",
    [
        "memoryview(s)",
        "memoryview(r)",
        "vecs.SumFloat64s(np.ones(3))",
        "pybuf.gopy.lend(go.Slice_float64, np.ones(3))",
        "acc.Total(1.0, np.ones(3))",
    ],
)
def test_a_child_is_refused_what_needs_go(ask: str, gopy_run: Any):
    gopy_run(
        f"""
        s, acc = vecs.Float64s(3), vecs.NewAcc(3)
        r = vecs.Same(np.ones(3))
        if (child := os.fork()) == 0:
            signal.alarm(20)
            try:
                {ask}
            except (RuntimeError, BufferError) as error:
                assert "fork" in str(error), error
                os._exit(0)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
        options=FORKING,
    )


def test_a_child_cannot_enable_what_its_parent_imported(gopy_run: Any):
    gopy_run(
        """
        import gopy_vecs.vecs
        if (child := os.fork()) == 0:
            signal.alarm(20)
            try:
                pybuf.gopy.enable(gopy_vecs)
            except ImportError as error:
                assert "before this process was forked" in str(error), error
                os._exit(0)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        pybuf.gopy.enable(gopy_vecs)
        """,
        enable=False,
        options=FORKING,
    )


def test_asarray_is_refused_in_a_child(gopy_run: Any):
    """And does not fall back to items one by one, of a runtime that is dead."""
    gopy_run(
        """
        s = vecs.Float64s(3)
        if (child := os.fork()) == 0:
            signal.alarm(20)
            try:
                np.asarray(s)
            except (RuntimeError, BufferError):
                os._exit(0)
            os._exit(3)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
        options=FORKING,
    )


def test_a_child_ends_as_python_ends(gopy_run: Any):
    """By sys.exit, with all destructors: os._exit is not what everybody calls."""
    gopy_run(
        """
        s, x = vecs.Float64s(3), np.ones(3)
        held = [np.asarray(s), memoryview(s), vecs.Same(x), vecs.NewKeeper(x), vecs.Picture(2, 2)]
        for _ in range(5):
            if (child := os.fork()) == 0:
                signal.alarm(20)
                sys.exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        """,
        options=FORKING,
    )


def test_pybuf_itself_works_in_a_child(gopy_run: Any):
    gopy_run(
        """
        a = np.asarray(vecs.Float64s(1000))
        if (child := os.fork()) == 0:
            signal.alarm(20)
            assert pybuf.copy(a, source="go").tobytes() == a.tobytes()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
        options=FORKING,
    )
