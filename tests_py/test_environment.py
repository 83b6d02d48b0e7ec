"""Interpreters in odd surroundings: each imports, uses Go's memory, and is reborn in a child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from bare import ROOT

#: Ends with status 7 if all went well: no stream is needed to say so.
USE = f"""
import os, sys
if {ROOT!r} not in sys.path:
    sys.path.insert(0, {ROOT!r})
"""
WORK = """
import pybuf, warnings
from pybuf import _core
warnings.simplefilter("ignore", DeprecationWarning)
kept = [pybuf.zeros(1 << n, source=source) for n in range(20) for source in ("c", "go")]
assert pybuf.copy(b"abc", source="go") == b"abc"
assert pybuf.zeros((2, 3), "<i2").nbytes == 12
assert _core._go_runtime(True)["blocks"] == 20
child = os.fork()
if child == 0:
    assert pybuf.copy(b"abc", source="go") == b"abc"
    assert _core._go_runtime(True)["generation"] == 1
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
kept.clear()
assert _core._go_runtime(True)["blocks"] == 0
os._exit(7)
"""


def python(
    *options: str,
    before: str = "",
    between: str = "",
    program: str = "",
    **kwargs: Any,
) -> subprocess.CompletedProcess[bytes]:
    """Runs the work in an interpreter, with code before the path is set and before the import."""
    code = program or "\n".join([textwrap.dedent(before), USE, textwrap.dedent(between), WORK])
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        timeout=60,
        check=False,
        **{"cwd": "/", **kwargs},
    )


def check(done: subprocess.CompletedProcess[bytes]) -> None:
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")


# ---- options and variables -----------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        *("", "-I", "-S", "-E", "-B", "-O", "-OO", "-u", "-P", "-I -S", "-X dev", "-W error"),
        *("-X faulthandler", "-X tracemalloc=5", "-X utf8=0", "-X showrefcount"),
    ],
)
def test_it_works_whatever_options_the_interpreter_has(options: str):
    check(python(*options.split()))


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONMALLOC": "debug"},
        {"PYTHONMALLOC": "malloc"},
        {"PYTHONMALLOC": "malloc_debug"},
        {"PYTHONMALLOC": "pymalloc_debug", "PYTHONDEVMODE": "1"},
        {"MALLOC_PERTURB_": "165", "MALLOC_CHECK_": "3"},
        {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=0:glibc.rtld.optional_static_tls=0"},
        {"GLIBC_TUNABLES": "glibc.pthread.rseq=0"},
        {"LD_BIND_NOW": "1"},
        {"LC_ALL": "C", "LANG": "xx_XX"},
        {"TMPDIR": "/nowhere", "HOME": "/nowhere", "PATH": ""},
        {"X" * 1000: "y" * 100_000},
    ],
    ids=lambda variables: " ".join(variables)[:30],
)
def test_it_works_whatever_variables_are_set(variables: dict[str, str]):
    check(python(env={**os.environ, **variables}))


def test_it_works_without_any_variable():
    check(python(env={}))


def test_it_works_after_the_environment_was_cleared():
    """Go reads the list that the process was started with."""
    check(
        python(
            before="""
            import ctypes, os
            libc = ctypes.CDLL(None)
            libc.clearenv()
            os.environ.clear()
            """,
            env={**os.environ, "GOMEMLIMIT": "1GiB", "HOME": "/"},
        )
    )


# ---- files and folders ---------------------------------------------------------------------


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1", "1 2", "0 1 2"])
def test_streams_that_are_closed_stay_closed(closed: str):
    """No descriptor of the runtime's takes their numbers."""
    shut = " ".join(f"{fd}>&-" for fd in closed.split())
    look = f"""
        def open_ones():
            found = []
            for fd in range(20):
                try:
                    os.fstat(fd)
                    found.append(fd)
                except OSError:
                    pass
            return found
        before = open_ones()
        assert not {{{closed.replace(" ", ", ")}}} & set(before)
        import pybuf
        assert pybuf.zeros(3, "<i2").nbytes == 6
        assert open_ones() == before
        """
    code = "\n".join([USE, textwrap.dedent(look), "os._exit(7)"])
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {shut}', "sh", sys.executable, "-c", code],
        capture_output=True,
        timeout=60,
        check=False,
    )
    check(done)


def test_it_works_in_a_folder_that_is_gone(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir()
    check(
        python(
            between="""
            import os
            os.rmdir(os.getcwd())
            """,
            cwd=folder,
        )
    )


def test_it_works_in_a_folder_that_cannot_be_written_to(tmp_path: Path):
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o555)
    check(python(cwd=folder))


def test_a_path_that_was_relative_is_not_needed_again(tmp_path: Path):
    (tmp_path / "lib").symlink_to(ROOT)
    check(
        python(
            program=f"""
import os, sys
sys.path = ["lib", *(p for p in sys.path if p != {ROOT!r})]
import pybuf
assert "lib" in pybuf.__file__ and not pybuf.__file__.startswith({ROOT!r})
os.chdir("/")
{WORK}
""",
            cwd=tmp_path,
        )
    )


@pytest.mark.parametrize("name", ["päckage 🦀", "with space", "new\nline", "%s%n", "x" * 200])
def test_it_works_from_a_folder_with_an_odd_name(name: str, tmp_path: Path):
    (tmp_path / name).symlink_to(ROOT)
    check(python(program=f"import os, sys\nsys.path.insert(0, {str(tmp_path / name)!r})\n{WORK}"))


# ---- who and where it is -------------------------------------------------------------------


def test_it_works_on_one_processor():
    check(
        python(
            before="""
            import os
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
            """
        )
    )


def test_it_works_when_others_go_first():
    check(python(before="import os; os.nice(19)"))


NOBODY = """
    import ctypes, importlib, os, signal, warnings
    os.setgroups([])
    os.setresgid(54321, 54321, 54321)
    os.setresuid(54321, 54321, 54321)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="changes who it is")
@pytest.mark.parametrize(
    "then",
    [
        "",
        "ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)",  # PR_SET_DUMPABLE: /proc/self is root's
        "ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)",  # PR_SET_NO_NEW_PRIVS
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_it_works_when_the_process_gave_up_its_rights(when: str, then: str):
    """As a server that starts as root: it imports before that or after it."""
    drop = textwrap.dedent(NOBODY) + then + "\n"
    path = Path(ROOT)
    if when == "before" and not all(p.stat().st_mode & 0o5 == 0o5 for p in [path, *path.parents]):
        pytest.skip("only root can read the package here")
    check(python(between=drop if when == "before" else f"import pybuf\n{drop}"))


@pytest.mark.parametrize(
    "call",
    {
        "no memory that is writable and executable": "prctl(65, 1, 0, 0, 0)",
        "no huge pages": "prctl(41, 1, 0, 0, 0)",
        "a subreaper": "prctl(36, 1, 0, 0, 0)",
        "addresses that are not random": "personality(0x0040000)",
        "a session of its own": "setsid()",
    }.items(),
    ids=lambda call: call[0],
)
def test_it_works_in_a_process_with(call: tuple[str, str]):
    check(python(between=f"import ctypes\nctypes.CDLL(None).{call[1]}\n"))
