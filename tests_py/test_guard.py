"""The process is as it was before the import: limits, masks, files, words."""

from __future__ import annotations

import pytest
from probing import Probe, prober

LOAD = pytest.mark.parametrize("how", ["import", "dlopen"])


@pytest.fixture
def probe(fresh: Probe) -> Probe:
    return prober(fresh)


# ---- limits, files, output -------------------------------------------------------------


@pytest.mark.parametrize("soft", [64, 256, 1000])
def test_the_limit_of_open_files_is_as_before(soft: int, probe: Probe):
    probe(
        f"""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, hard))
        before = {{name: resource.getrlimit(getattr(resource, name))
                  for name in dir(resource) if name.startswith("RLIMIT_")}}
        load()
        after = {{name: resource.getrlimit(getattr(resource, name)) for name in before}}
        assert after == before
        """
    )


@LOAD
def test_no_file_stays_open_and_no_word_is_said(how: str, probe: Probe):
    # dlopen returns while Go's runtime still starts on a thread of its own, which reads files of
    # the system and closes them: what counts is that none is left.
    done = probe(
        """
        import time
        before = sorted(os.listdir("/proc/self/fd"))
        load()
        end = time.monotonic() + 20
        while sorted(os.listdir("/proc/self/fd")) != before:
            assert time.monotonic() < end, os.listdir("/proc/self/fd")
        """,
        how,
    )
    assert done.stdout == ""


def test_the_environment_and_the_working_folder_are_as_before(probe: Probe):
    probe(
        """
        before = dict(os.environ), os.getcwd(), os.umask(0o22), os.getpriority(os.PRIO_PROCESS, 0)
        load()
        assert (dict(os.environ), os.getcwd(), os.umask(0o22),
                os.getpriority(os.PRIO_PROCESS, 0)) == before
        """
    )


# ---- the mask --------------------------------------------------------------------------


@LOAD
@pytest.mark.parametrize("blocked", ["", "SIGUSR1 SIGTERM", "SIGINT SIGURG SIGPIPE SIGSEGV"])
def test_the_signal_mask_of_the_loading_thread_is_as_before(how: str, blocked: str, probe: Probe):
    probe(
        f"""
        signal.pthread_sigmask(signal.SIG_SETMASK,
                               {{getattr(signal, n) for n in {blocked!r}.split()}})
        before = status()["SigBlk"]
        load()
        assert status()["SigBlk"] == before
        """,
        how,
    )


@LOAD
def test_the_signal_mask_is_as_before_when_another_thread_loads(how: str, probe: Probe):
    probe(
        """
        def body():
            signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2, signal.SIGHUP})
            task = f"self/task/{threading.get_native_id()}"
            before = status(task)["SigBlk"]
            load()
            assert status(task)["SigBlk"] == before
            good.append(True)

        good = []
        signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGALRM})
        before = status()["SigBlk"]
        loader = threading.Thread(target=body)
        loader.start()
        loader.join()
        assert status()["SigBlk"] == before
        assert good
        """,
        how,
    )


#: What Go unblocks on its threads come what may: documented, and nobody can help it. 32 and 33 are
#: the C library's; nobody can block KILL and STOP.
OPEN = (
    "SIGCHLD SIGPROF SIGURG SIGILL SIGTRAP SIGSTKFLT SIGRTMIN "
    "SIGSEGV SIGBUS SIGFPE SIGKILL SIGSTOP"
)


@LOAD
def test_gos_threads_take_no_signal_that_is_meant_for_the_program(how: str, probe: Probe):
    """Old ones and those that Go starts later, under load."""
    probe(
        f"""
        free = {{getattr(signal, name) for name in {OPEN!r}.split()}} | {{32, 33}}
        mine = set(os.listdir("/proc/self/task"))
        load()

        def check():
            others = set(os.listdir("/proc/self/task")) - mine
            assert others  # else this says nothing
            for task in others:
                mask = int(status(f"self/task/{{task}}")["SigBlk"], 16)
                open_ = {{n for n in range(1, 65) if not mask >> (n - 1) & 1}}
                assert open_ <= free, open_ - free
            return len(others)

        check()
        if sys.argv[1] == "import":
            from pybuf import _core
            def work():
                mine.add(str(threading.get_native_id()))  # may outlive its join by a moment
                for _ in range(20):
                    _core._go_runtime(True)
            workers = [threading.Thread(target=work) for _ in range(4)]
            for w in workers:
                w.start()
            for w in workers:
                w.join()
            check()
        """,
        how,
    )


def test_a_blocked_signal_can_be_waited_for(probe: Probe):
    """It must stay pending for sigwait, and neither be lost nor end the process."""
    probe(
        """
        waited = {signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGALRM}
        load()
        signal.pthread_sigmask(signal.SIG_BLOCK, waited)
        for number in sorted(waited) * 10:
            os.kill(os.getpid(), number)
            assert signal.sigwait(waited) == number
        """
    )
