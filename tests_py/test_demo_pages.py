"""What the demo says of pages, held against SQLite's own table dbstat."""

from __future__ import annotations

import sqlite3
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pybuf._terminal import Refusal

from pybuf import _demo_pages as sheets


def described(database: bytes) -> dict[str, tuple[int, int | None]]:
    array = np.frombuffer(database, "u1")
    found = sheets.kinds(array, array.view(">u4"))
    assert all(pages > 0 for _, pages, _ in found)
    return {name: (pages, cells) for name, pages, cells in found}


def oracle(connection: sqlite3.Connection) -> dict[str, tuple[int, int | None]]:
    """The same from dbstat, which walks the b-trees."""
    pages: Counter[str] = Counter()
    cells: Counter[str] = Counter()
    trees = {
        name: "index" if kind == "index" or "WITHOUT ROWID" in sql else "table"
        for name, kind, sql in connection.execute(
            "SELECT name, type, coalesce(sql, '') FROM sqlite_master"
        )
    }
    trees["sqlite_schema"] = trees["sqlite_master"] = "table"
    for name, kind, ncell in connection.execute("SELECT name, pagetype, ncell FROM dbstat"):
        if kind == "overflow":
            pages["overflow"] += 1
            continue
        full = f"{trees[name]} {'interior' if kind == 'internal' else 'leaf'}"
        pages[full] += 1
        cells[full] += ncell
    found: dict[str, tuple[int, int | None]] = {n: (pages[n], cells[n]) for n in cells}
    if pages["overflow"]:
        found["overflow"] = (pages["overflow"], None)
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    if free:
        found["freelist"] = (free, None)
    # What is left over are the pages that only auto-vacuum has.
    rest = connection.execute("PRAGMA page_count").fetchone()[0]
    rest -= sum(number for number, _ in found.values())
    if rest:
        assert connection.execute("PRAGMA auto_vacuum").fetchone()[0] != 0
        found["pointer map"] = (rest, None)
    return found


@pytest.fixture(scope="module")
def dbstat() -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("SELECT * FROM dbstat").fetchall()
    except sqlite3.OperationalError:
        pytest.skip("this SQLite has no dbstat")
    finally:
        connection.close()


TABLES = (
    "CREATE TABLE a (x)",
    "CREATE TABLE b (x PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE c (id INTEGER PRIMARY KEY, x UNIQUE)",
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.sampled_from("abc"), st.integers(1, 300)),
        st.tuples(st.just("long"), st.sampled_from("abc"), st.integers(1, 40_000)),
        st.tuples(st.just("delete"), st.sampled_from("abc"), st.integers(2, 5)),
        st.tuples(st.just("drop"), st.sampled_from("abc"), st.just(0)),
    ),
    max_size=8,
)


def perform(connection: sqlite3.Connection, step: tuple[str, str, int], serial: int) -> None:
    what, table, number = step
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
        return
    insert = f"INSERT OR IGNORE INTO {table} (x) VALUES (?)"
    if what == "insert":
        connection.executemany(insert, ((f"{serial} row {i}",) for i in range(number)))
    elif what == "long":
        connection.execute(insert, (bytes(serial % 7) + b"\5" * number,))
    elif what == "delete":
        connection.execute(f"DELETE FROM {table} WHERE length(x) % ? = 0", (number,))
    else:
        connection.execute(f"DROP TABLE {table}")


@given(
    size=st.sampled_from([512, 1024, 4096, 65536]),
    vacuum=st.sampled_from(["NONE", "INCREMENTAL", "FULL"]),
    steps=steps,
)
@settings(max_examples=60)
def test_every_page_is_what_dbstat_says_it_is(
    dbstat: None, size: int, vacuum: str, steps: list[tuple[str, str, int]]
) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"PRAGMA page_size = {size}")
        connection.execute(f"PRAGMA auto_vacuum = {vacuum}")
        for table in TABLES:
            connection.execute(table)
        for serial, step in enumerate(steps):
            perform(connection, step, serial)
        connection.commit()
        assert described(connection.serialize()) == oracle(connection)
    finally:
        connection.close()


def test_pointer_maps_come_back_at_their_distance(dbstat: None) -> None:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("PRAGMA page_size = 512")
        connection.execute("PRAGMA auto_vacuum = FULL")
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (?)", (bytes(512 * 1000),))
        connection.commit()
        found = described(connection.serialize())
        assert found == oracle(connection)
        assert found["pointer map"][0] > 9
    finally:
        connection.close()


def test_a_pointer_map_gives_way_to_the_lock_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    # Pages of 512 bytes have pointer maps at 2, 105, 208 ...
    monkeypatch.setattr(sheets, "LOCK_BYTE", 104 * 512)
    pages = [page(0) for _ in range(2, 108)]
    pages[105 - 2] = page(77)  # nothing: SQLite does not touch it
    pages[106 - 2] = page(1)
    head = bytearray(database())
    head[52:56] = b"\0\0\0\1"  # auto-vacuum
    assert described(bytes(head) + b"".join(pages)) == {
        "table leaf": (1, 0),
        "overflow": (103, None),
        "pointer map": (2, None),
        "lock byte": (1, None),
    }


def test_the_page_of_the_lock_byte_is_known() -> None:
    size = 65536
    pages = sheets.LOCK_BYTE // size + 2
    database = bytearray(pages * size)  # never touched but in few places
    database[16:18] = b"\0\1"
    for page in range(2, pages):
        database[page * size] = 13
    database[100] = 13
    assert described(database) == {
        "table leaf": (pages - 2, 0),
        "overflow": (1, None),
        "lock byte": (1, None),
    }


def page(first: int, size: int = 512) -> bytes:
    return bytes([first]) + bytes(size - 1)


def database(*pages: bytes, freelist: int = 0) -> bytes:
    head = bytearray(512)
    head[16:18] = (512).to_bytes(2, "big")
    head[32:36] = freelist.to_bytes(4, "big")
    head[100] = 13
    return bytes(head) + b"".join(pages)


def trunk(following: int, *leaves: int, count: int | None = None) -> bytes:
    words = [following, len(leaves) if count is None else count, *leaves]
    return b"".join(word.to_bytes(4, "big") for word in words).ljust(512, b"\0")


def test_a_page_that_begins_like_nothing_is_unknown() -> None:
    assert described(database(page(77)))["unknown"] == (1, None)


def test_a_free_page_is_free_whatever_is_left_in_it() -> None:
    found = described(database(trunk(3, 4), trunk(0), page(13), freelist=2))
    assert found == {"table leaf": (1, 0), "freelist": (3, None)}


@pytest.mark.parametrize(
    "pages",
    [
        {"freelist": 9},
        {"freelist": 2, "following": 9},
        {"freelist": 2, "following": 2},  # a circle
        {"freelist": 2, "leaves": (9,)},
        {"freelist": 2, "leaves": (0,)},
        {"freelist": 2, "count": 2**32 - 1},
    ],
)
def test_a_damaged_freelist_is_refused(pages: dict[str, Any]) -> None:
    chain = trunk(pages.get("following", 0), *pages.get("leaves", ()), count=pages.get("count"))
    with pytest.raises(Refusal, match="freelist of this database is damaged"):
        described(database(chain, freelist=pages["freelist"]))
