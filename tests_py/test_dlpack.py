"""DLPack: https://dmlc.github.io/dlpack/latest/c_api.html, the structs by ctypes."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import strategies as s
from hypothesis import given

import pybuf

INT, UINT, FLOAT, COMPLEX, BOOL = 0, 1, 2, 5, 6
CODES = {"b": BOOL, "i": INT, "u": UINT, "f": FLOAT, "c": COMPLEX}  # by kind of typestr
READ_ONLY, IS_COPIED = 1, 2
VERSIONED, UNVERSIONED = b"dltensor_versioned", b"dltensor"


class Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)  # called without the GIL


class Plain(ctypes.Structure):
    _fields_ = (("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", Deleter))
    flags = 0


class Versioned(ctypes.Structure):
    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    )


STRUCTS = {VERSIONED: Versioned, UNVERSIONED: Plain}

_api = ctypes.PyDLL(None)  # not pythonapi, whose functions all modules share
_name = _api.PyCapsule_GetName
_name.argtypes, _name.restype = [ctypes.py_object], ctypes.c_char_p
_pointer = _api.PyCapsule_GetPointer
_pointer.argtypes, _pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
_rename = _api.PyCapsule_SetName
_rename.argtypes = [ctypes.py_object, ctypes.c_char_p]


def read(capsule: object) -> Any:
    """The struct in a capsule, whichever it is."""
    name = _name(capsule)
    return STRUCTS[name].from_address(_pointer(capsule, name))


USED = {VERSIONED: b"used_dltensor_versioned", UNVERSIONED: b"used_dltensor"}


def consume(capsule: object) -> Any:
    """Takes the tensor over, as a consumer does; its deleter is then ours."""
    managed = read(capsule)
    _rename(capsule, USED[_name(capsule)])
    return managed


def end(managed: Any) -> None:
    managed.deleter(ctypes.addressof(managed))


class Exporter:
    """Hands on one capsule of a Buffer, asked for in its own way."""

    def __init__(self, b: pybuf.Buffer, **kwargs: Any) -> None:
        self.b, self.kwargs = b, kwargs

    def __dlpack__(self, **kwargs: Any) -> object:
        return self.b.__dlpack__(**self.kwargs)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.b.__dlpack_device__()


each_version = pytest.mark.parametrize("version", [None, (1, 0)], ids=["unversioned", "versioned"])
needs_numpy_2_1 = pytest.mark.skipif(
    not s.NUMPY_SPEAKS_VERSIONED_DLPACK, reason="NumPy takes unversioned capsules only"
)
each_way = pytest.mark.parametrize("copy", [None, False, True])
DL_FORMATS = [f for f in s.FORMATS if f != "c" and f[0] not in "<>"]


def is_whole(block: s.Block) -> bool:
    return all(stride % block.layout.itemsize == 0 for stride in block.layout.strides)


# ---- the struct ----


@each_version
@given(block=s.blocks(st.sampled_from(DL_FORMATS)))
def test_a_tensor_says_what_the_buffer_says(version, block):
    b = block.buffer
    if (version is None and b.readonly) or not is_whole(block):
        with pytest.raises(BufferError):
            b.__dlpack__(max_version=version)
        return
    capsule = b.__dlpack__(max_version=version)
    assert _name(capsule) == (VERSIONED if version else UNVERSIONED)
    managed = read(capsule)
    tensor = managed.tensor
    typestr = b.__array_interface__["typestr"]
    assert tensor.data == b.address
    assert (tensor.device_type, tensor.device_id) == b.__dlpack_device__() == (1, 0)
    assert tensor.ndim == b.ndim
    assert tuple(tensor.shape[: b.ndim]) == b.shape
    assert tuple(n * b.itemsize for n in tensor.strides[: b.ndim]) == b.strides
    assert tensor.byte_offset == 0
    assert (tensor.code, tensor.bits, tensor.lanes) == (CODES[typestr[1]], 8 * b.itemsize, 1)
    if version:
        assert (managed.major, managed.minor) >= (1, 0)
        assert managed.flags == (READ_ONLY if b.readonly else 0)


@needs_numpy_2_1
@pytest.mark.parametrize("fmt", DL_FORMATS)
@each_version
def test_numpy_takes_every_element_that_dlpack_has(version, fmt):
    b = pybuf.copy(np.arange(6).astype(s.DTYPE[fmt]).reshape(2, 3))
    a = np.from_dlpack(Exporter(b, max_version=version))
    assert a.dtype == s.DTYPE[fmt]
    assert a.tobytes() == b.tobytes()
    assert a.__array_interface__["data"][0] == b.address


@needs_numpy_2_1
@given(block=s.blocks(st.sampled_from(DL_FORMATS)))
def test_numpy_takes_every_layout_of_whole_items(block):
    if is_whole(block):
        a = np.from_dlpack(block.buffer)
        assert a.tobytes() == block.tobytes()
        assert a.flags.writeable is not block.buffer.readonly


@pytest.mark.parametrize(
    ("max_version", "name"),
    [
        (None, UNVERSIONED), ((0, 8), UNVERSIONED), ((1, 0), VERSIONED), ((1, 7), VERSIONED),
        ((2, 0), VERSIONED), ((s.Index(1), 0), VERSIONED),
    ],
)  # fmt: skip
def test_the_version_is_one_that_the_consumer_takes(max_version, name):
    assert _name(pybuf.zeros(3).__dlpack__(max_version=max_version)) == name
    assert _name(pybuf.zeros(3).__dlpack__()) == UNVERSIONED


# ---- who may write ----


@needs_numpy_2_1
def test_memory_of_a_versioned_tensor_is_shared_and_written():
    b = pybuf.zeros(3, "d")
    a = np.from_dlpack(b)
    a[1] = 5
    assert b.tolist() == [0, 5, 0]


@needs_numpy_2_1
def test_read_only_memory_needs_a_version_for_its_flag():
    b = pybuf.zeros(3, "d").toreadonly()
    assert read(b.__dlpack__(max_version=(1, 0))).flags == READ_ONLY
    assert not np.from_dlpack(b).flags.writeable
    for max_version in (None, (0, 8)):
        with pytest.raises(BufferError, match=r"read-only.*max_version=\(1, 0\)"):
            b.__dlpack__(max_version=max_version)


# ---- copies ----


@each_version
@given(block=s.blocks(st.sampled_from(DL_FORMATS)))
def test_a_copy_is_new_writable_memory_whatever_the_layout(version, block):
    b = block.buffer
    managed = read(capsule := b.__dlpack__(copy=True, max_version=version))
    tensor = managed.tensor
    assert tensor.data != b.address
    assert managed.flags == (IS_COPIED if version else 0)
    assert ctypes.string_at(tensor.data, b.nbytes) == block.tobytes()
    items = tuple(n // b.itemsize for n in oracle.packed_strides(b.shape, b.itemsize))
    assert tuple(tensor.strides[: b.ndim]) == items
    assert b.exports == 0
    del capsule


@each_way
def test_copy_is_made_only_when_asked_for(copy):
    b = pybuf.zeros(3)
    same = read(capsule := b.__dlpack__(copy=copy)).tensor.data == b.address
    assert same is not copy
    assert b.exports == (0 if copy else 1)
    del capsule


@needs_numpy_2_1
def test_numpy_s_copy_is_writable_and_apart():
    b = pybuf.zeros(3, "d").toreadonly()
    a = np.from_dlpack(b, copy=True)
    a[0] = 1
    assert b.tolist() == [0, 0, 0]
    assert b.exports == 0


# ---- refusals ----


@pytest.mark.parametrize("fmt", [f for f in s.FORMATS if f not in DL_FORMATS])
def test_an_element_that_dlpack_has_not_is_refused_by_name(fmt):
    with pytest.raises(BufferError, match=f"'{fmt}'"):
        pybuf.zeros(3, fmt).__dlpack__(max_version=(1, 0))
    with pytest.raises(BufferError, match=f"'{fmt}'"):
        pybuf.zeros(3, fmt).__dlpack__(copy=True)


def test_what_dlpack_cannot_say_is_refused_and_counts_nothing():
    block = ctypes.create_string_buffer(64)
    odd = pybuf.wrap(block, (3,), "d", strides=(9,), owner=block)
    rows = s.indirect([[1, 2], [3, 4]])
    b = pybuf.zeros(3)
    for action, word in (
        (odd.__dlpack__, "whole number of items"),
        (rows.__dlpack__, "indirect"),
        (lambda: b.__dlpack__(stream=1), "stream"),
        (lambda: b.__dlpack__(dl_device=(2, 0)), r"\(2, 0\).*\(1, 0\)"),
    ):
        with pytest.raises(BufferError, match=word):
            action()
    assert [x.exports for x in (odd, rows, b)] == [0, 0, 0]
    assert b.close() is True  # nothing was lent


@needs_numpy_2_1
def test_a_copy_serves_what_has_no_tensor_of_its_own():
    block = (ctypes.c_char * 32).from_buffer_copy(bytes(range(32)))
    odd = pybuf.wrap(block, (3,), "d", strides=(9,), owner=block)
    assert np.from_dlpack(odd, copy=True).tobytes() == odd.tobytes()
    rows = s.indirect([[1, 2], [3, 4]])
    assert np.from_dlpack(rows, copy=True).tolist() == [[1, 2], [3, 4]]


def test_a_closed_buffer_gives_no_tensor():
    b = pybuf.zeros(3)
    b.close()
    for action in (b.__dlpack__, b.__dlpack_device__, lambda: np.from_dlpack(b)):
        with pytest.raises(ValueError, match="closed"):
            action()
    with pytest.raises(ValueError, match="closed"):
        b.__dlpack__(copy=True)


# ---- its end ----


@each_version
def test_an_unused_capsule_gives_its_export_back(version):
    b = pybuf.zeros(3)
    capsule = b.__dlpack__(max_version=version)
    assert b.exports == 1
    del capsule
    assert b.exports == 0


@each_version
def test_a_consumed_tensor_lives_until_its_deleter_is_called(version, releases):
    b = pybuf.wrap(block := (ctypes.c_int * 3)(1, 2, 3), 3, "i", release=releases)
    managed = consume(b.__dlpack__(max_version=version))
    assert b.exports == 1
    b.close()
    del b
    assert releases == []
    data = ctypes.cast(managed.tensor.data, ctypes.POINTER(ctypes.c_int))
    assert data[:3] == [1, 2, 3]
    end(managed)
    assert releases == [ctypes.addressof(block)]


@needs_numpy_2_1
@each_version
def test_the_deleter_runs_when_numpy_drops_the_last_view(version, releases):
    b = pybuf.wrap(block := (ctypes.c_int * 3)(1, 2, 3), 3, "i", release=releases)
    view = np.from_dlpack(Exporter(b, max_version=version))[1:]
    assert b.exports == 1
    b.close()
    del b
    assert releases == []
    assert view.tolist() == [2, 3]
    del view
    assert releases == [ctypes.addressof(block)]


@each_version
def test_the_deleter_may_come_on_another_thread_without_the_gil(version, releases):
    b = pybuf.wrap(1 << 20, 3, release=releases)
    managed = consume(b.__dlpack__(max_version=version))
    del b
    thread = threading.Thread(target=end, args=[managed])
    thread.start()
    thread.join()
    assert releases == [1 << 20]


@each_version
def test_the_deleter_may_come_on_a_thread_that_python_never_saw(version, releases):
    """The deleter itself is the start routine of a thread of C's."""
    libc = ctypes.CDLL(None)
    b = pybuf.wrap(1 << 20, 3, release=releases)
    managed = consume(b.__dlpack__(max_version=version))
    del b
    thread = ctypes.c_ulong()
    argument = ctypes.c_void_p(ctypes.addressof(managed))
    assert libc.pthread_create(ctypes.byref(thread), None, managed.deleter, argument) == 0
    assert libc.pthread_join(thread, None) == 0
    assert releases == [1 << 20]


def test_many_threads_take_and_end_tensors_of_one_buffer(parallel):
    b = pybuf.zeros(3)

    def work(i: int) -> None:
        for _ in range(100):
            end(consume(b.__dlpack__(max_version=(i % 2, 0))))

    parallel(work)
    assert b.exports == 0


@each_version
def test_the_deleter_may_come_after_the_interpreter(version, fresh):
    """exit() runs what atexit(3) was given last of all: Python is gone."""
    fresh(f"""
        import ctypes, pybuf
        b = pybuf.zeros(1000)
        capsule = b.__dlpack__(max_version={version})
        name = {VERSIONED!r} if {version} else {UNVERSIONED!r}
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.argtypes, get.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
        managed = get(capsule, name)
        used = b"used_" + name
        rename = ctypes.pythonapi.PyCapsule_SetName
        rename.argtypes = [ctypes.py_object, ctypes.c_char_p]
        rename(capsule, used)
        words = (ctypes.c_void_p * 12).from_address(managed)
        # Behind the tensor and the context, or behind version and context.
        deleter = words[2] if {version} else words[7]
        at_exit = getattr(ctypes.CDLL(None), "__cxa_atexit")
        assert at_exit(ctypes.c_void_p(deleter), ctypes.c_void_p(managed), None) == 0
        del b, capsule
    """)


def test_an_array_over_a_tensor_may_live_until_the_very_end(fresh):
    fresh("""
        import sys, numpy as np, pybuf
        sys.kept = np.from_dlpack(pybuf.zeros(1000))
        class Late:
            def __del__(self, kept=sys.kept):
                assert kept.sum() == 0
        sys.late = Late()
    """)
