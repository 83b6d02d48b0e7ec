"""Another Go library in the process: two runtimes that know nothing of each other."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from probing import Probe
from two_runtimes import both_prober, build_other

pytestmark = pytest.mark.build
ORDER = pytest.mark.parametrize("order", ["pybuf other", "other pybuf"])
FORKING = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")


@pytest.fixture(scope="module")
def other_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_other(tmp_path_factory.mktemp("other"))


@pytest.fixture
def both(fresh: Probe, other_library: Path) -> Probe:
    return both_prober(fresh, other_library)


# ---- work --------------------------------------------------------------------------------


@ORDER
def test_both_work_in_turn_and_at_once(order: str, both: Probe):
    both(
        """
        use_ours()
        use_other()
        use_ours()
        at_once(*[use_ours, use_other] * 4)
        assert _core._go_runtime(True)["blocks"] == 0
        """,
        order,
    )


@ORDER
def test_memory_of_one_is_read_and_written_by_all(order: str, both: Probe):
    """pybuf lends it, the other library's runtime collects meanwhile."""
    both(
        """
        kept = [pybuf.zeros(1 << 14, source="go") for _ in range(200)]
        at_once(*[lambda: other.OtherWork(300)] * 3)
        for i, b in enumerate(kept):
            b[:] = bytes([i % 256]) * (1 << 14)
        at_once(use_other, lambda: _core._go_runtime(True))
        assert all(b.tobytes() == bytes([i % 256]) * (1 << 14) for i, b in enumerate(kept))
        """,
        order,
    )


@ORDER
def test_short_threads_that_use_both_leave_nothing(order: str, both: Probe):
    both(
        """
        def both_of_them():
            pybuf.zeros(1 << 12, source="go")
            other.OtherWork(1)
        def run(n):
            for _ in range(n):
                thread = threading.Thread(target=both_of_them)
                thread.start()
                thread.join()
            return (_core._go_runtime(True)["goroutines"], other.OtherGoroutines(),
                    len(os.listdir("/proc/self/task")))
        before = run(50)
        after = run(500)
        assert all(b <= a + 20 for a, b in zip(before, after)), (before, after)
        """,
        order,
    )


# ---- signals -----------------------------------------------------------------------------


@ORDER
def test_signals_reach_python_while_both_work(order: str, both: Probe):
    both(
        """
        calls, stop, nothing = [], threading.Event(), (ctypes.c_ubyte * 128)()
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGALRM):
            signal.signal(number, lambda n, frame: calls.append(n))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGUSR2})
        threads = busy_until(stop)
        for _ in range(20):
            for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD):
                os.kill(os.getpid(), number)
                while not calls:
                    pass
                assert calls == [number]
                calls.clear()
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
            assert signal.sigwait({signal.SIGUSR2}) == signal.SIGUSR2
        stop.set()
        for t in threads:
            t.join()
        """,
        order,
    )


@ORDER
def test_pybuf_changes_no_action_of_the_other_library(order: str, both: Probe):
    """But for those that both take, where the one that came last is first."""
    both(
        """
        first, both_of_them = actions_of_one, actions()
        taken = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE}
        if "other" == ORDER[0]:
            assert {n for n in first if first[n] != both_of_them[n]} <= taken
        use_other()
        use_ours()
        assert actions() == both_of_them
        """,
        order,
        before=f"""
        ORDER = {order.split()!r}
        if ORDER[0] == "other":
            load_other()
            other.OtherWork(1)  # waits until its runtime is up
        actions_of_one = actions()
        """,
    )


@ORDER
def test_a_fault_in_the_other_library_s_go_is_its_own(order: str, both: Probe):
    """A nil dereference is a panic that it recovers from, on any thread, while all work."""
    both(
        """
        def recover():
            for _ in range(50):
                assert other.OtherRecovers() == 1
        recover()
        at_once(recover, recover, use_ours, use_other)
        """,
        order,
    )


@ORDER
@pytest.mark.parametrize("work", [False, True])
@pytest.mark.parametrize("enable", ["before", "between", "after", "never"])
def test_a_fault_ends_the_process_by_its_signal(enable: str, work: bool, order: str, both: Probe):
    first = order.split(maxsplit=1)[0]
    enabling = "faulthandler.enable()"
    done = both(
        f"""
        {enabling if enable == "after" else ""}
        def here():
            ctypes.string_at(1)
        if {work}:
            busy_until(threading.Event())
            use_ours()
            use_other()
        here()
        """,
        order,
        before=f"""
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        {enabling if enable == "before" else ""}
        if {enable == "between"}:
            load() if {first!r} == "pybuf" else load_other()
            {enabling}
        """,
        options=(),
        check=False,
    )
    assert done.returncode == -signal.SIGSEGV, done
    assert done.stderr.count("in here\n") == (enable != "never"), done.stderr


# ---- forks -------------------------------------------------------------------------------


@ORDER
def test_pybuf_is_reborn_in_a_child_of_a_process_with_both(order: str, both: Probe):
    """The other library is dead there, as every Go library but pybuf."""
    both(
        """
        use_ours()
        use_other()
        kept = pybuf.copy(b"abc", source="go")
        for _ in range(3):
            child = os.fork()
            if child == 0:
                use_ours()
                assert kept == b"abc"
                assert pybuf.copy(kept, source="go") == b"abc"
                assert _core._go_runtime(True)["generation"] == 1
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
            use_ours()
            use_other()
        """,
        order,
        options=FORKING,
    )


@ORDER
def test_pybuf_is_reborn_in_children_that_are_forked_while_both_work(order: str, both: Probe):
    both(
        """
        stop = threading.Event()
        threads = busy_until(stop)
        for _ in range(10):
            child = os.fork()
            if child == 0:
                use_ours()
                os._exit(0)
            assert os.waitpid(child, 0)[1] == 0
        stop.set()
        for t in threads:
            t.join()
        """,
        order,
        options=FORKING,
    )


def test_a_child_may_load_the_other_library_for_itself(both: Probe):
    both(
        """
        use_ours()
        child = os.fork()
        if child == 0:
            load_other()
            at_once(use_ours, use_other)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        """,
        "pybuf",
        options=FORKING,
    )
