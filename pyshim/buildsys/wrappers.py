"""The folder of commands that stand in for those a machine lacks.

A build by pip knows its tools by path. The jobs of a developer call `go` and
`cc` by name, and so do tests; on a machine without them this folder goes first
on PATH.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from . import toolchain

# By which names compilers are called: by cgo, by make, by tests.
C_NAMES = ("cc", "gcc")
CXX_NAMES = ("c++", "g++")

# zig adds arguments of its own, which -Werror would hold against the caller.
ZIG_FLAGS = "-Wno-unused-command-line-argument"


def write(folder: Path, environ: Mapping[str, str] = os.environ) -> list[str]:
    """Write a script for each command that this machine lacks; return their names."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    commands = wanted(environ)
    for name, command in commands.items():
        script = folder / name
        # A GOROOT that was set for another Go would mislead this one.
        script.write_text(f'#!/bin/sh\nunset GOROOT\nexec {command} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    return sorted(commands)


def wanted(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the names that are missing, and the command line that each stands for."""
    tools = toolchain.find(environ)
    commands: dict[str, str] = {}
    if toolchain.is_brought_go(tools.go, environ):
        commands["go"] = shlex.quote(tools.go)
        commands["gofmt"] = shlex.quote(str(Path(tools.go).with_name("gofmt")))
    if tools.cc == toolchain.zig_cc():
        commands |= dict.fromkeys(C_NAMES, f"{tools.cc} {ZIG_FLAGS}")
        plus = toolchain.zig_cc(command="c++")
        commands |= dict.fromkeys(CXX_NAMES, f"{plus} {ZIG_FLAGS}")
    else:
        probed = toolchain.zig_environ(environ)
        lacks = [name for name in C_NAMES if toolchain.probe_cc(name, probed) is not None]
        commands |= dict.fromkeys(lacks, tools.cc)
    return commands
