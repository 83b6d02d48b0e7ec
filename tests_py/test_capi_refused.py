"""What C code asks for and cannot have: the memory is given back once, the owner let go."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable
from typing import Any

import capi_uses as cu
import pytest
from capi_uses import ADDRESS, ARRAY, EMPTY, NONE, READONLY, UNOWNED, Every

#: What is asked, and the answer: an exception, and a part of its sentence.
REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"ndim": -1}, ValueError, "the memory has -1 dimensions; a buffer has 0 to 64"),
    ({"shape": (1,) * 65}, ValueError, "the memory has 65 dimensions"),
    ({"ndim": 2**31 - 1}, ValueError, "2147483647 dimensions"),
    ({"shape": None, "ndim": 1}, ValueError, "dimensions and no shape (NULL)"),
    ({"shape": (-1,)}, ValueError, "-1"),
    ({"shape": (2, -(2**63))}, ValueError, "-9223372036854775808"),
    ({"shape": (2**62,)}, OverflowError, "4611686018427387904"),
    ({"shape": (2**32, 2**32)}, OverflowError, "4294967296"),
    ({"shape": (2,), "strides": (2**63 - 1,)}, OverflowError, "9223372036854775807"),
    ({"shape": (3,), "strides": (-(2**63),)}, OverflowError, "-9223372036854775808"),
    ({"strides": (-(2**58),)}, ValueError, "leaves the address space"),
    ({"data": 2**64 - 8}, ValueError, "leaves the address space"),
    ({"data": 0}, ValueError, "data is NULL and the layout has 64 bytes"),
    ({"data": 0, "shape": ()}, ValueError, "data is NULL and the layout has 8 bytes"),
    ({"format": b""}, ValueError, "dtype=''"),
    ({"format": b"no"}, ValueError, "'no'"),
    ({"format": b"O"}, TypeError, "O"),
    ({"format": b"T{d:x:"}, ValueError, "T{d:x:"),
    ({"format": b"\xff\xfe"}, ValueError, r"dtype='\\xff\\xfe'"),
    ({"format": b"no such format"}, ValueError, "no such format"),
    ({"format": b"T{" + b"x" * 5000}, ValueError, "xxxx"),
    ({"format": b"(2)d", "shape": (1,) * 64}, ValueError, "at most 64 dimensions"),
    ({"flags": 16}, ValueError, "of these bits 0x10 mean nothing here"),
    ({"flags": ARRAY | EMPTY}, ValueError, "of these bits 0x8 mean nothing"),
    ({"flags": -1}, ValueError, "flags is 0xffffffff"),
    ({"flags": UNOWNED}, TypeError, "PYBUF_UNOWNED says that nobody is to be kept or called"),
]


def names(case: Any) -> str | None:
    return re.sub(r"(.{40}).*", r"\1...", str(case)) if isinstance(case, dict) else None


@pytest.mark.parametrize("flags", [0, ARRAY])
@pytest.mark.parametrize(("asked", "error", "words"), REFUSED, ids=names)
def test_refused_memory_is_released_once_and_with_the_error_kept(
    every: Every, asked, error, words, flags
):
    asked = asked | {"flags": asked.get("flags", 0) | flags}
    with pytest.raises(error, match=re.escape(words)) as raised:
        every.wrap(**asked)
    if error is not TypeError or "UNOWNED" in words:
        assert len(str(raised.value)) < 700
    (call,) = every.calls()
    assert call.data == asked.get("data", ADDRESS)
    assert call.gil
    assert not call.error  # a release sees no error that is not its own


@pytest.mark.parametrize(("asked", "error", "words"), REFUSED[:-1], ids=names)
def test_a_refused_owner_is_let_go(every_c: Every, asked, error, words):
    owner = object()
    before = sys.getrefcount(owner)
    for flags in (0, ARRAY, READONLY):
        with pytest.raises(error, match=re.escape(words)):
            every_c.wrap_owned(owner, **asked | {"flags": asked.get("flags", 0) | flags})
    assert sys.getrefcount(owner) == before


def test_a_refused_layout_that_is_known_tells_the_release_its_bytes(every: Every):
    with pytest.raises(ValueError, match="leaves the address space"):
        every.wrap(2**64 - 8)
    with pytest.raises(ValueError, match="-1"):
        every.wrap(shape=(-1,))
    assert every.released() == [(2**64 - 8, 64), (ADDRESS, 0)]


@pytest.mark.parametrize("flags", [0, ARRAY, READONLY | ARRAY])
def test_nobody_to_free_the_memory_is_refused(every: Every, flags):
    for ask in (
        lambda: every.wrap(flags=flags, release=NONE),
        lambda: every.wrap_owned(None, flags=flags),
    ):
        with pytest.raises(TypeError, match="who frees this memory: give a release or an owner"):
            ask()
    with pytest.raises(TypeError, match="PYBUF_UNOWNED says that nobody"):
        every.wrap_owned(object(), flags=flags | UNOWNED)


def test_the_function_that_was_called_is_named(every: Every):
    table = (ctypes.c_void_p * 2)(ADDRESS, ADDRESS)
    asks: dict[str, Callable[[], Any]] = {
        "pybuf_wrap": lambda: every.wrap(flags=16),
        "pybuf_wrap_owned": lambda: every.wrap_owned(object(), flags=16),
        "pybuf_new": lambda: every.new((2,), flags=16),
        "pybuf_pointers": lambda: every.pointers(ctypes.addressof(table), 1, (2, 2), flags=16),
        "pybuf_pointers_owned": lambda: every.pointers_owned(
            ctypes.addressof(table), 1, 2, [2, 2], b"d", 16, object()
        ),
        "pybuf_rows": lambda: every.rows(ctypes.addressof(table), 2, 2, b"d", 16, object()),
        "pybuf_rows_new": lambda: every.rows_new(2, 2, b"d", 16),
        "pybuf_adopt": lambda: every.adopt(0, 16),
        "pybuf_lend": lambda: every.lend(b"", 16),
    }
    for name, ask in asks.items():
        with pytest.raises(ValueError, match=rf"^{name}\(\): flags is 0x10"):
            ask()


# ---- what an exception meets ----------------------------------------------------------


@pytest.mark.parametrize("flags", [0, ARRAY])
def test_an_exception_on_its_way_is_kept_by_a_release(every: Every, flags, unraisable):
    with pytest.raises(KeyError, match="on its way"):
        every.end_in_error(flags, cu.NOTE)
    (call,) = every.calls()
    assert (call.gil, call.error) == (1, 0)
    ran: list[int] = []
    with pytest.raises(KeyError, match="on its way"):
        every.end_in_error(flags, cu.CALL_PYTHON, ran.append)
    assert ran == [every.calls()[-1].data]
    assert unraisable == []


def fails(address: int) -> None:
    raise LookupError(address)


@pytest.mark.parametrize("flags", [0, ARRAY])
def test_an_exception_of_a_release_is_unraisable(every: Every, flags, unraisable):
    memory = every.wrap(flags=flags, release=cu.CALL_PYTHON, arg=fails)
    del memory
    assert unraisable == [f"LookupError({ADDRESS})"]
    with pytest.raises(KeyError, match="on its way"):
        every.end_in_error(flags, cu.CALL_PYTHON, fails)
    with pytest.raises(ValueError, match="dtype=''"):
        every.wrap(flags=flags, format=b"", release=cu.CALL_PYTHON, arg=fails)
    assert len(every.calls()) == len(unraisable) == 3


def test_whatever_allocation_fails_the_memory_is_released_once(every_c: Every):
    testcapi = pytest.importorskip("_testcapi")
    fail, mend = testcapi.set_nomemory, testcapi.remove_mem_hooks
    ask, made = every_c.module.wrap, 0
    asks = [
        (ADDRESS, len(shape), shape, strides, fmt, flags, cu.NOTE)
        for shape in ([8], [2, 2], [1, 1, 1, 1, 1, 2])
        for strides in (None, [8] * len(shape))
        for fmt in (b"d", b"<f8")
        for flags in (0, ARRAY)
    ]
    for args in asks:
        ask(*args)
        for after in range(12):
            last = after + 1
            try:
                fail(after, last)
                ask(*args)
            except MemoryError:
                pass
            finally:
                mend()
        made += 13
    assert every_c.module.calls()[0] - every_c.before == made


# ---- without NumPy --------------------------------------------------------------------


def test_without_numpy_an_array_is_an_error_and_a_buffer_is_none(with_every):
    with_every(
        """
        sys.modules["numpy"] = None
        for shape in ([8], [0], [1] * 6 + [8]):
            for _ in range(2):
                try:
                    c.wrap(shape=shape)
                except ModuleNotFoundError as error:
                    assert "NumPy" in str(error), error
                else:
                    raise AssertionError
        assert len(c.released()) == 6
        owner = object()
        before = sys.getrefcount(owner)
        for ask in (lambda: c.wrap_owned(owner), lambda: c.new((8,)),
                    lambda: c.array(c.wrap(flags=0))):
            try:
                ask()
            except ModuleNotFoundError:
                pass
            else:
                raise AssertionError
        assert sys.getrefcount(owner) == before
        assert c.wrap(flags=0).tolist() == NUMBERS
        assert len(c.released()) == 8
        assert "numpy.core" not in sys.modules
        import pybuf
        assert pybuf.live() == []
        """
    )
