"""stats() counts what is alive in this interpreter."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pybuf

Fresh = Callable[..., Any]
BLOCK = ctypes.create_string_buffer(64)
ADDRESS = ctypes.addressof(BLOCK)
NOTHING = {"blocks": 0, "bytes": 0, "exports": 0}


def counted() -> dict[str, int]:
    now = pybuf.stats()
    return {name: now[name] for name in NOTHING}  # type: ignore[literal-required]


def grown(before: dict[str, int]) -> tuple[int, ...]:
    after = counted()
    return tuple(after[name] - before[name] for name in NOTHING)


def test_a_memory_counts_from_its_making_to_its_end():
    before = counted()
    b = pybuf.zeros((3, 4), "d")
    assert grown(before) == (1, 96, 0)
    b.close()
    assert grown(before) == (0, 0, 0)


def test_a_memory_that_close_cannot_end_still_counts():
    before = counted()
    b = pybuf.zeros(16)
    view = memoryview(b)
    b.close()
    assert grown(before) == (1, 16, 1)
    view.release()
    del b
    assert grown(before) == (0, 0, 0)


@pytest.mark.parametrize(
    ("view", "exports"),
    [
        (memoryview, 1),
        (np.asarray, 1),
        (lambda b: b.numpy(), 1),
        (lambda b: b.__dlpack__(), 1),
        (lambda b: b.__arrow_c_array__(), 1),
        (lambda b: memoryview(b)[2:4], 1),
        (lambda b: b.toreadonly(), 0),
        (lambda b: memoryview(b.cast("h").toreadonly()), 1),
        (lambda b: (memoryview(b), b.cast("h").numpy()), 2),
        (lambda b: b.address, 0),
        (lambda b: np.ndarray(16, "B", buffer=b), 0),
    ],
)
def test_views_count_once_however_many_casts_lie_between(
    view: Callable[[pybuf.Buffer], Any], exports: int
):
    b = pybuf.zeros(16)
    before = counted()
    held = view(b)
    assert grown(before) == (0, 0, exports)
    del held
    assert grown(before) == (0, 0, 0)


def test_each_source_has_sums_of_its_own():
    before = pybuf.stats()["sources"]
    held = [
        pybuf.zeros(10),
        pybuf.zeros(20),
        pybuf.zeros(100, source="go"),
        memoryview(pybuf.wrap(ADDRESS, 64, unowned=True)),
    ]
    after = pybuf.stats()["sources"]
    sums = {
        source: tuple(after[source][name] - before[source][name] for name in NOTHING)  # type: ignore[literal-required]
        for source in ("c", "go", "foreign")
    }
    assert sums == {"c": (2, 30, 0), "go": (1, 100, 0), "foreign": (1, 64, 1)}
    del held


@given(st.lists(st.sampled_from(["c", "go", "foreign"]), max_size=12), st.data())
def test_the_sums_are_those_of_the_sources_and_of_live(sources: list[str], data: Any):
    held: list[Any] = []
    for source in sources:
        size = data.draw(st.integers(0, 50))
        made = (
            pybuf.wrap(ADDRESS, size, unowned=True)
            if source == "foreign"
            else pybuf.zeros(size, source=source)  # type: ignore[arg-type]
        )
        held.extend([made, *(memoryview(made) for _ in range(data.draw(st.integers(0, 3))))])
        if data.draw(st.booleans()):
            held.pop(data.draw(st.integers(0, len(held) - 1)))
    now, records = pybuf.stats(), pybuf.live()
    assert now["blocks"] == len(records)
    assert now["bytes"] == sum(r.nbytes for r in records)
    assert now["exports"] == sum(r.exports for r in records)
    for source, sums in now["sources"].items():
        theirs = [r for r in records if r.source == source]
        assert sums == {
            "blocks": len(theirs),
            "bytes": sum(r.nbytes for r in theirs),
            "exports": sum(r.exports for r in theirs),
        }


def test_resize_changes_the_bytes_and_nothing_else():
    b = pybuf.zeros(16)
    before = counted()
    b.resize(100)
    assert grown(before) == (0, 84, 0)


def test_calls_into_go_are_counted_and_asking_makes_none():
    first = pybuf.stats()["go_calls"]
    assert pybuf.stats()["go_calls"] == first
    pybuf.live()
    pybuf.zeros(8, source="go").close()
    assert pybuf.stats()["go_calls"] == first + 2


def test_a_buffer_whose_end_has_begun_does_not_count():
    before = counted()
    seen = []
    b = pybuf.wrap(ADDRESS, 64, release=lambda _: seen.append(grown(before)))
    del b
    assert seen == [(0, 0, 0)]


def test_interpreters_count_apart_and_share_the_calls_into_go(fresh: Fresh):
    fresh(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import os, sys, pybuf

        b = pybuf.zeros(100)
        path = [p for p in sys.path if p]
        told, tell = os.pipe()
        failed = interpreters.run_string(interpreters.create(), f'''if True:
            import os, sys
            sys.path[:] = {path!r}
            import pybuf
            b = pybuf.zeros(8)
            s = pybuf.stats()
            text = repr((s["blocks"], s["bytes"], s["go_calls"], len(pybuf.live())))
            os.write({tell}, text.encode())
        ''')
        assert failed is None, failed
        blocks, size, calls, live = eval(os.read(told, 1000))
        assert (blocks, size, live) == (1, 8, 1)
        assert calls == pybuf.stats()["go_calls"]
        assert pybuf.stats()["bytes"] == 100
        """
    )


def test_asking_leaves_nothing_behind():
    held = pybuf.zeros((2, 3), "d").numpy()
    pybuf.stats(), pybuf.live()
    gc.collect()
    blocks = len(gc.get_objects())
    for _ in range(3000):
        pybuf.stats()
        pybuf.live()
    gc.collect()
    assert abs(len(gc.get_objects()) - blocks) < 50
    del held
