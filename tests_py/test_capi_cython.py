"""pybuf.pxd in Cython's hands: memory of C's as objects, errors, releases, owners, threads.

What each function refuses and does is asked from C, in test_capi_*.py; here is what
Cython adds: exceptions, references, the GIL, typed memoryviews.
"""

from __future__ import annotations

import gc
import re
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import cython_build
import numpy as np
import pytest
from pybuf.indirect import IndirectMemory2D

import pybuf


@pytest.fixture(scope="session")
def cy() -> Any:
    if lack := cython_build.lacking():
        pytest.skip(lack)
    return cython_build.load("capi_cython")


@pytest.fixture
def freed(cy: Any) -> Callable[[], int]:
    """How often memory of the module's own has been given back since the test began."""
    before = cy.freed + cy.freed_natively()
    return lambda: cy.freed + cy.freed_natively() - before


def says(text: str) -> str:
    """A pattern for the whole of an exception's text."""
    return f"^{re.escape(text)}$"


# ---- bytes ----


def test_the_code_that_asked_for_it_does_what_it_wanted(cy):
    made = cy.getbuf()
    assert memoryview(made).tobytes() == b"some test\x00 bytes\x00"
    assert made.readonly


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("content", [b"", b"abc"])
def test_bytes_are_read_only_or_not(cy, content, writable):
    made = cy.plain_bytes(content, writable)
    assert (bytes(made), made.readonly, made.format) == (content, not writable, "B")
    assert cy.total_bytes(made) == sum(content)


# ---- releases ----

KINDS = ["plain", "nogil", "with gil", "raises", "slow"]
BOTH = {"Buffer": 0, "ndarray": 2}
each_result = pytest.mark.parametrize("flags", BOTH.values(), ids=BOTH)


@each_result
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_release_is_called_once_with_the_last_view(
    cy, freed, unraisable, kind, flags
):
    made = cy.doubles(5, kind, flags)
    view = memoryview(made)[1:]
    del made
    assert (view.tolist(), freed()) == ([1, 2, 3, 4], 0)
    del view
    assert freed() == 1
    assert unraisable == ["RuntimeError('40 bytes could not be counted')"] * (kind == "raises")


@each_result
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_release_is_called_once_if_the_call_fails(cy, freed, unraisable, kind, flags):
    with pytest.raises(ValueError, match="format"):
        cy.doubles(5, kind, flags, b"{")
    assert freed() == 1
    assert len(unraisable) == (kind == "raises")


@pytest.mark.parametrize("kind", KINDS[1:3])
def test_arrays_are_dropped_by_many_threads(cy, freed, parallel, kind):
    arrays = [[cy.doubles(10, kind) for _ in range(50)] for _ in range(8)]
    parallel(lambda i: arrays[i].clear())
    assert freed() == 400


def test_releases_without_the_gil_run_beside_each_other(cy, freed, parallel):
    def work(i: int) -> None:
        for _ in range(50):
            cy.doubles(10, "slow")
            assert cy.doubles(4, "slow").sum() == 6

    parallel(work)
    assert freed() == 800


# ---- errors ----


def test_what_c_says_by_null_is_raised(cy, freed):
    with pytest.raises(ValueError, match="pybuf_wrap"):
        cy.doubles(5, flags=1 << 20)
    assert freed() == 1
    with pytest.raises(ValueError, match="NULL"):
        cy.adopt_nothing()
    with pytest.raises(TypeError):
        cy.total_lent(17)
    with pytest.raises(TypeError, match="pybuf_array"):
        cy.array(17)
    with pytest.raises(TypeError, match="IndirectMemory2D"):
        cy.item_by_pointer(pybuf.zeros(1), 0, 0)
    assert cy.check(17) is False


def test_none_is_no_owner(cy):
    with pytest.raises(TypeError, match="PYBUF_UNOWNED"):
        cy.owned_by(None)
    assert bytes(cy.owned_by(None, unowned=True)) == b"abc"
    with pytest.raises(TypeError, match="PYBUF_UNOWNED"):
        cy.owned_by("somebody", unowned=True)


# ---- typed memoryviews ----


@each_result
def test_typed_memoryviews_read_and_write(cy, flags):
    made = cy.doubles(5, flags=flags)
    cy.scale(made, 2)
    assert cy.total(made) == 20
    assert np.asarray(made).tolist() == [0, 2, 4, 6, 8]


@pytest.mark.parametrize("flags", [1, 3])
def test_read_only_memory_is_for_const_typed_memoryviews(cy, flags):
    made = cy.doubles(5, flags=flags)
    assert cy.total(made) == 10
    with pytest.raises((BufferError, ValueError), match="read-only"):
        cy.scale(made, 2)
    assert np.asarray(made).tolist() == [0, 1, 2, 3, 4]


@each_result
def test_strides_reach_typed_memoryviews(cy, freed, flags):
    made = cy.strided(3, 4, flags)
    assert np.asarray(made).tolist() == np.arange(24).reshape(3, 8)[:, ::2].tolist()
    assert cy.total_shorts(made) == np.arange(24)[::2].sum()
    del made
    assert freed() == 1


@each_result
def test_a_typed_memoryview_keeps_the_memory(cy, freed, flags):
    kept = cy.kept_as_typed(cy.doubles(5, flags=flags))
    assert (list(kept), freed()) == ([0, 1, 2, 3, 4], 0)
    del kept
    assert freed() == 1


@each_result
def test_new_memory_is_filled_through_its_pointer(cy, flags):
    assert np.asarray(cy.squares(5, flags)).tolist() == [0, 1, 4, 9, 16]


# ---- owners ----


@each_result
def test_a_cdef_class_lives_as_long_as_views_of_its_memory(cy, freed, flags):
    samples = cy.Samples(4)
    view = memoryview(samples.memory(flags))
    del samples
    assert (view.tolist(), freed()) == ([0, 1, 2, 3], 0)
    del view
    assert freed() == 1


def test_owners_have_their_references_back(cy):
    for owner in (object(), cy.Samples(1)):
        before = sys.getrefcount(owner)
        for flags in BOTH.values():
            made = cy.owned_by(owner, flags=flags)
            assert sys.getrefcount(owner) == before + 1
            del made
            with pytest.raises(ValueError, match="flags"):
                cy.owned_by(owner, flags=1 << 20)
            assert sys.getrefcount(owner) == before


def test_an_owner_that_keeps_its_buffer_is_collected(cy, freed):
    samples = cy.Samples(4)
    samples.kept = samples.memory()
    gone = weakref.ref(samples)
    view = memoryview(samples.kept)
    del samples
    gc.collect()
    assert (view.tolist(), freed(), gone() is None) == ([0, 1, 2, 3], 0, False)
    view.release()
    gc.collect()
    assert (freed(), gone()) == (1, None)


def test_a_cdef_class_is_an_exporter_by_its_buffer(cy, freed):
    samples = cy.Samples(4)
    cy.scale(samples, 3)
    array = np.asarray(samples)
    del samples
    assert (array.tolist(), freed()) == ([0, 3, 6, 9], 0)
    del array
    assert freed() == 1


# ---- tables of pointers ----


def test_a_table_goes_with_the_last_view(cy, freed):
    made = cy.pointers(3, 4)
    cy.set_by_view(made, 2, 1, 42)
    view = memoryview(made)
    del made
    assert (view.tolist()[2], freed()) == ([8, 42, 10, 11], 0)
    del view
    assert freed() == 1


def test_levels_are_judged(cy, freed):
    with pytest.raises(ValueError, match="levels is 3 and there are 2 dimensions"):
        cy.pointers(3, 4, levels=3)
    assert freed() == 1


# ---- descriptors ----


@each_result
def test_a_descriptor_made_without_the_gil_is_adopted(cy, freed, flags):
    made = cy.adopted(flags)
    assert (np.asarray(made).tolist(), freed()) == ([0, 1, 2, 3], 0)
    del made
    assert freed() == 1


def test_memory_is_lent_and_given_back_without_the_gil(cy):
    array = np.arange(10.0)
    before = sys.getrefcount(array)
    assert cy.total_lent(array) == 45
    assert cy.total_lent(pybuf.copy(array), 0) == 45
    assert sys.getrefcount(array) == before
    array.flags.writeable = False
    assert cy.total_lent(array) == 45
    with pytest.raises(BufferError, match="read-only"):
        cy.total_lent(array, 0)


# ---- what is there ----


def test_a_module_of_the_limited_api_does_the_same(cy):
    limited = cython_build.load("capi_cython", "limited")
    assert limited is not cy
    assert limited.total(cy.doubles(5)) == cy.total(limited.doubles(5)) == 10
    assert np.asarray(limited.Samples(3)).tolist() == [0, 1, 2]
    assert limited.total_lent(limited.adopted()) == 6
    assert limited.item_by_pointer(limited.rows_new(1, 1), 0, 0) == 0
    with pytest.raises(TypeError, match="PYBUF_UNOWNED"):
        limited.owned_by(None)


def test_import_and_cimport_stand_side_by_side(cy):
    assert cy.both_modules() is True


def test_buffers_become_arrays(cy):
    made = pybuf.zeros(3, "d")
    cy.array(made)[1] = 5
    assert made.tolist() == [0, 5, 0]
    rows = IndirectMemory2D.create_memory(2, 3, "i")
    cy.array(rows)[1] = 5
    assert cy.item_by_pointer(rows, 1, 2) == 5


# ---- IndirectMemory2D, as Cython code asked indirect_buffer for it ----


@pytest.fixture
def only_int(cy: Any) -> Iterator[None]:
    """The one int of the module is as before."""
    before = cy.the_item()
    yield
    cy.rows_of_one(before)


def test_new_rows_are_zeroed_and_have_a_table(cy):
    mem = cy.rows_new(5, 6)
    assert type(mem) is IndirectMemory2D
    assert (mem.shape, mem.get_format(), mem.readonly) == ((5, 6), b"i", False)
    assert cy.item_by_pointer(mem, 4, 5) == 0


def test_pointers_see_what_a_typed_memoryview_writes(cy):
    mem = cy.rows_new(5, 6)
    cy.set_by_view(mem, 4, 3, 42)
    assert cy.item_by_pointer(mem, 4, 3) == 42


def test_pointers_see_what_a_memoryview_writes(cy):
    mem = cy.rows_new(5, 6)
    memoryview(mem)[4, 5] = 42
    assert cy.item_by_pointer(mem, 4, 5) == 42


def test_rows_of_somebody_have_the_same_table(cy):
    mem = cy.rows_of_one(5)
    assert cy.item_by_pointer(mem, 0, 0) == 5


def test_a_typed_memoryview_writes_into_rows_of_somebody(cy, only_int):
    cy.set_by_view(cy.rows_of_one(5), 0, 0, 42)
    assert cy.the_item() == 42


@pytest.mark.parametrize("make", ["rows_new", "rows_of_one"])
def test_read_only_rows_are_for_const_typed_memoryviews(cy, make):
    mem = cy.rows_new(1, 1, 1) if make == "rows_new" else cy.rows_of_one(0, 1 | 4)
    assert mem.readonly is True
    assert cy.item_by_const_view(mem, 0, 0) == 0
    with pytest.raises(BufferError, match=says("buffer is not writable")):
        cy.set_by_view(mem, 0, 0, 42)
    assert mem.exports == 0


def test_a_nanny_goes_with_the_last_view_and_not_before(cy, only_int):
    class Nanny:
        pass

    nanny = Nanny()
    gone = weakref.ref(nanny)
    mem = cy.rows_of_one(5, 0, nanny)
    del nanny
    view = memoryview(mem)
    del mem
    gc.collect()
    assert (gone() is None, view[0, 0]) == (False, 5)
    del view
    assert gone() is None


def test_a_table_of_closed_rows_is_not_given(cy):
    mem = cy.rows_new(2, 2)
    mem.close()
    with pytest.raises(ValueError, match="closed"):
        cy.item_by_pointer(mem, 0, 0)
