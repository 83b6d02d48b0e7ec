"""Time slices and arrays between gopy and NumPy, with pybuf and without it.

python benchmarks/gopy.py

It builds the modules of the tests first, or finds them built. Each figure is
the median over rounds in which all the ways of a table take turns, for
machines change their speed while they run; behind it stand the quartiles, and
how many times as long as pybuf's way it took.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pybuf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests_py"))
import gopy_build
import gopy_runs

ROUND = 0.005  # seconds that one way takes in one round, at least
SLOW = 10**6  # items beyond which one by one takes minutes

Job = Callable[[], object]


def once(job: Job, repeat: int) -> float:
    began = time.perf_counter()
    for _ in range(repeat):
        job()
    return (time.perf_counter() - began) / repeat


def table(title: str, ways: dict[str, Job], rounds: int) -> None:
    """Time the ways in turn, the first of which is pybuf's."""
    repeats = {name: max(1, int(ROUND / max(once(job, 1), 1e-7))) for name, job in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, job in ways.items():
            times[name].append(once(job, repeats[name]))
    print(f"\n{title}")
    own = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        low, middle, high = (v * 1e6 for v in statistics.quantiles(values, n=4))
        spread = f"({low:.1f} - {high:.1f})"
        print(f"  {name:<40} {middle:12.1f} us  {spread:<24} x {middle / 1e6 / own:,.1f}")


def out_of_go(plain: Any, ours: Any, items: int, rounds: int) -> None:
    s, alone, line = ours.vecs.Float64s(items), plain.vecs.Float64s(items), bytearray(8 * items)
    source = np.ones(items)
    ways: dict[str, Job] = {
        "np.asarray(slice), pybuf": lambda: np.asarray(s),
        "memoryview(slice), pybuf": lambda: memoryview(s),
        "np.asarray(bytearray)": lambda: np.asarray(line),
        "memcpy": source.copy,
    }
    if items <= SLOW:
        ways["np.array(list(slice)), gopy alone"] = lambda: np.array(list(alone))
        ways["np.fromiter(slice), gopy alone"] = lambda: np.fromiter(alone, "f8", items)
    table(f"[]float64 of {items:,} items to NumPy", ways, rounds)


def bytes_out_of_go(plain: Any, ours: Any, items: int, rounds: int) -> None:
    s, alone = ours.vecs.Bytes(items), plain.vecs.Bytes(items)
    ways: dict[str, Job] = {
        "np.asarray(slice), pybuf": lambda: np.asarray(s),
        "np.frombuffer(bytes(slice)), gopy alone": lambda: np.frombuffer(bytes(alone), "u1"),
    }
    table(f"[]byte of {items:,} items to NumPy", ways, rounds)


def into_go(plain: Any, ours: Any, items: int, rounds: int) -> None:
    x = np.ones(items)
    s, make, made = ours.vecs.Float64s(items), ours.go.Slice_float64, plain.go.Slice_float64
    ways: dict[str, Job] = {
        "Sum(array), lent by pybuf": lambda: ours.vecs.SumFloat64s(x),
        "Sum(slice), in Go already": lambda: ours.vecs.SumFloat64s(s),
        "Sum(Slice(array)), one memcpy of pybuf": lambda: ours.vecs.SumFloat64s(make(x)),
        "array.sum(), NumPy": x.sum,
    }
    if items <= SLOW:
        ways["Sum(Slice(array)), gopy alone"] = lambda: plain.vecs.SumFloat64s(made(x))
    table(f"float64 array of {items:,} items into Go", ways, rounds)


def calls(ours: Any, rounds: int) -> None:
    """What a call into Go takes, to see how many there are for an array."""
    vecs, x = ours.vecs, np.ones(1)
    s = vecs.Float64s(1)
    ways: dict[str, Job] = {
        "np.asarray(slice)": lambda: np.asarray(s),
        "np.asarray(new slice)": lambda: np.asarray(vecs.Float64s(1)),
        "Len(array)": lambda: vecs.Len(x),
        "np.asarray(Same(array))": lambda: np.asarray(vecs.Same(x)),
        "Len(slice)": lambda: vecs.Len(s),
        "Goroutines(): one call of gopy's": vecs.Goroutines,
    }
    table("Calls, 1 item", ways, rounds)


def structures(plain: Any, ours: Any, rounds: int) -> None:
    trades, picture = ours.vecs.Trades(1000), ours.vecs.Picture(640, 480)
    grid, separate = ours.vecs.Grid(100, 100), ours.vecs.Separate(100, 100)
    alone = plain.vecs.Separate(100, 100)
    ways: dict[str, Job] = {
        "[]struct, 1,000": lambda: np.asarray(trades),
        "image.RGBA, 640 x 480": lambda: np.asarray(picture),
        "[][]float64 in one piece, 100 x 100": lambda: np.asarray(grid),
        "[][]float64 of separate rows": lambda: np.asarray(separate),
        "[][]float64 of separate rows, gopy alone": lambda: np.asarray(alone),
    }
    table("Other types to NumPy", ways, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--largest", type=float, default=1e8, help="items; 8 bytes each")
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error("--rounds: quartiles need 2 or more")
    if lack := gopy_build.lacking():
        parser.error(lack)
    plain, ours = (
        gopy_runs.load(gopy_build.build(name), name) for name in ("gopy_plain", "gopy_vecs")
    )
    importlib.import_module("pybuf.gopy").enable(ours)
    print(f"pybuf {pybuf.__version__}, NumPy {np.__version__}, Python {platform.python_version()}")
    sizes = [n for n in (10**3, 10**6, 10**8) if n <= args.largest]
    for items in sizes:
        out_of_go(plain, ours, items, args.rounds)
    for items in sizes[:2]:
        bytes_out_of_go(plain, ours, items, args.rounds)
        into_go(plain, ours, items, args.rounds)
    structures(plain, ours, args.rounds)
    calls(ours, args.rounds)


if __name__ == "__main__":
    main()
