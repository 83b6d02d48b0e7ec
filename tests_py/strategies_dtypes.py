"""Element types beyond the plain ones: a table of them, and hypothesis strategies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np

DType = np.dtype[Any]

# ---- what a dtype is made of ----


def leaves(dtype: DType, offset: int = 0) -> Iterator[tuple[int, DType]]:
    """Every leaf of a record with its offset; sub-arrays are leaves of their own."""
    if dtype.names is None:
        yield offset, dtype
        return
    for name in dtype.names:
        field, at = dtype.fields[name][:2]
        yield from leaves(field, offset + at)


def normal(dtype: DType) -> Any:
    """A dtype as the tree of what it means: (kind and size, or fields with offsets, extents)."""
    base, extents = dtype.subdtype or (dtype, ())
    if base.subdtype is not None:  # one of a sub-array
        inner, more, extra = normal(base)
        return inner, extents + more, extra
    if base.names is None:
        return base.str, extents, base.itemsize
    fields = tuple((n, base.fields[n][1], normal(base.fields[n][0])) for n in base.names)
    return fields, extents, base.itemsize


def same_items(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Byte for byte, pads left out: whoever copies items need not copy those."""
    if a.dtype.names is None:
        return a.shape == b.shape and a.tobytes() == b.tobytes()
    return a.dtype.names == b.dtype.names and all(same_items(a[n], b[n]) for n in a.dtype.names)


def fill(array: np.ndarray[Any, Any], content: bytes) -> None:
    """Puts bytes into the items, through the array; pads stay as they are."""
    if array.dtype.names is not None:
        for i, name in enumerate(array.dtype.names):
            fill(array[name], content[i:] + content[:i])
    elif array.size and array.dtype.itemsize:
        raw = (content * (array.nbytes // len(content) + 1))[: array.nbytes]
        if array.dtype.kind == "b":  # any other byte is undefined in C
            raw = bytes(b & 1 for b in raw)
        array[...] = np.frombuffer(raw, array.dtype).reshape(array.shape)


# ---- the table ----

PLAIN = str.split("? i1 u1 i2 u2 i4 u4 i8 u8 q Q f2 f4 f8 c8 c16 g G S1")
SWAPPABLE = str.split("i2 u2 i4 u4 i8 u8 f2 f4 f8 c8 c16 U1 U3")
TEXTS = str.split("S2 S5 S255 U1 U3 U70 V1 V3 V8 V100")

_POINT = [("x", "f8"), ("y", "f8")]
_TIGHT = [("a", "i1"), ("b", "f8"), ("c", "i2")]


def _record(names: str, formats: list[Any], offsets: list[int], itemsize: int) -> DType:
    return np.dtype(
        {"names": names.split(), "formats": formats, "offsets": offsets, "itemsize": itemsize}
    )


_SPECS: dict[str, Any] = {
    "point": _POINT,
    "tight": _TIGHT,
    "aligned": np.dtype(_TIGHT, align=True),
    "one field": [("a", "i4")],
    "one byte": [("a", "u1")],
    "all orders": [("a", "<i4"), ("b", ">i4"), ("c", "=i4"), ("d", "|i1")],
    "swapped": np.dtype(_TIGHT).newbyteorder(),
    "strings": [("a", "S5"), ("b", "U3"), ("c", "V7"), ("d", "S1"), ("e", ">U2")],
    "long doubles": [("a", "g"), ("b", "G")],
    "long doubles, tight": [("a", "i1"), ("b", "g"), ("c", "G")],
    "long doubles, aligned": np.dtype([("a", "i1"), ("b", "g"), ("c", "i1")], align=True),
    "complex": [("a", "c8"), ("b", ">c16"), ("c", "?")],
    "halves": [("a", "f2"), ("b", ">f2"), ("c", "f4")],
    "nested": [("p", _POINT), ("n", "i4")],
    "nested, aligned": np.dtype([("n", "i1"), ("p", _POINT), ("m", "i1")], align=True),
    "nested tight in aligned": np.dtype([("n", "i1"), ("p", _TIGHT), ("m", "i8")], align=True),
    "nested aligned in tight": [("n", "i1"), ("p", np.dtype(_TIGHT, align=True)), ("m", "i8")],
    "nested deep": [("a", [("b", [("c", [("d", [("e", "i2")])])])])],
    "sub-arrays": [("a", "f4", (3,)), ("b", ">i2", (2, 3)), ("c", "u1")],
    "sub-arrays, aligned": np.dtype([("a", "i1", (3,)), ("b", "f8", (2, 2))], align=True),
    "sub-array of one": [("a", "f4", (1,)), ("b", "f4", (1, 1, 1))],
    "sub-array of none": [("a", "f4", (0,)), ("b", "i1"), ("c", "f4", (2, 0, 3))],
    "sub-array of strings": [("a", "S3", (2,)), ("b", "U2", (2, 2)), ("c", "V3", (2,))],
    "sub-array of records": [("a", _POINT, (2, 3)), ("b", "i1")],
    "sub-array of padded": [("a", np.dtype(_TIGHT, align=True), (3,)), ("b", "i1")],
    "sub-array of characters": [("a", "S1", (5,)), ("b", "i1")],
    "pads before": _record("a", ["i4"], [7], 11),
    "pads between": _record("a b", ["i1", "i2"], [1, 5], 7),
    "pads behind": _record("a", ["i4"], [0], 100),
    "pads alone": _record("", [], [], 5),
    "pads everywhere": _record("a b c", ["i1", "f8", "S3"], [3, 8, 21], 32),
    "pads of a record": [("a", _record("x", ["i4"], [3], 9)), ("b", "i1")],
    "pads of a sub-array": [("a", _record("x", ["i4"], [3], 9), (2,)), ("b", "i1")],
    "empty record": [("a", []), ("b", "i1")],
    "empty string": [("a", "S0"), ("b", "i1"), ("c", "U0")],
    "names like numbers": [("f1", "i1"), ("f0", "i2"), ("2", "i4")],
    "names with spaces": [(" ", "i1"), ("a b", "i2"), ("\t", "i4"), ("c ", "i8")],
    "names of formats": [("T{i", "i1"), ("}", "i2"), ("<d", "i4"), ("(2)", "i8"), ("3x", "i1")],
    "names with quotes": [("'", "i1"), ('"', "i2"), ("\\", "i4"), ("\n", "i8")],
    "names of others": [("é", "i1"), ("日本", "i2"), ("\U0001f600", "i4"), ("\x7f", "i8")],
    "long names": [("n" * 300, "i1"), ("m" * 300, "f8")],
    "titles": [(("a title", "a"), "i4"), (("b: title", "b"), "f8")],
    "many fields": [(f"field{i}", PLAIN[i % len(PLAIN)]) for i in range(200)],
    "record type": np.dtype((np.record, _POINT)),
    "pixel": [("r", "u1"), ("g", "u1"), ("b", "u1")],
    "wave header": [("riff", "S4"), ("size", "<u4"), ("wave", "S4"), ("rate", ">u2", (2,))],
    "trade": np.dtype([("id", "u8"), ("price", "f8"), ("n", "u4"), ("side", "S1")], align=True),
    "longlong": [("a", "q"), ("b", "Q"), ("c", "l"), ("d", "L")],
}  # fmt: skip

#: By what pytest calls them. None of them is a sub-array: those have no array.
TABLE: dict[str, DType] = {
    **{t: np.dtype(t) for t in PLAIN},
    **{f"swapped {t}": np.dtype(t).newbyteorder() for t in SWAPPABLE},
    **{t: np.dtype(t) for t in TEXTS},
    **{f"record of {t}": np.dtype([("a", t), ("b", "i1")]) for t in PLAIN + TEXTS},
    **{name: np.dtype(spec) for name, spec in _SPECS.items()},
}

SUB_ARRAYS = tuple(
    np.dtype((base, extents))
    for base, extents in itertools.product(
        ("f8", ">i2", "S3", _POINT, np.dtype(_TIGHT, align=True)), ((2,), (1,), (2, 3), (1, 2, 1))
    )
)

# ---- strategies ----

names = st.one_of(
    st.sampled_from(
        ["a", "b", "c", "f0", "f1", "f2", "x", " ", "}", "T{i", "{", "'", '"', "é", "日本"]
    ),
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters=":\0"), min_size=1, max_size=6
    ),
)
leaf_types: st.SearchStrategy[DType] = st.one_of(
    st.sampled_from(PLAIN).map(np.dtype),
    st.sampled_from(SWAPPABLE).map(lambda t: np.dtype(t).newbyteorder()),
    st.builds(lambda kind, n: np.dtype(f"{kind}{n}"), st.sampled_from("SUV"), st.integers(1, 20)),
)


@st.composite
def _sub_array(draw: Any, base: st.SearchStrategy[DType]) -> DType:
    extents = draw(st.lists(st.integers(0, 3), min_size=1, max_size=3))
    of = draw(base)
    return (
        np.dtype((of, tuple(extents))) if of.itemsize else of
    )  # NumPy refuses some of the others


@st.composite
def _records(draw: Any, fields: st.SearchStrategy[DType]) -> DType:
    called = draw(st.lists(names, max_size=5, unique=True))
    formats = [draw(fields) for _ in called]
    spec: dict[str, Any] = {"names": called, "formats": formats}
    match draw(st.sampled_from(["tight", "aligned", "gaps"])):
        case "gaps":
            end, offsets = 0, []
            for f in formats:
                offsets.append(end + draw(st.integers(0, 9)))
                end = offsets[-1] + f.itemsize
            spec |= {"offsets": offsets, "itemsize": end + draw(st.integers(0, 9))}
            return np.dtype(spec)
        case how:
            return np.dtype(spec, align=how == "aligned")


_fields = st.recursive(
    leaf_types, lambda inner: st.one_of(_records(inner), _sub_array(inner)), max_leaves=8
)
#: Records, nested and padded in any way, that have a byte at least.
records: st.SearchStrategy[DType] = _records(_fields).filter(lambda d: d.itemsize > 0)
#: Whatever an array can be of, objects and times left out.
dtypes = st.one_of(leaf_types, records)
#: Sub-arrays of items with a byte at least.
sub_arrays = _sub_array(dtypes).filter(lambda d: d.itemsize > 0 and d.subdtype)
