"""What adopt() took is released once: at the end, in forks, in interpreters, without memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import descriptors as ds
import oracle
import pytest

import pybuf
from pybuf import _core

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]
NUMBERS = [float(i) for i in range(8)]


# ---- the release -----------------------------------------------------------------------


def test_a_pending_exception_survives_a_release(released):
    def raises() -> None:
        b = pybuf.adopt(ds.produce(release=ds.RUN_PYTHON))
        assert b.nbytes == 64
        raise LookupError("on its way")

    with pytest.raises(LookupError, match="on its way"):
        raises()
    assert released() == 1
    del sys.modules["__main__"].__dict__["ran"]


def test_what_a_release_raises_goes_to_the_unraisable_hook(unraisable, released):
    del_me = pybuf.adopt(ds.produce(release=ds.SET_ERROR))
    del del_me
    assert unraisable == ["KeyError('set by a release')"]
    with pytest.raises(ValueError, match="65 bytes"):
        pybuf.adopt(ds.produce(release=ds.SET_ERROR, nbytes=65))
    assert len(unraisable) == 2
    assert released() == 2


def test_the_thread_that_drops_the_last_reference_releases(released):
    held = [pybuf.adopt(ds.produce())]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert released() == 1
    assert not ds.library().by_this_thread()


def test_a_cycle_that_holds_an_adopted_buffer_is_collected(released):
    class Node:
        pass

    node: Any = Node()
    node.me, node.buffer = node, pybuf.adopt(ds.produce())
    del node
    gc.collect()
    assert released() == 1


MASK = """
    import signal, sys, threading
    sys.path.insert(0, {tests!r})
    import descriptors as ds
    ds.library_file = lambda: {file!r}
    import pybuf
    failures = []
    def body(release):
        wanted = {{signal.SIGCHLD, signal.SIGUSR1, signal.SIGPROF, signal.SIGALRM}}
        signal.pthread_sigmask(signal.SIG_SETMASK, wanted)
        for i in range(5):
            pybuf.adopt(ds.produce(flags=ds.PROCESS, release=release)).close()
            now = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            if now != wanted:
                failures.append((release, i, now))
        for i in range(3):
            try:
                pybuf.adopt(ds.produce(flags=ds.PROCESS, release=release, nbytes=1))
            except ValueError:
                pass
            if signal.pthread_sigmask(signal.SIG_BLOCK, []) != wanted:
                failures.append((release, "refused", i))
    for release in (ds.UNBLOCK_FIRST, ds.UNBLOCK_ALWAYS, ds.GIVE_BACK, ds.UNBLOCK_ALWAYS):
        thread = threading.Thread(target=body, args=(release,))
        thread.start()
        thread.join()
    for release in (ds.GIVE_BACK, ds.UNBLOCK_FIRST):
        body(release)
    assert not failures, failures
"""


def library_use() -> dict[str, str]:
    return {"tests": str(Path(__file__).parent), "file": ds.library_file()}


def test_a_release_of_a_runtime_leaves_the_signal_mask_as_it_was(fresh: Fresh):
    fresh(MASK.format(**library_use()))


# ---- forks -----------------------------------------------------------------------------

FORK = """
    import os, sys
    sys.path.insert(0, {tests!r})
    import descriptors as ds
    ds.library_file = lambda: {file!r}
    import pybuf

    def in_child(body):
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                body()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    count = ds.library().count
    NUMBERS = list(map(float, range(8)))
"""


@pytest.fixture
def forks(fresh: Fresh) -> Callable[[str], object]:
    options = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return lambda code: fresh(
        FORK.format(**library_use()) + code.replace("\n", "\n    "), options=options
    )


def test_a_child_looks_at_memory_of_its_parents_runtime_and_calls_nothing(forks):
    forks("""
b = pybuf.adopt(ds.produce(flags=ds.PROCESS))
view = memoryview(b)
def body():
    global b, view
    assert view.tolist() == b.tolist() == NUMBERS
    del view, b
    assert count() == 0
in_child(body)
del view, b
assert count() == 1
""")


def test_a_child_adopts_what_its_parents_runtime_made_and_calls_nothing(forks):
    forks("""
address, bad = ds.produce(flags=ds.PROCESS), ds.produce(flags=ds.PROCESS, nbytes=1)
def body():
    assert pybuf.adopt(address).tolist() == NUMBERS
    try:
        pybuf.adopt(bad)
    except ValueError:
        pass
    assert count() == 0
in_child(body)
pybuf.adopt(address)
assert count() == 1
""")


def test_a_child_releases_what_is_bound_to_no_process_and_what_is_its_own(forks):
    forks("""
b = pybuf.adopt(ds.produce())
def body():
    global b
    del b
    assert count() == 1
    kept = pybuf.adopt(ds.produce(flags=ds.PROCESS))
    def grandchild():
        nonlocal kept
        del kept
        assert count() == 1
    in_child(grandchild)
    del kept
    assert count() == 2
in_child(body)
del b
assert count() == 1
""")


# ---- interpreters ----------------------------------------------------------------------


def test_the_end_of_python_with_adopted_memory_in_every_corner_is_quiet(fresh: Fresh):
    fresh(
        FORK.format(**library_use())
        + """
    import numpy as np
    made = [pybuf.adopt(ds.produce(flags=flags)) for flags in (0, 1, 2, 3)]
    sys.kept = [np.asarray(b) for b in made], [b.numpy() for b in made], made[0]
    def cycle(b):
        return lambda: (cycle, b, me)
    me = cycle(pybuf.adopt(ds.produce()))
    """
    )


def test_a_sub_interpreter_adopts_and_releases(fresh: Fresh):
    fresh(
        FORK.format(**library_use())
        + """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    here = interpreters.create()
    address, left = ds.produce(), ds.produce()
    failed = interpreters.run_string(here, f'''if True:
        import pybuf
        assert pybuf.adopt({address}).tolist() == {NUMBERS}
        kept = pybuf.adopt({left})
        try:
            pybuf.lend(b"x", writable=False)
        except BufferError as error:
            assert "sub-interpreter" in str(error)
        else:
            raise AssertionError
    ''')
    assert failed is None, failed
    assert count() == 1
    interpreters.destroy(here)
    assert count() == 2
    """,
        options=(),
    )


# ---- memory that is out ----------------------------------------------------------------


def test_whatever_allocation_fails_the_descriptor_is_released_once(released):
    testcapi = pytest.importorskip("_testcapi")
    # By these names: to look a function up may allocate, too, and fail in its place.
    adopt, fail, mend = pybuf.adopt, testcapi.set_nomemory, testcapi.remove_mem_hooks
    formats = [b"d", b"T{d:a:}", b"(2)d"]
    produced = 0
    for format in formats:  # noqa: A001
        for after in range(40):
            itemsize = 16 if format == b"(2)d" else 8
            address = ds.produce(
                format=format, shape=(2, 2, 64 // itemsize // 4), itemsize=itemsize
            )
            produced += 1
            last = after + 1
            try:
                fail(after, last)
                adopt(address)
            except MemoryError:
                pass
            finally:
                mend()
    assert released() == produced


def test_the_counters_are_equal_after_many_of_all_sorts(released):
    def once() -> None:
        oracle.outcome(lambda: pybuf.adopt(ds.produce()))
        oracle.outcome(lambda: pybuf.adopt(ds.produce(nbytes=1)))
        oracle.outcome(lambda: pybuf.adopt(ds.failure(7, b"x", 2)))
        oracle.outcome(lambda: pybuf.adopt(ds.capsule(ds.produce())))

    once()
    gc.collect()
    before = _core._counters()["made"], sys.getallocatedblocks()
    for _ in range(1000):
        once()
    gc.collect()
    after = _core._counters()["made"], sys.getallocatedblocks()
    assert after[0] - before[0] == 2000
    assert after[1] - before[1] < 100
    assert released() == 4 * 1001
