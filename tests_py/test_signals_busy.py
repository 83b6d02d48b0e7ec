"""Signals do what they do without pybuf while Go works on other threads."""

from __future__ import annotations

import pytest
from busy import busy_prober
from probing import Probe


@pytest.fixture
def busy(fresh: Probe) -> Probe:
    return busy_prober(fresh)


# ---- the main thread is woken ----------------------------------------------------------


def test_an_alarm_wakes_the_main_thread_every_time(busy: Probe):
    """Without a race: the signal is blocked but for the wait, which lets it in and sleeps at
    once. A thread of Go's that took one would make the wait endless."""
    busy(
        """
        nothing = (ctypes.c_ubyte * 128)()
        for expected in range(1, 251):
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            assert libc.sigsuspend(nothing) == -1
            assert len(calls) == expected
        """,
        before="""
        load()  # first, so that Go's threads do not inherit what is blocked here
        calls = []
        signal.signal(signal.SIGALRM, lambda *_: calls.append(threading.get_native_id()))
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        """,
    )


@pytest.mark.parametrize(
    "wait",
    [
        "time.sleep(60)",
        "threading.Event().wait(60)",
        "lock.acquire()",
        "select.select([], [], [], 60)",
        "signal.pause()",
        "spin()",
    ],
)
def test_ctrl_c_interrupts(wait: str, busy: Probe):
    """A signal between Python's last look for one and the call that waits is handled after the
    call: so it is sent until it was seen."""
    done = busy(
        f"""
        import select, time
        lock = threading.Lock()
        lock.acquire()

        def spin():
            while True:
                pybuf.zeros(8)

        def interrupt(number, frame):
            if not seen.is_set():
                seen.set()
                raise KeyboardInterrupt

        def send():
            while not seen.wait(0.005):
                os.kill(os.getpid(), signal.SIGINT)

        signal.signal(signal.SIGINT, interrupt)
        for _ in range(5):
            seen = threading.Event()
            sender = threading.Thread(target=send)
            try:
                sender.start()
                {wait}
            except KeyboardInterrupt:
                print("interrupted")
            sender.join()
        """
    )
    assert done.stdout == "interrupted\n" * 5


# ---- handlers, waits, wake-ups ---------------------------------------------------------

HANDLERS = """
    calls = []
    names = ("USR1 USR2 TERM HUP INT QUIT ALRM CHLD PIPE WINCH CONT TSTP TTOU IO XCPU XFSZ "
             "VTALRM PROF ILL TRAP RTMIN RTMAX")
    numbers = [getattr(signal, f"SIG{name}") for name in names.split()]
    for number in numbers:
        signal.signal(number, lambda n, frame: calls.append(n))
"""
SEND = """
    for _ in range(10):
        for number in numbers:
            os.kill(os.getpid(), number)
            while not calls:
                pass
            assert calls == [number], calls
            calls.clear()
"""


def test_handlers_that_were_set_before_the_import_are_called(busy: Probe):
    busy(SEND, before=HANDLERS)


def test_handlers_that_were_set_after_the_import_are_called(busy: Probe):
    busy(HANDLERS, SEND)


def test_a_handler_of_sigurg_is_called_when_one_is_sent(busy: Probe):
    busy(
        """
        calls = []
        signal.signal(signal.SIGURG, lambda *_: calls.append(True))
        for _ in range(20):
            calls.clear()
            os.kill(os.getpid(), signal.SIGURG)
            while not calls:
                pass
        """
    )


def test_signals_that_find_their_thread_in_go_do_no_harm(busy: Probe):
    busy(
        """
        calls = []
        for number in (signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, lambda *_: calls.append(True))
        for i in range(20_000):
            signal.pthread_kill(workers[i % len(workers)].ident,
                                signal.SIGUSR1 if i % 2 else signal.SIGCHLD)
        while not calls:
            pass
        """
    )


def test_blocked_signals_can_be_waited_for(busy: Probe):
    busy(
        """
        for _ in range(50):
            for number in sorted(waited):
                os.kill(os.getpid(), number)
                assert signal.sigpending() == {number}
                assert signal.sigwait(waited) == number
                os.kill(os.getpid(), number)
                assert signal.sigtimedwait(waited, 60).si_signo == number
                os.kill(os.getpid(), number)
                assert signal.sigwaitinfo(waited).si_pid == os.getpid()
                assert signal.sigtimedwait(waited, 0) is None
        """,
        before="""
        waited = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGALRM}
        signal.pthread_sigmask(signal.SIG_BLOCK, waited)
        """,
    )


def test_a_thread_that_calls_go_can_wait_for_signals_too(busy: Probe):
    busy(
        """
        def wait():
            for _ in range(50):
                _core._go_runtime(True)
                signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
                assert signal.sigwait(waited) == signal.SIGUSR1
                pybuf.zeros(1 << 16, source="go")
            waits.append(True)
        waits = []
        waiters = [threading.Thread(target=wait) for _ in range(4)]
        for w in waiters:
            w.start()
        for w in waiters:
            w.join()
        assert waits == [True] * 4
        """,
        before="""
        waited = {signal.SIGUSR1}
        signal.pthread_sigmask(signal.SIG_BLOCK, waited)
        """,
    )


def test_the_wakeup_descriptor_gets_one_byte_for_each_signal(busy: Probe):
    busy(
        """
        import socket
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno())
        for number in (signal.SIGUSR1, signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
            for _ in range(50):
                os.kill(os.getpid(), number)
                assert ours.recv(10) == bytes([number])
        signal.set_wakeup_fd(-1)
        ours.close()
        theirs.close()
        """
    )


def test_an_event_loop_handles_every_signal(busy: Probe):
    busy(
        """
        import asyncio

        async def main():
            loop, got = asyncio.get_running_loop(), asyncio.Queue()
            numbers = [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
            for number in numbers:
                loop.add_signal_handler(number, got.put_nowait, number)
            for _ in range(25):
                for number in numbers:
                    os.kill(os.getpid(), number)
                    assert await got.get() == number
            children = [await asyncio.create_subprocess_exec("true") for _ in range(5)]
            assert await asyncio.gather(*(child.wait() for child in children)) == [0] * 5
            for number in numbers:
                loop.remove_signal_handler(number)

        asyncio.run(main())
        """
    )


# ---- children and timers ---------------------------------------------------------------


def test_the_end_of_every_child_is_signalled(busy: Probe):
    busy(
        """
        ended = {}

        def reap(number, frame):
            try:
                while (found := os.waitpid(-1, os.WNOHANG))[0]:
                    ended[found[0]] = os.waitstatus_to_exitcode(found[1])
            except ChildProcessError:
                pass

        signal.signal(signal.SIGCHLD, reap)
        children = [os.posix_spawn("/bin/sh", ["sh", "-c", f"exit {i}"], os.environ)
                    for i in range(20)]
        while len(ended) < 20:  # for ever, if no signal came after the last one's end
            pass
        assert [ended[child] for child in children] == list(range(20))
        """
    )


@pytest.mark.parametrize("start", ["os.system", "os.posix_spawn", "subprocess"])
def test_programs_that_are_started_ignore_sigpipe_as_without_pybuf(start: str, busy: Probe):
    """Python ignores it, and so does what it starts, unless it says otherwise."""
    done = busy(
        """
        command = "grep ^Sig[IB] /proc/self/status"
        def run(how):
            if how == "os.system":
                return os.system(command)
            if how == "os.posix_spawn":
                child = os.posix_spawn("/bin/sh", ["sh", "-c", command], os.environ)
                return os.waitpid(child, 0)[1]
            return subprocess.run(["sh", "-c", command], restore_signals=False).returncode
        """,
        f"assert run({start!r}) == 0",
    )
    bare = done.stdout.split()
    assert int(bare[bare.index("SigIgn:") + 1], 16) >> 12 & 1
    assert int(bare[bare.index("SigBlk:") + 1], 16) == 0


@pytest.mark.parametrize("timer", ["REAL ALRM", "VIRTUAL VTALRM", "PROF PROF"])
def test_interval_timers_call_their_handlers(timer: str, busy: Probe):
    which, number = timer.split()
    busy(
        f"""
        calls = []
        signal.signal(signal.SIG{number}, lambda n, frame: calls.append(n))
        signal.setitimer(signal.ITIMER_{which}, 0.001, 0.001)
        while len(calls) < 50:
            pass
        signal.setitimer(signal.ITIMER_{which}, 0)
        assert set(calls) == {{signal.SIG{number}}}
        """
    )
