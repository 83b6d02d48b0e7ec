"""Shows that pictures pass between Go and NumPy without a copy.

python examples/goimage/demo.py [FILES...]

Without files it takes the photograph among matplotlib's sample data. For each file it writes
a picture beside its changed self to the folder that --output names, or the working folder.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import pybuf

ROUNDS = 5


def sample() -> Path:
    """The photograph that matplotlib carries; matplotlib itself is not imported."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        sys.exit("matplotlib is not installed, whose photograph would be shown: name a file.")
    data = Path(found.origin).with_name("mpl-data") / "sample_data"
    if not (data / "grace_hopper.jpg").exists():
        sys.exit("This matplotlib comes without its sample data: name a file.")
    return data / "grace_hopper.jpg"


def best(work: Callable[[], Any]) -> float:
    """Microseconds of the fastest run."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times) * 1e6


def say(what: str, how: str) -> None:
    print(f"    {what:<34}{how}")


def show_memory(goimage: ModuleType, whole: Any, left: Any, right: Any) -> None:
    """The same bytes, seen by Go and by NumPy."""
    say("the pixels, to Go", f"{goimage.address(whole):#x}")
    say("the pixels, to NumPy", f"{whole.ctypes.data:#x}")
    say("the right half in the whole", f"{right.ctypes.data - whole.ctypes.data} bytes further on")
    assert goimage.address(whole) == whole.ctypes.data == left.ctypes.data
    assert np.shares_memory(whole, right)
    size = f"{whole.nbytes / 1e6:.1f} MB"
    lent = best(lambda: goimage.address(whole))
    copied = best(whole.copy)
    say(f"lend {size} to Go and back", f"{lent:.0f} us")
    say(f"copy {size} once", f"{copied:.0f} us")


def show_parts(goimage: ModuleType, path: Path) -> None:
    parts = goimage.parts(path)
    say("as the file has it", ", ".join(f"{part.shape} {part.dtype}" for part in parts))


def change(right: Any) -> None:
    """Turns the picture into its negative; alpha stays."""
    np.subtract(255, right[..., :3], out=right[..., :3])


def show(goimage: ModuleType, path: Path, output: Path) -> None:
    print(path.name)
    show_parts(goimage, path)
    whole, left, right = goimage.pair(path)
    show_memory(goimage, whole, left, right)
    change(right)
    there = output / f"{path.stem}-changed.png"
    goimage.encode(there, whole)
    assert np.array_equal(goimage.decode(there), whole)
    say("written by Go, read again", str(there))


def show_all_at_once(goimage: ModuleType, paths: list[Path]) -> None:
    many = paths * max(1, 8 // len(paths))
    serial = best(lambda: [goimage.decode(path) for path in many])
    parallel = best(lambda: goimage.decode_all(many))
    print("All at once")
    say(f"{len(many)} pictures, one after the other", f"{serial / 1e3:.0f} ms")
    say(f"{len(many)} pictures, by goroutines", f"{parallel / 1e3:.0f} ms")


def main() -> int:
    parser = argparse.ArgumentParser(description="Pictures pass between Go and NumPy.")
    parser.add_argument("files", metavar="FILES", nargs="*", type=Path)
    parser.add_argument("--output", type=Path, default=Path(), help="a folder")
    parser.add_argument("--cffi", action="store_true", help="bind by cffi, not by ctypes")
    arguments = parser.parse_args()
    paths = arguments.files or [sample()]
    try:
        goimage = importlib.import_module("goimage_cffi" if arguments.cffi else "goimage")
        for path in paths:
            show(goimage, path, arguments.output)
        show_all_at_once(goimage, paths)
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        sys.exit(str(error))
    print("What is left")
    say("memory that Python has of Go", f"{goimage.live()} blocks")
    assert goimage.live() == len(pybuf.live()) == 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
