"""Builds a module of tests_py/NAME.pyx with Cython, once for each interpreter.

What is built stays in build/cython, under a hash of all that it is made of:
other test runs and other workers find it there. pybuf.h and pybuf.pxd are those
of the pybuf that is imported, and found as anybody's are.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

import gopy_build

import pybuf

FOLDER = Path(__file__).resolve().parent
CACHE = FOLDER.parent / "build" / "cython"
SUFFIX = str(sysconfig.get_config_var("EXT_SUFFIX"))


def lacking() -> str:
    """Say what there is not on this machine to build with, or nothing."""
    if importlib.util.find_spec("Cython") is None:
        return "Cython is not installed"
    if shutil.which("cc") is None:
        return "there is no C compiler"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "there is no Python.h"
    return ""


# More options of the C compiler, by the kind of build.
KINDS = {
    "plain": (),
    "sanitized": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O0"),
    "limited": ("-DCYTHON_LIMITED_API=1", "-DPy_LIMITED_API=0x030B0000", "-O0"),
}


def sanitizer() -> str:
    """Return the library of the address sanitizer, which a process loads first; or nothing."""
    said = gopy_build.run("cc", "-print-file-name=libasan.so", cwd=FOLDER, env=os.environ)
    return said.strip() if Path(said.strip()).is_absolute() else ""


@functools.cache
def load(name: str, kind: str = "plain") -> Any:
    """Return the module, built if there is none of this source yet."""
    spec = importlib.util.spec_from_file_location(name, build(name, kind))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(name: str, kind: str = "plain") -> Path:
    """Return the file of the module."""
    source = FOLDER / f"{name}.pyx"
    include = Path(pybuf.get_include())
    made_of = (sys.version, sys.base_prefix, importlib.metadata.version("Cython"))
    found = hashlib.sha256(repr(made_of).encode())
    for file in (source, Path(__file__), *sorted(include.iterdir())):
        found.update(file.read_bytes())
    prefix = f"{name}-{sys.implementation.cache_tag}-{kind}-"
    folder = CACHE / (prefix + found.hexdigest()[:16])
    CACHE.mkdir(parents=True, exist_ok=True)
    with gopy_build.alone(CACHE / f"{prefix}lock"):
        if not folder.exists():
            for old in CACHE.glob(f"{prefix}[0-9a-f]*/"):
                shutil.rmtree(old)
            make(source, folder, KINDS[kind])
    return folder / (name + SUFFIX)


def make(source: Path, folder: Path, options: tuple[str, ...]) -> None:
    """Compile, and let the folder appear when all of it is there."""
    new = Path(tempfile.mkdtemp(prefix=".", dir=CACHE))
    try:
        run = functools.partial(gopy_build.run, cwd=new, env=os.environ)
        run(sys.executable, "-m", "cython", "-3", "-Werror", source, "-o", new / "module.c")
        includes = [f"-I{path}" for path in (sysconfig.get_path("include"), pybuf.get_include())]
        # Not optimized much, which takes most of the time; warnings are Cython's affair.
        given = ("-O1", "-w", "-shared", "-fPIC", *includes, *options)
        run("cc", *given, "module.c", "-o", source.stem + SUFFIX)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
