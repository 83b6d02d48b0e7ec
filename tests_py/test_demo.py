"""`python -m pybuf demo`: the main job on real databases, as a user meets it.

Each run is a process of its own, with warnings as errors. What is printed is
held against what Python's own sqlite3 says of the same file.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numpy")

Run = Callable[..., subprocess.CompletedProcess[str]]
STRICT = ("-X", "dev", "-W", "error")
HEADER = r"header +([\d,]+) pages of ([\d,]+) bytes, text in UTF-8"
PAGE_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs `python -m pybuf` with arguments, or a program in its place."""

    def run(*args: Any, program: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        code = ("-c", program) if program else ("-m", "pybuf")
        return subprocess.run(
            [sys.executable, *STRICT, *code, *map(os.fspath, args)],
            capture_output=True,
            encoding="utf-8",
            cwd=tmp_path,
            timeout=60,
            check=False,
            **{"env": os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}} | options,
        )

    return run


def told(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a run that went well."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a run that was refused."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    sentence = done.stderr
    assert sentence.endswith("\n")
    assert "Traceback" not in sentence
    return sentence


def numbers(pattern: str, text: str) -> list[int]:
    found = re.search(pattern, text)
    assert found, (pattern, text)
    return [int(group.replace(",", "")) for group in found.groups()]


def kinds(text: str) -> dict[str, int]:
    """The table of pages: name -> pages."""
    row = r"^ +([a-z][a-z ]+?) +([\d,]+)  [█# ]*(?:[\d,]+ cells)?$"
    rows = re.findall(row, text, re.MULTILINE)
    return {name: int(pages.replace(",", "")) for name, pages in rows}


def cells(text: str, kind: str) -> int:
    return numbers(rf"{kind} .* ([\d,]+) cells", text)[0]


def fill(path: Path, *settings: str, rows: int = 3000) -> None:
    """A database with an index, overflow pages and, mostly, a freelist."""
    with sqlite3.connect(path) as connection:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}").fetchall()
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE INDEX by_name ON t (name)")
        connection.execute("CREATE TABLE long (body BLOB)")
        names = ((f"name {i * 7919 % rows}",) for i in range(rows))
        connection.executemany("INSERT INTO t (name) VALUES (?)", names)
        connection.executemany("INSERT INTO long VALUES (?)", [(bytes(200_000),)] * 3)
        connection.execute("DELETE FROM t WHERE id BETWEEN 1000 AND 2500")
        connection.execute("DELETE FROM long WHERE rowid = 2")
    connection.close()


def ask(path: Path, sql: str) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(sql).fetchone()[0])
    finally:
        connection.close()


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- numbers that are true ------------------------------------------------------


@pytest.mark.parametrize("size", PAGE_SIZES)
def test_the_pages_of_a_database_are_counted_as_sqlite_counts_them(
    run: Run, tmp_path: Path, size: int
) -> None:
    path = tmp_path / "a.db"
    fill(path, f"page_size = {size}")
    text = told(run("demo", path))
    pages = ask(path, "PRAGMA page_count")
    assert numbers(r"header +([\d,]+) pages of ([\d,]+) bytes, text in UTF-8", text) == [
        pages,
        size,
    ]
    found = kinds(text)
    assert sum(found.values()) == pages
    assert found.get("freelist", 0) == ask(path, "PRAGMA freelist_count") > 0
    # Each blob that is left has pages of its own that nothing else fits in.
    usable = size - 4
    assert 2 * (200_000 // usable - 1) <= found["overflow"] <= 2 * (200_000 // usable + 1)
    rows = sum(ask(path, f"SELECT count(*) FROM {table}") for table in ("t", "long"))
    assert cells(text, "table leaf") == rows + ask(path, "SELECT count(*) FROM sqlite_master")


def test_the_memory_goes_back_to_sqlite_to_the_last_byte(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path)
    size = path.stat().st_size
    text = told(run("demo", path))
    block, _ = re.findall(r"([\d,]+) bytes at (0x[0-9a-f]+)", text)[0]
    assert int(block.replace(",", "")) == size
    story = text[text.index("deleted") : text.index("2. ")]
    in_use = [int(n.replace(",", "")) for n in re.findall(r"SQLite has ([\d,]+) bytes", story)]
    assert in_use == [size, size, 0]
    assert numbers(r"sqlite3_free\(\) took ([\d,]+) back", text) == [size]


def test_the_array_stands_where_sqlite_put_the_block(run: Run) -> None:
    text = told(run("demo"))
    places = re.findall(r"at (0x[0-9a-f]+)", text)
    assert len(places) == 2
    assert len(set(places)) == 1


@pytest.mark.parametrize(("old", "new"), [(0, 3118), (41, 3118), (3118, 574)])
def test_sqlite_reads_back_the_version_that_a_view_wrote(
    run: Run, tmp_path: Path, old: int, new: int
) -> None:
    path = tmp_path / "a.db"
    fill(path, f"user_version = {old}")
    text = told(run("demo", path))
    assert numbers(r"user_version from (\d+) to (\d+)", text) == [old, new]
    assert new.to_bytes(4, "big").hex(" ") in text
    assert numbers(r"PRAGMA user_version: (\d+), by SQLite", text) == [new]
    assert ask(path, "PRAGMA user_version") == old


def test_what_was_not_lent_goes_at_the_end_of_with_and_what_was_lent_later(run: Run) -> None:
    text = told(run("demo"))
    second = text[text.index("2. close()") : text.index("3. close(")]
    in_use = [int(n.replace(",", "")) for n in re.findall(r"SQLite has ([\d,]+) bytes", second)]
    assert in_use[0] > 0
    assert in_use[1:] == [0, 0]
    assert re.search(r"close\(\) +False: .*b'SQLite format 3'", second)
    assert re.search(r"new views +ValueError: ", second)


def test_strict_close_names_the_view_and_then_succeeds(run: Run) -> None:
    text = told(run("demo", env=os.environ | {"COLUMNS": "100"}))
    third = text[text.index("3. close(") :]
    assert re.search(r"refused +BufferError: .*1 view ", third)
    assert third.rstrip().endswith("deleted: SQLite has 0 bytes in use")


def test_a_database_of_one_page_is_enough(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    text = told(run("demo", path))
    assert kinds(text) == {"table leaf": 1}
    assert cells(text, "table leaf") == 0


# ---- the file stays as it is ------------------------------------------------------


@pytest.mark.parametrize("settings", [(), ("journal_mode = WAL",), ("auto_vacuum = FULL",)])
def test_the_file_and_its_folder_are_not_changed(
    run: Run, tmp_path: Path, settings: tuple[str, ...]
) -> None:
    fill(tmp_path / "a.db", *settings)
    before = snapshot(tmp_path)
    assert list(before) == ["a.db"]
    told(run("demo", "a.db"))
    assert snapshot(tmp_path) == before


def test_what_waits_in_a_write_ahead_log_is_seen(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    fill(path, "journal_mode = WAL", rows=100)
    writer = sqlite3.connect(path)
    try:
        writer.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        with writer:
            writer.executemany("INSERT INTO long VALUES (?)", [(bytes(5000),)] * 100)
        before = path.read_bytes()
        text = told(run("demo", path))
        assert path.read_bytes() == before
        (pages, size) = numbers(HEADER, text)
        assert pages == writer.execute("PRAGMA page_count").fetchone()[0] > len(before) // size
        assert "PRAGMA user_version: 3118" in text
    finally:
        writer.close()


@pytest.mark.parametrize(
    "name", ["a b.db", "100%.db", "what?.db", "a#b.db", "é.db", "a&mode=rw.db"]
)
def test_any_name_of_a_file_will_do(run: Run, tmp_path: Path, name: str) -> None:
    fill(tmp_path / name, rows=10)
    assert name in told(run("demo", name))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", [b"line\n\x1b[31m.db", b"\xff.db"])
def test_a_name_that_cannot_be_printed_is_escaped(run: Run, tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    try:
        fill(path, rows=10)
    except (OSError, sqlite3.OperationalError, UnicodeEncodeError):
        fill(tmp_path / "a.db", rows=10)
        (tmp_path / "a.db").rename(path)
    text = told(run("demo", path.name))
    assert ascii(path.name) in text
    assert "\x1b" not in text


# ---- refusals: sentences on stderr ----------------------------------------------------


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
    done = run("demo", path)
    assert done.returncode == 1
    assert "freelist of this database is damaged" in done.stderr


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


DEMO = """
import runpy, sys
sys.argv[0] = "pybuf"
runpy.run_module("pybuf", run_name="__main__", alter_sys=True)
"""


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


def test_an_sqlite_that_keeps_no_count_is_believed_nothing(run: Run) -> None:
    early = """
import ctypes, pybuf._demo_sqlite as s
lib = ctypes.CDLL(next(iter(s.candidates())))
assert lib.sqlite3_config(9, 0) == 0 and lib.sqlite3_initialize() == 0
"""
    assert "to keep no count of its memory" in told(run("demo", program=early + DEMO))


def test_a_copy_would_be_noticed(run: Run) -> None:
    patch = """
import ctypes, pybuf, pybuf._demo as d
def copying(address, nbytes, release):
    copy = pybuf.copy((ctypes.c_char * nbytes).from_address(address))
    release(address)
    return copy
d.wrap = copying
"""
    done = run("demo", program=patch + DEMO)
    assert done.returncode == 1
    assert "NumPy has a copy" in done.stderr


@pytest.mark.parametrize("args", [("bogus",), ("demo", "a", "b"), ("--bogus",)])
def test_a_wrong_command_line_ends_with_status_2(run: Run, args: tuple[str, ...]) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: python -m pybuf" in done.stderr
