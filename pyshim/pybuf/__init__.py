"""Lend foreign memory to Python with no copy.

A Buffer is a block of memory with one owner, and an exporter of the buffer
protocol: ``np.asarray(buf)`` stands on the block and keeps its owner. The
block is freed exactly once, when the last array, memoryview or slice of it
is gone.
"""

from ._core import _C_API as _C_API
from ._core import (
    Buffer,
    Layout,
    Lent,
    LiveMemory,
    __version__,
    adopt,
    copy,
    copyto,
    empty,
    lend,
    live,
    stats,
    tracemalloc_domain,
    wrap,
    zeros,
)
from ._inspect import heed_environment, trace

__all__ = [
    "Buffer",
    "Layout",
    "Lent",
    "LiveMemory",
    "__version__",
    "adopt",
    "copy",
    "copyto",
    "empty",
    "get_include",
    "lend",
    "live",
    "stats",
    "trace",
    "tracemalloc_domain",
    "wrap",
    "zeros",
]

heed_environment()
del heed_environment


def get_include() -> str:
    """Return the folder of pybuf.h and pybuf.pxd, for C, C++ and Cython code."""
    return f"{__path__[0]}/include"


TYPE_CHECKING = False  # typing is not imported for it
if TYPE_CHECKING:
    from . import gopy as gopy
    from . import indirect as indirect
else:

    def __getattr__(name: str) -> object:
        """Import pybuf.gopy and pybuf.indirect when they are first used."""
        if name in {"gopy", "indirect"}:
            import importlib  # noqa: PLC0415 - needed by nobody else

            return importlib.import_module(f".{name}", __name__)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
