"""Arrays as arguments of Go functions."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from pybuf.gopy._table import Parameter, Table
from pybuf.gopy._values import Types, copy_back, copy_to, is_slice, lend_to, loan_of, takes_memory

_MISSING = object()
# What these are given stays in Go: they get copies.
_KEEPERS = frozenset({"append", "__setitem__"})


class _Argument(NamedTuple):
    """An argument of a Python function that is a Go value."""

    position: int
    name: str
    type_id: str
    by_value: bool  # nil would end the process
    what: str  # in errors


class Wrapper:
    """Makes functions of a gopy module take arrays."""

    def __init__(self, types: Types, table: Table | None) -> None:
        self._types = types
        self._functions = {} if table is None else table.functions

    def function(self, name: str, function: Any) -> Any:
        """Return the function that takes arrays, or None if it has no use for them."""
        return self._wrapped(function, keeps=name.startswith("Set_"))

    def member(self, name: str, value: Any) -> Any:
        """Return the same for what stands in a class."""
        if isinstance(value, property):
            setter = value.fset and self._wrapped(value.fset, keeps=True)
            return None if setter is None else value.setter(setter)
        if inspect.isfunction(value) and name not in {"__init__", "__del__"}:
            is_method = not name.startswith("__") and name not in _KEEPERS
            return self._wrapped(value, keeps=name in _KEEPERS, is_method=is_method)
        return None

    def _arguments(self, function: Any) -> tuple[_Argument, ...]:
        """Find the arguments that are Go values, by the Go function that is called.

        Both have the same arguments in the same order; a method's first is the receiver.
        """
        names = _parameters(function)
        for called in function.__code__.co_names:
            row: tuple[Parameter | None, ...] = self._functions.get(called, ())
            found = tuple(
                _Argument(i, name, *parameter, f"{function.__qualname__}(): argument {name}")
                for i, (name, parameter) in enumerate(zip(names, row, strict=False))
                if parameter is not None and name != "self"
            )
            if found:
                return found
        return ()

    def _wrapped(self, function: Any, *, keeps: bool, is_method: bool = False) -> Any:
        arguments = self._arguments(function)
        if arguments or not self._functions:
            return _taking_arrays(function, arguments, self._types, keeps=keeps)
        if not is_method:
            return None
        if "goRun" in _parameters(function):
            return _taking_arrays(function, (), self._types, keeps=keeps)
        return _method(function, self._types)


def _parameters(function: Any) -> tuple[str, ...]:
    code = function.__code__
    names: tuple[str, ...] = code.co_varnames[: code.co_argcount]
    return names


def _taking_arrays(
    function: Any, arguments: tuple[_Argument, ...], types: Types, *, keeps: bool
) -> Callable[..., Any]:
    names = _parameters(function)
    go_run = names.index("goRun") if "goRun" in names else None
    call_go = function if types.names else _saying_what_is_missing(function)
    copy_all = _Copier(types)
    convert = (
        _Converter(types, arguments) if arguments else _Copier(types, own=names[:1] == ("self",))
    )
    library = types.library

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = list(args)
        runs_on = False
        if go_run is not None:  # with it the call goes on when this one has returned
            runs_on = bool(args[go_run] if go_run < len(args) else kwargs.get("goRun"))
        copied = convert(given, kwargs, copies=keeps or runs_on)
        if runs_on:
            copy_all(given, kwargs, copies=True)
        try:
            return library.call(call_go, types.go_class, given, kwargs)
        finally:
            for value, made in copied:
                copy_back(value, made)

    return call


def _method(function: Any, types: Types) -> Callable[..., Any]:
    """Make a method that is given no Go values the same, with little around it."""
    library = types.library

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return library.call(function, types.go_class, args, kwargs)

    return call


def _saying_what_is_missing(function: Any) -> Any:
    """Make a sentence of how gopy refuses an array, where nothing is known of the function."""

    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except AttributeError as error:
            given = (*args, *kwargs.values())
            if error.name != "handle" or not any(error.obj is value for value in given):
                raise
            raise TypeError(
                f"{function.__qualname__}() takes an object of Go, not "
                f"{type(error.obj).__name__!r}: it is not known which arrays it could take, "
                "since neither the Go file that gopy generated is here nor what "
                "`python -m pybuf.gopy` writes: run that where gopy ran, or use pybuf.gopy.lend()"
            ) from error

    return call


# Memory of Python's, and the slice with a copy of it that Go got for the time of a call.
_Copied: TypeAlias = list[tuple[Any, Any]]


class _Copier:
    """Lets lent slices into a function of which nothing is known, or copies of them."""

    def __init__(self, types: Types, *, own: bool = False) -> None:
        self._types = types
        self._first = int(own)  # what a method is of stays what it is

    def __call__(self, given: list[Any], kwargs: dict[str, Any], *, copies: bool) -> _Copied:
        """Put copies where they stand, if they could be kept out of sight."""
        copied: _Copied = []
        if not self._types.library.lending:
            return copied
        if not (copies or _is_out_of_sight(self._types, given, kwargs)):
            return copied
        positions = range(self._first, len(given))
        places: list[tuple[Any, Any]] = [(given, positions), (kwargs, list(kwargs))]
        for values, keys in places:
            for key in keys:
                value = values[key]
                values[key] = _without_loan(value)
                if values[key] is not value:
                    copied.append((value, values[key]))
        return [] if copies else copied


def _without_loan(value: Any) -> Any:
    """Copy a slice that is lent."""
    if not is_slice(value) or loan_of(value) is None:
        return value
    made = type(value)()
    copy_to(made, value)
    return made


def _is_out_of_sight(types: Types, given: list[Any], kwargs: dict[str, Any]) -> bool:
    """Whether an object that takes part could keep memory where no search finds it."""
    return any(
        isinstance(value, types.go_class)
        and getattr(value, "handle", 0) > 0
        and types.library.is_opaque(value.handle)
        for value in (*given, *kwargs.values())
    )


def _constructor(cls: type) -> str:
    """Write how an object of the class is made, as users do: "go.Slice_float64(...)"."""
    return f"{cls.__module__.rpartition('.')[2]}.{cls.__name__}(...)"


class _Converter:
    """Puts Go objects in the places of arrays, for one function."""

    def __init__(self, types: Types, arguments: tuple[_Argument, ...]) -> None:
        self._types = types
        self._arguments = arguments

    def __call__(self, given: list[Any], kwargs: dict[str, Any], *, copies: bool) -> _Copied:
        """Convert the arguments where they stand.

        Returns those that Go got as copies only because nobody can see who keeps them: what it
        writes to them in the call belongs into the array. copies: they are to stay with Go.
        """
        copied: _Copied = []
        unseen = None  # until it is asked
        for argument in self._arguments:
            by_position = argument.position < len(given)
            value = (
                given[argument.position] if by_position else kwargs.get(argument.name, _MISSING)
            )
            if value is _MISSING or self._is_plain(value, argument):
                continue
            if unseen is None:
                unseen = not copies and _is_out_of_sight(self._types, given, kwargs)
            converted = self._convert(value, argument, copies=copies or unseen)
            if unseen and converted is not value and is_slice(converted):
                copied.append((value, converted))
            if by_position:
                given[argument.position] = converted
            else:
                kwargs[argument.name] = converted
        return copied

    def _is_plain(self, value: Any, argument: _Argument) -> bool:
        """Whether it is just what gopy wants, on Go's own memory."""
        wanted = self._types.classes.get(argument.type_id)
        return type(value) is wanted and loan_of(value) is None

    def _convert(self, value: Any, argument: _Argument, *, copies: bool) -> Any:
        types, type_id = self._types, argument.type_id
        if value is None:
            value = types.nil
        if isinstance(value, types.go_class):
            self._check(value, argument)
            if not copies:
                return value
            if type_id not in types.slices:  # an interface may be a slice
                return _without_loan(value)
            if loan_of(value) is None:
                return value
        elif type_id not in types.slices or type_id not in types.classes:
            raise TypeError(
                f"{argument.what} is a {types.name(type_id)} of Go: give such an object, "
                f"not {type(value).__name__!r}"
            )
        return self._made(value, argument, copies=copies)

    def _made(self, value: Any, argument: _Argument, *, copies: bool) -> Any:
        """Make a slice of what is not one, or of one that must not be handed on."""
        cls = self._types.classes[argument.type_id]
        try:
            readonly = memoryview(value).readonly
        except (BufferError, ValueError):
            readonly = True  # below it is said better why there is no view: dates, say
        except TypeError as error:
            raise TypeError(
                f"{argument.what} is a {self._types.name(argument.type_id)} of Go, and a "
                f"{type(value).__name__!r} lends no memory for it: give an array, or "
                f"{_constructor(cls)}"
            ) from error
        made = cls()
        try:
            # Nobody can see what is written to a copy; but to such memory nobody may write.
            (copy_to if copies or readonly else lend_to)(made, value)
        except (TypeError, BufferError, ValueError) as error:
            if takes_memory(made):
                raise TypeError(f"{argument.what}: {error}") from error
            raise TypeError(
                f"{argument.what} is a {self._types.name(argument.type_id)} of Go, whose items do "
                "not lie in one piece of memory, so that no array can be lent for it: give "
                f"{_constructor(cls)}, which copies item by item"
            ) from error
        return made

    def _check(self, value: Any, argument: _Argument) -> None:
        """Refuse what gopy takes and ends the process for."""
        types, name = self._types, self._types.name(argument.type_id)
        handle = getattr(value, "handle", 0)
        if handle < 1:
            if argument.by_value:
                raise TypeError(f"{argument.what} is a {name} of Go, for which nil does not stand")
            return
        sample = types.sample(argument.type_id)
        if sample is not None:
            fits = types.library.fits(handle, sample.handle)
        else:
            is_interface = not types.names.get(argument.type_id, "").startswith("*")
            fits = is_interface or types.library.type_name(handle) in {name, f"*{name}"}
        if not fits:
            raise TypeError(
                f"{argument.what} is a {name} of Go, and {type(value).__name__} is a "
                f"{types.library.type_name(handle)}"
            )
