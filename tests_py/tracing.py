"""The lines of a trace, read."""

from __future__ import annotations

import io
import linecache
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pybuf

MEMORY = re.compile(
    r"pybuf: (alloc|wrap|free) 0x([0-9a-f]+), (\d+) bytes of (c|go|foreign)"
    r", at (.*?)(?:, made at (.*))?\n"
)
VIEW = re.compile(
    r"pybuf: (export|release) 0x([0-9a-f]+)(?:, by (\w+))?, at (.*?)(?:, taken at (.*))?\n"
)


@dataclass(frozen=True)
class Line:
    event: str
    address: int
    where: str
    before: str | None  # where what ends was made or taken
    nbytes: int | None = None
    source: str | None = None
    door: str | None = None


def read(text: str) -> list[Line]:
    return [_read(line) for line in text.splitlines(keepends=True)]


def _read(line: str) -> Line:
    if match := MEMORY.fullmatch(line):
        event, address, nbytes, kind, where, before = match.groups()
        return Line(event, int(address, 16), where, before, int(nbytes), kind)
    match = VIEW.fullmatch(line)
    assert match, line
    event, address, door, where, before = match.groups()
    return Line(event, int(address, 16), where, before, door=door)


@contextmanager
def traced() -> Iterator[list[Line]]:
    """The lines of the block, when it has ended."""
    lines: list[Line] = []
    file = io.StringIO()
    with pybuf.trace(file):
        yield lines
    lines.extend(read(file.getvalue()))


def source(where: str) -> str:
    """The text of a line of Python."""
    file, _, number = where.rpartition(":")
    return linecache.getline(file, int(number)).strip()


def events(lines: list[Line]) -> list[str]:
    return [line.event for line in lines]
