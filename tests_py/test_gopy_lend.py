"""lend(): an object of gopy's whose memory is an array's, until it ends."""

from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from typing import Any

import numpy as np
import pytest

from pybuf import gopy


@pytest.fixture
def lend(vecs: Any) -> Any:
    return gopy.lend


def where(a: np.ndarray[Any, Any]) -> int:
    return int(a.__array_interface__["data"][0])


def test_it_is_a_slice_on_the_memory_of_the_array(lend: Any, go: Any, vecs: Any):
    x = np.arange(3.0)
    s = lend(go.Slice_float64, x)
    assert type(s) is go.Slice_float64
    assert vecs.Address(s) == where(x)
    s[1] = 9.0
    x[0] = 5
    assert list(s) == x.tolist() == [5, 9, 2]


def test_it_has_no_room_beyond_the_array(lend: Any, go: Any, vecs: Any):
    s = lend(go.Slice_float64, np.arange(3.0)[:2])
    assert (vecs.Len(s), vecs.Cap(s)) == (2, 2)


def test_append_leaves_the_array(lend: Any, go: Any, vecs: Any):
    x = np.arange(3.0)
    s = lend(go.Slice_float64, x)
    s.append(9.0)
    assert vecs.Address(s) != where(x)
    s[0] = 7.0
    assert x.tolist() == [0, 1, 2]


def test_it_keeps_the_array_until_it_is_gone(lend: Any, go: Any, vecs: Any):
    x = np.arange(3.0)
    ref = weakref.ref(x)
    s = lend(go.Slice_float64, x)
    del x
    gc.collect()
    assert ref() is not None
    assert vecs.SumFloat64s(s) == 3
    del s
    assert ref() is None


def test_at_the_end_of_with_it_is_nil(lend: Any, go: Any, vecs: Any):
    x = np.arange(3.0)
    before = sys.getrefcount(x)
    with lend(go.Slice_float64, x) as s:
        assert vecs.SumFloat64s(s) == 3
    assert vecs.IsNil(s)
    assert len(s) == 0
    assert sys.getrefcount(x) == before


def test_it_is_nil_before_the_array_goes(lend: Any, go: Any):
    x = np.arange(3.0)
    s = lend(go.Slice_float64, x)
    seen: list[int] = []
    weakref.finalize(x, lambda: seen.append(len(s)))
    del x
    with s:
        pass
    assert seen == [0]


@pytest.mark.parametrize(
    "call",
    [lambda vecs, s: vecs.SlowCelsius(s, 300), lambda vecs, s: s.Slowly(300)],
    ids=["a function", "a method"],
)
def test_a_call_of_another_thread_outlives_with(call: Any, lend: Any, vecs: Any):
    x = np.arange(1000.0)
    ref = weakref.ref(x)
    sums: list[float] = []
    with lend(vecs.Celsius, x) as s:
        del x
        calling = threading.Thread(target=lambda: sums.append(call(vecs, s)))
        calling.start()
        time.sleep(0.1)
    held = ref() is not None or not calling.is_alive()
    calling.join()
    assert held
    assert sums == [sum(range(1000))]
    assert ref() is None


def test_with_ends_it_when_an_error_comes_out(lend: Any, go: Any, vecs: Any):
    x = bytearray(3)

    def fail() -> None:
        with lend(go.Slice_byte, x):
            with pytest.raises(BufferError):
                x.append(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    x.append(1)


def test_an_array_of_it_outlives_with(lend: Any, go: Any):
    x = np.arange(3.0)
    ref = weakref.ref(x)
    with lend(go.Slice_float64, x) as s:
        a = np.asarray(s)
    del x
    assert ref() is not None
    assert a.tolist() == [0, 1, 2]
    del a
    assert ref() is None


def test_what_go_kept_outlives_with(lend: Any, go: Any, vecs: Any):
    x = np.arange(1000.0)
    ref = weakref.ref(x)
    with lend(go.Slice_float64, x) as s:
        keeper = vecs.NewKeeper(s)
    del x
    vecs.Litter(10)
    assert ref() is not None
    assert keeper.Sum() == sum(range(1000))


def test_named_slices_and_structs_can_be_lent(lend: Any, vecs: Any):
    x = np.arange(3.0)
    assert lend(vecs.Celsius, x).Mean() == 1
    points = np.zeros(3, np.asarray(vecs.Points(1)).dtype)
    points["X"] = 2
    assert vecs.SumPoints(lend(vecs.Slice_vecs_Point, points)) == 6


def test_an_empty_array_can_be_lent(lend: Any, go: Any, vecs: Any):
    s = lend(go.Slice_float64, np.empty(0))
    assert vecs.Len(s) == 0
    assert not vecs.IsNil(s)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: np.zeros(3, "f4"), r"float32|'f'"),
        (lambda: np.zeros(6)[::2], "contiguous"),
        (lambda: [1.0], "buffer"),
        (lambda: None, "None"),
    ],
)
def test_what_does_not_fit_is_refused(make: Any, said: str, lend: Any, go: Any):
    with pytest.raises((TypeError, BufferError), match=said):
        lend(go.Slice_float64, make())


def test_read_only_memory_is_refused(lend: Any, go: Any):
    with pytest.raises((TypeError, BufferError, ValueError), match="read-only"):
        lend(go.Slice_byte, b"abc")


@pytest.mark.parametrize("what", ["list", "np.ndarray", "go.GoClass", "vecs.Acc", "go.nil", "3"])
def test_what_is_no_class_of_slices_is_refused(what: str, lend: Any, go: Any, vecs: Any):
    with pytest.raises(TypeError):
        lend(eval(what, {"np": np, "go": go, "vecs": vecs}), np.ones(3))
