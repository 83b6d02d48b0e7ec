"""Go holds a block until the last view of it is gone, then its collector takes the memory."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from blocks import PATTERN
from consumers import COUNTED, UNCOUNTED

import pybuf
from pybuf import _core

MIB = 1 << 20

Held = Callable[[], tuple[int, int]]
Parallel = Callable[..., None]


@pytest.fixture
def held() -> Held:
    """Blocks and bytes that Go holds for Python, since the test began."""

    def now() -> tuple[int, int]:
        runtime = _core._go_runtime(False)
        return runtime["blocks"], runtime["block_bytes"]

    before = now()
    return lambda: (now()[0] - before[0], now()[1] - before[1])


def test_blocks_and_their_bytes_are_counted(held: Held):
    a = pybuf.zeros(1000, source="go")
    b = pybuf.zeros((2, 3), "d", source="go", align=4096)
    c = pybuf.zeros(0, source="go")
    assert held() == (3, 1048)
    del a
    assert held() == (2, 48)
    b.close()
    assert held() == (1, 0)
    del c
    assert held() == (0, 0)


def test_memory_of_c_is_no_block(held: Held):
    b = pybuf.zeros(1000)
    view = b.numpy()
    assert held() == (0, 0)
    del view


def test_resize_holds_the_new_block_and_no_longer_the_old_one(held: Held):
    b = pybuf.zeros(1000, source="go")
    for n in (10, 5000, 0, 7):
        b.resize(n)
        assert held() == (1, n)


# ---- until the last view is gone -------------------------------------------------------

CONSUMERS = COUNTED | UNCOUNTED
CONSUMERS |= {"pyarrow": pa.array, "slice of pyarrow": lambda b: pa.array(b)[3:]}


@pytest.mark.parametrize("consume", CONSUMERS.values(), ids=CONSUMERS)
def test_a_block_is_held_until_its_last_view_is_gone_and_not_longer(consume, held: Held):
    b = pybuf.copy(PATTERN, source="go")
    view = consume(b)
    _core._go_runtime(True)
    assert held() == (1, 64)
    b.close()
    del b
    _core._go_runtime(True)
    assert held() == (1, 64)
    del view
    assert held() == (0, 0)


@pytest.mark.parametrize("last", range(5))
def test_whichever_view_is_the_last_one(last: int, held: Held):
    b = pybuf.copy(PATTERN, source="go")
    array = np.asarray(b)
    child = b.toreadonly().cast("i")
    views = [memoryview(b)[8:], array[::2], np.ndarray(8, "d", b), child, b[1:3]]
    del b, array, child
    kept = views.pop(last)
    while views:
        views.pop()
        assert held() == (1, 64)
    del kept
    assert held() == (0, 0)


def test_a_block_that_a_thread_dropped_is_no_longer_held(parallel: Parallel, held: Held):
    box: list[Any] = [np.asarray(pybuf.zeros(1000, source="go"))]
    assert held() == (1, 1000)
    parallel(lambda _: box.clear(), threads=1)
    assert held() == (0, 0)


def test_a_block_that_a_thread_made_outlives_it(parallel: Parallel, held: Held):
    box: list[Any] = []
    parallel(lambda _: box.append(pybuf.copy(PATTERN, source="go")[:]), threads=1)
    _core._go_runtime(True)
    assert held() == (1, 64)
    assert box.pop().tobytes() == PATTERN
    assert held() == (0, 0)


@pytest.mark.usefixtures("only_explicit_collections")
@pytest.mark.parametrize("hold", [lambda b: b, memoryview, lambda b: b.toreadonly()])
def test_a_block_in_a_garbage_cycle_goes_with_it(hold, held: Held):
    garbage: list[Any] = [hold(pybuf.zeros(1000, source="go"))]
    garbage.append(garbage)
    del garbage
    assert held() == (1, 1000)
    gc.collect()
    assert held() == (0, 0)


def test_a_block_of_a_sub_interpreter_goes_with_it(fresh: Callable[..., Any]):
    fresh(
        """
        import pybuf
        from pybuf import _core
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters

        code = '''if True:
            import pybuf
            kept = [pybuf.zeros(100, source="go"), memoryview(pybuf.zeros(100, source="go"))]
            '''
        mine = pybuf.copy(b"mine", source="go")
        for _ in range(3):
            here = interpreters.create()
            assert interpreters.run_string(here, code) is None
            assert _core._go_runtime(True)["blocks"] == 3
            interpreters.destroy(here)
            assert _core._go_runtime(True)["blocks"] == 1
        assert mine.tobytes() == b"mine"
        """
    )


# ---- what Go's collector does ----------------------------------------------------------


def heap() -> int:
    """Bytes of Go's heap that live."""
    return _core._go_runtime(True)["heap_bytes"]


def test_gos_collector_takes_what_is_no_longer_held():
    pybuf.zeros(1, source="go")  # the first one ever brings more with it
    before = heap()
    blocks = [pybuf.zeros(50 * MIB, source="go") for _ in range(4)]
    views = [memoryview(b) for b in blocks]
    del blocks
    assert heap() - before == pytest.approx(200 * MIB, abs=5 * MIB)
    del views[1:]
    assert heap() - before == pytest.approx(50 * MIB, abs=5 * MIB)
    views.clear()
    assert heap() - before == pytest.approx(0, abs=5 * MIB)


def test_many_blocks_come_and_go_in_the_heap_of_a_few():
    """Go's collector runs by itself as they do."""
    pybuf.zeros(1, source="go")
    before, collections = heap(), _core._go_runtime(False)["collections"]
    for _ in range(100):
        pybuf.zeros(20 * MIB, source="go")
    assert _core._go_runtime(False)["collections"] > collections + 10
    assert _core._go_runtime(False)["heap_bytes"] - before < 500 * MIB
    assert heap() - before == pytest.approx(0, abs=5 * MIB)


def test_views_stay_as_they_were_while_go_collects(parallel: Parallel):
    """Some threads make and drop blocks of all sizes, one has Go collect, one looks."""
    kept = [
        (pybuf.copy(bytes([i]) * n, source="go").numpy(), i, n)
        for i, n in enumerate((1, 8, 100, 4096, 8192, 40_000, 300_000, 3 * MIB) * 5)
    ]
    where = [view.ctypes.data for view, _, _ in kept]

    def work(me: int) -> None:
        for i in range(60):
            if me == 0:
                _core._go_runtime(True)
            elif me == 1:
                for view, fill, _ in kept:
                    assert (view == fill).all()
            else:
                for n in (1, 8, 100, 4096, 8192, 40_000, 300_000):
                    b = pybuf.empty(n + i, source="go").numpy()
                    b[:] = 200 + me
                    assert (b == 200 + me).all()

    parallel(work, threads=6)
    assert [view.ctypes.data for view, _, _ in kept] == where
    assert all((view == fill).all() and view.size == n for view, fill, n in kept)


def test_many_threads_make_pass_on_and_drop(parallel: Parallel, held: Held):
    """Each block is written by one thread, and read and dropped by another one."""
    passed: list[tuple[Any, int]] = []
    doors = (np.asarray, pybuf.Buffer.numpy, lambda b: b.cast("B").numpy())

    def work(me: int) -> None:
        for i in range(300):
            b = pybuf.empty(i * 31 % 9000, source="go")
            view = doors[i % 3](b)
            view[:] = me
            passed.append((view, me))
            other, fill = passed.pop(0)
            assert (other == fill).all()
            if i % 100 == 0:
                _core._go_runtime(True)

    parallel(work, threads=8)
    assert passed == []
    assert held() == (0, 0)


# ---- calls into Go ---------------------------------------------------------------------


def test_a_making_and_a_freeing_are_one_call_each(go_calls: Callable[[], int]):
    for make in (
        lambda: pybuf.zeros((2, 3), "d", source="go"),
        lambda: pybuf.empty(9 * MIB, source="go", align=4096),
        lambda: pybuf.copy(b"abc", source="go"),
    ):
        before = go_calls()
        b = make()
        assert go_calls() == before + 1
        del b
        assert go_calls() == before + 2


def test_a_resize_is_a_making_and_a_freeing(go_calls: Callable[[], int]):
    b = pybuf.zeros(10, source="go")
    before = go_calls()
    b.resize(20)
    assert go_calls() == before + 2


def test_close_is_the_freeing(go_calls: Callable[[], int]):
    b = pybuf.zeros(10, source="go")
    before = go_calls()
    b.close()
    b.close()
    assert go_calls() == before + 1
    del b
    assert go_calls() == before + 1


@pytest.mark.parametrize("consume", CONSUMERS.values(), ids=CONSUMERS)
def test_views_do_not_call_go(consume, go_calls: Callable[[], int]):
    b = pybuf.copy(PATTERN, source="go")
    consume(b)
    before = go_calls()
    for _ in range(10):
        consume(b)
    assert go_calls() == before
