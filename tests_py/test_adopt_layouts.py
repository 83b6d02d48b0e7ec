"""adopt() makes of a layout what wrap() does, or refuses it and releases the descriptor."""

from __future__ import annotations

import ctypes
import math
import os
from typing import Any

import descriptors as ds
import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pybuf

ADDRESS = ctypes.addressof(ds.BLOCK)


# ---- what is malformed: released, and refused in a sentence -----------------------------

MALFORMED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "ndim -1": ({"ndim": -1}, ValueError, "-1 dimensions"),
    "ndim 65": ({"shape": [1] * 65}, ValueError, "65 dimensions"),
    "no format": ({"format": None}, ValueError, "no format"),
    "empty format": ({"format": b""}, ValueError, "format"),
    "unknown format": ({"format": b"~~"}, ValueError, "~~"),
    "format no UTF-8": ({"format": b"\xff"}, ValueError, "UTF-8"),
    "objects": ({"format": b"O"}, TypeError, "object"),
    "itemsize 0": ({"itemsize": 0}, ValueError, "0 bytes"),
    "itemsize -8": ({"itemsize": -8}, ValueError, "-8 bytes"),
    "another itemsize": ({"itemsize": 4}, ValueError, "8"),
    "no shape": ({"shape": None, "ndim": 1}, ValueError, "no shape"),
    "negative extent": ({"shape": (-1,)}, ValueError, "-1"),
    "too many items": ({"shape": (2**62, 2)}, OverflowError, "4611686018427387904"),
    "far strides": ({"strides": (2**62,)}, OverflowError, "4611686018427387904"),
    "wrong nbytes": ({"nbytes": 65}, ValueError, "65 bytes"),
    "negative nbytes": ({"nbytes": -64}, ValueError, "-64"),
    "NULL": ({"data": None}, ValueError, "no memory"),
    "out of the address space": ({"data": 2**64 - 8}, ValueError, "address space"),
    "below 0": ({"data": 8, "strides": (-8,)}, ValueError, "address space"),
    "suboffsets alone": ({"suboffsets": (0,)}, ValueError, "suboffsets"),
    "sub-array past 64": (
        {"shape": [1] * 64, "format": b"(2)d", "itemsize": 16, "nbytes": 16},
        ValueError,
        "64 dimensions",
    ),
}


@pytest.mark.parametrize(("field", "error", "words"), MALFORMED.values(), ids=MALFORMED)
def test_what_is_malformed_is_refused_and_released(field, error, words, released):
    address = ds.produce(release=ds.KEEP, **field)
    with pytest.raises(error, match=words):
        pybuf.adopt(address)
    assert released() == 1
    assert ds.at(address).magic == 0


# ---- against the rules of wrap() --------------------------------------------------------

EXTENTS = st.integers(0, 4) | st.sampled_from([-1, 1, 2**31, 2**62, 2**63 - 1])
STRIDES = st.integers(-40, 40) | st.sampled_from([0, 8, -8, 2**40, 2**62, -(2**63)])


@given(
    shape=st.lists(EXTENTS, max_size=4),
    data=st.data(),
    format=st.sampled_from([b"d", b"<i", b"B", b">h", b"T{b:a:i:b:}", b"(2)h", b"Zf"]),
)
def test_a_layout_is_judged_as_wrap_judges_it(shape, data, format):  # noqa: A002
    """What can be is equal in all that a Buffer says; what cannot is refused alike."""
    strides = data.draw(
        st.none() | st.lists(STRIDES, min_size=len(shape), max_size=len(shape)), label="strides"
    )
    negative = data.draw(st.booleans(), label="suboffsets")
    itemsize = np.dtype("i1,i4", align=True).itemsize if b"T" in format else None
    itemsize = itemsize or pybuf.Layout(1, format.decode()).nbytes
    place = 1 << 46
    nbytes = math.prod(shape) * itemsize
    assume(-(2**63) <= nbytes < 2**63)
    before = ds.library().count()
    options: dict[str, Any] = {} if strides is None else {"strides": tuple(strides)}
    if negative and strides is not None:
        options["suboffsets"] = (-1,) * len(shape)

    def wrapped() -> Any:
        b = pybuf.wrap(place, tuple(shape), format.decode(), unowned=True, **options)
        return said(b)

    def adopted() -> Any:
        suboffsets = [-1] * len(shape) if negative else None
        address = ds.produce(
            shape=shape,
            strides=strides,
            suboffsets=suboffsets,
            format=format,
            itemsize=itemsize,
            nbytes=nbytes,
            data=place,
        )
        return said(pybuf.adopt(address))

    assert oracle.outcome(adopted) == oracle.outcome(wrapped)
    assert ds.library().count() == before + 1


def said(b: pybuf.Buffer) -> tuple[Any, ...]:
    view = pybuf.live()[-1]
    flags = None
    if b.nbytes < 2**40 and not b.suboffsets:  # what pointers lead to is trusted
        flags = [b.numpy().flags[name] for name in ("C", "F")]
    return (b.shape, b.strides, b.suboffsets, b.format, b.nbytes, b.address, view.nbytes, flags)


# The lists are longer than any ndim: what C reads of them is there.
LISTS = {
    "ndim": st.integers(0, 3) | st.integers(-2, 70),
    "shape": st.lists(EXTENTS, min_size=70, max_size=70),
    "strides": st.none() | st.lists(STRIDES, min_size=70, max_size=70),
    "suboffsets": st.none() | st.lists(st.integers(-2, 2), min_size=70, max_size=70),
}
FIELDS = {
    "format": st.binary(max_size=6).filter(lambda b: 0 not in b) | st.none(),
    "itemsize": st.integers(-2, 20),
    "nbytes": st.integers(-1, 100),
    "flags": st.integers(0, 7),
    "pid": st.sampled_from([0, 1, 2**31 - 1]),  # 0 is this process to produce()
    "data": st.sampled_from([None, ADDRESS, 8, 2**64 - 1]),
}


@given(fields=st.fixed_dictionaries(LISTS, optional=FIELDS))
def test_no_field_can_do_harm(fields):
    """It is taken or refused, and released once either way, but for another process's."""
    before = ds.library().count()
    address = ds.produce(release=ds.KEEP, **fields)
    left = ds.at(address).flags & ds.PROCESS and ds.at(address).pid != os.getpid()
    oracle.outcome(lambda: said(pybuf.adopt(address)))
    assert ds.at(address).magic == 0
    assert ds.library().count() - before == (0 if left else 1)
