"""adopt() takes a descriptor over once, and releases it once, whatever happens."""

from __future__ import annotations

import ctypes
import gc
import math
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cffi
import descriptors as ds
import numpy as np
import oracle
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import pybuf
from pybuf import _core

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]
ffi = cffi.FFI()
ADDRESS = ctypes.addressof(ds.BLOCK)
NUMBERS = [float(i) for i in range(8)]


@pytest.fixture
def released() -> Callable[[], int]:
    """How many descriptors the library got back since the test began."""
    before = ds.library().count()
    return lambda: ds.library().count() - before


# ---- what it gives ---------------------------------------------------------------------


def test_the_struct_of_the_tests_is_that_of_the_header():
    d = ds.at(ds.produce(shape=(2, 4), strides=(32, 8), suboffsets=(-1, -1), release=ds.KEEP))
    assert (d.magic, d.version, d.ndim, d.data) == (ds.MAGIC, 1, 2, ADDRESS)
    assert (d.itemsize, d.nbytes, d.format) == (8, 64, b"d")
    assert (d.shape[:2], d.strides[:2], d.suboffsets[:2]) == ([2, 4], [32, 8], [-1, -1])


def test_an_array_is_no_descriptor():
    with pytest.raises(TypeError, match=r"no descriptor: to give it to a library use pybuf\.lend"):
        pybuf.adopt(np.zeros(3))


def test_the_example_of_the_manual_does_what_it_says():
    page = (ds.CAPI.parent / "docs" / "buffers.md").read_text("utf-8")
    code = page.partition("```c\n")[2].partition("```")[0]
    library = ctypes.CDLL(ds.library_file(f'#include <stdlib.h>\n#include "pybuf.h"\n{code}'))
    library.squares.restype = ctypes.c_size_t
    library.squares.argtypes = [ctypes.c_int64]
    assert pybuf.adopt(library.squares(5)).tolist() == [0, 1, 4, 9, 16]


def test_the_memory_is_not_copied_and_is_released_with_the_last_view(released):
    b = pybuf.adopt(ds.produce())
    assert (b.shape, b.strides, b.format, b.address) == ((8,), (8,), "d", ADDRESS)
    assert (b.source, b.owner, b.readonly) == ("foreign", None, False)
    views = [np.asarray(b), b.numpy()[2:], memoryview(b), np.ndarray(8, "d", buffer=b)]
    del b
    while views:
        assert released() == 0
        assert views.pop() is not None
    assert released() == 1


@pytest.mark.parametrize(
    ("field", "layout"),
    [
        ({"shape": (2, 4)}, ((2, 4), (32, 8))),
        ({"shape": (), "nbytes": 8}, ((), ())),
        ({"shape": None, "nbytes": 8}, ((), ())),
        ({"shape": (0,), "nbytes": 0}, ((0,), (8,))),
        ({"shape": (0,), "nbytes": 0, "data": None}, ((0,), (8,))),
        ({"shape": (3, 0), "nbytes": 0, "strides": (5, 7)}, ((3, 0), (5, 7))),
        ({"shape": (2, 4), "strides": (8, 16)}, ((2, 4), (8, 16))),
        ({"shape": (4,), "strides": (16,), "nbytes": 32}, ((4,), (16,))),
        ({"shape": (8,), "strides": (-8,), "data": ADDRESS + 56}, ((8,), (-8,))),
        ({"shape": (1, 8), "strides": (77, 8)}, ((1, 8), (77, 8))),
        ({"suboffsets": (-1,)}, ((8,), (8,))),
        ({"shape": (2,), "format": b"(4)d", "itemsize": 32}, ((2, 4), (32, 8))),
        (
            {"shape": (2,), "strides": (32,), "format": b"(2,2)d", "itemsize": 32},
            ((2, 2, 2), (32, 16, 8)),
        ),
        ({"format": b"d" * 1, "shape": [1] * 63 + [8]}, ((1,) * 63 + (8,), (64,) * 63 + (8,))),
    ],
)
def test_each_layout_arrives_as_it_was(field, layout, released):
    b = pybuf.adopt(ds.produce(**field))
    assert (b.shape, b.strides, b.suboffsets) == (*layout, ())
    assert b.nbytes == math.prod(b.shape) * 8
    b.tolist()
    del b
    assert released() == 1


def test_indirect_memory_keeps_its_suboffsets():
    rows = [(ctypes.c_double * 2)(1, 2), (ctypes.c_double * 2)(3, 4)]
    table = (ctypes.c_void_p * 2)(*map(ctypes.addressof, rows))
    b = pybuf.adopt(
        ds.produce(
            shape=(2, 2),
            strides=(8, 8),
            suboffsets=(0, -1),
            nbytes=32,
            data=ctypes.addressof(table),
        )
    )
    assert (b.suboffsets, b.tolist()) == ((0, -1), [[1, 2], [3, 4]])


def test_the_item_size_has_a_part_in_what_a_format_means():
    """A record may end in pads that its format leaves out."""
    b = pybuf.adopt(ds.produce(format=b"T{d:a:i:b:}", itemsize=16, shape=(4,)))
    assert b.itemsize == 16
    assert b.numpy().dtype.names == ("a", "b")


def test_read_only_is_so_at_every_door():
    b = pybuf.adopt(ds.produce(flags=ds.READONLY))
    assert b.readonly
    assert memoryview(b).readonly
    assert not b.numpy().flags.writeable
    assert not np.asarray(b).flags.writeable
    assert b.__array_interface__["data"][1]
    with pytest.raises(BufferError, match="read-only"):
        b.__dlpack__()
    assert pickle.loads(pickle.dumps(b)).readonly


def test_it_behaves_as_wrapped_memory_does(released):
    before = pybuf.stats()["sources"]["foreign"]
    b = pybuf.adopt(ds.produce())
    after = pybuf.stats()["sources"]["foreign"]
    assert (after["blocks"] - before["blocks"], after["bytes"] - before["bytes"]) == (1, 64)
    assert pybuf.live()[-1].address == ADDRESS
    assert pickle.loads(pickle.dumps(b)).tolist() == b.tolist() == NUMBERS
    with pytest.raises(BufferError, match="resize"):
        b.resize(9)
    assert b.cast("B").nbytes == 64
    assert np.from_dlpack(b).tolist() == NUMBERS
    assert not gc.is_tracked(b)
    del b
    assert released() == 1
    b = pybuf.adopt(ds.produce())
    assert b.close()
    assert released() == 2


def test_a_trace_and_tracemalloc_see_what_they_see_of_wrapped_memory():
    lines: list[str] = []

    class File:
        def write(self, line: str) -> None:
            lines.append(line)

    tracemalloc.start()
    try:
        with pybuf.trace(File()):
            pybuf.adopt(ds.produce()).close()
    finally:
        tracemalloc.stop()
    said = [line for line in lines if line]
    assert [line.split()[1] for line in said] == ["wrap", "free"]
    assert all("64 bytes of foreign" in line for line in said)


# ---- calls into Go ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "field",
    [{}, {"strides": (8,)}, {"shape": (2, 4), "strides": (8, 16)}, {"suboffsets": (-1,)}],
    ids=str,
)
def test_packed_memory_of_a_plain_type_does_not_call_go(field, go_calls):
    before = go_calls()
    for _ in range(10):
        np.asarray(pybuf.adopt(ds.produce(flags=ds.PROCESS, **field)))
    assert go_calls() == before


# ---- the forms of an address -----------------------------------------------------------


class Index:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


FORMS: dict[str, Callable[[int], Any]] = {
    "int": int,
    "an object with __index__": Index,
    "np.uint64": np.uint64,
    "c_size_t": ctypes.c_size_t,
    "c_ulong": ctypes.c_ulong,
    "c_longlong": ctypes.c_longlong,
    "a class of c_size_t": type("Handle", (ctypes.c_size_t,), {}),
    "c_void_p": ctypes.c_void_p,
    "a pointer": lambda a: ctypes.cast(a, ctypes.POINTER(ds.Descriptor)),
    "a structure": ds.at,
    "cffi": lambda a: ffi.cast("void *", a),
    "a capsule": ds.capsule,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_address_may_have_any_form(form, released):
    b = pybuf.adopt(form(ds.produce()))
    assert b.tolist() == NUMBERS
    del b
    assert released() == 1


@pytest.mark.parametrize("restype", [ctypes.c_size_t, ctypes.c_void_p])
def test_what_a_function_of_ctypes_gives_is_taken(restype, released):
    function = ctypes.CDLL(ds.library_file()).produce
    function.restype = restype
    template = ds.Descriptor(
        magic=ds.MAGIC, version=1, data=ADDRESS, itemsize=8, nbytes=8, format=b"d"
    )
    assert pybuf.adopt(function(ctypes.byref(template), 0)).tolist() == 0
    assert released() == 1


@pytest.mark.parametrize("wrong", ["x", 1.5, b"x", [], object(), ctypes.c_double(1)])
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(TypeError, match="descriptor"):
        pybuf.adopt(wrong)


@pytest.mark.parametrize("null", [0, None, ctypes.c_void_p(), ffi.NULL, ctypes.c_size_t(0)])
def test_null_is_refused_as_no_descriptor(null):
    with pytest.raises(ValueError, match="gave no descriptor"):
        pybuf.adopt(null)


CUT = [
    *(-1, -8, -(2**31), 1, 7, 8, 4096, 2**16, 2**31, 2**31 - 8, 2**32 - 8),
    *(2**64 - 8, 2**64 - 2**31, 2**63, 2**47, True),
    *(ctypes.c_int(-8), ctypes.c_int(8), ctypes.c_void_p(-8)),
]


@pytest.mark.parametrize("number", CUT, ids=str)
def test_an_address_that_was_cut_is_refused_and_restype_named(number):
    with pytest.raises(ValueError, match=r"restype = ctypes\.c_size_t"):
        pybuf.adopt(number)


def test_every_address_that_a_cut_could_give_is_looked_at_by_the_kernel_first():
    for shift in range(3, 32):
        for number in (1 << shift, -1 << shift, (1 << shift) + 8):
            with pytest.raises(ValueError, match="adopt"):
                pybuf.adopt(number)


def test_an_unset_restype_is_named():
    function = ctypes.CDLL(ds.library_file()).produce
    template = ds.Descriptor(format=b"d")
    whole = ds.produce()
    ds.library().take(whole)
    ds.library().done(whole)
    number = function(ctypes.byref(template), 0)
    assert -(2**31) <= number < 2**31
    with pytest.raises(ValueError, match="restype"):
        pybuf.adopt(number)


@pytest.mark.parametrize("number", [2**64, 10**30])
def test_a_number_that_is_no_address_is_refused(number):
    with pytest.raises(OverflowError, match=r"2\*\*64"):
        pybuf.adopt(number)


def test_where_the_kernel_may_not_be_asked_a_pipe_is(fresh: Fresh):
    """seccomp filters of containers forbid process_vm_readv; so does this one."""
    fresh(
        """
        import ctypes, struct, pybuf
        libc = ctypes.CDLL(None, use_errno=True)
        number = {"x86_64": 310, "aarch64": 270}[__import__("platform").machine()]
        program = struct.pack("HBBI" * 4, 0x20, 0, 0, 0, 0x15, 0, 1, number,
                              0x06, 0, 0, 0x00050001, 0x06, 0, 0, 0x7FFF0000)
        kept = ctypes.create_string_buffer(program)
        class Filter(ctypes.Structure):
            _fields_ = [("len", ctypes.c_ushort), ("at", ctypes.c_void_p)]
        filter = Filter(4, ctypes.addressof(kept))
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        assert libc.prctl(22, 2, ctypes.byref(filter), 0, 0) == 0
        for number in (8, 4096, 2**31, 2**63):
            try:
                pybuf.adopt(number)
            except ValueError as error:
                assert "no memory to read" in str(error), error
            else:
                raise AssertionError
        """
    )


# ---- once ------------------------------------------------------------------------------


def test_a_second_adopt_is_refused_while_the_block_lives(released):
    address = ds.produce(release=ds.KEEP)
    b = pybuf.adopt(address)
    for _ in range(2):
        with pytest.raises(ValueError, match="adopted before, or is no descriptor"):
            pybuf.adopt(address)
    assert b.tolist() == NUMBERS
    del b
    with pytest.raises(ValueError, match="adopted before"):
        pybuf.adopt(address)
    assert released() == 1


def test_memory_that_holds_no_descriptor_is_refused_and_left_alone():
    block = ctypes.create_string_buffer(b"x" * 256)
    address = ctypes.addressof(block) + -ctypes.addressof(block) % 8
    with pytest.raises(ValueError, match="is no descriptor"):
        pybuf.adopt(address)
    assert block.raw[:256] == b"x" * 256


def test_threads_that_race_get_one_buffer(parallel, released):
    """Each round is one descriptor for all threads."""
    rounds = 50
    addresses = [ds.produce(release=ds.KEEP) for _ in range(rounds)]
    got: list[list[pybuf.Buffer]] = [[] for _ in range(rounds)]
    refused = [0] * 8

    def race(thread: int) -> None:
        for i, address in enumerate(addresses):
            try:
                got[i].append(pybuf.adopt(address))
            except ValueError:
                refused[thread] += 1

    parallel(race)
    assert [len(buffers) for buffers in got] == [1] * rounds
    assert sum(refused) == 7 * rounds
    got.clear()
    assert released() == rounds


def take(address: int, won: list[int]) -> None:
    """As C does it: ctypes lets other threads run meanwhile."""
    won.append(ds.library().take(address))


def test_a_race_with_a_thread_that_knows_no_python_has_one_winner(released):
    for _ in range(200):
        address = ds.produce(release=ds.KEEP)
        won: list[int] = []
        thread = threading.Thread(target=take, args=(address, won))
        thread.start()
        try:
            pybuf.adopt(address)
            adopted = 1
        except ValueError:
            adopted = 0
        thread.join()
        assert adopted + won[0] == 1


# ---- capsules --------------------------------------------------------------------------


def name_of(capsule: Any) -> str:
    return repr(capsule).split('"')[1]


def test_a_capsule_gets_its_other_name_and_is_refused_ever_after(released):
    capsule = ds.capsule(ds.produce())
    b = pybuf.adopt(capsule)
    assert name_of(capsule) == "used_pybuf_descriptor"
    for alive in (True, False):
        with pytest.raises(ValueError, match="the capsule was adopted before"):
            pybuf.adopt(capsule)
        if alive:
            del b
    del capsule
    assert released() == 1


def test_the_destructor_of_a_capsule_that_nobody_took_releases(released):
    capsule = ds.capsule(ds.produce())
    assert released() == 0
    del capsule
    assert released() == 1


@pytest.mark.parametrize("field", [{"version": 2}, {"flags": 8}, {"release": ds.NONE}], ids=str)
def test_a_capsule_whose_descriptor_is_not_taken_keeps_its_name(field):
    address = ds.produce(**field)
    capsule = ds.capsule(address)
    with pytest.raises(ValueError, match="not taken over"):
        pybuf.adopt(capsule)
    assert name_of(capsule) == "pybuf_descriptor"
    ds.library().take(address)


def test_a_capsule_whose_layout_is_refused_is_used(released):
    capsule = ds.capsule(ds.produce(nbytes=63))
    with pytest.raises(ValueError, match="63 bytes"):
        pybuf.adopt(capsule)
    assert released() == 1
    with pytest.raises(ValueError, match="adopted before"):
        pybuf.adopt(capsule)
    del capsule
    assert released() == 1


@pytest.mark.parametrize(("name", "words"), [(b"dltensor", 'named "dltensor"'), (None, "no name")])
def test_a_capsule_of_another_name_is_refused_with_it(name, words):
    address = ds.produce()
    capsule = ds.capsule(address, name)
    with pytest.raises(ValueError, match=words):
        pybuf.adopt(capsule)
    pybuf.adopt(address)


# ---- what is not taken -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ({"version": 0}, "version 0"),
        ({"version": 2}, "version 2"),
        ({"version": 2**32 - 1}, "version 4294967295"),
        ({"flags": 8}, "0x8"),
        ({"flags": 2**31 + 1}, "0x80000000"),
        ({"release": ds.NONE}, "no release function"),
        ({"flags": ds.PROCESS, "pid": -1}, "bound to a process"),
    ],
    ids=str,
)
def test_what_this_version_cannot_read_stays_the_producers(field, words, released):
    address = ds.produce(**field)
    with pytest.raises(ValueError, match=words):
        pybuf.adopt(address)
    assert ds.at(address).magic == ds.MAGIC
    assert released() == 0
    assert ds.library().take(address)


# ---- errors that the producer met ------------------------------------------------------

KINDS = {
    1: ValueError,
    2: TypeError,
    3: OverflowError,
    4: MemoryError,
    5: BufferError,
    6: RuntimeError,
    7: OSError,
    0: RuntimeError,
    -1: RuntimeError,
    99: RuntimeError,
}


@pytest.mark.parametrize(("kind", "error"), KINDS.items())
def test_an_error_is_raised_as_what_it_is(kind, error, released):
    with pytest.raises(error) as caught:
        pybuf.adopt(ds.failure(kind, "no rows of größe 3".encode()))
    assert type(caught.value) is error
    assert str(caught.value) == "no rows of größe 3"
    assert released() == 1


@pytest.mark.parametrize("number", [2, 13, 11, 4, 9999])
def test_an_error_of_the_system_is_the_exception_of_its_number(number, released):
    with pytest.raises(OSError, match="gone") as caught:
        pybuf.adopt(ds.failure(7, b"gone", number))
    assert type(caught.value) is type(OSError(number, ""))
    assert (caught.value.errno, caught.value.strerror) == (number, "gone")
    assert released() == 1


@pytest.mark.parametrize("number", [0, -1, 2**31, 2**40])
def test_a_number_that_is_no_errno_is_left_out(number, released):
    with pytest.raises(OSError, match="gone") as caught:
        pybuf.adopt(ds.failure(7, b"gone", number))
    assert caught.value.errno is None


def test_the_text_of_an_error_may_be_missing_or_no_utf_8(released):
    for nothing in (None, b""):
        with pytest.raises(ValueError, match="does not say why"):
            pybuf.adopt(ds.failure(1, nothing))
    with pytest.raises(ValueError, match="caf�"):
        pybuf.adopt(ds.failure(1, b"caf\xe9"))
    assert released() == 3


def test_an_error_of_another_process_is_raised_and_not_released(released):
    address = ds.failure(1, b"no", flags=ds.PROCESS, pid=1)
    with pytest.raises(ValueError, match="no"):
        pybuf.adopt(address)
    assert released() == 0
    assert ds.at(address).magic == 0
    ds.library().done(address)


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
    flags = [b.numpy().flags[name] for name in ("C", "F")] if b.nbytes < 2**40 else None
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


# ---- the release -----------------------------------------------------------------------


def test_a_pending_exception_survives_a_release(released):
    def raises() -> None:
        b = pybuf.adopt(ds.produce(release=ds.RUN_PYTHON))
        assert b.nbytes == 64
        raise LookupError("on its way")

    with pytest.raises(LookupError, match="on its way"):
        raises()
    assert released() == 1
    del sys.modules["__main__"].__dict__["ran"]


def test_what_a_release_raises_goes_to_the_unraisable_hook(unraisable, released):
    del_me = pybuf.adopt(ds.produce(release=ds.SET_ERROR))
    del del_me
    assert unraisable == ["KeyError('set by a release')"]
    with pytest.raises(ValueError, match="65 bytes"):
        pybuf.adopt(ds.produce(release=ds.SET_ERROR, nbytes=65))
    assert len(unraisable) == 2
    assert released() == 2


def test_the_thread_that_drops_the_last_reference_releases(released):
    held = [pybuf.adopt(ds.produce())]
    thread = threading.Thread(target=held.clear)
    thread.start()
    thread.join()
    assert released() == 1
    assert not ds.library().by_this_thread()


def test_a_cycle_that_holds_an_adopted_buffer_is_collected(released):
    class Node:
        pass

    node: Any = Node()
    node.me, node.buffer = node, pybuf.adopt(ds.produce())
    del node
    gc.collect()
    assert released() == 1


MASK = """
    import signal, sys, threading
    sys.path.insert(0, {tests!r})
    import descriptors as ds
    ds.library_file = lambda: {file!r}
    import pybuf
    failures = []
    def body(release):
        wanted = {{signal.SIGCHLD, signal.SIGUSR1, signal.SIGPROF, signal.SIGALRM}}
        signal.pthread_sigmask(signal.SIG_SETMASK, wanted)
        for i in range(5):
            pybuf.adopt(ds.produce(flags=ds.PROCESS, release=release)).close()
            now = signal.pthread_sigmask(signal.SIG_BLOCK, [])
            if now != wanted:
                failures.append((release, i, now))
        for i in range(3):
            try:
                pybuf.adopt(ds.produce(flags=ds.PROCESS, release=release, nbytes=1))
            except ValueError:
                pass
            if signal.pthread_sigmask(signal.SIG_BLOCK, []) != wanted:
                failures.append((release, "refused", i))
    for release in (ds.UNBLOCK_FIRST, ds.UNBLOCK_ALWAYS, ds.GIVE_BACK, ds.UNBLOCK_ALWAYS):
        thread = threading.Thread(target=body, args=(release,))
        thread.start()
        thread.join()
    for release in (ds.GIVE_BACK, ds.UNBLOCK_FIRST):
        body(release)
    assert not failures, failures
"""


def library_use() -> dict[str, str]:
    return {"tests": str(Path(__file__).parent), "file": ds.library_file()}


def test_a_release_of_a_runtime_leaves_the_signal_mask_as_it_was(fresh: Fresh):
    fresh(MASK.format(**library_use()))


# ---- forks -----------------------------------------------------------------------------

FORK = """
    import os, sys
    sys.path.insert(0, {tests!r})
    import descriptors as ds
    ds.library_file = lambda: {file!r}
    import pybuf

    def in_child(body):
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                body()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    count = ds.library().count
    NUMBERS = list(map(float, range(8)))
"""


@pytest.fixture
def forks(fresh: Fresh) -> Callable[[str], object]:
    options = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return lambda code: fresh(
        FORK.format(**library_use()) + code.replace("\n", "\n    "), options=options
    )


def test_a_child_looks_at_memory_of_its_parents_runtime_and_calls_nothing(forks):
    forks("""
b = pybuf.adopt(ds.produce(flags=ds.PROCESS))
view = memoryview(b)
def body():
    global b, view
    assert view.tolist() == b.tolist() == NUMBERS
    del view, b
    assert count() == 0
in_child(body)
del view, b
assert count() == 1
""")


def test_a_child_adopts_what_its_parents_runtime_made_and_calls_nothing(forks):
    forks("""
address, bad = ds.produce(flags=ds.PROCESS), ds.produce(flags=ds.PROCESS, nbytes=1)
def body():
    assert pybuf.adopt(address).tolist() == NUMBERS
    try:
        pybuf.adopt(bad)
    except ValueError:
        pass
    assert count() == 0
in_child(body)
pybuf.adopt(address)
assert count() == 1
""")


def test_a_child_releases_what_is_bound_to_no_process_and_what_is_its_own(forks):
    forks("""
b = pybuf.adopt(ds.produce())
def body():
    global b
    del b
    assert count() == 1
    kept = pybuf.adopt(ds.produce(flags=ds.PROCESS))
    def grandchild():
        nonlocal kept
        del kept
        assert count() == 1
    in_child(grandchild)
    del kept
    assert count() == 2
in_child(body)
del b
assert count() == 1
""")


# ---- interpreters ----------------------------------------------------------------------


def test_the_end_of_python_with_adopted_memory_in_every_corner_is_quiet(fresh: Fresh):
    fresh(
        FORK.format(**library_use())
        + """
    import numpy as np
    made = [pybuf.adopt(ds.produce(flags=flags)) for flags in (0, 1, 2, 3)]
    sys.kept = [np.asarray(b) for b in made], [b.numpy() for b in made], made[0]
    def cycle(b):
        return lambda: (cycle, b, me)
    me = cycle(pybuf.adopt(ds.produce()))
    """
    )


def test_a_sub_interpreter_adopts_and_releases(fresh: Fresh):
    fresh(
        FORK.format(**library_use())
        + """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    here = interpreters.create()
    address, left = ds.produce(), ds.produce()
    failed = interpreters.run_string(here, f'''if True:
        import pybuf
        assert pybuf.adopt({address}).tolist() == {NUMBERS}
        kept = pybuf.adopt({left})
        try:
            pybuf.lend(b"x", writable=False)
        except BufferError as error:
            assert "sub-interpreter" in str(error)
        else:
            raise AssertionError
    ''')
    assert failed is None, failed
    assert count() == 1
    interpreters.destroy(here)
    assert count() == 2
    """,
        options=(),
    )


# ---- memory that is out ----------------------------------------------------------------


def test_whatever_allocation_fails_the_descriptor_is_released_once(released):
    testcapi = pytest.importorskip("_testcapi")
    formats = [b"d", b"T{d:a:}", b"(2)d"]
    produced = 0
    for format in formats:  # noqa: A001
        for after in range(40):
            itemsize = 16 if format == b"(2)d" else 8
            address = ds.produce(
                format=format, shape=(2, 2, 64 // itemsize // 4), itemsize=itemsize
            )
            produced += 1
            testcapi.set_nomemory(after, after + 1)
            try:
                pybuf.adopt(address)
            except MemoryError:
                pass
            finally:
                testcapi.remove_mem_hooks()
    assert released() == produced


def test_the_counters_are_equal_after_many_of_all_sorts(released):
    def once() -> None:
        oracle.outcome(lambda: pybuf.adopt(ds.produce()))
        oracle.outcome(lambda: pybuf.adopt(ds.produce(nbytes=1)))
        oracle.outcome(lambda: pybuf.adopt(ds.failure(7, b"x", 2)))
        oracle.outcome(lambda: pybuf.adopt(ds.capsule(ds.produce())))

    once()
    gc.collect()
    before = _core._counters()["made"], sys.getallocatedblocks()
    for _ in range(1000):
        once()
    gc.collect()
    after = _core._counters()["made"], sys.getallocatedblocks()
    assert after[0] - before[0] == 2000
    assert after[1] - before[1] < 100
    assert released() == 4 * 1001
