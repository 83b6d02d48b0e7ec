"""Slices of slices of slices of a gopy module as buffers: three axes."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from pybuf import gopy


def test_tables_in_one_piece_of_memory_are_an_array_of_three_axes(vecs: Any):
    c = vecs.Cube(2, 3, 4)
    a = np.asarray(c, copy=False)
    assert (a.shape, a.strides) == ((2, 3, 4), (96, 32, 8))
    a[1, 2, 3] = 9
    assert vecs.AtCube(c, 1, 2, 3) == 9


def test_separate_rows_of_tables_are_an_indirect_view(vecs: Any):
    c = vecs.SeparateCube(2, 3, 4)
    view: Any = memoryview(gopy.view(c))
    assert (view.shape, view.suboffsets) == ((2, 3, 4), (0, 0, -1))
    view[1, 2, 3] = 9.0
    assert vecs.AtCube(c, 1, 2, 3) == 9
    with pytest.raises(BufferError, match="apart"):
        memoryview(c)


@pytest.mark.parametrize("view", [np.asarray, gopy.view])
@pytest.mark.parametrize("make", ["Cube", "SeparateCube"])
def test_every_row_of_every_table_is_kept(make: str, view: Any, vecs: Any):
    v = view(getattr(vecs, make)(5, 20, 16))
    gc.collect()
    vecs.Collect()
    vecs.Litter(20)
    rows = np.arange(100 if make == "Cube" else 20)
    want = np.resize(rows, (5, 20))[:, :, None] + np.arange(16) / 100
    np.testing.assert_allclose(v.tolist(), want)


def test_tables_that_differ_are_no_array(vecs: Any):
    with pytest.raises(ValueError, match="row 1 has 2 rows and row 0 has 3"):
        np.asarray(vecs.RaggedCube())
    with pytest.raises(ValueError, match="row 1 has 2 rows and row 0 has 3"):
        gopy.view(vecs.RaggedCube())
