"""A class over a C library that allocates and frees its own buffers, shown to Python as arrays.

The classic trap: an array over such a buffer, made from its bare address, dangles when the wrapper
object goes first, and so does every slice and cast of it.
"""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blocks import NativeRelease, libc

import pybuf


class CLibrary:
    """Stands for the library: its own malloc and free, and a record of what it freed."""

    def __init__(self) -> None:
        self.freed: list[int] = []
        self.destructor = NativeRelease(self._destroy)

    def _destroy(self, data: int, nbytes: int, arg: int | None) -> None:
        self.freed.append(data)
        ctypes.memset(data, 0xDD, nbytes)  # whoever still looks would see it
        libc.free(data)

    @staticmethod
    def construct(n: int) -> int:
        return libc.malloc(ctypes.sizeof(ctypes.c_int) * n)


class Wrapper:
    """What a binding author writes: constructor, destructor, and an array without a copy."""

    def __init__(self, library: CLibrary, n: int = 10) -> None:
        self.address = library.construct(n)
        self.data = pybuf.wrap(self.address, n, "i", release=library.destructor)

    @property
    def buffer(self) -> np.ndarray[Any, Any]:
        return np.asarray(self.data)

    def destroy(self) -> bool:
        return self.data.close()


@pytest.fixture
def library() -> CLibrary:
    return CLibrary()


# ---- one memory, no copy ---------------------------------------------------------------


def test_an_array_writes_into_the_memory_of_the_library(library: CLibrary):
    wrapper = Wrapper(library)
    array = wrapper.buffer
    array[:] = range(10)
    array[::2] += 10
    assert wrapper.buffer.tolist() == [10, 1, 12, 3, 14, 5, 16, 7, 18, 9]
    assert wrapper.buffer.ctypes.data == wrapper.address
    in_c = (ctypes.c_int * 10).from_address(wrapper.address)
    assert list(in_c) == wrapper.buffer.tolist()


def test_an_array_outlives_the_wrapper_that_made_it(library: CLibrary):
    wrapper = Wrapper(library)
    array = wrapper.buffer
    array[:] = range(10)
    del wrapper
    assert array.tolist() == list(range(10))
    array[0] = 99
    assert array[0] == 99
    assert library.freed == []
    address = array.ctypes.data
    del array
    assert library.freed == [address]


def test_a_wrapper_without_arrays_frees_with_itself(library: CLibrary):
    wrapper = Wrapper(library)
    address = wrapper.address
    del wrapper
    assert library.freed == [address]


# ---- slices and casts ------------------------------------------------------------------


VIEWS: dict[str, Callable[[Wrapper], Any]] = {
    "array": lambda w: w.buffer,
    "every other item": lambda w: w.buffer[::2],
    "first eight": lambda w: w.buffer[:8],
    "as doubles": lambda w: w.buffer.view(np.double),
    "slice of the doubles": lambda w: w.buffer.view(np.double)[1:3],
    "doubles of a slice": lambda w: w.buffer[2:6].view(np.double),
    "memoryview": lambda w: memoryview(w.data),
    "slice of a slice": lambda w: w.buffer[1:][::-3],
}


def views_of(wrapper: Wrapper) -> dict[str, Any]:
    wrapper.buffer[:] = range(10)
    return {name: view(wrapper) for name, view in VIEWS.items()}


def test_casts_and_slices_show_the_same_bytes(library: CLibrary):
    views = views_of(Wrapper(library))
    assert views["every other item"].tolist() == [0, 2, 4, 6, 8]
    assert [f"{x:.8e}" for x in views["as doubles"]] == [
        "2.12199579e-314",
        "6.36598737e-314",
        "1.06099790e-313",
        "1.48539705e-313",
        "1.90979621e-313",
    ]
    views["array"][::2] += 10
    assert views["first eight"].tolist() == [10, 1, 12, 3, 14, 5, 16, 7]
    assert views["memoryview"].tolist() == [10, 1, 12, 3, 14, 5, 16, 7, 18, 9]


@pytest.mark.parametrize("last", VIEWS)
def test_the_memory_is_freed_once_with_the_last_view_whichever_that_is(last: str, library):
    wrapper = Wrapper(library)
    address = wrapper.address
    views = views_of(wrapper)
    seen = bytes(views[last])
    del wrapper
    for name in [*views]:
        if name != last:
            del views[name]
            assert library.freed == []
    assert bytes(views[last]) == seen
    del views[last]
    assert library.freed == [address]


def test_every_order_of_dropping_frees_at_the_last_and_not_before(library: CLibrary):
    for order in itertools.permutations(["wrapper", "array", "slice", "doubles"]):
        names: dict[str, Any] = {"wrapper": Wrapper(library)}
        names["array"] = names["wrapper"].buffer
        names["slice"] = names["array"][:8]
        names["doubles"] = names["array"].view(np.double)
        del library.freed[:]
        for name in order:
            assert library.freed == []
            del names[name]
        assert len(library.freed) == 1


# ---- destroy, explicitly, with views alive ---------------------------------------------


def test_what_is_computed_from_views_after_destroy_is_right(library: CLibrary):
    """No method of ndarray could check this for a bare pointer: these functions never ask."""
    wrapper = Wrapper(library)
    ints = wrapper.buffer
    ints[:] = range(10)
    doubles = ints.view(np.double)
    assert wrapper.destroy() is False
    assert np.dot(ints, ints) == ints.dot(ints) == 285
    assert np.extract(np.ones(10), ints).tolist() == list(range(10))
    assert np.sum(ints) == 45
    assert (ints + 1).tolist() == list(range(1, 11))
    assert str(ints) == "[0 1 2 3 4 5 6 7 8 9]"
    assert repr(ints[::2]) == "array([0, 2, 4, 6, 8], dtype=int32)"
    assert f"{doubles[0]:.8e}" == "2.12199579e-314"
    np.copyto(ints, np.ones(10, np.int32))
    assert ints.tolist() == [1] * 10
    assert library.freed == []
    del ints, doubles, wrapper
    assert len(library.freed) == 1


def test_a_destroyed_buffer_gives_no_new_array(library: CLibrary):
    wrapper = Wrapper(library)
    old = wrapper.buffer
    wrapper.destroy()
    with pytest.raises(ValueError, match="closed"):
        wrapper.buffer  # noqa: B018
    assert old.shape == (10,)


def test_destroy_without_views_frees_at_once_and_only_once(library: CLibrary):
    wrapper = Wrapper(library)
    assert wrapper.destroy() is True
    assert library.freed == [wrapper.address]
    assert wrapper.destroy() is True
    del wrapper
    assert len(library.freed) == 1


def test_a_second_array_made_of_the_first_is_safe_after_destroy(library: CLibrary):
    """Assigning None to the wrapper's own name of the array frees nothing, and hurts nobody."""
    wrapper = Wrapper(library)
    wrapper.kept = wrapper.buffer
    wrapper.kept[:] = range(10)
    head = wrapper.kept[:]
    wrapper.destroy()
    wrapper.kept = None
    assert head[:].tolist() == list(range(10))
    head[:] = 7
    assert head.tolist() == [7] * 10
    del wrapper
    assert library.freed == []
    del head
    assert len(library.freed) == 1


# ---- other ways to keep an owner -------------------------------------------------------


class OwnerByInterface:
    """Frees when nobody keeps it; hands its memory on by the array interface alone."""

    def __init__(self, library: CLibrary, address: int, n: int) -> None:
        self.library = library
        self.__array_interface__ = {
            "version": 3,
            "typestr": np.dtype("i").str,
            "data": (address, False),
            "shape": (n,),
        }

    def __del__(self) -> None:
        self.library._destroy(self.__array_interface__["data"][0], 4, None)


def test_an_owner_by_the_array_interface_is_kept_by_a_buffer_as_by_an_array(library: CLibrary):
    def by_numpy(owner: OwnerByInterface) -> Any:
        return np.asarray(owner)

    def by_pybuf(owner: OwnerByInterface) -> Any:
        interface = owner.__array_interface__
        return np.asarray(
            pybuf.wrap(interface["data"][0], interface["shape"], interface["typestr"], owner=owner)
        )

    for make in (by_numpy, by_pybuf):
        del library.freed[:]
        address = library.construct(10)
        wrapper = OwnerByInterface(library, address, 10)
        ints = make(wrapper)
        ints[:] = range(10)
        doubles, head = ints.view(np.double), ints[:8]
        ints[::2] += 10
        del wrapper
        del ints
        assert library.freed == []
        assert head.tolist() == [10, 1, 12, 3, 14, 5, 16, 7]
        del head
        assert library.freed == []
        del doubles
        assert library.freed == [address]


def test_a_buffer_speaks_the_same_interface(library: CLibrary):
    wrapper = Wrapper(library)
    interface = wrapper.data.__array_interface__
    assert interface["version"] == 3
    assert interface["typestr"] == np.dtype("i").str
    assert interface["data"] == (wrapper.address, False)
    assert interface["shape"] == (10,)


class FreesItself:
    """Wraps a ctypes object and frees what it points at; everything else is passed through."""

    def __init__(self, library: CLibrary, block: Any) -> None:
        self.library = library
        self.block = block

    def __del__(self) -> None:
        self.library._destroy(ctypes.addressof(self.block), ctypes.sizeof(self.block), None)


def test_a_ctypes_array_brings_shape_and_dtype_and_its_owner_is_named(library: CLibrary):
    """The ctypes object knows the shape and owns nothing; who frees is said apart."""
    address = library.construct(10)
    block = (ctypes.c_int * 10).from_address(address)
    wrapper = FreesItself(library, block)
    ints = pybuf.wrap(block, owner=wrapper).numpy()
    assert (ints.shape, ints.dtype) == ((10,), np.int32)
    ints[:] = range(10)
    del block
    del wrapper
    doubles = ints.view(np.double)
    del ints
    assert library.freed == []
    assert doubles.view("i4").tolist() == list(range(10))
    del doubles
    assert library.freed == [address]


def test_a_ctypes_array_over_a_buffer_keeps_it_without_an_attribute(library: CLibrary):
    """from_address() keeps nobody, so that people hang the owner on it; from_buffer() keeps."""
    wrapper = Wrapper(library)
    wrapper.buffer[:] = range(10)
    block = (ctypes.c_int * 10).from_buffer(wrapper.data)
    array = np.ctypeslib.as_array(block)
    del wrapper
    assert list(block) == array.tolist() == list(range(10))
    del block
    assert library.freed == []
    array[9] = 1
    del array
    assert len(library.freed) == 1


def test_the_wrapper_itself_may_be_the_owner(library: CLibrary):
    """Then it lives as long as any array of its memory, and its own __del__ may free."""

    class Self:
        def __init__(self) -> None:
            self.address = library.construct(10)

        def __del__(self) -> None:
            library._destroy(self.address, 40, None)

        @property
        def buffer(self) -> np.ndarray[Any, Any]:
            return np.asarray(pybuf.wrap(self.address, 10, "i", owner=self))

    wrapper = Self()
    ref = weakref.ref(wrapper)
    first, second = wrapper.buffer, wrapper.buffer[::2]
    first[:] = range(10)
    del wrapper, first
    assert ref() is not None
    assert second.tolist() == [0, 2, 4, 6, 8]
    del second
    assert ref() is None
    assert len(library.freed) == 1


# ---- weak references -------------------------------------------------------------------


def test_a_weak_proxy_works_as_long_as_any_view_and_never_dangles(library: CLibrary):
    """A proxy of a fresh array is dead at once; one of the Buffer lives with the last view."""
    wrapper = Wrapper(library)
    dead = weakref.proxy(wrapper.buffer)
    with pytest.raises(ReferenceError):
        dead.shape  # noqa: B018
    proxy = weakref.proxy(wrapper.data)
    head = wrapper.buffer[:]
    head[:] = range(10)
    del wrapper
    assert proxy[3] == 3
    assert proxy.tolist() == head.tolist()
    proxy.close()
    assert head[:].tolist() == list(range(10))
    del head
    with pytest.raises(ReferenceError):
        proxy.shape  # noqa: B018
    assert len(library.freed) == 1


def test_a_weak_proxy_of_the_wrapper_ends_with_it_and_its_arrays_do_not(library: CLibrary):
    wrapper = Wrapper(library)
    proxy = weakref.proxy(wrapper)
    array = proxy.buffer
    array[1] = 1
    assert proxy.buffer[1] == 1
    del wrapper
    with pytest.raises(ReferenceError):
        proxy.buffer  # noqa: B018
    assert array[1] == 1
    assert library.freed == []


def test_memory_of_python_s_own_is_left_alone():
    """An array of ctypes' own, viewed by its address: the view ends and the array is as it was."""
    block = (ctypes.c_int * 100)()
    view = pybuf.wrap(ctypes.addressof(block), 100, "i", owner=block)
    view[1] = 1
    proxy = weakref.proxy(view)
    assert proxy[1] == 1
    del view
    with pytest.raises(ReferenceError):
        proxy[1]
    assert block[1] == 1
