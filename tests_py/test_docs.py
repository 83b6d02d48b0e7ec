"""README.md and docs/ hold: each block of code is run, each link is followed.

In a ```python block

    expression  # -> what its repr is
    statement  # raises ValueError: what it says

are checked, also with the comment on a line of its own below; "..." stands for
anything. What a block prints stands in the ```text block behind it. The blocks
of a page share one namespace.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doc_pages
import pytest
from doc_pages import Block, blocks, like

pytestmark = pytest.mark.build
ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
CODE = [
    "pyshim", "pyshim/pybuf", "pyshim/pybuf/gopy", "pyshim/pybuf/include", "pyshim/buildsys",
    "capi", "pybuf", "pybuf/pybuftest", "gopybuf", "examples/goimage",
]  # fmt: skip
LANGUAGES = {"python", "text", "sh", "c", "cpp", "cython", "go", "toml"}


def label(page: Path) -> str:
    return page.name


@pytest.fixture(params=PAGES, ids=label)
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


# ---- python -----------------------------------------------------------------------


def test_python_blocks_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    run(sys.executable, "-X", "dev", str(Path(doc_pages.__file__)), str(page), cwd=tmp_path)


def test_text_blocks_stand_behind_what_prints_them(page: Path) -> None:
    before = Block("", "", 0, follows=False)
    for block in blocks(page):
        assert block.language in LANGUAGES, f"{page.name}:{block.line}"
        if block.language == "text":
            assert block.follows, f"{page.name}:{block.line}: nothing prints this"
            assert before.language in {"python", "sh"}, f"{page.name}:{block.line}"
        before = block


# ---- shell -----------------------------------------------------------------------------


def run(*command: str, cwd: Path = ROOT) -> str:
    env = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def check_install(words: list[str]) -> None:
    """`pip install` of this project: the name and the extras that are asked for exist."""
    assert words[0] == "install", words
    asked = [word for word in words[1:] if not word.startswith("-")]
    assert asked, words
    for requirement in asked:
        match = re.fullmatch(r"(\.|[\w-]+)(?:\[([\w,]+)\])?", requirement)
        assert match, requirement
        assert match[1] in {".", project()["name"]}, requirement
        extras = match[2].split(",") if match[2] else []
        assert set(extras) <= set(project()["optional-dependencies"]), requirement


def check_command(line: str, folder: Path) -> str:
    """Run a command of a page, or judge it where running it would change the machine."""
    words = shlex.split(line, comments=True)
    if not words:
        return ""
    if words[0] == "make":
        run("make", "--dry-run", *words[1:])
    elif words[:3] == ["python", "-m", "pip"]:
        check_install(words[3:])
    elif words[:3] == ["python", "-m", "pybuf"]:
        return run(sys.executable, *words[1:], cwd=folder)
    elif words[0] == "python":
        assert (ROOT / words[1]).is_file(), line
    elif words[0] == "go":
        assert words[1] in {"build", "vet", "test", "get"}, line
    else:
        pytest.fail(f"no rule to check this command: {line}")
    return ""


def test_shell_blocks_can_be_run(page: Path, tmp_path: Path) -> None:
    all_blocks = blocks(page)
    for i, block in enumerate(all_blocks):
        if block.language != "sh" or block.program(page):  # those have tests of their own
            continue
        printed = "".join(check_command(line, tmp_path) for line in block.text.splitlines())
        after = all_blocks[i + 1] if i + 1 < len(all_blocks) else None
        if after and after.follows and after.language == "text":
            assert like(after.text).fullmatch(printed), f"{page.name}:{block.line}: {printed}"


def test_the_benchmark_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), "--rounds=2"]
    table = run(*command, "--only=memoryview", cwd=tmp_path)
    assert re.search(r"memoryview\(buffer\) .* 1\.00  1\.00 \.\. 1\.00", table)


def test_the_benchmark_of_copies_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "copies.py")]
    table = run(*command, "--rounds=2", "--side=64", cwd=tmp_path)
    assert re.search(r"^row pointers to F order +\d+\.\d us +\d+\.\d\d ", table, re.MULTILINE)


def test_the_benchmark_of_indirect_memory_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "indirect.py")]
    table = run(*command, "--rounds=2", "--sides", "20", "--arrays=3", cwd=tmp_path)
    for job in ("copy_from F order, malloc", "rows\\(\\)"):
        assert re.search(rf"^{job} +\d+\.\d us +\d+\.\d\d ", table, re.MULTILINE), table


def test_the_benchmark_of_gopy_runs(gopy_site: Callable[[str], Path], tmp_path: Path) -> None:
    gopy_site("gopy_vecs")  # skips without what builds it
    command = [sys.executable, str(ROOT / "benchmarks" / "gopy.py")]
    table = run(*command, "--rounds=2", "--largest=1000", cwd=tmp_path)
    assert re.search(r"^  np\.asarray\(slice\), pybuf +\d+\.\d us .* x 1\.0$", table, re.MULTILINE)


def test_the_benchmark_of_c_code_runs(tmp_path: Path) -> None:
    if shutil.which("cc") is None or not Path(sysconfig.get_path("include"), "Python.h").exists():
        pytest.skip("no C compiler, or no Python.h")
    command = [sys.executable, str(ROOT / "benchmarks" / "capi.py")]
    table = run(*command, "--rounds=2", "--only=owner", cwd=tmp_path)
    assert re.search(r"^  by hand .* 1\.00  1\.00 \.\. 1\.00\n  pybuf\.h ", table, re.MULTILINE)


def test_the_costs_of_a_process_are_told(tmp_path: Path) -> None:
    told = run(sys.executable, str(ROOT / "benchmarks" / "process.py"), "--runs=2", cwd=tmp_path)
    for step in ("import", "Go started again in a forked child"):
        lines = rf"^{step}\n +\d+\.\d\d ms .*\n +\d\.\d\d threads"
        assert re.search(lines, told, re.MULTILINE), told


# ---- links and files ---------------------------------------------------------------------


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(there), target


def test_the_page_of_the_code_has_a_line_for_each_file_and_no_other() -> None:
    page = ROOT / "docs" / "layout-of-the-code.md"
    named = re.findall(r"^- `([\w./]+)`: ", page.read_text("utf-8"), re.MULTILINE)
    assert len(named) == len(set(named))
    tracked = {
        path.relative_to(ROOT).as_posix()
        for folder in CODE
        for path in (ROOT / folder).iterdir()
        if path.is_file()
        and not path.name.endswith((".so", ".abi3.h", "libgoimage.h", ".pyc"))
        and path != ROOT / "pyshim" / "pybuf" / "include" / "pybuf.h"  # a copy
    }
    assert set(named) == tracked


def test_lines_are_no_longer_than_a_screen(page: Path) -> None:
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        assert len(line) <= 99 or "](" in line or line.startswith("|"), f"{page.name}:{number}"
