"""Builds the Go library: python examples/goimage/build.py."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Not goimage.so: Python would take that for the module goimage.
LIBRARY = HERE / "libgoimage.so"


def library() -> str:
    """Return the path of the library, if it was built."""
    if not LIBRARY.exists():
        raise ImportError(f"{LIBRARY} is not built yet: run python {HERE / 'build.py'}")
    return str(LIBRARY)


def main() -> int:
    go = shutil.which("go")
    if go is None:
        sys.exit("There is no go command on PATH: install Go (https://go.dev/dl).")
    command = [go, "build", "-buildmode=c-shared", "-buildvcs=false", "-o", LIBRARY.name, "."]
    return subprocess.run(
        command, cwd=HERE, env=os.environ | {"CGO_ENABLED": "1"}, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
