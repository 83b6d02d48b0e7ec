"""Records, strings, raw bytes and sub-arrays: what goes in through one door comes out of each."""

from __future__ import annotations

import copy
import ctypes
import pickle
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import strategies as s
import strategies_dtypes as d
from hypothesis import given

import pybuf

each = pytest.mark.parametrize
contents = st.binary(min_size=1, max_size=60)


def same_dtype(array: np.ndarray[Any, Any], dtype: d.DType) -> bool:
    """What NumPy makes of the format: raw bytes are an empty record to it, and no format holds
    titles."""
    if dtype.kind == "V" and dtype.names is None:
        return array.dtype.itemsize == dtype.itemsize
    return d.normal(array.dtype) == d.normal(dtype)


def filled(shape: Any, dtype: d.DType, content: bytes) -> tuple[pybuf.Buffer, Any]:
    """A Buffer, and an array of other memory with the same items."""
    b = pybuf.zeros(shape, dtype)
    twin = np.zeros(shape, dtype)
    d.fill(twin, content)
    d.fill(b.numpy(), content)
    return b, twin


# ---- the table, in every layout ----

#: Shape, and the strides in bytes for an itemsize; the last number is what lies before item 0.
LAYOUTS: dict[str, Any] = {
    "a scalar": ((), lambda n: ()),
    "an item": ((1,), lambda n: (n,)),
    "nothing": ((0,), lambda n: (n,)),
    "nothing in two axes": ((3, 0), lambda n: (n, n)),
    "a row": ((5,), lambda n: (n,)),
    "C": ((3, 4), lambda n: (4 * n, n)),
    "Fortran": ((3, 4), lambda n: (n, 3 * n)),
    "C in three axes": ((2, 3, 2), lambda n: (6 * n, 2 * n, n)),
    "Fortran in three axes": ((2, 3, 2), lambda n: (n, 2 * n, 6 * n)),
    "another order of axes": ((2, 3, 2), lambda n: (2 * n, 4 * n, n)),
    "five axes": ((1, 2, 1, 2, 2), lambda n: (8 * n, 4 * n, 4 * n, 2 * n, n)),
    "backwards": ((5,), lambda n: (-n,)),
    "backwards in both axes": ((3, 4), lambda n: (-4 * n, -n)),
    "backwards in one axis": ((3, 4), lambda n: (4 * n, -n)),
    "every other": ((4,), lambda n: (2 * n,)),
    "every third backwards": ((3, 2), lambda n: (-6 * n, 3 * n)),
    "gaps of a byte": ((4,), lambda n: (n + 1,)),
    "gaps of seven bytes in rows": ((3, 2), lambda n: (2 * n + 7, n)),
    "the same item": ((4,), lambda n: (0,)),
    "the same row": ((3, 4), lambda n: (0, n)),
    "overlapping windows": ((3, 4), lambda n: (n, n)),
}


@each("dtype", d.TABLE.values(), ids=d.TABLE)
def test_every_type_comes_back_in_every_layout(dtype):
    for name, (shape, strides_of) in LAYOUTS.items():
        layout = oracle.Layout(dtype.itemsize, shape, strides_of(dtype.itemsize))
        content = b"\0\1\1\0\1" if dtype.kind == "b" else b""
        for slack in (0, 3):
            block = s.block_of(layout, dtype, content, slack=slack, readonly=False)
            wanted: Any = np.ndarray(
                shape, dtype, block.memory, offset=block.offset, strides=layout.strides
            )
            for door in (np.asarray(block.buffer), block.buffer.numpy()):
                assert same_dtype(door, dtype), name
                assert door.shape == shape, name
                assert not door.size or door.strides == layout.strides, name
                assert door.size == 0 or door.ctypes.data == wanted.ctypes.data, name
            assert block.buffer.numpy().dtype == dtype, name
            assert d.same_items(block.buffer.numpy(), wanted), name
            assert block.buffer.tobytes() == block.tobytes(), name


def test_the_table_is_long():
    assert len(d.TABLE) >= 100
    assert len(LAYOUTS) >= 20


# ---- any dtype ----


@given(dtype=d.dtypes, shape=s.shapes)
def test_a_dtype_comes_back_through_both_doors_of_numpy(dtype, shape):
    b = pybuf.zeros(shape, dtype)
    assert b.numpy().dtype == dtype
    assert same_dtype(np.asarray(b), dtype)
    assert b.shape == b.numpy().shape == np.asarray(b).shape == shape
    assert b.itemsize == memoryview(b).itemsize == dtype.itemsize
    assert b.format == memoryview(b).format


@given(dtype=d.dtypes)
def test_a_field_lies_where_the_dtype_has_it(dtype):
    """NumPy reads the offsets off the format alone."""
    read = np.asarray(pybuf.zeros(1, dtype)).dtype
    if dtype.names is not None:
        assert [o for o, _ in d.leaves(read)] == [o for o, _ in d.leaves(dtype)]
        for name in dtype.names:
            assert read.fields[name][1] == dtype.fields[name][1]


@given(dtype=d.dtypes, shape=s.shapes, content=contents)
def test_items_that_are_written_through_one_door_are_read_through_the_others(
    dtype, shape, content
):
    b, twin = filled(shape, dtype, content)
    assert d.same_items(b.numpy(), twin)
    if dtype.names is not None or dtype.kind != "V":
        assert d.same_items(np.asarray(b), twin)
    items = np.ndarray(shape, dtype, b)
    assert d.same_items(items, twin)
    assert b.tobytes() == memoryview(b).tobytes() == bytes(b.cast("B"))


@given(dtype=d.dtypes, shape=s.shapes, content=contents)
def test_a_copy_has_the_type_and_the_items(dtype, shape, content):
    b, twin = filled(shape, dtype, content)
    for copied in (
        pybuf.copy(b),
        pybuf.copy(b, order="F"),
        pybuf.copy(twin),
        pybuf.copy(np.copy(twin, order="F")),
        pybuf.copy(memoryview(b)),
        copy.copy(b),
        copy.deepcopy(b),
    ):
        assert copied.shape == shape
        assert same_dtype(copied.numpy(), dtype)
        assert d.same_items(copied.numpy(), twin)


@given(dtype=d.dtypes, shape=s.shapes, content=contents, readonly=st.booleans())
def test_a_pickle_keeps_the_type_and_the_items(dtype, shape, content, readonly):
    b, twin = filled(shape, dtype, content)
    if readonly:
        b = b.toreadonly()
    frames: list[pickle.PickleBuffer] = []
    pickles = [(pickle.dumps(b, p), ()) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    pickles.append((pickle.dumps(b, 5, buffer_callback=frames.append), frames))
    for data, buffers in pickles:
        loaded = pickle.loads(data, buffers=buffers)
        assert loaded.readonly == readonly
        assert loaded.shape == shape
        assert same_dtype(loaded.numpy(), dtype)
        assert d.same_items(loaded.numpy(), twin)
        assert loaded.format.lower().replace("q", "l") == b.format.lower().replace("q", "l")


@given(dtype=d.dtypes, n=st.integers(0, 5), content=contents)
def test_a_cast_to_bytes_and_back_is_the_same(dtype, n, content):
    b, twin = filled(n, dtype, content)
    back = b.cast("B").cast(dtype)
    assert back.format == b.format
    assert back.shape == (n,)
    assert back.address == b.address
    assert d.same_items(back.numpy(), twin)
    assert back.numpy().dtype == dtype


@given(dtype=d.dtypes, shape=s.shapes)
def test_read_only_holds_at_every_door(dtype, shape):
    b = pybuf.zeros(shape, dtype).toreadonly()
    assert memoryview(b).readonly
    assert not np.asarray(b).flags.writeable
    assert not b.numpy().flags.writeable
    assert b.numpy().dtype == dtype


@given(dtype=d.dtypes, shape=s.shapes, content=contents)
def test_the_array_interface_says_what_numpy_s_own_says(dtype, shape, content):
    """Which has names of its own for pads."""
    b, twin = filled(shape, dtype, content)
    interfaces = b.__array_interface__, twin.__array_interface__
    assert interfaces[0]["typestr"] == interfaces[1]["typestr"]
    if dtype.names is not None:
        assert interfaces[0]["descr"] == interfaces[1]["descr"]
    ours, wanted = (
        oracle.outcome(np.asarray, type("Exporter", (), {"__array_interface__": i})())
        for i in interfaces
    )
    if isinstance(wanted, np.ndarray):
        assert ours.dtype == wanted.dtype
        assert d.same_items(ours, wanted)
    else:
        assert ours is wanted  # NumPy cannot read it either


@given(dtype=d.dtypes, shape=s.shapes)
def test_the_format_alone_says_the_type(dtype, shape):
    """A pickle, another process or Go has no more than it."""
    b = pybuf.zeros(shape, dtype)
    again = pybuf.zeros(shape, b.format)
    assert (again.format, again.itemsize) == (b.format, b.itemsize)
    assert same_dtype(again.numpy(), dtype)
    assert pybuf.copy(memoryview(again)).format == b.format


@given(dtype=d.dtypes)
def test_dlpack_and_arrow_take_numbers_only(dtype):
    b = pybuf.zeros(2, dtype)
    numbers = dtype.kind in "biufc" and dtype.isnative and dtype.char not in "gG"
    assert isinstance(oracle.outcome(b.__dlpack__), type) != numbers
    arrow = numbers and dtype.kind not in "bc"
    assert isinstance(oracle.outcome(b.__arrow_c_array__), type) != arrow


@given(dtype=d.dtypes, shape=s.shapes)
def test_memory_of_go_s_heap_takes_any_type(dtype, shape):
    b = pybuf.zeros(shape, dtype, source="go")
    assert b.numpy().dtype == dtype
    assert b.tobytes() == bytes(b.nbytes)


def test_a_number_with_fields_to_look_into_it_is_the_number():
    number = np.dtype((np.int32, {"low": (np.int16, 0), "high": (np.int16, 2)}))
    assert pybuf.zeros(2, number).format == "i"
    inside = pybuf.zeros(2, np.dtype([("n", number), ("m", "i8")]))
    assert np.asarray(inside).dtype == np.dtype([("n", "i4"), ("m", "i8")])


# ---- sub-arrays ----


@given(dtype=d.sub_arrays, shape=s.shapes)
def test_a_sub_array_extends_the_shape(dtype, shape):
    """As it does in NumPy."""
    b = pybuf.zeros(shape, dtype)
    wanted = np.zeros(shape, dtype)
    assert b.shape == wanted.shape
    assert b.nbytes == wanted.nbytes
    assert b.numpy().dtype == wanted.dtype
    assert same_dtype(np.asarray(b), wanted.dtype)


@each("dtype", d.SUB_ARRAYS, ids=str)
def test_strides_are_given_for_the_outer_axes_alone(dtype):
    memory = ctypes.create_string_buffer(bytes(range(250)) * 40)
    strides = (3 * dtype.itemsize, dtype.itemsize + 1)
    b = pybuf.wrap(memory, (2, 3), dtype, strides=strides, owner=memory)
    wanted: Any = np.ndarray((2, 3), np.dtype([("a", dtype)]), memory, strides=strides)["a"]
    assert b.shape == wanted.shape
    assert b.strides == wanted.strides
    assert d.same_items(b.numpy(), wanted)


@each("dtype", d.SUB_ARRAYS, ids=str)
def test_a_sub_array_is_found_by_cast_and_wrap_too(dtype):
    memory = ctypes.create_string_buffer(4 * dtype.itemsize)
    wanted = np.zeros(4, dtype)
    for b in (
        pybuf.wrap(memory, 4, dtype, owner=memory),
        pybuf.zeros(4 * dtype.itemsize).cast(dtype),
        pybuf.zeros(4 * dtype.itemsize).cast(dtype, (4,)),
    ):
        assert b.shape == wanted.shape
        assert b.strides == wanted.strides
        assert b.numpy().dtype == wanted.dtype


@each("order", "CF")
def test_a_sub_array_is_laid_out_with_the_shape_that_it_extends(order):
    b = pybuf.zeros(4, "(2,3)h", order=order)
    assert b.strides == oracle.packed_strides((4, 2, 3), 2, order)


def test_a_sub_array_may_not_have_more_axes_than_there_are():
    assert pybuf.zeros((1,) * 62, "(1,1)d").ndim == 64
    with pytest.raises(ValueError, match="at most 64"):
        pybuf.zeros((1,) * 63, "(1,1)d")
    with pytest.raises(ValueError, match="at most 64"):
        pybuf.zeros(1, "T{(" + ",".join("1" * 65) + ")d:a:}")
    with pytest.raises(ValueError, match="at most 64"):
        pybuf.wrap(4096, (1,) * 64, "2d", strides=(8,) * 64, unowned=True)


def test_a_sub_array_of_an_indirect_layout_lies_behind_its_pointers():
    rows = [(ctypes.c_short * 6)(*range(6 * i, 6 * i + 6)) for i in range(2)]
    table = (ctypes.c_void_p * 2)(*map(ctypes.addressof, rows))
    b = pybuf.wrap(table, (2, 3), "2h", strides=(8, 4), suboffsets=(0, -1), owner=(table, rows))
    assert b.shape == (2, 3, 2)
    assert b.suboffsets == (0, -1, -1)
    assert memoryview(b).tolist() == np.arange(12).reshape(2, 3, 2).tolist()


def test_extents_that_cannot_be_counted_overflow():
    with pytest.raises(OverflowError):
        pybuf.zeros(2**40, f"({2**20},{2**10})d")
    with pytest.raises(OverflowError):
        pybuf.zeros(1, f"({2**62},{2**10})d")


def test_fields_may_be_renamed_while_an_array_is_being_made():
    """By the file of a trace, which hears of the array before there is one."""
    layout = pybuf.Layout(2, "T{i:a:i:b:}")
    first = layout.zeros().numpy()
    once = [first.dtype]
    del first

    class File:
        def write(self, line: str) -> None:
            if "export" in line and once:
                once.pop().names = ("x", "y")
                layout.zeros().numpy()  # finds the renamed dtype, and drops it

    b = layout.zeros()
    with pybuf.trace(File()):
        array = b.numpy()
    del b
    assert layout.zeros().numpy().dtype.names == ("a", "b")
    assert array.tobytes() == bytes(16)


def test_a_title_s_hash_may_ask_for_an_array_too():
    class Title:
        busy = True

        def __hash__(self) -> int:
            if not self.busy:
                self.busy = True
                arrays.append(b.numpy())
            return 5

    title = Title()
    dtype = np.dtype({"names": ["a"], "formats": ["i4"], "titles": [title]})
    b = pybuf.zeros(2, dtype)
    arrays = [b.numpy()]
    dtype.names = ("c",)
    del dtype
    arrays.clear()
    title.busy = False
    arrays.append(b.numpy())
    assert [a.dtype.names for a in arrays] == [("a",)] * len(arrays)
    arrays.clear()
    b = None  # the cache of dtypes keeps the title, which leads here


FIELDS = [("a", "i4"), ("b", "f8")]


@each(
    ("other", "look"),
    [
        (np.dtype((np.record, FIELDS)), lambda dtype: dtype.type),
        (np.dtype(FIELDS, metadata={"made by": "somebody"}), lambda dtype: dtype.metadata),
        (np.dtype(FIELDS, align=True), lambda dtype: dtype.isalignedstruct),
    ],
)
@each("extents", [(), (2, 3)])
def test_equal_dtypes_come_back_each_as_it_was_given(other, look, extents):
    """NumPy's == leaves out what an array shows all the same."""
    plain = np.dtype(
        {"names": ["a", "b"], "formats": ["i4", "f8"], "offsets": [0, other.fields["b"][1]]}
    )
    assert plain == other
    assert look(plain) != look(other)
    for dtype in (plain, other, plain, other):
        b = pybuf.zeros(2, np.dtype((dtype, extents)) if extents else dtype)
        assert b.shape == (2, *extents)
        assert look(b.numpy().dtype) == look(dtype)
