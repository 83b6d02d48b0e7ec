"""Makes a gopy module lend and take memory."""

import importlib
import platform
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any

from pybuf import _core
from pybuf.gopy import _calls, _table, _values

_WRAPPER = "# python wrapper for package"  # stands in each Python file that gopy generates
_MARK = "__pybuf_library__"


def _package_of(module: ModuleType | Any) -> ModuleType:
    if not isinstance(module, ModuleType):
        raise TypeError(f"a module that gopy made is wanted, not {type(module).__name__!r}")
    if hasattr(module, "__path__"):
        return module
    parent = sys.modules.get(module.__name__.rpartition(".")[0])
    return module if parent is None else parent


def _folder_of(package: ModuleType) -> Path:
    for path in getattr(package, "__path__", ()):
        if (Path(path) / "go.py").is_file():
            return Path(path)
    raise ValueError(
        f"{package.__name__} is no package that gopy made: there is no go.py in it; "
        "give the folder's package, or one of its modules"
    )


def _check_built(folder: Path) -> None:
    """Refuse what this Python cannot import; gopy's own error says nothing of the reason."""
    built = sorted(path.name for path in folder.glob("_*.so"))
    if not any(n == n.partition(".")[0] + suffix for n in built for suffix in EXTENSION_SUFFIXES):
        raise ImportError(
            f"there is no extension module for {platform.python_implementation()} "
            f"{platform.python_version()} in {folder}, only {', '.join(built) or 'none at all'}: "
            "run gopy again, with -vm=PATH of this Python, and see that it ends without an error"
        )


def _wrappers(package: ModuleType, folder: Path) -> list[ModuleType]:
    """Import the modules that gopy generated."""
    return [
        importlib.import_module(f"{package.__name__}.{path.stem}")
        for path in sorted(folder.glob("*.py"))
        if path.stem.isidentifier() and _WRAPPER in path.read_text(encoding="utf-8")
    ]


def _native(package: ModuleType, go: ModuleType) -> ModuleType:
    for name, value in vars(go).items():
        if isinstance(value, ModuleType) and name.startswith("_") and hasattr(value, "GoPyInit"):
            return value
    raise ValueError(f"{package.__name__} is no package that gopy made: go.py imports no library")


def enable(module: ModuleType) -> None:
    """Make a gopy module lend its memory, and take arrays.

    module: the package that gopy made, or any module in it. Every class of it becomes an
    exporter of the buffer protocol, and every function, method and field takes an array where
    Go takes a slice. Names, and what they did before, stay. The classes are new ones: enable a
    module before other code takes names from it.

    Which types functions take is read from the table that `python -m pybuf.gopy` wrote, or
    from the Go file beside the module. Where neither is left, arrays are not taken.

    Raises ValueError for what gopy did not make, ImportError if it was built without gopybuf, or
    for another Python. A second time it does nothing.
    """
    package = _package_of(module)
    if hasattr(package, _MARK):
        return
    folder = _folder_of(package)
    _check_built(folder)
    modules = _wrappers(package, folder)
    go = sys.modules[f"{package.__name__}.go"]
    native = _native(package, go)
    if native.__file__ is None:
        raise ValueError(f"{native.__name__} was not loaded from a file")
    library = _core.GopyLibrary(native.__file__)
    table = _table.find(package.__name__, folder, native.__name__.rpartition("._")[2])
    types = _values.Types(library, go, table)
    _values.replace_classes(modules, types, _calls.Wrapper(types, table))
    setattr(package, _MARK, library)


def library_of(module: ModuleType) -> _core.GopyLibrary:
    """Give what enable() found in the module."""
    library: _core.GopyLibrary | None = getattr(_package_of(module), _MARK, None)
    if library is None:
        raise ValueError(
            f"{module.__name__} is not enabled: call pybuf.gopy.enable({module.__name__}) before"
        )
    return library
