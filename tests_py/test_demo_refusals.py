"""What `python -m pybuf demo` cannot do it says in a sentence on stderr."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest
from demo_runs import DEMO, Run, fill, refusal, runner

pytest.importorskip("numpy")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner(tmp_path)


def test_a_file_that_is_missing(run: Run) -> None:
    assert (
        refusal(run("demo", "none.db")) == "none.db cannot be read: No such file or directory.\n"
    )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty"),
        (b"not a database, but long enough to be looked at\n" * 100, "is not an SQLite database"),
        (bytes(range(256)) * 64, "or it is an encrypted one"),
        (b"SQLite format 3\0" + bytes(84), "is not an SQLite database"),
    ],
)
def test_a_file_that_is_no_database(
    run: Run, tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "a.db").write_bytes(content)
    assert sentence in refusal(run("demo", "a.db"))


def test_a_folder_and_a_pipe(run: Run, tmp_path: Path) -> None:
    assert "is a folder" in refusal(run("demo", "."))
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refusal(run("demo", "pipe"))


def test_a_database_that_was_cut_off(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    os.truncate(path, 9000)
    assert "is a damaged database" in refusal(run("demo", path))


def test_a_database_with_a_damaged_freelist(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    content = bytearray(path.read_bytes())
    content[32:36] = (2).to_bytes(4, "big")  # page 2 is no trunk of a freelist
    content[4096:4104] = b"\0\0\0\2\xff\xff\xff\xff"
    path.write_bytes(content)
    done = run("demo", path, stderr=subprocess.STDOUT, stdout=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stdout.startswith("pybuf ")
    last = done.stdout.splitlines()[-1]
    assert last.startswith("The freelist of this database is damaged")


def test_a_database_that_is_locked(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    writer = sqlite3.connect(path, isolation_level=None)
    try:
        writer.execute("BEGIN EXCLUSIVE")
        assert "is locked by another program" in refusal(run("demo", path))
    finally:
        writer.close()


def test_a_write_ahead_log_for_which_no_index_can_be_made(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path, "journal_mode = WAL", rows=10)
    writer = sqlite3.connect(path)
    with writer:
        writer.execute("DELETE FROM t")
    copy = tmp_path / "b.db"
    for end in ("", "-wal"):  # as a crash leaves them
        (tmp_path / f"b.db{end}").write_bytes((tmp_path / f"a.db{end}").read_bytes())
    writer.close()
    (tmp_path / "b.db-shm").symlink_to("b.db-shm")  # nobody can open that
    assert "-shm file" in refusal(run("demo", copy))


def test_a_database_above_the_memory_that_can_be_had(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path, "page_size = 65536", rows=10)
    content = bytearray(path.read_bytes())
    content[28:32] = (3 << 14).to_bytes(4, "big")  # pages: 3 GiB
    path.write_bytes(content)
    os.truncate(path, 3 << 30)  # a hole: it takes no room on the disk
    sentence = refusal(run("demo", path))
    assert "3,221,225,472 bytes" in sentence
    assert "not enough memory" in sentence


def test_without_numpy_it_says_how_to_get_it(run: Run) -> None:
    sentence = refusal(run("demo", program="import sys; sys.modules['numpy'] = None" + DEMO))
    assert "python -m pip install numpy" in sentence


@pytest.mark.parametrize(
    ("library", "sentence"),
    [("libnone.so.0", "there is no libsqlite3 here"), ("libc.so.6", "has no sqlite3_serialize")],
)
def test_without_a_fitting_sqlite_it_says_so(run: Run, library: str, sentence: str) -> None:
    patch = f"import pybuf._demo_sqlite as s; s.candidates = lambda: [{library!r}]"
    assert sentence in refusal(run("demo", program=patch + DEMO))


@pytest.mark.parametrize("args", [("bogus",), ("demo", "a", "b"), ("--bogus",)])
def test_a_wrong_command_line_ends_with_status_2(run: Run, args: tuple[str, ...]) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: python -m pybuf" in done.stderr
