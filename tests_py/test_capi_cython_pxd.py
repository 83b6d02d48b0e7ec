"""pybuf.pxd says of pybuf.h what is so, and Cython finds it by either road."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import cython_build
import pytest

import pybuf

INCLUDE = Path(pybuf.get_include())
# How the table is found: inline functions use it, nobody else.
INNER = {"pybuf_api_get", "pybuf_api_or_release"}


def header() -> str:
    """Return pybuf.h without comments, and without the bodies of functions."""
    text = (INCLUDE / "pybuf.h").read_text("utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    return re.sub(r"^\{.*?^\}", ";", text, flags=re.MULTILINE | re.DOTALL)


def pxd() -> str:
    text = (INCLUDE / "pybuf.pxd").read_text("utf-8")
    return re.sub(r'""".*?"""', "", re.sub(r"#.*", "", text), count=1, flags=re.DOTALL)


def words(text: str) -> str:
    """The same with one blank where there are any, and none around stars."""
    return re.sub(r"\s*\*\s*", "*", " ".join(text.split()))


def parameters(text: str) -> list[str]:
    return [] if text.strip() in {"", "void"} else [words(part) for part in text.split(",")]


def functions_of_c() -> dict[str, tuple[str, list[str]]]:
    found = re.findall(r"static inline ([\w\s*]+?)(\w+)\(([^)]*)\)\s*;", header())
    return {name: (words(kind), parameters(rest)) for kind, name, rest in found}


def functions_of_cython() -> dict[str, tuple[str, list[str], str, str]]:
    """The result, the parameters, what they call in C, and what comes behind."""
    pattern = r'^    ([\w ]+?[ *]+)(\w+)(?: "(\w+)")?\(([^()]*)\)(.*)$'
    found = re.findall(pattern, pxd(), re.MULTILINE)
    return {
        name: (words(kind), parameters(rest), other or name, behind.strip())
        for kind, name, other, rest, behind in found
        if "ctypedef" not in kind
    }


def in_c(declared: str) -> str:
    """What Cython writes for a type, or for a parameter with its name."""
    return re.sub(r"\bobject ?", "PyObject*", declared).replace("bint", "int")


# ---- the same names, the same types ----


def test_each_function_of_the_header_is_in_the_pxd_and_no_other() -> None:
    there = set(functions_of_c()) - INNER
    assert len(there) > 15
    declared = functions_of_cython()
    assert {c for _, _, c, _ in declared.values()} == there
    assert {name for name, (_, _, c, _) in declared.items() if name != c} == {"MemBuf_init"}


def test_functions_take_and_give_the_same() -> None:
    there = functions_of_c()
    for name, (result, taken, c, _) in functions_of_cython().items():
        assert (in_c(result), [in_c(one) for one in taken]) == there[c], name


def test_failures_are_exceptions_and_what_cannot_fail_says_so() -> None:
    for name, (result, _, c, behind) in functions_of_cython().items():
        if c in {"pybuf_descriptor_take", "pybuf_release_free"}:
            expected = "noexcept nogil"  # they need no Python
        else:
            expected = {"object": "", "int": "except -1", "bint": "except -1"}.get(
                result, "except NULL"
            )
        assert behind == expected, name


def test_macros_and_constants_are_the_same() -> None:
    macros = set(re.findall(r"^#define (PYBUF_\w+) ", header(), re.MULTILINE))
    # Each body of an enum as a set of names, the kinds in their order.
    of_c = re.findall(r"^enum \{(.*?)\};", header(), re.MULTILINE | re.DOTALL)
    of_cython = re.findall(r"^    enum:\n((?: {8}\w+\n)+)", pxd(), re.MULTILINE)
    assert [re.findall(r"(PYBUF_\w+) =", body) for body in of_c] == [
        body.split() for body in of_cython
    ]
    single = re.findall(r"^    const (?:\w+ \*?)(PYBUF_\w+)$", pxd(), re.MULTILINE)
    assert set(single) == macros


def test_the_descriptor_has_the_same_fields_in_their_order() -> None:
    struct = re.search(r"typedef struct pybuf_descriptor \{(.*?)\n\}", header(), re.DOTALL)
    assert struct
    of_c = [words(field).replace("struct ", "") for field in struct[1].split(";") if field.strip()]
    cython = re.search(r"ctypedef struct pybuf_descriptor:\n((?: {8}.*\n)+)", pxd())
    assert cython
    of_cython = [words(line.removesuffix("noexcept nogil")) for line in cython[1].splitlines()]
    assert of_cython == of_c


def test_a_release_is_the_same() -> None:
    c = re.search(r"typedef (void \(\*pybuf_release\)\(.*?\));", header())
    cython = re.search(r"ctypedef (void \(\*pybuf_release\)\(.*?\)) noexcept\n", pxd())
    assert c
    assert cython
    assert words(cython[1]) == words(c[1])


# ---- both roads ----

SOURCE = """
import pybuf
cimport pybuf
from pybuf cimport MemBuf_init, pybuf_release

def both():
    return pybuf.zeros(2), pybuf.PYBUF_ARRAY
"""


@pytest.mark.parametrize("road", ["the package", "include_path"])
def test_cython_finds_the_pxd(road: str, tmp_path: Path) -> None:
    if lack := cython_build.lacking():
        pytest.skip(lack)
    (tmp_path / "found.pyx").write_text(SOURCE)
    options = ["-I", str(INCLUDE)] if road == "include_path" else []
    subprocess.run(
        [sys.executable, "-m", "cython", "-3", "-Werror", "-M", *options, "found.pyx"],
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    used = (tmp_path / "found.c.dep").read_text()
    names = {os.path.realpath(tmp_path / name) for name in used.replace("\\\n", " ").split()}
    package = os.path.realpath(INCLUDE.parent / "__init__.pxd")
    assert (package in names) == (road == "the package")
    assert os.path.realpath(INCLUDE / "pybuf.pxd") in names
