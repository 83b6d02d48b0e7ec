""".ci/bare, which installs pybuf where there is nothing but Python: what it refuses."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.build

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "bare"


def bare(**environ):
    bash = shutil.which("bash")
    return subprocess.run([bash, SCRIPT], env=environ, capture_output=True, text=True, check=False)


def test_all_that_is_missing_is_named_at_once(tmp_path):
    (tmp_path / "dirname").symlink_to(shutil.which("dirname"))
    done = bare(PATH=str(tmp_path))
    assert done.returncode == 77
    assert done.stderr.startswith("A bare machine cannot be tried here without ")
    assert done.stderr.endswith("debootstrap; git; unshare.\n")


def test_a_tool_that_there_is_not_is_refused():
    done = bare(PATH=os.environ["PATH"], PYBUF_BARE_TOOLS="pip conda")
    assert done.returncode == 1
    assert done.stderr.startswith("PYBUF_BARE_TOOLS names conda, which is none of: ")
