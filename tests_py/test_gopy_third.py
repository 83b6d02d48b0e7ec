"""Foreign Go packages, bound with gopy as they are, with arrays in and out."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import gopy_runs
import numpy as np
import pytest

from pybuf import gopy


@pytest.fixture
def third(gopy_third: Any, gopy_vecs: Any, no_leaks: None) -> Iterator[Any]:
    live = gopy.live
    before = live(gopy_third)
    yield gopy_third
    assert gopy_runs.settle(lambda: live(gopy_third), gopy_vecs.vecs.Collect, before) == before


# ---- gonum -------------------------------------------------------------------------------


def test_floats_sum(third: Any):
    assert third.floats.Sum(np.arange(1e6)) == np.arange(1e6).sum()


def test_floats_add_to_a_temporary(third: Any):
    a, b = np.arange(1000.0), np.ones(1000)
    for _ in range(200):
        r = third.floats.AddTo(np.empty(1000), a, b)
        np.full(1000, np.nan)
        assert (np.asarray(r) == a + b).all()


def test_floats_results_are_the_array(third: Any):
    dst = np.empty(5)
    ref = weakref.ref(dst)
    r = np.asarray(third.floats.CumSum(dst, np.ones(5)))
    assert r.tolist() == dst.tolist() == [1, 2, 3, 4, 5]
    assert np.shares_memory(r, dst)
    del dst
    assert ref() is not None
    del r
    assert ref() is None


def test_floats_in_place(third: Any):
    x = np.arange(5.0)
    third.floats.Scale(2.0, x)
    third.floats.AddConst(1.0, x)
    third.floats.Reverse(x)
    assert x.tolist() == [9, 7, 5, 3, 1]


def test_floats_answers(third: Any):
    x = np.array([3.0, 1, 2])
    assert third.floats.Max(x) == 3
    assert third.floats.MaxIdx(x) == 0
    assert third.floats.Dot(x, x) == 14
    assert third.floats.Norm(x, 2.0) == pytest.approx(14**0.5)
    assert third.floats.EqualApprox(x, x + 1e-12, 1e-9)


def test_floats_refuses_arrays_of_other_items(third: Any):
    with pytest.raises(TypeError, match="float64"):
        third.floats.AddTo(np.empty(3), np.empty(3), np.empty(3, "i8"))


def test_stat_without_weights(third: Any):
    x = np.random.default_rng(1).normal(size=1000)
    assert third.stat.Mean(x, None) == pytest.approx(x.mean())
    assert third.stat.StdDev(x, None) == pytest.approx(x.std(ddof=1))
    assert third.stat.Correlation(x, 2 * x, None) == pytest.approx(1)


def test_stat_with_weights(third: Any):
    assert third.stat.Mean(np.array([1.0, 3.0]), np.array([3.0, 1.0])) == 1.5


def test_fourier_makes_the_slice_that_it_is_not_given(third: Any):
    x = np.random.default_rng(1).normal(size=64)
    fft = third.fourier.NewFFT(64)
    r = np.asarray(fft.Coefficients(None, x))
    assert r.dtype == np.complex128
    np.testing.assert_allclose(r, np.fft.rfft(x), atol=1e-12)


def test_fourier_fills_the_array_that_it_is_given(third: Any):
    x = np.random.default_rng(1).normal(size=64)
    dst = np.empty(33, complex)
    fft = third.fourier.NewFFT(64)
    r = np.asarray(fft.Coefficients(dst, x))
    assert np.shares_memory(r, dst)
    back = np.asarray(fft.Sequence(None, dst)) / 64
    np.testing.assert_allclose(back, x, atol=1e-12)


# ---- snappy ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", [b"", b"a" * 100_000, bytes(range(256)) * 50], ids=["none", "one", "all"]
)
@pytest.mark.parametrize("kind", [bytes, bytearray, np.frombuffer])
def test_snappy_there_and_back(kind: Any, text: bytes, third: Any):
    source = np.frombuffer(text, "u1") if kind is np.frombuffer else kind(text)
    packed = third.snappy.Encode(None, source)
    assert bytes(third.snappy.Decode(None, packed)) == text
    assert bytes(third.snappy.Decode(None, bytes(packed))) == text
    assert bytes(third.snappy.Decode(None, np.asarray(packed))) == text


def test_snappy_into_memory_that_is_lent(third: Any):
    text = b"abc" * 1000
    room = bytearray(third.snappy.MaxEncodedLen(len(text)))
    packed = third.snappy.Encode(room, text)
    view = memoryview(packed)
    assert view.tobytes() == room[: len(view)]
    with pytest.raises(BufferError):
        room.clear()
    assert bytes(third.snappy.Decode(None, packed)) == text


def test_snappy_says_what_is_wrong(third: Any):
    with pytest.raises(RuntimeError, match="corrupt"):
        third.snappy.Decode(None, b"\xff\xff\xff")


# ---- image -------------------------------------------------------------------------------


def test_image_pixels(third: Any):
    image = third.image
    img = image.NewRGBA(image.Rect(0, 0, 4, 3))
    a = np.asarray(img)
    assert (a.shape, a.dtype) == ((3, 4, 4), np.dtype("u1"))
    a[2, 1] = [1, 2, 3, 4]
    assert list(img.Pix[img.PixOffset(1, 2) :][0:4]) == [1, 2, 3, 4]
    assert np.shares_memory(a, np.asarray(img.Pix))


def test_image_kinds(third: Any):
    image = third.image
    box = image.Rect(0, 0, 5, 2)
    assert np.asarray(image.NewGray(box)).shape == (2, 5)
    assert np.asarray(image.NewNRGBA(box)).shape == (2, 5, 4)
    deep = np.asarray(image.NewGray16(box))
    assert (deep.shape, deep.dtype) == ((2, 5), np.dtype(">u2"))


def test_an_image_outlives_its_object(third: Any, gopy_vecs: Any):
    image = third.image
    a = np.asarray(image.NewRGBA(image.Rect(0, 0, 300, 200)))
    a[:] = 7
    assert third.floats.Sum(np.ones(3)) == 3
    assert (a == 7).all()
