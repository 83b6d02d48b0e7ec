"""What docs/go.md and README.md say of Go programs holds: the programs are built and run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import doc_pages
import gopy_build
import numpy as np
import pytest

import pybuf

pytestmark = pytest.mark.build
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "go.md"


def environ() -> dict[str, str]:
    """What a reader has: `python` is this one, $PYBUF the checkout. Nothing is fetched."""
    return {
        **gopy_build.environ(),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYBUF": str(ROOT),
        "GOSUMDB": "off",
    }


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def run_programs(page: Path, folder: Path) -> None:
    # Without warnings: gopy's docstrings are full of escapes that Python warns of.
    run(sys.executable, doc_pages.__file__, page, "--programs", "go", cwd=folder)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """The folder of a Go module, as the first lines of the page make it."""
    first = next(block for block in doc_pages.blocks(PAGE) if block.language == "sh")
    run("bash", "-euc", first.text, cwd=tmp_path)
    return tmp_path


def test_the_page_of_go_is_true_from_its_first_line_to_its_last(tmp_path: Path) -> None:
    if lack := gopy_build.lacking():
        pytest.skip(lack)
    run_programs(PAGE, tmp_path)


def test_the_section_of_the_readme_is_true(module: Path) -> None:
    run_programs(ROOT / "README.md", module)


def test_the_go_that_is_needed_is_that_of_the_module() -> None:
    version = re.search(r"^go (\d+\.\d+)", (ROOT / "go.mod").read_text("utf-8"), re.MULTILINE)
    assert version
    assert f"You need Go {version[1]} or newer" in PAGE.read_text("utf-8")


# ---- the table of types ----------------------------------------------------------------------

TYPES = """package main

// #include <stdint.h>
import "C"

import (
    "time"

    "github.com/pybuf/pybuf-go/pybuf"
)

var _ time.Time

//export Lend
func Lend(i C.int) C.uintptr_t {
    return C.uintptr_t([]func() *pybuf.Buffer{
        %s
    }[i]().Export())
}

func main() {}
"""


def rows(heading: str) -> list[list[str]]:
    """The cells of the table that begins with this heading."""
    lines = PAGE.read_text("utf-8").splitlines()
    begin = next(i for i, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    found = []
    for line in lines[begin + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def lend(module: Path, types: list[str]) -> list[pybuf.Buffer | Exception]:
    """What Python gets of a slice of two items of each of these types of Go."""
    calls = [f"func() *pybuf.Buffer {{ return pybuf.Of(make([]{t}, 2)) }}," for t in types]
    (module / "types.go").write_text(TYPES % "\n        ".join(calls))
    # A process of its own would do no more: the name is this test's.
    library = module / f"libtypes{len(types)}.so"
    run("go", "build", "-buildmode=c-shared", "-o", library, ".", cwd=module)
    code = """
import ctypes, sys
import pybuf
lend = ctypes.CDLL(sys.argv[1]).Lend
lend.restype = ctypes.c_size_t
for i in range(int(sys.argv[2])):
    try:
        b = pybuf.adopt(lend(i))
        print(b.format, b.numpy().dtype.str, b.shape)
    except TypeError as error:
        print(f"TypeError: {error}")
"""
    return run(sys.executable, "-c", code, library, len(types), cwd=module).splitlines()


def test_the_table_of_element_types_is_true(module: Path) -> None:
    expected = []
    for go, formats, dtypes in rows("Go"):
        types, letters, names = quoted(go), quoted(formats), quoted(dtypes)
        if "struct" in go:
            types, letters, names = ["struct{ A int32; B float64 }"], [], []
            expected.append((types[0], "T{<i:A:4x<d:B:}", "|V16", "(2,)"))
            continue
        letters = letters * len(types) if len(letters) == 1 else letters
        names = names * len(types) if len(names) == 1 else names
        shape = "(2, 3)" if go == "`[3]float32`" else "(2,)"
        for t, letter, name in zip(types, letters, names, strict=True):
            expected.append((t, letter, np.dtype(name).str, shape))
    assert len(expected) == 19
    told = lend(module, [row[0] for row in expected])
    assert told == [f"{letter} {dtype} {shape}" for _, letter, dtype, shape in expected]


def test_the_table_of_what_is_refused_is_true(module: Path) -> None:
    plain, slices, field, hidden, nothing = rows("refused")
    assert quoted(plain[0]) == ["string", "*T", "map", "any", "func", "chan"]
    assert quoted(slices[0]) == ["[]T"]
    kinds = ["string", "*int", "map[int]int", "any", "func()", "chan int"]
    pointer, far, unseen, empty = (quoted(row[1])[0] for row in (plain, slices, hidden, nothing))
    cases = [(kind, "Go type .*", pointer) for kind in kinds]
    cases.append(("[]int", "Go type .*", far))
    assert field[1].startswith("the same")
    cases += [
        ("struct{ Who string }", '.*: field "Who" of type "string"', pointer),
        ("struct{ A int; who string }", '.*: field "who" of type "string"', unseen),
        ("time.Time", ".*", ""),
        ("struct{ a int }", ".*", empty),
    ]
    told = lend(module, [case[0] for case in cases])
    for (go, before, sentence), line in zip(cases, told, strict=True):
        assert re.fullmatch(f"TypeError: {before} ?{re.escape(sentence)}.*", line), (go, line)
