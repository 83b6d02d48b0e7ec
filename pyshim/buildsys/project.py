"""Facts about this source tree, each read from the one place where it stands."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from .refusal import Refusal

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "capi" / "pybuf.h"  # public: the package has a copy


def _find(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise Refusal(f"{path} has no line that matches {pattern}: restore it.")
    return found[1]


def version(root: Path = ROOT) -> str:
    """Return the version of the distribution: a constant of the Go library."""
    return _find(r'^const Version = "([^"]+)"', root / "pybuf" / "version.go")


def go_needed(root: Path = ROOT) -> tuple[int, ...]:
    """Return the oldest Go that go.mod admits, such as (1, 24)."""
    line = _find(r"^go (\d+(?:\.\d+)+)", root / "go.mod")
    return tuple(int(number) for number in line.split("."))


def headers_digest(root: Path = ROOT) -> str:
    """Return a C integer constant that changes when one of our headers does.

    Go's cache does not see a header that lies outside the folder of the
    package which includes it, so an edit of capi/*.h would leave the shim
    compiled against the old structs. This value goes into the C flags, which
    the cache does see.
    """
    digest = hashlib.sha256()
    for folder in ("capi", "gopybuf", "pyshim"):
        for header in sorted((root / folder).glob("*.h")):
            digest.update(f"{folder}/{header.name}\0".encode())
            digest.update(header.read_bytes())
            digest.update(b"\0")
    return f"0x{digest.hexdigest()[:16]}"
