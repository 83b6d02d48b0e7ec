"""The classes of a gopy module, made anew: exporters, that keep what they were lent."""

import functools
import inspect
import types as python_types
from typing import TYPE_CHECKING, Any

from pybuf import _core, adopt
from pybuf import copy as copy_items
from pybuf import lend as lend_memory

if TYPE_CHECKING:
    from pybuf.gopy._calls import Wrapper
    from pybuf.gopy._table import Table

# Own names on gopy's objects begin with two underscores: gopy prints every other one.
_LOAN = "__pybuf_loan__"
_REFUSED = (BufferError, TypeError, ValueError)


class Types:
    """The Go types of one gopy module."""

    def __init__(
        self, library: _core.GopyLibrary, go: python_types.ModuleType, table: "Table | None"
    ) -> None:
        self.library = library
        self.go_class: Any = go.GoClass
        self.nil = go.nil
        self.names = {} if table is None else table.types
        self.slices: frozenset[str] = frozenset() if table is None else table.slices
        self.classes: dict[str, type] = {}  # type_id -> class, of those with a constructor
        self.samples: dict[str, Any] = {}  # type_id -> an object, to compare types with

    def sample(self, type_id: str) -> Any:
        """Make an object of the type; None if Python can make none."""
        if type_id not in self.samples:
            made = self.classes.get(type_id)
            self.samples[type_id] = None if made is None else made()
        return self.samples[type_id]

    def name(self, type_id: str) -> str:
        """Write the type as Go's authors do."""
        name = self.names.get(type_id, type_id)
        is_bare = type_id in self.slices or name.startswith(("*[", "*map["))
        return name.removeprefix("*") if is_bare else name


def loan_of(obj: Any) -> _core.GopyLoan | None:
    """Give what keeps the lent memory that a gopy object stands on."""
    loan: _core.GopyLoan | None = obj.__dict__.get(_LOAN)
    return loan


def is_slice(obj: Any) -> bool:
    """Whether a gopy object is a slice of plain items, which refer to nothing."""
    return bool(getattr(obj, "__pybuf_slice__", False))


def lend_to(made: Any, obj: Any) -> None:
    """Put a slice that was just made onto the memory of obj."""
    loan = made.__pybuf_library__.lend(made.handle, lend_memory(obj))
    vars(made)[_LOAN] = loan


def copy_to(made: Any, obj: Any) -> None:
    """Give a slice that was just made the items of obj."""
    made.__pybuf_library__.fill(made.handle, lend_memory(obj, writable=False))


def takes_memory(empty: Any) -> bool:
    """Whether memory can be put under slices of the type of this one, which was just made."""
    try:
        copy_to(empty, empty)
    except _REFUSED:
        return False
    return True


def copy_back(obj: Any, made: Any) -> None:
    """Write the items of a slice into the memory that it is a copy of."""
    if memoryview(obj).readonly:
        return
    target, source = adopt(lend_memory(obj)), made.__pybuf_library__.view(made.handle)
    memoryview(target.cast("B"))[:] = memoryview(source.cast("B"))


def lend(cls: type, obj: Any) -> Any:
    """Put a Go slice on the memory of an array.

    cls: a class of slices of an enabled module, such as out.go.Slice_float64.
    obj: any exporter whose items are those of the slice, C-contiguous, aligned and writable.
    Go sees its memory itself. Appending leaves it and never runs over: the capacity is the
    length. At the end of a `with` block the slice is nil. The array is kept for as long as
    something stands on its memory that Python or a Go object has; Go code that keeps it
    elsewhere, as in a global variable, has to be given a copy instead.

    Raises TypeError, BufferError or ValueError with the reason if the slice cannot stand there.
    """
    if not getattr(cls, "__pybuf_slice__", False):
        raise TypeError(f"lend() takes a class of slices of an enabled gopy module, not {cls!r}")
    made = cls()
    lend_to(made, obj)
    return made


def _initialize(original: Any, types: Types, *, is_sliced: bool) -> Any:
    hold, go_class = types.library.hold, types.go_class
    copied_by_gopy = (go_class, list, tuple)

    @functools.wraps(original)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        if is_sliced and len(args) == 1 and not kwargs and not isinstance(args[0], copied_by_gopy):
            original(self)
            _copy_in(self, args[0])
            return
        original(self, *args, **kwargs)
        loan = hold(getattr(self, "handle", 0))
        if loan is not None:
            vars(self)[_LOAN] = loan

    return initialize


def _copy_in(made: Any, obj: Any) -> None:
    """By one copy where the items fit, else item by item as gopy does."""
    try:
        if memoryview(obj).ndim == 1:
            copy_to(made, obj)
            return
    except _REFUSED:
        pass
    if not hasattr(obj, "__iter__"):
        raise TypeError(f"{type(made).__name__}.__init__ takes a sequence as argument")
    for item in obj:
        made.append(item)


def _delete(original: Any, library: _core.GopyLibrary) -> Any:
    @functools.wraps(original)
    def delete(self: Any) -> None:
        if library.alive and "handle" in vars(self):
            original(self)

    return delete


def _as_array(self: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    """For np.asarray(), which comes here only if the buffer protocol has nothing for it."""
    import numpy as np  # noqa: PLC0415 - NumPy asks, so it is there

    if not self.__pybuf_library__.alive:
        memoryview(self)  # says it
    if copy is False:
        raise ValueError(
            f"{type(self).__name__} is not in one piece of memory: NumPy needs a copy of it"
        )
    try:
        buffer = self.__pybuf_library__.view(self.handle)
    except TypeError:  # strings, pointers and the like
        return _item_by_item(self, dtype)
    return np.asarray(copy_items(buffer), dtype=dtype)


def _item_by_item(obj: Any, dtype: Any) -> Any:
    """Give what NumPy makes of a gopy object by itself: an array of objects, or a copy."""
    import numpy as np  # noqa: PLC0415 - as above

    if not hasattr(obj, "__getitem__"):
        alone: Any = np.empty((), dtype=object)
        alone[()] = obj
        return alone.astype(object if dtype is None else dtype)
    items = list(obj)
    if not any(_is_single(item) for item in items):
        return np.array(items, dtype=dtype)
    array = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):  # not at once: NumPy would look into each
        array[i] = item
    return array.astype(object if dtype is None else dtype)


def _is_single(obj: Any) -> bool:
    """Whether it is an object of gopy's that is no sequence."""
    return hasattr(obj, "__pybuf_library__") and not hasattr(obj, "__getitem__")


def _enter(self: Any) -> Any:
    return self


def _exit(self: Any, *_reason: object) -> None:
    """End a loan; a slice of Go's own memory stays as it is."""
    loan = loan_of(self)
    if loan is not None:
        self.__pybuf_library__.clear(self.handle)
        self.__dict__.pop(_LOAN, None)
    del loan  # nothing of Go's is on the memory when it goes


def _to_bytes(self: Any) -> bytes:
    return memoryview(self).tobytes()


def _type_id(original: type) -> str | None:
    """Find gopy's name of the type, by the function that makes an empty one."""
    init = vars(original).get("__init__")
    if init is None:
        return None
    names: tuple[str, ...] = init.__code__.co_names
    return next((name.removesuffix("_CTor") for name in names if name.endswith("_CTor")), None)


def _derive(original: type, bases: tuple[type, ...], types: Types, wrapper: "Wrapper") -> type:
    type_id = _type_id(original)
    body: dict[str, Any] = {
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
        "__pybuf_library__": types.library,
        "__pybuf_slice__": False,
        "__array__": _as_array,
    }
    own = vars(original)
    is_sliced = "append" in own
    for name, value in own.items():
        wrapped = wrapper.member(name, value)
        if wrapped is not None:
            body[name] = wrapped
    if "__init__" in own:
        body["__init__"] = _initialize(own["__init__"], types, is_sliced=is_sliced)
    if "__del__" in own:
        body["__del__"] = _delete(own["__del__"], types.library)
    if is_sliced:
        body |= {"__pybuf_slice__": True, "__enter__": _enter, "__exit__": _exit}
    if "__bytes__" in own:
        body["__bytes__"] = _to_bytes
    derived = type(original)(original.__name__, bases, body)
    if type_id is not None:
        types.classes[type_id] = derived
    return derived


def replace_classes(
    modules: list[python_types.ModuleType], types: Types, wrapper: "Wrapper"
) -> None:
    """Put new classes and functions in the places of gopy's.

    Generated code finds classes by their global names at each call, so it makes objects of the new
    ones from then on.
    """
    originals = [
        (module, value)
        for module in modules
        for value in list(vars(module).values())
        if inspect.isclass(value)
        and issubclass(value, types.go_class)
        and value is not types.go_class
        and value.__module__ == module.__name__
    ]
    new: dict[type, type] = {}
    for module, original in sorted(originals, key=lambda pair: len(pair[1].__mro__)):
        parents = tuple(new[base] for base in original.__bases__ if base in new)
        bases = (original, *parents) if parents else (_core.GopyValue, original)
        new[original] = _derive(original, bases, types, wrapper)
        setattr(module, original.__name__, new[original])
    for module in modules:
        for name, value in list(vars(module).items()):
            if inspect.isfunction(value) and value.__module__ == module.__name__:
                wrapped = wrapper.function(name, value)
                if wrapped is not None:
                    setattr(module, name, wrapped)
