"""The build_ext command: `go build` in place of the C compiler."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from setuptools import Extension
from setuptools.command.build_ext import build_ext

from . import toolchain
from .project import HEADER, ROOT, headers_digest
from .refusal import Refusal, as_last_words
from .target import MACHINES, Target
from .toolchain import Toolchain

# setuptools on Python 3.15 would call the file _core.abi3-x86_64-linux-gnu.so,
# which the importers of 3.11 and 3.12 do not know. This name suits them all.
FILE_SUFFIX = ".abi3.so"

# What Go's runtime is told where GODEBUG says nothing else. It interrupts loops
# of its own by SIGURG, which pybuf leaves to the program: so it shall not send
# any. And it shall not keep files of the control group open, to follow changes
# of the limit of processors; that is what go.mod says too, which this replaces.
RUNTIME_SETTINGS = "asyncpreemptoff=1,containermaxprocs=0,updatemaxprocs=0"


class GoBuildExt(build_ext):
    """Builds the one extension from package capi, through Go's own cache."""

    def get_ext_filename(self, fullname: str) -> str:
        """Return the path of the module below the folder of packages."""
        return os.path.join(*fullname.split(".")) + FILE_SUFFIX

    def build_extension(self, ext: Extension) -> None:
        """Build the module, always: only Go's cache knows what is stale."""
        with as_last_words():
            tools = toolchain.find()
            built = build_module(tools, Path(self.build_temp), GoSwitches.from_environ())
            is_here = tools.target is None or tools.target.is_here()
            if is_here and not lies_where_nothing_runs(built):
                check_loads(built, ext.name)
        target = self.get_ext_fullpath(ext.name)
        self.mkpath(os.path.dirname(target))
        self.copy_file(str(built), target)
        self._copy_header(os.path.dirname(target))

    def copy_extensions_to_source(self) -> None:
        """Copy what was built beside the sources, as --inplace and editable installs want it."""
        super().copy_extensions_to_source()
        self._copy_header(str(ROOT / "pyshim" / "pybuf"))

    def _copy_header(self, package: str) -> None:
        # C code that is built against the package includes the same header.
        include = os.path.join(package, "include")
        self.mkpath(include)
        self.copy_file(str(HEADER), include)


@dataclass(frozen=True)
class GoSwitches:
    """What a developer may ask of a build through the environment."""

    debug: bool = False  # keep symbols, optimise no C
    werror: bool = False  # let no warning of the shim pass

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> GoSwitches:
        """Read PYBUF_DEBUG and PYBUF_WERROR."""
        return cls(debug=_switch("PYBUF_DEBUG", environ), werror=_switch("PYBUF_WERROR", environ))


def _switch(name: str, environ: Mapping[str, str]) -> bool:
    value = environ.get(name, "")
    if value not in {"", "0", "1"}:
        raise Refusal(f"{name} is {value!r} in the environment: set it to 1 or to 0.")
    return value == "1"


def build_module(tools: Toolchain, folder: Path, switches: GoSwitches) -> Path:
    """Run go build and return the path of the shared library, in folder."""
    # Not built where the package lies: go puts a C header beside its output,
    # and a build that stops in between would ship it.
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    built = folder / f"_core{FILE_SUFFIX}"
    command = go_command(tools, built, switches)
    environ = go_environ(tools, folder, switches)
    print(tools)
    print(shlex.join(command), flush=True)
    done = subprocess.run(command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Refusal(
            f"go build ended with status {done.returncode}: mend what it names above, "
            "then build again."
        )
    built.with_suffix(".h").unlink(missing_ok=True)
    return built


def go_command(tools: Toolchain, output: Path, switches: GoSwitches) -> list[str]:
    """Return the command line that builds the module."""
    # Go's build ID tells apart the commands that build, paths of tools included.
    link = [] if switches.debug else ["-s", "-w", "-buildid="]
    link.append(f"-X=runtime.godebugDefault={RUNTIME_SETTINGS}")
    # The version script hides all but the init function. Not by -Wl, which
    # would divide a path at a comma.
    script = "-Xlinker " + quote(f"--version-script={ROOT / 'pyshim' / 'exports.map'}")
    # zig strips only what it is told to strip itself.
    link.append(quote(f"-extldflags={script}" if switches.debug else f"-extldflags=-s {script}"))
    command = [
        tools.go,
        "build",
        "-buildmode=c-shared",
        "-tags=" + ("pyext,werror" if switches.werror else "pyext"),
        # Else go stops in a checkout that is owned by another user.
        "-buildvcs=false",
        "-ldflags=" + " ".join(link),
        "-o",
        str(output),
    ]
    if not switches.debug:
        # The same file from each folder and machine; a debugger wants the paths.
        command.append("-trimpath")
    return [*command, "./capi"]


def go_environ(
    tools: Toolchain,
    folder: Path,
    switches: GoSwitches,
    environ: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Return the environment of go: the caller's, less what would change the build."""
    # A CGO_CFLAGS replaces cgo's own "-O2 -g", so it is said again. The user's
    # flags come last, where they win.
    flags = ["-O0 -g3" if switches.debug else "-O2 -g"]
    flags.append(f"-DPYBUF_HEADERS={headers_digest()}")
    flags.append(environ.get("CGO_CFLAGS", ""))
    forced = {
        "CC": tools.cc,
        "CGO_CFLAGS": " ".join(flags).strip(),
        "CGO_ENABLED": "1",
        "GO111MODULE": "on",
        "GOFLAGS": "-mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }
    result = {**toolchain.goroot_environ(tools.go, toolchain.zig_environ(environ)), **forced}
    # The module is for this Python: another target would build, and not load. It
    # is said and not left out, since `go env -w` may have kept another one.
    result["GOOS"] = "linux"
    result.pop("GOARCH", None)
    target = tools.target or Target(platform.machine())
    if target.machine in MACHINES:
        result["GOARCH"] = target.goarch
    if "GOCACHE" not in environ and not toolchain.has_cache_folder(environ, "go-build"):
        result["GOCACHE"] = str(folder / "go-cache")
    return result


def lies_where_nothing_runs(path: Path) -> bool:
    """Tell whether the file system is mounted noexec: no library can be loaded from there.

    /tmp often is, where an editable install builds; the package will lie elsewhere.
    """
    return bool(os.statvfs(path.parent).f_flag & os.ST_NOEXEC)


def check_loads(built: Path, name: str) -> None:
    """Refuse a library that this Python cannot load.

    The linker takes a misspelt name of the C API for one that Python will
    provide; it shows only here. A process of its own loads the library, since
    it cannot be unloaded again. The module is created and not executed, so that
    nothing of the package is needed.
    """
    code = (
        "import sys; from importlib.util import module_from_spec, spec_from_file_location as s; "
        "module_from_spec(s(sys.argv[1], sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, name, str(built)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        advice = "build it with a Go and a C compiler made for this machine"
        if "undefined symbol" in lines[-1]:
            advice = "define this name in the C sources, or spell it as Python's C API does"
        raise Refusal(
            f"The module was built and this Python cannot load it ({lines[-1]}): {advice}."
        )


def quote(word: str) -> str:
    """Quote a word for go, which splits a list of flags at blanks.

    Go knows single and double quotes and no escapes, hence what cannot be said.
    """
    if "'" not in word:
        return f"'{word}'" if any(c.isspace() or c == '"' for c in word) else word
    if '"' not in word:
        return f'"{word}"'
    raise Refusal(f"Go takes no path with a quote in it, as in {word}: move the folder.")
