"""The Makefile: what it does to the folder that the project lies in."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.build

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_nothing_outside_is_removed_where_the_path_has_a_blank(tmp_path):
    tree = tmp_path / "a copy"
    (tree / "pyshim").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", tree)
    shutil.copytree(ROOT / "pyshim" / "buildsys", tree / "pyshim" / "buildsys")
    done = subprocess.run(
        ["make", "-n", ".venv/.stand-ins"], cwd=tree, capture_output=True, text=True, check=True
    )
    removed = [line for line in done.stdout.splitlines() if line.startswith("rm ")]
    assert removed
    for line in removed:
        assert shlex.split(line) == ["rm", "-rf", f"{tree}/.venv/stand-ins"]
