"""Views are counted apart from references: who holds a name does not hold the memory in place."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import pybuf


def test_references_and_views_are_two_counts():
    b = pybuf.zeros(8)
    before = sys.getrefcount(b)
    names = [b] * 100
    assert sys.getrefcount(b) == before + 100
    assert b.exports == 0
    views = [memoryview(b) for _ in range(3)]
    assert b.exports == 3
    del names
    assert b.exports == 3
    del views
    assert b.exports == 0


def test_a_resize_is_free_to_move_whatever_the_references():
    """A count of references says nothing: it may be high where nobody looks at the memory."""
    b = pybuf.copy(b"abcd")
    names = [b] * 100
    b.resize(6)
    assert b.tobytes() == b"abcd\0\0"
    assert names[99].shape == (6,)


@pytest.mark.parametrize(("count", "words"), [(1, "1 view"), (3, "3 views")])
def test_a_resize_under_views_raises_and_says_how_many(count, words):
    b = pybuf.copy(b"abcd")
    views = [memoryview(b) for _ in range(count)]
    with pytest.raises(BufferError, match=words):
        b.resize(1 << 20)
    assert b.shape == (4,)
    assert [v.tobytes() for v in views] == [b"abcd"] * count


def test_a_resize_after_a_view_ended_still_raises_for_a_pointer_may_be_held():
    """np.ndarray(buffer=b) keeps the object and gives its view back at once: not to be seen."""
    b = pybuf.copy(b"abcd")
    array = np.ndarray(4, "B", buffer=b)
    assert b.exports == 0
    with pytest.raises(BufferError, match="pointer to it was lent"):
        b.resize(1 << 20)
    assert array.tobytes() == b"abcd"


def test_a_view_never_goes_stale():
    """Neither by resize, which raises, nor by close, which waits: the view reads what it read."""
    b = pybuf.copy(b"abcd")
    view = memoryview(b)
    with pytest.raises(BufferError):
        b.resize(2)
    b.close()
    with pytest.raises(ValueError, match="closed"):
        b.resize(2)
    assert view.tobytes() == b"abcd"
    del b
    assert view.tobytes() == b"abcd"


def test_releasing_a_view_gives_its_count_back_before_the_view_ends():
    b = pybuf.zeros(8)
    with memoryview(b) as view:
        assert b.exports == 1
    assert b.exports == 0
    with pytest.raises(ValueError, match="released"):
        view.tobytes()
    part = memoryview(b)[2:4]
    array = np.asarray(part)
    part.release()
    assert b.exports == 1  # the array's own
    assert array.tolist() == [0, 0]
    del array
    assert b.exports == 0


def test_the_memory_is_an_object_and_an_offset_to_each_of_its_views():
    """Slices hold the one object and stand elsewhere in it; none holds a slice's parent."""
    b = pybuf.copy(bytes(range(100)))
    deep = memoryview(b)[10:][10:][10:][:5]
    assert deep.obj is b
    assert deep.tolist() == [30, 31, 32, 33, 34]
    assert b.exports == 1
