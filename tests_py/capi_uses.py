"""The functions of pybuf.h as tests call them: the module of capi/every.c, with defaults."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, NamedTuple

READONLY, ARRAY, UNOWNED, EMPTY = 1, 2, 4, 8

#: Numbers of the releases in capi/releases.h.
NONE, NOTE, NOTE_AND_FREE, NOTE_WITHOUT_GIL, CALL_PYTHON, END_PROCESS, FREE, DROP = range(8)

#: What most tests wrap: eight doubles.
BLOCK = (ctypes.c_double * 8)(*range(8))
ADDRESS = ctypes.addressof(BLOCK)
NUMBERS = [float(i) for i in range(8)]


class Call(NamedTuple):
    """One call of a release."""

    data: int
    nbytes: int
    arg: int
    thread: int
    gil: int
    error: int


def dims(values: Sequence[int] | None) -> list[int] | None:
    return None if values is None else list(values)


class Every:
    """One build of the module. What is not here is taken from it as it is."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.before: int = module.calls()[0]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.module, name)

    def wrap(
        self,
        data: int = ADDRESS,
        shape: Sequence[int] | None = (8,),
        format: bytes | None = b"d",  # noqa: A002
        flags: int = ARRAY,
        release: int = NOTE,
        *,
        strides: Sequence[int] | None = None,
        ndim: int | None = None,
        arg: Any = None,
    ) -> Any:
        ndim = len(shape or ()) if ndim is None else ndim
        return self.module.wrap(
            data, ndim, dims(shape), dims(strides), format, flags, release, arg
        )

    def wrap_owned(
        self,
        owner: Any,
        data: int = ADDRESS,
        shape: Sequence[int] | None = (8,),
        format: bytes | None = b"d",  # noqa: A002
        flags: int = ARRAY,
        *,
        strides: Sequence[int] | None = None,
        ndim: int | None = None,
    ) -> Any:
        ndim = len(shape or ()) if ndim is None else ndim
        return self.module.wrap_owned(data, ndim, dims(shape), dims(strides), format, flags, owner)

    def new(
        self,
        shape: Sequence[int] | None,
        format: bytes | None = b"d",  # noqa: A002
        flags: int = ARRAY,
        *,
        ndim: int | None = None,
    ) -> Any:
        """The memory, and the address that C was given."""
        ndim = len(shape or ()) if ndim is None else ndim
        return self.module.new(ndim, dims(shape), format, flags)

    def pointers(
        self,
        table: int,
        levels: int,
        shape: Sequence[int],
        *,
        format: bytes | None = b"d",  # noqa: A002
        flags: int = 0,
        release: int = NOTE,
    ) -> Any:
        return self.module.pointers(
            table, levels, len(shape), dims(shape), format, flags, release, None
        )

    def calls(self) -> list[Call]:
        """Calls of releases since the test began, the last few of many."""
        count, last = self.module.calls()
        new = count - self.before
        return [Call(*c) for c in last[max(len(last) - new, 0) :]] if new else []

    def released(self) -> list[tuple[int, int]]:
        """What went back: addresses and sizes."""
        return [(c.data, c.nbytes) for c in self.calls()]
