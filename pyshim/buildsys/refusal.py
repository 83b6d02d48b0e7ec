"""The one exception of the build."""

from __future__ import annotations


class Refusal(Exception):
    """The build cannot go on, for a reason that its user can mend.

    The text is what the user reads last: whole sentences that say what was
    found and what to do.
    """
