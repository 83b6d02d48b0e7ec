"""The header's users under AddressSanitizer and UndefinedBehaviorSanitizer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import capi_build
import compiled
import pytest

#: All that the table does, well and refused, in one thread and in several.
WORKOUT = """
    import threading
    import descriptors as ds
    import numpy as np
    import pybuf

    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p

    def block(n=64):
        address = libc.malloc(n)
        ctypes.memset(address, 7, n)
        return address

    def refused(ask, *args, **kwargs):
        try:
            ask(*args, **kwargs)
        except (ValueError, TypeError, OverflowError, MemoryError, BufferError):
            return
        raise AssertionError((args, kwargs))

    def wrap_all():
        for flags in (0, ARRAY, READONLY, ARRAY | READONLY):
            for asked in (
                {}, {"format": b"<f8"}, {"format": b"T{<i:id:4x<d:price:}", "shape": (4,)},
                {"shape": (2, 4), "strides": (8, 16)}, {"shape": (1, 1, 1, 1, 8)},
                {"shape": (), "format": None}, {"shape": (0, 3)},
                {"shape": (2,), "format": b"(2)d"},
            ):
                view = memoryview(c.wrap(block(), flags=flags, release=NOTE_AND_FREE, **asked))
                assert view.nbytes == 0 or set(view.tobytes()) == {7}
                c.wrap(block(), flags=flags, release=FREE, **asked)
            for wrong in (
                {"ndim": -1}, {"shape": (1,) * 65}, {"shape": None, "ndim": 1}, {"shape": (-1,)},
                {"shape": (2**62,)}, {"format": b"no"}, {"format": b"\\xff" * 300},
                {"flags": 16 | flags}, {"strides": (2**62,)},
            ):
                refused(c.wrap, block(), release=NOTE_AND_FREE, **{"flags": flags} | wrong)
                refused(c.wrap_owned, wrong, **{"flags": flags} | wrong)
            owner = (ctypes.c_char * 64)()
            assert c.wrap_owned(owner, ctypes.addressof(owner), flags=flags).nbytes == 64
            with_release = c.memory(block(), 64, flags & 1, NOTE_AND_FREE)
            assert np.asarray(with_release)[:5].tolist() == [7] * 5

    def new_all():
        for flags in (0, ARRAY, EMPTY, ARRAY | EMPTY):
            for shape in ((8,), (), (3, 0), (1, 1, 1, 1, 5)):
                memory, address = c.new(shape, b"d", flags)
                ctypes.memset(address, 1, memory.nbytes)
                assert memory.nbytes == 0 or c.peek(address + memory.nbytes - 1) == 1
            refused(c.new, (-1,), flags=flags)

    def indirect_all():
        rows = (ctypes.c_void_p * 3)(*(ADDRESS + 8 * n for n in (4, 0, 2)))
        at = ctypes.addressof(rows)
        assert c.pointers(at, 1, (3, 2)).tolist() == [[4, 5], [0, 1], [2, 3]]
        refused(c.pointers, at, 1, (3, 2), flags=ARRAY)
        refused(c.pointers, at, 3, (3, 2))
        refused(c.pointers_owned, at, 0, 2, [3, 2], b"d", 0, rows)
        assert c.pointers_owned(at, 1, 2, [3, 2], b"d", 0, rows).nbytes == 48
        mem = c.rows(at, 3, 2, b"d", 0, rows)
        assert c.rows_table(mem) == at and memoryview(mem)[0, 0] == 4
        assert c.array(c.rows_new(3, 2, b"d", 0)).shape == (3, 2)
        refused(c.rows_table, 3)
        refused(c.array, mem)

    def hand_over():
        array = np.arange(5.0)
        assert c.adopt(c.lend(array, 0), ARRAY).tolist() == array.tolist()
        c.take_and_release(c.lend(c.wrap(block(), release=NOTE_AND_FREE), READONLY))
        c.delete_tensor(c.wrap(block(), release=NOTE_AND_FREE).__dlpack__())
        for flags in (0, ARRAY):
            assert c.adopt(ds.produce(), flags).nbytes == 64
            refused(c.adopt, ds.produce(nbytes=63), flags)
        refused(c.adopt, 0, 0)
        refused(c.lend, b"", 0)

    def all_of_it():
        for part in (wrap_all, new_all, indirect_all, hand_over):
            part()
        c.loop(100, NOTE_WITHOUT_GIL)
        for flags in (0, ARRAY):
            try:
                c.end_in_error(flags, NOTE)
            except KeyError:
                pass

    all_of_it()
    threads = [threading.Thread(target=all_of_it) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    with open(os.devnull, "w") as nowhere, pybuf.trace(nowhere):
        array = c.wrap(block(), release=NOTE_AND_FREE)
        all_of_it()
    del array
    gc.collect()
    assert pybuf.live() == [] and pybuf.stats()["lent"] == 0
    c.keep(0, c.wrap(release=END_PROCESS))
    print("done")
"""

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["C99", "C++17"])
def sanitized(request: pytest.FixtureRequest, with_every: Run) -> Run:
    # The C++ runtime too, for the sanitizer looks for its functions at once.
    preload = [compiled.runtime("libasan.so"), compiled.runtime("libstdc++.so")]
    if not preload[0]:
        pytest.skip("there is no libasan")
    settings = {
        "LD_PRELOAD": " ".join(filter(None, preload)),
        "ASAN_OPTIONS": "detect_leaks=0:exitcode=77",
        "UBSAN_OPTIONS": "halt_on_error=1:exitcode=78",
        "PYTHONMALLOC": "malloc",
        "PATH": os.environ.get("PATH", ""),
    }

    def run(code: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return with_every(
            code,
            build=request.param,
            flags=capi_build.SANITIZE,
            env=os.environ | settings,
            options=("-W", "error"),
            **kwargs,
        )

    return run


def test_a_workout_of_every_function_is_clean(sanitized):
    assert sanitized(WORKOUT, timeout=300).stdout == "done\n"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("m, p = c.new((8,)); del m; c.peek(p)", "heap-use-after-free"),
        ("m, p = c.new((8,), flags=0); del m; c.peek(p)", "heap-use-after-free"),
        ("m, p = c.new((8,), flags=0); c.peek(p + 64 + 63)", "heap-buffer-overflow"),
        ("c.overflow(2**31 - 1)", "signed integer overflow"),
    ],
)
def test_a_fault_is_found(sanitized, fault, words):
    done = sanitized(fault, check=False)
    assert words in done.stderr
    assert done.returncode in {77, 78}
