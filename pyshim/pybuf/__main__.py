"""`python -m pybuf`: what is here and what works; `--includes` for C code; `demo`."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable

import pybuf

from . import _core
from ._core import _go_runtime
from ._terminal import GREEN, Printer, run


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pybuf",
        usage="python -m pybuf [-h] [--version] [--includes] [demo [FILE]]",
        description="Say which pybuf this is and try its doors; or show what it does.",
    )
    parser.add_argument("--version", action="version", version=f"pybuf {pybuf.__version__}")
    parser.add_argument(
        "--includes",
        action="store_true",
        help="print the flags with which a C compiler finds Python.h and pybuf.h",
    )
    commands = parser.add_subparsers(dest="command", metavar="demo")
    demo = commands.add_parser(
        "demo",
        usage="python -m pybuf demo [-h] [FILE]",
        help="lend memory of SQLite to NumPy, change it, and see it freed",
        description="Lend the pages of an SQLite database to NumPy with no copy.",
    )
    demo.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="an SQLite database, never changed; without it a small one is made in memory",
    )
    args = parser.parse_args()
    if args.includes:
        print(includes())
        return 0
    if args.command == "demo":
        from ._demo import demo as show  # noqa: PLC0415 - ctypes only when needed

        return show(args.file)
    return report()


def includes() -> str:
    """Return the flags for a C compiler."""
    import shlex  # noqa: PLC0415 - only here
    import sysconfig  # noqa: PLC0415

    python = (sysconfig.get_path(name) for name in ("include", "platinclude"))
    folders = dict.fromkeys([*python, pybuf.get_include()])
    return shlex.join(f"-I{folder}" for folder in folders)


def report() -> int:
    """Print versions, and what each source, each door and a fork answer when they are tried."""
    out = Printer()
    out.title(f"pybuf {pybuf.__version__}")
    out.item("Go", f"{_go_runtime(False)['go']}, inside of the extension module")
    out.item("Python", f"{platform.python_version()}, {sys.platform}-{platform.machine()}")
    out.item("NumPy", _numpy())
    out.item("module", _core.__file__ or "no file")
    out.item("alive", _alive())
    out.item("settings", _setting("PYBUF_TRACE", "1 or a file: a line for each event"))
    out.item("", _setting("PYBUF_LEAKS", "1: at the end, what is still alive"))
    broken = 0
    for title, attempts in (
        ("sources", SOURCES),
        ("doors", DOORS),
        ("process", PROCESS),
        ("limits", LIMITS),
    ):
        head = title
        for name, attempt in attempts:
            try:
                answer = attempt()
            except ModuleNotFoundError as error:
                out.item(head, f"{name}: not here: {error}")
            except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told
                broken += 1
                out.item(head, f"{name}: FAILS: {type(error).__name__}: {error}")
            else:
                out.item(head, f"{name}: {answer}", GREEN)
            head = ""
    return 1 if broken else 0


def _numpy() -> str:
    try:
        import numpy as np  # noqa: PLC0415 - not a dependency
    except ImportError as error:
        return f"none ({error}); Buffer.numpy() needs it, the rest of pybuf does not"
    return np.__version__


def _alive() -> str:
    now = pybuf.stats()
    plural = "y" if now["blocks"] == 1 else "ies"
    return f"{now['blocks']} memor{plural}, {now['bytes']} bytes, {now['exports']} views"


def _setting(name: str, meaning: str) -> str:
    return f"{name}: {os.environ[name]}" if name in os.environ else f"{name}: not set ({meaning})"


# ---- attempts ------------------------------------------------------------------


def _expect(holds: bool) -> str:
    if not holds:
        raise RuntimeError("other bytes came out than went in")
    return "works"


def _source_c() -> str:
    b = pybuf.copy(b"pybuf")
    return _expect(b.tobytes() == b"pybuf" and b.close()) + ", memory of C's allocator"


def _source_go() -> str:
    b = pybuf.copy(b"pybuf", source="go")
    return _expect(b.tobytes() == b"pybuf" and b.close()) + ", memory of Go's heap"


def _source_foreign() -> str:
    theirs = pybuf.copy(b"pybuf")
    b = pybuf.wrap(theirs.address, 5, owner=theirs)
    return _expect(b.tobytes() == b"pybuf" and b.source == "foreign") + ", by wrap()"


def _door_buffer() -> str:
    return _expect(bytes(memoryview(pybuf.copy(b"pybuf"))) == b"pybuf")


def _door_numpy() -> str:
    return _expect(pybuf.copy(b"pybuf").numpy().tobytes() == b"pybuf")


def _door_dlpack() -> str:
    b = pybuf.copy(b"pybuf")
    capsule = b.__dlpack__(max_version=(1, 0))
    lent = b.exports
    del capsule
    return _expect((lent, b.exports) == (1, 0))


def _door_arrow() -> str:
    b = pybuf.copy(b"pybuf")
    schema, array = b.__arrow_c_array__()
    lent = b.exports
    del schema, array
    return _expect((lent, b.exports) == (1, 0))


def _door_pickle() -> str:
    import pickle  # noqa: PLC0415 - only here

    frames: list[pickle.PickleBuffer] = []
    b = pybuf.copy(b"pybuf")
    text = pickle.dumps(b, protocol=5, buffer_callback=frames.append)
    again = pickle.loads(text, buffers=frames)  # noqa: S301 - made one line above
    return _expect(again == b and len(frames) == 1) + ", out of band"


def _fork() -> str:
    import warnings  # noqa: PLC0415

    b = pybuf.copy(b"pybuf", source="go")
    told, tell = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads: Go's are meant
        child = os.fork()
    if child == 0:
        try:
            answer = _expect(pybuf.copy(b, source="go") == b) + ", by a runtime of its own"
        except Exception as error:  # noqa: BLE001 - the parent raises it
            answer = str(error)
        os.write(tell, answer.encode())
        os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    with os.fdopen(told, encoding="utf-8", errors="replace") as pipe:
        answer = pipe.read()
    if not answer.startswith("works"):
        raise RuntimeError(answer)
    return answer


def _most(allowed: Callable[[int], object], last: int) -> int:
    """Return the largest number up to `last` that is not refused, from 1 on."""
    for n in range(1, last + 1):
        try:
            allowed(n)
        except (ValueError, TypeError):
            return n - 1
    return last


def _dimensions() -> str:
    return f"{_most(lambda n: pybuf.Layout((1,) * n), 256)}"


def _alignment() -> str:
    return f"{2 ** _most(lambda n: pybuf.empty(0, align=2**n), 62):,} bytes"


def _nesting() -> str:
    deepest = _most(lambda n: pybuf.Layout(1, "T{" * n + "b" + "}" * n), 256)
    return f"{deepest} inside of one another"


def _addresses() -> str:
    import resource  # noqa: PLC0415 - only here

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "no limit is set" if soft == resource.RLIM_INFINITY else f"{soft:,} bytes"


Attempt = tuple[str, Callable[[], str]]

SOURCES: tuple[Attempt, ...] = (
    ('"c"', _source_c),
    ('"go"', _source_go),
    ('"foreign"', _source_foreign),
)
DOORS: tuple[Attempt, ...] = (
    ("buffer protocol", _door_buffer),
    ("numpy()", _door_numpy),
    ("DLPack", _door_dlpack),
    ("Arrow", _door_arrow),
    ("pickle 5", _door_pickle),
)
PROCESS: tuple[Attempt, ...] = (("Go in a forked child", _fork),)
LIMITS: tuple[Attempt, ...] = (
    ("dimensions", _dimensions),
    ("alignment", _alignment),
    ("records", _nesting),
    ("address space of this process", _addresses),
)


if __name__ == "__main__":
    sys.exit(run(main))
