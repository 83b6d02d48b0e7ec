"""Modules that gopy made, in this process and in fresh interpreters."""

from __future__ import annotations

import gc
import importlib
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What the items of each kind of slice are: the name in vecs, dtype, format.
KINDS = {
    "Float64s": ("f8", "d"),
    "Float32s": ("f4", "f"),
    "Ints": ("i8", "l"),
    "Int8s": ("i1", "b"),
    "Int16s": ("i2", "h"),
    "Int32s": ("i4", "i"),
    "Int64s": ("i8", "l"),
    "Uints": ("u8", "L"),
    "Uint8s": ("u1", "B"),
    "Uint16s": ("u2", "H"),
    "Uint32s": ("u4", "I"),
    "Uint64s": ("u8", "L"),
    "Bytes": ("u1", "B"),
    "Runes": ("i4", "i"),
}

#: What programs begin with, behind the folders of the modules. They say PACKAGES.
PROGRAM = """
    import gc, os, signal, sys, threading, time, weakref
    sys.path[:0] = sys.argv[1].split(os.pathsep)
    import numpy as np
    import pybuf
    import pybuf.gopy
"""

#: With gopy_vecs enabled.
VECS = """
    import gopy_vecs
    from gopy_vecs import go, more, vecs
    pybuf.gopy.enable(gopy_vecs)

    def settle(expected=0):
        "Waits until so much of gopy_vecs is lent or viewed."
        until = time.monotonic() + 20
        while True:
            gc.collect()
            vecs.Collect()
            if (live := pybuf.gopy.live(gopy_vecs)) == expected:
                return
            assert time.monotonic() < until, live

    def on_threads(body, count=8):
        failures = []
        barrier = threading.Barrier(count)
        def guarded(i):
            try:
                barrier.wait()
                body(i)
            except BaseException as error:
                failures.append(error)
        threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if failures:
            raise failures[0]
"""

Site = Callable[[str], Path]
Run = Callable[..., Any]


def runner(fresh: Run, site: Site) -> Run:
    """Runs PROGRAM, VECS unless `enable` is False, and code."""

    def run(
        code: str, *args: str, modules: str = "gopy_vecs", enable: bool = True, **kwargs: Any
    ) -> Any:
        sites = ":".join(str(site(name)) for name in modules.split())
        parts = [PROGRAM, VECS if enable else "", code]
        program = "\n".join(map(textwrap.dedent, parts))
        return fresh(program, sites, *args, **{"timeout": 110, **kwargs})

    return run


def load(site: Path, name: str) -> Any:
    """Import a package and all its modules, in this process."""
    if str(site) not in sys.path:
        sys.path.append(str(site))
    package = importlib.import_module(name)
    for path in sorted((site / name).glob("*.py")):
        if path.stem not in {"__init__", "build"}:
            importlib.import_module(f"{name}.{path.stem}")
    return package


def settle(live: Callable[[], int], collect: Callable[[], object], expected: int = 0) -> int:
    """Collect on both sides until no more than that lives; say how much did at last."""
    until = time.monotonic() + 5
    while (found := live()) > expected and time.monotonic() < until:
        gc.collect()
        collect()
    return found


#: One round of all that a thread can do, with numbers of its own.
ROUND = """
    def one_round(n):
        size = 50 + n % 50
        x = np.full(size, float(n))
        r = vecs.AddTo(np.empty(size), x, x)
        keeper = vecs.NewKeeper(np.full(size, float(n)))
        a = np.asarray(vecs.Float64s(size))
        view = memoryview(vecs.Same(x))[3:]
        a[:] = n
        vecs.DoubleFloat64s(x)
        assert vecs.SumFloat64s(x) == 2 * n * size
        assert np.asarray(r).tolist() == [2 * n] * size
        assert view.tolist() == [2 * n] * (size - 3)
        assert keeper.Sum() == n * size
        assert (a == n).all()
        try:
            vecs.SumFloat64s(np.zeros(3, "f4"))
        except TypeError:
            pass
        else:
            raise AssertionError
"""
