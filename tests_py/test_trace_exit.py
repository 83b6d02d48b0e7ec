"""PYBUF_TRACE and PYBUF_LEAKS; traces in children, interpreters, and at the end of Python."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tracing import events, read

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]
FORKS = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")


def environment(**names: str) -> dict[str, str]:
    return {**os.environ, **names}


# ---- PYBUF_TRACE -----------------------------------------------------------------------------


def test_by_the_environment_a_trace_is_on_from_the_import_to_the_end(fresh: Fresh):
    done = fresh(
        """
        import pybuf
        b = pybuf.zeros(4)
        """,
        check=False,
        env=environment(PYBUF_TRACE="1"),
    )
    alloc, free = read(done.stderr)
    assert (done.returncode, done.stdout) == (0, "")
    assert (alloc.event, alloc.where) == ("alloc", "<string>:3")
    assert (free.event, free.where, free.before) == ("free", "?", "<string>:3")


def test_the_environment_may_name_a_file(fresh: Fresh, tmp_path: Path):
    path = tmp_path / "some where"
    code = "import pybuf; b = pybuf.zeros(4).numpy()"
    for _ in range(2):
        fresh(code, env=environment(PYBUF_TRACE=str(path)))
    assert events(read(path.read_text())) == ["alloc", "export", "release", "free"] * 2


@pytest.mark.parametrize("value", ["", "0"])
def test_the_environment_may_say_no(value: str, fresh: Fresh, tmp_path: Path):
    code = "import pybuf; b = pybuf.zeros(4); assert pybuf.live()[0].where is None"
    fresh(code, env=environment(PYBUF_TRACE=value, PYBUF_LEAKS=value))
    assert os.listdir(tmp_path) == []


def test_a_file_of_the_environment_that_cannot_be_written_stops_no_program(
    fresh: Fresh, tmp_path: Path
):
    done = fresh(
        "import pybuf; pybuf.zeros(4); print('done')",
        check=False,
        options=(),
        env=environment(PYBUF_TRACE=str(tmp_path / "none" / "trace")),
    )
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "RuntimeWarning: PYBUF_TRACE is '" in done.stderr
    assert "nothing is traced: [Errno 2]" in done.stderr


def test_the_trace_of_the_environment_and_others_are_on_together(fresh: Fresh):
    done = fresh(
        """
        import io, pybuf
        file = io.StringIO()
        with pybuf.trace(file):
            pybuf.zeros(4).close()
        print(file.getvalue(), end="")
        """,
        check=False,
        env=environment(PYBUF_TRACE="1"),
    )
    assert events(read(done.stdout)) == ["alloc", "free"]
    assert done.stderr == done.stdout


def test_a_trace_to_a_closed_stderr_is_no_harm(fresh: Fresh):
    done = fresh(
        """
        import io, os, sys
        os.close(2)
        sys.stderr = io.StringIO()
        import pybuf
        b = pybuf.zeros(4).numpy()
        print(repr(sys.stderr.getvalue()))
        sys.stderr = sys.__stderr__
        """,
        check=False,
        options=(),
        env=environment(PYBUF_TRACE="1", PYBUF_LEAKS="1"),
    )
    assert (done.returncode, done.stdout) == (0, "''\n")


# ---- PYBUF_LEAKS -----------------------------------------------------------------------------

#: A cycle through an array, which the collector cannot see.
LEAK = """
    import ctypes, numpy as np, pybuf
    class Holder: pass
    def leak(size):
        holder = Holder()
        holder.block = ctypes.create_string_buffer(size)
        holder.array = np.asarray(pybuf.wrap(ctypes.addressof(holder.block), size, owner=holder))
"""


def leaks(fresh: Fresh, code: str, **names: str) -> list[str]:
    done = fresh(
        LEAK.replace("\n    ", "\n") + code,
        check=False,
        env=environment(PYBUF_LEAKS="1", **names),
        options=("-X", "dev", "-W", "error"),
    )
    assert (done.returncode, done.stdout) == (0, "")
    return done.stderr.splitlines()


def test_what_is_alive_when_python_is_gone_is_listed(fresh: Fresh):
    first, second = leaks(fresh, "leak(16)")
    assert first == (
        "pybuf: ResourceWarning: 1 memory of 16 bytes still alive after the end of Python "
        "(PYBUF_TRACE says where each was made):"
    )
    assert second.startswith("  0x")
    assert second.endswith(": 16 bytes of foreign, format 'B', exports 1")


def test_the_list_says_where_if_that_was_traced(fresh: Fresh, tmp_path: Path):
    first, second = leaks(fresh, "leak(16)", PYBUF_TRACE=str(tmp_path / "trace"))
    assert first.endswith("still alive after the end of Python:")
    assert second.endswith("made at <string>:7; taken by buffer at <string>:7")


def test_a_long_list_is_cut(fresh: Fresh):
    lines = leaks(fresh, "for n in range(70): leak(n + 1)")
    assert lines[0].startswith("pybuf: ResourceWarning: 70 memories of 2485 bytes still alive")
    assert len(lines) == 52
    assert lines[-1] == "  and 20 more"


@pytest.mark.parametrize(
    "code",
    [
        "",
        "b = pybuf.zeros(4)",
        "a = pybuf.zeros(4).numpy()[1:]",
        "keep = [pybuf.zeros(4), memoryview(pybuf.zeros(4, source='go'))]; keep.append(keep)",
        "import builtins; builtins.kept = np.asarray(pybuf.zeros(4).cast('b'))",
        "np.kept = pybuf.zeros(4)",
        "h = Holder(); h.b = pybuf.wrap(id(h), 4, owner=h, release=lambda _: None)",
        "import atexit; atexit.register(lambda b=pybuf.zeros(4): b[0])",
        "import sys; sys.exit(0 * len(pybuf.zeros(4)))",
        "import threading; threading.local().b = pybuf.zeros(4)",
        "def g():\n b = pybuf.zeros(4)\n yield b\nrunning = g(); next(running)",
    ],
)
def test_what_ends_with_python_is_not_listed(code: str, fresh: Fresh):
    assert leaks(fresh, code) == []


def test_a_trace_that_is_left_on_does_not_hinder_the_list(fresh: Fresh):
    lines = leaks(fresh, "import io; pybuf.trace(io.StringIO()).__enter__(); leak(16)")
    assert len(lines) == 2
    assert "made at <string>:7" in lines[1]


def test_a_forked_child_that_ends_as_programs_do_lists_its_own(fresh: Fresh):
    done = fresh(
        LEAK
        + """
    import os, sys
    keep = pybuf.zeros(8)
    if os.fork() == 0:
        leak(3)
        sys.exit(0)
    os.wait()
    """,
        check=False,
        env=environment(PYBUF_LEAKS="1"),
        options=FORKS,
    )
    assert done.returncode == 0
    assert done.stderr.count("ResourceWarning") == 1
    assert "1 memory of 3 bytes" in done.stderr


# ---- the end of Python -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "file",
    [
        "None",
        "io.StringIO()",
        "Lines()",
        "open(os.devnull, 'w')",
        "'trace'",
        "sys.__stderr__",
    ],
)
def test_a_trace_that_is_left_on_ends_well(file: str, fresh: Fresh):
    done = fresh(
        f"""
        import io, os, sys, numpy as np, pybuf
        class Lines:
            def write(self, text):
                np.zeros(1)
                pybuf.zeros(4)
        file = {file}
        keep = pybuf.trace(file)
        keep.__enter__()
        b = pybuf.zeros(16)
        everything = [b.numpy(), memoryview(b), b.toreadonly(), b.__dlpack__(), np.asarray(b)]
        everything.append(everything)
        sys.kept = np.from_dlpack(b)
        """,
        check=False,
        options=("-X", "dev"),
    )
    assert done.returncode == 0
    assert "Exception" not in done.stderr
    assert "Error" not in done.stderr


def test_a_path_gets_lines_to_the_very_end(fresh: Fresh, tmp_path: Path):
    path = tmp_path / "trace"
    fresh(
        """
        import sys, pybuf
        pybuf.trace(sys.argv[1]).__enter__()
        keep = pybuf.zeros(16).numpy()
        """,
        str(path),
    )
    assert events(read(path.read_text())) == ["alloc", "export", "release", "free"]


def test_a_module_that_is_dropped_under_a_trace_is_no_harm(fresh: Fresh):
    fresh(
        """
        import gc, io, sys, pybuf
        pybuf.trace(io.StringIO()).__enter__()
        b = pybuf.zeros(16)
        view = memoryview(b)
        for name in [n for n in sys.modules if n.partition(".")[0] == "pybuf"]:
            del sys.modules[name]
        del pybuf
        gc.collect()
        import pybuf
        pybuf.zeros(4).close()
        del view, b
        gc.collect()
        """
    )


# ---- children and interpreters ------------------------------------------------------------------


def test_a_forked_child_goes_on_with_the_trace(fresh: Fresh, tmp_path: Path):
    path = tmp_path / "trace"
    fresh(
        """
        import os, sys, pybuf
        with pybuf.trace(sys.argv[1]):
            b = pybuf.zeros(16)
            children = []
            for _ in range(4):
                pid = os.fork()
                if pid == 0:
                    for _ in range(50):
                        memoryview(b).release()
                    os._exit(0)
                children.append(pid)
            assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
        """,
        str(path),
        options=FORKS,
    )
    lines = read(path.read_text())
    assert sorted(events(lines)) == ["alloc"] + ["export"] * 200 + ["release"] * 200


def test_a_child_that_is_forked_while_others_write_has_its_lines(fresh: Fresh):
    fresh(
        """
        import os, threading, pybuf
        class Lines:
            def __init__(self):
                self.count = 0
            def write(self, text):
                if text:
                    self.count += 1
                    os.sched_yield()
        stop = threading.Event()
        def busy():
            while not stop.is_set():
                pybuf.zeros(4).close()
        lines = Lines()
        with pybuf.trace(lines):
            threads = [threading.Thread(target=busy) for _ in range(3)]
            for t in threads:
                t.start()
            for _ in range(20):
                pid = os.fork()
                if pid == 0:
                    lines.count = 0
                    fresh = threading.Thread(target=lambda: pybuf.zeros(4).close())
                    fresh.start()
                    fresh.join()
                    pybuf.zeros(4).close()
                    os._exit(0 if lines.count == 4 else 1)
                status = os.waitpid(pid, 0)[1]
                if status:
                    break
            stop.set()
            for t in threads:
                t.join()
        assert status == 0, status
        """,
        options=FORKS,
    )


def test_each_interpreter_has_traces_of_its_own(fresh: Fresh, tmp_path: Path):
    fresh(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import io, sys, pybuf
        path = [p for p in sys.path if p]
        here = interpreters.create()
        file = io.StringIO()
        with pybuf.trace(file):
            failed = interpreters.run_string(here, f'''if True:
                import io, sys
                sys.path[:] = {path!r}
                import pybuf
                pybuf.zeros(3).close()
                with pybuf.trace({sys.argv[1]!r}):
                    pybuf.zeros(4).close()
                left = pybuf.trace(io.StringIO())
                left.__enter__()
                also_left = pybuf.trace({sys.argv[1]!r})
                also_left.__enter__()
                kept = pybuf.zeros(5)
            ''')
            assert failed is None, failed
            interpreters.destroy(here)
        assert file.getvalue() == ""
        """,
        str(tmp_path / "trace"),
    )
    lines = read((tmp_path / "trace").read_text())
    assert [(line.event, line.nbytes) for line in lines] == [
        ("alloc", 4),
        ("free", 4),
        ("alloc", 5),
        ("free", 5),
    ]


def test_the_import_reads_no_module_from_disk_but_its_own(fresh: Fresh):
    """Others might not be readable, where a process gave up its rights; and they take time."""
    done = fresh(
        """
        import sys
        import encodings.ascii  # is needed for any extension
        before = set(sys.modules) | set(sys.builtin_module_names)
        import pybuf
        print(sorted(set(sys.modules) - before))
        """
    )
    assert done.stdout == "['pybuf', 'pybuf._core', 'pybuf._inspect']\n"
