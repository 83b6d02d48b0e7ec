"""A new runtime leaves the child as it was: limits, masks, actions, descriptors, words."""

from __future__ import annotations

import pytest
from forking import forker
from probing import Probe


@pytest.fixture
def fork(fresh: Probe) -> Probe:
    return forker(fresh)


#: A child and its child, each before and after it has begun a runtime.
EVERYWHERE = """
    def everywhere(check):
        def child(depth):
            check()
            assert generation() == depth
            if depth < 3:
                in_child(child, depth + 1)
        in_child(child, 1)
"""


def test_no_descriptor_is_left_by_a_new_runtime(fork: Probe):
    fork(
        EVERYWHERE,
        """
        def open_files():
            return {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
                    if os.path.lexists(f"/proc/self/fd/{fd}")}
        def check():
            before = open_files()
            use_go()
            assert open_files() == before
        everywhere(check)
        """,
    )


def test_a_new_runtime_needs_no_standard_streams(fork: Probe):
    """The copy of the library gets descriptor 0 then, and gives it back."""
    fork(
        """
        def body():
            kept = os.dup(2)
            os.closerange(0, 3)
            try:
                use_go()
                assert [fd for fd in range(3) if os.path.lexists(f"/proc/self/fd/{fd}")] == []
            finally:
                os.dup2(kept, 2)
        in_child(body)
        """
    )


@pytest.mark.parametrize("soft", [64, 256, 1000])
def test_limits_are_as_before_a_new_runtime(soft: int, fork: Probe):
    fork(
        EVERYWHERE,
        f"""
        def limits():
            return {{name: resource.getrlimit(getattr(resource, name))
                    for name in dir(resource) if name.startswith("RLIMIT_")}}
        def check():
            before = limits()
            assert before["RLIMIT_NOFILE"][0] == {soft}
            use_go()
            assert limits() == before
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, hard))
        everywhere(check)
        """,
    )


@pytest.mark.parametrize(
    "blocked", ["", "SIGUSR1 SIGTERM SIGCHLD", "SIGINT SIGURG SIGPIPE SIGSEGV SIGPROF"]
)
def test_the_mask_of_each_thread_is_as_before_a_new_runtime(blocked: str, fork: Probe):
    """Of that which begins the runtime, and of one that calls it later."""
    fork(
        EVERYWHERE,
        f"""
        def mine():
            return status(f"self/task/{{threading.get_native_id()}}")["SigBlk"]
        def call():
            before = mine()
            use_go()
            assert mine() == before
        def check():
            before = mine()
            call()
            on_threads(call, 2)
            assert mine() == before
        signal.pthread_sigmask(signal.SIG_SETMASK,
                               {{getattr(signal, name) for name in {blocked!r}.split()}})
        everywhere(check)
        """,
    )


def test_signal_actions_in_a_child_without_a_runtime_are_those_before_the_import(fork: Probe):
    """Those of faults too, for Go's handlers would wait for threads that are not there."""
    fork(
        """
        def check():
            assert actions() == before
        in_child(check)
        """,
        before="""
            signal.signal(signal.SIGUSR1, print)
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGFPE, signal.SIG_IGN)
            before = actions()
        """,
        options=("-W", "ignore:This process:DeprecationWarning"),
    )


def test_signal_actions_are_as_before_a_new_runtime(fork: Probe):
    """All but those of the faults, which Go chains."""
    fork(
        EVERYWHERE,
        """
        signal.signal(signal.SIGUSR1, print)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGURG, print)
        taken = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE}
        def check():
            before = actions()
            use_go()
            after = actions()
            different = {n for n in before if after[n] != before[n]}
            assert different == taken, different
        everywhere(check)
        """,
    )


def test_the_threads_of_a_new_runtime_take_no_signal_of_the_program(fork: Probe):
    fork(
        EVERYWHERE,
        """
        names = ("HUP INT QUIT USR1 USR2 PIPE ALRM TERM CONT TSTP TTIN TTOU XCPU XFSZ VTALRM "
                 "WINCH IO PWR SYS ABRT")
        wanted = [getattr(signal, f"SIG{name}") for name in names.split()]
        def check():
            mine = set(os.listdir("/proc/self/task"))
            use_go()
            def work():
                mine.add(str(threading.get_native_id()))
                for _ in range(10):
                    use_go()
            on_threads(work, 4)
            others = set(os.listdir("/proc/self/task")) - mine
            assert others
            for task in others:
                mask = int(status(f"self/task/{task}")["SigBlk"], 16)
                assert not [n for n in wanted if not mask >> (n - 1) & 1], task
        everywhere(check)
        """,
    )


def test_nothing_is_printed_and_no_setting_is_changed(fork: Probe):
    done = fork(
        EVERYWHERE,
        """
        def settings():
            return (dict(os.environ), os.getcwd(), os.getpriority(os.PRIO_PROCESS, 0),
                    os.sched_getaffinity(0), os.getpgrp(), os.getsid(0), status()["Umask"],
                    status()["NoNewPrivs"], signal.getitimer(signal.ITIMER_PROF))
        def check():
            before = settings()
            use_go()
            assert settings() == before
        everywhere(check)
        """,
    )
    assert (done.stdout, done.stderr) == ("", "")
