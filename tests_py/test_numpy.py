"""NumPy: numpy() is np.asarray(b) by a shorter way, and both keep the memory."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

import numpy as np
import pytest
import strategies as s
from hypothesis import given

import pybuf

FLAGS = ("C_CONTIGUOUS", "F_CONTIGUOUS", "OWNDATA", "WRITEABLE", "ALIGNED", "WRITEBACKIFCOPY")

# Each way to an array of the whole Buffer, and whether it is counted.
WAYS = {
    "numpy": (lambda b: b.numpy(), 1),
    "asarray": (np.asarray, 1),
    "array(copy=False)": (lambda b: np.array(b, copy=False), 1),
    "frombuffer": (lambda b: np.frombuffer(b, b.format), 1),
    "array_interface": (lambda b: np.asarray(Interface(b)), 0),
    "ndarray(buffer=)": (lambda b: np.ndarray(b.shape, b.format, b), 0),
}
if s.NUMPY_SPEAKS_VERSIONED_DLPACK:
    WAYS["from_dlpack"] = (np.from_dlpack, 1)
each_way = pytest.mark.parametrize(("way", "counted"), WAYS.values(), ids=WAYS)


class Interface:
    """Has nothing but the array interface of a Buffer, and keeps it."""

    def __init__(self, b: pybuf.Buffer) -> None:
        self.buffer = b
        self.__array_interface__ = b.__array_interface__


def facts(a: np.ndarray) -> dict[str, Any]:
    return {
        "address": a.__array_interface__["data"][0],
        "dtype": a.dtype,
        "shape": a.shape,
        "strides": a.strides,
        "flags": {name: a.flags[name] for name in FLAGS},
        "bytes": a.tobytes(),
    }


# ---- the same array ----


@given(block=s.blocks())
def test_numpy_is_asarray(block):
    """Strided, Fortran, negative, zero strides, misaligned, 0-d, zero-size,
    read-only, of every element."""
    b = block.buffer
    a = b.numpy()
    assert facts(a) == facts(np.asarray(b))
    assert type(a) is np.ndarray
    assert a.tobytes() == block.tobytes()
    assert a.flags.writeable is not b.readonly


@pytest.mark.parametrize("fmt", s.FORMATS)
def test_every_element_arrives_as_its_dtype(fmt):
    b = pybuf.zeros((2, 3), fmt)
    assert b.numpy().dtype == np.asarray(b).dtype == s.DTYPE[fmt]
    assert b.numpy().dtype.str == b.__array_interface__["typestr"]


def test_misaligned_memory_says_so():
    block = ctypes.create_string_buffer(17)
    start = ctypes.addressof(block)
    for offset in (0, 1):
        b = pybuf.wrap(block, 2, "d", offset=offset, nbytes=17, owner=block)
        aligned = (start + offset) % 8 == 0
        assert b.numpy().flags.aligned is np.asarray(b).flags.aligned is aligned


def test_an_array_of_64_axes_is_as_far_as_numpy_goes():
    b = pybuf.zeros((1,) * 64, "d")
    if np.__version__ >= "2":
        assert b.numpy().ndim == 64
    else:
        with pytest.raises(ValueError, match="32"):
            b.numpy()
    assert memoryview(b).ndim == 64


@each_way
def test_what_is_written_on_one_side_is_read_on_the_other(way, counted):
    b = pybuf.zeros(4, "i")
    a = way(b)
    b[1] = -5
    assert a.tolist() == [0, -5, 0, 0]
    a[3] = 9
    assert b.tolist() == [0, -5, 0, 9]


# ---- who keeps what ----


@each_way
def test_an_array_is_counted_as_long_as_it_or_a_view_of_it_lives(way, counted):
    b = pybuf.zeros(8, "d")
    a = way(b)
    assert b.exports == counted
    part = a[1:][::2]
    other = part.view("i8").reshape(2, -1)
    del a, part
    assert b.exports == counted
    del other
    assert b.exports == 0


@each_way
def test_any_array_keeps_the_memory_until_its_last_view_is_gone(way, counted, releases):
    block = (ctypes.c_double * 4)(1, 2, 3, 4)
    b = pybuf.wrap(block, 4, "d", release=releases)
    view = way(b)[::-1][1:]
    b.close()
    del b
    gc.collect()
    assert releases == []
    assert view.tolist() == [3, 2, 1]
    del view
    assert releases == [ctypes.addressof(block)]


def test_the_base_of_numpy_is_a_lease_of_the_buffer():
    b = pybuf.zeros(3, "d")
    lease = b.numpy().base
    assert lease.obj is b
    assert b.exports == 1
    assert repr(lease) == f"<lease of {b!r}>"
    with pytest.raises(TypeError, match="cannot create"):
        type(lease)()
    with pytest.raises(AttributeError):
        lease.obj = None
    del lease
    assert b.exports == 0


def test_the_base_of_asarray_is_a_memoryview_of_the_buffer():
    b = pybuf.zeros(3, "d")
    assert np.asarray(b).base.obj is b


def test_each_call_is_a_lease_of_its_own():
    b = pybuf.zeros(3, "d")
    arrays = [b.numpy() for _ in range(5)]
    assert b.exports == 5
    assert len({id(a.base) for a in arrays}) == 5


def test_a_lease_is_an_exporter_of_the_same_memory():
    b = pybuf.copy(b"abc")
    lease = b.numpy().base
    view = memoryview(lease)
    assert view == b"abc"
    assert b.exports == 2
    del lease
    assert view.tolist() == [97, 98, 99]
    assert b.exports == 1


# ---- writing ----


@each_way
def test_arrays_of_read_only_memory_stay_read_only(way, counted):
    b = pybuf.zeros(4, "i").toreadonly()
    a = way(b)
    assert not a.flags.writeable
    for array in (a, a[1:], a.view("u1")):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 1


@pytest.mark.parametrize("closed", [False, True])
def test_an_array_of_writable_memory_may_be_locked_and_opened_again(closed):
    b = pybuf.zeros(4, "i")
    a = b.numpy()
    part = a[1:]
    if closed:
        b.close()
    for array in (a, part):
        array.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
        array.flags.writeable = True
        array[0] = 7
    assert a.tolist() == [7, 7, 0, 0]
    del array, part, a
    assert b.exports == 0


# ---- refusals ----


def test_a_closed_buffer_gives_no_array_by_any_way():
    """Not even an array of one object, which is what NumPy makes of what it
    cannot read."""
    b = pybuf.zeros(3)
    b.close()
    for ways in (b.numpy, lambda: np.asarray(b), lambda: np.array(b), lambda: np.from_dlpack(b)):
        with pytest.raises(ValueError, match="closed"):
            ways()
    with pytest.raises(ValueError, match="closed"):
        np.add(b, 1)


def test_no_view_of_indirect_memory_can_be_had_through_the_protocol():
    b = s.indirect([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(BufferError, match="suboffsets"):
        np.asarray(b)
    assert b.exports == 0


# ---- other NumPys, and none ----


def test_numpy_is_imported_only_when_it_is_needed(fresh):
    fresh("""
        import sys, pybuf
        b = pybuf.zeros((2, 3), "d")
        c = pybuf.copy(b).cast("<i4"), b.toreadonly(), b.__array_interface__, b.tolist()
        assert "numpy" not in sys.modules
        assert b.numpy().shape == (2, 3)
        assert "numpy" in sys.modules
    """)


def test_without_numpy_only_what_needs_it_is_refused(fresh):
    fresh("""
        import sys
        sys.modules["numpy"] = None  # imports of it fail
        import pybuf
        b = pybuf.copy(b"abcd")
        for _ in range(2):
            try:
                b.numpy()
            except ModuleNotFoundError as e:
                assert "memoryview()" in str(e), e
            else:
                raise AssertionError
            try:
                pybuf.zeros(3, "float64")
            except (TypeError, ValueError) as e:
                assert "NumPy" in str(e) and "float64" in str(e), e
            else:
                raise AssertionError
        assert b.exports == 0
        assert b.cast("<i4").tolist() and b.tolist() == [97, 98, 99, 100]
    """)


def test_a_numpy_of_an_unknown_major_version_is_served_by_the_protocol(fresh):
    """Its function table may have other functions at our places."""
    fresh("""
        import ctypes, pybuf
        import numpy as np
        import numpy._core._multiarray_umath as umath

        @ctypes.CFUNCTYPE(ctypes.c_uint)
        def version():
            return 3 << 24

        table = (ctypes.c_void_p * 400)(ctypes.cast(version, ctypes.c_void_p))
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        real, umath._ARRAY_API = umath._ARRAY_API, new(table, None, None)

        b = pybuf.zeros((2, 3), "d")
        for _ in range(2):
            a = b.numpy()
            assert type(a) is np.ndarray and a.shape == (2, 3)
            assert type(a.base) is memoryview and a.base.obj is b
            assert b.exports == 1
        a[1, 2] = 5
        assert b[1, 2] == 5
        del a
        assert b.exports == 0
        umath._ARRAY_API = real
    """)


@pytest.mark.parametrize("door", ["numpy()", "numpy(copy=None)"])
def test_memory_is_not_moved_while_numpy_is_asked_for_a_dtype(fresh: Any, door: str):
    """It may run what it likes, and other threads."""
    fresh(f"""
        import numpy as np, pybuf
        b = pybuf.zeros(1 << 20, "f")
        asked, real = [], np.dtype
        def dtype(*args):
            asked.append(args)
            try:
                b.resize(1)
            except BufferError:
                return real(*args)
        np.dtype = dtype
        a = b.{door}
        np.dtype = real
        assert asked and a.shape == b.shape == (1 << 20,)
        assert a.ctypes.data == b.address
        a[-1] = 5
        assert b[-1] == 5
    """)


def test_an_array_that_could_not_be_made_leaves_nothing_lent(fresh: Any):
    fresh("""
        import numpy as np, pybuf
        b, real = pybuf.zeros(3, "f"), np.dtype
        np.dtype = lambda *args: 1 / 0
        try:
            b.numpy()
        except ZeroDivisionError:
            pass
        np.dtype = real
        assert b.exports == 0
        assert b.close()
    """)


def test_thousands_of_arrays_leave_no_reference_behind():
    """Of the dtype too: NumPy steals one for each array."""
    b = pybuf.zeros(3, "d")
    dtype = b.numpy().dtype
    before = [ctypes.c_ssize_t.from_address(id(x)).value for x in (b, dtype)]
    for _ in range(1000):
        b.numpy()
    assert [ctypes.c_ssize_t.from_address(id(x)).value for x in (b, dtype)] == before
