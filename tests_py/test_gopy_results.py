"""Results that stand on an array that was lent keep it, and let it go."""

from __future__ import annotations

import gc
import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import gopy_runs
import numpy as np
import pytest

#: Functions of vecs that give a slice on the memory that x is.
STAND = {
    "the slice": lambda vecs, x: vecs.Same(x),
    "the first of three": lambda vecs, x: vecs.AddTo(x, np.zeros(len(x)), x),
    "a half": lambda vecs, x: vecs.Half(x),
    "the end": lambda vecs, x: vecs.Tail(x, 10),
    "a named slice": lambda vecs, x: vecs.AsCelsius(x),
    "with an error": lambda vecs, x: vecs.Checked(x),
    "a method's": lambda vecs, x: vecs.NewKeeper(x).Get(),
    "a field": lambda vecs, x: vecs.NewShower(x).Shown,
    "a row": lambda vecs, x: vecs.RowsOf(x, 10)[3],
    "of a map": lambda vecs, x: vecs.ByName(x)["x"],
    "a part of a part": lambda vecs, x: vecs.Half(vecs.Tail(x, 10)),
    "a slice of a slice": lambda vecs, x: vecs.Same(x)[5:20],
}


def overwrite_what_is_free(vecs: Any) -> None:
    """So that what looks at memory that has gone does not find what was there."""
    for _ in range(3):
        gc.collect()
        vecs.Collect()
        vecs.Litter(10)
        np.full(1000, np.nan)


def filled(tree: Any, x: Any) -> Any:
    tree.Fill(x)
    return tree


def filled_child(vecs: Any, x: Any) -> Any:
    tree = vecs.NewTree()
    child = tree.Left()
    tree.Fill(x)
    return child


def mapped(vecs: Any, x: Any) -> Any:
    same = vecs.Same(x)
    return vecs.Map_string_Slice_float64({"x": same.handle})


def swapped(vecs: Any, x: Any) -> Any:
    tree = vecs.NewTree()
    child = tree.Right()
    tree.Left().Keep(x)
    tree.Swap()
    return child


def filled_part(vecs: Any, x: Any) -> Any:
    keeper = vecs.Keeper()
    keepers = vecs.Slice_Ptr_vecs_Keeper([keeper])
    vecs.FillAll(keepers, x)
    return keeper


def taken_after(vecs: Any, x: Any) -> Any:
    first, second = vecs.Keeper(), vecs.Keeper()
    second.TakeAfter(first, lambda _: first.Keep(x))
    return second


#: What keeps x in Go: a struct, to any depth.
KEEP = {
    "rows": lambda vecs, x: vecs.RowsOf(x, 10),
    "a map": lambda vecs, x: vecs.ByName(x),
    "a hidden field": lambda vecs, x: vecs.NewKeeper(x),
    "an open field": lambda vecs, x: vecs.NewShower(x),
    "a chain of pointers": lambda vecs, x: vecs.NewChain(x, 5),
    "with an error": lambda vecs, x: vecs.CheckedKeeper(x),
    "a struct that is no pointer": lambda vecs, x: vecs.KeeperValue(x),
    "a slice of pointers": lambda vecs, x: vecs.Keepers(x),
    "a field of type any": lambda vecs, x: vecs.NewBox(x),
    "an array of slices": lambda vecs, x: vecs.NewPair(x),
    "no items, and the room": lambda vecs, x: vecs.NewReuser(x),
    "fewer rows before": lambda vecs, x: vecs.NewShelf(x),
    "a child of what took it": lambda vecs, x: filled(vecs.NewTree(), x).Left(),
    "a child that was there before": filled_child,
    "where a method moved it": swapped,
    "a part of a slice of pointers": filled_part,
    "where it came after a callback": taken_after,
    "by a method of the slice": lambda vecs, x: vecs.AsCelsius(x).Keeper(),
    "rows by a method of the slice": lambda vecs, x: vecs.AsCelsius(x).Rows(),
    "a map by a method of the slice": lambda vecs, x: vecs.AsCelsius(x).ByName(),
    "a map that was made by Python": mapped,
}

Make = Callable[[Any, Any], Any]
STANDS = pytest.mark.parametrize("make", STAND.values(), ids=STAND)
KEEPS = pytest.mark.parametrize("make", KEEP.values(), ids=KEEP)


def lent(n: int = 1000) -> tuple[np.ndarray[Any, Any], weakref.ref[Any]]:
    x = np.arange(float(n))
    return x, weakref.ref(x)


def goes(vecs: Any, ref: weakref.ref[Any]) -> bool:
    """Waits for Go's collector."""
    return gopy_runs.settle(lambda: ref() is not None, vecs.Collect) == 0


@pytest.mark.parametrize("view", [np.asarray, memoryview])
@STANDS
def test_a_result_keeps_the_array(make: Make, view: Callable[[Any], Any], vecs: Any):
    x, ref = lent()
    r = make(vecs, x)
    del x
    gc.collect()
    vecs.Collect()
    assert ref() is not None
    v = view(r)
    expected = list(r)
    del r
    gc.collect()
    vecs.Collect()
    assert ref() is not None
    assert v.tolist() == expected
    assert np.shares_memory(ref(), v)


@STANDS
def test_the_array_is_let_go_with_the_last_of_a_result(make: Make, vecs: Any):
    x, ref = lent()
    r = make(vecs, x)
    a = np.asarray(r)
    b = a[1:]
    del x, r, a
    vecs.Collect()
    assert ref() is not None
    del b
    assert goes(vecs, ref)


@pytest.mark.parametrize("name", ["the slice", "the first of three", "a half", "the end"])
def test_a_slice_lets_the_array_go_at_once(name: str, vecs: Any):
    """By its reference count: without a collector, on either side."""
    x, ref = lent()
    gc.disable()
    try:
        r = STAND[name](vecs, x)
        a = np.asarray(r)
        del x
        del r
        assert ref() is not None
        del a
        assert ref() is None
    finally:
        gc.enable()


def test_a_result_is_the_array(vecs: Any):
    x = np.arange(4.0)
    r = vecs.Same(x)
    assert np.asarray(r).__array_interface__["data"] == x.__array_interface__["data"]
    r[1] = 9.0
    assert x.tolist() == [0, 9, 2, 3]


def test_a_result_is_a_gopy_object_as_ever(go: Any, vecs: Any):
    r = vecs.Same(np.arange(3.0))
    assert type(r) is go.Slice_float64
    assert list(r) == [0, 1, 2]
    assert vecs.SumFloat64s(r) == 3


def test_structures_and_bytes_come_back_too(vecs: Any):
    points = np.zeros(3, np.asarray(vecs.Points(1)).dtype)
    a = np.asarray(vecs.PointsOf(points))
    a["X"] = 5
    assert points["X"].tolist() == [5, 5, 5]
    text = bytearray(b"abc")
    view = memoryview(vecs.BytesOf(text))
    with pytest.raises(BufferError):
        text += b"d"
    del view
    text += b"d"


def test_append_beyond_the_array_gives_memory_of_go(vecs: Any):
    x, ref = lent(10)
    r = vecs.Append(x, 5.0)
    x[0] = 9
    assert r[0] == 0
    assert len(x) == 10
    del x
    assert ref() is None
    assert list(r)[-1] == 5


def test_a_pointer_to_an_item_keeps_the_array(vecs: Any):
    for get in (lambda x: vecs.PointsOf(x)[0], vecs.First, lambda x: vecs.Slice_vecs_Point(x)[0]):
        x = np.ones(1000, np.asarray(vecs.Points(1)).dtype)
        point = get(x)
        del x
        np.full(2000, np.nan)
        gc.collect()
        vecs.Collect()
        assert (point.X, point.Norm()) == (1, 2)


def test_an_item_that_is_an_array_keeps_the_array(vecs: Any):
    x = np.arange(3000.0).reshape(1000, 3)
    triple = vecs.TriplesOf(x)[5]
    view = np.asarray(triple)
    del x, triple
    np.full(3000, np.nan)
    assert view.tolist() == [15, 16, 17]


def test_an_image_on_an_array_keeps_it(vecs: Any):
    x = np.zeros((48, 64, 4), "u1")
    ref = weakref.ref(x)
    img = vecs.ImageOf(x, 64, 48)
    x[5, 7, 0] = 99
    assert vecs.Red(img, 7, 5) == 99
    part = vecs.Inner(img, 7, 5, 9, 8)
    del x, img
    gc.collect()
    vecs.Collect()
    assert np.asarray(part)[0, 0, 0] == 99
    view = np.asarray(part)
    del part
    vecs.Collect()
    assert ref() is not None
    assert view[0, 0, 0] == 99
    del view
    assert goes(vecs, ref)


def test_a_part_that_grows_writes_into_the_array(vecs: Any):
    """As a part of a Go slice does: the rest of the array is its capacity."""
    x = np.arange(4.0)
    r = vecs.Append(vecs.Half(x), 9.0)
    assert list(r) == [0, 1, 9]
    assert x.tolist() in ([0, 1, 9, 3], [0, 1, 2, 3])
    grown = vecs.Append(r, 7.0)
    grown = vecs.Append(grown, 8.0)  # and not beyond
    assert list(grown) == [0, 1, 9, 7, 8]


def test_a_copy_of_go_does_not_keep_the_array(vecs: Any):
    x, ref = lent()
    r = vecs.Clone(x)
    del x
    assert ref() is None
    assert len(r) == 1000


def test_an_empty_rest_does_not_crash(vecs: Any):
    x, ref = lent()
    r = vecs.Last(x)
    del x
    assert np.asarray(r).shape == (0,)
    del r
    assert goes(vecs, ref)


@KEEPS
def test_what_keeps_the_array_in_go_keeps_it(make: Make, vecs: Any):
    x, ref = lent()
    kept = make(vecs, x)
    del x
    overwrite_what_is_free(vecs)
    assert ref() is not None
    if hasattr(kept, "Sum"):
        assert kept.Sum() == sum(range(1000))


@KEEPS
def test_go_s_collector_lets_the_array_go(make: Make, vecs: Any):
    x, ref = lent()
    kept = make(vecs, x)
    del x
    assert ref() is not None
    del kept
    assert goes(vecs, ref)


def test_a_pointer_that_a_method_of_an_item_hands_on_keeps_the_array(vecs: Any):
    x = np.ones(10, np.asarray(vecs.Points(0)).dtype)
    ref = weakref.ref(x)
    kept = vecs.First(x).Ref()
    del x
    overwrite_what_is_free(vecs)
    assert ref() is not None
    assert kept.X() == 1
    del kept
    assert goes(vecs, ref)


def test_what_another_thread_lends_meanwhile_is_kept(vecs: Any):
    x, ref = lent()
    first, second = vecs.Keeper(), vecs.Keeper()
    called, ready = threading.Event(), threading.Event()

    def wait(_: int) -> None:
        called.set()
        assert ready.wait(60)

    taking = threading.Thread(target=second.TakeAfter, args=(first, wait))
    taking.start()
    assert called.wait(60)
    first.Keep(x)
    ready.set()
    taking.join()
    del x, first, taking
    overwrite_what_is_free(vecs)
    assert ref() is not None
    assert second.Sum() == sum(range(1000))
    del second
    assert goes(vecs, ref)


def test_an_object_that_cannot_be_searched_keeps_no_array_of_other_calls(vecs: Any):
    """Else an array for each call stays with an object that lives as long as the program."""
    locked, keeper, gone = vecs.Locked(), vecs.NewKeeper(None), threading.Event()

    def use() -> None:
        while not gone.is_set():
            vecs.FillLocked(vecs.LockedOf(locked), vecs.Float64s(1))

    using = threading.Thread(target=use)
    using.start()
    refs = []
    for _ in range(300):
        x, ref = lent()
        refs.append(ref)
        vecs.SumFloat64s(x)
        del x
    gone.set()
    using.join()
    assert [ref() for ref in refs] == [None] * 300
    del keeper


def test_a_locked_object_in_a_slice_keeps_the_array_or_a_copy(vecs: Any):
    x, ref = lent()
    locked = vecs.Locked()
    vecs.FillLocked(vecs.LockedOf(locked), x)
    del x
    gc.collect()
    vecs.Collect()
    np.full(1000, np.nan)
    assert locked.Sum() == sum(range(1000))
    del locked
    assert goes(vecs, ref)


def test_maps_that_other_threads_write_are_not_looked_into(gopy_run: Any):
    gopy_run(
        """
        store, keeper = vecs.NewStore(), vecs.NewKeeper(None)
        lent = pybuf.gopy.lend(go.Slice_float64, np.ones(3))
        writer = threading.Thread(target=store.Work, args=(keeper, 2_000_000))
        writer.start()
        while writer.is_alive():
            store.Has(keeper)
        """
    )


def test_an_interface_keeps_the_array(gopy_run: Any):
    """Forever: gopy never lets go of what an interface is."""
    gopy_run(
        """
        x = np.arange(1000.0)
        ref = weakref.ref(x)
        summer = vecs.SummerOf(x)
        del x
        for _ in range(3):
            gc.collect()
            vecs.Collect()
            vecs.Litter(10)
            np.full(1000, np.nan)
        assert ref() is not None
        assert vecs.SumOf(summer) == summer.Sum() == sum(range(1000))
        """
    )


def test_a_go_object_that_holds_the_keeper_keeps_the_array(vecs: Any):
    x, ref = lent()
    holder = vecs.KeeperOf(vecs.NewKeeper(x))
    del x
    gc.collect()
    vecs.Collect()
    vecs.Litter(20)
    assert ref() is not None
    assert holder.Sum() == sum(range(1000))
    del holder
    assert goes(vecs, ref)


def test_a_method_that_keeps_the_array_keeps_it(vecs: Any):
    x, ref = lent()
    keeper = vecs.NewKeeper(vecs.Float64s(1))
    keeper.Keep(x)
    del x
    gc.collect()
    vecs.Collect()
    vecs.Litter(20)
    assert keeper.Sum() == sum(range(1000))
    del keeper
    assert goes(vecs, ref)


def test_a_keeper_where_another_was_keeps_the_array(gopy_run: Any):
    """Go gives the address of one that is gone to the next, before its end is told."""
    gopy_run(
        """
        for n in range(60):
            x = np.arange(100.0)
            ref = weakref.ref(x)
            s = pybuf.gopy.lend(go.Slice_float64, x)
            for _ in range(2000):
                keeper = vecs.NewKeeper(s)
            del s, x
            vecs.Collect()
            assert ref() is not None, n
            assert keeper.Sum() == 4950
        del keeper
        settle()
        """,
        env={**os.environ, "GOGC": "1"},
    )


def test_a_copy_of_a_keeper_keeps_the_array(vecs: Any):
    """As a row or a part of a matrix does that stands on an array."""
    x, ref = lent()
    copied = vecs.NewKeeper(x).Copy()
    del x
    overwrite_what_is_free(vecs)
    assert ref() is not None
    assert copied.Sum() == sum(range(1000))
    del copied
    assert goes(vecs, ref)


def test_what_one_keeper_hands_to_another_is_kept(vecs: Any):
    x, ref = lent()
    first, second = vecs.NewKeeper(x), vecs.NewKeeper(None)
    second.TakeFrom(first)
    del x, first
    overwrite_what_is_free(vecs)
    assert ref() is not None
    assert second.Sum() == sum(range(1000))
    del second
    assert goes(vecs, ref)


@pytest.mark.parametrize(
    "way",
    [
        "vecs.NewKeeper(x).Copy().Copy()",
        "taken(vecs.NewKeeper(x), vecs.NewKeeper(None), vecs.NewKeeper(None))",
        "vecs.KeeperOf(vecs.NewKeeper(x)).Copy().Copy()",
        "vecs.NewKeeper(vecs.NewKeeper(x).Get())",
        "taken(vecs.NewKeeper(x), vecs.InnerOf(outer))",
    ],
)
def test_memory_that_goes_a_long_way_is_kept(way: str, vecs: Any):
    x, ref = lent()

    def taken(first: Any, *others: Any) -> Any:
        for other in others:
            other.TakeFrom(first)
            first = other
            gc.collect()
            vecs.Collect()
        return first

    outer = vecs.NewOuter()
    names = {"vecs": vecs, "x": x, "taken": taken, "outer": outer}
    kept = eval(way, names)
    del x, names
    overwrite_what_is_free(vecs)
    assert ref() is not None
    assert kept.Sum() == sum(range(1000))
    del kept, outer
    assert goes(vecs, ref)


def test_a_struct_inside_of_another_keeps_the_array(vecs: Any):
    x, ref = lent()
    outer = vecs.NewOuter()
    vecs.InnerOf(outer).Keep(x)
    del x
    overwrite_what_is_free(vecs)
    assert outer.Sum() == sum(range(1000))
    del outer
    assert goes(vecs, ref)


def test_a_keeper_that_is_no_memory_of_the_heap_keeps_the_array(gopy_run: Any):
    gopy_run(
        """
        x = np.arange(1000.0)
        vecs.Shared().Keep(x)
        del x
        for _ in range(3):
            gc.collect()
            vecs.Collect()
            np.full(1000, np.nan)
        assert vecs.Shared().Sum() == sum(range(1000))
        """
    )


def test_an_array_on_memory_of_go_is_lent_as_any(vecs: Any):
    a = np.asarray(vecs.Float64s(1000))
    ref = weakref.ref(a)
    r, keeper = vecs.Same(a), vecs.NewKeeper(a)
    del a
    gc.collect()
    vecs.Collect()
    vecs.Litter(20)
    assert list(r) == list(range(1000))
    assert keeper.Sum() == sum(range(1000))
    del r, keeper
    assert goes(vecs, ref)


def test_arrays_that_overlap_are_lent_as_they_are(vecs: Any):
    x = np.arange(10.0)
    r = vecs.AddTo(x[2:6], x[:4], x[6:])
    del x
    assert list(r) == [6, 8, 14, 17]  # each item sees those before it, as in Go


def test_a_keeper_that_drops_the_array_lets_it_go(vecs: Any):
    x, ref = lent()
    keeper = vecs.NewKeeper(x)
    del x
    keeper.Drop()
    del keeper
    assert goes(vecs, ref)


def test_views_of_what_a_keeper_keeps_outlive_it(vecs: Any):
    x, ref = lent()
    view = np.asarray(vecs.NewKeeper(x).Get())
    del x
    gc.collect()
    vecs.Collect()
    vecs.Litter(20)
    assert view.tolist() == list(range(1000))
    del view
    assert goes(vecs, ref)


def test_two_arrays_in_one_result_are_both_kept(vecs: Any):
    (x, x_ref), (y, y_ref) = lent(), lent()
    keeper = vecs.NewShower(x)
    keeper.Keep(y)
    del x, y
    gc.collect()
    vecs.Collect()
    assert keeper.Sum() == 2 * sum(range(1000))
    del keeper
    assert goes(vecs, x_ref)
    assert goes(vecs, y_ref)


def test_a_result_used_as_an_argument_keeps_the_array(vecs: Any):
    x, ref = lent()
    r = vecs.Half(vecs.Same(vecs.Same(x)))
    del x
    assert ref() is not None
    assert vecs.SumFloat64s(r) == sum(range(500))
    del r
    assert goes(vecs, ref)


@pytest.mark.parametrize("godebug", ["", "clobberfree=1"])
def test_temporary_arrays_stand_two_hundred_rounds(godebug: str, gopy_run: Any):
    gopy_run(
        """
        a, b = np.arange(5000.0), np.ones(5000)
        want = a + b
        made = []
        for i in range(200):
            r = vecs.AddTo(np.empty(5000), a, b)
            keeper = vecs.NewKeeper(np.arange(5000.0))
            rows = vecs.RowsOf(np.arange(5000.0), 100)
            if i % 20 == 0:
                gc.collect()
                vecs.Collect()
            np.full(5000, np.nan), np.full(5000, np.nan)
            vecs.Litter(1)
            assert (np.asarray(r) == want).all()
            assert list(r[:3]) == [1, 2, 3]
            assert keeper.Sum() == a.sum()
            assert vecs.SumGrid(rows) == a.sum()
            made.append(np.asarray(r)[i:])
        for i, part in enumerate(made):
            assert (part == want[i:]).all()
        del r, keeper, rows, made, part
        settle()
        """,
        env={**os.environ, "GOGC": "1", "GODEBUG": godebug},
    )


def test_a_released_array_is_not_released_twice(vecs: Any):
    x = np.arange(10.0)
    results = [vecs.Same(x) for _ in range(10)]
    views = [memoryview(r) for r in results]
    results.clear()
    for view in views:
        view.release()
    started = time.monotonic()
    gopy_runs.settle(lambda: 0, vecs.Collect)
    assert time.monotonic() - started < 10
    assert vecs.SumFloat64s(x) == 45
