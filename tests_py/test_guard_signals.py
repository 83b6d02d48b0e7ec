"""Signals do after the import what they did before it, in Python and in C."""

from __future__ import annotations

import signal
import textwrap

import pytest
from probing import Probe, prober

LOAD = pytest.mark.parametrize("how", ["import", "dlopen"])


@pytest.fixture
def probe(fresh: Probe) -> Probe:
    return prober(fresh)


@LOAD
def test_signal_actions_are_as_before(how: str, probe: Probe):
    """All but the three that Go chains."""
    probe(
        """
        taken = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE}
        signal.signal(signal.SIGUSR1, print)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGTRAP, signal.SIG_IGN)
        before = actions(), status()
        load()
        after = actions(), status()
        different = {n for n in before[0] if after[0][n] != before[0][n]}
        assert different <= taken, different - taken
        for field in ("SigIgn", "SigCgt"):
            changed = int(before[1][field], 16) ^ int(after[1][field], 16)
            assert {n for n in range(1, 65) if changed >> (n - 1) & 1} <= taken, field
        """,
        how,
    )


def test_handlers_of_c_keep_all_but_get_the_flag_for_go_s_stack(probe: Probe):
    """Go adds SA_ONSTACK to what it finds, for a handler may run on a goroutine's small stack."""
    probe(
        """
        SA_ONSTACK = 0x08000000
        numbers = [signal.SIGUSR2, signal.SIGTERM, signal.SIGCHLD, signal.SIGPROF, signal.SIGILL]
        for number in numbers:
            action = Action(ctypes.cast(libc.abs, ctypes.c_void_p).value)
            action.mask[0], action.flags = 0x42, 0x10000000  # SA_RESTART
            assert libc.sigaction(number, ctypes.byref(action), None) == 0
        before = actions()
        load()
        after = actions()
        for number in numbers:
            handler, mask, flags = before[number]
            assert after[number] in [(handler, mask, flags), (handler, mask, flags | SA_ONSTACK)]
        """
    )


@pytest.mark.parametrize("name", ["SIGPIPE", "SIGURG"])
@pytest.mark.parametrize("action", ["signal.SIG_DFL", "signal.SIG_IGN", "handler"])
def test_sigpipe_and_sigurg_do_what_they_did(name: str, action: str, probe: Probe):
    probe(
        f"""
        calls = []
        def handler(number, frame):
            calls.append(number)
        signal.signal(signal.{name}, {action})
        before = actions()[signal.{name}]
        load()
        assert actions()[signal.{name}] == before
        assert signal.getsignal(signal.{name}) is {action}
        if {action} is handler:
            os.kill(os.getpid(), signal.{name})
            assert calls == [signal.{name}]
        # What a child gets by exec.
        child = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True,
                               restore_signals=False)
        ignored = int(child.stdout.split("SigIgn:\\t")[1].split()[0], 16)
        assert bool(ignored >> (signal.{name} - 1) & 1) is ({action} is signal.SIG_IGN)
        """
    )


def test_a_write_to_a_closed_pipe_is_an_error_or_the_end_as_before(probe: Probe):
    code = textwrap.dedent(
        """
        load()
        read, write = os.pipe()
        os.close(read)
        try:
            os.write(write, b"x")
        except BrokenPipeError:
            print("error")
        """
    )
    assert probe(code).stdout == "error\n"
    done = probe("signal.signal(signal.SIGPIPE, signal.SIG_DFL)\n" + code, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGPIPE, "", "")


@pytest.mark.parametrize("when", ["before", "after"])
def test_handlers_of_python_are_called(when: str, probe: Probe):
    probe(
        f"""
        calls = []
        numbers = [signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM,
                   signal.SIGCHLD, signal.SIGPIPE, signal.SIGWINCH, signal.SIGURG]
        if {when == "after"}:
            load()
        for number in numbers:
            signal.signal(number, lambda n, frame: calls.append(n))
        load()
        for number in numbers:
            os.kill(os.getpid(), number)
        assert [n for n in calls if n != signal.SIGURG or calls.count(n) == 1] == numbers, calls
        """
    )


# A signal between Python's last look for one and the system call that waits is handled after the
# call: so the timers below repeat.


def test_ctrl_c_interrupts_a_loop_and_a_wait(probe: Probe):
    done = probe(
        """
        load()
        import pybuf
        def spin():
            while True:
                pybuf.zeros(8)
        def alarm(number, frame):
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.raise_signal(signal.SIGINT)
        signal.signal(signal.SIGALRM, alarm)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
        for wait in (lambda: threading.Event().wait(60), spin):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
                wait()
            except KeyboardInterrupt:
                print("interrupted")
        """
    )
    assert done.stdout == "interrupted\n" * 2


def test_an_alarm_interrupts_sleep_read_and_select(probe: Probe):
    """The signal must come to the main thread, for it is its call that has to end."""
    probe(
        """
        load()
        import select, time
        read, write = os.pipe()
        class Alarm(Exception): pass
        def alarm(number, frame):
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Alarm
        signal.signal(signal.SIGALRM, alarm)
        for wait in (lambda: time.sleep(60), lambda: os.read(read, 1),
                     lambda: select.select([read], [], [], 60), signal.pause):
            for _ in range(5):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
                    wait()
                except Alarm:
                    continue
                raise AssertionError(wait)
        """
    )


# ---- faults ----------------------------------------------------------------------------


@pytest.mark.parametrize("enable", ["", "before", "after", "both"])
@pytest.mark.parametrize("fault", ["_sigsegv", "_sigfpe", "_sigabrt"])
def test_faulthandler_still_tells_of_a_fault(enable: str, fault: str, probe: Probe):
    """And the process dies of the signal, with or without it."""
    done = probe(
        f"""
        import faulthandler
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if {enable in ("before", "both")}:
            faulthandler.enable()
        load()
        if {enable in ("after", "both")}:
            faulthandler.enable()
        faulthandler.{fault}()
        """,
        options=(),
        check=False,
    )
    number = {"_sigsegv": signal.SIGSEGV, "_sigfpe": signal.SIGFPE, "_sigabrt": signal.SIGABRT}
    assert done.returncode == -number[fault]
    assert ("Fatal Python error" in done.stderr) is bool(enable)
    if enable:
        assert "in <module>" in done.stderr
    assert done.stdout == ""


def test_a_handler_of_python_for_sigsegv_still_runs(probe: Probe):
    done = probe(
        """
        signal.signal(signal.SIGSEGV, lambda *_: os.write(1, b"called"))
        load()
        os.kill(os.getpid(), signal.SIGSEGV)
        """
    )
    assert done.stdout == "called"
