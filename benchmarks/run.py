"""Time pybuf beside what people would use in its place: python benchmarks/run.py.

All ways to do a job run in one process, in rounds, each round in another
order. Machines change their speed while they run, so the times of two ways
are compared within a round only: `ratio` is the median over the rounds of
(this way / pybuf's first way), with the quartiles behind it. Below 1 is
faster than pybuf. The clock counts the CPU time of this thread; the cyclic
garbage collector is off. Go's collector has threads of its own, whose time is
not in it: benchmarks/process.py counts all.
"""

from __future__ import annotations

import argparse
import ctypes
import platform
import random
import statistics
import sys
import time
import timeit
from dataclasses import dataclass
from typing import Any

import numpy as np

import pybuf

ROUND = 0.004  # seconds that one way takes in one round, about


@dataclass(frozen=True)
class Job:
    """Some ways to reach one result. The first one is pybuf's."""

    name: str
    setup: str
    ways: dict[str, str]  # name -> statement


ITEMS = 1024  # doubles: 8 KiB

EXISTING = f"""
import array, ctypes
n = {ITEMS}
buffer = pybuf.zeros(n, "d")
layout = pybuf.Layout(n, "d")
records = pybuf.zeros(n, [("id", "i4"), ("price", "f8")])
bytes_ = bytearray(8 * n)
ctypes_ = (ctypes.c_double * n)()
array_ = array.array("d", bytes(8 * n))
ndarray = np.zeros(n)
"""

FOREIGN = f"""
import ctypes, weakref
n = {ITEMS}
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
malloc, free = libc.malloc, libc.free
pointer = ctypes.cast(free, ctypes.c_void_p).value
pair = (pointer, 0)
layout = pybuf.Layout(n, "d")
doubles = ctypes.POINTER(ctypes.c_double)

def by_ctypes():
    address = malloc(8 * n)
    array = np.ctypeslib.as_array(ctypes.cast(address, doubles), (n,))
    weakref.finalize(array, free, address)  # an array over this one would not be safe
    return array
"""

JOBS = (
    Job(
        "an ndarray on memory that is there",
        EXISTING,
        {
            "np.asarray(buffer)": "np.asarray(buffer)",
            "buffer.numpy()": "buffer.numpy()",
            "records.numpy()": "records.numpy()",
            "np.asarray(records)": "np.asarray(records)",
            "np.asarray(bytearray)": "np.asarray(bytes_)",
            "np.frombuffer(bytearray)": "np.frombuffer(bytes_, 'd')",
            "np.asarray(array.array)": "np.asarray(array_)",
            "np.asarray(ctypes array)": "np.asarray(ctypes_)",
            "ndarray.view()": "ndarray.view()",
        },
    ),
    Job(
        "a memoryview on memory that is there",
        EXISTING,
        {
            "memoryview(buffer)": "memoryview(buffer)",
            "memoryview(bytearray)": "memoryview(bytes_)",
            "memoryview(array.array)": "memoryview(array_)",
            "memoryview(ctypes array)": "memoryview(ctypes_)",
            "memoryview(ndarray)": "memoryview(ndarray)",
        },
    ),
    Job(
        "C's malloc -> ndarray -> C's free, 8 KiB",
        FOREIGN,
        {
            "layout.wrap(release=pair).numpy()": (
                "layout.wrap(malloc(8 * n), release=pair).numpy()"
            ),
            "wrap(release=(pointer, 0)).numpy()": (
                "pybuf.wrap(malloc(8 * n), n, 'd', release=(pointer, 0)).numpy()"
            ),
            "wrap(release=libc.free).numpy()": (
                "pybuf.wrap(malloc(8 * n), n, 'd', release=free).numpy()"
            ),
            "np.asarray(wrap(...))": (
                "np.asarray(pybuf.wrap(malloc(8 * n), n, 'd', release=(pointer, 0)))"
            ),
            "ctypes and weakref.finalize": "by_ctypes()",
            "(malloc and free, no array)": "free(malloc(8 * n))",
        },
    ),
    Job(
        "zeros, freed, 8 KiB",
        EXISTING,
        {
            "zeros(n, 'd')": "pybuf.zeros(n, 'd')",
            "zeros(n, 'd', source='go')": "pybuf.zeros(n, 'd', source='go')",
            "bytearray(8 * n)": "bytearray(8 * n)",
            "(c_double * n)()": "(ctypes.c_double * n)()",
            "array('d', bytes(8 * n))": "array.array('d', bytes(8 * n))",
            "np.zeros(n)": "np.zeros(n)",
        },
    ),
    Job(
        "zeros -> ndarray -> freed, 8 KiB",
        EXISTING,
        {
            "layout.zeros().numpy()": "layout.zeros().numpy()",
            "zeros(n, 'd').numpy()": "pybuf.zeros(n, 'd').numpy()",
            "np.asarray(zeros(n, 'd'))": "np.asarray(pybuf.zeros(n, 'd'))",
            "np.zeros(n)": "np.zeros(n)",
            "np.frombuffer(bytearray)": "np.frombuffer(bytearray(8 * n), 'd')",
            "np.asarray(ctypes array)": "np.asarray((ctypes.c_double * n)())",
        },
    ),
    Job(
        "zeros -> ndarray -> one write a page -> freed, 64 MiB",
        "n = 8 << 20",
        {
            "zeros(n, 'd').numpy()": "pybuf.zeros(n, 'd').numpy()[::512] = 1",
            "np.zeros(n)": "np.zeros(n)[::512] = 1",
            "np.frombuffer(bytearray)": "np.frombuffer(bytearray(8 * n), 'd')[::512] = 1",
        },
    ),
    Job(
        "a copy of 1 MiB, freed",
        "source = bytes(1 << 20)",
        {
            "pybuf.copy(bytes)": "pybuf.copy(source)",
            "bytearray(bytes)": "bytearray(source)",
            "np.array(frombuffer(bytes))": "np.array(np.frombuffer(source, 'B'))",
        },
    ),
)


def measure(job: Job, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of one run for each way, one number a round."""
    scope: dict[str, Any] = {"pybuf": pybuf, "np": np, "ctypes": ctypes}
    timers = {
        way: timeit.Timer(statement, job.setup, timer=time.thread_time, globals=scope)
        for way, statement in job.ways.items()
    }
    numbers = {way: how_often(timer) for way, timer in timers.items()}
    seconds: dict[str, list[float]] = {way: [] for way in timers}
    order = list(timers)
    for _ in range(rounds):
        random.shuffle(order)
        for way in order:
            seconds[way].append(timers[way].timeit(numbers[way]) / numbers[way])
    return seconds


def how_often(timer: timeit.Timer) -> int:
    number = 1
    while (taken := timer.timeit(number)) < ROUND / 2:
        number *= 2 if taken == 0 else max(2, min(int(ROUND / taken), 100))
    return number


def show(job: Job, seconds: dict[str, list[float]]) -> None:
    print(f"\n{job.name}")
    print(f"  {'':36} {'best':>10} {'median':>10} {'ratio':>8}  quartiles")
    reference = seconds[next(iter(job.ways))]
    for way, taken in seconds.items():
        ratios = [mine / theirs for mine, theirs in zip(taken, reference, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        best, median = time_of(min(taken)), time_of(statistics.median(taken))
        print(f"  {way:36} {best:>10} {median:>10} {middle:8.2f}  {low:.2f} .. {high:.2f}")


def time_of(seconds: float) -> str:
    if seconds < 1e-5:
        return f"{seconds * 1e9:,.0f} ns"
    return f"{seconds * 1e6:,.1f} us" if seconds < 1e-2 else f"{seconds * 1e3:,.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--rounds", type=int, default=50, help="rounds for each job (50)")
    parser.add_argument("--only", default="", help="jobs with this text in their name")
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error("--rounds: quartiles need 2 or more")
    print(
        f"pybuf {pybuf.__version__}, NumPy {np.__version__}, Python {platform.python_version()}, "
        f"{sys.platform}-{platform.machine()}, {args.rounds} rounds"
    )
    for job in JOBS:
        if args.only in job.name:
            show(job, measure(job, args.rounds))


if __name__ == "__main__":
    main()
