"""Show that the pybuf of this Python was installed from a wheel, and works.

Usage: python try_install.py FOLDER

FOLDER is where it was installed. NumPy is not needed; `python -m pybuf` tries
each door, this program a life from its beginning to its end.
"""

import ctypes
import gc
import platform
import sys
from pathlib import Path

import pybuf
from pybuf import indirect


def native() -> None:
    """Memory of C's allocator outlives its Buffer, and is freed once."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    buf = pybuf.wrap(libc.malloc(8 * 12), (3, 4), "d", release=libc.free)
    view = memoryview(buf)
    buf.cast("B")[:] = bytes(8 * 12)
    view[2, 1] = 1.5
    assert not buf.close()
    assert view[2, 1] == 1.5
    del buf, view


def of_go() -> None:
    """Memory of Go's heap holds what was copied into it."""
    with pybuf.copy(bytes(range(100)), source="go") as buf:
        assert buf.tobytes() == bytes(range(100))


def behind_pointers() -> None:
    """Rows that lie anywhere are one table."""
    table = indirect.rows([bytearray(b"abc"), bytearray(b"xyz")])
    assert pybuf.copy(table).tobytes() == b"abcxyz"


def main(folder: Path) -> None:
    """Tell what was tried on what, in one line."""
    package = Path(pybuf.__file__).parent
    assert folder.resolve() in package.resolve().parents, f"{package} is not in {folder}"
    extension = Path(pybuf._core.__file__).name
    assert extension == "_core.abi3.so", extension
    for story in (native, of_go, behind_pointers):
        story()
    gc.collect()
    assert pybuf.live() == [], pybuf.live()
    libc, version = platform.libc_ver()
    print(
        f"CPython {platform.python_version()}, {platform.machine()}, {libc} {version}: "
        f"pybuf {pybuf.__version__} imports and works"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
