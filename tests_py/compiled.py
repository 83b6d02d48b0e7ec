"""What the tests compile, each once: kept under a hash of all that it is made of.

Other test runs and other workers find it in build/.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gopy_build

FOLDER = Path(__file__).resolve().parent
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))

#: Runs a command in the folder that is to be filled.
Run = Callable[..., str]


def lacking(compiler: str = "cc") -> str:
    """Say what there is not on this machine to build extension modules with, or nothing."""
    if shutil.which(compiler) is None:
        return f"there is no {compiler}"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "there is no Python.h"
    return ""


def runtime(name: str) -> str:
    """Give the file of a library of the C compiler's, or nothing."""
    cc = shutil.which("cc")
    if cc is None:
        return ""
    asked = subprocess.run(
        [cc, f"-print-file-name={name}"], capture_output=True, text=True, check=False
    )
    path = Path(asked.stdout.strip())
    return str(path) if asked.returncode == 0 and path.is_absolute() and path.exists() else ""


def once(
    cache: str,
    name: str,
    make: Callable[[Path, Run], None],
    *,
    files: Iterable[Path],
    facts: Iterable[Any] = (),
) -> Path:
    """Give the folder that make() has filled.

    files and facts are all that it depends on, besides this interpreter.
    """
    home = FOLDER.parent / "build" / cache
    found = hashlib.sha256(repr((sys.version, sys.base_prefix, *facts)).encode())
    for file in (*files, Path(__file__)):
        found.update(file.read_bytes())
    prefix = f"{name}-{sys.implementation.cache_tag}-"
    folder = home / (prefix + found.hexdigest()[:16])
    home.mkdir(parents=True, exist_ok=True)
    with gopy_build.alone(home / f"{prefix}lock"):
        if not folder.exists():
            for old in home.glob(f"{prefix}[0-9a-f]*/"):
                shutil.rmtree(old)
            _fill(folder, make)
    return folder


def _fill(folder: Path, make: Callable[[Path, Run], None]) -> None:
    """Let the folder appear when all of it is there."""
    new = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        make(new, functools.partial(gopy_build.run, cwd=new, env=os.environ))
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def module(name: str, folder: Path) -> Any:
    """Load the extension module of that folder, which no other import finds."""
    spec = importlib.util.spec_from_file_location(name, folder / (name + SUFFIX))
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
