"""trace(), and what the environment asks of the import: PYBUF_TRACE, PYBUF_LEAKS."""

# No import that a bare Python has not made already: the package can be imported
# where files can be read no more, and in little time.
import atexit
import os
import sys

from ._core import _report_leaks_at_exit, _trace_at_exit, _trace_start, _trace_stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol, Self, TypeAlias

    class _Writable(Protocol):
        def write(self, text: str, /) -> object: ...

    _Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class Trace:
    """What trace() gives: on inside of its `with`."""

    def __init__(self, file: "_Path | _Writable | None") -> None:
        if not isinstance(file, (str, bytes, os.PathLike, type(None))) and not hasattr(
            file, "write"
        ):
            raise TypeError(
                f"trace(): file is {file!r}; it must be a path, a text file object (with write), "
                "or None for sys.stderr"
            )
        self._file = file
        self._number = 0

    def __enter__(self) -> "Self":
        if self._number:
            raise RuntimeError("this trace is on already; take another trace() beside it")
        self._number = _start(self._file)
        return self

    def __exit__(self, *args: object) -> None:
        number, self._number = self._number, 0
        _trace_stop(number)


def trace(file: "_Path | _Writable | None" = None) -> Trace:
    """Write a line for each memory and view that begins or ends, inside of `with`.

    file is a path, which is appended to; a text file object; or None for sys.stderr as it is at
    the `with`. Each line names the line of Python that did it. While a trace is on, live() says
    where memory was made, and close(strict=True) where views were taken, also later on.
    """
    return Trace(file)


def _start(file: "_Path | _Writable | None") -> int:
    if file is None:
        file = sys.stderr
    if isinstance(file, (str, bytes, os.PathLike)):
        return _start_path(file)
    if file is not None:
        try:
            file.write("")  # raises here for what is closed
        except TypeError as error:
            raise TypeError(
                f"trace(): file is {file!r}, whose write() takes no text ({error}); "
                "open it as a text file"
            ) from None
        # Before modules are emptied, of which the file's may be one.
        atexit.unregister(_trace_at_exit)
        atexit.register(_trace_at_exit)
    return _trace_start(file)


def _start_path(path: "_Path") -> int:
    # Appended to: a forked child has the same file, and its lines are to mix with no other's.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        return _trace_start(fd)
    except BaseException:
        os.close(fd)
        raise


def heed_environment() -> None:
    """Do what the environment asks for; at the import."""
    wanted = os.environ.get("PYBUF_TRACE", "")
    if wanted == "1":
        _trace_start(2)
    elif wanted not in {"", "0"}:
        try:
            _start_path(wanted)
        except OSError as error:
            import warnings  # noqa: PLC0415 - see above

            warnings.warn(
                f"PYBUF_TRACE is {wanted!r}, which is no file that can be written, "
                f"so nothing is traced: {error}",
                RuntimeWarning,
                stacklevel=3,
            )
    if os.environ.get("PYBUF_LEAKS", "") not in {"", "0"}:
        _report_leaks_at_exit()
