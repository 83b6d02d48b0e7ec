"""The main job on real input: memory of SQLite in NumPy's hands, with no copy.

SQLite serialises a database into a block that its own sqlite3_free() frees.
The block is wrapped, looked at, changed and read back, and it goes when the
last view of it goes, which SQLite's own count of its memory shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import Buffer, __version__, wrap
from . import _demo_pages as sheets
from . import _demo_sqlite as foreign
from ._terminal import CYAN, GREEN, Printer, Refusal, shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def demo(file: str | None = None) -> int:
    """Run the demo on an SQLite database, or on a small one of its own."""
    numpy_version = _numpy_version()
    sqlite = foreign.load()
    if file is None:
        block = foreign.serialized_small(sqlite)
        source = "a small database, made for this demo in memory"
    else:
        block = foreign.serialized_file(sqlite, file)
        source = f"{shown(file)}, opened for reading only"
    out = Printer()
    out.title(f"pybuf {__version__}, SQLite {sqlite.version}, NumPy {numpy_version}")
    out.line()
    _lend(out, sqlite, *block, source)
    out.line()
    _close(out, sqlite)
    out.line()
    _strict(out, sqlite)
    return 0


def _numpy_version() -> str:
    try:
        import numpy as np  # noqa: PLC0415 - pybuf itself does without
    except ImportError as error:
        raise Refusal(
            "The demo looks at memory with NumPy, which cannot be imported here "
            f"({error}): python -m pip install numpy"
        ) from None
    return np.__version__


def _must(holds: bool, what: str) -> None:
    """Print no claim that is not true."""
    if not holds:
        raise Refusal(f"{what}: this must not be. Please report it, with what was printed.")


def _count(sqlite: foreign.SQLite) -> str:
    return f"SQLite has {sqlite.memory_used():,} bytes in use"


# ---- 1. views ------------------------------------------------------------------


def _lend(out: Printer, sqlite: foreign.SQLite, address: int, nbytes: int, source: str) -> None:
    out.title("1. A database that SQLite made, in NumPy's hands")
    out.item("source", source)
    # The connection is closed, so this block is all that SQLite has.
    with_block = sqlite.memory_used()
    counted = with_block >= nbytes
    out.item("block", f"{nbytes:,} bytes at {address:#x}, by sqlite3_serialize()")
    db = wrap(address, nbytes, release=sqlite.free)
    out.item("wrapped", "db = pybuf.wrap(address, nbytes, release=sqlite3_free)")
    array = db.numpy()
    _must(array.ctypes.data == address, "NumPy has a copy")
    out.item("array", f"array = db.numpy(), at {array.ctypes.data:#x}: nothing was copied")
    words = db.cast(">u4").numpy()  # the same bytes as big-endian numbers
    out.line()
    _look(out, array, words)
    out.line()
    _change(out, sqlite, db, words, address)
    out.item("Buffer", repr(db))
    out.line()

    page = array[-sheets.page_size(array) :]  # NumPy's slice
    name = memoryview(db)[:15]  # Python's own
    del db, array, words
    out.item("deleted", "the Buffer and both arrays; kept: a slice of each kind")
    out.item("alive", f"{_count(sqlite)}; {name.tobytes()!r} is still there", GREEN)
    del name
    out.item("deleted", "the memoryview")
    out.item("alive", f"{_count(sqlite)}; the last page, {page.size:,} bytes, too", GREEN)
    _must(sqlite.memory_used() == with_block, "The block was freed under a view")
    del page
    out.item("deleted", "the slice of the array, the last view")
    freed = with_block - sqlite.memory_used()
    _must(freed >= nbytes or not counted, "The block was not freed with its last view")
    out.item("freed", f"{_count(sqlite)}: sqlite3_free() took {freed:,} back", GREEN)
    if not counted:
        out.item("", "(this SQLite library was built to keep no count of its memory)")


def _look(out: Printer, array: NDArray[np.uint8], words: NDArray[Any]) -> None:
    size = sheets.page_size(array)
    encoding = sheets.ENCODINGS.get(int(words[sheets.ENCODING]), "unknown")
    out.item("header", f"{array.size // size:,} pages of {size:,} bytes, text in {encoding}")
    found = sheets.kinds(array, words)
    rows = [(name, n, "" if cells is None else f"{cells:,} cells") for name, n, cells in found]
    out.item("pages", "told from one byte of each page, a column with a stride:")
    out.bars(rows)


def _change(
    out: Printer, sqlite: foreign.SQLite, db: Buffer, words: NDArray[Any], address: int
) -> None:
    at = sheets.USER_VERSION
    old = int(words[at])
    words[at] = new = next(pep for pep in (3118, 574) if pep != old)
    seen = bytes(memoryview(db)[4 * at : 4 * at + 4])
    _must(seen == new.to_bytes(4, "big"), "Two views see different bytes")
    out.item("changed", f"user_version from {old} to {new}, in memory: words[{at}] = {new}")
    out.item("", f"words = db.cast('>u4').numpy(); a memoryview sees {seen.hex(' ')}")
    if db[sheets.READ_VERSION] == sheets.WAL:
        # SQLite reads no WAL database from memory; its manual says to do this.
        db[sheets.READ_VERSION] = db[sheets.WRITE_VERSION] = sheets.ROLLBACK
        out.item("", "db[18] = db[19] = 1, as SQLite reads no database in WAL mode from memory")
    with foreign.in_memory(sqlite) as connection:
        connection.deserialize(address, db.nbytes)
        answer = connection.number("PRAGMA user_version")
    _must(answer == new, "SQLite reads other bytes")
    out.item("read back", f"PRAGMA user_version: {answer}, by SQLite from the same memory", CYAN)


# ---- 2. close --------------------------------------------------------------------


def _small(sqlite: foreign.SQLite) -> Buffer:
    return wrap(*foreign.serialized_small(sqlite), release=sqlite.free)


def _close(out: Printer, sqlite: foreign.SQLite) -> None:
    out.title("2. close(): freed at once if nothing was lent, never under a view")
    with _small(sqlite) as db:
        out.item("with", f"inside: {_count(sqlite)}")
    out.item("", f"after:  {_count(sqlite)}", GREEN)
    _must(db.close(), "close() left the memory")
    del db

    db = _small(sqlite)
    name = memoryview(db)[:15]
    gone = db.close()
    _must(not gone, "close() freed under a view")
    out.item("close()", f"{gone}: a view lives, and still says {name.tobytes()!r}")
    try:
        memoryview(db)
    except ValueError as error:
        out.item("new views", f"ValueError: {error}")
    del name, db
    out.item("last view", f"deleted: {_count(sqlite)}", GREEN)


# ---- 3. strict -------------------------------------------------------------------


def _strict(out: Printer, sqlite: foreign.SQLite) -> None:
    out.title("3. close(strict=True): for those who want to hear of views")
    db = _small(sqlite)
    array = db.numpy()
    try:
        db.close(strict=True)
    except BufferError as error:
        out.item("refused", f"BufferError: {error}")
    del array
    gone = db.close(strict=True)
    out.item("close()", f"{gone}: no counted view is left; as one was, the last name must go too")
    del db
    out.item("last name", f"deleted: {_count(sqlite)}", GREEN)
