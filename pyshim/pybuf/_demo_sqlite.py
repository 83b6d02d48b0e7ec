"""SQLite's C API through ctypes: the foreign library of the demo.

Python's module sqlite3 would do half of it, but its serialize() copies into
bytes. Here the block stays SQLite's own: made by it, and freed by it.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import os
import stat
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_int, c_int64, c_uint, c_void_p
from pathlib import Path
from types import TracebackType
from typing import Self

from ._terminal import Refusal, shown

# Result codes and flags of sqlite3.h.
OK, BUSY, CORRUPT, CANTOPEN, NOTADB, ROW = 0, 5, 11, 14, 26, 100
OPEN_READONLY, OPEN_READWRITE, OPEN_CREATE, OPEN_URI = 0x1, 0x2, 0x4, 0x40
CONFIG_MEMSTATUS = 9
DESERIALIZE_READONLY = 4  # and not FREEONCLOSE = 1: the block is not SQLite's to free then

BUSY_MILLISECONDS = 1000


class SQLite:
    """One loaded libsqlite3."""

    def __init__(self, lib: ctypes.CDLL) -> None:
        def declare(name: str, restype: object, *argtypes: object) -> None:
            function = getattr(lib, "sqlite3_" + name)
            function.restype = restype
            function.argtypes = argtypes

        declare("libversion", c_char_p)
        declare("memory_used", c_int64)
        declare("errstr", c_char_p, c_int)
        declare("errmsg", c_char_p, c_void_p)
        declare("open_v2", c_int, c_char_p, POINTER(c_void_p), c_int, c_char_p)
        declare("close", c_int, c_void_p)
        declare("busy_timeout", c_int, c_void_p, c_int)
        declare("prepare_v2", c_int, c_void_p, c_char_p, c_int, POINTER(c_void_p), c_void_p)
        declare("step", c_int, c_void_p)
        declare("column_int64", c_int64, c_void_p, c_int)
        declare("finalize", c_int, c_void_p)
        declare("exec", c_int, c_void_p, c_char_p, c_void_p, c_void_p, c_void_p)
        declare("free", None, c_void_p)
        declare("serialize", c_void_p, c_void_p, c_char_p, POINTER(c_int64), c_uint)
        declare("deserialize", c_int, c_void_p, c_char_p, c_void_p, c_int64, c_int64, c_uint)
        # Some are built to keep no count of their memory. This call comes too
        # late, and does nothing, once the library is in use.
        lib.sqlite3_config(CONFIG_MEMSTATUS, 1)
        self.lib = lib
        # The function itself: pybuf takes its pointer and calls that, natively.
        self.free = lib.sqlite3_free
        self.version: str = lib.sqlite3_libversion().decode()

    def memory_used(self) -> int:
        """Return the bytes that SQLite has allocated and not freed."""
        return int(self.lib.sqlite3_memory_used())


class SQLiteError(Exception):
    """SQLite said no."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code & 0xFF  # without the bits of the extended codes


class Connection:
    """A sqlite3*, closed at the end of `with`."""

    def __init__(self, sqlite: SQLite, name: str, flags: int) -> None:
        self.lib = sqlite.lib
        self.handle = c_void_p()
        code = self.lib.sqlite3_open_v2(os.fsencode(name), ctypes.byref(self.handle), flags, None)
        try:
            self._check(code)
        except SQLiteError:
            self.close()
            raise
        self.lib.sqlite3_busy_timeout(self.handle, BUSY_MILLISECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; SQLite frees what it had for it."""
        self.lib.sqlite3_close(self.handle)
        self.handle = c_void_p()

    def _check(self, code: int) -> None:
        if code != OK:
            text = self.lib.sqlite3_errmsg(self.handle) or self.lib.sqlite3_errstr(code)
            raise SQLiteError(code, text.decode("utf-8", "replace"))

    def run(self, sql: str) -> None:
        """Run statements that give no rows."""
        self._check(self.lib.sqlite3_exec(self.handle, sql.encode(), None, None, None))

    def number(self, sql: str) -> int:
        """Run a statement that gives one number."""
        statement = c_void_p()
        prepare = self.lib.sqlite3_prepare_v2
        self._check(prepare(self.handle, sql.encode(), -1, ctypes.byref(statement), None))
        code = self.lib.sqlite3_step(statement)
        value = int(self.lib.sqlite3_column_int64(statement, 0)) if code == ROW else 0
        code = self.lib.sqlite3_finalize(statement)
        self._check(code)
        return value

    def serialize(self) -> tuple[int, int]:
        """Return address and size of a new block that holds the database: the caller's to free."""
        size = c_int64()
        address = self.lib.sqlite3_serialize(self.handle, b"main", ctypes.byref(size), 0)
        if address is None:
            raise MemoryError(size.value)
        return address, size.value

    def deserialize(self, address: int, size: int) -> None:
        """Read the database in the block; the block stays with who has it, and is not written."""
        flags = DESERIALIZE_READONLY
        call = self.lib.sqlite3_deserialize
        self._check(call(self.handle, b"main", address, size, size, flags))


def in_memory(sqlite: SQLite) -> Connection:
    """Return a connection to an empty database in memory."""
    return Connection(sqlite, ":memory:", OPEN_READWRITE | OPEN_CREATE)


# ---- the library ---------------------------------------------------------------


def load() -> SQLite:
    """Return the SQLite of this machine."""
    old: list[str] = []
    for name in candidates():
        try:
            lib = ctypes.CDLL(name)
        except OSError:
            continue
        if hasattr(lib, "sqlite3_serialize"):
            return SQLite(lib)
        old.append(name or "the one inside of Python")
    if old:
        raise Refusal(
            f"The SQLite library here ({', '.join(old)}) has no sqlite3_serialize: "
            "the demo needs SQLite 3.36 or newer."
        )
    raise Refusal(
        "The demo borrows memory of SQLite, and there is no libsqlite3 here: install it "
        "(Debian and Ubuntu: apt install libsqlite3-0; Fedora: dnf install sqlite-libs)."
    )


def candidates() -> Iterator[str | None]:
    """Yield what dlopen may find SQLite by; None is the program itself."""
    yield "libsqlite3.so.0"
    # A Python with an SQLite of its own: a symbol is looked for in the
    # libraries that its module needs, too.
    spec = importlib.util.find_spec("_sqlite3")
    if spec is not None:
        yield spec.origin if spec.has_location else None
    # Last, since it starts other programs to find out.
    found = ctypes.util.find_library("sqlite3")
    if found is not None:
        yield found


# ---- databases -------------------------------------------------------------------

# Enough of everything to be worth a look: rows, an index, long texts that
# overflow their pages, and pages that became free.
SMALL = """
PRAGMA page_size = 1024;
CREATE TABLE reading (id INTEGER PRIMARY KEY, sensor TEXT, value REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000)
  INSERT INTO reading SELECT i, 'sensor ' || (i * 7919 % 97), i * 0.25 FROM n;
CREATE INDEX reading_by_sensor ON reading (sensor);
CREATE TABLE note (text TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8)
  INSERT INTO note SELECT printf('%.*c', 5000, 'x') FROM n;
DELETE FROM reading WHERE id BETWEEN 1000 AND 1500;
"""


def serialized_small(sqlite: SQLite) -> tuple[int, int]:
    """Return address and size of a block with a small database."""
    with in_memory(sqlite) as connection:
        connection.run(SMALL)
        return connection.serialize()


def serialized_file(sqlite: SQLite, path: str) -> tuple[int, int]:
    """Return address and size of a block with the database of a file, which is not changed."""
    uri = _uri(path)
    nbytes = 0
    try:
        with Connection(sqlite, uri, OPEN_READONLY | OPEN_URI) as connection:
            connection.run("BEGIN")  # all pages of one moment
            nbytes = connection.number("PRAGMA page_count")
            nbytes *= connection.number("PRAGMA page_size")
            connection.number("SELECT count(*) FROM sqlite_master")  # the schema can be read
            return connection.serialize()
    except MemoryError:
        raise Refusal(
            f"{shown(path)} is a database of {nbytes:,} bytes, and SQLite cannot get a block of "
            "that size: there is not enough memory, or it is above SQLite's own limit (2 GiB)."
        ) from None
    except SQLiteError as error:
        raise Refusal(f"{shown(path)} {_why(error)} (SQLite says: {error}).") from None


def _why(error: SQLiteError) -> str:
    return {
        NOTADB: "is not an SQLite database, or it is an encrypted one",
        BUSY: "is locked by another program: try again when that is done",
        CORRUPT: "is a damaged database",
        CANTOPEN: "cannot be opened, or a file that SQLite needs beside it cannot be made "
        "(a database in WAL mode needs a -shm file while there is a -wal file)",
    }.get(error.code, "cannot be read")


def _uri(path: str) -> str:
    """Return the name that opens the file for reading only, or say why it cannot be."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            what = "a folder" if stat.S_ISDIR(status.st_mode) else "no regular file"
            raise Refusal(f"{shown(path)} is {what}: name an SQLite database.")
        # Closed before SQLite opens it: a close() drops the locks of a process.
        with open(path, "rb") as file:
            head = file.read(100)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise Refusal(f"{shown(path)} cannot be read: {reason}.") from None
    if not head:
        raise Refusal(f"{shown(path)} is empty: there is no page to look at.")
    uri = Path(path).absolute().as_uri() + "?mode=ro"
    if head[18:20] == b"\2\2" and not _has_bytes(path + "-wal"):
        # WAL mode, and nothing waits in a -wal file. SQLite would leave a
        # -wal and a -shm file behind, which nobody has asked for.
        uri += "&immutable=1"
    return uri


def _has_bytes(path: str) -> bool:
    try:
        return os.stat(path).st_size > 0
    except OSError:
        return False
