"""Check that a wheel holds the package, one extension module, C's header, and no more.

Usage: python check_wheel.py WHEEL ROOT
"""

import re
import sys
import zipfile
from pathlib import Path

EXTENSION = "pybuf/_core.abi3.so"
HEADER = "pybuf/include/pybuf.h"


def main(wheel: Path, root: Path) -> str | None:
    """Return what is wrong with the wheel, or None."""
    package = root / "pyshim" / "pybuf"
    # The sources, without what builds and tools leave among them.
    made = re.compile(r"/(\.|__pycache__/|_core\.abi3\.)")
    files = [path for path in package.rglob("*") if path.is_file()]
    relative = {path.relative_to(package.parent).as_posix() for path in files}
    wanted = {EXTENSION, HEADER} | {name for name in relative if not made.search(name)}
    constant = re.search(r'const Version = "(.+)"', (root / "pybuf/version.go").read_text())
    version = constant[1] if constant else "?"
    info = f"pybuf_go-{version}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        meta = archive.read(info + "WHEEL").decode() if info + "WHEEL" in names else ""
    held = {name for name in names if not name.startswith(info)}
    faults = [
        *(f"{name} is missing" for name in sorted(wanted - held)),
        *(f"{name} does not belong there" for name in sorted(held - wanted)),
    ]
    if not wheel.name.startswith(f"pybuf_go-{version}-cp311-abi3-"):
        faults.append(f"its name does not say pybuf_go-{version}-cp311-abi3")
    if "\nTag: cp311-abi3-" not in meta or "\nRoot-Is-Purelib: false" not in meta:
        faults.append("its metadata lacks the tag cp311-abi3 or calls it pure Python")
    if faults:
        return f"{wheel.name}: {'; '.join(faults)}."
    print(f"{wheel.name} holds {len(held)} files of the package, as it should.")
    return None


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
