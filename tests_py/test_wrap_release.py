"""wrap(release=): every form of a release, what it gets, and what is refused."""

from __future__ import annotations

import ctypes
import gc
import importlib
import shutil
import sys
import sysconfig
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest
from blocks import PATTERN, NativeRelease, libc, malloc

import pybuf

ffi = cffi.FFI()
ffi.cdef("void *malloc(size_t); void free(void *); void *memset(void *, int, size_t);")
lib = ffi.dlopen(None)

SOURCE = ctypes.create_string_buffer(64)
ADDRESS = ctypes.addressof(SOURCE)


def capsule(address: int) -> Any:
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
        ("PyCapsule_New", ctypes.pythonapi)
    )
    return new(address, None, None)


class Calls(list[tuple[Any, ...]]):
    """What a native release got, through a C function that ctypes makes."""

    def __init__(self) -> None:
        super().__init__()
        self.function = NativeRelease(lambda *got: self.append(got))
        self.pointer = ctypes.cast(self.function, ctypes.c_void_p).value


# ---- callables -------------------------------------------------------------------------


class Pool:
    def __init__(self) -> None:
        self.back: list[int] = []

    def give_back(self, address: int) -> None:
        self.back.append(address)

    __call__ = give_back


@pytest.mark.parametrize(
    "form",
    [
        lambda pool: pool,
        lambda pool: pool.give_back,
        lambda pool: pool.back.append,
        lambda pool: lambda address: pool.give_back(address) or None,
        lambda pool: partial(Pool.give_back, pool),
    ],
)
def test_a_callable_gets_the_address(form):
    pool = Pool()
    b = pybuf.wrap(ADDRESS, 64, release=form(pool))
    del b
    assert pool.back == [ADDRESS]
    assert type(pool.back[0]) is int


def test_a_callable_gets_the_address_that_was_given():
    """Not where items lie: what malloc returned is what free wants."""
    pool = Pool()
    for more in ({"offset": 16}, {"nbytes": 64, "offset": 16}, {"nbytes": 64}):
        pybuf.wrap(ADDRESS, 4, release=pool, **more).close()
    pybuf.wrap(ADDRESS + 12, 4, "i", strides=-4, release=pool).close()
    pybuf.wrap(0, 0, release=pool).close()
    assert pool.back == [ADDRESS, ADDRESS, ADDRESS, ADDRESS + 12, 0]


# ---- native functions ------------------------------------------------------------------

POINTERS: dict[str, Callable[[Calls], Any]] = {
    "ctypes function": lambda calls: calls.function,
    "c_void_p": lambda calls: ctypes.c_void_p(calls.pointer),
    "int": lambda calls: calls.pointer,
    "NumPy integer": lambda calls: np.uint64(calls.pointer),
    "cffi function": lambda calls: ffi.cast("void (*)(void *, size_t, void *)", calls.pointer),
    "cffi void *": lambda calls: ffi.cast("void *", calls.pointer),
    "capsule": lambda calls: capsule(calls.pointer),
}


@pytest.mark.parametrize("form", POINTERS.values(), ids=POINTERS)
def test_a_pair_is_called_natively_with_data_size_and_arg(form):
    calls = Calls()
    b = pybuf.wrap(ADDRESS, (4, 2), "i", release=(form(calls), 0xDEADBEEF12345678))
    assert calls == []
    del b
    assert calls == [(ADDRESS, 32, 0xDEADBEEF12345678)]


@pytest.mark.parametrize("form", ["ctypes function", "cffi function", "capsule"])
def test_a_native_function_needs_no_pair(form):
    calls = Calls()
    b = pybuf.wrap(ADDRESS, 8, "d", release=POINTERS[form](calls))
    del b
    assert calls == [(ADDRESS, 64, None)]


ARGS: dict[str, tuple[Callable[[], Any], int | None]] = {
    "None": (lambda: None, None),
    "int": (lambda: 5, 5),
    "largest int": (lambda: 2**64 - 1, 2**64 - 1),
    "c_void_p": (lambda: ctypes.c_void_p(ADDRESS), ADDRESS),
    "NULL": (ctypes.c_void_p, None),
    "ctypes array": (lambda: SOURCE, ADDRESS),
    "ctypes pointer": (lambda: ctypes.pointer(SOURCE), ADDRESS),
    "cffi pointer": (lambda: ffi.cast("void *", ADDRESS), ADDRESS),
    "capsule": (lambda: capsule(ADDRESS), ADDRESS),
}


@pytest.mark.parametrize(("make", "got"), ARGS.values(), ids=ARGS)
def test_the_arg_of_a_pair_may_be_any_pointer(make, got):
    calls = Calls()
    pybuf.wrap(ADDRESS, 4, release=(calls.function, make())).close()
    assert calls == [(ADDRESS, 4, got)]


@pytest.mark.parametrize(
    ("layout", "data", "nbytes"),
    [
        ({"shape": 10, "dtype": "h"}, 0, 20),
        ({"shape": (), "dtype": "d"}, 0, 8),
        ({"shape": 0}, 0, 0),
        ({"shape": (3, 4), "strides": (8, 1)}, 0, 20),
        ({"shape": 4, "strides": 0, "dtype": "i"}, 0, 4),
        ({"shape": 4, "strides": -8, "dtype": "i"}, 24, 28),
        ({"shape": (2, 2), "strides": (-16, 4), "dtype": "i"}, 16, 24),
        ({"shape": 4, "offset": 8}, 0, 4),
        ({"shape": 4, "nbytes": 64}, 0, 64),
        ({"shape": 4, "nbytes": 64, "offset": 60}, 0, 64),
        ({"shape": 0, "nbytes": 64, "offset": 64}, 0, 64),
        ({"shape": 4, "strides": -8, "dtype": "i", "nbytes": 64, "offset": 24}, 0, 64),
    ],
)
def test_a_native_release_gets_the_given_block_or_else_the_span_of_the_layout(
    layout, data, nbytes
):
    calls = Calls()
    pybuf.wrap(ADDRESS + data, release=(calls.function, None), **layout).close()
    assert calls == [(ADDRESS + data, nbytes, None)]


@pytest.mark.parametrize("memset", [libc.memset, lib.memset], ids=["ctypes", "cffi"])
def test_a_native_release_needs_no_python(memset):
    """memset(data, nbytes, arg) leaves all three to be read in the memory itself."""
    ctypes.memset(SOURCE, 0, 64)
    b = pybuf.wrap(ADDRESS, 7, release=(memset, 20))
    assert SOURCE.raw == bytes(64)
    del b
    assert SOURCE.raw == b"\x07" * 20 + bytes(44)


def test_free_is_called_natively_whatever_ctypes_knows_of_it():
    """Without argtypes ctypes would hand over 32 bits of the address."""
    free = ctypes.CDLL(None).free
    assert free.argtypes is None
    blocks = {size: malloc(bytes(size)) for size in (1, 100, 1 << 22)}
    assert blocks[1 << 22] > 2**32  # from mmap; the heap begins lower in some Pythons
    for size, block in blocks.items():
        view = memoryview(pybuf.wrap(block, size, release=free))
        assert view.nbytes == size
        del view


@pytest.mark.parametrize("free", [libc.free, lib.free, (libc.free, None), (lib.free, ffi.NULL)])
def test_free_of_the_c_library_frees(free):
    for _ in range(1000):
        block = malloc(PATTERN)
        assert pybuf.wrap(block, 64, release=free).tobytes() == PATTERN


def test_a_function_that_needs_the_interpreter_lock_may_be_native():
    api = ctypes.pythonapi
    api.PyMem_Malloc.restype = ctypes.c_void_p
    block = api.PyMem_Malloc(ctypes.c_size_t(64))
    view = np.asarray(pybuf.wrap(block, 64, release=api.PyMem_Free))
    view[:] = 1
    del view


# ---- what is kept alive ----------------------------------------------------------------


def test_a_thunk_lives_as_long_as_its_buffer():
    got: list[int] = []
    for make in (
        lambda: NativeRelease(lambda data, nbytes, arg: got.append(data)),
        lambda: ffi.callback("void(void*, size_t, void*)")(
            lambda data, nbytes, arg: got.append(int(ffi.cast("uintptr_t", data)))
        ),
    ):
        for wrap_up in (lambda thunk: thunk, lambda thunk: (thunk, None)):
            b = pybuf.wrap(ADDRESS, 4, release=wrap_up(make()))
            gc.collect()
            del b
    assert got == [ADDRESS] * 4


def test_the_arg_of_a_pair_lives_as_long_as_the_buffer():
    arg = (ctypes.c_char * 8)()
    calls = Calls()
    before = sys.getrefcount(arg)
    b = pybuf.wrap(ADDRESS, 4, release=(calls.function, arg))
    assert sys.getrefcount(arg) == before + 1
    del b
    assert sys.getrefcount(arg) == before
    assert calls == [(ADDRESS, 4, ctypes.addressof(arg))]


def test_a_cffi_handle_as_arg_brings_any_object_back():
    found: list[Any] = []
    handle = ffi.new_handle(found)

    @ffi.callback("void(void*, size_t, void*)")
    def release(data: Any, nbytes: int, arg: Any) -> None:
        ffi.from_handle(arg).append(nbytes)

    pybuf.wrap(ADDRESS, 4, release=(release, handle)).close()
    assert found == [4]


# ---- what is refused -------------------------------------------------------------------

WRONG: dict[str, tuple[Any, type[Exception]]] = {
    "int": (0x1000, TypeError),
    "str": ("free", TypeError),
    "empty tuple": ((), TypeError),
    "tuple of one": ((libc.free,), TypeError),
    "tuple of three": ((libc.free, None, None), TypeError),
    "list": ([libc.free, None], TypeError),
    "NULL": ((0, None), ValueError),
    "NULL of ctypes": ((NativeRelease(), None), ValueError),
    "NULL of cffi": ((ffi.NULL, None), ValueError),
    "NULL function": (NativeRelease(), ValueError),
    "pair with a Python function": ((print, None), TypeError),
    "pair without a function": ((None, None), TypeError),
    "pair with a wrong arg": ((libc.free, "arg"), TypeError),
    "pair with a float": ((libc.free, 1.5), TypeError),
    "pair with an arg too large": ((libc.free, 2**64), OverflowError),
    "pair with a negative arg": ((libc.free, -1), OverflowError),
    "pair with an object": ((libc.free, ctypes.py_object(1)), TypeError),
    "c_void_p": (ctypes.c_void_p(0x1000), TypeError),
    "cffi void *": (ffi.cast("void *", 0x1000), TypeError),
    "cffi int *": (ffi.new("int *"), TypeError),
    "cffi int": (ffi.cast("int", 5), TypeError),
}


@pytest.mark.parametrize(("release", "error"), WRONG.values(), ids=WRONG)
def test_wrong_releases_are_refused_at_once(release, error):
    """Said to the caller, and not to sys.unraisablehook when it is too late."""
    with pytest.raises(error, match="release"):
        pybuf.wrap(ADDRESS, 4, release=release)


def test_a_function_of_a_compiled_cffi_library_is_refused_and_its_address_taken(
    tmp_path, monkeypatch
):
    """Such a function takes cffi pointers and no integer."""
    pytest.importorskip("setuptools")
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("there is no Python.h")
    compiled = cffi.FFI()
    compiled.cdef("void give_back(void *, size_t, void *); extern size_t given_back;")
    compiled.set_source(
        "compiled_release",
        "static size_t given_back;"
        "static void give_back(void *p, size_t n, void *arg) { given_back += n; }",
    )
    compiled.compile(str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("compiled_release")
    with pytest.raises(TypeError, match="addressof"):
        pybuf.wrap(ADDRESS, 4, release=module.lib.give_back)
    address = module.ffi.addressof(module.lib, "give_back")
    pybuf.wrap(ADDRESS, 4, release=address).close()
    pybuf.wrap(ADDRESS, 5, release=(address, None)).close()
    assert module.lib.given_back == 9


# ---- a wrap that fails -----------------------------------------------------------------

FAILURES: dict[str, tuple[dict[str, Any], type[Exception]]] = {
    "negative shape": ({"shape": -1}, ValueError),
    "shape of no integers": ({"shape": "ab"}, TypeError),
    "no shape": ({"shape": None}, TypeError),
    "too many items": ({"shape": (2**62, 8)}, (ValueError, OverflowError, MemoryError)),
    "unknown dtype": ({"dtype": "no such type"}, ValueError),
    "dtype of a wrong sort": ({"dtype": 7}, TypeError),
    "wrong strides": ({"strides": (4, 4)}, ValueError),
    "strides past the block": ({"strides": 32, "nbytes": 64}, ValueError),
    "negative strides out of the block": ({"strides": -4, "nbytes": 64}, ValueError),
    "suboffsets without strides": ({"suboffsets": (0,)}, ValueError),
    "block too small": ({"nbytes": 15}, ValueError),
    "negative size": ({"nbytes": -1}, ValueError),
    "size of a wrong sort": ({"nbytes": "16"}, TypeError),
    "offset too large": ({"nbytes": 64, "offset": 49}, ValueError),
    "offset of a wrong sort": ({"offset": 1.5}, TypeError),
    "NULL": ({"address": 0}, ValueError),
    "no address": ({"address": "here"}, TypeError),
    "out of the address space": ({"address": 2**64 - 1}, ValueError),
    "unowned too": ({"unowned": True}, TypeError),
    "unknown keyword": ({"onwer": None}, TypeError),
}


@pytest.mark.parametrize(("wrong", "error"), FAILURES.values(), ids=FAILURES)
def test_nothing_is_taken_over_by_a_wrap_that_raises(wrong, error):
    calls, pool = Calls(), Pool()
    owner = object()
    call = {"address": ADDRESS, "shape": 4, "dtype": "i", "owner": owner} | wrong
    counted = (owner, pool, calls.function)
    before = [sys.getrefcount(x) for x in counted]
    for release in (pool, (calls.function, None), calls.function):
        with pytest.raises(error):
            pybuf.wrap(release=release, **call)
        del release
    gc.collect()
    assert [sys.getrefcount(x) for x in counted] == before
    assert (calls, pool.back) == ([], [])


def test_a_pair_that_is_refused_leaves_its_first_half_alone():
    calls = Calls()
    before = sys.getrefcount(calls.function)
    with pytest.raises(TypeError, match=r"release\[1\]"):
        pybuf.wrap(ADDRESS, 4, release=(calls.function, "no pointer"))
    after = sys.getrefcount(calls.function)
    assert after == before
    assert calls == []
