"""A class over a C library that allocates and frees its own buffers, shown to Python as arrays.

The classic trap: an array over such a buffer, made from its bare address, dangles when the wrapper
object goes first, and so does every slice and cast of it.
"""

from __future__ import annotations

import ctypes
import itertools
import weakref
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
    wrap = Wrapper(library)
    buf = wrap.buffer
    buf[:] = np.arange(10)
    buf[::2] += 10
    assert wrap.buffer.tolist() == [10, 1, 12, 3, 14, 5, 16, 7, 18, 9]
    assert wrap.buffer.ctypes.data == wrap.address
    in_c = (ctypes.c_int * 10).from_address(wrap.address)
    assert list(in_c) == wrap.buffer.tolist()


def test_an_array_outlives_the_wrapper_that_made_it(library: CLibrary):
    wrap = Wrapper(library)
    buf = wrap.buffer
    buf[:] = np.arange(10)
    del wrap
    assert buf.tolist() == list(range(10))
    buf[0] = 99
    assert buf[0] == 99
    assert library.freed == []
    address = buf.ctypes.data
    del buf
    assert library.freed == [address]


def test_a_wrapper_without_arrays_frees_with_itself(library: CLibrary):
    wrap = Wrapper(library)
    address = wrap.address
    del wrap
    assert library.freed == [address]


# ---- slices and casts ------------------------------------------------------------------


def views_of(wrap: Wrapper) -> dict[str, Any]:
    sb = wrap.buffer
    sb[:] = np.arange(10)
    return {
        "array": sb,
        "every other item": sb[::2],
        "first eight": sb[:8],
        "as doubles": sb.view(np.double),
        "slice of the doubles": sb.view(np.double)[1:3],
        "doubles of a slice": sb[2:6].view(np.double),
        "memoryview": memoryview(wrap.data),
        "slice of a slice": sb[1:][::-3],
    }


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


@pytest.mark.parametrize("last", list(views_of(Wrapper(CLibrary()))))
def test_the_memory_is_freed_once_with_the_last_view_whichever_that_is(last: str, library):
    wrap = Wrapper(library)
    address = wrap.address
    views = views_of(wrap)
    seen = bytes(views[last])
    del wrap
    for name in [*views]:
        if name != last:
            del views[name]
            assert library.freed == []
    assert bytes(views[last]) == seen
    del views[last]
    assert library.freed == [address]


def test_every_order_of_dropping_frees_at_the_last_and_not_before(library: CLibrary):
    for order in itertools.permutations(["wrap", "array", "slice", "doubles"]):
        names: dict[str, Any] = {"wrap": Wrapper(library)}
        names["array"] = names["wrap"].buffer
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
    wrap = Wrapper(library)
    sb = wrap.buffer
    sb[:] = np.arange(10)
    sbv = sb.view(np.double)
    assert wrap.destroy() is False
    assert np.dot(sb, sb) == sb.dot(sb) == 285
    assert np.extract(np.ones(10), sb).tolist() == list(range(10))
    assert np.sum(sb) == 45
    assert (sb + 1).tolist() == list(range(1, 11))
    assert str(sb) == "[0 1 2 3 4 5 6 7 8 9]"
    assert repr(sb[::2]) == "array([0, 2, 4, 6, 8], dtype=int32)"
    assert f"{sbv[0]:.8e}" == "2.12199579e-314"
    np.copyto(sb, np.ones(10, np.int32))
    assert sb.tolist() == [1] * 10
    assert library.freed == []
    del sb, sbv, wrap
    assert len(library.freed) == 1


def test_a_destroyed_buffer_gives_no_new_array(library: CLibrary):
    wrap = Wrapper(library)
    old = wrap.buffer
    wrap.destroy()
    with pytest.raises(ValueError, match="closed"):
        wrap.buffer  # noqa: B018
    assert old.shape == (10,)


def test_destroy_without_views_frees_at_once_and_only_once(library: CLibrary):
    wrap = Wrapper(library)
    assert wrap.destroy() is True
    assert library.freed == [wrap.address]
    assert wrap.destroy() is True
    del wrap
    assert len(library.freed) == 1


def test_a_second_array_made_of_the_first_is_safe_after_destroy(library: CLibrary):
    """Assigning None to the wrapper's own name of the array frees nothing, and hurts nobody."""
    wrap = Wrapper(library)
    wrap.kept = wrap.buffer
    wrap.kept[:] = np.arange(10)
    buf2 = wrap.kept[:]
    wrap.destroy()
    wrap.kept = None
    assert buf2[:].tolist() == list(range(10))
    buf2[:] = 7
    assert buf2.tolist() == [7] * 10
    del wrap
    assert library.freed == []
    del buf2
    assert len(library.freed) == 1


# ---- other ways to keep an owner -------------------------------------------------------


class BufferOwner:
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
    def by_numpy(owner: BufferOwner) -> Any:
        return np.asarray(owner)

    def by_pybuf(owner: BufferOwner) -> Any:
        interface = owner.__array_interface__
        return np.asarray(
            pybuf.wrap(interface["data"][0], interface["shape"], interface["typestr"], owner=owner)
        )

    for make in (by_numpy, by_pybuf):
        del library.freed[:]
        address = library.construct(10)
        wrap = BufferOwner(library, address, 10)
        sb = make(wrap)
        sb[:] = np.arange(10)
        sbv, buf2 = sb.view(np.double), sb[:8]
        sb[::2] += 10
        del wrap
        del sb
        assert library.freed == []
        assert buf2.tolist() == [10, 1, 12, 3, 14, 5, 16, 7]
        del buf2
        assert library.freed == []
        del sbv
        assert library.freed == [address]


def test_a_buffer_speaks_the_same_interface(library: CLibrary):
    wrap = Wrapper(library)
    interface = wrap.data.__array_interface__
    assert interface["version"] == 3
    assert interface["typestr"] == np.dtype("i").str
    assert interface["data"] == (wrap.address, False)
    assert interface["shape"] == (10,)


class FreeOnDel:
    """Wraps a ctypes object and frees what it points at; everything else is passed through."""

    def __init__(self, library: CLibrary, block: Any) -> None:
        self.library = library
        self.block = block

    def __del__(self) -> None:
        self.library._destroy(ctypes.addressof(self.block), ctypes.sizeof(self.block), None)


def test_a_ctypes_array_brings_shape_and_dtype_and_its_owner_is_named(library: CLibrary):
    """The ctypes object knows the shape and owns nothing; who frees is said apart."""
    address = library.construct(10)
    cbuf = (ctypes.c_int * 10).from_address(address)
    wrap = FreeOnDel(library, cbuf)
    sb = pybuf.wrap(cbuf, owner=wrap).numpy()
    assert (sb.shape, sb.dtype) == ((10,), np.int32)
    sb[:] = np.arange(10)
    del cbuf
    del wrap
    sbv = sb.view(np.double)
    del sb
    assert library.freed == []
    assert sbv.view("i4").tolist() == list(range(10))
    del sbv
    assert library.freed == [address]


def test_a_ctypes_array_over_a_buffer_keeps_it_without_an_attribute(library: CLibrary):
    """from_address() keeps nobody, so that people hang the owner on it; from_buffer() keeps."""
    wrap = Wrapper(library)
    wrap.buffer[:] = np.arange(10)
    cbuf = (ctypes.c_int * 10).from_buffer(wrap.data)
    array = np.ctypeslib.as_array(cbuf)
    del wrap
    assert list(cbuf) == array.tolist() == list(range(10))
    del cbuf
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

    wrap = Self()
    ref = weakref.ref(wrap)
    first, second = wrap.buffer, wrap.buffer[::2]
    first[:] = np.arange(10)
    del wrap, first
    assert ref() is not None
    assert second.tolist() == [0, 2, 4, 6, 8]
    del second
    assert ref() is None
    assert len(library.freed) == 1


# ---- weak references -------------------------------------------------------------------


def test_a_weak_proxy_works_as_long_as_any_view_and_never_dangles(library: CLibrary):
    """A proxy of a fresh array is dead at once; one of the Buffer lives with the last view."""
    wrap = Wrapper(library)
    dead = weakref.proxy(wrap.buffer)
    with pytest.raises(ReferenceError):
        dead.shape  # noqa: B018
    proxy = weakref.proxy(wrap.data)
    buf2 = wrap.buffer[:]
    buf2[:] = np.arange(10)
    del wrap
    assert proxy[3] == 3
    assert proxy.tolist() == buf2.tolist()
    proxy.close()
    assert buf2[:].tolist() == list(range(10))
    del buf2
    with pytest.raises(ReferenceError):
        proxy.shape  # noqa: B018
    assert len(library.freed) == 1


def test_a_weak_proxy_of_the_wrapper_ends_with_it_and_its_arrays_do_not(library: CLibrary):
    wrap = Wrapper(library)
    proxy = weakref.proxy(wrap)
    buf = proxy.buffer
    buf[1] = 1
    assert proxy.buffer[1] == 1
    del wrap
    with pytest.raises(ReferenceError):
        proxy.buffer  # noqa: B018
    assert buf[1] == 1
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
