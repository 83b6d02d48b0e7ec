"""close() says "I am done": it never frees under a view and never raises because of one."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from blocks import (
    PATTERN,
    Lent,
    libc,
    malloc,
    native_free,
    native_pair,
    python_callback,
    python_owner,
)
from consumers import COUNTED, UNCOUNTED, Consumer
from hypothesis import given
from hypothesis import strategies as st

import pybuf
from pybuf import _core

CONTENT = b"0123456789abcdef"
BLOCK = ctypes.create_string_buffer(16)
ADDRESS = ctypes.addressof(BLOCK)


@pytest.fixture(autouse=True)
def _content() -> None:
    BLOCK.raw = CONTENT


def wrapped(release: Callable[[int], Any], **kwargs: Any) -> pybuf.Buffer:
    return pybuf.wrap(ADDRESS, 16, release=release, **kwargs)


def _refused(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


#: What looks at the items and lends nothing to anybody.
INTERNAL_USES: dict[str, Callable[[pybuf.Buffer], Any]] = {
    "nothing": lambda b: None,
    "item": lambda b: b[0],
    "item to set": lambda b: b.__setitem__(0, b[1]),
    "items to set": lambda b: b.__setitem__(slice(0, 2), b"ab"),
    "len": len,
    "repr": repr,
    "attributes": lambda b: (b.shape, b.strides, b.nbytes, b.format, b.owner, b.exports),
    "tolist": lambda b: b.tolist(),
    "tobytes": lambda b: b.tobytes(),
    "equal": lambda b: b == bytes(16),
    "not equal": lambda b: b != bytes(16),
    "equal to another Buffer": lambda b: b == pybuf.zeros(16),
    "other side of equal": lambda b: pybuf.zeros(16) == b,
    "equal to an array": lambda b: b == np.zeros(16, "B"),
    "equal to itself": lambda b: b == b,  # noqa: PLR0124
    "equal to no buffer": lambda b: b == "text",
    "sizeof": lambda b: b.__sizeof__(),
    "truth": bool,
    "item out of range": lambda b: _refused(lambda: b[99], IndexError),
    "item of a wrong type": lambda b: _refused(lambda: b.__setitem__(0, "text"), TypeError),
    "hash of a writable one": lambda b: _refused(lambda: hash(b), ValueError),
}

#: What tells somebody where the memory is, for good.
POINTER_LENDERS: dict[str, Callable[[pybuf.Buffer], Any]] = {
    "address": lambda b: b.address,
    "array interface": lambda b: b.__array_interface__,
}


# ---- never lent: the memory goes at once -----------------------------------------------


@pytest.mark.parametrize("kind", [python_callback, native_pair, python_owner])
def test_close_of_a_buffer_never_lent_frees_at_once(kind: Callable[[], Lent]):
    buffer, _, freed = kind()
    assert freed() == 0
    assert buffer.close() is True
    assert freed() == 1
    del buffer
    assert freed() == 1


@pytest.mark.parametrize("kind", [lambda: pybuf.zeros(64), lambda: native_free().buffer])
def test_close_of_a_buffer_never_lent_gives_its_bytes_back(kind: Callable[[], pybuf.Buffer]):
    buffer = kind()
    before = _core._counters()
    assert buffer.close() is True
    after = _core._counters()
    assert after["freed"] == before["freed"] + 1
    assert after["live_bytes"] == before["live_bytes"] - 64
    del buffer
    assert _core._counters() == after


@pytest.mark.parametrize("use", INTERNAL_USES.values(), ids=INTERNAL_USES)
def test_looking_at_the_items_does_not_count_as_lent(use, releases):
    b = wrapped(releases)
    use(b)
    assert b.exports == 0
    assert b.close() is True
    assert releases == [ADDRESS]


def test_a_hash_does_not_count_as_lent(releases):
    b = wrapped(releases, readonly=True)
    assert hash(b) == hash(CONTENT)
    assert b.close() is True


# ---- lent: the memory waits ------------------------------------------------------------


@pytest.mark.parametrize("lend", POINTER_LENDERS.values(), ids=POINTER_LENDERS)
def test_a_pointer_that_was_read_keeps_the_memory_as_long_as_the_buffer(lend, releases):
    b = wrapped(releases)
    lend(b)
    assert b.exports == 0
    assert b.close() is False
    assert b.closed
    assert releases == []
    del b
    assert releases == [ADDRESS]


@pytest.mark.parametrize("consume", (COUNTED | UNCOUNTED).values(), ids=COUNTED | UNCOUNTED)
def test_close_after_the_views_ended_keeps_the_memory_as_long_as_the_buffer(consume: Consumer):
    """A Buffer cannot tell its own name from an array by np.ndarray(buffer=b)."""
    buffer, _, freed = python_callback()
    consume(buffer)
    assert buffer.exports == 0
    assert buffer.close() is False
    assert freed() == 0
    del buffer
    assert freed() == 1


def test_the_memory_of_a_closed_buffer_goes_with_its_last_view(releases):
    b = wrapped(releases)
    first, second = memoryview(b), np.asarray(b)
    assert b.close() is False
    del b, first
    assert releases == []
    assert second.tobytes() == CONTENT
    del second
    assert releases == [ADDRESS]


def test_views_made_before_close_still_read_and_write():
    b = pybuf.zeros(4, "i")
    views = [memoryview(b), np.asarray(b), b.numpy(), np.ndarray(4, "i", buffer=b)]
    items = iter(b)
    assert b.close() is False
    for i, view in enumerate(views):
        view[i] = i + 1
    assert [view.tolist() for view in views] == [[1, 2, 3, 4]] * 4
    assert list(items) == [1, 2, 3, 4]


def test_views_made_before_close_may_be_viewed_and_split_further():
    b = pybuf.zeros(4, "i")
    m, a = memoryview(b), b.numpy()
    b.close()
    assert m[1:3].cast("B").nbytes == np.asarray(m[1:3]).nbytes == 8
    assert a[1:3].view("u1").nbytes == memoryview(a)[1:3].nbytes == 8


# ---- strict ----------------------------------------------------------------------------


@pytest.mark.parametrize("lend", [None, *POINTER_LENDERS.values()])
def test_strict_close_without_views_is_a_close(lend, releases):
    b = wrapped(releases)
    if lend is not None:
        lend(b)
    assert b.close(strict=True) is (lend is None)
    assert b.closed


@pytest.mark.parametrize(("count", "words"), [(1, "1 view "), (2, "2 views "), (30, "30 views ")])
def test_strict_close_under_views_says_how_many_and_changes_nothing(count, words, releases):
    b = wrapped(releases)
    views = [memoryview(b) if i % 2 else np.asarray(b) for i in range(count)]
    with pytest.raises(BufferError, match=words):
        b.close(strict=True)
    assert not b.closed
    assert b.exports == count
    assert bytes(views[0]) == b.tobytes() == CONTENT
    assert releases == []
    del views
    assert b.close(strict=True) is False
    del b
    assert releases == [ADDRESS]


@pytest.mark.parametrize("consume", COUNTED.values(), ids=COUNTED)
def test_strict_close_sees_every_counted_view(consume: Consumer):
    buffer = python_callback().buffer
    view = consume(buffer)
    with pytest.raises(BufferError, match="view"):
        buffer.close(strict=True)
    del view
    assert buffer.close(strict=True) is False


def test_a_strict_close_that_fails_does_not_count_as_lent(releases):
    """It changes nothing: neither what was lent before nor what comes after."""
    b = wrapped(releases)
    view = memoryview(b)
    for _ in range(3):
        with pytest.raises(BufferError):
            b.close(strict=True)
    assert b.exports == 1
    del view
    assert b.exports == 0


# ---- again, and with -------------------------------------------------------------------


def test_close_is_idempotent(releases):
    b = wrapped(releases)
    assert [b.close() for _ in range(3)] == [True, True, True]
    assert b.close(strict=True) is True
    assert releases == [ADDRESS]
    del b
    assert releases == [ADDRESS]


def test_close_under_a_view_is_idempotent(releases):
    b = wrapped(releases)
    view = memoryview(b)
    assert [b.close() for _ in range(3)] == [False, False, False]
    del view
    assert b.close() is False
    assert releases == []


def test_with_closes(releases):
    with wrapped(releases) as b:
        assert not b.closed
        assert b[0] == ord("0")
    assert b.closed
    assert releases == [ADDRESS]


def test_with_does_not_raise_because_of_a_view(releases):
    with wrapped(releases) as b:
        view = np.asarray(b)
    assert b.closed
    assert releases == []
    assert view.tobytes() == CONTENT


def test_with_lets_the_exception_of_its_body_through(releases):
    with pytest.raises(KeyError, match="body"), wrapped(releases):
        raise KeyError("body")
    assert releases == [ADDRESS]


def test_with_of_a_closed_buffer_is_refused():
    b = pybuf.zeros(4)
    b.close()
    with pytest.raises(ValueError, match="closed"), b:
        pass  # pragma: no cover


def test_with_may_close_early(releases):
    with wrapped(releases) as b:
        assert b.close() is True
    assert releases == [ADDRESS]


# ---- close from inside -----------------------------------------------------------------


def test_close_inside_the_release_that_close_started_says_gone():
    said: list[Any] = []
    b = wrapped(lambda _: said.append((b.close(), b.closed, b.close(strict=True))))
    assert b.close() is True
    assert said == [(True, True, True)]


def test_close_while_an_item_is_converted_does_not_free_under_it(releases):
    """The index runs code of the user's between the view and the access."""

    class Index:
        def __init__(self, buffer: pybuf.Buffer) -> None:
            self.buffer = buffer

        def __index__(self) -> int:
            assert self.buffer.close() is False
            assert releases == []
            return 1

    b = wrapped(releases)
    assert b[Index(b)] == ord("1")
    assert releases == []
    b2 = wrapped(releases)
    b2[2] = Index(b2)
    assert BLOCK.raw == b"01\x013456789abcdef"
    del b, b2
    assert releases == [ADDRESS, ADDRESS]


def test_resize_while_an_item_is_converted_does_not_move_it():
    class Index:
        def __index__(self) -> int:
            with pytest.raises(BufferError):
                b.resize(1 << 20)
            return 7

    b = pybuf.zeros(4)
    b[0] = Index()
    assert b[0] == 7


# ---- any order -------------------------------------------------------------------------


@given(st.lists(st.sampled_from(["view", "array", "uncounted", "child", "drop", "close", "use"])))
def test_memory_is_freed_exactly_when_the_rule_says(steps: list[str]):
    """The rule as a model: who holds, what was lent, closed or not."""
    released: list[int] = []
    block = malloc(PATTERN)
    b = pybuf.wrap(block, 64, owner=(owner := object()), release=released.append)
    views: list[Any] = []
    lent = closed = False
    for step in steps:
        if step in ("view", "array", "uncounted", "child"):
            make = {
                "view": memoryview,
                "array": np.asarray,
                "uncounted": lambda x: np.ndarray(64, "B", x),
                "child": lambda x: x.toreadonly(),
            }[step]
            if closed:
                with pytest.raises(ValueError, match="closed"):
                    make(b)
            else:
                views.append(make(b))
                lent = True
        elif step == "drop" and views:
            views.pop(0)
        elif step == "use" and not closed:
            assert b[5] == 5
        elif step == "close":
            assert b.close() is not lent
            closed = True
        assert released == ([block] if closed and not lent else [])
        assert b.closed is closed
    del b
    assert bool(released) is (not views)
    del views, owner
    gc.collect(0)
    assert released == [block]
    libc.free(block)
