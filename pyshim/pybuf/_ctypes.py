"""What a ctypes type is made of, with the offsets that ctypes gives its fields.

The formats that ctypes exports do not hold all of it: they leave out pads
(before Python 3.12), the fields of a base class, and what a union is; and they
say of bit fields that they lie behind one another.

Imported only when an object of such a type comes along.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

_KINDS = (
    dict.fromkeys("bhilq", "i")
    | dict.fromkeys("BHILQP", "u")
    | dict.fromkeys("fdg", "f")
    | dict.fromkeys("FDG", "c")
    | {"?": "b", "c": "S", "O": "O"}
)

_NATIVE, _OTHER = ("le", "be") if sys.byteorder == "little" else ("be", "le")
_ORDER = {"le": "<", "be": ">"}


def descr(ctype: type[Any], items: bool) -> str:
    """Say the structure of `ctype` in the grammar of the Go library's ParseDescr.

    With `items`, that of the items of an array, whose extents are a shape then.
    """
    while items and issubclass(ctype, ctypes.Array):
        ctype = _items(ctype)
    try:
        return _type(ctype, ())
    except RecursionError:
        raise ValueError("the ctypes type has too many records inside of one another") from None


def _type(ctype: type[Any], path: tuple[str, ...]) -> str:
    if issubclass(ctype, ctypes.Structure):
        fields = "".join(_fields(ctype, path))
        return f"{{{ctypes.sizeof(ctype)}:{fields}}}"
    if issubclass(ctype, ctypes.Array):
        return f"({ctype._length_}){_type(_items(ctype), path)}"
    if issubclass(ctype, ctypes.Union):
        raise _refusal(
            ctype, path, "a union, whose fields overlap; lend one of them, or the bytes"
        )
    code = getattr(ctype, "_type_", None)
    if hasattr(ctype, "contents") or code in {"z", "Z"}:
        raise _refusal(
            ctype, path, "a pointer, which holds only in one process; lend what it points to"
        )
    if code == "u":  # wchar_t, which is UCS-4 where it has 4 bytes
        return f"{_order(ctype)}U{ctypes.sizeof(ctype) // 4};"
    if not isinstance(code, str) or code not in _KINDS:
        raise _refusal(
            ctype, path, "none of numbers, bools, bytes and characters; lend one of these"
        )
    return f"{_order(ctype)}{_KINDS[code]}{ctypes.sizeof(ctype)};"


def _items(array: Any) -> type[Any]:
    items: type[Any] = array._type_
    return items


def _fields(struct: type[ctypes.Structure], path: tuple[str, ...]) -> list[str]:
    """List the fields; those of a base class come first, in memory as here."""
    return [
        _field(vars(base)[field[0]], field, path)
        for base in reversed(struct.__mro__)
        for field in vars(base).get("_fields_", ())
    ]


def _field(place: Any, field: tuple[Any, ...], path: tuple[str, ...]) -> str:
    name, ctype = field[:2]
    if len(field) > 2:  # noqa: PLR2004 - the third is the number of bits
        raise _refusal(ctype, (*path, name), "of bits; lend the number that holds them")
    length = len(name.encode(errors="surrogatepass"))
    return f"{place.offset}:{length}:{name}{_type(ctype, (*path, name))}"


def _order(ctype: type[Any]) -> str:
    """Tell the byte order: ctypes has a type of its own for each number in the other one."""
    other = getattr(ctype, f"__ctype_{_OTHER}__", None)
    native = getattr(ctype, f"__ctype_{_NATIVE}__", None)
    return _ORDER[_OTHER if ctype is other and ctype is not native else _NATIVE]


def _refusal(ctype: type[Any], path: tuple[str, ...], what: str) -> TypeError:
    field = f"field '{'.'.join(path)}' of " if path else ""
    return TypeError(f"{field}the ctypes type {ctype.__name__} is {what}")
