"""pybuf_wrap and its kin give the Buffer or the ndarray that pybuf.wrap() would."""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import Any

import capi_build
import capi_uses as cu
import numpy as np
import oracle
import pytest
import strategies
from capi_uses import ADDRESS, ARRAY, BLOCK, NONE, NUMBERS, READONLY, UNOWNED, Every
from hypothesis import given
from hypothesis import strategies as st

import pybuf

# ---- what it gives ---------------------------------------------------------------------


def test_memory_becomes_an_array_that_stands_on_it(every: Every):
    array = every.wrap()
    assert type(array) is np.ndarray
    assert (array.ctypes.data, array.dtype, array.shape) == (ADDRESS, "d", (8,))
    assert array.tolist() == NUMBERS
    assert array.flags.writeable
    assert array.flags.aligned
    assert not array.flags.owndata
    del array
    assert every.released() == [(ADDRESS, 64)]


def test_memory_becomes_a_buffer(every: Every):
    b = every.wrap(flags=0)
    assert type(b) is pybuf.Buffer
    assert (b.address, b.format, b.shape, b.strides) == (ADDRESS, "d", (8,), (8,))
    assert (b.source, b.owner, b.readonly, b.exports) == ("foreign", None, False, 0)
    assert b.tolist() == NUMBERS
    del b
    assert every.released() == [(ADDRESS, 64)]


@pytest.mark.parametrize("flags", [0, ARRAY])
@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        (None, None),
        ((), None),
        ((), ()),
        ((2, 4), None),
        ((2, 4), (8, 16)),
        ((4,), (16,)),
        ((2, 2, 2), None),
        ((1, 2, 1, 4), None),
        ((2, 1, 2, 1, 2), None),
        ((1,) * 30 + (8,), None),
        ((3,), (0,)),
        ((0,), None),
        ((2, 0, 3), None),
        ((0,), (-5,)),
    ],
)
def test_each_layout_arrives_as_it_was(every: Every, shape, strides, flags):
    memory = every.wrap(shape=shape, strides=strides, flags=flags)
    twin = pybuf.wrap(ADDRESS, shape or (), "d", strides=strides, unowned=True)
    seen, expected = np.asarray(memory), np.asarray(twin)
    assert (seen.shape, seen.tolist()) == (expected.shape, expected.tolist())
    if flags == 0 or 0 not in twin.shape:  # NumPy counts strides of nothing in its own way
        assert memory.strides == twin.strides
    nbytes = np.lib.array_utils.byte_bounds(expected)
    del memory, seen
    assert every.released() == [(ADDRESS, nbytes[1] - nbytes[0] if twin.nbytes else 0)]


def test_with_negative_strides_the_release_gets_what_was_given(every: Every):
    array = every.wrap(ADDRESS + 56, strides=(-8,))
    assert array.tolist() == NUMBERS[::-1]
    del array
    assert every.released() == [(ADDRESS + 56, 64)]


@pytest.mark.parametrize("flags", [0, ARRAY])
def test_null_is_well_without_items(every: Every, flags):
    memory = every.wrap(0, (3, 0), flags=flags)
    assert np.asarray(memory).shape == (3, 0)
    assert np.asarray(memory).ctypes.data != 0
    del memory
    assert every.released() == [(0, 0)]


# ---- formats ---------------------------------------------------------------------------

FORMATS = [
    *(b"?", b"b", b"B", b"h", b"i", b"l", b"q", b"e", b"f", b"d", b"Zf", b"Zd"),
    *(b"<f8", b">i4", b"=q", b"u2", b"float64", b"complex64", b"4s", b"S3", b"U1"),
    *(
        b"(2,3)h",
        b"(2)d",
        b"T{<i:id:4x<d:price:}",
        b"T{b:a:(2)h:b:}",
        b"T{<i:one:<i:two:<d:three:}",
    ),
]


@pytest.mark.parametrize("flags", [0, ARRAY])
@pytest.mark.parametrize("format", FORMATS, ids=bytes.decode)
def test_a_format_is_understood_as_wrap_does(every: Every, format, flags):  # noqa: A002
    for _ in range(2):  # found in a table, the second time
        memory = every.wrap(shape=(2,), format=format, flags=flags)
        twin = pybuf.wrap(ADDRESS, (2,), format.decode(), unowned=True)
        seen, expected = np.asarray(memory), np.asarray(twin)
        assert (seen.dtype, seen.shape, seen.strides) == (
            expected.dtype,
            expected.shape,
            expected.strides,
        )
        assert seen.tobytes() == expected.tobytes()
        del memory, seen
    assert every.released() == [(ADDRESS, twin.nbytes)] * 2


def test_no_format_is_bytes(every: Every):
    assert every.wrap(shape=(64,), format=None, flags=0).format == "B"
    assert every.wrap(shape=(64,), format=None).tobytes() == bytes(BLOCK)


def test_more_formats_than_there_are_places_in_the_table_are_kept_apart(every_c: Every):
    letters = [s.text for s in strategies.LETTERS] + [s.text for s in strategies.TYPESTRS]
    expected = {s: pybuf.wrap(ADDRESS, 1, s, unowned=True).numpy().dtype for s in letters}
    for _ in range(3):
        for text, dtype in expected.items():
            assert every_c.wrap(shape=(1,), format=text.encode()).dtype == dtype


# ---- bytes -----------------------------------------------------------------------------


def test_bytes_with_a_release_are_the_membuf_of_old(every: Every):
    b = every.memory(ADDRESS, 64, 0, cu.NOTE)
    assert (b.format, b.shape, b.readonly) == ("B", (64,), True)
    view = memoryview(b)
    del b
    assert bytes(view) == bytes(BLOCK)
    with pytest.raises(TypeError):
        view[0] = 1
    assert every.released() == []
    del view
    assert every.released() == [(ADDRESS, 64)]


def test_bytes_that_may_be_written_are_written(every: Every):
    block = ctypes.create_string_buffer(8)
    b = every.memory(ctypes.addressof(block), 8, 1, cu.NOTE)
    b[:2] = b"ab"
    assert block.raw[:2] == b"ab"


def test_more_bytes_than_py_ssize_t_counts_are_refused(every: Every):
    with pytest.raises(ValueError, match="-1"):
        every.memory(ADDRESS, -1, 0, cu.NOTE)
    assert every.released() == [(ADDRESS, 0)]


def test_memory_of_malloc_is_freed(every: Every):
    malloc = ctypes.CDLL(None).malloc
    malloc.restype = ctypes.c_void_p
    for flags in (0, ARRAY):
        np.asarray(every.wrap(malloc(64), flags=flags, release=cu.FREE))[:] = 1


# ---- who sees to it --------------------------------------------------------------------


@pytest.mark.parametrize("flags", [0, ARRAY])
def test_an_owner_is_held_until_the_last_view_is_gone(every: Every, flags):
    owner = (ctypes.c_double * 8)(*range(8))
    before = sys.getrefcount(owner)
    memory = every.wrap_owned(owner, ctypes.addressof(owner), flags=flags)
    assert sys.getrefcount(owner) == before + 1
    view = memoryview(memory)[2:]
    del memory
    gc.collect()
    assert sys.getrefcount(owner) == before + 1
    assert view.tolist() == NUMBERS[2:]
    del view
    assert sys.getrefcount(owner) == before


def test_a_buffer_in_a_cycle_with_its_owner_is_collected(every: Every):
    class Owner:
        memory: Any

    owner = Owner()
    owner.memory = every.wrap_owned(owner, flags=0)
    before = len(pybuf.live())
    del owner
    gc.collect()
    assert len(pybuf.live()) == before - 1


@pytest.mark.parametrize("flags", [0, ARRAY])
@pytest.mark.parametrize("way", ["release", "owner"])
def test_static_data_needs_nobody(every: Every, flags, way):
    flags |= UNOWNED
    memory = (
        every.wrap(flags=flags, release=NONE)
        if way == "release"
        else every.wrap_owned(None, flags=flags)
    )
    assert np.asarray(memory).tolist() == NUMBERS


# ---- read-only -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(8,), (2, 1, 2, 1, 2)], ids=len)
def test_read_only_is_so_at_every_door(every: Every, shape):
    array = every.wrap(shape=shape, flags=ARRAY | READONLY)
    assert not array.flags.writeable
    for view in (array, array[:1], array.view("B"), np.asarray(memoryview(array))):
        with pytest.raises(ValueError, match="WRITEABLE"):
            view.setflags(write=True)
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0
    assert memoryview(array).readonly
    assert memoryview(array.base).readonly
    assert array.__array_interface__["data"][1]
    with pytest.raises(TypeError):
        (ctypes.c_char * 64).from_buffer(array)
    with pytest.raises(BufferError):
        array.__dlpack__()
    b = every.wrap(shape=shape, flags=READONLY)
    assert b.readonly
    assert not b.numpy().flags.writeable


def test_what_may_be_written_may_be_made_so_again(every: Every):
    array = every.wrap()
    array.setflags(write=False)
    array.setflags(write=True)
    array[:] = NUMBERS


# ---- any layout ------------------------------------------------------------------------

ROOM = bytearray(range(256)) * 16
HERE = ctypes.addressof((ctypes.c_char * len(ROOM)).from_buffer(ROOM)) + len(ROOM) // 2
NUMBER = st.one_of(
    st.integers(-2, 5), st.sampled_from([2**31, 2**61, 2**62, 2**63 - 1, -(2**63), 2**32])
)


@st.composite
def asked(draw: Any) -> tuple[list[int], list[int] | None, str]:
    """A shape, strides and a format: mostly of memory that can be."""
    fmt = draw(st.sampled_from([*strategies.FORMATS, "(2,3)h", "T{b:a:x<h:b:}", "T{d:x:", "no"]))
    if fmt in strategies.ITEMSIZE and draw(st.booleans()):
        layout = draw(strategies.layouts(strategies.ITEMSIZE[fmt]))
        return list(layout.shape), list(layout.strides), fmt
    shape = draw(st.lists(NUMBER, max_size=6))
    strides = draw(st.none() | st.lists(NUMBER, min_size=len(shape), max_size=len(shape)))
    return shape, strides, fmt


def facts(memory: Any) -> Any:
    """What memory is, as far as NumPy can say the same of it."""
    array = np.asarray(memory)
    strides = () if array.size == 0 else memory.strides
    inside = array.nbytes <= 2048 and all(abs(s) < 1024 for s in strides)
    items = array.tobytes() if inside else b""
    return array.dtype, array.shape, strides, items, array.flags.writeable


@given(asked(), st.sampled_from([0, READONLY]))
def test_buffers_and_arrays_are_those_of_wrap_or_refused_as_there(request_, flags):
    every = Every(capi_build.load("C99"))
    shape, strides, fmt = request_
    expected = oracle.outcome(
        lambda: facts(
            pybuf.wrap(HERE, shape, fmt, strides=strides, readonly=bool(flags), unowned=True)
        )
    )
    for kind in (0, ARRAY):
        got = oracle.outcome(
            lambda kind=kind: facts(
                every.wrap(HERE, shape, fmt.encode(), flags | kind, strides=strides)
            )
        )
        assert got == expected
    assert [data for data, _ in every.released()] == [HERE, HERE]
