"""Processes that end, signals, and several runtimes, with gopy modules at work."""

from __future__ import annotations

import os
from typing import Any

import gopy_runs
import pytest

HARD = {"GOGC": "1", "GODEBUG": "clobberfree=1"}


def environ(**more: str) -> dict[str, str]:
    return {**os.environ, **more}


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
        gopy_runs.ROUND
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
