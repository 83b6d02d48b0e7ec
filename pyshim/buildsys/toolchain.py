"""Find what the build needs on this machine, and judge it.

A build with the wrong tools does not fail politely: go says "build constraints
exclude all Go files", musl's loader fails at import. So each tool is tried
before it is used, and what does not fit is refused in one sentence.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .project import go_needed
from .refusal import Refusal

# Small, and yet it needs what cgo needs: a libc with its headers, and a linker
# that makes shared libraries. "There is a cc" alone is not enough.
PROBE = """\
#include <pthread.h>
#include <stdlib.h>
void *pybuf_probe(void) { return pthread_self() ? malloc(1) : NULL; }
"""


@dataclass(frozen=True)
class Toolchain:
    """Tools that were tried and found to work."""

    go: str  # path of the go command
    cc: str  # the C compiler as a command line, for the variable CC
    include: str  # folder of Python.h


def find(environ: Mapping[str, str] = os.environ) -> Toolchain:
    """Return the tools of this machine, or raise Refusal with all that is missing."""
    judge_python()
    refusals: list[str] = []

    def attempt(find_one: Callable[[], str]) -> str:
        try:
            return find_one()
        except Refusal as refusal:
            refusals.append(str(refusal))
            return ""

    tools = Toolchain(
        go=attempt(lambda: find_go(environ)),
        cc=attempt(lambda: find_cc(environ)),
        include=attempt(find_include),
    )
    if refusals:
        raise Refusal("\n".join(refusals))
    return tools


def judge_python(
    implementation: str = sys.implementation.name,
    platform: str = sys.platform,
    config: Mapping[str, object] | None = None,
) -> None:
    """Refuse an interpreter that could not load the extension module."""
    if config is None:
        config = sysconfig.get_config_vars()
    if implementation != "cpython":
        raise Refusal(
            f"pybuf is an extension module of CPython, and this Python is {implementation}: "
            "install pybuf with CPython 3.11 or newer."
        )
    if config.get("Py_GIL_DISABLED"):
        raise Refusal(
            "This Python is a free-threaded build, which cannot load pybuf's cp311-abi3 module: "
            "use a build of the same Python with the GIL (its name has no t at the end)."
        )
    if platform != "linux":
        raise Refusal(
            f"pybuf is built for Linux only, and this Python runs on {platform}: "
            "install pybuf on Linux, for instance in a container."
        )
    soabi = str(config.get("SOABI") or "")
    if "musl" in soabi:
        raise Refusal(
            f"This Python stands on musl (SOABI {soabi}), whose loader refuses Go shared "
            "libraries: use a Python built for glibc, as in Debian's images."
        )


def find_go(environ: Mapping[str, str] = os.environ) -> str:
    """Return the go command of PATH if it is new enough for go.mod."""
    needed = go_needed()
    wanted = ".".join(map(str, needed))
    go = shutil.which("go", path=environ.get("PATH"))
    advice = f"install Go {wanted} or newer (https://go.dev/dl), first on PATH"
    if go is None:
        raise Refusal(f"pybuf is built with Go, and there is no go command on PATH: {advice}.")
    # Without GOTOOLCHAIN=local an old go would fetch a newer one by itself,
    # and what was judged here would not be what builds.
    done = _run([go, "version"], {**environ, "GOTOOLCHAIN": "local"})
    found = re.search(r"\bgo(\d+(?:\.\d+)+)", done.stdout)
    if done.returncode != 0 or found is None:
        said = _last_line(done.stderr or done.stdout)
        raise Refusal(f"{go} does not tell its version (it says: {said}): {advice}.")
    if tuple(int(number) for number in found[1].split(".")) < needed:
        raise Refusal(
            f"Go {found[1]} ({go}) is older than the {wanted} that go.mod asks for: {advice}."
        )
    return go


def find_cc(environ: Mapping[str, str] = os.environ) -> str:
    """Return a C compiler that compiles and links: $CC if set, else the first that works."""
    chosen = environ.get("CC", "").strip()
    candidates = [chosen] if chosen else ["gcc", "cc", "clang"]
    failures: list[str] = []
    for candidate in candidates:
        said = _probe_cc(candidate, environ)
        if said is None:
            return candidate
        failures.append(f"{candidate}: {said}")
    tried = "; ".join(failures)
    advice = "install gcc and the headers of libc (Debian and Ubuntu: apt install gcc libc6-dev)"
    if chosen:
        advice += ", or let CC name another compiler"
    raise Refusal(f"No C compiler here compiles and links a shared library ({tried}): {advice}.")


def find_include() -> str:
    """Return the folder of this interpreter's Python.h."""
    folders = list(dict.fromkeys(sysconfig.get_path(name) for name in ("include", "platinclude")))
    for folder in folders:
        if Path(folder, "Python.h").is_file():
            return folder
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    raise Refusal(
        f"There is no Python.h in {' or '.join(folders)}: install the headers of this Python "
        f"(Debian and Ubuntu: apt install {python}-dev; Fedora: dnf install {python}-devel)."
    )


def _probe_cc(command: str, environ: Mapping[str, str]) -> str | None:
    """Return None if the compiler works, else the last thing it said."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        return str(error)
    program = shutil.which(words[0], path=environ.get("PATH"))
    if program is None:
        return "not found"
    with tempfile.TemporaryDirectory(prefix="pybuf-cc-") as folder:
        source = Path(folder, "probe.c")
        source.write_text(PROBE, encoding="ascii")
        library = Path(folder, "probe.so")
        flags = ["-shared", "-fPIC", "-pthread", "-o", str(library), str(source)]
        done = _run([program, *words[1:], *flags], environ)
        if done.returncode == 0 and library.is_file():
            return None
        return _last_line(done.stderr or done.stdout)


def _run(command: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", str(error))


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else "nothing"
