"""Slices of gopy modules as arrays, with no copy, and arrays as slices.

A gopy module that was built with the Go package gopybuf as one more package lends its memory
once it is enabled:

    import numpy as np
    import pybuf.gopy
    import out  # made by gopy

    pybuf.gopy.enable(out)

    np.asarray(out.vecs.Make(1000))  # the slice itself
    out.vecs.Sum(np.ones(1000))  # takes an array, where Go takes a []float64

`python -m pybuf.gopy out` after each run of gopy makes the package enable itself.
"""

from types import ModuleType
from typing import Any

from pybuf import Buffer
from pybuf.gopy._enable import enable, library_of
from pybuf.gopy._values import lend

__all__ = ["enable", "lend", "live", "view"]


def view(obj: Any) -> Buffer:
    """Give the memory of a gopy object as a Buffer.

    It is what np.asarray(obj) stands on. Of a [][]T whose rows lie apart, which NumPy cannot view,
    it is an indirect Buffer: memoryview() follows its pointers, pybuf.copy() copies it.

    Raises TypeError for what holds no plain memory, with the Go type and field.
    """
    library = getattr(obj, "__pybuf_library__", None)
    if library is None:
        raise TypeError(
            f"view() takes an object of a gopy module that is enabled, not {type(obj).__name__!r}"
        )
    buffer: Buffer = library.view(obj.handle)
    return buffer


def live(module: ModuleType, *, collect: bool = True) -> int:
    """Count the views and loans of an enabled gopy module that have not come back.

    A leak check for tests. collect: Go's collector is run first, which ends what Go objects
    that are gone had been lent.
    """
    return library_of(module).live(collect)
