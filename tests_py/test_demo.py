"""`python -m pybuf demo`: the main job on real databases, as a user meets it.

Each run is a process of its own, with warnings as errors. What is printed is
held against what Python's own sqlite3 says of the same file.
"""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

import pytest
from demo_runs import DEMO, Run, ask, cells, environ, fill, kinds, numbers, refusal, runner, told

HEADER = r"header +([\d,]+) pages of ([\d,]+) bytes, text in UTF-8"
PAGE_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return runner(tmp_path)


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
    text = told(run("demo", env=environ(COLUMNS="100")))
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


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


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


def test_a_name_that_the_output_cannot_say_is_escaped(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "é.db", rows=10)
    assert "\\xe9.db" in told(run("demo", "é.db", env=environ(PYTHONIOENCODING="ascii")))
    missing = run("demo", "ö.db", env=environ(PYTHONIOENCODING="ascii:strict"))
    assert "\\xf6.db cannot be read" in refusal(missing)


# ---- with another SQLite, another pybuf

NO_COUNT = """
import ctypes, pybuf._demo_sqlite as s
lib = ctypes.CDLL(next(iter(s.candidates())))
assert lib.sqlite3_config(9, 0) == 0
"""


def test_an_sqlite_that_keeps_no_count_is_told_to_if_it_still_listens(run: Run) -> None:
    text = told(run("demo", program=NO_COUNT + DEMO))
    assert numbers(r"sqlite3_free\(\) took ([\d,]+) back", text)[0] > 0
    assert "to keep no count" not in text


def test_an_sqlite_that_keeps_no_count_is_believed_nothing(run: Run) -> None:
    in_use = "assert lib.sqlite3_initialize() == 0"
    text = told(run("demo", program=NO_COUNT + in_use + DEMO))
    assert "to keep no count of its memory" in text


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
