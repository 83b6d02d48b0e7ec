"""Real faults while Go works: Python tells of them if it was asked to, and the signal ends all."""

from __future__ import annotations

import signal

import pytest
from busy import busy_prober
from probing import Probe


@pytest.fixture
def busy(fresh: Probe) -> Probe:
    return busy_prober(fresh)


FAULTS = {
    "a read": ("ctypes.string_at(1)", signal.SIGSEGV),
    "a write": ("ctypes.memset(16, 0, 8)", signal.SIGSEGV),
    "a write to what is read-only": ("ctypes.memset(code, 0, 8)", signal.SIGSEGV),
    "a call": ("ctypes.CFUNCTYPE(None)(16)()", signal.SIGSEGV),
    "beyond the end of a file": ("beyond[mmap.PAGESIZE]", signal.SIGBUS),
    "a division": ("faulthandler._sigfpe()", signal.SIGFPE),
    "an abort": ("os.abort()", signal.SIGABRT),
    "what is no code": ("ctypes.CFUNCTYPE(None)(illegal)()", signal.SIGILL),
    "deep in C": ("libc.qsort(array, 2, 8, compare)", signal.SIGSEGV),
}
PREPARE = """
    import mmap, tempfile
    code = ctypes.cast(libc.abs, ctypes.c_void_p).value
    with tempfile.TemporaryFile() as f:
        f.truncate(2 * mmap.PAGESIZE)
        beyond = mmap.mmap(f.fileno(), 2 * mmap.PAGESIZE)
        f.truncate(0)
    ud2 = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    ud2[:4] = bytes.fromhex("0f0b0000")  # of x86-64; of arm64, too, it is no instruction
    illegal = ctypes.addressof(ctypes.c_char.from_buffer(ud2))
    array = (ctypes.c_uint64 * 2)()
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(
        lambda a, b: ctypes.string_at(1) and 0)
"""


WHEN = pytest.mark.parametrize("enable", ["before", "after", "never"])


def enabling(enable: str, when: str) -> str:
    return f"""
        import faulthandler
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if {enable == when}:
            faulthandler.enable()
    """


@pytest.mark.parametrize("where", ["main", "thread"])
@WHEN
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_told_of_and_ends_the_process_by_its_signal(
    fault: tuple[str, signal.Signals], enable: str, where: str, busy: Probe
):
    what, number = fault
    done = busy(
        enabling(enable, "after"),
        PREPARE,
        f"""
        def here():
            {what}
        if {where == "main"}:
            here()
        thread = threading.Thread(target=here)
        thread.start()
        thread.join()
        """,
        before=enabling(enable, "before"),
        options=(),
        check=False,
    )
    assert done.returncode == -number, done
    assert done.stdout == ""
    if enable == "never":
        assert "Python" not in done.stderr
    else:
        assert done.stderr.count("Fatal Python error: ") == 1
        assert "in here\n" in done.stderr


@WHEN
def test_a_stack_that_overflows_in_c_is_told_of(enable: str, busy: Probe):
    """On the main thread: faulthandler has a stack for its handler only there."""
    done = busy(
        enabling(enable, "after"),
        """
        def here():
            faulthandler._stack_overflow()
        here()
        """,
        before=enabling(enable, "before"),
        options=(),
        check=False,
    )
    assert done.returncode == -signal.SIGSEGV, done
    assert done.stderr.count("in here\n") == (enable != "never")


def test_a_stack_that_overflows_in_c_ends_a_process_on_any_thread(busy: Probe):
    done = busy(
        enabling("before", "before"),
        """
        def here():
            _core._go_runtime(True)
            faulthandler._stack_overflow()
        thread = threading.Thread(target=here)
        thread.start()
        thread.join()
        """,
        options=(),
        check=False,
    )
    assert done.returncode == -signal.SIGSEGV, done


def test_a_recursion_without_end_is_an_exception(busy: Probe):
    done = busy(
        """
        def here():
            pybuf.zeros(8, source="go")
            here()
        def there():
            try:
                here()
            except RecursionError:
                print("caught")
        there()
        thread = threading.Thread(target=there)
        thread.start()
        thread.join()
        """
    )
    assert done.stdout == "caught\n" * 2


# ---- faulthandler, asked to tell ---------------------------------------------------------


def test_tracebacks_can_be_had_at_a_signal_and_at_a_time(busy: Probe):
    done = busy(
        """
        import faulthandler, io, tempfile

        def here():
            faulthandler.register(signal.SIGUSR1, file=f, chain=True)
            os.kill(os.getpid(), signal.SIGUSR1)
            faulthandler.dump_traceback_later(0.001, repeat=True, file=f)
            while os.fstat(f.fileno()).st_size < 5000 or not calls:
                pass
            faulthandler.cancel_dump_traceback_later()
            faulthandler.unregister(signal.SIGUSR1)
            faulthandler.dump_traceback(file=f)

        calls = []
        signal.signal(signal.SIGUSR1, lambda *_: calls.append(True))
        with tempfile.TemporaryFile("w+") as f:
            here()
            f.seek(0)
            text = f.read()
        assert text.count("in here") >= 3
        assert "in work" in text
        assert "Timeout (0:00:00.001000)!" in text
        assert calls == [True]
        """
    )
    assert done.stdout == ""


def test_an_alarm_that_exits_ends_a_busy_process_with_a_traceback(busy: Probe):
    done = busy(
        """
        import faulthandler, time
        def here():
            faulthandler.dump_traceback_later(0.05, exit=True)
            time.sleep(60)
        here()
        """,
        check=False,
    )
    assert done.returncode == 1
    assert "in here\n" in done.stderr
