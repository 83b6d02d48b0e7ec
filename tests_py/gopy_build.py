"""Binds Go packages with gopy for the running interpreter, each module once.

python tests_py/gopy_build.py [NAME ...] builds them ahead, and says how long it took.

What is built stays in build/gopy, or in the folder that PYBUF_GOPY_CACHE
names, under a hash of all that it is made of: other test runs and other
workers find it there.
"""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "tests_py" / "gopy"
CACHE = Path(os.environ.get("PYBUF_GOPY_CACHE") or ROOT / "build" / "gopy")
GOPYBUF = "github.com/pybuf/pybuf-go/gopybuf"
OURS = ("example.com/vecs/vecs", "example.com/vecs/more")
LIMIT = 600  # seconds for a build, or to wait for another's
KEPT = 3  # builds of a module for one interpreter


@dataclass(frozen=True)
class Module:
    """A Python package that gopy makes."""

    name: str
    packages: tuple[str, ...]
    command: str = "build"  # or "pkg"

    @property
    def ours(self) -> bool:
        """Says whether it depends on this project's Go code."""
        return GOPYBUF in self.packages


MODULES = {
    m.name: m
    for m in (
        Module("gopy_plain", OURS),
        Module("gopy_vecs", (*OURS, GOPYBUF)),
        Module("gopy_pkg", (*OURS, GOPYBUF), "pkg"),
        Module(
            "gopy_third",
            (
                "gonum.org/v1/gonum/floats",
                "gonum.org/v1/gonum/stat",
                "gonum.org/v1/gonum/dsp/fourier",
                "github.com/golang/snappy",
                "image",
                GOPYBUF,
            ),
        ),
    )
}


class BuildError(Exception):
    """gopy, or what it needs, ended with an error; the text is what it said."""


def environ() -> dict[str, str]:
    """Return the environment of all commands: nothing is fetched."""
    return {
        **os.environ,
        "CGO_ENABLED": "1",
        "GO111MODULE": "on",
        "GOFLAGS": "-buildvcs=false",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=env or environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    if done.returncode != 0:
        words = " ".join(map(str, command))
        raise BuildError(f"{words} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


@functools.cache
def lacking() -> str:
    """Say what there is not on this machine to build with, or nothing."""
    if shutil.which("go") is None:
        return "there is no go command"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "there is no Python.h"
    if importlib.util.find_spec("pybindgen") is None:
        return "pybindgen is not installed"
    try:
        run("go", "list", "-deps", "./...", "tool", cwd=SOURCES)
    except BuildError as error:
        return f"Go modules of tests_py/gopy are not here (go mod download there): {error}"
    return ""


@functools.cache
def digest(name: str) -> str:
    """Return a hash of all that goes into a module."""
    module = MODULES[name]
    found = hashlib.sha256()
    found.update(repr((module, sys.version, sys.base_prefix)).encode())
    found.update(run("go", "version", cwd=SOURCES).encode())
    folders = [SOURCES, *(ROOT / f for f in ("gopybuf", "pybuf", "capi") if module.ours)]
    files = [ROOT / "go.mod", Path(__file__)]
    for folder in folders:
        files += sorted(p for p in folder.rglob("*") if p.suffix in {".go", ".c", ".h", ".mod"})
    for path in files:
        found.update(f"{path}\0".encode() + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


@contextlib.contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One process at a time. The lock goes with the process that has it."""
    with lock.open("w") as file:
        until = time.monotonic() + LIMIT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise BuildError(f"{lock} is held for more than {LIMIT} s") from None
                time.sleep(0.1)
        yield


def build(name: str) -> Path:
    """Return the folder to put on sys.path for the module of that name."""
    prefix = f"{name}-{sys.implementation.cache_tag}-"
    folder = CACHE / (prefix + digest(name))
    if not folder.exists():
        # pytest's watch over tests that hang: a build has its own limit.
        faulthandler.cancel_dump_traceback_later()
        CACHE.mkdir(parents=True, exist_ok=True)
        # gopy leaves Go files, which are no part of the project around them.
        (CACHE / "go.mod").write_text("module example.com/built\n\ngo 1.25\n")
        with alone(CACHE / f"{prefix}lock"):
            if not folder.exists():
                forget(prefix)
                with tempfile.TemporaryDirectory(prefix=".", dir=CACHE) as new:
                    make(MODULES[name], Path(new))
                    # gopy's docstrings are full of escapes that Python warns of, once.
                    compile_all = ["-W", "ignore", "-m", "compileall", "-q", "-d", folder / "site"]
                    run(sys.executable, *compile_all, Path(new, "site"), cwd=Path(new))
                    Path(new).rename(folder)
                    Path(new).mkdir()  # which is what the end of the block removes
    return folder / "site"


def forget(prefix: str) -> None:
    """Remove all but the last builds."""
    old = sorted(CACHE.glob(f"{prefix}[0-9a-f]*"), key=lambda p: p.stat().st_mtime)
    for folder in old[: 1 - KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


def make(module: Module, folder: Path) -> None:
    """Run gopy in a copy of the Go module: it writes into the module, and edits go.mod."""
    began = time.monotonic()
    copy = folder / "module"
    shutil.copytree(SOURCES, copy)
    run("go", "mod", "edit", f"-replace=github.com/pybuf/pybuf-go={ROOT}", cwd=copy)
    env = environ()
    # gopy looks for goimports on PATH.
    goimports = Path(run("go", "tool", "-n", "goimports", cwd=copy).split()[-1])
    env["PATH"] = f"{goimports.parent}{os.pathsep}{env['PATH']}"
    out = copy / ("dist" if module.command == "pkg" else f"site/{module.name}")
    options = [f"-vm={sys.executable}", f"-output={out}", f"-name={module.name}"]
    options += ["-no-make=true", "-no-warn=true"]
    command = ["go", "tool", "gopy", module.command, *options, *module.packages]
    said = run(*command, cwd=copy, env=env)
    (folder / "log").write_text(said)
    if module.command == "pkg":
        install(out, folder / "site")
        (copy / "dist").rename(folder / "dist")
    else:
        (copy / "site").rename(folder / "site")
    if not list((folder / "site" / module.name).glob("_*.so")):
        raise BuildError(f"gopy made no extension module, and said:\n{said}")
    shutil.rmtree(copy)
    (folder / "done").write_text(json.dumps({"seconds": round(time.monotonic() - began, 1)}))


def install(package: Path, target: Path) -> None:
    """Install with pip, which fetches nothing."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", f"--target={target}"]
    run(*pip, *options, package, cwd=package)


def main() -> None:
    if lack := lacking():
        sys.exit(lack)
    for name in sys.argv[1:] or MODULES:
        began = time.monotonic()
        site = build(name)
        took = json.loads((site.parent / "done").read_text())["seconds"]
        print(f"{name}: {site} (built in {took} s, now {time.monotonic() - began:.1f} s)")


if __name__ == "__main__":
    main()
