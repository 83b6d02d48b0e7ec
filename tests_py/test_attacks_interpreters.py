"""What a hostile tester found in modules, interpreters and capsules that come and go."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

import pybuf

Fresh = Callable[..., Any]
INTERPRETERS = """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
"""


def test_a_module_that_is_dropped_is_collected(fresh: Fresh):
    """Each import of a new copy left 52 KB behind, and so did each sub-interpreter."""
    fresh(
        """
        import gc, importlib, sys, weakref
        import pybuf
        pybuf.zeros(3, "<f8").toreadonly()
        core = weakref.ref(pybuf._core)
        for name in [n for n in sys.modules if n.partition(".")[0] == "pybuf"]:
            del sys.modules[name]
        del pybuf
        gc.collect()
        assert core() is None
        """
    )


@pytest.mark.parametrize("depth", range(29, 34))
def test_a_release_that_enters_another_interpreter_leaves_its_buffers_there(
    depth: int, fresh: Fresh
):
    """However deep the Buffers are nested that are being freed."""
    fresh(
        f"""
{INTERPRETERS}
        import ctypes, sys, pybuf
        block = ctypes.create_string_buffer(8)
        address = ctypes.addressof(block)
        path = [p for p in sys.path if p]
        here = interpreters.create()
        ran = []
        def release(_):
            failed = interpreters.run_string(here, f'''if True:
                import sys
                sys.path[:] = {{path!r}}
                import pybuf
                log = []
                b = pybuf.wrap({{address}}, 8, release=log.append)
                del b
                assert log == [{{address}}], log
                assert pybuf._core._counters()["made"] == pybuf._core._counters()["freed"]
                ''')
            assert failed is None, failed
            interpreters.destroy(here)
            ran.append(True)
        b = pybuf.wrap(address, 8, release=release)
        for _ in range({depth}):
            b = pybuf.wrap(address, 8, owner=b)
        del b
        assert ran == [True]
        """,
        options=("-X", "dev"),
    )


@pytest.mark.parametrize("name", ["_cffi_backend", "_ctypes"])
def test_a_module_that_is_forbidden_is_not_loaded(name: str, fresh: Fresh):
    """None in sys.modules is the usual way to forbid an import."""
    fresh(
        f"""
        import sys, pybuf
        sys.modules[{name!r}] = None
        log = []
        keeper = pybuf.zeros(8)
        b = pybuf.wrap(keeper.address, 8, release=log.append)
        assert b.close() and log
        try:
            pybuf.wrap(1.5, 8, unowned=True)
        except TypeError as error:
            assert "address is 1.5" in str(error)
        """
    )


@pytest.mark.leaves_memory("a renamed capsule is its consumer's")
@pytest.mark.parametrize("which", [0, 1])
def test_a_renamed_arrow_capsule_is_left_to_whoever_renamed_it(which: int, fresh: Fresh):
    fresh(
        f"""
        import ctypes, pybuf
        rename = ctypes.pythonapi.PyCapsule_SetName
        rename.argtypes = ctypes.py_object, ctypes.c_char_p
        name = b"used"
        pair = list(pybuf.zeros(8).__arrow_c_array__())
        rename(pair[{which}], name)
        pair.clear()
        """
    )


@pytest.mark.parametrize("kind", [ctypes.c_wchar, ctypes.c_void_p])
def test_a_dtype_that_is_given_is_not_asked_of_the_array(kind: Any):
    array = (kind * 3)()
    b = pybuf.wrap(array, dtype=f"u{ctypes.sizeof(kind)}", owner=array)
    assert (b.shape, b.itemsize) == ((3,), ctypes.sizeof(kind))
