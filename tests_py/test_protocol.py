"""The buffer protocol: what each request is answered, field by field."""

from __future__ import annotations

import _testbuffer
import ctypes
from collections.abc import Callable
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import oracle
import py_buffer as pb
import pytest
import strategies as s
from hypothesis import given

import pybuf

ND = _testbuffer

NAMED_REQUESTS = {
    name: getattr(pb, name)
    for name in str.split("""
        SIMPLE WRITABLE FORMAT ND STRIDES C_CONTIGUOUS F_CONTIGUOUS ANY_CONTIGUOUS INDIRECT
        CONTIG CONTIG_RO STRIDED STRIDED_RO RECORDS RECORDS_RO FULL FULL_RO
    """)
}


def over(nd: ND.ndarray, *, readonly: bool | None = None) -> tuple[pybuf.Buffer, oracle.Layout]:
    """A Buffer over the memory of CPython's own exporter, and its layout."""
    whole = pb.ask(nd, pb.FULL_RO)
    shape, strides = whole.shape or (), whole.strides or ()
    b = pybuf.wrap(
        whole.buf,
        shape,
        whole.format,
        strides=strides,
        suboffsets=whole.suboffsets,
        readonly=whole.readonly if readonly is None else readonly,
        owner=nd,
    )
    return b, oracle.Layout(whole.itemsize, shape, strides, whole.suboffsets or ())


def exporter(shape=(), *, flags=0, cut=None, fmt="i", **kwargs) -> ND.ndarray:
    """CPython's _testbuffer.ndarray over numbers that count up."""
    n = 1
    for extent in kwargs.pop("block", shape):
        n *= extent
    items = list(range(n)) if shape else 7
    nd = ND.ndarray(items, shape=list(shape), format=fmt, flags=flags, **kwargs)
    return nd if cut is None else nd[cut]


EXPORTERS: dict[str, Callable[[], ND.ndarray]] = {
    "C": lambda: exporter((3, 4), flags=ND.ND_WRITABLE),
    "C read-only": lambda: exporter((3, 4)),
    "C of one axis": lambda: exporter((12,), flags=ND.ND_WRITABLE),
    "C of bytes": lambda: exporter((12,), fmt="B"),
    "C of big-endian items": lambda: exporter((12,), fmt=">d"),
    "Fortran": lambda: exporter((3, 4, 2), flags=ND.ND_FORTRAN | ND.ND_WRITABLE),
    "Fortran read-only": lambda: exporter((3, 4), flags=ND.ND_FORTRAN),
    "both orders": lambda: exporter((1, 5, 1)),
    "strided": lambda: exporter((3, 2), strides=[16, 8], block=(12,)),
    "strided on one axis": lambda: exporter((5,), strides=[8], block=(12,)),
    "negative": lambda: exporter((3, 4), strides=[-16, -4], offset=44),
    "negative on one axis": lambda: exporter((12,), cut=slice(None, None, -1)),
    "zero strides": lambda: exporter((3, 4), strides=[0, 0]),
    "zero stride on one axis": lambda: exporter((3, 4), strides=[0, 4], block=(4,)),
    "0-d": lambda: exporter((), flags=ND.ND_WRITABLE),
    "0-d read-only": lambda: exporter(()),
    "zero-size": lambda: exporter((3, 0, 2), block=(1,)),
    "zero-size with odd strides": lambda: exporter((0, 3), strides=[-8, 4], block=(6,)),
    "one item with odd strides": lambda: exporter((1, 1), strides=[-8, 20], block=(6,)),
    "indirect": lambda: exporter((3, 4), flags=ND.ND_PIL | ND.ND_WRITABLE),
    "indirect read-only": lambda: exporter((3, 4), flags=ND.ND_PIL),
    "indirect cut": lambda: exporter((6, 4), flags=ND.ND_PIL, cut=slice(None, None, -2)),
    "indirect of one axis": lambda: exporter((6,), flags=ND.ND_PIL),
}

each_exporter = pytest.mark.parametrize("make", EXPORTERS.values(), ids=EXPORTERS)


# ---- against the tables, and against CPython's own exporter ----


def test_the_flags_are_cpython_s():
    assert {name: getattr(ND, f"PyBUF_{name}") for name in NAMED_REQUESTS} == NAMED_REQUESTS


@each_exporter
def test_every_request_is_answered_as_the_tables_of_the_documentation_say(make):
    nd = make()
    b, layout = over(nd)
    whole = pb.ask(nd, pb.FULL_RO)
    for flags in pb.ALL_REQUESTS:
        expected = oracle.answer(
            layout, flags, buf=whole.buf, format=whole.format, readonly=whole.readonly
        )
        assert pb.ask(b, flags) == expected, hex(flags)
    assert b.exports == 0


@each_exporter
def test_every_request_is_answered_as_cpython_s_exporter_answers_it(make):
    """Refused alike, and granted with the same pointers NULL."""
    nd = make()
    b, _ = over(nd)
    for flags in pb.ALL_REQUESTS:
        assert pb.ask(b, flags) == pb.ask(nd, flags), hex(flags)


@each_exporter
def test_cpython_s_consumer_reads_the_same_items_under_every_request(make):
    nd = make()
    b, _ = over(nd)
    for name, flags in NAMED_REQUESTS.items():
        for more in (0, pb.WRITABLE, pb.FORMAT, pb.WRITABLE | pb.FORMAT):
            try:
                expected = ND.ndarray(nd, getbuf=flags | more)
            except BufferError:
                with pytest.raises(BufferError):
                    ND.ndarray(b, getbuf=flags | more)
                continue
            got = ND.ndarray(b, getbuf=flags | more)
            assert got.tobytes() == expected.tobytes(), name
            assert (got.obj, b.exports) == (b, 1)
            del got
    assert b.exports == 0


@given(data=st.data(), flags=st.sampled_from(pb.ALL_REQUESTS))
def test_any_layout_answers_any_request_as_the_tables_say(data, flags):
    block = data.draw(s.blocks())
    expected = oracle.answer(
        block.layout,
        flags,
        buf=ctypes.addressof(block.memory) + block.offset,
        format=block.buffer.format,
        readonly=block.buffer.readonly,
    )
    assert pb.ask(block.buffer, flags) == expected


@given(data=st.data())
def test_contiguity_is_what_pybuffer_iscontiguous_says(data):
    """Asked by request; the oracle of these tests is held to the same."""
    block = data.draw(s.blocks())
    layout = block.layout
    for order, request in {"C": pb.C_CONTIGUOUS, "F": pb.F_CONTIGUOUS}.items():
        expected = pb.is_contiguous(layout.shape, layout.strides, layout.itemsize, order)
        assert (pb.ask(block.buffer, request) is not None) == expected
        assert (order in layout.contiguous) == expected


def test_all_negative_suboffsets_are_no_suboffsets():
    """NumPy refuses any suboffsets that are not NULL, even of -1."""
    block = (ctypes.c_int * 6)(*range(6))
    b = pybuf.wrap(block, (2, 3), "i", strides=(12, 4), suboffsets=(-1, -7), owner=block)
    assert b.suboffsets == ()
    assert pb.ask(b, pb.FULL_RO).suboffsets is None
    assert pb.ask(b, pb.SIMPLE).buf == ctypes.addressof(block)


def test_rows_behind_a_table_of_pointers_are_read_through_it():
    b = s.indirect([[0, 1, 2], [10, 11, 12]])
    assert b.suboffsets == (0, -1)
    assert memoryview(b).tolist() == [[0, 1, 2], [10, 11, 12]]
    memoryview(b)[1, 2] = -5
    _, rows = b.owner
    assert list(rows[1]) == [10, 11, -5]


# ---- a refusal ----


@each_exporter
def test_a_refused_request_leaves_obj_null_and_counts_nothing(make):
    b, layout = over(make())
    refused = [f for f in pb.ALL_REQUESTS if not oracle.is_granted(layout, f, b.readonly)]
    assert refused  # FORMAT without ND is refused by every layout
    for flags in refused:
        view = pb.dirty()
        with pytest.raises(BufferError) as e:
            pb.get(b, flags, view)
        assert str(e.value)
        assert view.obj is None, hex(flags)
        assert b.exports == 0
    assert b.close() is True  # nothing was lent


def test_each_refusal_says_what_was_asked_and_what_is_there():
    fortran = pybuf.zeros((2, 3), "d", order="F")
    c = pybuf.zeros((2, 3), "d")
    gaps = pybuf.wrap(1 << 20, (2, 3), "d", strides=(48, 8), unowned=True)
    indirect, _ = over(EXPORTERS["indirect"]())
    for b, flags, words in [
        (c.toreadonly(), pb.FULL, "writable.*read-only"),
        (indirect, pb.RECORDS_RO, "indirect.*PyBUF_INDIRECT"),
        (fortran, pb.C_CONTIGUOUS, "^C-contiguous.*not"),
        (c, pb.F_CONTIGUOUS, "^Fortran-contiguous.*not"),
        (gaps, pb.ANY_CONTIGUOUS, "^contiguous.*not"),
        (fortran, pb.ND, "strides.*not C-contiguous"),
        (c, pb.FORMAT, "PyBUF_FORMAT without PyBUF_ND"),
    ]:
        with pytest.raises(BufferError, match=words):
            pb.get(b, flags, pb.dirty())


def test_a_closed_buffer_refuses_every_request_with_valueerror_and_obj_null():
    b = pybuf.zeros(3)
    b.close()
    for flags in pb.ALL_REQUESTS:
        view = pb.dirty()
        with pytest.raises(ValueError, match="closed"):
            pb.get(b, flags, view)
        assert view.obj is None
    assert b.exports == 0


def test_a_granted_request_counts_one_export_until_its_release():
    b = pybuf.zeros(3)
    with pb.held(b, pb.FULL_RO) as view:
        assert b.exports == 1
        assert view.obj == id(b)
        with pb.held(b, pb.SIMPLE):
            assert b.exports == 2
        assert b.exports == 1
    assert b.exports == 0


def test_the_holder_of_a_request_keeps_the_buffer():
    releases = []
    b = pybuf.wrap(1 << 20, 3, release=releases.append)
    view = pb.dirty()
    pb.get(b, pb.FULL_RO, view)
    del b
    assert releases == []
    pb.release(view)
    assert releases == [1 << 20]


# ---- immutable while lent ----


def test_what_a_request_was_answered_stays_true_whatever_happens_to_the_buffer():
    b = pybuf.zeros((2, 3, 4, 5), "d")  # enough axes for dims that are not inline
    with pb.held(b, pb.FULL) as view:
        before = pb.read(view)
        pointers = [ctypes.cast(p, ctypes.c_void_p).value for p in (view.shape, view.strides)]
        with pytest.raises(BufferError):
            b.resize(7)
        small = b.cast("B", (960,)), b.toreadonly(), memoryview(b).cast("B"), b.numpy()
        assert pb.read(view) == before
        del small
        b.close()
        del b
        assert pb.read(view) == before
        after = [ctypes.cast(p, ctypes.c_void_p).value for p in (view.shape, view.strides)]
        assert after == pointers


def test_two_requests_see_the_same_shape_and_memory():
    b = pybuf.zeros((2, 3), "d")
    assert pb.ask(b, pb.FULL_RO) == pb.ask(b, pb.FULL_RO) == pb.ask(b, pb.FULL)
    assert pb.ask(b.toreadonly(), pb.FULL_RO) == replace(pb.ask(b, pb.FULL), readonly=True)


# ---- zero bytes ----

EMPTY: dict[str, Callable[[], pybuf.Buffer]] = {
    "zeros": lambda: pybuf.zeros(0, "d"),
    "zeros of many axes": lambda: pybuf.zeros((3, 0, 1 << 40), "Zd", order="F"),
    "empty aligned": lambda: pybuf.empty((0,), align=4096),
    "zeros of Go's heap": lambda: pybuf.zeros((0, 3), "d", source="go"),
    "copy of bytes": lambda: pybuf.copy(b""),
    "copy of an array": lambda: pybuf.copy(np.empty((0, 3))),
    "wrap of NULL": lambda: pybuf.wrap(0, 0, "d", unowned=True),
    "wrap of NULL with strides": lambda: pybuf.wrap(
        ctypes.c_void_p(), (3, 0), "d", strides=(-8, 80), nbytes=0, unowned=True
    ),
    "cast": lambda: pybuf.zeros(0, "d").cast("i"),
    "toreadonly": lambda: pybuf.wrap(0, 0, unowned=True).toreadonly(),
}


@pytest.mark.parametrize("make", EMPTY.values(), ids=EMPTY)
def test_zero_bytes_have_an_aligned_address_at_every_door(make):
    b = make()
    assert b.nbytes == b.size == 0
    for address in (
        pb.ask(b, pb.SIMPLE).buf,
        b.address,
        b.__array_interface__["data"][0],
        b.numpy().__array_interface__["data"][0],
    ):
        assert address
        assert address % 64 == 0
    assert bytes(b) == b""


def test_pyarrow_takes_zero_bytes(fresh):
    """It aborts the process on a NULL pointer, so it gets one of its own."""
    fresh("""
        import pyarrow as pa, pybuf, pickle
        for b in (
            pybuf.zeros(0), pybuf.zeros((0, 3), "d"), pybuf.copy(b""),
            pybuf.wrap(0, 0, unowned=True), pybuf.zeros(0).cast("d"), pybuf.zeros(0).toreadonly(),
            pickle.loads(pickle.dumps(pybuf.zeros(0), 5)),
        ):
            buffer = pa.py_buffer(b)
            assert (buffer.size, buffer.to_pybytes()) == (0, b"")
            assert buffer.address
            assert b.exports == 1
            del buffer
            assert b.exports == 0
    """)
