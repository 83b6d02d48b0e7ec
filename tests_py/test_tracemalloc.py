"""Memory that pybuf makes is told to tracemalloc, in a domain of its own."""

from __future__ import annotations

import ctypes
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pybuf

Fresh = Callable[..., Any]
OURS = tracemalloc.DomainFilter(inclusive=True, domain=pybuf.tracemalloc_domain)


@pytest.fixture
def tracing() -> Iterator[None]:
    assert not tracemalloc.is_tracing()
    tracemalloc.start(3)
    yield
    tracemalloc.stop()


def traces() -> list[tracemalloc.Trace]:
    return list(tracemalloc.take_snapshot().filter_traces([OURS]).traces)


def sizes() -> list[int]:
    return sorted(trace.size for trace in traces())


def test_the_number_of_the_domain_stays():
    assert pybuf.tracemalloc_domain == 79283


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("source", ["c", "go"])
@pytest.mark.parametrize("make", [pybuf.zeros, pybuf.empty])
def test_memory_is_told_when_it_is_made_and_when_it_goes(make: Any, source: str):
    b = make((3, 5), "d", source=source)
    assert sizes() == [120]
    view = memoryview(b)
    b.close()
    del b
    assert sizes() == [120]
    view.release()
    del view
    assert sizes() == []


@pytest.mark.usefixtures("tracing")
def test_the_line_is_told_that_made_it():
    b = pybuf.copy(b"abc")
    (trace,) = traces()
    assert trace.traceback[-1].filename == __file__
    assert trace.traceback[-1].lineno == b_line()
    assert b.nbytes == trace.size


def b_line() -> int:
    code = test_the_line_is_told_that_made_it.__code__
    return next(line for _, _, line in code.co_lines() if line and line > code.co_firstlineno)


@pytest.mark.usefixtures("tracing")
def test_memory_of_others_and_views_are_not_told():
    block = ctypes.create_string_buffer(64)
    b = pybuf.wrap(ctypes.addressof(block), 64, owner=block)
    views = [memoryview(b), b.cast("h"), b.toreadonly(), b.numpy()]
    assert sizes() == []
    del views


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("source", ["c", "go"])
def test_resize_tells_the_new_size_in_place_of_the_old(source: str):
    b = pybuf.zeros(100, source=source)  # type: ignore[call-overload]
    for size in (1000, 10, 0, 100_000, 1):
        b.resize(size)
        assert sizes() == [size]
    b.close()
    assert sizes() == []


def test_what_was_made_before_is_not_told_and_its_end_is_no_harm():
    b = pybuf.zeros(100)
    tracemalloc.start()
    try:
        b.close()
        assert sizes() == []
    finally:
        tracemalloc.stop()


def test_what_was_told_may_end_after_the_stop_and_after_another_start():
    tracemalloc.start()
    first, second = pybuf.zeros(100), pybuf.zeros(200)
    tracemalloc.stop()
    first.close()
    tracemalloc.start()
    try:
        third = pybuf.zeros(300)
        second.close()
        assert sizes() == [300]
        third.close()
        assert sizes() == []
    finally:
        tracemalloc.stop()


@given(st.lists(st.tuples(st.sampled_from(["make", "end", "resize", "stop"]), st.integers(0, 99))))
def test_the_traces_are_those_of_the_live_memories_that_were_made_while_on(
    steps: list[tuple[str, int]],
):
    known: list[tuple[pybuf.Buffer, bool]] = []
    tracemalloc.start()
    try:
        for step, n in steps:
            if step == "make":
                known.append((pybuf.zeros(n), True))
            elif step == "end" and known:
                known.pop(n % len(known))[0].close()
            elif step == "resize" and known:
                b, _ = known.pop(n % len(known))
                b.resize(n)
                known.append((b, True))
            elif step == "stop":
                tracemalloc.stop()
                tracemalloc.start()
                known = [(b, False) for b, _ in known]
        assert sizes() == sorted(b.nbytes for b, told in known if told)
    finally:
        tracemalloc.stop()


@pytest.mark.usefixtures("tracing")
def test_threads_tell_of_their_memory(parallel: Callable[..., None]):
    held: list[pybuf.Buffer] = []

    def work(i: int) -> None:
        for n in range(200):
            b = pybuf.zeros(n, source="go" if i % 2 else "c")  # type: ignore[call-overload]
            if n == 100 + i:
                held.append(b)

    parallel(work)
    assert sizes() == [100 + i for i in range(8)]


@pytest.mark.parametrize("off", ["before", "after"])
def test_an_interpreter_that_ends_with_memory_alive_ends_well(off: str, fresh: Fresh):
    fresh(
        f"""
        import tracemalloc, pybuf
        tracemalloc.start()
        keep = [pybuf.zeros(100), pybuf.zeros(100, source="go"), pybuf.zeros(9).numpy()]
        if {off == "before"}:
            tracemalloc.stop()
        """
    )
