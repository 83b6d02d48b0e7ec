"""Files of a trace that do what they should not, at the worst of moments."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tracing import events, read, traced

import pybuf

Fresh = Callable[..., Any]
Parallel = Callable[..., None]
BLOCK = ctypes.create_string_buffer(64)
ADDRESS = ctypes.addressof(BLOCK)


class File:
    """Calls `act` for each line, and has the lines."""

    def __init__(self, act: Callable[[str], object]) -> None:
        self.act = act
        self.lines: list[str] = []

    def write(self, text: str) -> None:
        if text:
            self.lines.append(text)
            self.act(text)

    def events(self) -> list[str]:
        return events(read("".join(self.lines)))


def everything() -> None:
    """Each event there is."""
    b = pybuf.zeros(16)
    b.resize(32)
    held = [memoryview(b), b.numpy(), b.__dlpack__(), b.__arrow_c_array__(), b.cast("h")]
    held += [np.from_dlpack(b), np.asarray(b.toreadonly())]
    assert b[0] == 0
    del held
    assert b.exports == 0
    w = pybuf.wrap(ADDRESS, 64, release=lambda _: None)
    w.close()


# ---- errors --------------------------------------------------------------------------------


def test_an_error_of_the_file_is_told_once_and_changes_nothing(unraisable: list[str]):
    def fail(text: str) -> None:
        raise ValueError(text.split()[1])

    file = File(fail)
    with pybuf.trace(file), traced() as lines:
        everything()
    assert unraisable == ["ValueError('alloc')"]
    assert file.events() == ["alloc"]
    assert len(lines) > 20


def test_the_hook_that_is_told_may_use_buffers_and_may_fail(monkeypatch: pytest.MonkeyPatch):
    told: list[Any] = []

    def hook(report: Any) -> None:
        everything()
        told.append(repr(report.exc_value))
        raise RuntimeError

    monkeypatch.setattr("sys.unraisablehook", hook)
    monkeypatch.setattr("sys.__unraisablehook__", lambda report: None)
    monkeypatch.setattr("sys.stderr", io.StringIO())  # where CPython tells of the hook
    with pybuf.trace(File(lambda _: 1 / 0)):
        everything()
    assert told == ["ZeroDivisionError('division by zero')"]


def test_a_file_that_is_closed_inside_is_told_of_once(unraisable: list[str]):
    file = io.StringIO()
    with pybuf.trace(file):
        pybuf.zeros(4).close()
        file.close()
        everything()
    assert unraisable == ["ValueError('I/O operation on closed file')"]


def test_a_full_disk_is_told_of_once(unraisable: list[str]):
    with pybuf.trace("/dev/full"):
        everything()
        everything()
    assert len(unraisable) == 1
    assert unraisable[0].startswith("OSError(28")


def test_an_exception_on_its_way_goes_on():
    file = File(lambda _: pybuf.stats())

    def fail() -> None:
        b = pybuf.zeros(4)
        view = memoryview(b)
        raise KeyError(len(view))

    with pybuf.trace(file), pytest.raises(KeyError, match="4"):
        fail()
    assert file.events() == ["alloc", "export", "release", "free"]


def test_an_interrupt_that_strikes_the_file_reaches_the_program():
    def interrupt(_: str) -> None:
        if not struck:
            struck.append(1)
            raise KeyboardInterrupt

    struck: list[int] = []
    file = File(interrupt)
    reached = False
    try:
        with pybuf.trace(file):
            pybuf.zeros(4).close()
            for _ in range(1000):
                everything()
    except KeyboardInterrupt:
        reached = True
    assert reached
    assert file.events()[0] == "alloc"
    with traced() as lines:
        pybuf.zeros(4).close()
    assert events(lines) == ["alloc", "free"]


# ---- files that come back ----------------------------------------------------------------------


def test_what_a_file_does_itself_has_lines_and_writing_those_has_none():
    file = File(lambda _: pybuf.wrap(ADDRESS, 64, unowned=True))
    with pybuf.trace(file):
        pybuf.zeros(4).close()
    assert file.events() == ["alloc", "wrap", "free", "free", "wrap", "free"]


def test_a_file_may_ask_what_is_alive_and_where_it_was_made():
    seen: list[Any] = []
    file = File(lambda _: seen.append([pybuf.stats()["blocks"], len(pybuf.live())]))
    before = len(pybuf.live())
    with pybuf.trace(file):
        b = pybuf.zeros(4)
        view = memoryview(b)
        del view, b
    assert seen == [[before + n] * 2 for n in (1, 1, 1, 0)]


def test_a_file_may_close_the_buffer_whose_line_it_gets():
    def close(_: str) -> None:
        for b in gc.get_objects():
            if type(b) is pybuf.Buffer:
                b.close()
        for b in buffers:
            b.close()

    buffers: list[pybuf.Buffer] = []
    file = File(close)
    with pybuf.trace(file):
        b = pybuf.wrap(ADDRESS, 64, owner=BLOCK)
        assert b.closed
        b = pybuf.zeros(16)
        buffers.append(b)
        view = memoryview(b)
        assert b.closed
        assert view.tobytes() == bytes(16)
        buffers.clear()
        del b, view
    assert file.events() == ["wrap", "free", "alloc", "export", "release", "free"]


def test_a_file_may_close_a_cast_before_its_maker_has_it():
    def close(_: str) -> None:
        for b in gc.get_objects():
            if type(b) is pybuf.Buffer:
                b.close()

    with traced() as lines:
        for _ in range(20):
            b = pybuf.wrap(ADDRESS, 64, owner=[])
            with pybuf.trace(File(close)):
                cast = b.cast("h")
            assert b.closed
            assert cast.closed
            del b
            gc.collect()
            del cast
    count = Counter(events(lines))
    assert count["wrap"] == count["free"]
    assert count["export"] == count["release"]


def test_a_file_may_end_the_trace():
    def end(_: str) -> None:
        trace.__exit__()

    file = File(end)
    trace = pybuf.trace(file)
    with trace:
        b = pybuf.zeros(4)
        memoryview(b).release()
    assert file.events() == ["alloc"]
    assert pybuf.live()[-1].where is not None
    b.close()


def test_a_file_may_end_a_trace_that_has_not_seen_the_line_yet():
    late = File(lambda _: None)
    second = pybuf.trace(late)
    first = File(lambda _: second.__exit__())
    with pybuf.trace(first), second:
        everything()
    assert late.lines == []


def test_a_file_may_begin_other_traces():
    inner: list[Any] = []
    files: list[File] = []

    def begin(_: str) -> None:
        if len(files) < 20:
            files.append(File(lambda _: None))
            inner.append(pybuf.trace(files[-1]))
            inner[-1].__enter__()

    with pybuf.trace(File(begin)):
        everything()
    for trace in inner:
        trace.__exit__()
    lengths = [len(file.lines) for file in files]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 0


def test_a_file_may_collect():
    class Holder:
        buffer: Any

    def collect(_: str) -> None:
        holder = Holder()
        holder.buffer = pybuf.wrap(ADDRESS, 64, owner=holder, release=lambda _: released.append(1))
        del holder
        gc.collect()

    released: list[int] = []
    file = File(collect)
    with pybuf.trace(file):
        everything()
    assert len(released) == len(file.lines)
    count = Counter(file.events())
    assert count["alloc"] + count["wrap"] == count["free"]


def test_a_file_may_drop_the_last_reference_to_what_is_told_of():
    def drop(_: str) -> None:
        held.clear()

    held: list[Any] = []
    file = File(drop)
    with pybuf.trace(file):
        for take in (memoryview, lambda b: b.numpy(), lambda b: b.cast("h"), np.from_dlpack):
            held.append(pybuf.zeros(16))
            held.append(take(held[0]))
            held.clear()
    kinds = file.events()
    assert kinds.count("alloc") == kinds.count("free") == 4


def test_a_release_callback_has_lines_of_its_own():
    def release(_: int) -> None:
        pybuf.zeros(5).close()

    with traced() as lines:
        b = pybuf.wrap(ADDRESS, 64, release=release)
        del b
    assert events(lines) == ["wrap", "free", "alloc", "free"]


def test_the_dead_of_a_long_chain_have_a_line_each():
    with traced() as lines:
        b = pybuf.zeros(4)
        for _ in range(300):
            b = b.toreadonly()
        for _ in range(300):
            b = pybuf.wrap(ADDRESS, 4, owner=b)
        del b
    assert events(lines) == (
        ["alloc"]
        + ["export"] * 300
        + ["wrap"] * 300
        + ["free"] * 300
        + ["release"] * 300
        + ["free"]
    )


def test_collected_cycles_have_lines():
    class Holder:
        buffer: Any

    with traced() as lines:
        for _ in range(3):
            holder = Holder()
            holder.buffer = pybuf.wrap(ADDRESS, 64, owner=holder, release=lambda _: None)
        del holder
        gc.collect()
    assert events(lines) == ["wrap"] * 3 + ["free"] * 3


def test_the_collector_may_come_at_each_step():
    class Holder:
        buffer: Any

    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        with traced() as lines:
            for _ in range(100):
                holder = Holder()
                holder.buffer = pybuf.wrap(ADDRESS, 64, owner=holder, release=lambda _: None)
                everything()
            del holder
            gc.collect()
    finally:
        gc.set_threshold(*threshold)
    count = Counter(events(lines))
    assert count["alloc"] + count["wrap"] == count["free"]
    assert count["export"] == count["release"]


# ---- threads -----------------------------------------------------------------------------------


def test_each_thread_has_its_lines_though_others_write(parallel: Parallel):
    """A file whose write() lets others run: their lines are written meanwhile."""

    def work(i: int) -> None:
        for _ in range(200):
            pybuf.zeros(i + 1).close()

    file = File(lambda _: os.sched_yield())
    with pybuf.trace(file):
        parallel(work, 4)
    lines = read("".join(file.lines))
    for i in range(4):
        mine = [line.event for line in lines if line.nbytes == i + 1]
        assert mine == ["alloc", "free"] * 200


def test_lines_of_threads_do_not_mix_in_a_path(parallel: Parallel, tmp_path: Path):
    path = tmp_path / "trace"

    def work(i: int) -> None:
        for n in range(200):
            with pybuf.trace(path):
                pybuf.zeros(i * 1000 + n + 1).close()

    parallel(work, 4)
    for line in read(path.read_text()):
        assert line.event in {"alloc", "free"}


def test_a_trace_may_end_while_another_thread_writes_to_it(parallel: Parallel):
    def work(i: int) -> None:
        for _ in range(100):
            with pybuf.trace(File(lambda _: os.sched_yield())):
                everything()

    parallel(work, 4)
    everything()


def test_a_pipe_that_is_full_stops_no_other_thread(tmp_path: Path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []

    def drain(fd: int) -> None:
        while chunk := os.read(fd, 65536):
            got.append(chunk)
        os.close(fd)

    reading = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with pybuf.trace(fifo):
        os.set_blocking(reading, True)
        reader = threading.Thread(target=drain, args=(reading,))
        reader.start()
        for _ in range(3000):  # more than a pipe holds
            pybuf.zeros(4).close()
    reader.join()
    assert len(read(b"".join(got).decode())) == 6000


def test_a_consumer_that_ends_its_view_on_a_thread_without_python_has_a_line():
    """DLPack's deleter, called as C would: ctypes lets go of the GIL."""

    class Managed(ctypes.Structure):
        pass

    deleter = ctypes.CFUNCTYPE(None, ctypes.POINTER(Managed))
    Managed._fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", deleter),
    ]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = (
        ctypes.POINTER(Managed),
        (ctypes.py_object, ctypes.c_char_p),
    )
    rename = ctypes.pythonapi.PyCapsule_SetName
    rename.argtypes = (ctypes.py_object, ctypes.c_char_p)
    with traced() as lines:
        b = pybuf.zeros(16)
        capsule = b.__dlpack__(max_version=(1, 0))
        managed = pointer(capsule, b"dltensor_versioned")
        name = b"used_dltensor_versioned"
        rename(capsule, name)
        managed.contents.deleter(managed)
        del capsule, b
    assert events(lines) == ["alloc", "export", "release", "free"]


def test_a_view_that_comes_back_without_what_it_was_given_is_no_harm():
    """Consumers own their Py_buffer; some fill it with zeros before the end."""

    class View(ctypes.Structure):
        _fields_ = [
            ("buf", ctypes.c_void_p),
            ("obj", ctypes.py_object),
            ("len", ctypes.c_ssize_t),
            ("itemsize", ctypes.c_ssize_t),
            ("readonly", ctypes.c_int),
            ("ndim", ctypes.c_int),
            ("format", ctypes.c_char_p),
            ("shape", ctypes.c_void_p),
            ("strides", ctypes.c_void_p),
            ("suboffsets", ctypes.c_void_p),
            ("internal", ctypes.c_void_p),
        ]

    get, release = ctypes.pythonapi.PyObject_GetBuffer, ctypes.pythonapi.PyBuffer_Release
    get.argtypes = (ctypes.py_object, ctypes.POINTER(View), ctypes.c_int)
    release.argtypes = (ctypes.POINTER(View),)
    release.restype = None
    with traced() as lines:
        b = pybuf.zeros(16)
        view = View()
        assert get(b, ctypes.byref(view), 0) == 0
        assert view.internal
        view.internal = None
        release(ctypes.byref(view))
        del b, view
    assert events(lines) == ["alloc", "export", "release", "free"]
    assert lines[2].before is None
