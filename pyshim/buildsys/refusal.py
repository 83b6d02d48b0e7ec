"""The one exception of the build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Refusal(Exception):
    """The build cannot go on, for a reason that its user can mend.

    The text is what the user reads last: whole sentences that say what was
    found and what to do.
    """


@contextmanager
def as_last_words() -> Iterator[None]:
    """End with a refusal's sentence as the last thing that the build says.

    As SystemExit, since it leaves pip no traceback to print.
    """
    try:
        yield
    except Refusal as refusal:
        raise SystemExit(f"error: {refusal}") from None
