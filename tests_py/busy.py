"""Fresh interpreters in which Go is at work on several threads all the time."""

from __future__ import annotations

import subprocess
import textwrap
from typing import Any

from probing import Probe, prober

#: Starts the work, and waits until Go is in the middle of it.
START = """
    import pybuf
    from pybuf import _core

    stop = threading.Event()
    rounds = [0] * 3

    def work(me):
        while not stop.is_set():
            kept = [pybuf.zeros(n << 12, source="go") for n in (1, 3, 300)]
            _core._go_runtime(True)
            rounds[me] += 1

    workers = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(3)]
    for w in workers:
        w.start()
    while min(rounds) < 2:
        os.sched_yield()
"""

#: Go was at work to the end, and lets go of all that it had.
END = """
    at_the_end = sum(rounds)
    while sum(rounds) == at_the_end:
        os.sched_yield()
    stop.set()
    for w in workers:
        w.join()
    assert _core._go_runtime(True)["blocks"] == 0
"""


def busy_prober(fresh: Probe) -> Probe:
    """Runs `before`, starts the work, runs the parts of a program, and ends the work."""
    probe = prober(fresh)

    def run(
        *parts: str, before: str = "", end: str = END, **kwargs: Any
    ) -> subprocess.CompletedProcess[str]:
        program = before, START, *parts, end
        return probe("\n".join(textwrap.dedent(part) for part in program), **kwargs)

    return run
