"""What docs/c.md and README.md say of C and C++ holds: the modules are compiled and run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import doc_pages
import pytest

pytestmark = pytest.mark.build
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "c.md"

#: What the compilers of a reader's PATH add here: each warning is an error, and time is not
#: spent on optimizing.
STRICT = {
    "cc": "-std=c99 -pedantic -Wall -Wextra -Werror -O0",
    "c++": "-std=c++17 -Wall -Wextra -Werror -O0",
}


@pytest.fixture
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a reader has: `python` is this one, compilers are on the PATH."""
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("there is no Python.h")
    folder = tmp_path_factory.mktemp("bin")
    for name, options in STRICT.items():
        compiler = shutil.which(name)
        if compiler is None:
            pytest.skip(f"there is no {name}")
        wrapper = folder / name
        wrapper.write_text(f'#!/bin/sh\nexec "{compiler}" {options} "$@"\n')
        wrapper.chmod(0o755)
    folders = (str(folder), str(Path(sys.executable).parent), os.environ["PATH"])
    return {**os.environ, "PATH": os.pathsep.join(folders)}


def run_programs(page: Path, folder: Path, environ: dict[str, str]) -> None:
    command = [sys.executable, doc_pages.__file__, str(page), "--programs", "c"]
    done = subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, (done.stdout, done.stderr)


def test_the_page_of_c_is_true_from_its_first_line_to_its_last(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    pytest.importorskip("pybind11")
    run_programs(PAGE, tmp_path, environ)


def test_the_section_of_the_readme_is_true(tmp_path: Path, environ: dict[str, str]) -> None:
    run_programs(ROOT / "README.md", tmp_path, environ)
