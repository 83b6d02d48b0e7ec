"""wrap(): an address in any form that Python has, and who sees to the memory."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from typing import Any

import cffi
import numpy as np
import pytest
from blocks import PATTERN, libc, malloc
from hypothesis import given
from hypothesis import strategies as st

import pybuf

ffi = cffi.FFI()
ffi.cdef("""
    void *malloc(size_t);
    void free(void *);
    struct point { int x; double y; };
""")
lib = ffi.dlopen(None)  # ABI mode: no compiler

SOURCE = (ctypes.c_char * 64)(*PATTERN)
ADDRESS = ctypes.addressof(SOURCE)


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Either(ctypes.Union):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


class Index:
    def __index__(self) -> int:
        return ADDRESS


def capsule(address: int, name: bytes | None = None) -> Any:
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
        ("PyCapsule_New", ctypes.pythonapi)
    )
    return new(address, name, None)


# ---- forms of an address ---------------------------------------------------------------

FORMS: dict[str, Callable[[], Any]] = {
    "int": lambda: ADDRESS,
    "__index__": Index,
    "np.uint64": lambda: np.uint64(ADDRESS),
    "np.int64": lambda: np.int64(ADDRESS),
    "array of no dimensions": lambda: np.array(ADDRESS),
    "address of an array": lambda: np.frombuffer(SOURCE, "B").ctypes.data,
    "c_void_p": lambda: ctypes.c_void_p(ADDRESS),
    "c_char_p": lambda: ctypes.cast(ADDRESS, ctypes.c_char_p),
    "c_wchar_p": lambda: ctypes.cast(ADDRESS, ctypes.c_wchar_p),
    "ctypes pointer": lambda: ctypes.pointer(SOURCE),
    "ctypes POINTER(c_int)": lambda: ctypes.cast(ADDRESS, ctypes.POINTER(ctypes.c_int)),
    "array's ctypes pointer": lambda: np.frombuffer(SOURCE, "B").ctypes.data_as(ctypes.c_void_p),
    "ctypes array": lambda: SOURCE,
    "ctypes array of arrays": lambda: (ctypes.c_int * 4 * 4).from_address(ADDRESS),
    "ctypes structure": lambda: Point.from_address(ADDRESS),
    "ctypes union": lambda: Either.from_address(ADDRESS),
    "ctypes array of structures": lambda: (Point * 4).from_address(ADDRESS),
    "ctypes function pointer": lambda: ctypes.cast(ADDRESS, ctypes.CFUNCTYPE(None)),
    "cffi void *": lambda: ffi.cast("void *", ADDRESS),
    "cffi char *": lambda: ffi.cast("char *", ADDRESS),
    "cffi const double *": lambda: ffi.cast("const double *", ADDRESS),
    "cffi pointer to a structure": lambda: ffi.cast("struct point *", ADDRESS),
    "cffi addressof": lambda: ffi.addressof(ffi.cast("struct point *", ADDRESS)[0]),
    "cffi array": lambda: ffi.cast("int(*)[16]", ADDRESS)[0],
    "cffi array of arrays": lambda: ffi.cast("int(*)[4][4]", ADDRESS)[0],
    "cffi array of structures": lambda: ffi.cast("struct point(*)[4]", ADDRESS)[0],
    "cffi from_buffer": lambda: ffi.from_buffer(SOURCE),
    "cffi function pointer": lambda: ffi.cast("void (*)(void)", ADDRESS),
    "capsule": lambda: capsule(ADDRESS),
    "capsule with a name": lambda: capsule(ADDRESS, b"a.name"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_address_is_taken_in_every_form(form):
    b = pybuf.wrap(form(), 64, "B", owner=SOURCE)
    assert b.tobytes() == PATTERN
    assert b.address == ADDRESS
    assert b.source == "foreign"


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_address_in_any_form_is_written_through(form):
    b = pybuf.wrap(form(), (2, 4), "d", owner=SOURCE)
    try:
        np.asarray(b)[1, 3] = 1.5
        assert np.frombuffer(SOURCE, "d")[7] == 1.5
    finally:
        SOURCE[:] = PATTERN


def test_memory_of_the_c_library_is_taken_from_cffi_in_abi_mode():
    block = lib.malloc(64)
    b = pybuf.wrap(block, 8, "d", release=lib.free)
    np.asarray(b)[:] = range(8)
    assert ffi.cast("double *", block)[7] == 7


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "None": (None, TypeError, "address is None"),
    "str": ("4096", TypeError, "address is '4096'"),
    "bytes": (b"4096", TypeError, "address is b'4096'"),
    "float": (4096.0, TypeError, "address is 4096.0"),
    "array": (np.zeros(4), TypeError, "several items.*ctypes.data"),
    "memoryview": (memoryview(b"abc"), TypeError, "memory at"),
    "negative": (-1, OverflowError, "address is -1"),
    "too large": (2**64, OverflowError, "address is 18446744073709551616"),
    "negative of NumPy": (np.int64(-5), OverflowError, "address is -5"),
    "c_int": (ctypes.c_int(4096), TypeError, "holds a number and no pointer"),
    "c_size_t": (ctypes.c_size_t(4096), TypeError, "holds a number and no pointer"),
    "c_double": (ctypes.c_double(1), TypeError, "holds a number and no pointer"),
    "py_object": (ctypes.py_object(1), TypeError, "no pointer"),
    "byref": (ctypes.byref(ctypes.c_int()), TypeError, "cparam"),
    "cffi int": (ffi.cast("int", 4096), TypeError, "no pointer"),
    "cffi uintptr_t": (ffi.cast("uintptr_t", 4096), TypeError, "no pointer"),
    "cffi structure": (ffi.new("struct point *")[0], TypeError, "no pointer"),
}


@pytest.mark.parametrize(("address", "error", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_address_is_refused(address, error, words):
    with pytest.raises(error, match=words):
        pybuf.wrap(address, 4, unowned=True)


# ---- shape and dtype of arrays ---------------------------------------------------------

CTYPES = (
    ctypes.c_byte,
    ctypes.c_ubyte,
    ctypes.c_short,
    ctypes.c_ushort,
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.c_long,
    ctypes.c_ulong,
    ctypes.c_longlong,
    ctypes.c_ulonglong,
    ctypes.c_float,
    ctypes.c_double,
    ctypes.c_bool,
    ctypes.c_size_t,
    ctypes.c_int.__ctype_be__,
    ctypes.c_double.__ctype_be__,
)


@pytest.mark.parametrize("item", CTYPES, ids=lambda t: t.__name__)
def test_a_ctypes_array_brings_shape_and_dtype(item):
    array = (item * 3 * 2)()
    array[1][2] = 1
    b = pybuf.wrap(array, owner=array)
    expected = np.ctypeslib.as_array(array)
    assert (b.shape, np.asarray(b).dtype) == ((2, 3), expected.dtype)
    assert b.numpy().tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("cname", "typestr"),
    [
        ("char", "S1"),
        ("signed char", "i1"),
        ("unsigned char", "u1"),
        ("short", "i2"),
        ("unsigned short", "u2"),
        ("int", "i4"),
        ("unsigned int", "u4"),
        ("long", "i8"),
        ("unsigned long", "u8"),
        ("long long", "i8"),
        ("unsigned long long", "u8"),
        ("int8_t", "i1"),
        ("uint16_t", "u2"),
        ("int32_t", "i4"),
        ("uint64_t", "u8"),
        ("size_t", "u8"),
        ("ssize_t", "i8"),
        ("intptr_t", "i8"),
        ("float", "f4"),
        ("double", "f8"),
        ("_Bool", "?"),
        ("float _Complex", "c8"),
        ("double _Complex", "c16"),
    ],
)
def test_a_cffi_array_brings_shape_and_dtype(cname, typestr):
    for declaration, length, shape in [
        (f"{cname}[5]", None, (5,)),
        (f"{cname}[]", 4, (4,)),
        (f"{cname}[2][3]", None, (2, 3)),
        (f"{cname}[][3]", 2, (2, 3)),
    ]:
        array = ffi.new(declaration) if length is None else ffi.new(declaration, length)
        b = pybuf.wrap(array, owner=array)
        assert (b.shape, b.numpy().dtype) == (shape, np.dtype(typestr)), declaration
        assert b.nbytes == ffi.sizeof(array)


def test_shape_and_dtype_of_an_array_can_be_overruled():
    array = (ctypes.c_int * 6)(*range(6))
    assert pybuf.wrap(array, (2, 3), owner=array).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert pybuf.wrap(array, dtype="I", owner=array).format == "I"
    assert pybuf.wrap(array, (3,), "q", owner=array).tolist() == [
        1 << 32,
        2 | 3 << 32,
        4 | 5 << 32,
    ]


def test_a_dtype_of_another_size_needs_a_shape_too():
    with pytest.raises(ValueError, match="give the shape too"):
        pybuf.wrap((ctypes.c_int * 6)(), dtype="d", unowned=True)


@pytest.mark.parametrize("form", ["int", "c_void_p", "ctypes pointer", "cffi char *", "capsule"])
def test_a_pointer_brings_no_shape(form):
    with pytest.raises(TypeError, match="needs a shape"):
        pybuf.wrap(FORMS[form](), unowned=True)


def test_a_pointer_without_a_dtype_means_bytes():
    """Its own item type is not looked at: who gives a shape alone counts bytes."""
    b = pybuf.wrap(ctypes.cast(ADDRESS, ctypes.POINTER(ctypes.c_double)), 8, owner=SOURCE)
    assert (b.format, b.nbytes) == ("B", 8)


# ---- who sees to the memory ------------------------------------------------------------


@pytest.mark.parametrize("nobody", [{}, {"owner": None}, {"release": None}, {"unowned": False}])
def test_memory_without_an_owner_is_refused(nobody):
    with pytest.raises(TypeError, match="who frees this memory"):
        pybuf.wrap(ADDRESS, 8, **nobody)


@pytest.mark.parametrize("somebody", [{"owner": SOURCE}, {"release": libc.free}])
def test_unowned_memory_has_no_owner_and_no_release(somebody):
    with pytest.raises(TypeError, match="unowned=True"):
        pybuf.wrap(ADDRESS, 8, unowned=True, **somebody)


def test_unowned_memory_outlives_its_buffer():
    b = pybuf.wrap(ADDRESS, 64, unowned=True)
    assert b.owner is None
    assert b.close() is True
    del b
    assert SOURCE.raw == PATTERN


def test_the_owner_is_kept_once_and_let_go_once():
    owner = object()
    before = sys.getrefcount(owner)
    b = pybuf.wrap(ADDRESS, 8, owner=owner)
    assert b.owner is owner
    assert sys.getrefcount(owner) == before + 1
    view = memoryview(b)
    del b
    assert sys.getrefcount(owner) == before + 1
    del view
    assert sys.getrefcount(owner) == before


def test_the_address_itself_is_not_kept():
    """Who gives an object's address keeps the object: owner= says so."""
    block = (ctypes.c_char * 8)()
    before = sys.getrefcount(block)
    b = pybuf.wrap(block, unowned=True)
    assert sys.getrefcount(block) == before
    assert b.owner is None


def test_owner_and_release_go_together_and_the_release_comes_first():
    """The owner may be the library that the release needs."""
    events: list[str] = []

    class Library:
        def __del__(self) -> None:
            events.append("owner gone")

    b = pybuf.wrap(ADDRESS, 8, owner=Library(), release=lambda _: events.append("released"))
    del b
    assert events == ["released", "owner gone"]


# ---- NULL and read-only ----------------------------------------------------------------


@pytest.mark.parametrize("null", [0, ctypes.c_void_p(), ffi.NULL, ctypes.POINTER(ctypes.c_int)()])
def test_null_stands_for_zero_bytes_only(null):
    for shape in (0, (0,), (3, 0), (0, 5)):
        b = pybuf.wrap(null, shape, "d", unowned=True)
        assert (b.nbytes, b.size) == (0, 0)
        assert b.address % 8 == 0
        assert b.address != 0  # a consumer may end the process on NULL
        assert np.asarray(b).shape == b.shape
    for shape in (1, (), (2, 3)):
        with pytest.raises(ValueError, match="NULL"):
            pybuf.wrap(null, shape, "d", unowned=True)
    with pytest.raises(ValueError, match="NULL"):
        pybuf.wrap(null, 0, "d", nbytes=8, unowned=True)


def test_an_address_near_the_end_of_the_address_space_is_refused():
    with pytest.raises(ValueError, match="leaves the address space"):
        pybuf.wrap(2**64 - 8, 9, unowned=True)
    with pytest.raises(ValueError, match="leaves the address space"):
        pybuf.wrap(16, 4, "d", strides=-8, unowned=True)


def test_read_only_memory_is_refused_to_writers():
    b = pybuf.wrap(ADDRESS, 8, readonly=True, owner=SOURCE)
    assert b.readonly
    assert memoryview(b).readonly
    assert not np.asarray(b).flags.writeable
    assert not b.numpy().flags.writeable
    assert b.__array_interface__["data"] == (ADDRESS, True)
    with pytest.raises(TypeError, match="not writable"):
        (ctypes.c_char * 8).from_buffer(b)
    with pytest.raises(TypeError):
        b[0] = 1


# ---- against NumPy ---------------------------------------------------------------------


@given(
    dims=st.lists(st.tuples(st.integers(0, 5), st.integers(-24, 24)), max_size=4),
    offset=st.integers(-4, 68),
    dtype=st.sampled_from(["B", "h", "i", "d"]),
)
def test_a_layout_in_a_bounded_block_is_what_numpy_says(dims, offset, dtype):
    """np.ndarray(buffer=) judges and reads the same layout in the same 64 bytes."""
    shape, strides = tuple(n for n, _ in dims), tuple(s for _, s in dims)
    asked = {"strides": strides, "nbytes": 64, "offset": offset, "owner": SOURCE}
    if 0 in shape:
        return  # NumPy looks at no bounds where there are no items
    try:
        expected = np.ndarray(shape, dtype, SOURCE, offset, strides)
    except (ValueError, TypeError):
        with pytest.raises(ValueError, match=r"wrap|stride"):
            pybuf.wrap(ADDRESS, shape, dtype, **asked)
        return
    b = pybuf.wrap(ADDRESS, shape, dtype, **asked)
    assert b.tobytes() == expected.tobytes()
    assert (b.shape, b.strides) == (expected.shape, expected.strides)


def test_blocks_of_malloc_are_wrapped_and_freed_in_a_loop():
    for size in range(200):
        b = pybuf.wrap(malloc(bytes(size)), size, release=libc.free)
        assert not any(b)
    del b
    gc.collect()


@pytest.mark.parametrize(
    "make", [pybuf.wrap, lambda a, n, t, **k: pybuf.Layout(n, t).wrap(a, **k)]
)
def test_a_ctypes_array_is_no_longer_than_it_is(make):
    array = (ctypes.c_int * 3)(1, 2, 3)
    assert make(array, 3, "i", owner=array).tolist() == [1, 2, 3]
    assert make(array, 12, "B", owner=array).nbytes == 12
    assert make(array, 1, "i", owner=array, offset=8).tolist() == [3]
    for shape, dtype, offset in ((4, "i", 0), (3, "d", 0), (3, "i", 4), (1, "i", -4)):
        with pytest.raises(ValueError, match="the block has 12 bytes, as its ctypes type says"):
            make(array, shape, dtype, owner=array, offset=offset)


def test_nbytes_says_that_there_is_more_behind_a_ctypes_array():
    memory = (ctypes.c_int * 4)(1, 2, 3, 4)
    first = (ctypes.c_int * 1).from_buffer(memory)
    assert pybuf.wrap(first, 4, "i", owner=memory, nbytes=16).tolist() == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="give nbytes= if there are more"):
        pybuf.wrap(first, 4, "i", owner=memory)


def test_a_ctypes_array_is_not_left_by_strides_that_turn():
    array = (ctypes.c_int * 3)(1, 2, 3)
    with pytest.raises(ValueError, match="uses bytes -8 to 4"):
        pybuf.wrap(array, 3, "i", strides=-4, owner=array)
    assert pybuf.wrap(array, 3, "i", strides=-4, owner=array, offset=8).tolist() == [3, 2, 1]
