# Types of the extension module; the docstrings are there.
#
# Element types are described by what they have, so that NumPy need not be
# installed; where it is not, numpy() gives Any.

import builtins
import ctypes
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import EllipsisType
from typing import (
    Any,
    Final,
    Literal,
    Never,
    Protocol,
    Self,
    SupportsIndex,
    TypeAlias,
    TypedDict,
    TypeVar,
    final,
    overload,
    type_check_only,
)

import numpy as np
from _typeshed import ReadableBuffer, WriteableBuffer, structseq
from typing_extensions import CapsuleType, disjoint_base

__version__: str
tracemalloc_domain: int
_C_API: CapsuleType

# ---- what arguments may be -------------------------------------------------------

@type_check_only
class _NumPyDType(Protocol):
    @property
    def itemsize(self) -> int: ...
    @property
    def str(self) -> builtins.str: ...

@type_check_only
class _NumPyScalar(Protocol):
    @property
    def dtype(self) -> _NumPyDType: ...

_Dims: TypeAlias = SupportsIndex | Sequence[SupportsIndex]

# A format, a typestr, a name of NumPy's; an np.dtype; np.float64, float, ctypes.c_double, a
# ctypes structure; fields; a sub-array; a dict of names, formats, offsets...
_DType: TypeAlias = (
    str
    | _NumPyDType
    | type[_NumPyScalar]
    | type[bool]
    | type[int]
    | type[float]
    | type[complex]
    | type[ctypes._SimpleCData[Any]]  # noqa: SLF001 - the base has no other name
    | type[ctypes.Structure]
    | type[ctypes.Array[Any]]
    | Sequence[_Field]
    | tuple[_DType, _Dims]
    | dict[str, Any]
)
_Name: TypeAlias = str | tuple[str, str]  # "name", ("title", "name")
_Field: TypeAlias = tuple[_Name, _DType] | tuple[_Name, _DType, _Dims]

# cffi's pointers and arrays, told by what they have and numbers have not.
@type_check_only
class _CFFIData(Protocol):
    def __complex__(self) -> complex: ...
    def __enter__(self) -> Any: ...
    def __getitem__(self, index: Any, /) -> Any: ...

_Address: TypeAlias = (
    SupportsIndex
    | CapsuleType
    | ctypes._PointerLike  # noqa: SLF001 - typeshed's name for what holds a pointer
    | ctypes.Array[Any]
    | ctypes.Structure
    | ctypes.Union
    | _CFFIData
)

_Release: TypeAlias = (
    Callable[[int], object] | tuple[_Address, _Address | None] | CapsuleType | _CFFIData
)

_Descriptor: TypeAlias = _Address | ctypes._SimpleCData[int]  # noqa: SLF001 - as above

_Order: TypeAlias = Literal["C", "F"]
_Source: TypeAlias = Literal["c", "go"]  # what can be asked for; "foreign" is by wrap()

# ---- functions ---------------------------------------------------------------------

def adopt(descriptor: _Descriptor, /) -> Buffer: ...
def empty(
    shape: _Dims,
    dtype: _DType = "B",
    *,
    order: _Order = "C",
    align: SupportsIndex = 64,
    source: _Source = "c",
) -> Buffer: ...
def zeros(
    shape: _Dims,
    dtype: _DType = "B",
    *,
    order: _Order = "C",
    align: SupportsIndex = 64,
    source: _Source = "c",
) -> Buffer: ...
def copy(
    obj: ReadableBuffer,
    *,
    order: _Order = "C",
    align: SupportsIndex = 64,
    source: _Source = "c",
) -> Buffer: ...
def copyto(dst: WriteableBuffer, src: ReadableBuffer, *, cast: bool = False) -> None: ...

# Three ways to say who sees to the memory; to say nothing is an error.
def lend(obj: ReadableBuffer, *, writable: bool = True) -> Lent: ...
@overload
def wrap(
    address: _Address,
    shape: _Dims | None = None,
    dtype: _DType | None = None,
    *,
    strides: _Dims | None = None,
    suboffsets: _Dims | None = None,
    readonly: bool = False,
    owner: object = None,
    release: _Release,
    unowned: Literal[False] = False,
    nbytes: SupportsIndex | None = None,
    offset: SupportsIndex = 0,
) -> Buffer: ...
@overload
def wrap(
    address: _Address,
    shape: _Dims | None = None,
    dtype: _DType | None = None,
    *,
    strides: _Dims | None = None,
    suboffsets: _Dims | None = None,
    readonly: bool = False,
    owner: object,
    release: None = None,
    unowned: Literal[False] = False,
    nbytes: SupportsIndex | None = None,
    offset: SupportsIndex = 0,
) -> Buffer: ...
@overload
def wrap(
    address: _Address,
    shape: _Dims | None = None,
    dtype: _DType | None = None,
    *,
    strides: _Dims | None = None,
    suboffsets: _Dims | None = None,
    readonly: bool = False,
    owner: None = None,
    release: None = None,
    unowned: Literal[True],
    nbytes: SupportsIndex | None = None,
    offset: SupportsIndex = 0,
) -> Buffer: ...

# ---- Layout --------------------------------------------------------------------------

@final
class Layout:
    @overload
    def __new__(
        cls, shape: _Dims, dtype: _DType = "B", *, order: _Order = "C", strides: None = None
    ) -> Self: ...
    @overload
    def __new__(cls, shape: _Dims, dtype: _DType = "B", *, strides: _Dims) -> Self: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def format(self) -> str: ...
    def empty(self, *, align: SupportsIndex = 64, source: _Source = "c") -> Buffer: ...
    def zeros(self, *, align: SupportsIndex = 64, source: _Source = "c") -> Buffer: ...
    @overload
    def wrap(
        self,
        address: _Address,
        *,
        readonly: bool = False,
        owner: object = None,
        release: _Release,
        unowned: Literal[False] = False,
        nbytes: SupportsIndex | None = None,
        offset: SupportsIndex = 0,
    ) -> Buffer: ...
    @overload
    def wrap(
        self,
        address: _Address,
        *,
        readonly: bool = False,
        owner: object,
        release: None = None,
        unowned: Literal[False] = False,
        nbytes: SupportsIndex | None = None,
        offset: SupportsIndex = 0,
    ) -> Buffer: ...
    @overload
    def wrap(
        self,
        address: _Address,
        *,
        readonly: bool = False,
        owner: None = None,
        release: None = None,
        unowned: Literal[True],
        nbytes: SupportsIndex | None = None,
        offset: SupportsIndex = 0,
    ) -> Buffer: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __reduce__(self) -> tuple[Any, ...]: ...

# ---- Buffer --------------------------------------------------------------------------

# No class of C shows its __buffer__ before 3.12.
@type_check_only
class _Exporter:
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Buffer(_Exporter):
    # Made by the functions only.
    def __new__(cls, never: Never, /) -> Self: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def suboffsets(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def format(self) -> str: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def address(self) -> int: ...
    @property
    def source(self) -> Literal["c", "go", "foreign"]: ...
    @property
    def exports(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    @property
    def owner(self) -> Any: ...
    @property
    def __array_interface__(self) -> dict[str, Any]: ...
    def close(self, *, strict: bool = False) -> bool: ...
    def resize(self, shape: _Dims, /) -> None: ...
    def toreadonly(self) -> Buffer: ...
    def cast(self, dtype: _DType, shape: _Dims | None = None) -> Buffer: ...
    def row(self, i: SupportsIndex, /) -> Buffer: ...
    def numpy(self, *, copy: bool | None = None) -> np.ndarray[Any, np.dtype[Any]]: ...
    def tobytes(self, order: Literal["C", "F", "A"] | None = "C") -> bytes: ...
    def tolist(self) -> Any: ...  # nested lists; one item if ndim is 0
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    @overload
    def __getitem__(self, key: SupportsIndex | tuple[SupportsIndex, ...], /) -> Any: ...
    @overload
    def __getitem__(self, key: slice[Any, Any, Any] | EllipsisType, /) -> memoryview[Any]: ...
    @overload
    def __setitem__(
        self, key: SupportsIndex | tuple[SupportsIndex, ...], value: Any, /
    ) -> None: ...
    @overload
    def __setitem__(
        self, key: slice[Any, Any, Any] | EllipsisType, value: ReadableBuffer, /
    ) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...  # ValueError unless read-only bytes
    def __copy__(self) -> Buffer: ...
    def __deepcopy__(self, memo: object, /) -> Buffer: ...
    def __dlpack__(
        self,
        *,
        stream: None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> CapsuleType: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def __arrow_c_array__(
        self, requested_schema: CapsuleType | None = None
    ) -> tuple[CapsuleType, CapsuleType]: ...

# ---- Lent ------------------------------------------------------------------------------

@final
class Lent:
    # Made by lend() only.
    def __new__(cls, never: Never, /) -> Self: ...
    @property
    def taken(self) -> bool: ...
    @property
    def returned(self) -> bool: ...
    @property
    def _as_parameter_(self) -> ctypes.c_size_t: ...
    def __index__(self) -> int: ...
    def __int__(self) -> int: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...

# ---- what is alive ---------------------------------------------------------------------

@type_check_only
class _Sums(TypedDict):
    blocks: int
    bytes: int
    exports: int

@type_check_only
class _Sources(TypedDict):
    c: _Sums
    go: _Sums
    foreign: _Sums

@type_check_only
class _Stats(_Sums):
    lent: int
    go_calls: int
    sources: _Sources

@final
class LiveMemory(
    structseq[Any],
    tuple[
        int,
        int,
        tuple[int, ...],
        tuple[int, ...],
        str,
        Literal["c", "go", "foreign"],
        int,
        bool,
        bool,
        str | None,
    ],
):
    __match_args__: Final = (
        "address",
        "nbytes",
        "shape",
        "strides",
        "format",
        "source",
        "exports",
        "readonly",
        "closed",
        "where",
    )
    @property
    def address(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def strides(self) -> tuple[int, ...]: ...
    @property
    def format(self) -> str: ...
    @property
    def source(self) -> Literal["c", "go", "foreign"]: ...
    @property
    def exports(self) -> int: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def closed(self) -> bool: ...
    @property
    def where(self) -> str | None: ...

def stats() -> _Stats: ...
def live() -> list[LiveMemory]: ...

# ---- for the package itself and its tests ----------------------------------------------

@type_check_only
class _Counters(TypedDict):
    made: int
    freed: int
    live_bytes: int
    lent: int
    go_calls: int

@type_check_only
class _GoRuntime(TypedDict):
    go: str
    goroutines: int
    heap_objects: int
    heap_bytes: int
    collections: int
    blocks: int
    block_bytes: int
    generation: int

def _trace_start(target: object, /) -> int: ...
def _trace_stop(number: int, /) -> None: ...
def _trace_at_exit() -> None: ...
def _report_leaks_at_exit() -> None: ...
def _counters() -> _Counters: ...
def _go_runtime(collect: object, /) -> _GoRuntime: ...
def _layout(
    shape: tuple[int, ...], dtype: str, order: _Order, strides: tuple[int, ...] | None, /
) -> Layout: ...
def _rebuild(
    frame: ReadableBuffer, dtype: str, shape: tuple[int, ...], order: _Order, readonly: bool, /
) -> Buffer: ...

# ---- pybuf.indirect ---------------------------------------------------------------------

_Row: TypeAlias = ReadableBuffer | Sequence[_Row]  # lists and tuples are meant

@overload
def _indirect_pointers(
    address: _Address,
    shape: _Dims,
    dtype: _DType = "B",
    *,
    levels: SupportsIndex | None = None,
    readonly: bool = False,
    owner: object = None,
    release: _Release,
    unowned: Literal[False] = False,
) -> Buffer: ...
@overload
def _indirect_pointers(
    address: _Address,
    shape: _Dims,
    dtype: _DType = "B",
    *,
    levels: SupportsIndex | None = None,
    readonly: bool = False,
    owner: object,
    release: None = None,
    unowned: Literal[False] = False,
) -> Buffer: ...
@overload
def _indirect_pointers(
    address: _Address,
    shape: _Dims,
    dtype: _DType = "B",
    *,
    levels: SupportsIndex | None = None,
    readonly: bool = False,
    owner: None = None,
    release: None = None,
    unowned: Literal[True],
) -> Buffer: ...
def _indirect_zeros(
    shape: _Dims,
    dtype: _DType = "B",
    *,
    levels: SupportsIndex | None = None,
    align: SupportsIndex = 64,
) -> Buffer: ...
def _indirect_rows(
    seq: Iterable[_Row],
    *,
    shape: _Dims | None = None,
    readonly: bool | None = None,
    indirect: bool | None = None,
) -> Buffer: ...

@final
class BufferHolder:
    def __new__(cls, obj: ReadableBuffer) -> Self: ...
    @property
    def obj(self) -> Any: ...
    @property
    def address(self) -> int: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def itemsize(self) -> int: ...
    @property
    def format(self) -> str: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    def buffer_is_set(self) -> bool: ...

# The base of IndirectMemory2D.
@disjoint_base
class IndirectBase(_Exporter):
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def readonly(self) -> bool: ...
    @property
    def address(self) -> int: ...
    @property
    def exports(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def get_format(self) -> bytes: ...
    def numpy(self, *, copy: bool | None = None) -> np.ndarray[Any, np.dtype[Any]]: ...
    def row(self, i: SupportsIndex, /) -> Buffer: ...
    def close(self, *, strict: bool = False) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...
    def copy_from(self, obj: ReadableBuffer, cast: bool = False) -> None: ...
    def copy_to(self, obj: WriteableBuffer, cast: bool = False) -> None: ...
    def _make_read_only(self) -> None: ...
    def _reinterpret(self, new_format: str | bytes, /) -> None: ...

_Memory2D = TypeVar("_Memory2D", bound=IndirectBase)

def _over(
    cls: type[_Memory2D], buffer: Buffer, spelled: str | bytes, readonly: bool, /
) -> _Memory2D: ...
def _lines(obj: ReadableBuffer, by_column: bool, readonly: bool, /) -> tuple[Buffer, bytes]: ...
def _collection(
    rows: Iterable[ReadableBuffer],
    column_count: SupportsIndex,
    spelled: str | bytes | None,
    unravel: bool,
    /,
) -> tuple[Buffer, bytes]: ...
def _pointer_array(
    array: ctypes.Array[Any], rows: SupportsIndex, columns: SupportsIndex, readonly: bool, /
) -> tuple[Buffer, bytes]: ...

# ---- gopy modules: used by pybuf.gopy -------------------------------------------------

class GopyValue(_Exporter): ...

@final
class GopyLoan:
    def __new__(cls, never: Never, /) -> Self: ...

@final
class GopyLibrary:
    def __new__(cls, path: str, /) -> Self: ...
    @property
    def alive(self) -> bool: ...
    @property
    def lending(self) -> bool: ...
    def view(self, handle: int, /) -> Buffer: ...
    def lend(self, handle: int, descriptor: SupportsIndex, /) -> GopyLoan: ...
    def fill(self, handle: int, descriptor: SupportsIndex, /) -> None: ...
    def hold(self, handle: int, /) -> GopyLoan | None: ...
    def call(self, function: Any, go_class: type, args: Any, kwargs: dict[str, Any], /) -> Any: ...
    def clear(self, handle: int, /) -> None: ...
    def fits(self, handle: int, wanted: int, /) -> bool: ...
    def is_opaque(self, handle: int, /) -> bool: ...
    def type_name(self, handle: int, /) -> str: ...
    def live(self, collect: bool, /) -> int: ...
