"""Types that are refused, formats that are malformed, long or deep: a sentence, and no more."""

from __future__ import annotations

import re
import warnings
from typing import Any

import hypothesis.strategies as st
import numpy as np
import oracle
import py_buffer
import pytest
import strategies as s
import strategies_dtypes as d
from hypothesis import given

import pybuf

each = pytest.mark.parametrize


def refusal(dtype: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as e:
        pybuf.empty(3, dtype)
    assert type(e.value) is error
    return str(e.value)


# ---- which field ----


def inside(dtype: Any) -> Any:
    return np.dtype([("n", "i4"), ("outer", [("x", "f8"), ("inner", dtype)], (2,))])


@each(
    ("dtype", "word"),
    [
        ("O", "objects"), ("M8[ns]", 'view("i8")'), ("m8[s]", 'view("i8")'),
        (s.SWAPPED + "f16", "long doubles"), (s.SWAPPED + "c32", "long doubles"),
    ],
)  # fmt: skip
def test_the_refusal_of_a_dtype_names_the_field_with_its_path(dtype, word):
    text = refusal(inside(dtype), TypeError)
    assert '"outer.inner"' in text
    assert word in text


@each(
    ("dtype", "sentence"),
    [
        ([("n", "i4"), ("when", "M8[s]")], '"when": .* means dates'),
        ([("n", "i4"), ("in", [("when", "m8[s]")])], r'"in\.when": .* means time spans'),
        ([("a:b", "i4")], '"a:b" has a colon'),
        ("M8[s]", "means dates"),
        ("T", "StringDType"),
    ],
    ids=str,
)
def test_what_numpy_does_not_export_is_refused_with_the_field_in_copies_too(dtype, sentence):
    with pytest.raises((TypeError, ValueError), match=sentence):
        pybuf.copy(np.zeros(2, dtype))


@each(
    ("dtype", "sentence"),
    [
        ([("a", "i4"), ("a", "i4")], "is no element type; .* 'a' occurs more than once"),
        ([("a", "nonsense")], "'nonsense'"),
        ({"names": ["a"], "formats": ["i4"], "itemsize": 2}, "itemsize"),
        (5, "dtype=5 is no element type; "),
    ],
    ids=str,
)
def test_what_numpy_refuses_is_refused_with_its_reason(dtype, sentence):
    assert re.search(sentence, refusal(dtype, TypeError))


@each("dtype", ["S", "U", "V", bytes, str, np.void], ids=str)
def test_strings_of_no_length_are_asked_for_one(dtype):
    assert re.search(r'^typestr ".[SUV]0" means .* such as "S5"$', refusal(dtype, TypeError))


@each(
    ("fmt", "word"),
    [
        ("O", "objects"),
        ("&d", "pointers"),
        ("X{}", "functions"),
        ("5p", "Pascal"),
        ("u", "UCS-2"),
        ("t", "bits"),
    ],
)
def test_the_refusal_of_a_format_names_the_field_with_its_path(fmt, word):
    text = refusal(f"T{{i:n:2T{{d:x:{fmt}:inner:}}:outer:}}", TypeError)
    assert '"outer.inner"' in text
    assert word in text


@each("name", ["a:b", ":", "a\0b", "\0"])
def test_a_name_that_no_format_holds_is_refused(name):
    text = refusal(np.dtype([("ok", "i1"), (name, "i4")]), ValueError)
    assert "colon" in text or "NUL" in text


def test_a_name_that_is_no_text_is_refused():
    assert "UTF-8" in refusal(np.dtype([("a\ud800", "i4")]), ValueError)


@each("offsets", [(0, 2), (4, 0), (0, 0)])
def test_fields_that_overlap_or_are_out_of_order_are_refused(offsets):
    dtype = np.dtype({"names": "ab", "formats": ["i4", "i4"], "offsets": offsets})
    assert 'field "b" lies at byte' in refusal(dtype, ValueError)
    assert '"b"' in refusal(inside(dtype), ValueError)


def test_a_type_of_somebody_else_s_is_refused():
    class Mine(np.dtype(np.void).type):  # type: ignore[misc]
        pass

    assert pybuf.zeros(2, np.dtype((Mine, 8))).itemsize == 8  # it is bytes to anybody else
    if np.__version__ >= "2":
        assert "StringDType" in refusal(np.dtypes.StringDType(), TypeError)


# ---- any text ----

PIECES = """
    T{ } :a: :b: :: ( (2) (2,3) (0) (65) , 0 1 2 3 99999999999999999999 @ = < > ! ^ & X{ X{}
    ? c b B h H i I l L q Q n N P e f d g Zf Zd Zg F D s w x u p O t Z é
"""
pieces = st.lists(st.sampled_from([*PIECES.split(), " ", "\n", "\0"]), max_size=25).map("".join)


@given(text=st.one_of(pieces, pieces.map(lambda p: f"T{{{p}}}"), s.letters_of_formats))
def test_any_text_is_a_type_or_is_refused_in_a_sentence(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about spellings it will drop
        b = oracle.outcome(pybuf.empty, 0, text)
    if isinstance(b, pybuf.Buffer):
        again = pybuf.empty(0, b.format)
        assert (again.format, again.itemsize, again.numpy().dtype) == (
            b.format,
            b.itemsize,
            b.numpy().dtype,
        )
        assert np.asarray(b).dtype.itemsize == b.itemsize
    else:
        assert b in (ValueError, TypeError, OverflowError)


@given(text=pieces, itemsize=st.integers(1, 40))
def test_any_exporter_is_copied_or_refused_in_a_sentence(text, itemsize):
    twin = py_buffer.twin(
        bytes(2 * itemsize),
        0,
        shape=(2,),
        strides=(itemsize,),
        itemsize=itemsize,
        format=text.partition("\0")[0],
        readonly=True,
    )
    b = oracle.outcome(pybuf.copy, twin.view)
    if isinstance(b, pybuf.Buffer):
        assert b.nbytes == 2 * itemsize
        assert b.numpy().nbytes == 2 * itemsize
    else:
        assert b in (ValueError, TypeError, OverflowError)


# ---- long and deep ----


def test_a_format_may_be_of_any_length():
    dtype = np.dtype([(f"a field with a name that is long {i}", "f8") for i in range(2000)])
    b = pybuf.zeros(2, dtype)
    assert len(b.format) > 60_000
    assert memoryview(b).format == b.format
    assert b.numpy().dtype == np.asarray(b).dtype == dtype
    assert pybuf.zeros(2, b.format).format == b.format
    assert pybuf.copy(memoryview(b)).format == b.format


@each("length", [250, 253, 254, 255, 256, 257, 258, 4095, 4096, 4097])
def test_a_format_is_whole_at_any_length(length):
    """Around the room that is there for it at first, and around what is kept."""
    name = "n" * (length - len("T{<d::}"))
    b = pybuf.zeros(2, np.dtype([(name, s.NATIVE + "f8")]))
    assert b.format == memoryview(b).format == f"T{{{s.NATIVE}d:{name}:}}"
    assert len(b.format) == length
    assert pybuf.zeros(2, b.format).numpy().dtype.names == (name,)


@each(
    "text",
    [
        "T{" * 500_000, "T{b:a:" * 100_000, "(" * 10**6, "(1)" * 300_000, "d" * 10**6, "&" * 10**6,
        "X{" * 500_000, ":" * 10**6, "9" * 10**6 + "d", "T{" + "b:x:" * 250_000 + "}", " " * 10**6,
        "(" + "1," * 500_000, "Z" * 10**6, "é" * 10**6, "T{O:" + "n" * 10**6 + ":}", "@" * 10**6,
        "T{i:" + "\\" * 10**6 + ":i:" + "\\" * 10**6 + ":}",
    ],
    ids=lambda t: t[:8].replace(" ", "space"),
)  # fmt: skip
def test_a_mebibyte_of_nonsense_is_refused_shortly(text):
    # What takes time with the square of the length runs into the limit of every test.
    with pytest.raises((ValueError, TypeError, OverflowError)) as e:
        pybuf.empty(3, text)
    assert 10 < len(str(e.value)) < 1000


def deep(n: int) -> d.DType:
    dtype = np.dtype("i4")
    for _ in range(n):
        dtype = np.dtype([("a", dtype)])
    return dtype


def test_records_may_lie_sixty_four_deep_in_one_another():
    b = pybuf.zeros(2, deep(64))
    assert b.numpy().dtype == np.asarray(b).dtype == deep(64)
    assert pybuf.zeros(2, b.format).format == b.format


@each("n", [65, 100, 400, 2000])
def test_records_that_lie_deeper_are_refused(n):
    assert "records inside of one another" in refusal(deep(n), ValueError)
    assert "records inside of one another" in refusal("T{" * n + "i" + "}" * n, ValueError)


def test_more_fields_than_there_may_be_are_refused():
    assert "65536" in refusal("T{" + "b" * 65537 + "}", ValueError)
    b = pybuf.zeros(1, "T{" + "b" * 65536 + "}")
    assert b.itemsize == 65536
