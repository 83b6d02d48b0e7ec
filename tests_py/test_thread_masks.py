"""A thread that calls Go keeps the signal mask that it had."""

from __future__ import annotations

import textwrap

import pytest
from probing import Probe, prober

#: Each enters Go, in another way.
CALLS = {
    "memory": 'pybuf.zeros(9, source="go")',
    "much memory": 'pybuf.zeros(1 << 21, source="go")',
    "a free": "kept.pop().close()",
    "an element type": "unseen()",
    "a refused layout": "refused()",
    "a collection": "_core._go_runtime(True)",
    "counters": "_core._go_runtime(False)",
}
#: Go unblocks the first line's on its own threads.
MASKS = {
    "nothing": "",
    "what Go wants": "CHLD PROF URG ILL TRAP STKFLT RTMIN SEGV BUS FPE",
    "the usual": "INT TERM HUP USR1 USR2 PIPE ALRM",
    "all": "ALL",
}
HELP = """
    import itertools
    load()
    import pybuf
    from pybuf import _core
    kept = [pybuf.zeros(8, source="go") for _ in range(2000)]
    count = itertools.count(1000)

    def refused():
        try:
            pybuf.empty((1, -1))
        except ValueError:
            return
        raise AssertionError

    def unseen():
        try:  # Go says why there are none of these
            pybuf.empty(1, f"{next(count)}p")
        except TypeError:
            return
        raise AssertionError

    def mask():
        return status(f"self/task/{threading.get_native_id()}")["SigBlk"]

    def block(names):
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals() if names == "ALL" else
                               {getattr(signal, f"SIG{name}") for name in names.split()})

    def on_thread(body):
        failures = []
        def run():
            try:
                body()
            except BaseException as failure:
                failures.append(failure)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
"""
CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@pytest.fixture
def probe(fresh: Probe) -> Probe:
    return prober(fresh)


def program(code: str) -> str:
    return textwrap.dedent(HELP) + textwrap.dedent(code)


@CALL
@pytest.mark.parametrize("names", MASKS.values(), ids=MASKS)
def test_the_first_call_of_a_thread_leaves_its_mask(names: str, call: str, probe: Probe):
    probe(
        program(
            f"""
            def body():
                block({names!r})
                before = mask()
                {call}
                assert mask() == before
                for _ in range(10):
                    {call}
                assert mask() == before
            for _ in range(20):
                on_thread(body)
            body()
            """
        )
    )


@CALL
def test_a_mask_that_changes_between_calls_is_kept_too(call: str, probe: Probe):
    probe(
        program(
            f"""
            def body():
                for names in ("", "CHLD PROF URG", "ALL", "INT", "CHLD"):
                    block(names)
                    before = mask()
                    {call}
                    assert mask() == before, names
            on_thread(body)
            body()
            """
        )
    )


def test_many_threads_at_once_keep_each_its_own_mask(probe: Probe):
    probe(
        program(
            """
            barrier, kept_it = threading.Barrier(32), []
            def body(i):
                block(["", "CHLD PROF URG", "ALL", "INT USR1"][i % 4])
                before = mask()
                barrier.wait()
                for n in range(50):
                    pybuf.zeros(1 << n % 18, source="go")
                    if n % 10 == i % 10:
                        _core._go_runtime(True)
                kept_it.append(mask() == before)
            threads = [threading.Thread(target=body, args=(i,)) for i in range(32)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert kept_it == [True] * 32
            """
        )
    )


def test_a_blocked_sigchld_stays_pending_for_the_thread_that_called_go(probe: Probe):
    """And so do SIGPROF and SIGURG: sent to the thread, for Go's own have them unblocked."""
    probe(
        program(
            """
            def body():
                numbers = {signal.SIGCHLD, signal.SIGPROF, signal.SIGURG}
                block("CHLD PROF URG")
                _core._go_runtime(True)
                for number in numbers:
                    signal.pthread_kill(threading.get_ident(), number)
                _core._go_runtime(True)
                assert signal.sigpending() >= numbers
                assert {signal.sigwait(numbers) for _ in numbers} == numbers
            on_thread(body)
            """
        )
    )


def test_threads_that_are_born_of_a_thread_that_called_go_inherit_its_mask(probe: Probe):
    probe(
        program(
            """
            def body():
                block("CHLD PROF URG INT")
                before = mask()
                _core._go_runtime(True)
                found = []
                on_thread(lambda: found.append(mask()))
                assert found == [before]
                child = subprocess.run(["grep", "^SigBlk", "/proc/self/status"],
                                       capture_output=True, text=True)
                assert child.stdout.split()[1] == before
            on_thread(body)
            """
        )
    )


def test_a_thread_that_c_made_keeps_its_mask(probe: Probe):
    """One that Python sees only while a callback runs on it."""
    probe(
        program(
            """
            found = []
            @ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
            def body(_):
                block("CHLD PROF URG INT")
                before = mask()
                for _ in range(5):
                    pybuf.zeros(1 << 16, source="go")
                    _core._go_runtime(True)
                    kept.pop()
                found.append(mask() == before)
            for _ in range(10):
                thread = ctypes.c_ulong()
                assert libc.pthread_create(ctypes.byref(thread), None, body, None) == 0
                assert libc.pthread_join(thread, None) == 0
            assert found == [True] * 10
            """
        )
    )


def test_a_thread_s_own_stack_for_signals_stays(probe: Probe):
    """One that it set up itself is neither taken away nor exchanged by Go."""
    probe(
        program(
            """
            class Stack(ctypes.Structure):
                _fields_ = [("sp", ctypes.c_void_p), ("flags", ctypes.c_int),
                            ("size", ctypes.c_size_t)]
            def now():
                found = Stack()
                assert libc.sigaltstack(None, ctypes.byref(found)) == 0
                return found.sp, found.flags, found.size
            def body():
                room = ctypes.create_string_buffer(1 << 16)
                mine = Stack(ctypes.addressof(room), 0, 1 << 16)
                assert libc.sigaltstack(ctypes.byref(mine), None) == 0
                before = now()
                for _ in range(10):
                    _core._go_runtime(True)
                    pybuf.zeros(1 << 16, source="go")
                assert now() == before == (mine.sp, 0, 1 << 16)
                none = Stack(None, 2, 0)
                assert libc.sigaltstack(ctypes.byref(none), None) == 0
            on_thread(body)
            body()
            """
        )
    )
