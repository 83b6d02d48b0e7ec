"""What others export, each in its manner, is understood: copy() has the types that they mean."""

from __future__ import annotations

import array
import struct

import numpy as np
import py_buffer
import pytest
import strategies as s
import strategies_dtypes as d
from hypothesis import given

import pybuf

each = pytest.mark.parametrize


def exporter(fmt: str, itemsize: int, n: int = 2) -> py_buffer.Twin:
    """Somebody who exports items of this size in this format; its bytes count up."""
    return py_buffer.twin(
        bytes(i % 251 for i in range(n * itemsize)),
        0,
        shape=(n,),
        strides=(itemsize,),
        itemsize=itemsize,
        format=fmt,
        readonly=False,
    )


def copied(twin: py_buffer.Twin) -> pybuf.Buffer:
    """A copy, with the bytes of its source; the memory of that lives until here."""
    b = pybuf.copy(twin.view)
    assert b.tobytes() == twin.memory.raw[: b.nbytes]
    return b


def offsets(b: pybuf.Buffer) -> list[int]:
    return [o for o, _ in d.leaves(b.numpy().dtype)]


# ---- NumPy ----


def exported_by_numpy(dtype: d.DType) -> memoryview | None:
    try:
        return memoryview(np.zeros(2, dtype))
    except (ValueError, BufferError):  # NumPy cannot say all that we can
        return None


@each("dtype", d.TABLE.values(), ids=d.TABLE)
def test_an_array_of_any_type_is_copied_with_its_type(dtype):
    source = np.zeros((2, 3), dtype)
    d.fill(source, bytes(range(1, 200)))
    for a in (source, source[::-1, ::2], source.T):
        if exported_by_numpy(dtype) is not None:
            b = pybuf.copy(a)
            assert b.shape == a.shape
            assert b.numpy().dtype == dtype
            assert d.same_items(b.numpy(), a)


@each("dtype", d.TABLE.values(), ids=d.TABLE)
def test_a_memoryview_of_an_array_is_copied_with_its_type(dtype):
    source = np.zeros((2, 3), dtype)
    if exported_by_numpy(dtype) is not None:
        assert pybuf.copy(memoryview(source)).numpy().dtype == dtype
        assert pybuf.copy(memoryview(source)[1:]).numpy().dtype == dtype
        assert pybuf.copy(memoryview(memoryview(source))).shape == (2, 3)
        assert pybuf.copy(memoryview(source).cast("B")).format == "B"


@each("dtype", d.TABLE.values(), ids=d.TABLE)
def test_the_format_of_an_array_alone_says_where_the_fields_lie(dtype):
    """What NumPy leaves out are pads at the end of records that are fields."""
    view = exported_by_numpy(dtype)
    if view is not None and dtype.names is not None:
        b = copied(exporter(view.format, view.itemsize))
        assert b.itemsize == dtype.itemsize
        assert offsets(b) == [o for o, _ in d.leaves(dtype)]


@given(dtype=d.records, shape=s.shapes)
def test_any_array_is_copied_with_its_type(dtype, shape):
    b = pybuf.copy(np.zeros(shape, dtype))
    assert b.numpy().dtype == dtype
    assert b.shape == shape


def test_an_array_with_fields_that_overlap_is_refused():
    """NumPy itself does not export it."""
    overlapping = np.dtype({"names": "ab", "formats": ["i4", "i4"], "offsets": [0, 2]})
    with pytest.raises((ValueError, BufferError)):
        pybuf.copy(np.zeros(2, overlapping))


# ---- ourselves ----


@given(dtype=d.dtypes)
def test_what_leaves_comes_back(dtype):
    b = pybuf.zeros(2, dtype)
    assert pybuf.copy(memoryview(b)).format == b.format
    assert copied(exporter(b.format, b.itemsize)).format == b.format


# ---- array, struct, Cython, ctypes before 3.12 ----


@each("letter", array.typecodes.replace("u", "").replace("w", ""))
def test_an_array_array_is_copied_with_its_letter(letter):
    source = array.array(letter, [1, 2, 3])
    b = pybuf.copy(source)
    assert b.itemsize == source.itemsize == struct.calcsize(letter)
    assert b.tolist() == [1, 2, 3]


@each(
    ("fmt", "itemsize", "wanted"),
    [
        ("T{d:a:i:b:}", 16, [0, 8]),
        ("T{b:a:d:b:h:c:}", 24, [0, 8, 16]),
        ("T{^d:a:^i:b:}", 12, [0, 8]),
        ("T{^b:a:^d:b:}", 9, [0, 1]),
        ("T{Zf:z:b:b:}", 12, [0, 8]),
        ("T{Zd:z:b:b:}", 24, [0, 16]),
        ("T{(3)d:v:i:n:}", 32, [0, 24]),
        ("T{(2,3)f:m:b:b:}", 28, [0, 24]),
        ("T{T{d:x:d:y:}:p:i:n:}", 24, [0, 8, 16]),
        ("T{b:a:T{^b:x:^d:y:}:p:d:z:}", 24, [0, 1, 2, 16]),
        ("T{^b:a:^T{b:x:d:y:}:p:^d:z:}", 25, [0, 1, 9, 17]),
        ("T{c:a:g:b:}", 32, [0, 16]),
    ],
)
def test_a_record_as_cython_exports_it(fmt, itemsize, wanted):
    """A memoryview of a cdef struct or a cdef packed struct."""
    b = copied(exporter(fmt, itemsize))
    assert b.itemsize == itemsize
    assert offsets(b) == wanted


@each(
    ("fmt", "itemsize", "wanted"),
    [
        ("T{%b:a:%i:b:}", 8, [0, 4]),
        ("T{%b:a:T{%d:x:%b:y:}:p:%h:c:}", 32, [0, 8, 16, 24]),
        ("T{%b:a:(2)T{%d:x:%b:y:}:p:%h:c:}", 48, [0, 8, 40]),
        ("T{%b:a:3x%i:b:}", 8, [0, 4]),
        ("T{%b:a:%i:b:}", 5, [0, 1]),
    ],
)
def test_a_record_as_ctypes_exports_it(fmt, itemsize, wanted):
    """Without pads before Python 3.12, and with them from there on."""
    assert offsets(copied(exporter(fmt.replace("%", s.NATIVE), itemsize))) == wanted


@each("fmt", ["d", "<d", "5s", "3w", "8x", "3d", "2T{d:a:}", "T{d:a:i:b:}"])
def test_an_itemsize_that_the_format_cannot_have_is_refused(fmt):
    for itemsize in (1, 7, 11):
        with pytest.raises(ValueError, match=f"the exporter says that its items have {itemsize} "):
            copied(exporter(fmt, itemsize))


@each(
    ("fmt", "error"),
    [("T{O:a:}", TypeError), ("T{d:a", ValueError), ("no", ValueError), ("", ValueError)],
)
def test_what_no_buffer_can_be_of_is_refused(fmt, error):
    with pytest.raises(error, match="format"):
        copied(exporter(fmt, 8))


@each("fmt", ["\udcff", "T{i:\udcff\udcfe:}", "d\udc80"])
def test_a_format_that_is_no_utf_8_is_refused(fmt):
    with pytest.raises(ValueError, match="UTF-8"):
        copied(exporter(fmt, 4))


def test_extents_of_an_exporter_s_items_extend_the_shape():
    """memoryview takes "(2,3)h" for an item of 12 bytes, and NumPy for an array of them."""
    assert copied(exporter("(2,3)h", 12, 4)).shape == (4, 2, 3)
    assert copied(exporter("2T{b:a:}", 2, 4)).shape == (4, 2)


def test_a_view_of_too_many_axes_with_its_extents_is_refused():
    twin = py_buffer.twin(
        b"ab", 0, shape=(1,) * 63, strides=(2,) * 63, itemsize=2, format="(1,2)b", readonly=True
    )
    with pytest.raises(ValueError, match="at most 64"):
        pybuf.copy(twin.view)
