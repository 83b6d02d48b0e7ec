"""Memory behind tables of pointers, ``T**`` and deeper, which NumPy cannot describe.

Rows that lie anywhere become one object that C code, Cython and memoryview read
through the buffer protocol with suboffsets. ``IndirectMemory2D`` and
``BufferCollection2D`` have the names, meanings and errors of the package
indirect_buffer; ``rows``, ``zeros`` and ``pointers`` make Buffers of any number
of axes.
"""

from __future__ import annotations

from ._core import (
    Buffer,
    BufferHolder,
    IndirectBase,
    _collection,
    _lines,
    _over,
    _pointer_array,
)
from ._core import _indirect_pointers as pointers
from ._core import _indirect_rows as rows
from ._core import _indirect_zeros as zeros

TYPE_CHECKING = False  # typing is not imported for it
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable
    from typing import Any, Self, SupportsIndex

    from _typeshed import ReadableBuffer

    from ._core import _Address

__all__ = [
    "BufferCollection2D",
    "BufferHolder",
    "IndirectMemory2D",
    "pointers",
    "rows",
    "zeros",
]


def _dtype(spelled: str | bytes) -> str:
    """Give the format as a dtype, which is a str."""
    return spelled.decode() if isinstance(spelled, bytes) else spelled


class IndirectMemory2D(IndirectBase):
    """Two-dimensional memory behind a table of row pointers, a ``T**``.

    An exporter for consumers that follow pointers (``PyBUF_INDIRECT``), such as
    memoryview and Cython. Made by its class methods only.
    """

    __slots__ = ()

    @classmethod
    def create_memory(
        cls,
        rows: SupportsIndex,
        cols: SupportsIndex,
        format: str | bytes,  # noqa: A002
        readonly: bool = False,
    ) -> Self:
        """Make zeroed memory. The format is spelled as the module struct has it."""
        return cls._over(zeros((rows, cols), _dtype(format)), format, readonly)

    @classmethod
    def from_ptr(
        cls,
        ptr: _Address,
        rows: SupportsIndex,
        cols: SupportsIndex,
        format: str | bytes,  # noqa: A002
        readonly: bool = False,
    ) -> Self:
        """Wrap a table of row pointers that outlives every view. Frees nothing.

        ptr is an address in any form that pybuf.wrap takes.
        """
        return cls.from_ptr_with_memory_nanny(ptr, rows, cols, format, readonly, None)

    @classmethod
    def from_ptr_with_memory_nanny(  # noqa: PLR0917 - as indirect_buffer has it
        cls,
        ptr: _Address,
        rows: SupportsIndex,
        cols: SupportsIndex,
        format: str | bytes,  # noqa: A002
        readonly: bool,
        memory_nanny: object,
    ) -> Self:
        """Wrap a table of row pointers, and keep memory_nanny until the last view is gone."""
        shape, dtype = (rows, cols), _dtype(format)
        if memory_nanny is None:
            buffer = pointers(ptr, shape, dtype, unowned=True)
        else:
            buffer = pointers(ptr, shape, dtype, owner=memory_nanny)
        return cls._over(buffer, format, readonly)

    @classmethod
    def from_ctype_ptr(
        cls,
        ptr: ctypes.Array[Any],
        rows: SupportsIndex,
        cols: SupportsIndex,
        readonly: bool = False,
    ) -> Self:
        """Wrap a ctypes array of pointers, which is kept.

        The format is that of ctypes, such as ``<i``, of which memoryview takes no
        items before ``reinterpret_data("i")``.
        """
        return cls._over(*_pointer_array(ptr, rows, cols, readonly))

    @classmethod
    def view_from_rows(cls, array2d: ReadableBuffer, readonly: bool = False) -> Self:
        """View the rows of an exporter with at most two axes. Each has no gaps."""
        return cls._over(*_lines(array2d, False, readonly))

    @classmethod
    def view_from_columns(cls, array2d: ReadableBuffer, readonly: bool = False) -> Self:
        """View the columns of an exporter as rows: the two axes change places."""
        return cls._over(*_lines(array2d, True, readonly))

    @classmethod
    def _over(cls, buffer: Buffer, spelled: str | bytes, readonly: bool = False) -> Self:
        return _over(cls, buffer, spelled, readonly)

    def reinterpret_data(self, new_format: str | bytes) -> None:
        """Make the bytes of each row items of another format, as many as there is room for.

        BufferError while a view lives, or if a row is no whole number of them. The
        present format is always well.
        """
        self._reinterpret(new_format)


class BufferCollection2D(IndirectMemory2D):
    """Exporters as the rows of one IndirectMemory2D, not copied.

    rows: an iterable of objects without gaps in C or Fortran order. Each is held
    until this memory and its last view are gone; one that is read-only makes
    all of it read-only.
    column_count: the items of a row, -1 for as many as the first one has.
    format: that of the items, None for that of the first one.
    unravel: whether an object of more than one axis is taken as one row.
    """

    __slots__ = ()

    def __new__(
        cls,
        rows: Iterable[ReadableBuffer],
        column_count: SupportsIndex = -1,
        format: str | bytes | None = None,  # noqa: A002
        unravel: bool = True,
    ) -> Self:
        """Hold each of the rows."""
        return cls._over(*_collection(rows, column_count, format, unravel))

    def make_read_only(self) -> None:
        """Refuse writers from now on. BufferError while a view lives."""
        self._make_read_only()
