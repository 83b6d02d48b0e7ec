"""Time the functions of pybuf.h beside NumPy's C API by hand: python benchmarks/capi.py.

Two modules in C do the same jobs, capi_hand.c and capi_pybuf.c; both are compiled
first. `ratio` is to the way by hand, in the same rounds; how to read the figures,
run.py says. Each value is dropped at once, so that its end is in the time.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import numpy as np
from run import Job, measure, show

import pybuf

FOLDER = Path(__file__).resolve().parent
SETUP = "import capi_hand as hand, capi_pybuf as mine; owner = object()"


def job(name: str, call: str, **more: str) -> Job:
    """The same call of both modules, by hand first; `more` are other ways of pybuf.h."""
    ways = {"by hand": call.format("hand"), "pybuf.h": call.format("mine")}
    return Job(name, SETUP, ways | more)


JOBS = (
    job("memory and a release -> ndarray -> freed", "{}.wrap()"),
    job("malloc, 8 KiB -> ndarray -> free()", "{}.malloc()", pybuf_new="mine.empty()"),
    job("calloc, 8 KiB -> ndarray -> free()", "{}.calloc()", pybuf_new="mine.zeros()"),
    job("memory and an owner -> ndarray -> let go", "{}.owner(owner)"),
    job("memory with gaps and a release -> ndarray -> freed", "{}.strided()"),
    job("records and a release -> ndarray -> freed", "{}.records()"),
    job("memory and a release -> exporter -> freed", "{}.exporter()"),
    job("memory and a release -> exporter -> memoryview -> freed", "memoryview({}.exporter())"),
)


def build(folder: Path) -> None:
    includes = (sysconfig.get_path("include"), np.get_include(), pybuf.get_include())
    for name in ("capi_hand", "capi_pybuf"):
        command = [*os.environ.get("CC", "cc").split(), "-O2", "-DNDEBUG", "-shared", "-fPIC"]
        command += [f"-I{include}" for include in includes]
        output = folder / f"{name}.so"
        subprocess.run([*command, str(FOLDER / f"{name}.c"), "-o", str(output)], check=True)


def check() -> None:
    """Both modules do the same."""
    hand, mine = importlib.import_module("capi_hand"), importlib.import_module("capi_pybuf")
    for name in ("wrap", "malloc", "calloc", "empty", "zeros", "strided", "records"):
        arrays = [getattr(module, name)() for module in (hand, mine)]
        looks = [(a.shape, a.strides, a.dtype, a.flags.writeable) for a in arrays]
        assert looks[0] == looks[1], (name, looks)
    del arrays
    assert hand.owner(mine).shape == mine.owner(hand).shape
    assert memoryview(hand.exporter()) == memoryview(mine.exporter())
    assert hand.released() == mine.released()


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=101, help="rounds for each job (101)")
    parser.add_argument("--only", default="", help="jobs with this text in their name")
    args = parser.parse_args()
    if args.rounds < 2:
        parser.error("--rounds: quartiles need 2 or more")
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder))
        sys.path.insert(0, folder)
        check()
    print(
        f"pybuf {pybuf.__version__}, NumPy {np.__version__}, Python {platform.python_version()}, "
        f"{sys.platform}-{platform.machine()}, {args.rounds} rounds"
    )
    for each in JOBS:
        if args.only in each.name:
            show(each, measure(each, args.rounds))


if __name__ == "__main__":
    main()
