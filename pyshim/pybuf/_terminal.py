"""Text that reads well in a terminal and in a pipe."""

from __future__ import annotations

import io
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import TextIO

WIDTH_MAX = 100
WIDTH_MIN = 40
LABEL = 12  # columns of a label with the blanks around it
BAR_MAX = 40

BOLD, DIM, GREEN, CYAN = "1", "2", "32", "36"


class Refusal(Exception):
    """What was asked cannot be done; the text is a sentence for the user."""


class Printer:
    """Writes titles, labelled sentences and bars, as wide as the stream is."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stdout
        columns = shutil.get_terminal_size(fallback=(80, 24)).columns
        self.width = max(WIDTH_MIN, min(columns, WIDTH_MAX))
        self.colour = _wants_colour(self.stream)
        self.bar_sign = "\u2588" if _can_write(self.stream, "\u2588") else "#"

    def paint(self, text: str, code: str) -> str:
        """Colour the text where that is wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def line(self, text: str = "") -> None:
        """Write one line as it is."""
        print(text.rstrip(), file=self.stream)

    def title(self, text: str) -> None:
        """Write a title, broken into lines that fit."""
        for line in textwrap.wrap(text, self.width):
            self.line(self.paint(line, BOLD))

    def item(self, label: str, text: str, code: str = "") -> None:
        """Write a label and what belongs to it, broken into lines that fit."""
        head = "  " + label.ljust(LABEL - 2)
        room = self.width - LABEL
        # What has no blank, such as a path, stays in one piece to be copied.
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
        for line in lines or [""]:
            self.line(self.paint(head, DIM) + (self.paint(line, code) if code else line))
            head = " " * LABEL

    def bars(self, rows: Sequence[tuple[str, int, str]]) -> None:
        """Write rows of a name, a number with its bar, and a remark."""
        names = max(len(name) for name, _, _ in rows)
        digits = max(len(f"{number:,}") for _, number, _ in rows)
        remarks = max(len(remark) for _, _, remark in rows)
        room = self.width - names - digits - remarks - 6
        indent = LABEL if room >= LABEL else 2
        room = min(max(room - indent, 0), BAR_MAX)
        most = max(number for _, number, _ in rows) or 1
        for name, number, remark in rows:
            # Something is never shown as nothing.
            filled = max(number * room // most, min(number, room, 1))
            bar = (self.bar_sign * filled).ljust(room)
            self.line(
                f"{'':{indent}}{name:<{names}}  {number:>{digits},}  "
                f"{self.paint(bar, CYAN)}  {remark:>{remarks}}"
            )


def shown(path: str) -> str:
    """Return a path as text that can be printed, whatever bytes are in it."""
    return path if path and path.isprintable() else ascii(path)


def run(main: Callable[[], int]) -> int:
    """Run a program to its exit status, with a sentence for what goes wrong outside of it."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the encoding cannot say is escaped, and no traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = _status(main)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, has what it wanted. What is left in the
        # stream must go somewhere when Python flushes it at its end.
        _point_at_nothing(sys.stdout)
        return 128 + 13  # as if SIGPIPE had done it
    except OSError as error:
        _point_at_nothing(sys.stdout)
        print(f"The output cannot be written: {error.strerror or error}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + 2
    return status


def _status(main: Callable[[], int]) -> int:
    try:
        return main()
    except Refusal as refusal:
        if sys.stdout is not None:
            sys.stdout.flush()  # what was said before comes before
        print(refusal, file=sys.stderr)
        return 1
    except SystemExit as end:  # argparse's
        return end.code if isinstance(end.code, int) else 2


def _point_at_nothing(stream: TextIO | None) -> None:
    if stream is None:
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


def _wants_colour(stream: TextIO | None) -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return stream is not None and stream.isatty()


def _can_write(stream: TextIO | None, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
