"""Slices, arrays and images of a gopy module as buffers: no copy, and the owner is kept."""

from __future__ import annotations

import array
import gc
import sys
from typing import Any

import gopy_runs
import numpy as np
import pytest

from pybuf import _core, gopy

OTHERS = {
    "Bools": ("?", "?"),
    "Complex64s": ("c8", "Zf"),
    "Complex128s": ("c16", "Zd"),
    "Temperatures": ("f8", "d"),
}
KINDS = [(k, *v) for k, v in {**gopy_runs.KINDS, **OTHERS}.items()]
KIND = pytest.mark.parametrize(("kind", "dtype", "form"), KINDS, ids=[k[0] for k in KINDS])


def address(view: np.ndarray[Any, Any]) -> int:
    return int(view.__array_interface__["data"][0])


# ---- slices ------------------------------------------------------------------------------


@KIND
def test_a_slice_is_an_array_of_its_type(kind: str, dtype: str, form: str, vecs: Any):
    a = np.asarray(getattr(vecs, kind)(5))
    assert (a.dtype, a.dtype.num, a.shape) == (np.dtype(dtype), np.dtype(dtype).num, (5,))
    assert a.tolist() == {
        "?": [False, True, False, True, False],
        "c": [0, 1 - 1j, 2 - 2j, 3 - 3j, 4 - 4j],
    }.get(dtype[0], [0, 1, 2, 3, 4])


@KIND
def test_a_slice_is_a_memoryview_of_its_format(kind: str, dtype: str, form: str, vecs: Any):
    view = memoryview(getattr(vecs, kind)(5))
    assert (view.format, view.shape, view.strides) == (form, (5,), (np.dtype(dtype).itemsize,))
    assert not view.readonly
    assert view.c_contiguous


@KIND
def test_two_arrays_of_a_slice_are_the_same_memory(kind: str, dtype: str, form: str, vecs: Any):
    s = getattr(vecs, kind)(5)
    one, two = np.asarray(s), np.asarray(s)
    assert address(one) == address(two)
    one[0] = 1
    assert two[0] == 1


@pytest.mark.parametrize("kind", gopy_runs.KINDS)
def test_what_an_array_writes_go_reads(kind: str, vecs: Any):
    s = getattr(vecs, kind)(5)
    a = np.asarray(s)
    a[1:3] = 50
    assert list(s) == [0, 50, 50, 3, 4]
    assert getattr(vecs, f"Sum{kind}")(s) == 107


@pytest.mark.parametrize("kind", gopy_runs.KINDS)
def test_what_go_writes_an_array_reads(kind: str, vecs: Any):
    s = getattr(vecs, kind)(5)
    a = np.asarray(s)
    getattr(vecs, f"Double{kind}")(s)
    s[0] = 9
    assert a.tolist() == [9, 2, 4, 6, 8]


def test_an_array_lies_where_the_slice_lies(vecs: Any):
    s = vecs.Float64s(5)
    assert address(np.asarray(s)) == vecs.Address(s)


def test_the_array_of_a_slice_that_is_gone_stands(vecs: Any):
    a = np.asarray(vecs.Float64s(1 << 16))
    gc.collect()
    vecs.Collect()
    vecs.Litter(40)
    assert (a == np.arange(1 << 16)).all()


def test_a_part_of_an_array_keeps_the_memory(vecs: Any):
    a = np.asarray(vecs.Float64s(1 << 16))[1000:1010]
    vecs.Collect()
    vecs.Litter(40)
    assert a.tolist() == list(range(1000, 1010))


def test_a_memoryview_keeps_the_memory(vecs: Any):
    view = memoryview(vecs.Bytes(1 << 16))[256:]
    vecs.Collect()
    vecs.Litter(40)
    assert view.tobytes() == bytes(range(256)) * 255


def test_the_memory_goes_with_the_last_array(gopy_vecs: Any, vecs: Any):
    def held() -> int:
        gc.collect()
        return int(vecs.HeapBytes())

    before = held()
    a = np.asarray(vecs.Float64s(1 << 20))
    assert held() >= before + (8 << 20)
    b = a[5:]
    del a
    assert held() >= before + (8 << 20)
    del b
    assert held() < before + (1 << 20)


def test_a_million_items_make_no_more_go_work_than_one(vecs: Any):
    small, large = vecs.Float64s(1), vecs.Float64s(1 << 20)
    before = sys.getallocatedblocks()
    arrays = [np.asarray(small), np.asarray(large)]
    assert sys.getallocatedblocks() - before < 50
    assert [len(a) for a in arrays] == [1, 1 << 20]


def test_consumers_of_buffers_take_a_slice(vecs: Any):
    s = vecs.Bytes(5)
    assert bytearray(s) == bytes(range(5))
    assert b"".join([s, s]) == bytes(range(5)) * 2
    assert np.frombuffer(s, "u1").tolist() == [0, 1, 2, 3, 4]
    a = array.array("B")
    a.frombytes(s)
    assert a.tolist() == [0, 1, 2, 3, 4]


def test_a_conversion_copies(vecs: Any):
    s = vecs.Float64s(3)
    for a in (np.array(s), np.asarray(s, "f4")):
        a[0] = 9
    assert s[0] == 0


# ---- append and slicing ------------------------------------------------------------------


def test_append_that_moves_leaves_old_arrays_on_the_old_memory(vecs: Any):
    s = vecs.Float64s(3)
    old = np.asarray(s)
    s.append(9.0)
    new = np.asarray(s)
    old[:] = -1
    assert new.tolist() == [0, 1, 2, 9] == list(s)
    assert old.tolist() == [-1, -1, -1]


def test_append_in_place_writes_what_an_array_sees(vecs: Any):
    s = vecs.Float64s(4)
    a = np.asarray(s)
    vecs.Half(s).append(9.0)
    assert a.tolist() == [0, 1, 9, 3]


def test_a_subslice_is_the_same_memory(vecs: Any):
    s = vecs.Float64s(5)
    part = np.asarray(s[1:3])
    part[0] = 9
    assert list(s) == [0, 9, 2, 3, 4]
    assert address(part) == address(np.asarray(s)) + 8


@pytest.mark.parametrize("make", ["NilSlice()", "Float64s(0)", "Half(Float64s(1))"])
def test_no_items_are_an_empty_array(make: str, vecs: Any):
    a = np.asarray(eval(f"vecs.{make}".replace("(Float", "(vecs.Float")))
    assert (a.shape, a.dtype) == ((0,), np.dtype("f8"))


def test_bytes_of_an_empty_slice_are_empty(vecs: Any):
    assert bytes(vecs.Bytes(0)) == b""
    assert bytes(vecs.NilBytes()) == b""


def test_bytes_of_a_slice_are_its_items(vecs: Any):
    assert bytes(vecs.Bytes(3)) == b"\0\1\2"


# ---- arrays ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "dtype", "items"),
    [
        ("Triple", "f8", [1, 2, 3]),
        ("Direction", "f8", [0, 0, 1]),
        ("Small", "i4", [[1, 2, 3], [4, 5, 6]]),
    ],
)
def test_a_go_array_is_an_array(make: str, dtype: str, items: list[Any], vecs: Any):
    a = np.asarray(getattr(vecs, make)())
    assert (a.dtype, a.tolist()) == (np.dtype(dtype), items)
    assert a.flags.writeable


def test_a_go_array_is_written_in_place(vecs: Any):
    t = vecs.Triple()
    np.asarray(t)[1] = 9
    assert list(t) == [1, 9, 3]
    assert vecs.SumTriple(t) == 13


def test_a_slice_of_arrays_has_two_dimensions(vecs: Any):
    s = vecs.Triples(4)
    a = np.asarray(s)
    assert (a.shape, a.dtype) == ((4, 3), np.dtype("f8"))
    assert a[2].tolist() == [2, 2.25, 2.5]
    a[2, 1] = 9
    assert list(s[2]) == [2, 9, 2.5]


# ---- structs -----------------------------------------------------------------------------


def test_a_slice_of_structs_is_a_structured_array(vecs: Any):
    s = vecs.Points(3)
    a = np.asarray(s)
    assert a.dtype == np.dtype([("X", "f8"), ("Y", "f8")])
    a["Y"] = 5
    assert vecs.SumPoints(s) == 18


def test_padding_of_a_struct_is_in_the_dtype(vecs: Any):
    a = np.asarray(vecs.Trades(3))
    assert a.dtype.names == ("Time", "Size", "Price", "Buy")
    assert [a.dtype.fields[n][1] for n in a.dtype.names] == [0, 8, 16, 24]
    assert [a.dtype[n].str for n in a.dtype.names] == ["<i8", "<i4", "<f8", "|b1"]
    assert a.dtype.itemsize == 32
    assert a.tolist() == [(0, 0, 0.0, False), (1, 10, 0.25, True), (2, 20, 0.5, False)]


def test_structs_in_structs_are_fields_with_fields(vecs: Any):
    a = np.asarray(vecs.Segments(2))
    assert a["To"]["Y"].tolist() == [3, 4]
    assert a["Weight"].dtype == "f4"


def test_arrays_in_structs_are_sub_arrays(vecs: Any):
    a = np.asarray(vecs.Cells(3))
    assert a["Values"].shape == (3, 2, 3)
    assert a["Values"][2, 1, 2] == 2
    assert a["Mark"].tolist() == [0, 1, 2]


def test_the_slice_in_a_struct_is_the_same_memory(vecs: Any):
    acc = vecs.NewAcc(4)
    a = np.asarray(acc.Data)
    a[:] = 10
    assert acc.Sum() == 40


def test_an_array_outlives_the_struct_that_it_is_of(vecs: Any):
    a = np.asarray(vecs.NewAcc(1 << 16).Data)
    gc.collect()
    vecs.Collect()
    vecs.Litter(40)
    assert (a == np.arange(1 << 16)).all()


def test_the_slice_of_an_embedded_struct_is_viewed(vecs: Any):
    d = vecs.NewDerived(3)
    np.asarray(d.Data)[:] = 2
    np.asarray(d.Extra)[:] = 3
    assert d.Both() == 15


def test_the_slice_of_a_variable_is_the_same_memory(vecs: Any):
    a = np.asarray(vecs.Global())
    before = a[0]
    a[0] = 100
    try:
        assert vecs.Global()[0] == 100
    finally:
        a[0] = before


def test_slices_in_a_map_are_viewed(vecs: Any):
    assert np.asarray(vecs.Series()["a"]).tolist() == [1, 2, 3]


def test_types_of_another_package_are_viewed(more: Any):
    station = more.NewStation(3)
    np.asarray(station.Today)[:] = 7
    assert station.Mean() == 7


# ---- images ------------------------------------------------------------------------------


def test_an_image_is_rows_columns_channels(vecs: Any):
    img = vecs.Picture(4, 3)
    a = np.asarray(img)
    assert (a.shape, a.dtype, a.flags.writeable) == ((3, 4, 4), np.dtype("u1"), True)
    assert a[2, 1].tolist() == [33, 1, 2, 255]
    a[2, 1, 0] = 99
    assert vecs.Red(img, 1, 2) == 99


def test_a_part_of_an_image_is_the_same_memory(vecs: Any):
    img = vecs.Picture(8, 6)
    a, part = np.asarray(img), np.asarray(vecs.Inner(img, 2, 1, 5, 5))
    assert (part.shape, part.strides) == ((4, 3, 4), (32, 4, 1))
    assert (part == a[1:5, 2:5]).all()
    part[0, 0, 0] = 99
    assert vecs.Red(img, 2, 1) == 99


def test_a_gray_image_has_two_dimensions(vecs: Any):
    a = np.asarray(vecs.GrayPicture(4, 3))
    assert (a.shape, a[2, 1]) == ((3, 4), 33)


# ---- slices of slices --------------------------------------------------------------------


def test_rows_in_one_piece_of_memory_are_one_array(vecs: Any):
    g = vecs.Grid(3, 4)
    a = np.asarray(g)
    assert (a.shape, a.strides) == ((3, 4), (32, 8))
    a[1, 2] = 9
    assert vecs.At(g, 1, 2) == 9


def test_rows_in_one_piece_of_memory_are_a_plain_memoryview(vecs: Any):
    view = memoryview(vecs.Grid(3, 4))
    assert (view.shape, view.suboffsets, view.format) == ((3, 4), (), "d")


def test_separate_rows_are_an_indirect_view(vecs: Any):
    g = vecs.Separate(3, 4)
    view: Any = memoryview(gopy.view(g))
    assert (view.shape, view.suboffsets) == ((3, 4), (0, -1))
    view[1, 2] = 9.0
    assert vecs.At(g, 1, 2) == 9


def test_numpy_copies_only_where_it_has_to(vecs: Any):
    assert np.asarray(vecs.Float64s(3), copy=False).tolist() == [0, 1, 2]
    assert np.asarray(vecs.Grid(3, 4), copy=False).shape == (3, 4)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(vecs.Separate(3, 4), copy=False)


def test_separate_rows_are_no_memoryview(vecs: Any):
    """NumPy would take it for a table of numbers."""
    with pytest.raises(BufferError, match="apart"):
        memoryview(vecs.Separate(3, 4))


def test_an_array_of_separate_rows_is_a_copy(vecs: Any):
    g = vecs.Separate(30, 40)
    a = np.asarray(g)
    assert a.shape == (30, 40)
    assert a.dtype == "f8"
    assert a[20, 30] == vecs.At(g, 20, 30)
    a[20, 30] = 9
    assert vecs.At(g, 20, 30) != 9


@pytest.mark.parametrize("view", [np.asarray, gopy.view])
@pytest.mark.parametrize("make", ["Separate", "Neighbours", "Grid"])
def test_every_row_is_kept(make: str, view: Any, vecs: Any):
    """Rows that lie one behind the other by chance are no one piece of memory."""
    for columns in (2, 4, 16, 100, 1024):
        v = view(getattr(vecs, make)(50, columns))
        gc.collect()
        vecs.Collect()
        vecs.Litter(20)
        want = [[i + j / 100 for j in range(columns)] for i in range(50)]
        np.testing.assert_allclose(v.tolist(), want)


@pytest.mark.parametrize("make", ["NilRows()", "Grid(0, 3)", "Grid(3, 0)", "Separate(3, 0)"])
def test_no_rows_and_rows_of_nothing_are_empty(make: str, vecs: Any):
    a = np.asarray(eval(f"vecs.{make}"))
    assert a.size == 0
    assert a.dtype == "f8"


def test_rows_that_differ_in_length_are_no_array(vecs: Any):
    with pytest.raises(ValueError, match=r"row|inhomogeneous"):
        np.asarray(vecs.Ragged(3))
    with pytest.raises((BufferError, ValueError), match="row"):
        memoryview(vecs.Ragged(3))
    with pytest.raises((BufferError, ValueError), match="row"):
        gopy.view(vecs.Ragged(3))


@pytest.mark.parametrize("make", ["Grid", "Separate"])
def test_one_row_of_many_is_viewed(make: str, vecs: Any):
    g = getattr(vecs, make)(3, 4)
    row = np.asarray(g[1])
    row[2] = 9
    assert vecs.At(g, 1, 2) == 9


# ---- what has no items of memory ---------------------------------------------------------


@pytest.mark.parametrize("make", ["Strings(2)", "Tags(2)", "PointPointers(2)", "Ages()"])
def test_what_is_not_numbers_gives_no_memoryview(make: str, vecs: Any):
    with pytest.raises((TypeError, BufferError)):
        memoryview(eval(f"vecs.{make}"))


@pytest.mark.parametrize("other", [None, 3, object(), memoryview(b"x")])
def test_a_value_whose_library_was_changed_is_refused(other: object, vecs: Any):
    class Other(_core.GopyValue):
        handle = 1
        __pybuf_library__ = other

    with pytest.raises(TypeError, match="__pybuf_library__ is "):
        memoryview(Other())


def test_a_value_without_a_library_is_no_exporter(vecs: Any):
    with pytest.raises(AttributeError, match="__pybuf_library__"):
        memoryview(_core.GopyValue())
