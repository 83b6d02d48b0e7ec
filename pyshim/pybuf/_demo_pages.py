"""What the pages of an SQLite database are, found out by NumPy.

The format: https://sqlite.org/fileformat2.html. Everything here is read where
it lies, through views of one block of memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._terminal import Refusal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The first byte of a page of a b-tree says its kind.
BTREE = {
    5: "table interior",
    13: "table leaf",
    2: "index interior",
    10: "index leaf",
}
# Numbers of our own for the pages that have no such byte.
OVERFLOW, FREE, POINTERS, LOCK, UNKNOWN = 0, 201, 202, 203, 204
OTHERS = {
    OVERFLOW: "overflow",
    FREE: "freelist",
    POINTERS: "pointer map",
    LOCK: "lock byte",
    UNKNOWN: "unknown",
}

# Bytes of the header, and what they say.
WRITE_VERSION, READ_VERSION = 18, 19
ROLLBACK, WAL = 1, 2

LOCK_BYTE = 0x40000000
ENCODINGS = {0: "not set yet", 1: "UTF-8", 2: "UTF-16le", 3: "UTF-16be"}

# The header of the database, as big-endian numbers of four bytes.
FREELIST, ROOT_MAX, ENCODING, USER_VERSION = 8, 13, 14, 15


# Name, pages of this kind, and entries in them: None where pages have no entries.
Kind = tuple[str, int, int | None]


def page_size(array: NDArray[np.uint8]) -> int:
    """Return the bytes of a page; 1 stands for 65536."""
    size = int(array[16]) << 8 | int(array[17])
    return 65536 if size == 1 else size


def kinds(array: NDArray[np.uint8], words: NDArray[Any]) -> list[Kind]:
    """Return how many pages of each kind there are; the block as bytes, and as '>u4'."""
    pages = array.reshape(-1, page_size(array))  # one row a page
    kind = pages[:, 0].copy()
    cells = pages[:, 3].astype("i8") << 8 | pages[:, 4]
    # The first page begins with the header of the database.
    kind[0] = array[100]
    cells[0] = int(array[103]) << 8 | int(array[104])
    # Overflow pages begin with the number of the next one. Its first byte is
    # 0: SQLite serializes less than 2**25 pages.
    known = [OVERFLOW, *BTREE]
    kind[(kind[:, None] != known).all(axis=1)] = UNKNOWN
    for number, marked in (
        (POINTERS, _pointer_maps(array, words, len(pages))),
        (FREE, _freelist(words, len(pages), pages.shape[1])),
        (LOCK, [LOCK_BYTE // pages.shape[1] + 1]),
    ):
        kind[[page - 1 for page in marked if page <= len(pages)]] = number
    result: list[Kind] = []
    for number, name in (BTREE | OTHERS).items():
        members = kind == number
        count = int(members.sum())
        if count:
            inside = int(cells[members].sum()) if number in BTREE else None
            result.append((name, count, inside))
    return result


def _freelist(words: NDArray[Any], pages: int, size: int) -> list[int]:
    """Return the pages of the freelist: a chain of trunks, each with a list of leaves."""
    found: list[int] = []
    trunk = int(words[FREELIST])
    while trunk:
        if trunk > pages or len(found) >= pages:
            raise _damaged()
        start = (trunk - 1) * size // 4
        following, count = (int(word) for word in words[start : start + 2])
        if count > size // 4 - 2:
            raise _damaged()
        leaves = words[start + 2 : start + 2 + count]
        found.append(trunk)
        found.extend(leaves.tolist())
        trunk = following
    if any(not 1 <= page <= pages for page in found):
        raise _damaged()
    return found


def _damaged() -> Refusal:
    return Refusal("The freelist of this database is damaged; PRAGMA integrity_check says more.")


def _pointer_maps(array: NDArray[np.uint8], words: NDArray[Any], pages: int) -> list[int]:
    """Return the pages that auto-vacuum keeps its back pointers in."""
    if words[ROOT_MAX] == 0:
        return []
    size = page_size(array)
    usable = size - int(array[20])
    lock = LOCK_BYTE // size + 1
    step = usable // 5 + 1  # five bytes for each page that it describes
    return [page + (page == lock) for page in range(2, pages + 1, step)]
