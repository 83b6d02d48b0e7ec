"""lend() holds an exporter for a library until that gives it back, or nobody took it."""

from __future__ import annotations

import _testbuffer
import array
import ctypes
import mmap
import sys
from typing import Any

import cffi
import descriptors as ds
import numpy as np
import pytest
import strategies
from hypothesis import given

import pybuf

# ---- what the library sees -------------------------------------------------------------


def read(d: pybuf.Lent) -> dict[str, Any]:
    """The fields, by a look that takes nothing."""
    seen = ds.at(int(d))
    n = seen.ndim
    return {
        "magic": seen.magic,
        "version": seen.version,
        "readonly": bool(seen.flags & ds.READONLY),
        "data": seen.data,
        "itemsize": seen.itemsize,
        "nbytes": seen.nbytes,
        "format": seen.format.decode(),
        "shape": tuple(seen.shape[:n]),
        "strides": tuple(seen.strides[:n]) if seen.strides else None,
        "suboffsets": tuple(seen.suboffsets[:n]) if seen.suboffsets else None,
    }


def test_the_descriptor_says_what_the_memory_is():
    a = np.arange(6, dtype="i4").reshape(2, 3)
    with pybuf.lend(a) as d:
        assert read(d) == {
            "magic": ds.MAGIC,
            "version": 1,
            "readonly": False,
            "data": a.ctypes.data,
            "itemsize": 4,
            "nbytes": 24,
            "format": "i",
            "shape": (2, 3),
            "strides": (12, 4),
            "suboffsets": None,
        }
        assert ds.at(int(d)).flags == 0
        assert ds.at(int(d)).pid == 0


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (lambda: array.array("d", [1]), ("d", (1,), (8,))),
        (lambda: bytearray(3), ("B", (3,), (1,))),
        (ctypes.c_double * 3, ("d", (3,), (8,))),
        (ctypes.c_short * 3 * 2, ("h", (2, 3), (6, 2))),
        (lambda: mmap.mmap(-1, 10), ("B", (10,), (1,))),
        (lambda: memoryview(bytearray(8))[::-2], ("B", (4,), (-2,))),
        (lambda: pybuf.zeros((2, 2), "d", order="F"), ("d", (2, 2), (8, 16))),
        (lambda: np.zeros((2, 3)).T, ("d", (3, 2), (8, 24))),
        (lambda: np.zeros((0, 3)), ("d", (0, 3), None)),
        (lambda: np.zeros(2, ">i4"), (">i", (2,), (4,))),
        (lambda: np.zeros(2, "3h"), ("h", (2, 3), (6, 2))),
        (lambda: np.zeros([1] * 9, "b"), ("b", (1,) * 9, None)),
    ],
)
def test_any_exporter_can_be_lent(obj, expected):
    with pybuf.lend(obj()) as d:
        seen = read(d)
        kind, shape, strides = expected
        assert (seen["format"], seen["shape"]) == (kind, shape)
        assert strides is None or seen["strides"] == strides


def test_one_item_alone_has_no_shape_and_no_strides():
    with pybuf.lend(np.array(2.5)) as d:
        seen = ds.at(int(d))
        assert (seen.ndim, bool(seen.shape), bool(seen.strides), seen.nbytes) == (0, 0, 0, 8)


def test_indirect_memory_keeps_its_suboffsets():
    nd = _testbuffer.ndarray(
        list(range(6)), shape=[2, 3], flags=_testbuffer.ND_PIL | _testbuffer.ND_WRITABLE
    )
    with pybuf.lend(nd) as d:
        assert read(d)["suboffsets"] == memoryview(nd).suboffsets
        assert pybuf.adopt(d).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_suboffsets_that_are_all_negative_are_none():
    block = (ctypes.c_int * 2)()
    b = pybuf.wrap(block, 2, "i", strides=4, suboffsets=-1, owner=block)
    with pybuf.lend(b) as d:
        assert read(d)["suboffsets"] is None


def test_formats_leave_as_pybuf_writes_them():
    record = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    with pybuf.lend(np.zeros(2, record)) as d:
        assert read(d)["format"] == pybuf.Layout(2, record).format


@given(block=strategies.blocks())
def test_what_is_lent_and_adopted_is_what_it_was(block):
    b = block.buffer
    with pybuf.lend(b, writable=not b.readonly) as d:
        again = pybuf.adopt(d)
        assert d.taken
        for name in ("shape", "strides", "format", "nbytes", "readonly"):
            assert getattr(again, name) == getattr(b, name)
        assert again.tobytes() == block.tobytes()
        assert not again.nbytes or again.address == b.address
        assert b.exports == 1
        del again
        assert d.returned


# ---- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [1, "text", None, object(), [1]])
def test_what_is_no_exporter_is_refused(wrong):
    with pytest.raises(TypeError, match="no buffer protocol"):
        pybuf.lend(wrong)


def frozen() -> Any:
    a = ds.doubles()
    a.flags.writeable = False
    return a


@pytest.mark.parametrize(
    "make",
    [
        lambda: b"bytes",
        lambda: memoryview(b"bytes"),
        frozen,
        lambda: pybuf.zeros(3).toreadonly(),
    ],
)
def test_memory_that_is_read_only_is_lent_so_or_not_at_all(make):
    obj = make()
    with pytest.raises(BufferError, match="writable=False"):
        pybuf.lend(obj)
    with pybuf.lend(obj, writable=False) as d:
        assert read(d)["readonly"]
        assert pybuf.adopt(d).readonly


def test_writable_memory_can_be_lent_read_only():
    with pybuf.lend(ds.doubles(), writable=False) as d:
        assert read(d)["readonly"]


def closed() -> pybuf.Buffer:
    b = pybuf.zeros(1)
    b.close()
    return b


def ended() -> memoryview:
    view = memoryview(b"")
    view.release()
    return view


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: np.array([object()]), TypeError, "object"),
        (lambda: np.zeros(1, "M8[s]"), (TypeError, ValueError), "i8"),
        (closed, ValueError, "closed"),
        (ended, ValueError, "released"),
    ],
)
def test_what_cannot_be_lent_says_why_and_is_not_held(make, error, words):
    obj = make()
    before = sys.getrefcount(obj)
    for writable in (True, False):
        with pytest.raises(error, match=words):
            pybuf.lend(obj, writable=writable)
    assert sys.getrefcount(obj) == before
    assert ds.lent_now() == 0


def test_a_lent_is_made_by_lend_only():
    with pytest.raises(TypeError):
        pybuf.Lent()
    with pytest.raises(TypeError):
        type("Sub", (pybuf.Lent,), {})


# ---- how it is passed ------------------------------------------------------------------

ARGTYPES: dict[str, Any] = {
    "none": None,
    "c_size_t": ctypes.c_size_t,
    "c_void_p": ctypes.c_void_p,
    "c_uint64": ctypes.c_uint64,
    "c_int64": ctypes.c_int64,
    "c_ulonglong": ctypes.c_ulonglong,
    "c_long": ctypes.c_long,
    "c_ssize_t": ctypes.c_ssize_t,
}


@pytest.mark.skipif(
    int(pybuf.lend(bytearray(1))) < 2**32,
    reason="the heap of this Python lies where ctypes cuts no address, as Debian's does",
)
@pytest.mark.parametrize("argtype", ARGTYPES.values(), ids=ARGTYPES)
def test_ctypes_passes_the_whole_address_whatever_it_knows_of_the_function(argtype):
    function = ctypes.CDLL(ds.library_file()).sum
    function.restype = ctypes.c_double
    if argtype is not None:
        function.argtypes = [argtype]
    for _ in range(3):
        a = ds.doubles()
        d = pybuf.lend(a)
        assert int(d) > 2**32
        assert function(d) == a.sum()
        assert (d.taken, d.returned) == (True, True)


def test_int_and_index_give_the_address():
    with pybuf.lend(ds.doubles()) as d:
        assert int(d) == d.__index__() == ctypes.c_size_t(int(d)).value
        assert ds.at(d.__index__()).magic == ds.MAGIC
        assert hex(d) == hex(int(d))


def test_cffi_passes_it_as_a_number_and_by_a_cast():
    library = cffi.FFI()
    library.cdef("double sum(uintptr_t);")
    lib = library.dlopen(ds.library_file())
    assert lib.sum(pybuf.lend(ds.doubles())) == 10
    with pybuf.lend(ds.doubles()) as d:
        assert int(library.cast("uintptr_t", library.cast("void *", int(d)))) == int(d)
