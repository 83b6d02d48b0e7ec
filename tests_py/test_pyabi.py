"""pyshim/pyabi.h says what CPython's own headers say, those of every CPython found here.

PYBUF_PYTHON_HEADERS names more folders with a Python.h in them, with ":" in between.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import pybuf

pytestmark = pytest.mark.build

ROOT = Path(__file__).resolve().parents[1]
OURS = ROOT / "pyshim" / "pyabi.h"

#: How the headers of 3.11 have it in a struct inside of that struct.
INNER = {f"PyModuleDef.{name}": f"m_base.{name}" for name in ("m_init", "m_index", "m_copy")}
INNER["PyModuleDef.ob_base"] = "m_base.ob_base"

#: What is said in other words, for a reason.
OTHERWISE = {
    # Other headers have the type that these two are really of, which the shim does not look into.
    "_Py_FalseStruct",
    "_Py_TrueStruct",
    # From 3.13 on the names are `char *const *`, which the same callers call alike.
    "PyArg_ParseTupleAndKeywords",
    # Half of 64 bits from 3.14 on, the other half of which holds flags: the shim counts with both,
    # as each module of the stable ABI that is older does; what never goes it does not count.
    "sizeof PyObject.ob_refcnt",
}

#: Half of an enum of two, whose other half and type are all that is used.
KEPT = {"PyGILState_LOCKED", "PyGILState_UNLOCKED"}


def folders() -> Iterator[Path]:
    """Where there is a Python.h that pybuf would build with, were it needed."""
    own = Path(sysconfig.get_path("include"))
    given = os.environ.get("PYBUF_PYTHON_HEADERS", "").split(":")
    others = Path.home().glob(".pyenv/versions/*/include/python3.*")
    seen: set[Path] = set()
    for folder in [own, *map(Path, filter(None, given)), *sorted(others)]:
        if folder.resolve() not in seen and (folder / "Python.h").exists():
            if version(folder) >= (3, 11):
                yield folder
            seen.add(folder.resolve())


def version(folder: Path) -> tuple[int, ...]:
    found = re.search(r'PY_VERSION\s+"(\d+)\.(\d+)', (folder / "patchlevel.h").read_text())
    assert found, folder
    return int(found[1]), int(found[2])


FOLDERS = list(folders())
each_python = pytest.mark.parametrize(
    "folder", FOLDERS, ids=[f"{'.'.join(map(str, version(f)))}-{i}" for i, f in enumerate(FOLDERS)]
)


@functools.cache
def text() -> str:
    """The header without comments, and each line that goes on put together."""
    return re.sub(r"/\*.*?\*/", "", OURS.read_text(), flags=re.DOTALL).replace("\\\n", " ")


def statements() -> list[str]:
    """All that stands at the top of the file and ends in a semicolon: no functions with bodies."""
    code = re.sub(r"^\s*#.*", "", text(), flags=re.MULTILINE)
    code = re.sub(r"^static inline[^{]*\{.*?^\}", "", code, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"[^;{]+(?:\{[^}]*\}[^;]*)?;", code)
    return [re.sub(r"\s+", " ", statement).strip() for statement in found]


def structs() -> dict[str, list[str]]:
    """Fields of each struct."""
    found = {}
    for statement in statements():
        if body := re.fullmatch(r"typedef struct[^{]*\{(.*)\} (\w+);", statement):
            fields = body[1].replace("PyObject_HEAD", "PyObject ob_base;").split(";")
            names = [n for f in fields for n in re.findall(r"(\w+)(?:\)\([^)]*\))?\s*(?:,|$)", f)]
            found[body[2]] = names
    return found


def constants() -> list[str]:
    """Names of numbers: macros that are one, members of enums."""
    macros = re.findall(r"^#define (\w+) (?=[(\d]|INTPTR_MAX)(?!\(&)", text(), re.MULTILINE)
    enums = [s for s in statements() if re.match(r"(typedef )?enum\b", s)]
    members = re.findall(r"\bPy\w+(?= =|, |,| \})", " ".join(enums))
    return [*macros, *members]


def declared() -> list[str]:
    """What C lets one say twice: functions, data, types without a body."""
    return [s for s in statements() if "{" not in s and not OTHERWISE & set(re.findall(r"\w+", s))]


def compiler() -> str:
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler")
    return cc


def compile_(program: str, output: Path, *flags: str) -> None:
    source = output.with_suffix(".c")
    source.write_text(program)
    command = [compiler(), "-std=c11", "-D_GNU_SOURCE", "-Wno-deprecated-declarations", *flags]
    done = subprocess.run(
        [*command, source, "-o", output], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def flags_of(folder: Path) -> list[str]:
    # Debian's pyconfig.h includes one that lies beside the folder.
    return ["-DPy_LIMITED_API=0x030B0000", f"-I{folder}", "-idirafter", str(folder.parent)]


REAL = "#include <stdarg.h>\n#include <Python.h>\n#include <structmember.h>\n"


def facts(include: str, inner: dict[str, str], output: Path, *flags: str) -> dict[str, str]:
    """Numbers that a compiler makes of a header."""
    lines = []
    for struct, fields in structs().items():
        lines.append((f"sizeof {struct}", f"sizeof({struct})"))
        for name in fields:
            field = inner.get(f"{struct}.{name}", name)
            lines.append((f"offset {struct}.{name}", f"offsetof({struct}, {field})"))
            lines.append((f"sizeof {struct}.{name}", f"sizeof((({struct} *)0)->{field})"))
    lines += [(name, name) for name in constants()]
    prints = "\n".join(f'    printf("{name}=%lld\\n", (long long)({e}));' for name, e in lines)
    program = f"{include}\n#include <stdio.h>\n\nint\nmain(void)\n{{\n{prints}\n}}\n"
    compile_(program, output, *flags)
    said = subprocess.run([output], capture_output=True, text=True, check=True).stdout
    numbers = dict(line.split("=") for line in said.splitlines())
    return {name: number for name, number in numbers.items() if name not in OTHERWISE}


def test_the_reader_reads():
    """Else the tests below might look at nothing."""
    assert structs()["Py_buffer"][:3] == ["buf", "obj", "len"]
    assert structs()["PyModuleDef"][:2] == ["ob_base", "m_init"]
    assert structs()["PyModuleDef"][-3:] == ["m_traverse", "m_clear", "m_free"]
    assert {"PyBUF_FULL", "METH_O", "Py_tp_dealloc", "PyGILState_LOCKED"} <= set(constants())
    assert {"PY_SSIZE_T_MAX", "Py_TPFLAGS_DEFAULT", "Py_mod_exec", "READONLY"} <= set(constants())
    assert "int PyObject_GetBuffer(PyObject *, Py_buffer *, int);" in declared()
    assert "typedef int (*visitproc)(PyObject *, void *);" in declared()
    assert "extern const unsigned long Py_Version;" in declared()
    assert len(declared()) > 150


@each_python
def test_declarations_agree(folder: Path, tmp_path: Path):
    names = [n for s in declared() for n in re.findall(r"\b_?Py\w+(?=\()", s)]
    undone = "\n".join(f"#undef {name}" for name in names)
    program = f"{REAL}{undone}\n" + "\n".join(declared())
    compile_(program, tmp_path / "declared.o", "-c", "-Werror", *flags_of(folder))


@each_python
def test_structs_and_constants_agree(folder: Path, tmp_path: Path):
    ours = facts(f'#include "{OURS}"', {}, tmp_path / "ours")
    theirs = facts(REAL, INNER, tmp_path / "theirs", *flags_of(folder))
    assert ours == theirs


@each_python
def test_a_difference_would_be_seen(folder: Path, tmp_path: Path):
    program = REAL + "int PyObject_GetBuffer(PyObject *, Py_buffer *, long);"
    with pytest.raises(AssertionError, match="PyObject_GetBuffer"):
        compile_(program, tmp_path / "declared.o", "-c", *flags_of(folder))


def test_nothing_is_declared_that_is_not_used():
    names = re.findall(r"\b(?:_?Py|METH_|T_|READONLY)\w*", text())
    names += re.findall(r"\(\*(\w+)\)", " ".join(s for s in declared() if "typedef" in s))
    others = [*ROOT.glob("pyshim/*.[ch]"), *ROOT.glob("capi/*.h"), *ROOT.glob("gopybuf/*.[ch]")]
    rest = "\n".join(path.read_text() for path in others if path != OURS)
    used = set(re.findall(r"\w+", rest)) | KEPT
    alone = {name for name in names if len(re.findall(rf"\b{name}\b", text())) == 1}
    assert alone <= used, f"pyabi.h has more than the shim uses: {sorted(alone - used)}"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="3.11 counts each object")
def test_an_object_that_never_goes_is_not_counted():
    """Interpreters with a lock each share None: what two of them count without one is torn."""
    count = ctypes.c_ssize_t.from_address(id(None))
    before = count.value
    held = [pybuf.copyto(bytearray(1), b"x") for _ in range(100)]
    assert count.value == before
    assert held == [None] * 100
