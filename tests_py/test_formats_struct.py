"""Formats of several items, against the struct module: the same bytes mean the same values."""

from __future__ import annotations

import _testbuffer
import struct
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import strategies_dtypes as d
from hypothesis import given

import pybuf

NATIVE = "?cbBhHiIlLqQnNefdxs"
STANDARD = "?cbBhHiIlLqQefdxs"


@st.composite
def struct_formats(draw: Any, *, letters: str = "") -> str:
    prefix = draw(st.sampled_from(["", "@", "=", "<", ">", "!"]))
    known = letters or (NATIVE if prefix in ("", "@") else STANDARD)
    item = st.tuples(
        st.sampled_from(["", "", "", "0", "1", "2", "3", "17"]), st.sampled_from(known)
    )
    items = [count + letter for count, letter in draw(st.lists(item, min_size=1, max_size=7))]
    if draw(st.booleans()):
        items.append("0" + draw(st.sampled_from(known.replace("x", ""))))  # aligns the end
    return prefix + draw(st.sampled_from(["", " ", "\n"])).join(items)


def values_of(item: Any) -> list[Any]:
    """The values of an item, its fields one after the other, as struct has them."""
    if item.dtype.names is None:
        return list(item.reshape(-1))
    return [v for name in item.dtype.names for v in values_of(item[name])]


def same_values(ours: list[Any], theirs: tuple[Any, ...]) -> bool:
    """struct has bytes with the NULs that fill them."""
    theirs = tuple(v.rstrip(b"\0") if isinstance(v, bytes) else v for v in theirs if v != b"")
    ours = [v for v in ours if not (isinstance(v, bytes) and v == b"" and b"" not in theirs)]
    return len(ours) == len(theirs) and all(
        a == b or (a != a and b != b)  # noqa: PLR0124 - nan
        for a, b in zip(ours, theirs, strict=True)
    )


@given(fmt=struct_formats())
def test_a_format_has_the_bytes_that_struct_gives_it(fmt):
    size = struct.calcsize(fmt)
    if size == 0:
        with pytest.raises(TypeError, match="0 bytes"):
            pybuf.empty(3, fmt)
    else:
        assert pybuf.empty(3, fmt).nbytes == 3 * size


@given(fmt=struct_formats(letters="?bBhHiIlLqQefdx"), data=st.data())
def test_a_format_has_its_values_where_struct_has_them(fmt, data):
    size = struct.calcsize(fmt)
    if size == 0:
        return
    raw = data.draw(st.binary(min_size=size, max_size=size))
    if "?" in fmt:
        raw = bytes(b & 1 for b in raw)  # any other byte is undefined in C
    b = pybuf.empty((), fmt)
    memoryview(b.cast("B", (size,)))[:] = raw
    if b.numpy().dtype.kind != "V" or b.numpy().dtype.names is not None:
        values = struct.unpack(fmt, raw)
        assert same_values(values_of(b.numpy()), values)
        assert same_values(values_of(np.asarray(b)), values)


@pytest.mark.parametrize(
    "fmt",
    ["bd", "db", "db0d", "<bd", ">h3sxi", "@b0q", "2i3h", "5sH", "i5x", "bxxi", "=qb", "!IHB0s"],
)
def test_an_exporter_of_several_items_is_copied(fmt):
    """CPython's own exporter of struct formats, and memoryview's way with them."""
    size = struct.calcsize(fmt)
    values = struct.unpack(fmt, bytes(range(1, size + 1)))
    source = _testbuffer.ndarray([values, values], shape=[2], format=fmt)
    for exporter in (source, memoryview(source)):
        b = pybuf.copy(exporter)
        assert b.nbytes == 2 * size
        assert b.tobytes() == source.tobytes()
        assert same_values(values_of(b.numpy()[1]), values)


@pytest.mark.parametrize(
    ("fmt", "offsets", "itemsize"),
    [
        ("bd", [0, 8], 16),
        ("db", [0, 8], 9),
        ("db0d", [0, 8], 16),
        ("<bd", [0, 1], 9),
        ("T{b:a:d:b:}", [0, 8], 16),
        ("T{d:a:b:b:}", [0, 8], 16),
        ("^T{b:a:d:b:}", [0, 1], 9),
        ("=T{b:a:d:b:}", [0, 1], 9),
        ("T{b:a:3xi:b:2x}", [0, 4], 12),
        ("T{>h:a:i:b:@i:c:}", [0, 2, 8], 12),
        ("T{b:a:T{h:x:i:y:}:b:b:c:}", [0, 4, 8, 12], 16),
        ("T{b:a:(2,3)h:b:b:c:}", [0, 2, 14], 16),
        ("T{b:a:2T{i:x:b:y:}:b:b:c:}", [0, 4, 20], 24),
        ("T{b:a:g:b:b:c:}", [0, 16, 32], 48),
    ],
)
def test_the_fields_of_a_format_lie_where_pep_3118_puts_them(fmt, offsets, itemsize):
    b = pybuf.empty(2, fmt)
    for dtype in (b.numpy().dtype, np.asarray(b).dtype):
        assert [o for o, _ in d.leaves(dtype)] == offsets
        assert dtype.itemsize == itemsize
