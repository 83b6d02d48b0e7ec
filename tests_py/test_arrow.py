"""__arrow_c_array__: the Arrow C data interface as capsules, on the memory itself."""

from __future__ import annotations

import ctypes
import gc
import threading

import numpy as np
import pyarrow as pa
import pytest

import pybuf

TYPES = {
    "b": "int8", "B": "uint8", "h": "int16", "H": "uint16", "i": "int32", "I": "uint32",
    "l": "int64", "L": "uint64", "q": "int64", "Q": "uint64", "e": "halffloat", "f": "float",
    "d": "double",
}  # fmt: skip


class ArrowArray(ctypes.Structure):
    """What the capsule "arrow_array" points to; `release` as a bare pointer."""

    _fields_ = [
        (name, ctypes.c_int64)
        for name in ("length", "null_count", "offset", "n_buffers", "n_children")
    ] + [
        (name, ctypes.c_void_p)
        for name in ("buffers", "children", "dictionary", "release", "private_data")
    ]


def array_behind(capsule: object) -> ArrowArray:
    get = ctypes.pythonapi.PyCapsule_GetPointer
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    return ArrowArray.from_address(get(capsule, b"arrow_array"))


@pytest.mark.parametrize("dtype", TYPES)
def test_arrow_reads_the_items_of_each_type_that_it_has(dtype):
    b = pybuf.copy(np.arange(5).astype(dtype))
    array = pa.array(b)
    assert str(array.type) == TYPES[dtype]
    assert array.to_pylist() == [0, 1, 2, 3, 4]


def test_arrow_stands_on_the_memory_and_counts_as_one_export():
    b = pybuf.zeros(4, "d")
    array = pa.array(b)
    assert b.exports == 1
    b[2] = 7.0
    assert array.to_pylist() == [0, 0, 7, 0]
    assert array.buffers()[1].address == b.address
    del array
    gc.collect()
    assert b.exports == 0


def test_a_slice_of_an_arrow_array_keeps_the_memory(releases):
    block = (ctypes.c_double * 4)(1, 2, 3, 4)
    part = pa.array(pybuf.wrap(block, release=releases))[1:3]
    gc.collect()
    assert releases == []
    assert part.to_pylist() == [2, 3]
    del part
    gc.collect()
    assert releases == [ctypes.addressof(block)]


def test_read_only_memory_leaves_too_for_arrow_never_writes():
    b = pybuf.copy(b"abc").toreadonly()
    assert pa.array(b).to_pylist() == [97, 98, 99]


def test_no_items_have_a_pointer_all_the_same():
    array = pa.array(pybuf.wrap(0, 0, "d", unowned=True))
    assert len(array) == 0
    assert array.buffers()[1].address % 64 == 0


def test_capsules_that_nobody_takes_give_the_memory_back():
    b = pybuf.zeros(4)
    capsules = b.__arrow_c_array__()
    assert b.exports == 1
    del capsules
    assert b.exports == 0


def test_a_requested_schema_is_left_to_the_consumer():
    b = pybuf.zeros(4, "i")
    schema, array = b.__arrow_c_array__(requested_schema=pa.int64().__arrow_c_schema__())
    assert pa.Array._import_from_c_capsule(schema, array).type == pa.int32()


def test_release_may_come_without_the_gil_on_any_thread():
    b = pybuf.zeros(4)
    schema, capsule = b.__arrow_c_array__()
    array = array_behind(capsule)
    # CFUNCTYPE, unlike PYFUNCTYPE, lets go of the GIL for the call.
    release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(array.release)
    thread = threading.Thread(target=release, args=(ctypes.addressof(array),))
    thread.start()
    thread.join()
    assert b.exports == 0
    assert array.release is None  # the mark of a released array
    del schema, capsule


def strided() -> pybuf.Buffer:
    block = (ctypes.c_int32 * 8)()
    return pybuf.wrap(block, 4, "i", strides=8, owner=block)


def misaligned() -> pybuf.Buffer:
    block = ctypes.create_string_buffer(64)
    return pybuf.wrap(ctypes.addressof(block) | 1, 2, "d", owner=block)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: pybuf.zeros((2, 2)), "this Buffer has 2 axes"),
        (lambda: pybuf.zeros(()), "this Buffer has 0 axes"),
        (lambda: pybuf.zeros(3, "?"), r"no element type for '\?'"),
        (lambda: pybuf.zeros(3, "Zd"), "no element type for 'Zd'"),
        (lambda: pybuf.zeros(3, ">d"), "no element type for '>d'"),
        (lambda: pybuf.zeros(3, "c"), "no element type for 'c'"),
        (strided, "with gaps"),
        (misaligned, "aligned items only"),
    ],
)
def test_what_arrow_cannot_say_is_refused(make, sentence):
    b = make()
    with pytest.raises(BufferError, match=sentence):
        b.__arrow_c_array__()
    assert b.exports == 0


def test_a_closed_buffer_is_refused():
    b = pybuf.zeros(3)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        b.__arrow_c_array__()
