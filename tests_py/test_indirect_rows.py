"""rows(): exporters that lie anywhere become one."""

from __future__ import annotations

import _testbuffer
import array
import ctypes
from typing import Any

import hypothesis.strategies as st
import numpy as np
import py_buffer
import pytest
from hypothesis import given
from indirect_memories import at_null, uneven
from pybuf.indirect import BufferHolder, IndirectMemory2D, rows, zeros

import pybuf

POINTER = ctypes.sizeof(ctypes.c_void_p)


# ---- layouts ----


def test_rows_at_even_distances_are_plain_memory():
    a = np.arange(12.0).reshape(3, 4)
    b = rows(list(a))
    assert (b.shape, b.strides, b.suboffsets) == ((3, 4), (32, 8), ())
    assert b.address == a.ctypes.data
    assert np.shares_memory(np.asarray(b), a)
    assert b.source == "foreign"


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1), slice(None, None, 2)])
def test_even_distances_may_have_any_sign_and_gaps(order: slice):
    a = np.arange(24.0).reshape(6, 4)[order]
    b = rows(a)
    assert b.strides == a.strides
    assert (b.numpy() == a).all()


def test_one_row_is_plain_memory():
    assert rows([b"abc"]).tolist() == [[97, 98, 99]]


def test_the_same_row_again_and_again_is_plain_memory():
    b = rows([bytearray(b"ab")] * 3)
    assert (b.strides, b.tolist()) == ((0, 1), [[97, 98]] * 3)


def test_rows_anywhere_are_behind_a_table():
    parts = uneven()
    b = rows(parts)
    assert (b.shape, b.strides, b.suboffsets) == ((3, 4), (POINTER, 8), (0, -1))
    assert b.tolist() == [list(p) for p in parts]
    table = (ctypes.c_void_p * 3).from_address(b.address)
    assert list(table) == [p.ctypes.data for p in parts]
    b[2, 1] = 99.0
    assert parts[2][1] == 99


def test_indirect_true_makes_a_table_always():
    b = rows(np.zeros((3, 4)), indirect=True)
    assert b.suboffsets == (0, -1)
    assert b.numpy(copy=False).shape == (3, 4)


def test_indirect_false_names_the_row_that_is_out_of_step():
    even = np.zeros((3, 4))
    assert rows(even, indirect=False).suboffsets == ()
    with pytest.raises(ValueError, match=r"rows\(\): row 2 lies 32 bytes from where"):
        rows(uneven(), indirect=False)
    a = np.zeros((4, 4))
    with pytest.raises(ValueError, match=r"rows\(\): row \(1, 1\) lies -32 bytes from where"):
        rows([[a[0], a[1]], [a[2], a[2]]], indirect=False)


def test_lists_of_lists_have_a_table_for_each_level():
    a, b, c, d = uneven(4)
    cube = rows([[a, b], [d, c]])
    assert (cube.shape, cube.strides) == ((2, 2, 4), (POINTER, POINTER, 8))
    assert cube.suboffsets == (0, 0, -1)
    assert cube.tolist() == [[list(a), list(b)], [list(d), list(c)]]
    table = ctypes.cast(
        cube.address, ctypes.POINTER(ctypes.POINTER(ctypes.POINTER(ctypes.c_double)))
    )
    assert table[1][0][3] == d[3]


def test_lists_of_lists_at_even_distances_are_plain():
    a = np.arange(24.0).reshape(2, 3, 4)
    b = rows([list(a[0]), tuple(a[1])])
    assert (b.strides, b.suboffsets) == (a.strides, ())
    assert (b.numpy() == a).all()


def test_shape_gives_a_flat_table_several_axes():
    parts = uneven(4)
    b = rows([*parts, parts[0], parts[1]], shape=(2, 3))
    assert (b.shape, b.strides) == ((2, 3, 4), (3 * POINTER, POINTER, 8))
    assert b.suboffsets == (-1, 0, -1)
    assert b.tolist()[1][0] == list(parts[3])
    even = np.zeros((6, 4))
    assert rows(even, shape=[3, 2]).strides == (64, 32, 8)
    assert rows(even, shape=6).shape == (6, 4)


@pytest.mark.parametrize("shape", [(2, 2), (7,), (), (0, 6), (-1, 6), (3, 2, 2)])
def test_a_shape_that_does_not_fit_is_refused(shape: Any):
    with pytest.raises(ValueError, match="shape"):
        rows(np.zeros((6, 4)), shape=shape)


def test_a_shape_for_lists_of_lists_is_refused():
    with pytest.raises(ValueError, match="in lists of lists"):
        rows([[b"ab", b"cd"]], shape=(1, 2))


def test_leaves_of_any_dimension_are_rows():
    a = np.arange(24).reshape(2, 3, 4)
    assert rows([a[1], a[0], a[1]]).shape == (3, 3, 4)
    items = [np.array(i, "i") for i in (5, 3, 9)]
    b = rows(items, indirect=True)
    assert (b.shape, b.suboffsets, b.tolist()) == ((3,), (0,), [5, 3, 9])


@pytest.mark.parametrize("take", [np.s_[::2, ::3], np.s_[::-1, ::-1], np.s_[:, 1:2], np.s_[0]])
def test_leaves_may_have_gaps_and_turns(take: Any):
    parts = [np.arange(48.0).reshape(6, 8) + i for i in range(3)]
    b = rows([np.asfortranarray(p)[take] for p in parts], indirect=True)
    assert np.array_equal(pybuf.copy(b).numpy(), np.stack([p[take] for p in parts]))


def test_items_of_an_array_are_no_rows_of_it():
    with pytest.raises(ValueError, match=r"the items of array\(.* are copies"):
        rows(np.zeros(3))
    alone = [np.array(1.0), np.array(2.0)]
    assert rows(alone).tolist() == [1, 2]


def test_an_exporter_s_own_error_is_noted_with_its_row():
    fixed = np.zeros(3)
    fixed.flags.writeable = False
    with pytest.raises(ValueError, match="read-only") as caught:
        rows([[np.zeros(3), np.zeros(3)], [np.zeros(3), fixed]], readonly=False)
    assert caught.value.__notes__ == ["rows(): of row (1, 1)"]


def test_leaves_may_be_indirect_themselves():
    one, other = (rows(uneven(), indirect=True) for _ in range(2))
    b = rows([one, other, one])
    assert b.suboffsets == (0, 0, -1)
    assert b.tolist() == [one.tolist(), other.tolist(), one.tolist()]
    with pytest.raises(ValueError, match=r"row \(0, 2\) lies"):
        rows([one], indirect=False)


def test_cpythons_own_indirect_arrays_are_leaves():
    parts = [
        _testbuffer.ndarray(
            list(range(i, i + 6)), shape=[2, 3], format="i", flags=_testbuffer.ND_PIL
        )
        for i in (0, 10, 20)
    ]
    b = rows(parts, indirect=True)
    assert b.suboffsets == (0, *parts[0].suboffsets)
    assert b.tolist() == [part.tolist() for part in parts]
    again = _testbuffer.ndarray(b, getbuf=_testbuffer.PyBUF_FULL_RO)
    assert (again.tolist(), again.suboffsets) == (b.tolist(), b.suboffsets)
    mem = IndirectMemory2D.view_from_rows(parts[1], readonly=True)
    assert memoryview(mem).tolist() == parts[1].tolist()


def test_leaves_are_of_any_type_together():
    parts = [
        b"abcd",
        bytearray(b"efgh"),
        memoryview(b"ijkl"),
        np.frombuffer(b"mnop", "u1"),
        pybuf.copy(b"qrst"),
        (ctypes.c_uint8 * 4)(*b"uvwx"),
        array.array("B", b"yz12"),
    ]
    assert pybuf.copy(rows(parts)).tobytes() == b"abcdefghijklmnopqrstuvwxyz12"


def test_letters_of_one_type_are_one_type():
    b = rows([np.zeros(3, "l"), np.ones(3, "q"), (ctypes.c_int64 * 3)()])
    assert b.format == "l"


def test_axes_of_one_item_may_have_any_stride():
    a = np.zeros((8, 8))
    assert rows([a[0:1, ::2], a[3:4, ::2]]).shape == (2, 1, 4)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3)])
def test_rows_without_items_are_rows(shape: Any):
    parts = [np.zeros(shape)] * 2
    assert rows(parts).shape == (2, *shape)
    assert rows(parts).suboffsets == ()
    tabled = rows(parts, indirect=True)
    assert (tabled.nbytes, tabled.suboffsets[0]) == (0, 0)
    assert all((ctypes.c_void_p * 2).from_address(tabled.address))
    assert rows([(ctypes.c_int * 0)()], indirect=True).shape == (1, 0)


# ---- read-only ----


def test_one_read_only_row_makes_all_read_only():
    assert not rows([bytearray(2), bytearray(2)]).readonly
    assert rows([bytearray(2), b"ab"]).readonly
    assert rows([bytearray(2)], readonly=True).readonly


def test_readonly_false_wants_each_to_be_writable():
    assert not rows([bytearray(2)], readonly=False).readonly
    with pytest.raises(BufferError, match="not writable"):
        rows([bytearray(2), b"ab"], readonly=False)
    frozen = np.zeros(2)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="buffer source array is read-only"):
        rows([frozen], readonly=False)


# ---- refusals ----


REFUSED: dict[str, tuple[Any, type[Exception]]] = {
    r"row 1 has shape \(3,\) and row 0 has \(4,\)": ([b"abcd", b"abc"], ValueError),
    r"row 2 has shape \(2, 2\) and row 0 has \(4,\)": (
        [b"abcd", b"abcd", np.zeros((2, 2), "B")],
        ValueError,
    ),
    r"row 1 has items of format 'b' and row 0 has 'B'": (
        [np.zeros(2, "B"), np.zeros(2, "b")],
        ValueError,
    ),
    r"row 1 has items of format '>i' and row 0 has 'i'": (
        [np.zeros(2, "i"), np.zeros(2, ">i")],
        ValueError,
    ),
    r"row 1 has strides \(16,\) and row 0 has \(8,\)": (
        [np.zeros(3), np.zeros(6)[::2]],
        ValueError,
    ),
    r"row \(1, 0\) has shape \(3,\) and row \(0, 0\) has \(2,\)": (
        [[b"ab"], [b"abc"]],
        ValueError,
    ),
    r"row 1 has 1 rows and row 0 has 2": ([[b"ab", b"cd"], [b"ef"]], ValueError),
    r"row 1 is b'cd', and row 0 is a list of rows": ([[b"ab"], b"cd"], ValueError),
    r"row 1 is a list of rows and row 0 is a row": ([b"ab", [b"cd"]], ValueError),
    r"row 1 is 5, of type int, which has no buffer protocol": ([b"ab", 5], TypeError),
    r"row \(0, 1\) is 'x', of type str, which has no": ([[b"ab", "x"]], TypeError),
    r"row 0 is 97, of type int": (b"ab", TypeError),
    r"there are no rows, so nothing says their shape": ([], ValueError),
    r"there are no rows, so": ([[]], ValueError),
    r"3 cannot be iterated over; give a list": (3, TypeError),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_cannot_be_is_refused_and_said_on_both_sides(text: str):
    seq, error = REFUSED[text]
    with pytest.raises(error, match=r"^rows\(\): " + text):
        rows(seq)


def test_a_leaf_at_null_is_refused_by_its_number():
    with pytest.raises(ValueError, match=r"^rows\(\): row \(0, 1\) has 3 bytes .* lie at NULL"):
        rows([[b"abc", at_null()]])


def test_leaves_of_other_suboffsets_are_refused():
    indirect, plain = zeros((2, 3)), pybuf.wrap(4096, (2, 3), strides=(8, 1), unowned=True)
    with pytest.raises(ValueError, match=r"row 1 has suboffsets \(\) and row 0 has \(0, -1\)"):
        rows([indirect, plain])


def test_types_that_no_buffer_can_say_are_refused():
    with pytest.raises(TypeError, match="dates"):
        rows([np.zeros(3, "M8[s]")])
    with pytest.raises(TypeError, match="objects"):
        rows([np.zeros(3, "O")])


def test_more_axes_than_a_buffer_has_are_refused():
    deep: Any = b"ab"
    for _ in range(63):
        deep = [deep]
    assert rows(deep).ndim == 64
    for _ in range(2):
        deep = [deep]
        with pytest.raises(ValueError, match="64 dimensions"):
            rows(deep)
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="nested more than 64 deep"):
        rows(endless)


def test_more_rows_than_memory_holds_are_refused():
    deep: Any = [b"ab", b"ab"]
    for _ in range(62):
        deep = [deep, deep]  # 2**63 rows of which each list is two names
    with pytest.raises((OverflowError, MemoryError)):
        rows(deep)


# ---- against NumPy ----


@st.composite
def leaves(draw: Any) -> list[Any]:
    """Arrays of one layout anywhere."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    dtype = draw(
        st.sampled_from(["u1", "i2", ">f4", "f8", "c16", "S3", [("a", "i1"), ("b", "f8")]])
    )
    axes = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 1, 2, -1, -3])) for _ in shape]
    wide = [max(n, 1) * abs(s) for n, s in zip(shape, steps, strict=True)]
    n = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    found = []
    for _ in range(n):
        size = int(np.prod([wide[a] for a in axes])) * np.dtype(dtype).itemsize
        block = rng.integers(0, 256, size + 16, "u1")[:size].view(dtype)
        block = block.reshape([wide[a] for a in axes]).transpose(np.argsort(axes))
        cut = [slice(None, None, step) for step in steps]
        found.append(block[(*cut, ...)][(*(slice(0, k) for k in shape), ...)])
    return found


@given(data=st.data(), parts=leaves(), indirect=st.sampled_from([None, True]))
def test_rows_hold_what_numpy_stacks(data: Any, parts: list[Any], indirect: bool | None):
    order = data.draw(st.lists(st.sampled_from(range(len(parts))), min_size=1, max_size=8))
    parts = [parts[i] for i in order]
    b = rows(parts, indirect=indirect)
    expected = np.empty((len(parts), *parts[0].shape), parts[0].dtype)
    np.stack(parts, out=expected, casting="no")
    assert b.shape == expected.shape
    assert pybuf.copy(b).tobytes() == expected.tobytes()
    assert b.numpy().tobytes() == expected.tobytes()
    assert b.row(-1).numpy().tobytes() == parts[-1].tobytes()
    answer = py_buffer.ask(b, py_buffer.FULL_RO)
    assert answer is not None
    assert answer.len == expected.nbytes
    two = rows([parts, parts], indirect=indirect)
    assert pybuf.copy(two).tobytes() == expected.tobytes() * 2


def test_holders_can_be_asked_what_the_rows_are():
    parts = [b"ab", b"cd"]
    assert [h.obj for h in rows(parts).owner] == parts
    assert all(isinstance(h, BufferHolder) for h in rows(parts).owner)
