"""What the benchmarks of copies share: times within a round, and their ratios.

Machines change their speed while they run, so times are compared within a round
only. A ratio is the median over the rounds of (pybuf / other), with the quartiles
behind it; below 1 is faster than the other.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

ROUND = 0.02  # seconds that one way takes in one round, at least

Job = Callable[[], object]


def once(job: Job, repeat: int) -> float:
    began = time.perf_counter()
    for _ in range(repeat):
        job()
    return time.perf_counter() - began


def ratios(job: Job, others: Sequence[Job], rounds: int) -> tuple[float, list[list[float]]]:
    """The time of the job, and its ratio to each other job in each round."""
    repeat = max(1, int(ROUND / max(once(job, 1), 1e-7)))
    own, found = [], [[] for _ in others]
    for _ in range(rounds):
        mine = once(job, repeat)
        own.append(mine / repeat)
        for ratio, other in zip(found, others, strict=True):
            ratio.append(mine / once(other, repeat))
    return statistics.median(own), found


def shown(values: list[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:6.2f} ({low:5.2f} - {high:5.2f})"
