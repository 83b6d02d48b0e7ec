"""Time pybuf.indirect beside memcpy, NumPy and indirect_buffer: python benchmarks/indirect.py.

Copies go into memory that is there already, and back; the rows of it lie in one
block, as create_memory() has them, or each comes from its own malloc, as in C
programs and in indirect_buffer. memcpy and NumPy have plain memory on both sides,
and memcpy copies in the order in which the bytes lie. The package indirect_buffer
is timed where it can be imported; its rows always come from malloc. Last, exporters
become rows without a copy: there NumPy's way is np.stack(), which is one. How to
read the figures, rounds.py says.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from pybuf.indirect import BufferCollection2D, IndirectMemory2D, rows
from rounds import Job, ratios, shown

import pybuf

try:
    theirs: Any = importlib.import_module("indirect_buffer")
except ImportError:
    theirs = None

SIDES = (200, 2000, 4096)


@dataclass(frozen=True)
class Row:
    """pybuf's way of a job, and the others', as far as they have one."""

    name: str
    pybuf: Job
    memcpy: Job | None
    numpy: Job
    theirs: Job | None


def of_malloc(side: int) -> IndirectMemory2D:
    lines = [(ctypes.c_double * side)() for _ in range(side)]
    table = (ctypes.c_void_p * side)(*map(ctypes.addressof, lines))
    return IndirectMemory2D.from_ptr_with_memory_nanny(
        table, side, side, "d", False, (table, lines)
    )


def copies(side: int) -> Iterator[Row]:
    grid = np.random.default_rng(1).random((side, side))
    turned = np.asfortranarray(grid)
    plain = np.zeros_like(grid)
    other = theirs.IndirectMemory2D.create_memory(side, side, "d") if theirs else None

    def memcpy() -> None:
        ctypes.memmove(plain.ctypes.data, grid.ctypes.data, grid.nbytes)

    for kind, mem in (
        ("one block", IndirectMemory2D.create_memory(side, side, "d")),
        ("malloc", of_malloc(side)),
    ):
        for name, mine, numpys, others in (
            (
                "copy_from",
                lambda m=mem: m.copy_from(grid),
                lambda: np.copyto(plain, grid),
                lambda: other.copy_from(grid),
            ),
            (
                "copy_to",
                lambda m=mem: m.copy_to(plain),
                lambda: np.copyto(plain, grid),
                lambda: other.copy_to(plain),
            ),
            (
                "copy_from F order",
                lambda m=mem: m.copy_from(turned),
                lambda: np.copyto(plain, turned),
                lambda: other.copy_from(turned),
            ),
        ):
            yield Row(f"{name}, {kind}", mine, memcpy, numpys, others if theirs else None)


def collections(count: int) -> Iterator[Row]:
    lines = [np.zeros(count) for _ in range(count)]
    into = np.empty((count, count))

    def stack() -> None:
        np.stack(lines, out=into)

    others: Job | None = (lambda: theirs.BufferCollection2D(lines)) if theirs else None
    try:
        if others is not None:
            others()
    except AttributeError as error:  # of Cython 3, for which its release was not written
        print(f"\nindirect_buffer.BufferCollection2D does not work here: {error}")
        others = None
    yield Row("rows()", lambda: rows(lines), None, stack, others)
    yield Row("BufferCollection2D", lambda: BufferCollection2D(lines), None, stack, others)


def report(title: str, found: Iterable[Row], rounds: int) -> None:
    print(f"\n{title:<30} {'pybuf':>12}", end="")
    for other in ("memcpy", "NumPy", "indirect_buffer"):
        print(f"  {'to ' + other:>22}", end="")
    print()
    for row in found:
        jobs = (row.memcpy, row.numpy, row.theirs)
        own, times = ratios(row.pybuf, [job for job in jobs if job is not None], rounds)
        left = iter(times)
        cells = ["" if job is None else shown(next(left)) for job in jobs]
        print(f"{row.name:<30} {own * 1e6:9.1f} us", *(f" {cell:>22}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES, help="rows and columns")
    parser.add_argument("--arrays", type=int, default=4096, help="that become rows")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    print(f"pybuf {pybuf.__version__}, NumPy {np.__version__}, Python {platform.python_version()}")
    if theirs is None:
        print("indirect_buffer cannot be imported, and is left out")
    for side in args.sides:
        report(f"{side} x {side} doubles", copies(side), args.rounds)
    report(f"{args.arrays} arrays, not copied", list(collections(args.arrays)), args.rounds)


if __name__ == "__main__":
    main()
