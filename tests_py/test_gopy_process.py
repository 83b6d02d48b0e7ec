"""gopy's modules with pybuf in a process: threads, forks, signals, ends, other runtimes."""

from __future__ import annotations

import os
from typing import Any

import pytest

#: From 3.12 on Python warns of each fork in a process with threads, and Go's threads are meant.
FORKING = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")
HARD = {"GOGC": "1", "GODEBUG": "clobberfree=1"}

#: One round of all that a thread can do, with numbers of its own.
ROUND = """
    def one_round(n):
        size = 50 + n % 50
        x = np.full(size, float(n))
        r = vecs.AddTo(np.empty(size), x, x)
        keeper = vecs.NewKeeper(np.full(size, float(n)))
        a = np.asarray(vecs.Float64s(size))
        view = memoryview(vecs.Same(x))[3:]
        a[:] = n
        vecs.DoubleFloat64s(x)
        assert vecs.SumFloat64s(x) == 2 * n * size
        assert np.asarray(r).tolist() == [2 * n] * size
        assert view.tolist() == [2 * n] * (size - 3)
        assert keeper.Sum() == n * size
        assert (a == n).all()
        try:
            vecs.SumFloat64s(np.zeros(3, "f4"))
        except TypeError:
            pass
        else:
            raise AssertionError
"""


def environ(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


# ---- threads -----------------------------------------------------------------------------


@pytest.mark.parametrize("hard", [{}, HARD, {"GOMAXPROCS": "1"}], ids=["", "hard", "one"])
def test_ten_thousand_rounds_on_eight_threads(hard: dict[str, str], gopy_run: Any):
    gopy_run(
        ROUND
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
        ROUND
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


# ---- ends --------------------------------------------------------------------------------

HOLD = """
    class Last:
        def __init__(self, *kept):
            self.kept = kept
        def __del__(self):
            assert self.kept[0][0] == 0
    x = np.arange(1000.0)
    s = vecs.Float64s(1000)
    a, view, r, k = np.asarray(s), memoryview(vecs.Bytes(100)), vecs.Same(x), vecs.NewKeeper(x)
    lent = pybuf.gopy.lend(go.Slice_float64, x)
    image = np.asarray(vecs.Picture(10, 10))
    kept = Last(a, view, np.asarray(r), memoryview(r))
    cycle = [kept]
    cycle.append(cycle)
    sys.last = Last(np.asarray(vecs.Float64s(10)))
"""
ENDS = {
    "the end": "",
    "sys.exit": "sys.exit(0)",
    "_exit": "os._exit(0)",
    "exec": "os.execv('/bin/true', ['true'])",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_process_ends_well_with_live_arrays(end: str, gopy_run: Any):
    gopy_run(HOLD + f"    {end}\n")


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_process_ends_well_with_threads_at_work(end: str, gopy_run: Any):
    gopy_run(
        ROUND
        + HOLD
        + f"""
    def forever(i):
        ready.wait()
        n = i
        while True:
            n += 1
            one_round(n)
    ready = threading.Barrier(5)
    for i in range(4):
        threading.Thread(target=forever, args=(i,), daemon=True).start()
    ready.wait()
    time.sleep(0.3)
    {end}
    """,
        options=(),
    )


def test_a_panic_of_go_s_ends_the_process_as_with_gopy_alone(gopy_run: Any):
    done = gopy_run("vecs.Panics(np.ones(3))", check=False, options=())
    assert done.returncode != 0
    assert "index out of range" in done.stderr


# ---- signals -----------------------------------------------------------------------------


def test_sigint_during_a_call_comes_when_it_is_over(gopy_run: Any):
    gopy_run(
        """
        # Shells start what runs in the background with it ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        x = np.ones(1000)
        ref = weakref.ref(x)
        for _ in range(3):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            try:
                vecs.Slowly(x, 400)
                time.sleep(5)
            except KeyboardInterrupt:
                pass
            else:
                raise AssertionError
            assert vecs.SumFloat64s(x) == 1000
        del x
        settle()
        assert ref() is None
        """
    )


def test_a_signal_handler_that_raises_at_any_moment_loses_no_array(gopy_run: Any):
    gopy_run(
        """
        import random

        class Stop(Exception):
            pass

        def stop(*_):
            raise Stop

        sys.unraisablehook = lambda _: None  # raised in some __del__
        signal.signal(signal.SIGALRM, stop)
        until, stopped, lost = time.monotonic() + 5, 0, 0
        while time.monotonic() < until:
            try:
                keeper = vecs.Keeper()
                x = np.ones(10)
                ref = weakref.ref(x)
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 3e-5))
                keeper.Keep(x)
                signal.setitimer(signal.ITIMER_REAL, 0)
            except Stop:
                stopped += 1
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
                x = None
                kept = keeper.Get()
            except Stop:
                continue
            lost += len(kept) == 10 and ref() is None
        assert stopped > 100
        assert not lost, (lost, stopped)
        """
    )


def test_other_threads_run_during_a_call(gopy_run: Any):
    gopy_run(
        """
        x, count, over = np.ones(1000), 0, threading.Event()
        def call():
            vecs.Slowly(x, 500)
            over.set()
        t = threading.Thread(target=call)
        t.start()
        while not over.is_set():
            count += 1
            time.sleep(0.001)
        t.join()
        assert count > 50, count
        """
    )


def test_a_go_loop_does_not_keep_the_collector_waiting(gopy_run: Any):
    """With pybuf's runtime and gopy's in one process, whichever has SIGURG."""
    gopy_run(
        """
        x = np.ones(10_000)
        b = pybuf.zeros(10, source="go")
        t = threading.Thread(target=vecs.Slowly, args=(x, 3000))
        t.start()
        time.sleep(0.2)
        began = time.monotonic()
        vecs.Collect()
        pybuf._core._go_runtime(True)
        assert time.monotonic() - began < 1.5
        t.join()
        """
    )


# ---- several runtimes --------------------------------------------------------------------

BOTH = """
    import gopy_third
    from gopy_third import floats, snappy
    pybuf.gopy.enable(gopy_third)
"""


@pytest.mark.parametrize("order", ["vecs third", "third vecs"])
@pytest.mark.parametrize("hard", [{}, HARD], ids=["", "hard"])
def test_three_runtimes_share_arrays(order: str, hard: dict[str, str], gopy_run: Any):
    gopy_run(
        f"""
        for name in {order.split()!r}:
            __import__("gopy_" + name)
        import gopy_vecs, gopy_third
        from gopy_vecs import go, vecs
        from gopy_third import floats, snappy
        from gopy_third import go as third_go
        pybuf.gopy.enable(gopy_vecs)
        pybuf.gopy.enable(gopy_third)

        def body(i):
            for n in range(150):
                size = 100 + n
                ours = pybuf.zeros(size, "d", source="go")
                np.asarray(ours)[:] = i
                s = vecs.Float64s(size)
                assert floats.Sum(s) == size * (size - 1) / 2  # a slice of the other module
                r = floats.AddTo(np.empty(size), ours, s)
                assert type(r) is third_go.Slice_float64
                both = np.asarray(vecs.Same(r))
                assert (both == i + np.arange(size)).all()
                del r, s, ours
                assert both[1] == i + 1
                packed = snappy.Encode(None, vecs.Bytes(size))
                assert bytes(snappy.Decode(None, packed)) == bytes(range(size))[:size]
                if n % 50 == i:
                    gc.collect()
                    vecs.Collect()
                    pybuf._core._go_runtime(True)

        failures = []
        def guarded(i):
            try:
                body(i)
            except BaseException as error:
                failures.append(error)
        threads = [threading.Thread(target=guarded, args=(i,)) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if failures:
            raise failures[0]
        until = time.monotonic() + 20
        while True:
            gc.collect()
            vecs.Collect()
            live = pybuf.gopy.live(gopy_vecs), pybuf.gopy.live(gopy_third)
            if live == (0, 0):
                break
            assert time.monotonic() < until, live
        """.replace("bytes(range(size))[:size]", "bytes(i % 256 for i in range(size))"),
        modules="gopy_vecs gopy_third",
        enable=False,
        env=environ(**hard),
    )


def test_a_slice_of_another_module_is_lent_and_kept(gopy_run: Any):
    gopy_run(
        BOTH
        + """
    s = vecs.Float64s(1000)
    r = floats.AddTo(s, np.ones(1000), np.ones(1000))
    assert s[5] == 2
    del s
    gc.collect()
    vecs.Collect()
    vecs.Litter(20)
    assert list(r)[::100] == [2] * 10
    assert pybuf.gopy.live(gopy_vecs) > 0
    del r
    settle()
    """,
        modules="gopy_vecs gopy_third",
    )


def test_the_installed_package_works_beside_the_built_one(gopy_run: Any):
    gopy_run(
        """
        import gopy_pkg
        from gopy_pkg import go as other_go, vecs as other
        pybuf.gopy.enable(gopy_pkg)
        a = np.asarray(other.Float64s(3))
        a[0] = 5
        assert vecs.SumFloat64s(a) == 8
        assert vecs.SumFloat64s(other.Float64s(4)) == 6
        with pybuf.gopy.lend(other_go.Slice_float64, vecs.Float64s(4)) as s:
            assert other.SumFloat64s(s) == 6
        """,
        modules="gopy_vecs gopy_pkg",
    )
