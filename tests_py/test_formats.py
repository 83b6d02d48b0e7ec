"""Every spelling of an element type, and the format that it leaves as."""

from __future__ import annotations

import _testbuffer
import ctypes
import struct
import warnings
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import pytest
import strategies as s
from hypothesis import given

import pybuf

each = pytest.mark.parametrize
every_format = each("fmt", s.FORMATS)
every_letter = each("spelling", s.LETTERS, ids=str)
every_typestr = each("spelling", s.TYPESTRS, ids=str)


def refusal(dtype: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as e:
        pybuf.empty(3, dtype)
    assert type(e.value) is error
    return str(e.value)


# ---- strings ----


@every_letter
def test_a_letter_with_its_prefix_leaves_as_the_format_that_numpy_would_write(spelling):
    assert pybuf.empty(3, spelling.text).format == spelling.format


@every_letter
def test_a_letter_has_the_size_that_struct_gives_it(spelling):
    text = spelling.text.replace("^", "@")  # struct has no unaligned native sizes
    for number, half in {"Zf": "f", "Zd": "d", "F": "f", "D": "d"}.items():
        if text.endswith(number):  # struct learnt of complex numbers in 3.14
            size = 2 * struct.calcsize(text.removesuffix(number) + half)
            break
    else:
        size = struct.calcsize(text)
    assert pybuf.empty(3, spelling.text).itemsize == size


@every_letter
def test_numpy_sees_the_type_that_it_sees_in_an_exporter_of_the_same_letter(spelling):
    text = spelling.text.replace("^", "@")
    if text[-1] in "nNP":
        text = {"n": "l", "N": "L", "P": "L"}[text[-1]]  # NumPy knows no such letter
    if text[-1] in "FD" or "Z" in text:
        order = text[0].replace("!", ">") if text[0] in "=<>!" else "="
        wanted = np.dtype(order + {"f": "c8", "d": "c16"}[text[-1].lower()])
    else:
        item = b"x" if text[-1] in "cs" else 0
        wanted = np.asarray(_testbuffer.ndarray([item], shape=[1], format=text)).dtype
    assert np.asarray(pybuf.empty(3, spelling.text)).dtype == wanted


@every_typestr
def test_a_typestr_means_what_numpy_takes_it_for(spelling):
    b = pybuf.empty(3, spelling.text)
    wanted = np.dtype(spelling.text)
    assert b.format == spelling.format
    assert b.itemsize == wanted.itemsize
    assert np.asarray(b).dtype == wanted


NAMES = str.split("""
    bool bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 intp uintp intc uintc byte ubyte
    short ushort int uint long ulong longlong ulonglong float16 float32 float64 half single
    double float complex64 complex128 csingle cdouble complex
""")


@each("name", NAMES)
def test_a_name_means_what_numpy_means_by_it(name):
    assert np.asarray(pybuf.empty(3, name)).dtype == np.dtype(name)


def test_pep_3118_wins_where_numpy_reads_the_same_letter_otherwise():
    """'c' is one byte, not complex; 'p' a Pascal string, not an address; 'l'
    after a prefix has 4 bytes; 'P' is a number here and unknown to NumPy."""
    assert pybuf.empty(3, "c").itemsize == 1
    assert np.dtype("l").itemsize == 8
    assert pybuf.empty(3, "=l").itemsize == 4
    assert np.dtype("p").itemsize == 8
    assert "Pascal string" in refusal("p", TypeError)
    assert pybuf.empty(3, "P").format == "L"


def test_a_count_of_one_is_no_count():
    """NumPy writes "1s" for its S1, which is a character."""
    assert [pybuf.empty(1, f).format for f in ("1s", "<1s", "s")] == ["c"] * 3


def test_the_element_type_is_b_when_left_out():
    assert pybuf.empty(3).format == pybuf.zeros(3).format == "B"


@given(spelling=st.sampled_from(s.LETTERS + s.TYPESTRS), data=st.data())
def test_a_spelling_that_was_never_seen_before_means_the_same_as_a_cached_one(spelling, data):
    """A string subclass is asked anew each time; equal strings are looked up."""

    class Spelled(str):
        __slots__ = ()

    asked = pybuf.empty(data.draw(s.shapes), Spelled(spelling.text))
    assert asked.format == pybuf.empty(0, spelling.text).format


# ---- objects ----

SCALARS = (
    np.bool_ , np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64,
    np.longlong, np.ulonglong, np.intp, np.float16, np.float32, np.float64, np.complex64,
    np.complex128, bool, int, float, complex, ctypes.c_bool, ctypes.c_byte, ctypes.c_ushort,
    ctypes.c_int, ctypes.c_long, ctypes.c_longlong, ctypes.c_size_t, ctypes.c_float,
    ctypes.c_double,
)  # fmt: skip


@each("scalar", SCALARS, ids=lambda t: t.__name__)
def test_a_scalar_type_means_what_numpy_means_by_it(scalar):
    assert np.asarray(pybuf.empty(3, scalar)).dtype == np.dtype(scalar)


@each("p", s.PLAIN, ids=lambda p: p.typestr)
@each("order", ["=", "<", ">", "S"])
def test_a_numpy_dtype_comes_back_from_the_export(p, order):
    dtype = p.dtype.newbyteorder(order)
    b = pybuf.empty(3, dtype)
    assert np.asarray(b).dtype == dtype
    assert b.numpy().dtype == dtype
    assert b.itemsize == dtype.itemsize


def test_a_dtype_with_metadata_or_by_bytes_is_taken_as_numpy_takes_it():
    assert pybuf.empty(3, np.dtype("f8", metadata={"unit": "m"})).format == "d"
    assert pybuf.empty(3, b"f8").format == "d"


# ---- what leaves ----


@every_format
def test_a_format_leaves_as_it_came(fmt):
    b = pybuf.empty(3, fmt)
    assert b.format == fmt
    assert memoryview(b).format == fmt
    assert b.itemsize == memoryview(b).itemsize == s.ITEMSIZE[fmt]


@every_format
def test_numpy_has_the_dtype_of_every_format_that_leaves(fmt):
    assert np.asarray(pybuf.empty(3, fmt)).dtype == s.DTYPE[fmt]


@every_format
def test_an_exporter_s_format_comes_back_through_copy(fmt):
    source = pybuf.zeros(3, fmt)
    assert pybuf.copy(source).format == fmt


@each("fmt", s.INDEXABLE_FORMATS)
def test_memoryview_indexes_every_native_format(fmt):
    zero, one = (b"\0", b"x") if fmt == "c" else (0, 1)
    b = pybuf.zeros(3, fmt)
    memoryview(b)[1] = one
    assert memoryview(b).tolist() == [zero, one, zero]
    assert b.tobytes() == struct.pack("3" + fmt, zero, one, zero)


def test_native_formats_leave_without_a_prefix():
    """memoryview indexes only those, and NumPy takes them on its fast path."""
    for spelling in s.LETTERS + s.TYPESTRS:
        b = pybuf.empty(1, spelling.text)
        if np.asarray(b).dtype.isnative:
            assert b.format.removeprefix("Z").isalpha() or b.format == "?"


def test_long_is_the_letter_of_int64():
    """On LP64 NumPy's int64 is C's long, and its fast path is for that."""
    assert struct.calcsize("l") == 8
    assert [pybuf.empty(1, t).format for t in ("i8", np.int64, int, "=q", "n")] == ["l"] * 5
    assert [pybuf.empty(1, t).format for t in ("u8", np.uint64, "=Q", "N", "P")] == ["L"] * 5
    assert [pybuf.empty(1, t).format for t in ("q", "Q")] == ["q", "Q"]


# ---- refusals ----


@each(
    ("dtype", "word"),
    [
        ("O", "object"), (np.dtype("O"), "object"), (object, "object"), ("|O8", "object"),
        ("u", "UCS-2"), ("5p", "Pascal"), ("&d", "pointer"), ("X{}", "function"), ("t", "bits"),
        (s.SWAPPED + "f16", "long double"), (s.SWAPPED + "c32", "long double"),
        (np.dtype("f16").newbyteorder(), "long double"),
        (str, "0 bytes"), (bytes, "0 bytes"), ("V0", "0 bytes"), ("0s", "0 bytes"),
        ("T{}", "0 bytes"), (np.dtype([]), "0 bytes"), (np.dtype(("f8", (2, 0))), "0 bytes"),
    ],
    ids=repr,
)  # fmt: skip
def test_a_type_that_is_understood_and_refused_is_named(dtype, word):
    assert word in refusal(dtype, TypeError)


@each("dtype", ["M8[ns]", "<m8[s]", "datetime64", np.dtype("M8[D]"), np.timedelta64], ids=repr)
def test_the_refusal_of_times_names_the_way_out(dtype):
    assert 'view("i8")' in refusal(dtype, TypeError)


@pytest.mark.skipif(np.__version__ < "2", reason="NumPy 1 has no StringDType")
def test_numpy_s_string_dtype_is_refused_as_a_type_and_not_as_malformed():
    text = refusal(np.dtypes.StringDType(), TypeError)
    assert "string" in text.lower()


@each("dtype", ["<>d", "<T{", "@", "Zi", ")", "3", "d:a", "T{i:a:i:a:}", " ", "T{i:a:}}"])
def test_a_malformed_format_is_refused_with_the_spelling(dtype):
    text = refusal(dtype, ValueError)
    assert repr(dtype) in text or f'"{dtype}"' in text


@each("dtype", ["", "float65", "y", "double precision", "\ud800", "d\0", "f3", "i16", "é", "日本"])
def test_a_string_that_means_nothing_is_refused_with_what_would_do(dtype):
    text = refusal(dtype, ValueError)
    assert repr(dtype) in text or f'"{dtype}"' in text
    assert '"d"' in text or "there are no" in text or "no element type" in text


@each("dtype", [None, 5, 1.5, object(), ["d"], {"names": 1}, (), ...])
def test_what_is_no_element_type_is_refused_as_a_type(dtype):
    assert "dtype" in refusal(dtype, TypeError)


@given(text=st.one_of(s.letters_of_formats, st.text(max_size=6)))
def test_no_string_crashes_the_reader_of_formats(text):
    """Whatever is taken has a size, and leaves as what it came in as; the rest gets a sentence."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about letters it will drop
        b = oracle.outcome(pybuf.empty, 0, text)
    if isinstance(b, pybuf.Buffer):
        assert b.itemsize > 0
        again = pybuf.empty(0, b.format)
        assert (again.format, again.itemsize) == (b.format, b.itemsize)
    else:
        assert b in (TypeError, ValueError, OverflowError)
