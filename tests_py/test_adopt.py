"""adopt() takes a descriptor over once, in every form of its address."""

from __future__ import annotations

import ctypes
import gc
import math
import pickle
import subprocess
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cffi
import descriptors as ds
import numpy as np
import pytest

import pybuf

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]
ffi = cffi.FFI()
PAGES = Path(__file__).resolve().parents[1] / "docs"
ADDRESS = ctypes.addressof(ds.BLOCK)
NUMBERS = [float(i) for i in range(8)]


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
    page = (PAGES / "buffers.md").read_text("utf-8")
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
