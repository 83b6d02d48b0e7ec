"""pybuf.h in Cython's hands under the sanitizers of addresses and of undefined behaviour.

They watch the module, and all memory of malloc, also what pybuf does with it.
"""

from __future__ import annotations

import os

import compiled
import cython_build
import pytest

WORKOUT = """
import gc, importlib.util, sys

spec = importlib.util.spec_from_file_location("capi_cython", sys.argv[1])
cy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cy)
import numpy as np
import pybuf

if sys.argv[2:] == ["fault"]:
    cy.read_after_release()
    sys.exit("the fault was not found")

assert memoryview(cy.getbuf()).tobytes() == b"some test\\0 bytes\\0"
for flags in (0, 1, 2, 3):
    for kind in ("plain", "nogil", "with gil", "slow"):
        array = np.asarray(cy.doubles(100, kind, flags))
        assert cy.total(array[::1]) == 4950
        assert array[::-7].sum() == sum(range(99, -1, -7))
        try:
            cy.doubles(100, kind, flags, b"{")
        except ValueError:
            pass
    assert cy.total_shorts(cy.strided(30, 4, flags)) == sum(range(0, 240, 2))
    assert np.asarray(cy.Samples(9).memory(flags))[8] == 8
for flags in (0, 2):
    assert np.asarray(cy.squares(9, flags))[8] == 64
    assert np.asarray(cy.adopted(flags)).tolist() == [0, 1, 2, 3]
rows = cy.pointers(30, 40)
assert pybuf.copy(rows)[29, 39] == memoryview(rows)[29, 39] == 1199
mem = cy.rows_new(5, 6)
cy.set_by_view(mem, 4, 5, 1)
assert cy.item_by_pointer(mem, 4, 5) == 1
assert cy.total_lent(np.arange(10.0)) == 45
samples = cy.Samples(4)
samples.kept = samples.memory()
del array, rows, mem, samples
gc.collect()
assert pybuf.live() == [], pybuf.live()
print("done")
"""


@pytest.fixture(scope="session")
def sanitizer() -> str:
    """The library of the address sanitizer, to be loaded first."""
    if lack := cython_build.lacking():
        pytest.skip(lack)
    library = compiled.runtime("libasan.so")
    if not library:
        pytest.skip("the C compiler has no libasan")
    return library


@pytest.mark.parametrize("task", ["work", "fault"])
def test_sanitizers_find_no_fault_but_ours(fresh, sanitizer, task):
    env = {
        **os.environ,
        "LD_PRELOAD": sanitizer,
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
    }
    module = cython_build.build("capi_cython", "sanitized")
    args = [str(module)] + (["fault"] if task == "fault" else [])
    done = fresh(WORKOUT, *args, env=env, check=False, options=())
    if task == "work":
        assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
    else:
        assert "heap-use-after-free" in done.stderr
