"""What a Buffer must answer, worked out in Python's integers of any length.

Nothing here is taken from the implementation: requests follow the tables
"Buffer request types" of CPython's documentation, layouts follow arithmetic.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import py_buffer as pb

INT64_MAX = 2**63 - 1
ADDRESS_END = 2**64
NDIM_MAX = 64


def outcome(action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What it gives, or the type of what it raises, which must say something:
    in this form two sides can be compared."""
    try:
        return action(*args, **kwargs)
    except Exception as e:
        error = e
    assert str(error), repr(error)
    return type(error)


# ---- layouts ----


def packed_strides(shape: Sequence[int], itemsize: int, order: str = "C") -> tuple[int, ...]:
    """Strides without gaps; an extent of 0 counts as 1."""
    strides = [0] * len(shape)
    step = itemsize
    axes = range(len(shape))
    for axis in axes if order == "F" else reversed(axes):
        strides[axis] = step
        step *= max(shape[axis], 1)
    return tuple(strides)


def is_packed(shape: Sequence[int], strides: Sequence[int], itemsize: int, order: str) -> bool:
    """Whether there is no step between items but to the next place.

    An axis of one item has no step, and without items there is none at all.
    """
    if 0 in shape:
        return True
    wanted = packed_strides(shape, itemsize, order)
    return all(n == 1 or s == w for n, s, w in zip(shape, strides, wanted, strict=True))


@dataclass(frozen=True)
class Layout:
    """A layout that can be: bytes in use are [low, high) from item 0."""

    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    suboffsets: tuple[int, ...] = ()

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.itemsize

    @property
    def low(self) -> int:
        return sum(self._reach(-1))

    @property
    def high(self) -> int:
        return sum(self._reach(+1)) + (0 if 0 in self.shape else self.itemsize)

    def _reach(self, sign: int) -> Iterator[int]:
        if 0 not in self.shape:
            for n, s in zip(self.shape, self.strides, strict=True):
                yield sign * max(sign * s * (n - 1), 0)

    @property
    def contiguous(self) -> str:
        """The orders in which it is contiguous: "CF", "C", "F" or ""."""
        if self.suboffsets:
            return ""
        return "".join(
            order for order in "CF" if is_packed(self.shape, self.strides, self.itemsize, order)
        )

    def offsets(self) -> Iterator[int]:
        """Where each item lies, in C order of the indices."""
        for index in itertools.product(*map(range, self.shape)):
            yield sum(i * s for i, s in zip(index, self.strides, strict=True))


def judge(
    itemsize: int, shape: Sequence[int], strides: Sequence[int] | None = None, order: str = "C"
) -> Layout | type[Exception]:
    """The layout, or the exception that asking for it must raise."""
    if any(not -INT64_MAX - 1 <= n <= INT64_MAX for n in (*shape, *(strides or ()))):
        return OverflowError
    if len(shape) > NDIM_MAX or any(n < 0 for n in shape):
        return ValueError
    if strides is not None and len(strides) != len(shape):
        return ValueError
    if itemsize * math.prod(max(n, 1) for n in shape) > INT64_MAX:
        return OverflowError
    if strides is None:
        strides = packed_strides(shape, itemsize, order)
    layout = Layout(itemsize, tuple(shape), tuple(strides))
    return layout if layout.high - layout.low <= INT64_MAX else OverflowError


def place(
    layout: Layout, address: int, nbytes: int | None = None, offset: int = 0
) -> type[Exception] | None:
    """The exception that wrap() must raise for a layout there, or None."""
    first, last = offset + layout.low, offset + layout.high
    if first < -INT64_MAX - 1 or last > INT64_MAX:
        return ValueError
    if nbytes is not None and not (first >= 0 and last <= nbytes):
        return ValueError
    if address == 0:
        return ValueError if layout.low < layout.high or nbytes else None
    return None if address + first >= 0 and address + last < ADDRESS_END else ValueError


# ---- requests ----


def asks(flags: int, request: int) -> bool:
    """A request of several bits is made when all of them are there."""
    return flags & request == request


def is_granted(layout: Layout, flags: int, readonly: bool) -> bool:
    contiguous = layout.contiguous
    return not (
        (readonly and asks(flags, pb.WRITABLE))
        # PyBUF_FORMAT goes with any flags but PyBUF_SIMPLE.
        or (asks(flags, pb.FORMAT) and not asks(flags, pb.ND))
        or (layout.suboffsets and not asks(flags, pb.INDIRECT))
        # Whoever cannot see strides takes the items to lie in C order.
        or (not asks(flags, pb.STRIDES) and "C" not in contiguous)
        or (asks(flags, pb.C_CONTIGUOUS) and "C" not in contiguous)
        or (asks(flags, pb.F_CONTIGUOUS) and "F" not in contiguous)
        or (asks(flags, pb.ANY_CONTIGUOUS) and not contiguous)
    )


def answer(
    layout: Layout,
    flags: int,
    *,
    buf: int | None,
    format: str,  # noqa: A002
    readonly: bool,
) -> pb.Answer | None:
    """The whole Py_buffer that a request must get; None: BufferError."""
    if not is_granted(layout, flags, readonly):
        return None
    shaped = asks(flags, pb.ND)
    has_axes = shaped and layout.shape != ()
    return pb.Answer(
        buf=buf,
        len=layout.nbytes,
        itemsize=layout.itemsize,
        readonly=readonly,
        ndim=len(layout.shape) if shaped else 1,
        format=format if asks(flags, pb.FORMAT) else None,
        shape=layout.shape if has_axes else None,
        strides=layout.strides if has_axes and asks(flags, pb.STRIDES) else None,
        suboffsets=layout.suboffsets or None,
    )
