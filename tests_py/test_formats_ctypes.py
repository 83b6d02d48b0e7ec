"""Arrays of ctypes structures, which ctypes describes in words that do not hold all of them."""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import strategies_dtypes as d
from hypothesis import given

import pybuf

SIMPLE = [
    getattr(ctypes, "c_" + name)
    for name in str.split("""
        bool char byte ubyte short ushort int uint long ulong longlong ulonglong float double
        longdouble size_t ssize_t int8 uint16 int32 uint64 void_p
    """)
]
SWAPPABLE = [
    t
    for t in SIMPLE
    if hasattr(t, "__ctype_be__") and t not in (ctypes.c_longdouble, ctypes.c_void_p)
]

Fields = list[tuple[str, Any]]


def structure(fields: Fields, base: Any = ctypes.Structure, pack: int | None = None) -> Any:
    # _layout_ is what a later Python wants to be told beside _pack_.
    body: dict[str, Any] = {} if pack is None else {"_pack_": pack, "_layout_": "ms"}
    return type("S", (base,), {**body, "_fields_": fields})


def normal_of(ctype: Any) -> Any:
    """What `normal` says of a dtype, read off the ctypes type alone."""
    extents: tuple[int, ...] = ()
    while issubclass(ctype, ctypes.Array):
        extents += (ctype._length_,)
        ctype = ctype._type_
    size = ctypes.sizeof(ctype)
    if not issubclass(ctype, ctypes.Structure):
        return np.dtype(ctype if ctype is not ctypes.c_void_p else "u8").str, extents, size
    fields = tuple(
        (f[0], vars(c)[f[0]].offset, normal_of(f[1]))
        for c in reversed(ctype.__mro__)
        for f in vars(c).get("_fields_", ())
    )
    return fields, extents, size


_called = st.lists(
    st.text("abcdefgh_é", min_size=1, max_size=3), min_size=1, max_size=5, unique=True
)


@st.composite
def structures(draw: Any, fields: st.SearchStrategy[Any], packs: Any = (None, 1, 2, 4, 8)) -> Any:
    names = draw(_called)
    pack = draw(st.sampled_from(packs))
    return structure([(n, draw(fields)) for n in names], pack=pack)


def arrays(of: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda t, n: t * n, of, st.integers(0, 3))


ctypes_types = st.recursive(
    st.sampled_from(SIMPLE),
    lambda inner: st.one_of(structures(inner), arrays(inner)),
    max_leaves=8,
)
with_bytes = structures(ctypes_types).filter(ctypes.sizeof)
unpacked = st.recursive(
    st.sampled_from([t for t in SIMPLE if t is not ctypes.c_void_p]),
    lambda inner: structures(inner, [None]) | st.builds(lambda t: t * 2, inner),
    max_leaves=8,
).filter(lambda t: issubclass(t, ctypes.Structure))


@given(ctype=with_bytes, n=st.integers(0, 3))
def test_an_array_of_structures_has_the_fields_that_ctypes_has(ctype, n):
    array = (ctype * n)()
    b = pybuf.wrap(array, owner=array)
    wanted = normal_of(ctype)
    assert b.shape == (n,)
    assert d.normal(b.numpy().dtype) == d.normal(np.asarray(b).dtype) == wanted
    assert d.normal(pybuf.copy(array).numpy().dtype) == wanted


@given(ctype=unpacked)
def test_an_array_of_structures_has_the_dtype_that_numpy_makes_of_it(ctype):
    """Packed ones it does not always place as ctypes does."""
    array = (ctype * 2)()
    dtype = pybuf.wrap(array, owner=array).numpy().dtype
    assert d.normal(dtype) == d.normal(np.dtype(ctype))


@given(ctype=with_bytes, content=st.binary(min_size=1, max_size=40))
def test_items_are_where_ctypes_has_them(ctype, content):
    array = (ctype * 2)()
    raw = (content * ctypes.sizeof(array))[: ctypes.sizeof(array)]
    ctypes.memmove(array, raw, len(raw))
    assert pybuf.wrap(array, owner=array).tobytes() == raw
    assert pybuf.copy(array).cast("B").tobytes() == raw
    assert pybuf.copy(array[0]).tobytes() == raw[: ctypes.sizeof(ctype)]


@pytest.mark.parametrize("swapped", SWAPPABLE)
def test_a_structure_of_the_other_byte_order_has_it(swapped):
    base = ctypes.BigEndianStructure
    array = (structure([("a", ctypes.c_byte), ("b", swapped), ("c", swapped * 2)], base) * 2)()
    dtype = pybuf.wrap(array, owner=array).numpy().dtype
    assert dtype.fields["b"][0] == np.dtype(swapped).newbyteorder(">")
    assert d.normal(dtype) == d.normal(pybuf.copy(array).numpy().dtype)
    assert dtype.fields["b"][1] == vars(type(array[0]))["b"].offset


def test_fields_of_a_base_class_are_there():
    """ctypes leaves them out of its format."""
    base = structure([("x", ctypes.c_double), ("y", ctypes.c_byte)])
    derived = structure([("z", ctypes.c_byte)], base)
    array = (derived * 2)()
    assert pybuf.wrap(array, owner=array).numpy().dtype == np.dtype(
        {"names": "xyz", "formats": ["f8", "i1", "i1"], "offsets": [0, 8, 16], "itemsize": 24}
    )


@pytest.mark.parametrize(
    "make", [lambda a: pybuf.wrap(a, owner=a), pybuf.copy, lambda a: pybuf.copy(memoryview(a))]
)
def test_characters_are_those_of_numpy(make):
    """Of 4 bytes; ctypes writes the letter that means UCS-2 to others."""
    text = (ctypes.c_wchar * 3)("a", "\N{OLD PERSIAN SIGN A}", "c")
    assert make(text).format == "w"
    assert make(text).numpy().tolist() == list(text)
    array = (structure([("n", ctypes.c_int), ("w", ctypes.c_wchar * 3)]) * 2)()
    array[1].w = "xyz"
    assert make(array).numpy()["w"][1].tolist() == ["x", "y", "z"]


@pytest.mark.parametrize("make", [lambda a: pybuf.wrap(a, owner=a), pybuf.copy])
@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([("a", ctypes.c_int, 4), ("b", ctypes.c_byte)], "'a' .* is of bits"),
        ([("a", ctypes.c_int), ("b", ctypes.c_int, 3)], "'b' .* is of bits"),
        ([("p", ctypes.POINTER(ctypes.c_int))], "'p' .* is a pointer"),
        ([("f", ctypes.CFUNCTYPE(ctypes.c_int))], "'f' .* is none of numbers"),
        ([("s", ctypes.c_char_p)], "'s' .* is a pointer"),
        ([("s", ctypes.c_wchar_p)], "'s' .* is a pointer"),
        ([("o", ctypes.py_object)], '"o": typestr .* means objects'),
        ([("u", type("U", (ctypes.Union,), {"_fields_": [("i", ctypes.c_int)]}))], "'u' .* union"),
        ([("s", structure([("n", ctypes.c_char_p)]))], r"'s\.n' .* is a pointer"),
        ([], "0 bytes"),
    ],
    ids=str,
)
def test_what_no_format_says_is_refused_with_the_field(fields, sentence, make):
    array = (structure(fields) * 2)()
    with pytest.raises(TypeError, match=sentence):
        make(array)


def test_an_array_of_unions_is_refused():
    """ctypes calls them bytes, of another size than one."""
    union = type("U", (ctypes.Union,), {"_fields_": [("d", ctypes.c_double), ("i", ctypes.c_int)]})
    array = (union * 2)()
    for make in (lambda a: pybuf.wrap(a, owner=a), pybuf.copy):
        with pytest.raises(TypeError, match="is a union"):
            make(array)


def test_a_name_that_no_format_holds_is_refused():
    array = (structure([("a:b", ctypes.c_int)]) * 2)()
    with pytest.raises(ValueError, match="colon"):
        pybuf.wrap(array, owner=array)


def test_a_structure_type_is_a_dtype_too():
    point = structure([("x", ctypes.c_double), ("n", ctypes.c_byte)])
    b = pybuf.zeros(3, point)
    assert b.numpy().dtype == np.dtype(point)
    assert b.itemsize == ctypes.sizeof(point)


def test_a_structure_type_does_not_live_on(only_explicit_collections):
    ctype = structure([("a", ctypes.c_int), ("b", ctypes.c_double)])
    gone = weakref.ref(ctype)
    array = (ctype * 2)()
    pybuf.wrap(array, owner=array).numpy()
    pybuf.copy(array)
    del array, ctype
    gc.collect()
    # ctypes itself keeps the types of arrays by their items' until there is room for others.
    assert gone() is None or not [r for r in gc.get_referrers(gone()) if "pybuf" in repr(type(r))]


def test_a_second_use_of_a_structure_type_does_not_enter_go(go_calls):
    array = (structure([("seldom", ctypes.c_int), ("seen", ctypes.c_double)]) * 2)()
    pybuf.wrap(array, owner=array)
    before = go_calls()
    for _ in range(10):
        pybuf.wrap(array, owner=array)
        pybuf.copy(array)
    assert go_calls() == before


def test_a_memoryview_of_structures_has_their_fields():
    """Before Python 3.12 the format has no pads, which nobody can tell from a packed record."""
    swapped = structure([("a", ctypes.c_byte), ("b", ctypes.c_int)], ctypes.BigEndianStructure)
    for ctype in (swapped, structure([("a", ctypes.c_byte), ("b", ctypes.c_int)])):
        copied = pybuf.copy(memoryview((ctype * 2)()))
        assert d.normal(copied.numpy().dtype) == normal_of(ctype)


@pytest.mark.parametrize(
    "type_", [ctypes.c_double, ctypes.c_bool, ctypes.c_int * 3, ctypes.c_char]
)
def test_a_ctypes_type_is_the_element_type_that_numpy_makes_of_it(type_):
    dtype = np.dtype(type_)
    b = pybuf.zeros(2, type_)
    assert b.numpy().dtype == dtype.base
    assert b.shape == (2, *dtype.shape)


def test_a_ctypes_type_with_a_base_has_the_fields_of_the_base():
    """np.dtype() leaves them out."""
    base = structure([("x", ctypes.c_int)])
    layout = pybuf.Layout(1, structure([("y", ctypes.c_double)], base))
    assert layout == pybuf.Layout(1, "T{i:x:d:y:}")


def test_ctypes_types_are_known_without_numpy(fresh):
    fresh(
        """
        import sys
        sys.modules["numpy"] = None
        import ctypes, pybuf
        class Pair(ctypes.Structure):
            _fields_ = [("a", ctypes.c_byte), ("b", ctypes.c_short * 2)]
        assert pybuf.Layout(3, Pair).itemsize == 6
        assert pybuf.Layout(3, ctypes.c_float).format == "f"
        """
    )
