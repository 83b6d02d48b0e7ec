"""The end of Python, and forks, with memory of C code alive."""

from __future__ import annotations

import capi_build
import pytest

FORK = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")


@pytest.mark.parametrize("build", capi_build.EVERY)
def test_what_is_in_static_variables_when_python_ends_is_never_touched(with_every, build):
    """A release that is called ends the process with 99."""
    with_every(
        """
        import numpy as np, pybuf
        c.new((3,))
        owner = bytearray(64)
        keep = [
            c.wrap(release=END_PROCESS), c.wrap(flags=0, release=END_PROCESS),
            c.wrap(shape=(2,), strides=(16,), release=END_PROCESS),
            memoryview(c.wrap(release=END_PROCESS)),
            c.memory(ADDRESS, 64, 1, END_PROCESS).__dlpack__(),
            c.wrap_owned(owner), c.new((100,))[0], c.pointers(ADDRESS, 1, (0, 2), flags=0,
            release=END_PROCESS),
        ]
        for i, memory in enumerate(keep):
            c.keep(i, memory)
        """,
        build=build,
    )


@pytest.mark.parametrize("kind", ["0", "ARRAY"])
def test_what_a_library_ends_after_python_is_left_to_the_end_of_the_process(with_every, kind):
    with_every(
        f"""
        import numpy as np
        c.new((3,))
        lent = c.wrap(flags={kind}, release=END_PROCESS)
        tensor = c.wrap(flags={kind}, release=END_PROCESS).__dlpack__()
        c.end_at_exit(tensor, c.lend(lent, 0))
        del lent
        """
    )


@pytest.mark.parametrize("flags", ["0", "ARRAY"])
def test_globals_are_freed_at_the_end_of_python_or_never(with_every, flags):
    """While modules are emptied: each at most once, and what is called finds its memory."""
    with_every(
        f"""
        import numpy as np, pybuf
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        c.new((3,))
        a = [c.wrap(libc.malloc(64), flags={flags}, release=NOTE_AND_FREE) for _ in range(5)]
        b = np.asarray(a[0])[1:]
        sys.kept = memoryview(a[1])
        class Cycle:
            pass
        cycle = Cycle()
        cycle.me, cycle.memory = cycle, a[2]
        d = a[3].__dlpack__()
        """,
    )


def test_python_that_is_called_by_a_release_at_the_end_is_quiet(with_every):
    done = with_every(
        """
        import pybuf
        def gone(address, write=os.write):
            write(1, b"gone\\n")
        c.new((3,))
        sys.kept = gone
        a = c.wrap(release=CALL_PYTHON, arg=gone)
        b = c.wrap(flags=0, release=CALL_PYTHON, arg=gone)
        """
    )
    assert done.stdout.count("gone") in {0, 2}


def test_a_process_that_exits_at_once_has_no_word(with_every):
    for way in ("os._exit(0)", "sys.exit(0)"):
        with_every(
            f"c.new((3,)); a, b = c.wrap(release=END_PROCESS), c.wrap(flags=0)\n"
            f"c.keep(0, a)\n{way}"
        )


def test_a_forked_child_frees_what_was_made_before_and_after(with_every):
    with_every(
        """
        import pybuf
        c.new((3,))
        def child(body):
            pid = os.fork()
            if pid == 0:
                code = 70
                try:
                    body()
                    code = 0
                except BaseException:
                    import traceback
                    traceback.print_exc()
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        early = [c.wrap(), c.wrap(flags=0), c.new((100,))[0], c.rows_new(3, 3, b"d", 0)]
        calls = pybuf.stats()["go_calls"]
        def body():
            late = [c.wrap(), c.wrap(flags=0), c.new((100,))[0], c.new((2,), flags=0)[0]]
            assert late[0].tolist() == early[1].tolist() == NUMBERS
            assert len(pybuf.live()) == 8
            late.clear()
            assert len(c.calls()) == 2
            early.clear()
            assert len(c.calls()) == 4
            c.loop(1000, NOTE)
            assert pybuf.live() == []
            assert pybuf.stats()["go_calls"] == calls  # no runtime was needed
            grandchild = lambda: c.wrap(format=b"T{d:new:}")  # and here one is
            child(grandchild)
        child(body)
        assert c.calls() == [] and len(pybuf.live()) == 4
        early.clear()
        assert len(c.calls()) == 2
        """,
        options=FORK,
    )


def test_a_child_of_a_busy_process_makes_arrays(with_every):
    """Threads of the parent make and drop while it forks."""
    with_every(
        """
        import threading, pybuf
        c.new((3,))
        stop = False
        def busy():
            while not stop:
                c.wrap(flags=0), c.new((10,))
        threads = [threading.Thread(target=busy) for _ in range(2)]
        for t in threads:
            t.start()
        try:
            for _ in range(10):
                pid = os.fork()
                if pid == 0:
                    try:
                        good = c.wrap().tolist() == NUMBERS
                        c.new((10,))
                        os._exit(0 if good else 1)
                    finally:
                        os._exit(70)
                assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        finally:
            stop = True
            for t in threads:
                t.join()
        """,
        options=FORK,
    )
