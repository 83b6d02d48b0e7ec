"""Builds a program of examples/, each once for all workers of a test run."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build(name: str) -> Path:
    """Run the build step of examples/NAME, one process at a time; return the folder.

    go builds anew only what has changed, so there is nothing to remember here.
    """
    folder = ROOT / "examples" / name
    locks = ROOT / "build"
    locks.mkdir(exist_ok=True)
    with (locks / f"example-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            [sys.executable, str(folder / "build.py")],
            env={**os.environ, "GOFLAGS": "-mod=readonly", "GOPROXY": "off"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, (done.stdout, done.stderr)
    return folder
