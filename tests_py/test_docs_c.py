"""What docs/c.md and README.md say of C and C++ holds: the modules are compiled and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import doc_pages
import pytest

import pybuf

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


def test_the_table_of_functions_has_all_of_the_header() -> None:
    header = Path(pybuf.get_include(), "pybuf.h").read_text("utf-8")
    functions = set(re.findall(r"^(pybuf_\w+)\(", header, re.MULTILINE))
    helpers = {name for name in functions if name.startswith("pybuf_api_")}
    elsewhere = {"pybuf_descriptor_take", "pybuf_release_free"}
    named = re.findall(r"^\| `(pybuf_\w+)\(", PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(named) == len(set(named))
    assert set(named) == functions - helpers - elsewhere


# ---- the table of what goes wrong at first ----------------------------------------------------


def first_faults() -> dict[str, str]:
    """The text that is seen, by the beginning of the reason."""
    lines = PAGE.read_text("utf-8").splitlines()
    begin = lines.index("| you see | because |")
    cells = [line.strip("| ").split(" | ") for line in lines[begin + 2 : begin + 10]]
    return {because: seen for seen, because in cells}


def seen(environ: dict[str, str], folder: Path, *command: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stderr


@pytest.fixture
def squares(tmp_path: Path) -> Path:
    """The folder of the page's first module."""
    source = next(b.text for b in doc_pages.blocks(PAGE) if b.language == "c")
    (tmp_path / "squares.c").write_text(source)
    return tmp_path


def test_the_first_faults_look_as_the_table_says(squares: Path, environ: dict[str, str]) -> None:
    python, include = f"-I{sysconfig.get_path('include')}", f"-I{pybuf.get_include()}"
    source = (squares / "squares.c").read_text()
    headers = "#include <Python.h>\n#include <pybuf.h>\n"
    assert headers in source
    turned = source.replace(headers, "".join(reversed(headers.splitlines(keepends=True))))
    (squares / "turned.c").write_text(turned)
    larger = Path(pybuf.get_include(), "pybuf.h").read_text("utf-8")
    (squares / "larger").mkdir()
    (squares / "larger" / "pybuf.h").write_text(
        larger.replace("} pybuf_api;", "    void *one_more;\n} pybuf_api;")
    )

    def compiled(compiler: str, *options: str) -> str:
        return seen(environ, squares, compiler, "-shared", "-fPIC", python, *options)

    def run(code: str) -> str:
        return seen(environ, squares, sys.executable, "-c", code)

    assert compiled("cc", "-Ilarger", "squares.c", "-o", "larger/squares.so") == ""
    assert compiled("cc", include, "squares.c", "-o", "squares.so") == ""
    (squares / "other.so").write_bytes((squares / "squares.so").read_bytes())
    blocked = (
        "import sys\n"
        "def find_spec(name, *_):\n"
        "    if name == {0!r}: raise ModuleNotFoundError(f'No module named {{name!r}}')\n"
        "sys.meta_path.insert(0, type('Blocked', (), dict(find_spec=find_spec)))\n"
        "import squares; squares.squares(1)"
    )
    met = {
        "the flags": compiled("cc", "squares.c"),
        "`Python.h` was": compiled("cc", include, "turned.c")
        + compiled("c++", include, "-fpermissive", "-x", "c++", "turned.c"),
        "the file": run("import other"),
        "pybuf is": run(blocked.format("pybuf")),
        "`PYBUF_ARRAY` makes": run(blocked.format("numpy")),
        "the pybuf": run("import sys; sys.path[0] = 'larger'; import squares"),
    }
    table = first_faults()
    for begin, text in met.items():
        (told,) = (seen for because, seen in table.items() if because.startswith(begin))
        for quoted in re.findall(r"`([^`]+)`", told):
            assert doc_pages.like(f"...{quoted}...").fullmatch(text), (quoted, text)
