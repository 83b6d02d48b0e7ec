"""What a refused import leaves behind: nothing. And it can be tried again."""

from __future__ import annotations

import textwrap

import pytest
from bare import ROOT
from probing import Probe, prober

LOAD = pytest.mark.parametrize("how", ["import", "dlopen"])
LIMITS = {
    "RLIMIT_AS": "RLIMIT_AS, 1 << 30",
    "RLIMIT_AS for the stacks": "RLIMIT_AS, 1730 << 20",
    "RLIMIT_DATA": "RLIMIT_DATA, 60 << 20",
    "RLIMIT_DATA for the stacks": "RLIMIT_DATA, 100 << 20",
}
REFUSED_BY = pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
#: From 3.12 on Python warns of each fork beside other threads, which Go's are.
FORKING = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")

REFUSE = """
    def soft(which, value):
        before, hard = resource.getrlimit(which)
        resource.setrlimit(which, (value, hard))
        return before

    def refused():
        try:
            import pybuf
        except ImportError as error:
            assert str(error).startswith("pybuf cannot be imported: "), error
            assert "Go's runtime wants" in str(error), error
            return True
        return False
"""


@pytest.fixture
def probe(fresh: Probe) -> Probe:
    """Runs code after REFUSE."""
    run = prober(fresh)
    return lambda code, *args, **kwargs: run(
        textwrap.dedent(REFUSE) + textwrap.dedent(code), *args, **kwargs
    )


# ---- nothing is left -------------------------------------------------------------------


@REFUSED_BY
@LOAD
def test_a_refused_runtime_leaves_no_thread_no_file_no_mask_and_no_limit(
    how: str, limit: str, probe: Probe
):
    """A mere dlopen ends well, too, and says nothing."""
    done = probe(
        f"""
        def state():
            return (status()["SigBlk"], sorted(os.listdir("/proc/self/fd")), dict(os.environ),
                    [resource.getrlimit(getattr(resource, name)) for name in dir(resource)
                     if name.startswith("RLIMIT_")])
        signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGUSR1, signal.SIGPROF}})
        soft(resource.{limit})
        before, tasks = state(), set(os.listdir("/proc/self/task"))
        if sys.argv[1] == "import":
            assert refused()
        else:
            load()
        after = state()
        different = [pair for pair in zip(before, after) if pair[0] != pair[1]]
        assert not different, different
        assert set(os.listdir("/proc/self/task")) <= tasks
        """,
        how,
    )
    assert done.stdout == ""


@pytest.mark.parametrize("limit", ["RLIMIT_AS, 1 << 30", "RLIMIT_DATA, 100 << 20"])
def test_a_refused_runtime_takes_no_fault_from_the_program(limit: str, probe: Probe):
    done = probe(
        f"""
        import faulthandler
        faulthandler.enable()
        soft(resource.RLIMIT_CORE, 0)
        soft(resource.{limit})
        assert refused()
        ctypes.string_at(1)
        """,
        options=(),
        check=False,
    )
    assert done.returncode == -11
    assert done.stderr.startswith("Fatal Python error: Segmentation fault")


def test_a_refused_runtime_lets_the_process_fork_and_start_threads(probe: Probe):
    probe(
        """
        soft(resource.RLIMIT_AS, 1 << 30)
        assert refused()
        for _ in range(3):
            child = os.fork()
            if child == 0:
                os._exit(not refused())
            assert os.waitpid(child, 0)[1] == 0
            thread = threading.Thread(target=refused)
            thread.start()
            thread.join()
        """,
        options=FORKING,
    )


# ---- and again -------------------------------------------------------------------------


@REFUSED_BY
@LOAD
def test_the_import_works_once_the_limit_is_raised(how: str, limit: str, probe: Probe):
    """With all that a runtime that came at once can do."""
    probe(
        f"""
        before = soft(resource.{limit})
        which = (resource.{limit})[0]
        if sys.argv[1] == "dlopen":
            load()
        for _ in range(3):
            assert refused()
        soft(which, before)
        files, mask = sorted(os.listdir("/proc/self/fd")), status()["SigBlk"]
        import pybuf
        assert (sorted(os.listdir("/proc/self/fd")), status()["SigBlk"]) == (files, mask)
        views = [memoryview(pybuf.zeros(1 << 16, source="go")) for _ in range(100)]
        assert pybuf._core._go_runtime(True)["blocks"] == 100
        assert pybuf.zeros((2, 3), ">i2").nbytes == 12
        views.clear()
        assert pybuf._core._go_runtime(True)["blocks"] == 0
        """,
        how,
    )


def test_a_child_of_a_refused_process_may_raise_the_limit_for_itself(probe: Probe):
    probe(
        """
        before = soft(resource.RLIMIT_AS, 1 << 30)
        assert refused()
        child = os.fork()
        if child == 0:
            soft(resource.RLIMIT_AS, before)
            import pybuf
            pybuf.copy(b"abc", source="go").close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert refused()
        """,
        options=FORKING,
    )


def test_an_import_that_worked_late_is_reborn_in_children(probe: Probe):
    probe(
        """
        before = soft(resource.RLIMIT_AS, 1 << 30)
        assert refused()
        soft(resource.RLIMIT_AS, before)
        import pybuf
        kept = pybuf.copy(b"abc", source="go")
        child = os.fork()
        if child == 0:
            assert pybuf.copy(kept, source="go") == kept == b"abc"
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert pybuf.copy(kept, source="go") == b"abc"
        """,
        options=FORKING,
    )


def test_threads_that_import_at_once_are_all_refused_and_then_all_served(probe: Probe):
    probe(
        """
        def each(expected):
            barrier, found = threading.Barrier(8), []
            def body():
                barrier.wait()
                try:  # a thread that waited for another's import may get a module of nothing
                    from pybuf import zeros
                    found.append(False)
                except ImportError:
                    found.append(True)
            threads = [threading.Thread(target=body, daemon=True) for _ in range(8)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            assert found == [expected] * 8, found
        before = soft(resource.RLIMIT_AS, 1 << 30)
        each(True)
        soft(resource.RLIMIT_AS, before)
        each(False)
        """,
    )


def test_a_setting_of_the_environment_refuses_for_as_long_as_the_process_lives(probe: Probe):
    probe(
        """
        del os.environ["GOMEMLIMIT"]  # Go reads what the process was started with
        for _ in range(2):
            try:
                import pybuf
                raise AssertionError
            except ImportError as error:
                assert "GOMEMLIMIT=plenty" in str(error)
        """,
        env={"GOMEMLIMIT": "plenty", "PYTHONPATH": ROOT},
    )
