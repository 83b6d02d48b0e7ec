"""Go's own check of every pointer that leaves for C (GOEXPERIMENT=cgocheck2) finds no fault."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from go_workout import WORKOUT

pytestmark = pytest.mark.build

ROOT = Path(__file__).resolve().parents[1]

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def checking(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which pybuf is one that was built with the check."""
    folder = tmp_path_factory.mktemp("cgocheck2")
    folders = ["--build-lib", folder, "--build-temp", folder / "temp"]
    done = subprocess.run(
        [sys.executable, "setup.py", "build_ext", *folders],
        cwd=ROOT,
        env={**os.environ, "GOEXPERIMENT": "cgocheck2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for module in (ROOT / "pyshim" / "pybuf").glob("*.py"):
        shutil.copy(module, folder / "pybuf")
    return {**os.environ, "PYTHONPATH": str(folder)}


@pytest.mark.parametrize("settings", [{}, {"GOGC": "1", "GODEBUG": "clobberfree=1"}], ids=str)
def test_memory_that_is_lent_is_no_fault_to_cgocheck2(
    settings: dict[str, str], checking: dict[str, str], fresh: Fresh
):
    done = fresh(WORKOUT, env=checking | settings)
    assert "X:cgocheck2" in json.loads(done.stdout)["go"]


def test_every_other_call_is_no_fault_to_cgocheck2(checking: dict[str, str], fresh: Fresh):
    fresh(
        """
        import numpy as np
        import pybuf
        from pybuf import _core
        assert "X:cgocheck2" in _core._go_runtime(True)["go"]
        for spelling in ("=d", "!H", "float64", ">i8", "|S1", np.int16, "T{d:x:}", "nonsense"):
            try:
                pybuf.zeros(3, spelling)
            except (TypeError, ValueError):
                pass
        pybuf.wrap(4096, (2, 3), "h", strides=(100, 4), unowned=True)
        for shape in (-1, (2**40, 2**40)):
            try:
                pybuf.zeros(shape)
            except (ValueError, OverflowError):
                pass
        """,
        env=checking,
    )
