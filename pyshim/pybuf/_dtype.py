"""What a NumPy dtype is made of, said so that it can be read without NumPy.

Imported only when a dtype that is no plain number comes along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def descr(dtype: np.dtype[Any]) -> str:
    """Say the structure of `dtype` in the grammar of the Go library's ParseDescr."""
    try:
        return _type(dtype, ())
    except RecursionError:
        raise ValueError("dtype has too many records inside of one another") from None


def _type(dtype: np.dtype[Any], path: tuple[str, ...]) -> str:
    if dtype.subdtype is not None:
        base, extents = dtype.subdtype
        return f"({','.join(map(str, extents))}){_type(base, path)}"
    fields: Any = dtype.fields  # whose type NumPy's versions say in different ways
    if fields is not None and dtype.kind == "V":  # a number may have some to look into it
        said = "".join(
            _field(name, fields[name][0], fields[name][1], path) for name in dtype.names or ()
        )
        return f"{{{dtype.itemsize}:{said}}}"
    _check_is_said_by_its_typestr(dtype, path)
    return dtype.str + ";"


def _field(name: str, dtype: np.dtype[Any], offset: int, path: tuple[str, ...]) -> str:
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        problem = f"dtype has a field named {name!r}, which is no UTF-8; rename it"
        raise ValueError(problem) from None
    return f"{offset}:{length}:{name}{_type(dtype, (*path, name))}"


def _check_is_said_by_its_typestr(dtype: np.dtype[Any], path: tuple[str, ...]) -> None:
    """Types that users and NumPy's newer parts define put any text there."""
    import numpy as np  # noqa: PLC0415 - it is there: somebody made the dtype with it

    try:
        same = np.dtype(dtype.str) == dtype
    except TypeError:
        same = False
    if not same:
        where = f"field '{'.'.join(path)}' of dtype" if path else "dtype"
        problem = (
            f"{where} is {dtype!r}, a type of NumPy's alone, which the buffer protocol cannot say"
        )
        raise TypeError(problem)
