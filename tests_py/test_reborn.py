"""Go in forked children: a runtime of their own, when they need one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from bare import NOBODY
from forking import forker
from probing import Probe

import pybuf

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")


@pytest.fixture
def fork(fresh: Probe) -> Probe:
    return forker(fresh)


#: How many copies of the library were loaded from memory.
IMAGES = """
    def images():
        with open("/proc/self/maps") as maps:
            return len({line.split()[4] for line in maps if "memfd:pybuf" in line})
"""


def test_a_block_of_a_dead_runtime_can_be_used_and_is_left_alone(fork: Probe):
    fork(
        """
        import pickle
        data = bytes(range(200))
        blocks = [pybuf.copy(data, source="go") for _ in range(4)]
        def body():
            use_go()
            view = memoryview(blocks[0])
            blocks[0].close()
            assert view == data and pickle.loads(pickle.dumps(blocks[1])) == data
            assert pybuf.copy(blocks[1], source="go") == data
            other = pybuf.zeros(200, source="go")
            assert _core._go_runtime(False)["blocks"] == 1
            other[:] = blocks[2]
            del view
            blocks.clear()
            assert _core._go_runtime(True)["blocks"] == 1  # the child's own is untouched
            assert other == data
            del other
            assert _core._go_runtime(True)["blocks"] == 0
        in_child(body)
        assert all(b == data for b in blocks)
        assert _core._go_runtime(True)["blocks"] == 4
        """
    )


BUSY = """
    stop = False
    def alloc():
        i = 0
        while not stop:
            i += 1
            pybuf.zeros(1 << i % 21, source="go")
    def collect():
        while not stop:
            _core._go_runtime(True)
    def parse():
        while not stop:
            pybuf.wrap(4096, (2, 3), "h", strides=(400, 4), unowned=True)
            refusal(lambda: pybuf.zeros(2, "no such type"), ValueError)
    workers = [threading.Thread(target=f) for f in (alloc, alloc, collect, parse)]
    for w in workers:
        w.start()
"""
STOP = """
    stop = True
    for w in workers:
        w.join()
"""


def test_200_children_of_a_busy_runtime_all_get_their_own(fork: Probe):
    fork(
        BUSY,
        """
        kept = pybuf.copy(b"kept", source="go")
        def body():
            assert kept == b"kept"
            blocks = [pybuf.zeros(1 << 20, source="go") for _ in range(5)]
            assert all(b[1 << 19] == 0 for b in blocks)
            blocks.clear()
            assert _core._go_runtime(True)["blocks"] == 0
            assert pybuf.zeros(3, "=q").nbytes == 24
        for _ in range(200):
            in_child(body)
        """,
        STOP,
    )


@pytest.mark.parametrize("enable", ["", "before", "after", "both"])
def test_a_fault_in_a_child_of_a_busy_runtime_is_its_end(enable: str, fork: Probe):
    """Not a wait for the threads of the dead runtime, to which faulthandler leads back."""
    turn_on = "import faulthandler; faulthandler.enable(null := open('/dev/null', 'w'))"
    fork(
        "resource.setrlimit(resource.RLIMIT_CORE, (0, 0))",
        turn_on if enable in ("after", "both") else "",
        BUSY,
        """
        def body():
            ctypes.string_at(1)
        def reborn():
            use_go()
            ctypes.string_at(1)
        ends = {status_of(f) for f in [body, reborn] * 20}
        """,
        STOP,
        "assert ends == {-signal.SIGSEGV}, ends",
        before=turn_on if enable in ("before", "both") else "",
        options=("-W", "ignore"),  # -X dev has a faulthandler of its own
    )


# ---- the file of the library ------------------------------------------------------------


@pytest.fixture
def own_copy(tmp_path: Path) -> str:
    """A statement that imports from a copy of the package, and names its module `file`."""
    shutil.copytree(Path(pybuf.__file__).parent, tmp_path / "site" / "pybuf")
    return f"""
    sys.path.insert(0, {str(tmp_path / "site")!r})
    import pybuf
    file = pybuf._core.__file__
    assert file.startswith({str(tmp_path)!r})
    """


CHANGES = {
    "deleted": "os.unlink(file)",
    "renamed over": "import shutil; shutil.copy(os.__file__, 'other'); os.rename('other', file)",
    "folder gone": "import shutil; shutil.rmtree(os.path.dirname(file))",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_file_that_is_gone_by_then_is_not_needed(change: str, own_copy: str, fork: Probe):
    fork(change, "in_child(use_go)", before=own_copy)


@pytest.mark.parametrize("cut", [1, 200, 1200])
def test_a_file_cut_short_behind_what_is_mapped_is_no_fault(cut: int, own_copy: str, fork: Probe):
    """The tail holds the table of sections, which the loader may want and may not. What is cut
    out of the mapped parts ends any process, fork or not."""
    fork(
        f"""
        os.truncate(file, os.path.getsize(file) - {cut})
        def body():
            try:
                use_go()
            except RuntimeError as error:
                assert "could not be started: " in str(error)
            assert pybuf.zeros(3).tolist() == [0] * 3
        in_child(body)
        """,
        before=own_copy,
    )


def test_a_library_loaded_before_the_fork_can_be_imported_behind_it(fork: Probe):
    fork(
        """
        ctypes.CDLL(sys.argv[2])
        def body():
            global pybuf, _core
            import pybuf
            from pybuf import _core
            assert generation() == 1
            use_go()
        in_child(body)
        """,
        imports=False,
    )


# ---- what a child may lack ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "value", "step"),
    [
        ("RLIMIT_NOFILE", 0, "no copy of the library can be made in memory: Too many open files"),
        ("RLIMIT_FSIZE", 1000, "no copy of the library can be made in memory: File too large"),
        ("RLIMIT_DATA", 1 << 20, "MiB that can be written to"),
        ("RLIMIT_AS", 1 << 20, "MiB of address space"),
    ],
)
def test_a_child_that_lacks_something_is_told_and_goes_on(
    limit: str, value: int, step: str, fork: Probe
):
    fork(
        f"""
        def body():
            soft, hard = resource.getrlimit(resource.{limit})
            resource.setrlimit(resource.{limit}, ({value}, hard))
            said = [refusal(lambda: _core._go_runtime(False)) for _ in range(3)]
            try:
                pybuf.zeros(8, source="go")
            except (RuntimeError, MemoryError):
                pass
            else:
                raise AssertionError("made")
            assert pybuf.zeros(3).tolist() == [0] * 3
            resource.setrlimit(resource.{limit}, (soft, hard))
            assert all({step!r} in s and "this process was forked" in s for s in said), said
            use_go()
        in_child(body)
        """
    )


@root_only
@pytest.mark.parametrize("more", [0, 1, 5, 20])
def test_a_child_with_few_threads_left_is_refused_or_served(more: int, fork: Probe):
    fork(
        f"""
        def body():
            resource.setrlimit(resource.RLIMIT_NPROC, (1 + {more}, 100))
            nobody()
            if {more} < 6:
                said = refusal(use_go)
                assert "this process can have {more} more" in said, said
                resource.setrlimit(resource.RLIMIT_NPROC, (100, 100))
            use_go()
        in_child(body)
        """,
        before="def nobody():" + NOBODY,
    )


@pytest.mark.parametrize("more", [1, 2, 3])
def test_a_child_with_a_descriptor_or_two_left_is_refused_or_served(more: int, fork: Probe):
    fork(
        f"""
        def body():
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free + {more}, free + {more}))
            if {more} < 2:
                assert "cannot be loaded" in refusal(use_go)
            else:
                use_go()
            assert pybuf.zeros(3).tolist() == [0] * 3
        in_child(body)
        """
    )


@root_only
def test_a_child_without_proc_is_told(fork: Probe, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    fork(
        f"""
        def body():
            os.chroot({str(tmp_path / "empty")!r})
            assert "for which /proc must be mounted" in refusal(use_go)
            assert pybuf.zeros(3).tolist() == [0] * 3
        in_child(body)
        """
    )


def test_threads_that_need_go_at_once_start_one_runtime(fork: Probe):
    fork(
        IMAGES,
        """
        def body():
            on_threads(use_go, 16)
            assert generation() == 1
            assert images() == 1
        for _ in range(5):
            in_child(body)
        """,
    )


def test_a_child_of_a_thread_works(fork: Probe):
    fork(
        """
        def body():
            in_child(use_go)
        on_threads(body, 4)
        """
    )


def test_a_child_whose_thread_returns_ends(fork: Probe):
    fork(
        """
        ends = []
        def body():
            pid = os.fork()
            if pid:
                ends.append(os.waitpid(pid, 0)[1])
            else:
                signal.alarm(20)
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        assert ends == [0]
        """
    )


def test_a_child_that_used_go_ends_by_sys_exit_with_its_status(fork: Probe):
    fork(
        """
        pid = os.fork()
        if pid == 0:
            signal.alarm(20)
            kept = pybuf.zeros(100, source="go")
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
        """
    )


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_workers_of_multiprocessing_use_go(method: str, fresh: Probe, tmp_path: Path):
    program = tmp_path / "workers.py"
    program.write_text(
        """
import multiprocessing, sys
import pybuf

def work(i):
    b = pybuf.zeros((i + 1, 8), "=d" if i % 2 else "d", source="go")
    b[i, 3] = i
    return pybuf.copy(b, source="go")

if __name__ == "__main__":
    mine = pybuf.zeros(10, source="go")
    with multiprocessing.get_context(sys.argv[1]).Pool(3, maxtasksperchild=2) as pool:
        results = pool.map(work, range(12), chunksize=1)
    assert [b[i, 3] for i, b in enumerate(results)] == [*range(12)]
    assert all(b.shape == (i + 1, 8) for i, b in enumerate(results))
"""
    )
    fresh(
        f"""
        import subprocess, sys
        subprocess.run([sys.executable, "-W", "ignore", {str(program)!r}, {method!r}],
                       check=True, timeout=50)
        """
    )
