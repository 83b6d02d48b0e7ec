"""What docs/cython.md says holds: its modules are built by Cython, and used."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cython_build
import doc_pages
import pytest

pytestmark = pytest.mark.build
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "cython.md"


@pytest.fixture(autouse=True)
def builds() -> None:
    if lack := cython_build.lacking():
        pytest.skip(lack)


def environ() -> dict[str, str]:
    """What a reader has: `python` and `cython` are those of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    # Not optimized, which takes most of the time.
    return {**os.environ, "PATH": path, "CFLAGS": "-O0"}


def run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_page_of_cython_is_true_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    done = run(sys.executable, doc_pages.__file__, PAGE, "--programs", "cython", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- what goes wrong at first ------------------------------------------------------------------

#: A mistake, and the words by which the page has what Cython says of it.
MISTAKES = {
    "'pybuf.pxd' not found": "from nowhere cimport pybuf_wrap",
    "undeclared name": "pybuf_wrap(NULL)",
    "except *": """
from pybuf cimport pybuf_memory
cdef void give_back(const void *p, size_t n, void *arg):
    pass
pybuf_memory(NULL, 0, give_back, NULL)
""",
    "const Py_ssize_t *": """
from pybuf cimport PYBUF_UNOWNED, pybuf_wrap
pybuf_wrap(NULL, 1, (0,), NULL, "d", PYBUF_UNOWNED, NULL, NULL)
""",
    "void **": """
from pybuf cimport PYBUF_UNOWNED, pybuf_rows
cdef int **table = NULL
pybuf_rows(table, 0, 0, "i", PYBUF_UNOWNED, None)
""",
    "without gil": """
from pybuf cimport pybuf_memory, pybuf_release_free
with nogil:
    pybuf_memory(NULL, 0, pybuf_release_free, NULL)
""",
}


def told() -> list[str]:
    """What one sees, by the table of the page."""
    text = PAGE.read_text("utf-8")
    table = text[text.index("| you see | because |") :].split("\n\n")[0]
    cells = [line.split(" | ")[0] for line in table.splitlines()[2:]]
    return [quoted for cell in cells for quoted in re.findall(r"`([^`]+)`", cell)]


def one_with(words: str) -> str:
    (found,) = (quoted for quoted in told() if words in quoted)
    return found


def test_cython_says_of_mistakes_what_the_page_has(tmp_path: Path) -> None:
    for i, source in enumerate(MISTAKES.values()):
        (tmp_path / f"mistake{i}.pyx").write_text(source)
    files = sorted(path.name for path in tmp_path.iterdir())
    said = run(sys.executable, "-m", "cython", "-3", *files, cwd=tmp_path).stderr
    for i, words in enumerate(MISTAKES):
        quoted = one_with(words).replace("pybuf.pxd", "nowhere.pxd")
        assert re.search(rf"^mistake{i}\.pyx:\d+:\d+: {re.escape(quoted)}", said, re.MULTILINE)


def test_views_and_the_c_compiler_say_what_the_page_has(tmp_path: Path) -> None:
    cy = cython_build.load("capi_cython")
    with pytest.raises(ValueError, match=re.escape(one_with("dtype"))):
        cy.total_chars(cy.getbuf())
    for flags, words in ((1, "Buffer is read-only"), (3, "array is read-only")):
        with pytest.raises((ValueError, BufferError), match=re.escape(one_with(words))):
            cy.scale(cy.doubles(1, flags=flags), 2)
    (tmp_path / "mistake.c").write_text('#include "pybuf.h"\n')
    assert one_with("pybuf.h") in run("cc", "-fsyntax-only", "mistake.c", cwd=tmp_path).stderr


def test_each_mistake_of_the_page_is_tried() -> None:
    tried = [*MISTAKES, "dtype", "Buffer is read-only", "array is read-only", "pybuf.h"]
    assert sorted(map(one_with, tried)) == sorted(told())
