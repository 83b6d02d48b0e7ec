"""Arrays as arguments of Go functions: lent with no copy, copied, or refused."""

from __future__ import annotations

import array
import contextlib
import ctypes
import re
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import gopy_runs
import numpy as np
import pytest

import pybuf
from pybuf import gopy

KINDS = [(k, v[0]) for k, v in gopy_runs.KINDS.items()]
KIND = pytest.mark.parametrize(("kind", "dtype"), KINDS, ids=[k[0] for k in KINDS])


def where(a: np.ndarray[Any, Any]) -> int:
    return int(a.__array_interface__["data"][0])


# ---- lent --------------------------------------------------------------------------------


@KIND
def test_an_array_goes_in(kind: str, dtype: str, vecs: Any):
    assert getattr(vecs, f"Sum{kind}")(np.arange(5, dtype=dtype)) == 10


@KIND
def test_what_go_writes_is_in_the_array(kind: str, dtype: str, vecs: Any):
    x = np.arange(5, dtype=dtype)
    getattr(vecs, f"Double{kind}")(x)
    assert x.tolist() == [0, 2, 4, 6, 8]


def test_bools_and_complex_numbers_go_in(vecs: Any):
    assert vecs.CountTrue(np.array([True, False, True])) == 2
    assert vecs.SumReal64(np.array([1 + 2j, 3j], "c8")) == 1
    assert vecs.SumReal128(np.array([1 + 2j, 3j])) == 1


def test_complex_results_come_back(vecs: Any):
    assert vecs.SumComplex(np.array([1 + 2j, 3j])) == 1 + 5j
    assert vecs.One() == 1 + 2j


def test_go_sees_the_array_itself(vecs: Any):
    x = np.zeros(7)
    assert vecs.Address(x) == where(x)
    assert (vecs.Len(x), vecs.Cap(x)) == (7, 7)


def test_a_contiguous_part_of_an_array_goes_in(vecs: Any):
    x = np.arange(10.0)
    vecs.DoubleFloat64s(x[2:4])
    assert x.tolist() == [0, 1, 4, 6, 4, 5, 6, 7, 8, 9]


def test_an_array_of_any_shape_goes_in_as_its_items(vecs: Any):
    x = np.arange(6.0).reshape(2, 3)
    vecs.DoubleFloat64s(x)
    assert x.tolist() == [[0, 2, 4], [6, 8, 10]]
    assert vecs.SumFloat64s(np.array(5.0)) == 5


def test_structured_arrays_go_in(vecs: Any):
    trades = np.zeros(3, np.asarray(vecs.Trades(1)).dtype)
    trades["Price"] = [1, 2, 4]
    assert vecs.SumPrices(trades) == 7


def test_packed_structures_are_refused_where_go_has_padding(vecs: Any):
    trades = np.zeros(3, [("Time", "i8"), ("Size", "i4"), ("Price", "f8"), ("Buy", "?")])
    with pytest.raises(TypeError, match=r"Trade|itemsize|bytes"):
        vecs.SumPrices(trades)


@pytest.mark.parametrize(
    "make",
    [
        lambda: array.array("d", [1, 2, 3]),
        lambda: memoryview(np.array([1.0, 2, 3])),
        lambda: (ctypes.c_double * 3)(1, 2, 3),
        lambda: pybuf.copy(np.array([1.0, 2, 3])),
        lambda: pybuf.copy(np.array([1.0, 2, 3]), source="go"),
    ],
    ids=["array", "memoryview", "ctypes", "pybuf", "pybuf of Go"],
)
def test_any_exporter_goes_in(make: Callable[[], Any], vecs: Any):
    x = make()
    assert vecs.SumFloat64s(x) == 6
    vecs.DoubleFloat64s(x)
    assert np.asarray(x).tolist() == [2, 4, 6]


def test_a_bytearray_goes_in(vecs: Any):
    x = bytearray(b"\1\2\3")
    vecs.DoubleBytes(x)
    assert x == b"\2\4\6"


def test_a_slice_of_go_goes_in_as_before(vecs: Any):
    assert vecs.SumFloat64s(vecs.Float64s(4)) == 6


@pytest.mark.parametrize("kind", ["Celsius", "Float64s"])
def test_an_array_goes_in_for_a_named_slice(kind: str, vecs: Any):
    x = np.arange(3.0)
    getattr(vecs, f"Double{kind}")(x)
    assert x.tolist() == [0, 2, 4]


def test_an_array_goes_into_another_package(more: Any):
    assert more.Mean(np.array([1.0, 3.0])) == 2
    assert more.Sum(np.arange(5.0)) == 10


def test_several_arrays_go_in_at_once(vecs: Any):
    a, b, dst = np.arange(4.0), np.full(4, 10.0), np.empty(4)
    vecs.AddTo(dst, a, b)
    assert dst.tolist() == [10, 11, 12, 13]


def test_the_same_array_goes_in_twice(vecs: Any):
    x = np.arange(4.0)
    vecs.AddTo(x, x, x)
    assert x.tolist() == [0, 2, 4, 6]


def test_arrays_go_in_among_other_arguments(vecs: Any):
    assert vecs.Mixed("abc", np.ones(2), 10.0, np.ones(4, "f4")) == 27


def test_arrays_go_in_by_name(vecs: Any):
    assert vecs.SumFloat64s(x=np.ones(3)) == 3
    assert vecs.Scaled(scale=2.0, x=np.ones(3)) == 6
    assert vecs.Mixed("abc", y=np.ones(4, "f4"), scale=10.0, x=np.ones(2)) == 27
    assert vecs.Keyword(myin=2.0, mylambda=np.ones(3)) == 6


def test_arrays_go_in_where_go_names_no_argument(vecs: Any):
    assert vecs.Unnamed(np.ones(3), 1) == 1


def test_methods_take_arrays(vecs: Any):
    acc = vecs.NewAcc(0)
    assert acc.Total(2.0, np.ones(3)) == 6
    assert acc.Total(x=np.ones(3), scale=3.0) == 9
    assert acc.Dot(np.arange(3.0), np.arange(3.0)) == 5


def test_methods_of_named_slices_take_arrays(vecs: Any):
    s = vecs.Temperatures(3)
    s.Warmer(np.ones(3))
    assert list(s) == [1, 2, 3]


def test_methods_that_are_inherited_take_arrays(vecs: Any):
    class Mine(vecs.Acc):  # type: ignore[misc]
        pass

    assert Mine().Total(2.0, np.ones(3)) == 6


def test_a_method_that_appends_copies_items_as_go_does(vecs: Any):
    acc, x = vecs.NewAcc(0), np.arange(3.0)
    acc.Add(x)
    x[:] = 9
    assert acc.Sum() == 3


def test_errors_come_out_and_the_array_is_let_go(vecs: Any):
    x = np.empty(0)
    before = sys.getrefcount(x)
    for call in (vecs.Check, vecs.CheckedSum, vecs.Checked, vecs.CheckedKeeper):
        with pytest.raises(RuntimeError, match=r"empty|nothing to keep"):
            call(x)
    assert sys.getrefcount(x) == before
    with pytest.raises(RuntimeError, match="lengths differ"):
        vecs.NewAcc(0).Dot(np.ones(3), np.ones(4))


def test_an_array_is_let_go_when_the_call_is_over(vecs: Any):
    x = np.arange(3.0)
    before = sys.getrefcount(x)
    for _ in range(1000):
        vecs.SumFloat64s(x)
    assert sys.getrefcount(x) == before
    x.resize(5, refcheck=False)


def test_an_exporter_can_move_when_the_call_is_over(vecs: Any):
    x = bytearray(b"abc")
    vecs.SumBytes(x)
    x += b"more"


def test_an_exporter_cannot_move_during_the_call(vecs: Any):
    x = array.array("d", [1, 2])
    refusals = []

    def grow(n: int) -> None:
        try:
            x.append(3.0)
        except BufferError as error:
            refusals.append(error)

    assert vecs.CallBack(x, grow) == 3
    assert len(refusals) == 1


def test_a_callback_may_drop_the_last_name_of_the_array(vecs: Any):
    held = [np.ones(1 << 16)]

    def drop(n: int) -> None:
        held.clear()
        vecs.Litter(10)

    assert vecs.CallBack(held[0], drop) == 1 << 16


def test_a_callback_may_lend_again(vecs: Any):
    x, sums = np.ones(3), []
    assert vecs.CallBack(x, lambda n: sums.append(vecs.SumFloat64s(x))) == 3
    assert sums == [3]


def test_callbacks_get_the_items(vecs: Any):
    got: list[float] = []
    vecs.Map(np.arange(3.0), got.append)
    assert got == [0, 1, 2]


# ---- nil ---------------------------------------------------------------------------------


def test_none_is_nil(vecs: Any):
    assert vecs.IsNil(None)
    assert vecs.IsNilBytes(None)
    assert vecs.IsNilKeeper(None)
    assert vecs.SumFloat64s(x=None) == 0


def test_nil_is_nil_as_before(go: Any, vecs: Any):
    assert vecs.IsNil(go.nil)
    assert vecs.IsNil(vecs.NilSlice())


@pytest.mark.parametrize("make", [lambda: np.empty(0), lambda: np.ones(3)[:0]])
def test_an_empty_array_is_not_nil(make: Callable[[], Any], vecs: Any):
    assert not vecs.IsNil(make())
    assert vecs.Len(make()) == 0


def test_empty_bytes_are_not_nil(vecs: Any):
    assert not vecs.IsNilBytes(b"")
    assert not vecs.IsNilBytes(bytearray())


# ---- copies ------------------------------------------------------------------------------


def test_bytes_go_in_as_a_copy(vecs: Any):
    text = b"\1\2\3"
    assert vecs.SumBytes(text) == 6
    vecs.DoubleBytes(text)
    assert text == b"\1\2\3"


def test_a_read_only_array_goes_in_as_a_copy(vecs: Any):
    x = np.arange(3.0)
    x.flags.writeable = False
    assert vecs.SumFloat64s(x) == 3
    assert vecs.Address(x) != where(x)
    vecs.DoubleFloat64s(x)
    assert x.tolist() == [0, 1, 2]


def test_the_result_on_read_only_memory_is_the_copy(vecs: Any):
    x = np.arange(3.0)
    x.flags.writeable = False
    a = np.asarray(vecs.Same(x))
    a[0] = 9
    assert x[0] == 0


@pytest.mark.parametrize(
    "keep",
    [
        lambda vecs, go, x: vecs.Acc("a", x).Sum,
        lambda vecs, go, x: vecs.Acc(Data=x).Sum,
        lambda vecs, go, x: vecs.Keeper(Shown=x).Sum,
    ],
    ids=["by place", "by name", "another struct"],
)
def test_a_constructor_of_a_struct_copies(
    keep: Callable[..., Callable[[], float]], go: Any, vecs: Any
):
    x = np.arange(3.0)
    total = keep(vecs, go, x)
    x[:] = 9
    assert total() == 3


def test_a_field_copies(vecs: Any):
    acc, x = vecs.Acc(), np.arange(3.0)
    acc.Data = x
    x[:] = 9
    assert acc.Sum() == 3


def test_append_of_an_array_copies(vecs: Any):
    rows, x = vecs.Slice_Slice_float64(), np.arange(3.0)
    rows.append(x)
    x[:] = 9
    assert list(rows[0]) == [0, 1, 2]


def test_an_item_copies(vecs: Any):
    rows, x = vecs.Separate(2, 3), np.arange(3.0)
    rows[1] = x
    x[:] = 9
    assert vecs.At(rows, 1, 2) == 2


def test_an_item_of_a_map_copies(vecs: Any):
    series, x = vecs.Map_string_Slice_float64(), np.arange(3.0)
    series["x"] = x
    x[:] = 9
    assert vecs.SumSeries(series) == 3


def test_a_variable_copies(vecs: Any):
    x = np.arange(3.0)
    vecs.Set_Global(x)
    try:
        x[:] = 9
        assert vecs.SumGlobal() == 3
    finally:
        vecs.Set_Global(np.array([1.0, 2.0, 3.0]))


def test_a_result_that_stands_on_an_array_is_copied_where_go_keeps_it(vecs: Any):
    x = np.arange(3.0)
    acc, rows, series = vecs.Acc(), vecs.Separate(1, 3), vecs.Map_string_Slice_float64()
    acc.Data = vecs.Same(x)
    rows.append(vecs.Half(vecs.Same(x)))
    rows[0] = vecs.Same(x)
    series["x"] = vecs.Same(x)
    made = vecs.Acc(Data=vecs.Same(x))
    vecs.Set_Global(vecs.Same(x))
    try:
        x[:] = 9
        assert vecs.SumGlobal() == 3
    finally:
        vecs.Set_Global(np.array([1.0, 2.0, 3.0]))
    assert acc.Sum() == made.Sum() == vecs.SumSeries(series) == vecs.SumGrid(rows) == 3


def test_what_other_threads_of_go_may_use_gets_a_copy(vecs: Any):
    locked, x = vecs.Locked(), np.arange(3.0)
    locked.Keep(x)
    x[:] = 9
    assert locked.Sum() == 3


def test_what_a_method_writes_of_an_object_with_a_lock_is_in_the_array(go: Any, vecs: Any):
    """Go got a copy, and what it wrote in the call is copied back; what lend() made as well."""
    locked, x = vecs.Locked(), np.arange(3.0)
    result = locked.Double(x)
    assert x.tolist() == [0, 2, 4]
    x[:] = 9
    assert list(result) == [0, 2, 4]  # the copy
    x[:] = [0, 1, 2]
    with gopy.lend(go.Slice_float64, x) as s:
        locked.Double(s)
    assert x.tolist() == [0, 2, 4]
    s = go.Slice_float64(x)
    locked.Double(s)
    assert np.asarray(s).tolist() == [0, 4, 8]


def test_what_was_written_to_a_copy_comes_back_from_a_call_that_fails(vecs: Any):
    locked, x = vecs.Locked(), np.arange(3.0)
    with pytest.raises(RuntimeError, match="doubled"):
        locked.DoubleAndFail(x)
    assert x.tolist() == [0, 2, 4]


def test_what_is_read_only_gets_nothing_back(vecs: Any):
    locked, x = vecs.Locked(), np.arange(3.0)
    x.flags.writeable = False
    assert list(locked.Double(x)) == [0, 2, 4]
    assert x.tolist() == [0, 1, 2]


@contextlib.contextmanager
def goroutines_end(vecs: Any) -> Iterator[None]:
    """What is begun inside has ended when this does."""
    before = vecs.Goroutines()
    yield
    limit = time.monotonic() + 20
    while vecs.Goroutines() > before and time.monotonic() < limit:
        time.sleep(0.001)


def test_a_goroutine_gets_a_copy_of_a_result(vecs: Any):
    x = np.arange(3.0)
    with goroutines_end(vecs):
        vecs.Later(vecs.Same(x), 20, goRun=True)
    assert x.tolist() == [0, 1, 2]


def test_a_goroutine_gets_a_copy_of_an_interface_and_of_a_receiver(vecs: Any):
    x = np.arange(3.0)
    for start in (
        lambda c: vecs.LaterSum(c, 20, goRun=True),
        lambda c: c.LaterTotal(20, goRun=True),
    ):
        before = sys.getrefcount(x)
        with goroutines_end(vecs):
            start(vecs.AsCelsius(x))
            assert sys.getrefcount(x) == before
        assert vecs.Total() == 3
        vecs.Set_Total(0.0)


def test_a_variable_that_is_an_interface_copies_a_slice(gopy_run: Any):
    gopy_run(
        """
        x = np.arange(3.0)
        vecs.Set_Chosen(vecs.AsCelsius(x))
        x[:] = 9
        assert vecs.SumChosen() == 3
        settle()
        """
    )


def test_a_goroutine_gets_a_copy(vecs: Any):
    x = np.arange(3.0)
    before = sys.getrefcount(x)
    with goroutines_end(vecs):
        vecs.Later(x, 20, goRun=True)
        assert sys.getrefcount(x) == before
    assert x.tolist() == [0, 1, 2]


def test_without_a_goroutine_go_writes_the_array(vecs: Any):
    x = np.arange(3.0)
    vecs.Later(x, 1)
    vecs.Later(x, 1, goRun=False)
    assert x.tolist() == [0, 4, 8]


def test_items_of_an_array_are_variadic_arguments(vecs: Any):
    assert vecs.Variadic(*np.arange(4.0)) == 6


# ---- constructors of slices copy, as with gopy alone -------------------------------------


@KIND
def test_a_slice_made_of_an_array_is_a_copy(kind: str, dtype: str, go: Any, vecs: Any):
    x = np.arange(5, dtype=dtype)
    s = type(getattr(vecs, kind)(0))(x)
    x[:] = 9
    assert list(s) == [0, 1, 2, 3, 4]
    assert np.asarray(s).dtype == dtype


def test_a_slice_is_made_of_any_numbers(go: Any):
    assert list(go.Slice_int(np.arange(3, dtype="i4"))) == [0, 1, 2]
    assert list(go.Slice_float64(np.arange(6.0)[::2])) == [0, 2, 4]
    assert list(go.Slice_float64(np.arange(3.0)[::-1])) == [2, 1, 0]
    assert list(go.Slice_float64(np.arange(3.0).astype(">f8"))) == [0, 1, 2]


def test_a_large_slice_is_made_by_one_copy(go: Any):
    x = np.arange(4e6)
    began = time.perf_counter()
    s = go.Slice_float64(x)
    assert time.perf_counter() - began < 0.5  # gopy's own way takes seconds
    assert (np.asarray(s) == x).all()


# ---- refusals ----------------------------------------------------------------------------


def unaligned() -> Any:
    return np.frombuffer(bytearray(8 * 3 + 1), "u1")[1:].view("f8")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda vecs: np.zeros(3, "f4"), r"float32|'f'"),
        (lambda vecs: np.zeros(3, "i8"), r"int64|'[lq]'"),
        (lambda vecs: np.zeros(3, ">f8"), r">"),
        (lambda vecs: np.zeros(3, "O"), r"object|'O'"),
        (lambda vecs: np.zeros(6)[::2], r"contiguous"),
        (lambda vecs: np.zeros(6)[::-1], r"contiguous"),
        (lambda vecs: np.zeros((2, 3), order="F"), r"C order"),
        (lambda vecs: unaligned(), r"multiple of 8"),
        (lambda vecs: b"12345678", r"'B'|byte|uint8"),
        (lambda vecs: [1.0, 2.0], r"list"),
        (lambda vecs: (1.0, 2.0), r"tuple"),
        (lambda vecs: 1.0, r"float"),
        (lambda vecs: "abc", r"str"),
        (lambda vecs: object(), r"object"),
        (lambda vecs: vecs.Float32s(3), r"float32"),
        (lambda vecs: vecs.Ints(3), r"int"),
        (lambda vecs: vecs.NewAcc(3), r"Acc"),
        (lambda vecs: vecs.Ages(), r"[Mm]ap"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_does_not_fit_is_refused(make: Callable[[Any], Any], said: str, vecs: Any):
    x = make(vecs)
    for call in (
        lambda: vecs.SumFloat64s(x),
        lambda: vecs.Scaled(scale=1.0, x=x),
        lambda: vecs.NewAcc(3).Total(1.0, x),
        lambda: vecs.NewKeeper(x),
    ):
        with pytest.raises(TypeError, match=said) as caught:
            call()
        assert "argument x" in str(caught.value)


def test_where_no_memory_can_be_lent_a_refusal_names_the_constructor(vecs: Any):
    for given in (np.ones((2, 3)), np.ones(2), [np.ones(3)]):
        with pytest.raises(TypeError, match=r"vecs\.Slice_Slice_float64\(\.\.\.\)") as caught:
            vecs.SumGrid(given)
        assert "argument" in str(caught.value)
    assert vecs.SumGrid(vecs.Slice_Slice_float64(np.ones((2, 3)))) == 6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda vecs: vecs.SumSeries({}), "is a map[string][]float64 of Go: give such an object"),
        (lambda vecs: vecs.SumTriple(np.ones(3)), "is a [3]float64 of Go: give such an object"),
        (lambda vecs: vecs.SumFloat64s(np.zeros(3, "M8[s]")), 'their integers, .view("i8")'),
    ],
    ids=["map", "array", "dates"],
)
def test_a_refusal_says_what_is_wanted(call: Callable[[Any], Any], said: str, vecs: Any):
    with pytest.raises(TypeError, match=re.escape(said)):
        call(vecs)


def test_a_refusal_names_the_argument(vecs: Any):
    with pytest.raises(TypeError, match=r"\bb\b"):
        vecs.AddTo(np.empty(3), np.empty(3), np.empty(3, "f4"))


def test_a_refusal_lets_go_of_what_was_lent_before_it(vecs: Any):
    dst, a = np.empty(3), np.empty(3)
    before = sys.getrefcount(dst), sys.getrefcount(a)
    for _ in range(10):
        with pytest.raises(TypeError):
            vecs.AddTo(dst, a, np.empty(3, "f4"))
    assert (sys.getrefcount(dst), sys.getrefcount(a)) == before


def test_a_slice_of_another_type_is_refused_where_a_named_one_is_wanted(vecs: Any):
    """A panic of gopy's, without pybuf."""
    with pytest.raises(TypeError, match="Celsius"):
        vecs.SumCelsius(vecs.Float64s(3))
    with pytest.raises(TypeError, match=r"float64"):
        vecs.SumFloat64s(vecs.Temperatures(3))


def test_a_struct_of_another_type_is_refused(vecs: Any):
    with pytest.raises(TypeError, match="Segment"):
        vecs.Middle(vecs.Point(1.0, 2.0))


def test_fields_refuse_what_does_not_fit(vecs: Any):
    acc = vecs.Acc()
    for wrong in (np.zeros(3, "f4"), vecs.Float32s(3)):
        with pytest.raises(TypeError, match="float64"):
            acc.Data = wrong


def test_a_wrong_number_of_arguments_is_told_as_python_does(vecs: Any):
    with pytest.raises(TypeError, match="argument"):
        vecs.SumFloat64s()
    with pytest.raises(TypeError, match="argument"):
        vecs.SumFloat64s(np.ones(3), 2)
    with pytest.raises(TypeError, match="argument"):
        vecs.SumFloat64s(y=np.ones(3))
