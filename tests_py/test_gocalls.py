"""No loop enters Go, which decides what an element is, once, and what strides may be."""

from __future__ import annotations

import copy
import ctypes
import gc
import pickle
from collections.abc import Callable
from typing import Any

import cffi
import numpy as np
import pytest
from blocks import NativeRelease, libc, malloc

import pybuf
from pybuf import _core

ffi = cffi.FFI()

BLOCK = ctypes.create_string_buffer(1 << 12)
ADDRESS = ctypes.addressof(BLOCK)
INTS = (ctypes.c_int * 6)()
CINTS = ffi.new("int[2][3]")
SOURCE = np.arange(24, dtype=">i2").reshape(4, 6)

#: A typestr, two formats, a swapped order, and one class of NumPy's.
DTYPES = ["B", "d", "<f4", ">i2", "?", "Zd", np.float64, np.dtype("i4")]


@NativeRelease
def native(data: int, nbytes: int, arg: int | None) -> None:
    pass


def _pickle(b: pybuf.Buffer) -> Any:
    frames: list[pickle.PickleBuffer] = []
    for data in (pickle.dumps(b, 2), pickle.dumps(b, 5)):
        pickle.loads(data)
    return pickle.loads(pickle.dumps(b, 5, buffer_callback=frames.append), buffers=frames)


def _refused(call: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        call()


B = pybuf.Buffer
#: Each is called with i = 0, 1, 2, ... and a Buffer of shape (i, 3), all shapes different.
LOOPS: dict[str, Callable[[int, B], Any]] = {
    "zeros": lambda i, b: pybuf.zeros((i, 2, 5), DTYPES[i % len(DTYPES)]),
    "empty": lambda i, b: pybuf.empty(i, "d", order="F", align=1 << i % 12),
    "copy": lambda i, b: pybuf.copy(b),
    "copy of bytes": lambda i, b: pybuf.copy(bytes(i)),
    "copy of an array": lambda i, b: pybuf.copy(SOURCE[: i % 4, ::-2], order="F"),
    "wrap with an owner": lambda i, b: pybuf.wrap(ADDRESS, (2, i), owner=BLOCK),
    "wrap with a callback": lambda i, b: pybuf.wrap(ADDRESS, i, "h", release=lambda _: None),
    "wrap with a thunk": lambda i, b: pybuf.wrap(ADDRESS, i, "i", release=(native, i)),
    "wrap with free": lambda i, b: pybuf.wrap(malloc(bytes(i)), i, release=libc.free),
    "wrap of a part": lambda i, b: pybuf.wrap(ADDRESS, i, owner=BLOCK, nbytes=4096, offset=i),
    "wrap of a ctypes array": lambda i, b: pybuf.wrap(INTS, owner=INTS),
    "wrap of a cffi array": lambda i, b: pybuf.wrap(CINTS, owner=CINTS),
    "memoryview": lambda i, b: memoryview(b)[: i // 2].tobytes(),
    "slice": lambda i, b: pybuf.zeros(i)[1:-1].tolist(),
    "np.asarray": lambda i, b: np.asarray(b)[::2].sum(),
    "numpy()": lambda i, b: b.numpy().T[1:].sum(),
    "np.ndarray(buffer=)": lambda i, b: np.ndarray(i, "d", buffer=b).sum(),
    "array interface": lambda i, b: b.__array_interface__,
    "DLPack": lambda i, b: np.from_dlpack(b).sum(),
    "DLPack copy": lambda i, b: b.__dlpack__(copy=True),
    "pickle": lambda i, b: _pickle(b),
    "copy.copy": lambda i, b: copy.copy(b),
    "items": lambda i, b: (b.cast("d").tolist(), [*pybuf.zeros(i)], len(b), b == pybuf.zeros(i)),
    "cast": lambda i, b: b.cast("B").cast(DTYPES[i % 2]).cast("B", (3, i, 8)),
    "toreadonly": lambda i, b: b.toreadonly().toreadonly(),
    "resize": lambda i, b: pybuf.zeros(i).resize((i, i + 1)),
    "close": lambda i, b: (b.close(), repr(b), b.shape),
    "with": lambda i, b: b.__enter__().__exit__(None, None, None),
    "attributes": lambda i, b: [getattr(b, name) for name in dir(b)],
    "refusal": lambda i, b: _refused(lambda: pybuf.wrap(ADDRESS, i)),
    "garbage": lambda i, b: [b].append(b) or gc.collect(0),
}


# What makes memory of Go's heap from such memory.
AGAIN = ("copy.copy",)


@pytest.mark.parametrize("source", ["c", "go"])
@pytest.mark.parametrize("name", LOOPS)
def test_no_loop_enters_go(name, source, go_calls):
    """Whatever the shapes: makes, views, wraps, casts, pickles and frees are C's alone. Memory of
    Go's heap costs two calls, its making and its freeing, and no view of it costs any."""
    step = LOOPS[name]
    blocks = 0 if source == "c" else 2 if name in AGAIN else 1
    for i in range(len(DTYPES)):  # each dtype once, so that it is known
        step(i, pybuf.zeros((i, 3), "d"))
    before = go_calls()
    for i in range(100):
        step(i, pybuf.zeros((i, 3), "d", source=source))
    assert go_calls() == before + 100 * 2 * blocks


def test_a_first_use_of_plain_types_does_not_enter_go(fresh):
    """They are known from the import on, which is what a forked child lives by."""
    fresh(
        """
        import pybuf
        from pybuf import _core
        calls = lambda: _core._counters()["go_calls"]
        before = calls()
        for letter in "bBhHiIlLqQnNefdc?":
            pybuf.zeros((2, 3), letter).cast("B").tobytes()
            for order in "<>":
                if letter not in "nN":
                    pybuf.zeros((3, 2), order + letter).toreadonly()
        for typestr in ("<f8", ">f4", "|u1", "<i2", "<c16", "|b1"):
            pybuf.zeros(5, typestr)
        pybuf.wrap(4096, 0, unowned=True)
        assert calls() == before, calls() - before
        """
    )


def test_a_first_copy_of_plain_types_does_not_enter_go(fresh):
    """As exporters spell them: NumPy and array.array natively, ctypes with the byte order."""
    fresh(
        """
        import array, ctypes
        import pybuf
        from pybuf import _core
        calls = lambda: _core._counters()["go_calls"]
        before = calls()
        for letter in "bBhHiIlLqQfd":
            pybuf.copy(array.array(letter, [1, 2, 3]))
        for item in "int8 uint16 int32 int64 float double bool".split():
            block = (getattr(ctypes, "c_" + item) * 3)()
            pybuf.copy(block)
            pybuf.wrap(block, owner=block)
        assert calls() == before, calls() - before
        """
    )


def test_a_spelling_never_seen_costs_one_call_and_a_plain_numpy_dtype_none(fresh):
    fresh(
        """
        import numpy as np
        import pybuf
        from pybuf import _core
        calls = lambda: _core._counters()["go_calls"]
        plain = dict.fromkeys((np.dtype(">c8"), np.float32, np.dtype("bool"), "|u1"), 0)
        for new, cost in {"=d": 1, "@i": 1, "!H": 1, **plain}.items():
            before = calls()
            first = pybuf.zeros((2, 3), new)
            assert calls() == before + cost, new
            for i in range(10):
                pybuf.zeros((i, 5), new)
                pybuf.wrap(4096, i, new, unowned=True)
            assert calls() == before + cost, new
        """
    )


def test_explicit_strides_are_judged_by_go(go_calls):
    before = go_calls()
    for i in range(10):
        pybuf.wrap(ADDRESS, (2, i), "h", strides=(100, 4), owner=BLOCK)
    assert go_calls() == before + 10


@pytest.mark.parametrize(
    "bad",
    [
        lambda: pybuf.zeros((2, -1)),
        lambda: pybuf.zeros((2**40, 2**40)),
        lambda: pybuf.wrap(ADDRESS, 2, strides=(1, 1), owner=BLOCK, nbytes=1),
        lambda: pybuf.zeros(2, "no such"),
    ],
)
def test_what_is_refused_in_words_of_go_costs_at_most_one_call(bad, go_calls):
    before = go_calls()
    with pytest.raises((ValueError, OverflowError, MemoryError)):
        bad()
    assert go_calls() - before <= 1


def test_the_counter_counts(go_calls):
    """Else the tests above would pass whatever happens."""
    before = go_calls()
    _core._go_runtime(False)
    assert go_calls() == before + 1
