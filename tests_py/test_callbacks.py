"""A release callback: called once, whatever happens in it, with the caller's exception kept."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from blocks import NativeRelease

import pybuf
from pybuf import _core

BLOCK = ctypes.create_string_buffer(16)
ADDRESS = ctypes.addressof(BLOCK)


def wrapped(release: Any) -> pybuf.Buffer:
    return pybuf.wrap(ADDRESS, 16, release=release)


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What went to sys.unraisablehook, as (type, text, object)."""
    got: list[Any] = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda u: got.append((u.exc_type, str(u.exc_value), u.object))
    )
    yield got
    got.clear()


# ---- once ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        lambda b: b.close(),
        lambda b: b.__exit__(None, None, None),
        lambda b: (b.close(), b.close(), b.close(strict=True)),
        lambda b: None,
        lambda b: (memoryview(b), b.close()),
        lambda b: [memoryview(b), np.asarray(b), b.cast("i"), b.numpy()].clear(),
    ],
)
def test_a_callback_is_called_once(end, releases):
    b = wrapped(releases)
    end(b)
    del b
    gc.collect()
    assert releases == [ADDRESS]


def test_two_buffers_over_one_block_release_it_twice(releases):
    """Once for each wrap: that they share a block is for the caller to know."""
    a, b = wrapped(releases), wrapped(releases)
    del a
    assert releases == [ADDRESS]
    del b
    assert releases == [ADDRESS, ADDRESS]


def test_a_callback_is_not_called_for_children(releases):
    b = wrapped(releases)
    for _ in range(10):
        b.cast("i").toreadonly().close()
    assert releases == []


def test_what_a_callback_returns_is_dropped():
    made: list[Any] = []

    class Result:
        pass

    def release(_: int) -> Result:
        result = Result()
        made.append(weakref.ref(result))
        return result

    wrapped(release).close()
    assert made[0]() is None


# ---- the exception that is on its way --------------------------------------------------


def _raising(_: int) -> None:
    raise LookupError("in the callback")


def _handling(_: int) -> None:
    with contextlib.suppress(LookupError):
        _raising(0)


def _looking(_: int) -> None:
    assert sys.exc_info()[0] is None or sys.exc_info()[0] is ZeroDivisionError
    next(iter([]), None)
    getattr(object(), "no such attribute", None)


@NativeRelease
def _native(data: int, nbytes: int, arg: int | None) -> None:
    _handling(data)


# A function of C that leaves an exception behind, as one that calls Python may.
_no_memory = (ctypes.cast(ctypes.pythonapi.PyErr_NoMemory, ctypes.c_void_p).value, None)


@pytest.mark.parametrize(
    ("release", "error"),
    [
        (_handling, None),
        (_looking, None),
        (_raising, LookupError),
        ((_native, None), None),
        (_no_memory, MemoryError),
    ],
)
def test_a_pending_exception_is_kept(release, error, unraisable):
    """The Buffer on the stack is dropped while the exception is on its way through C."""
    calls: list[str] = []

    def counted(address: int) -> None:
        calls.append("called")
        release(address)

    with pytest.raises(ZeroDivisionError) as caught:
        (wrapped(release if isinstance(release, tuple) else counted), 1 / 0)
    assert str(caught.value) == "division by zero"
    assert caught.value.__context__ is None
    assert [u[0] for u in unraisable] == ([] if error is None else [error])
    if not isinstance(release, tuple):
        assert calls == ["called"]


def test_a_pending_exception_is_kept_through_a_chain(releases):
    chain = wrapped(releases)
    for _ in range(1000):
        chain = pybuf.wrap(ADDRESS, 16, owner=chain, release=_handling)
    held = [chain]
    del chain
    with pytest.raises(ZeroDivisionError):
        (held.pop(), 1 / 0)
    assert releases == [ADDRESS]


# ---- errors in the callback ------------------------------------------------------------


class Ends(BaseException):
    pass


@pytest.mark.parametrize(
    "error",
    [ValueError("v"), Ends("e"), KeyboardInterrupt("k"), SystemExit(3), GeneratorExit("g")],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("end", ["close", "del", "with", "collect"])
def test_an_error_in_a_callback_goes_to_the_unraisable_hook(error, end, unraisable):
    def release(_: int) -> None:
        raise error

    before = _core._counters()
    b = wrapped(release)
    if end == "close":
        assert b.close() is True
    elif end == "with":
        with b:
            pass
    elif end == "collect":
        release.cycle = b
    del b
    name = release
    del release
    if end == "collect":
        assert unraisable == []
        name = name.__qualname__
        gc.collect()
    assert [(kind, text) for kind, text, _ in unraisable] == [(type(error), str(error))]
    if end != "collect":
        assert unraisable[0][2] is name
    after = _core._counters()
    assert after["freed"] - before["freed"] == after["made"] - before["made"] == 1
    assert after["live_bytes"] == before["live_bytes"]


@pytest.mark.parametrize(
    "release", [lambda: None, lambda a, b: None, [].pop, object, int.from_bytes]
)
def test_a_callback_that_takes_no_address_goes_to_the_unraisable_hook(release, unraisable):
    assert wrapped(release).close() is True
    assert len(unraisable) == 1
    assert issubclass(unraisable[0][0], (TypeError, IndexError))


def test_an_error_in_one_callback_does_not_stop_the_others(releases, unraisable):
    chain = wrapped(releases)
    for release in (_raising, releases, _raising):
        chain = pybuf.wrap(ADDRESS, 16, owner=chain, release=release)
    del chain
    assert releases == [ADDRESS, ADDRESS]
    assert [u[0] for u in unraisable] == [LookupError, LookupError]


def test_a_hook_that_raises_ends_nothing(monkeypatch, capsys):
    def hook(_: Any) -> None:
        raise RuntimeError("in the hook")

    monkeypatch.setattr(sys, "unraisablehook", hook)
    assert wrapped(_raising).close() is True
    assert "in the hook" in capsys.readouterr().err


def test_a_deep_recursion_in_a_callback_is_an_error_like_others(unraisable):
    def release(address: int) -> None:
        release(address)

    assert wrapped(release).close() is True
    assert [u[0] for u in unraisable] == [RecursionError]


# ---- callbacks that come back ----------------------------------------------------------


def test_a_callback_may_make_buffers_and_views():
    made: list[Any] = []

    def release(_: int) -> None:
        b = pybuf.zeros((2, 3), "d")
        made.extend([b, memoryview(b), b.numpy(), pybuf.copy(b"abc"), wrapped(print).close])
        made.pop()

    wrapped(release).close()
    assert made[2].sum() == 0
    assert made[3].tobytes() == b"abc"


def test_a_callback_may_close_others_and_itself():
    closed: list[Any] = []
    other = wrapped(lambda _: closed.append("other"))

    def release(_: int) -> None:
        closed.append(other.close())
        closed.append(b.close())

    b = wrapped(release)
    assert b.close() is True
    assert closed == ["other", True, True]


@pytest.mark.parametrize("use", [memoryview, np.asarray, len, lambda b: b.address, lambda b: b[0]])
def test_a_callback_finds_its_own_buffer_closed(use):
    found: list[Any] = []

    def release(_: int) -> None:
        with pytest.raises(ValueError, match="closed"):
            use(b)
        found.append(b.closed)

    b = wrapped(release)
    b.close()
    assert found == [True]


def test_a_callback_may_drop_the_last_reference_to_another_buffer(releases):
    others = [wrapped(releases), memoryview(wrapped(releases))]
    wrapped(lambda _: others.clear()).close()
    assert releases == [ADDRESS, ADDRESS]


def test_a_callback_may_drop_the_last_reference_to_its_own_buffer(releases):
    """close() runs it and must not touch the Buffer any more than the caller's name keeps it."""
    held = [wrapped(lambda _: (held.clear(), releases(0)))]
    assert held[0].close() is True
    assert held == []
    assert releases == [0]


def test_a_callback_may_collect(releases):
    cycle: list[Any] = [wrapped(releases)]
    cycle.append(cycle)

    def release(_: int) -> None:
        nonlocal cycle
        cycle = None
        gc.collect()

    wrapped(release).close()
    assert releases == [ADDRESS]


def test_a_collection_inside_a_callback_that_a_collection_runs_does_no_harm(releases):
    def make_garbage() -> None:
        def release(address: int) -> None:
            gc.collect()
            releases(address)

        release.cycle = wrapped(release)

    for _ in range(3):
        make_garbage()
    gc.collect()
    assert releases == [ADDRESS] * 3


def test_a_callback_may_start_a_thread_that_frees(releases):
    """Who waits in a callback lets others run, and they may free too."""
    mine = wrapped(releases)

    def release(_: int) -> None:
        nonlocal mine
        worker = threading.Thread(target=lambda: releases.append(len([mine])))
        worker.start()
        worker.join()
        mine = None

    wrapped(release).close()
    assert releases == [1, ADDRESS]


def test_a_callback_may_be_a_generator_or_a_coroutine_method(releases):
    """Any callable; .send runs the generator's body inside the dealloc."""

    def body() -> Iterator[None]:
        while True:
            releases((yield))

    running = body()
    next(running)
    wrapped(running.send).close()
    wrapped(running.send).close()
    assert releases == [ADDRESS, ADDRESS]
    running.close()


# ---- inspection ------------------------------------------------------------------------


def test_a_trace_function_sees_the_callback_and_no_more(releases):
    seen: list[str] = []

    def release(address: int) -> None:
        releases(address)

    b = wrapped(release)
    old = sys.getprofile()
    sys.setprofile(lambda frame, event, arg: seen.append(event) if event == "call" else None)
    try:
        del b
    finally:
        sys.setprofile(old)
    assert seen.count("call") == 2  # this function, and the fixture's __call__
