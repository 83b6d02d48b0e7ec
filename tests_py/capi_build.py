"""Builds the users of pybuf.h in tests_py/capi: extension modules, and a plain library.

All that they know of pybuf is the folder that pybuf.get_include() names.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import compiled
import pytest

import pybuf

FOLDER = compiled.FOLDER / "capi"
STRICT = ("-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-pthread")


@dataclass(frozen=True)
class Build:
    """One way to compile a source."""

    source: str
    options: tuple[str, ...]
    compiler: str = "cc"
    python: bool = True  # an extension module


#: The same source in three languages.
EVERY = {
    "C99": Build("every.c", ("-std=c99", "-pedantic")),
    "limited": Build("every.c", ("-std=c99", "-pedantic", "-DPy_LIMITED_API=0x030b0000")),
    "C++17": Build("every.c", ("-x", "c++", "-std=c++17", "-pedantic"), "c++"),
}
BUILDS = EVERY | {
    "plain C99": Build("plain.c", ("-std=c99", "-pedantic"), python=False),
    "plain C++11": Build("plain.c", ("-x", "c++", "-std=c++11", "-pedantic"), "c++", python=False),
    "pybind11": Build("vectors.cpp", ("-std=c++17", "-O0"), "c++"),
}
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g")


def lacking(build: Build) -> str:
    """Say what there is not to build it with, or nothing."""
    if build.source.endswith(".cpp") and importlib.util.find_spec("pybind11") is None:
        return "pybind11 is not installed"
    return compiled.lacking(build.compiler)


@functools.cache
def folder(name: str, *more: str) -> Path:
    """Where what BUILDS names is, built if need be; more options make it another one."""
    build = BUILDS[name]
    if lack := lacking(build):
        pytest.skip(lack)
    source = FOLDER / build.source
    header = Path(pybuf.get_include(), "pybuf.h")
    options = [*STRICT, *build.options, *more, f"-I{header.parent}"]
    suffix = ".so"
    if build.python:
        # Not ours to be strict with.
        options.append(f"-isystem{compiled.sysconfig.get_path('include')}")
        suffix = compiled.SUFFIX
    if source.suffix == ".cpp":
        options.append(f"-isystem{importlib.import_module('pybind11').get_include()}")

    def make(new: Path, run: compiled.Run) -> None:
        run(build.compiler, *options, source, "-o", new / (source.stem + suffix))

    label = "-".join(
        [name.replace("+", "x").replace(" ", "_"), *(o.strip("-").partition("=")[0] for o in more)]
    )
    return compiled.once(
        "capi", label, make, files=(source, header, *FOLDER.glob("*.h")), facts=(build, more)
    )


@functools.cache
def load(name: str, *more: str) -> Any:
    """Return the extension module."""
    return compiled.module(Path(BUILDS[name].source).stem, folder(name, *more))
