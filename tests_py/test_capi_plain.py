"""A library that knows no Python, called by ctypes and by cffi: it gives and takes memory."""

from __future__ import annotations

import ctypes
import gc
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import capi_build
import cffi
import descriptors as ds
import numpy as np
import pytest

import pybuf


class ByCtypes:
    """Pointers to descriptors are of the type that the user made of the header."""

    def __init__(self, file: str) -> None:
        library = ctypes.CDLL(file)
        pointer = ctypes.POINTER(ds.Descriptor)
        self.samples_read = library.samples_read
        self.samples_read.restype, self.samples_read.argtypes = pointer, [ctypes.c_int64]
        self.sum = library.samples_sum
        self.sum.restype, self.sum.argtypes = ctypes.c_double, [ctypes.c_void_p]
        self.given_back = library.samples_given_back
        self.given_back.restype = ctypes.c_long


class ByCffi:
    """Its declarations are those of the header, word for word."""

    def __init__(self, file: str) -> None:
        header = Path(pybuf.get_include(), "pybuf.h").read_text("utf-8")
        struct = re.search(
            r"typedef struct pybuf_descriptor \{.*?\n\} pybuf_descriptor;", header, re.DOTALL
        )
        assert struct
        self.ffi = cffi.FFI()
        self.ffi.cdef(struct[0])
        self.ffi.cdef("""
            pybuf_descriptor *samples_read(int64_t n);
            double samples_sum(pybuf_descriptor *d);
            long samples_given_back(void);
        """)
        library = self.ffi.dlopen(file)
        self.samples_read, self.given_back = library.samples_read, library.samples_given_back
        pointer = self.ffi.typeof("pybuf_descriptor *")
        self.sum = lambda lent: library.samples_sum(self.ffi.cast(pointer, int(lent)))


WAYS = [(way, build) for way in (ByCtypes, ByCffi) for build in ("plain C99", "plain C++11")]


@pytest.fixture(params=WAYS, ids=lambda p: f"{p[0].__name__} {p[1]}")
def library(request: pytest.FixtureRequest) -> Any:
    way, build = request.param
    return way(str(capi_build.folder(build) / "plain.so"))


@pytest.fixture
def given_back(library: Any) -> Callable[[], int]:
    before = library.given_back()
    return lambda: library.given_back() - before


def test_what_it_reads_becomes_a_buffer(library, given_back):
    b = pybuf.adopt(library.samples_read(5))
    array = np.asarray(b)
    assert (b.readonly, array.tolist()) == (True, [0, 1, 2, 3, 4])
    del b
    assert given_back() == 0
    del array
    assert given_back() == 1


def test_what_it_says_of_an_error_is_raised(library, given_back):
    with pytest.raises(ValueError, match=r"^there are no samples before the first one$"):
        pybuf.adopt(library.samples_read(-1))
    assert given_back() == 1


def test_it_takes_what_python_lends(library):
    array = np.arange(12.0).reshape(3, 4)
    for lent in (array, array.T, array[::2, ::-1], pybuf.copy(array)):
        with pybuf.lend(lent, writable=False) as d:
            assert library.sum(d if isinstance(library, ByCtypes) else int(d)) == np.sum(lent)
    with pybuf.lend(array[0]) as d:
        assert library.sum(d if isinstance(library, ByCtypes) else int(d)) == -1
    gc.collect()
    assert ds.lent_now() == 0


def test_what_it_gives_an_extension_module_adopts(library, given_back, every):
    pointer = library.samples_read(3)
    ffi = getattr(library, "ffi", None)
    address = int(ffi.cast("size_t", pointer)) if ffi else ctypes.addressof(pointer.contents)
    array = every.adopt(address, 2)
    assert array.tolist() == [0, 1, 2]
    assert not array.flags.writeable
    del array
    assert given_back() == 1


def test_the_library_needs_no_python(library):
    done = subprocess.run(
        ["nm", "-D", "--undefined-only", str(capi_build.folder("plain C99") / "plain.so")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "free" in done.stdout
    assert "Py" not in done.stdout
