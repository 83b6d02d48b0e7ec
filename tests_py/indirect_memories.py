"""Indirect memories for tests, and what exceptions say of them."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np
from pybuf.indirect import IndirectMemory2D

#: What fits make().
A = np.arange(6, dtype="i").reshape(2, 3)


def says(text: str) -> str:
    """A pattern for the whole of an exception's text."""
    return f"^{re.escape(text)}$"


def make(rows: Any = 2, cols: Any = 3, spelled: Any = "i", **kwargs: Any) -> IndirectMemory2D:
    return IndirectMemory2D.create_memory(rows, cols, spelled, **kwargs)


def at_null() -> memoryview:
    """What has three bytes, and says that they lie at NULL."""
    make_view = ctypes.pythonapi.PyMemoryView_FromMemory
    make_view.restype = ctypes.py_object
    make_view.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
    view: memoryview = make_view(None, 3, 0x200)  # PyBUF_WRITE
    return view


def uneven(n: int = 3, width: int = 4) -> list[np.ndarray[Any, Any]]:
    """Rows that lie at no even distances: i, 10 + i, 20 + i..."""
    block = np.zeros((n * n, width))
    for i in range(n):
        block[i * (i + 1) // 2] = np.arange(width) + 10 * i
    return [block[i * (i + 1) // 2] for i in range(n)]
