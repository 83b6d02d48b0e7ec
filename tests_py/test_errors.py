"""Bad input: whatever is given, a sentence comes back, and never a crash.

Addresses and release functions are trusted, and so never made up here: what
is made up is everything else, and addresses that nothing touches.
"""

from __future__ import annotations

import contextlib
import copy
import ctypes
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import strategies as s
from hypothesis import example, given

import pybuf
from pybuf import _core

SENTENCES = (TypeError, ValueError, OverflowError, MemoryError, BufferError)
AT = 1 << 40  # an address that nothing touches


@contextlib.contextmanager
def only_sentences(*more: type[Exception]) -> Iterator[None]:
    """What is raised is of a promised type and says something."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, about spellings it will drop
        error: Exception | None = None
        try:
            yield
        except Exception as e:
            error = e
        if error is not None:
            assert isinstance(error, (*SENTENCES, *more)), repr(error)
            assert len(str(error)) > 10, repr(error)


def memory() -> pybuf.Buffer:
    return pybuf.zeros((2, 3), "i")


# ---- anything, anywhere ----

# Each parameter of everything that takes any: the rest of the call is good.
PARAMETERS: dict[str, Callable[[Any], Any]] = {
    "empty shape": lambda x: pybuf.empty(x, "B"),
    "empty dtype": lambda x: pybuf.empty(3, x),
    "empty order": lambda x: pybuf.empty(3, order=x),
    "empty align": lambda x: pybuf.empty(3, align=x),
    "empty source": lambda x: pybuf.empty(3, source=x),
    "zeros shape": lambda x: pybuf.zeros(x, "d"),
    "zeros dtype": lambda x: pybuf.zeros((2, 3), x),
    "zeros order": lambda x: pybuf.zeros(3, order=x),
    "zeros align": lambda x: pybuf.zeros(3, align=x),
    "zeros source": lambda x: pybuf.zeros(3, source=x),
    "copy obj": pybuf.copy,
    "copy order": lambda x: pybuf.copy(b"abc", order=x),
    "copy align": lambda x: pybuf.copy(b"abc", align=x),
    "copy source": lambda x: pybuf.copy(b"abc", source=x),
    "wrap address": lambda x: pybuf.wrap(x, 3, unowned=True),
    "wrap shape": lambda x: pybuf.wrap(AT, x, unowned=True),
    "wrap dtype": lambda x: pybuf.wrap(AT, 3, x, unowned=True),
    "wrap strides": lambda x: pybuf.wrap(AT, (2, 3), strides=x, unowned=True),
    "wrap suboffsets": lambda x: pybuf.wrap(
        AT, (2, 3), strides=(8, 1), suboffsets=x, unowned=True
    ),
    "wrap readonly": lambda x: pybuf.wrap(AT, 3, readonly=x, unowned=True),
    "wrap owner": lambda x: pybuf.wrap(AT, 3, owner=x),
    "wrap unowned": lambda x: pybuf.wrap(AT, 3, unowned=x),
    "wrap nbytes": lambda x: pybuf.wrap(AT, 3, nbytes=x, unowned=True),
    "wrap offset": lambda x: pybuf.wrap(AT, 3, offset=x, nbytes=64, unowned=True),
    "Layout shape": lambda x: pybuf.Layout(x, "d"),
    "Layout dtype": lambda x: pybuf.Layout((2, 3), x),
    "Layout order": lambda x: pybuf.Layout((2, 3), order=x),
    "Layout strides": lambda x: pybuf.Layout((2, 3), strides=x),
    "Layout.zeros align": lambda x: pybuf.Layout(3).zeros(align=x),
    "Layout.empty source": lambda x: pybuf.Layout(3).empty(source=x),
    "Layout.wrap address": lambda x: pybuf.Layout(3).wrap(x, unowned=True),
    "Layout.wrap readonly": lambda x: pybuf.Layout(3).wrap(AT, readonly=x, unowned=True),
    "Layout.wrap owner": lambda x: pybuf.Layout(3).wrap(AT, owner=x),
    "Layout.wrap unowned": lambda x: pybuf.Layout(3).wrap(AT, unowned=x),
    "Layout.wrap nbytes": lambda x: pybuf.Layout(3).wrap(AT, nbytes=x, unowned=True),
    "Layout.wrap offset": lambda x: pybuf.Layout(3).wrap(AT, offset=x, nbytes=64, unowned=True),
    "Layout ==": lambda x: pybuf.Layout(3) == x,
    "close strict": lambda x: memory().close(strict=x),
    "cast dtype": lambda x: memory().cast(x),
    "cast shape": lambda x: memory().cast("B", x),
    "tobytes order": lambda x: memory().tobytes(x),
    "resize shape": lambda x: memory().resize(x),
    "dlpack stream": lambda x: memory().__dlpack__(stream=x),
    "dlpack max_version": lambda x: memory().__dlpack__(max_version=x),
    "dlpack dl_device": lambda x: memory().__dlpack__(dl_device=x),
    "dlpack copy": lambda x: memory().__dlpack__(copy=x),
    "reduce_ex protocol": lambda x: memory().__reduce_ex__(x),
    "rebuild frame": lambda x: _core._rebuild(x, "|u1", (3,), "C", False),
    "rebuild typestr": lambda x: _core._rebuild(b"abc", x, (3,), "C", False),
    "rebuild shape": lambda x: _core._rebuild(b"abc", "|u1", x, "C", False),
    "rebuild order": lambda x: _core._rebuild(b"abc", "|u1", (3,), x, False),
    "rebuild readonly": lambda x: _core._rebuild(b"abc", "|u1", (3,), "C", x),
    "eq": lambda x: memory() == x,
    "exit": lambda x: memory().__exit__(x, x, x),
}


@pytest.mark.parametrize("call", PARAMETERS.values(), ids=PARAMETERS)
@given(thing=s.things)
@example(thing=())
@example(thing=10**5000)
@example(thing=-(2**63))
@example(thing=np.array([1, 2]))
def test_anything_given_anywhere_gets_an_answer_or_a_sentence(call, thing):
    with only_sentences():
        call(thing)


# memoryview's own refusals of keys, besides.
@given(key=s.things, value=s.things)
def test_any_key_and_value_get_an_answer_or_a_sentence(key, value):
    for b in (memory(), pybuf.zeros(3, "Zd"), pybuf.zeros(()), memory().toreadonly()):
        with only_sentences(IndexError, NotImplementedError):
            b[key]
        with only_sentences(IndexError, NotImplementedError):
            b[key] = value


@given(thing=s.things)
def test_a_release_that_cannot_be_called_is_refused(thing):
    """Numbers in a pair are addresses, and trusted: none is made up."""
    if callable(thing) or isinstance(thing, tuple) or thing is None:
        return
    with pytest.raises(TypeError, match="release"):
        pybuf.wrap(AT, 3, release=thing)


@given(arguments=st.lists(s.things, max_size=6), names=st.dictionaries(
    st.sampled_from(["shape", "dtype", "order", "align", "source", "obj", "strict", "x", "é"]),
    s.things, max_size=3,
))  # fmt: skip
def test_any_call_gets_an_answer_or_a_sentence(arguments, names):
    b = memory()
    for function in (pybuf.zeros, pybuf.copy, b.close, b.cast, b.tobytes, b.resize, b.tolist):
        with only_sentences():
            function(*arguments, **names)


# ---- objects that answer with errors, or do harm while they are asked ----


class Raises:
    """Every question that is asked of an argument fails in its own way."""

    def __index__(self) -> int:
        raise ZeroDivisionError("asked for its index")

    def __len__(self) -> int:
        raise ZeroDivisionError("asked for its len")

    def __bool__(self) -> bool:
        raise ZeroDivisionError("asked for its bool")

    def __getitem__(self, key: object) -> object:
        raise ZeroDivisionError("asked for its item")


@pytest.mark.parametrize("name", PARAMETERS)
def test_an_error_of_the_argument_s_own_goes_through(name):
    with only_sentences(ZeroDivisionError):
        PARAMETERS[name](Raises())


class Unprintable:
    def __repr__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize("name", ["zeros shape", "zeros order", "copy obj", "wrap address"])
def test_what_cannot_be_printed_is_refused_all_the_same(name):
    with pytest.raises(TypeError):
        PARAMETERS[name](Unprintable())


class Meddler:
    """An index that does something to a Buffer while it is being asked."""

    def __init__(self, action: Callable[[], object], value: int = 1) -> None:
        self.action, self.value = action, value

    def __index__(self) -> int:
        with contextlib.suppress(BufferError, ValueError):
            self.action()
        return self.value


MEDDLING = {
    "close": lambda b: b.close(),
    "resize": lambda b: b.resize(1000),
    "view": memoryview,
    "address": lambda b: b.address,
}
MEDDLED = {
    "resize": lambda b, m: b.resize(m),
    "resize many": lambda b, m: b.resize((2, m, 3)),
    "cast": lambda b, m: b.cast("B", (24, m)),
    "getitem": lambda b, m: b[m, m],
    "setitem": lambda b, m: b.__setitem__((0, 0), m),
    "dlpack": lambda b, m: b.__dlpack__(max_version=(m, 0)),
    "rebuild": lambda b, m: _core._rebuild(b, "|u1", (24, m), "C", False),
}


@pytest.mark.parametrize("meddling", MEDDLING.values(), ids=MEDDLING)
@pytest.mark.parametrize("meddled", MEDDLED.values(), ids=MEDDLED)
def test_an_argument_may_meddle_with_the_buffer_while_it_is_asked(meddling, meddled):
    b = memory()
    with only_sentences(IndexError):
        meddled(b, Meddler(lambda: meddling(b)))
    assert b.exports == 0
    assert b.nbytes == b.size * b.itemsize
    if not b.closed:
        assert len(b.tobytes()) == b.nbytes


def test_a_shape_that_grows_while_it_is_read_is_read_once():
    shape: list[Any] = [1]
    shape.append(Meddler(lambda: shape.extend([9] * 100), 2))
    assert pybuf.zeros(shape).shape == (1, 2)


# ---- the sentences of the common mistakes ----


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (pybuf.zeros, TypeError, "zeros.*needs.*'shape'"),
        (lambda: pybuf.zeros(3, "d", "C"), TypeError, "at most 2 arguments.*3 came"),
        (lambda: pybuf.zeros(3, dtyp="d"), TypeError, "no parameter named 'dtyp'"),
        (lambda: pybuf.zeros(3, shape=3), TypeError, "'shape' by position and by name"),
        (lambda: pybuf.zeros(-3), ValueError, r"\(-3,\).*extent 0 is -3"),
        (lambda: pybuf.zeros((2, -3)), ValueError, r"\(2, -3\).*extent 1 is -3"),
        (lambda: pybuf.zeros(1.5), TypeError, "shape is 1.5.*integer or a sequence"),
        (lambda: pybuf.zeros((2, 1.5)), TypeError, "extent of shape is 1.5.*integer"),
        (lambda: pybuf.zeros("23"), TypeError, "shape is '23'.*integer"),
        (lambda: pybuf.zeros(2**64), OverflowError, r"shape is 18446744073709551616.*64 bits"),
        (lambda: pybuf.zeros((2**40, 2**40)), OverflowError, "more than 9223372036854775807"),
        (lambda: pybuf.zeros(2**62), MemoryError, "4611686018427387904 bytes"),
        (lambda: pybuf.zeros(3, order="c"), ValueError, 'order is \'c\'.*"C".*"F"'),
        (lambda: pybuf.zeros(3, order=None), TypeError, "order is None"),
        (lambda: pybuf.zeros(3, align=3), ValueError, "align is 3.*power of two"),
        (lambda: pybuf.zeros(3, align=0), ValueError, "align is 0.*power of two"),
        (lambda: pybuf.zeros(3, align=2**31), ValueError, "align is 2147483648.*to 1073741824"),
        (lambda: pybuf.zeros(3, align="64"), TypeError, "align is '64'.*integer"),
        (lambda: pybuf.zeros(3, source="cuda"), ValueError, "source is 'cuda'"),
        (lambda: pybuf.zeros(3, source=None), TypeError, "source is None"),
        (lambda: pybuf.zeros(3, None), TypeError, "dtype is None.*leave it out"),
        (lambda: pybuf.copy([1, 2]), TypeError, "buffer protocol"),
        (lambda: pybuf.wrap(AT, 3), TypeError, "owner=.*release=.*unowned=True"),
        (lambda: pybuf.wrap(AT, 3, owner=1, unowned=True), TypeError, "unowned=True.*owner="),
        (lambda: pybuf.wrap(AT, unowned=True), TypeError, "needs a shape"),
        (lambda: pybuf.wrap(0, 3, unowned=True), ValueError, "address is NULL.*3 bytes"),
        (lambda: pybuf.wrap(None, 3, unowned=True), TypeError, "address is None"),
        (lambda: pybuf.wrap(1.5, 3, unowned=True), TypeError, "address is 1.5"),
        (lambda: pybuf.wrap(-1, 3, unowned=True), OverflowError, "address is -1"),
        (lambda: pybuf.wrap(2**64, 3, unowned=True), OverflowError, "address is 18446744073709"),
        (lambda: pybuf.wrap(ctypes.c_int(5), 3, unowned=True), TypeError, "holds a number"),
        (lambda: pybuf.wrap(AT, (2, 3), strides=3, unowned=True), ValueError,
         "strides has 1 number.*shape has 2"),
        (lambda: pybuf.wrap(AT, 3, suboffsets=0, unowned=True), ValueError, "needs both"),
        (lambda: pybuf.wrap(AT, 3, release=5), TypeError, "release is 5"),
        (lambda: pybuf.wrap(AT, 3, release=(0, 0)), ValueError, "NULL.*no function"),
        (lambda: memory().resize(), TypeError, "resize"),
        (lambda: memory().cast(), TypeError, "cast.*needs.*'dtype'"),
        (lambda: memory().cast("d", 5), TypeError, "40 bytes.*has 24"),
        (lambda: memory().close(True), TypeError, "at most 0 arguments by position.*name"),
        (lambda: memory().tobytes("X"), ValueError, "order"),
        (pybuf.Buffer, TypeError, "cannot create"),
        (lambda: type("B", (pybuf.Buffer,), {}), TypeError, "not an acceptable base type"),
        (lambda: setattr(memory(), "x", 1), AttributeError, "x"),
        (lambda: setattr(pybuf.Buffer, "x", 1), TypeError, "immutable type"),
    ],
)  # fmt: skip
def test_a_common_mistake_gets_its_sentence(call, error, words):
    with pytest.raises(error, match=words) as e:
        call()
    assert type(e.value) is error


@pytest.mark.parametrize(
    "call",
    [
        pybuf.zeros,
        lambda n: pybuf.zeros((3, n)),
        lambda n: pybuf.zeros(3, align=n),
        lambda n: pybuf.wrap(AT, 3, strides=n, unowned=True),
        lambda n: pybuf.wrap(AT, 3, nbytes=n, unowned=True),
        lambda n: pybuf.wrap(n, 3, unowned=True),
        lambda n: memory().resize(n),
    ],
)
def test_a_number_too_long_to_print_overflows_like_any_other(call):
    """Python prints no integer of more than 4300 digits."""
    for n in (10**5000, -(10**5000)):
        with pytest.raises(OverflowError):
            call(n)


def test_a_message_is_short_however_long_the_argument_is():
    """Data given where a shape or an exporter belongs is a common mistake."""
    for call in (
        lambda: pybuf.zeros(b"x" * 10**6),
        lambda: pybuf.zeros("x" * 10**6),
        lambda: pybuf.zeros(3, "x" * 10**5 + "y"),
        lambda: pybuf.zeros(3, order="x" * 10**6),
        lambda: pybuf.copy([0] * 10**6),
        lambda: pybuf.wrap([0] * 10**6, 3, unowned=True),
    ):
        with pytest.raises((TypeError, ValueError)) as e:
            call()
        assert 10 < len(str(e.value)) < 1000


def test_a_long_sequence_is_refused_as_a_shape_before_it_is_read():
    """Not after a tuple of it was made, which may be larger than memory."""
    reads = []

    class Long:
        def __len__(self) -> int:
            return 10**7

        def __getitem__(self, i: int) -> int:
            reads.append(i)
            if i >= 10**3:
                raise IndexError
            return 1

    with pytest.raises(ValueError, match=r"10000000.*64"):
        pybuf.zeros(Long())
    assert len(reads) < 100


def test_a_refused_call_takes_nothing_over(releases):
    """If wrap() raises, the memory and its release stay the caller's."""
    for kwargs in (
        {"shape": -1}, {"shape": 3, "dtype": "O"}, {"shape": 3, "strides": (1, 1)},
        {"shape": 3, "nbytes": 1}, {"shape": 2**63}, {"shape": 3, "unowned": True},
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError, OverflowError)):
            pybuf.wrap(AT, release=releases, **kwargs)
    assert releases == []


def test_copy_copy_of_a_class_and_help_work():
    assert copy.copy(pybuf.Buffer) is pybuf.Buffer
    for thing in (pybuf.zeros, pybuf.wrap, pybuf.Buffer.cast, pybuf.Buffer):
        assert thing.__doc__
