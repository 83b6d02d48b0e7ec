"""`python -m pybuf` in a terminal and in a pipe; and what it reports."""

from __future__ import annotations

import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pybuf._terminal import Printer

import pybuf
from pybuf import _core

STRICT = ("-X", "dev", "-W", "error", "-m", "pybuf")
ESCAPE = re.compile("\x1b\\[[0-9;]*m")

Piped = Callable[..., subprocess.CompletedProcess[str]]
Terminal = Callable[..., str]


def environ(**changes: str) -> dict[str, str]:
    """This environment, with nothing in it that speaks of terminals or of streams."""
    spoken = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TERM", "PYTHONUNBUFFERED")
    plain = {name: value for name, value in os.environ.items() if name not in spoken}
    return plain | {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"} | changes


@pytest.fixture
def piped(tmp_path: Path) -> Piped:
    """Runs `python -m pybuf` with its output in pipes."""

    def run(
        *args: str, env: dict[str, str] | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run(
            [sys.executable, *STRICT, *args],
            encoding="utf-8",
            cwd=tmp_path,
            env=environ() if env is None else env,
            timeout=60,
            check=False,
            **pipes | options,
        )

    return run


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """Runs `python -m pybuf` in a terminal of some width and returns what it shows."""

    def run(*args: str, columns: int = 80, env: dict[str, str] | None = None) -> str:
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        child = subprocess.Popen(
            [sys.executable, *STRICT, *args],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=tmp_path,
            env=environ() if env is None else env,
        )
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:  # Linux's way to say that the other side is closed
            pass
        os.close(ours)
        assert child.wait(timeout=60) == 0, shown
        return shown.decode().replace("\r\n", "\n")

    return run


# ---- in a terminal ------------------------------------------------------------------


def test_a_terminal_gets_colours(terminal: Terminal) -> None:
    assert ESCAPE.search(terminal())


@pytest.mark.parametrize("change", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_no_colours_gets_none(
    terminal: Terminal, change: dict[str, str]
) -> None:
    assert "\x1b" not in terminal(env=environ(**change))


def test_an_empty_no_color_says_nothing(terminal: Terminal) -> None:
    # https://no-color.org: "when present and not an empty string"
    assert ESCAPE.search(terminal(env=environ(NO_COLOR="")))


@pytest.mark.parametrize("columns", [40, 60, 80, 132, 400])
def test_the_demo_is_as_wide_as_the_terminal_and_no_wider_than_is_read_well(
    terminal: Terminal, columns: int
) -> None:
    pytest.importorskip("numpy")
    text = ESCAPE.sub("", terminal("demo", columns=columns))
    longest = max(map(len, text.splitlines()))
    assert longest <= min(columns, 100)
    assert columns < 80 or longest > 70


def printer(monkeypatch: pytest.MonkeyPatch, columns: int) -> Printer:
    monkeypatch.setenv("COLUMNS", str(columns))
    return Printer(io.StringIO())


def test_long_sentences_are_broken_even_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = printer(monkeypatch, 400)
    out.item("label", "word " * 100)
    assert isinstance(out.stream, io.StringIO)
    lines = out.stream.getvalue().splitlines()
    assert {line.index("word") for line in lines} == {12}
    assert 90 < max(map(len, lines)) <= 100


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_something_is_never_shown_as_no_bar(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    out = printer(monkeypatch, columns)
    out.bars([("many", 1_000_000, ""), ("one", 1, "x"), ("none", 0, "")])
    assert isinstance(out.stream, io.StringIO)
    many, one, none = out.stream.getvalue().splitlines()
    assert (one.count("#"), none.count("#")) == (1, 0)
    assert many.count("#") > 7
    assert len(one) <= columns


def test_a_tiny_terminal_gets_lines_of_40_columns(terminal: Terminal) -> None:
    pytest.importorskip("numpy")
    text = ESCAPE.sub("", terminal("demo", columns=10))
    assert max(map(len, text.splitlines())) <= 40


def test_a_terminal_and_a_pipe_are_told_the_same(terminal: Terminal, piped: Piped) -> None:
    assert ESCAPE.sub("", terminal()) == piped().stdout


# ---- in a pipe ------------------------------------------------------------------------


def test_a_pipe_gets_no_escape_codes(piped: Piped) -> None:
    pytest.importorskip("numpy")
    for args in ((), ("demo",)):
        done = piped(*args)
        assert (done.returncode, done.stderr) == (0, "")
        assert "\x1b" not in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80 or not args  # paths are whole


COMMANDS = [(), ("demo",), ("--help",), ("--version",)]
AT_ONCE = {"PYTHONUNBUFFERED": "1"}


@pytest.mark.parametrize(
    ("args", "change"), [*((args, {}) for args in COMMANDS), *((c, AT_ONCE) for c in COMMANDS[:2])]
)
def test_a_reader_that_goes_away_is_no_error(
    piped: Piped, args: tuple[str, ...], change: dict[str, str]
) -> None:
    pytest.importorskip("numpy")
    reader, writer = os.pipe()
    os.close(reader)  # as head does, only sooner
    try:
        done = piped(*args, stdout=writer, env=environ(**change))
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_told_in_a_sentence(piped: Piped) -> None:
    with open("/dev/full", "w") as full:
        done = piped(stdout=full)
    assert (done.returncode, done.stderr) == (
        1,
        "The output cannot be written: No space left on device.\n",
    )


def test_no_stdout_at_all_is_no_error(piped: Piped, tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    for args in ([], ["demo"]):
        command = [sys.executable, *STRICT, *args]
        done = subprocess.run(
            ["sh", "-c", 'exec "$@" >&-', "sh", *command],
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env=environ(),
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_an_encoding_without_blocks_gets_bars_of_number_signs(piped: Piped) -> None:
    pytest.importorskip("numpy")
    rich, plain = piped("demo"), piped("demo", env=environ(PYTHONIOENCODING="ascii"))
    assert "█" in rich.stdout
    assert re.search(r"table leaf +[\d,]+  #{9,} ", plain.stdout)
    assert plain.returncode == 0


# ---- the report --------------------------------------------------------------------------


def test_the_report_names_all_versions(piped: Piped) -> None:
    numpy = pytest.importorskip("numpy")
    text = piped().stdout
    first, *rest = text.splitlines()
    assert first == f"pybuf {pybuf.__version__}"
    items = {line[2:12].strip(): line[12:] for line in rest if line[2] != " "}
    assert items["Go"].startswith(_core._go_runtime(False)["go"])
    assert items["Python"].startswith(".".join(map(str, sys.version_info[:3])))
    assert items["NumPy"] == numpy.__version__
    assert items["module"] == _core.__file__


def test_the_report_says_what_is_alive_and_which_variables_are_set(piped: Piped) -> None:
    text = piped(env=environ(PYBUF_LEAKS="1")).stdout
    assert " alive     0 memories, 0 bytes, 0 views\n" in text
    assert " PYBUF_TRACE: not set (" in text
    assert " PYBUF_LEAKS: 1\n" in text


ATTEMPTS = (
    *('"c"', '"go"', '"foreign"'),
    *("buffer protocol", "numpy()", "DLPack", "Arrow", "pickle 5"),
    "Go in a forked child",
)


def test_each_source_and_each_door_is_tried_and_works(piped: Piped) -> None:
    pytest.importorskip("numpy")
    text = piped().stdout
    for name in ATTEMPTS:
        assert f" {name}: works" in text


def report(before: str) -> subprocess.CompletedProcess[str]:
    code = f"{before}\nimport sys, pybuf.__main__ as m\nsys.exit(m.report())"
    return subprocess.run(
        [sys.executable, *STRICT[:-2], "-c", code],
        capture_output=True,
        encoding="utf-8",
        env=environ(),
        check=False,
    )


def test_without_numpy_the_report_says_what_does_without(tmp_path: Path) -> None:
    done = report("import sys; sys.modules['numpy'] = None")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the rest of pybuf does not" in " ".join(done.stdout.split())
    assert " numpy(): not here" in done.stdout
    for name in ATTEMPTS:
        assert name == "numpy()" or f" {name}: works" in done.stdout


def test_a_door_that_fails_makes_the_report_fail(tmp_path: Path) -> None:
    done = report("import pickle; pickle.loads = lambda *a, **k: None")
    assert done.returncode == 1
    assert " pickle 5: FAILS: RuntimeError" in done.stdout


def test_a_child_in_which_go_cannot_start_makes_the_report_fail(tmp_path: Path) -> None:
    done = report(
        "import os, resource\n"
        "no_files = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))\n"
        "os.register_at_fork(after_in_child=no_files)"
    )
    assert done.returncode == 1
    assert "forked child: FAILS: RuntimeError: this process was forked" in done.stdout


def test_the_version_alone_can_be_asked(piped: Piped) -> None:
    assert piped("--version").stdout == f"pybuf {pybuf.__version__}\n"


def test_importing_pybuf_loads_nothing_of_the_demo(tmp_path: Path) -> None:
    code = (
        "import sys; before = set(sys.modules); import pybuf;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert not {"ctypes", "numpy", "argparse", "pybuf._demo"} & set(done.stdout.split())


def test_the_report_says_the_limits(piped: Piped) -> None:
    said = piped().stdout
    assert "dimensions: 64\n" in said
    assert "alignment: 1,073,741,824 bytes\n" in said
    assert "records: 64 inside of one another\n" in said
    assert "address space of this process: " in said
