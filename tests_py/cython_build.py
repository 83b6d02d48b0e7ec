"""Builds a module of tests_py/NAME.pyx with Cython, once for each interpreter.

pybuf.h and pybuf.pxd are those of the pybuf that is imported, and found as
anybody's are.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import sys
import sysconfig
from pathlib import Path
from typing import Any

import compiled

import pybuf

# More options of the C compiler, by the kind of build.
KINDS = {
    "plain": (),
    "sanitized": ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O0"),
    "limited": ("-DCYTHON_LIMITED_API=1", "-DPy_LIMITED_API=0x030B0000", "-O0"),
}


def lacking() -> str:
    """Say what there is not on this machine to build with, or nothing."""
    if importlib.util.find_spec("Cython") is None:
        return "Cython is not installed"
    return compiled.lacking()


@functools.cache
def load(name: str, kind: str = "plain") -> Any:
    """Return the module, built if there is none of this source yet."""
    return compiled.module(name, build(name, kind).parent)


def build(name: str, kind: str = "plain") -> Path:
    """Return the file of the module."""
    source = compiled.FOLDER / f"{name}.pyx"
    include = Path(pybuf.get_include())
    includes = [f"-I{path}" for path in (sysconfig.get_path("include"), include)]
    # Not optimized much, which takes most of the time; warnings are Cython's affair.
    options = ("-O1", "-w", "-shared", "-fPIC", *includes, *KINDS[kind])

    def make(new: Path, run: compiled.Run) -> None:
        run(sys.executable, "-m", "cython", "-3", "-Werror", source, "-o", new / "module.c")
        run("cc", *options, "module.c", "-o", name + compiled.SUFFIX)

    folder = compiled.once(
        "cython",
        f"{name}-{kind}",
        make,
        files=(source, *sorted(include.iterdir())),
        facts=(importlib.metadata.version("Cython"), options),
    )
    return folder / (name + compiled.SUFFIX)
