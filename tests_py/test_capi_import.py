"""How an extension module finds the C API: versions, sizes, interpreters, and no pybuf at all."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import capi_build
import capi_uses as cu
import compiled
import pytest
from capi_uses import ADDRESS, ARRAY, NUMBERS, Every

import pybuf

HEADER = Path(pybuf.get_include(), "pybuf.h")

_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.restype = ctypes.py_object
_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
NAME = ctypes.create_string_buffer(b"pybuf._C_API")
SIZE = ctypes.c_uint32.from_address(_pointer(pybuf._C_API, NAME) + 4).value


# ---- the table -------------------------------------------------------------------------


def test_the_table_says_its_version_and_size(every: Every):
    assert every.import_() == (1, SIZE)


def test_the_capsule_is_the_package_s_and_no_public_name():
    assert repr(pybuf._C_API).startswith('<capsule object "pybuf._C_API"')
    assert "_C_API" not in pybuf.__all__


def replaced(monkeypatch: pytest.MonkeyPatch, version: int, size: int, more: int = 0) -> Any:
    """A capsule of another pybuf: its table begins as ours does."""
    start = ctypes.string_at(_pointer(pybuf._C_API, NAME), SIZE)
    table = ctypes.create_string_buffer(start + bytes(more))
    ctypes.memmove(table, (ctypes.c_uint32 * 2)(version, size), 8)
    monkeypatch.setattr(pybuf, "_C_API", _capsule(ctypes.addressof(table), NAME, None))
    capsule_names.append(table)
    return table


capsule_names: list[Any] = []  # a capsule keeps neither its name nor its table


@pytest.fixture
def forgotten(every: Every) -> Any:
    """The module, before it has found the table and after it forgot it again."""
    every.forget()
    yield every
    every.forget()


@pytest.mark.parametrize(
    ("version", "size", "advice"),
    [
        (2, SIZE, "build this module again, with its pybuf.h"),
        (2, SIZE + 80, "build this module again, with its pybuf.h"),
        (0, SIZE, "install a newer pybuf"),
        (1, SIZE - 8, "install a newer pybuf"),
        (1, 8, "install a newer pybuf"),
    ],
)
def test_another_table_is_an_import_error_with_both_numbers(
    forgotten: Every, monkeypatch, version, size, advice
):
    replaced(monkeypatch, version, size)
    sentence = (
        f"this module was built for version 1 of pybuf's C API with a table of {SIZE} bytes, "
        f"and the pybuf that is installed has version {version} with {size} bytes: {advice}"
    )
    with pytest.raises(ImportError) as raised:
        forgotten.import_()
    assert str(raised.value) == sentence
    for flags in (0, ARRAY):
        with pytest.raises(ImportError):
            forgotten.wrap(flags=flags)
    assert forgotten.released() == [(ADDRESS, 0)] * 2
    assert not forgotten.calls()[0].error


def test_a_table_with_additions_is_well(forgotten: Every, monkeypatch):
    replaced(monkeypatch, 1, SIZE + 80, more=80)
    assert forgotten.import_() == (1, SIZE + 80)
    assert forgotten.wrap().tolist() == NUMBERS


def test_a_pybuf_without_a_table_is_an_import_error(forgotten: Every, monkeypatch):
    for wrong in (None, 3, _capsule(8, ctypes.create_string_buffer(b"x").raw, None)):
        monkeypatch.setattr(pybuf, "_C_API", wrong)
        with pytest.raises(
            ImportError, match=r"version 1 of pybuf's C API, and the pybuf .* none"
        ):
            forgotten.import_()
    monkeypatch.delattr(pybuf, "_C_API")
    with pytest.raises(ImportError, match="install a newer pybuf"):
        forgotten.wrap()
    assert forgotten.released() == [(ADDRESS, 0)]


def test_nothing_has_to_be_called_first(forgotten: Every):
    asks: list[Callable[[], Any]] = [
        forgotten.wrap,
        lambda: forgotten.wrap_owned(cu.BLOCK),
        lambda: forgotten.memory(ADDRESS, 64, 0, cu.NOTE),
        lambda: forgotten.new((3,)),
        lambda: forgotten.rows_new(2, 2, b"d", 0),
        lambda: forgotten.check(3),
        lambda: forgotten.array(pybuf.zeros(3)),
    ]
    for ask in asks:
        forgotten.forget()
        ask()


# ---- without pybuf ---------------------------------------------------------------------


def test_without_pybuf_memory_is_released_and_owners_are_let_go(with_every):
    with_every(
        """
        sys.modules["pybuf"] = None
        owner = object()
        before = sys.getrefcount(owner)
        asks = [
            lambda: c.wrap(), lambda: c.wrap(flags=0), lambda: c.wrap(shape=(-1,)),
            lambda: c.memory(ADDRESS, 64, 0, NOTE), lambda: c.pointers(ADDRESS, 1, (2, 2)),
        ]
        others = [
            lambda: c.wrap_owned(owner), lambda: c.new((3,)), lambda: c.check(owner),
            lambda: c.rows(ADDRESS, 1, 1, b"d", 0, owner), lambda: c.rows_new(1, 1, b"d", 0),
            lambda: c.rows_table(owner), lambda: c.array(owner), lambda: c.adopt(ADDRESS, 0),
            lambda: c.lend(owner, 0), lambda: c.import_(),
            lambda: c.pointers_owned(ADDRESS, 1, 2, [2, 2], b"d", 0, owner),
        ]
        for ask in asks + others:
            try:
                ask()
            except ImportError as error:
                assert "pybuf" in str(error), error
            else:
                raise AssertionError
        assert c.released() == [(ADDRESS, 0)] * 5
        assert not any(call.error for call in c.calls())
        assert sys.getrefcount(owner) == before
        # One that comes later is found.
        del sys.modules["pybuf"]
        assert c.wrap(flags=0).tolist() == NUMBERS
        """
    )


def test_the_module_that_was_imported_last_is_the_one_that_is_meant(with_every):
    with_every(
        """
        import weakref, pybuf
        c.new((3,))
        for _ in range(3):
            kept, core = [c.wrap(), c.wrap(flags=0)], weakref.ref(pybuf._core)
            for name in [n for n in sys.modules if n.partition(".")[0] == "pybuf"]:
                del sys.modules[name]
            del pybuf
            gc.collect()
            assert c.check(kept[1]) # it lives as long as what it made
            import pybuf
            for _ in range(2):
                assert c.check(pybuf.zeros(3)) and c.check(c.wrap(flags=0))
                assert c.array(pybuf.zeros(3)).base.obj.nbytes == 3
                kept.clear()
                gc.collect()
                assert core() is None
        """
    )


# ---- several modules -------------------------------------------------------------------


def test_several_modules_at_once_get_their_own_releases_called():
    modules = [Every(capi_build.load(name)) for name in capi_build.EVERY]
    views = [
        [m.wrap(ADDRESS + 8 * i, (1,), flags=flags) for i, m in enumerate(modules)]
        for flags in (ARRAY, 0, ARRAY)
    ]
    again = modules[0].array(views[1][1])
    assert all(modules[0].check(b) for b in views[1])
    assert [v.tolist() for row in views for v in row] == [[0], [1], [2]] * 3
    views[1][1] = None
    assert [m.calls() for m in modules] == [[], [], []]
    del views
    assert [len(m.calls()) for m in modules] == [3, 2, 3]
    del again
    for i, m in enumerate(modules):
        assert m.released() == [(ADDRESS + 8 * i, 8)] * 3


def test_what_one_module_lends_another_adopts():
    one, other, third = (capi_build.load(name) for name in capi_build.EVERY)
    for lender, taker in ((one, other), (other, third), (third, one)):
        assert taker.adopt(lender.lend(pybuf.zeros(3, "d"), 0), ARRAY).tolist() == [0] * 3


@pytest.mark.skipif(sys.version_info < (3, 12), reason="exporters in Python came with 3.12")
def test_a_pybuf_that_ends_while_it_lends_is_kept_until_that_is_done(with_every):
    """What the call needs of it is not freed by Python that the exporter runs."""
    with_every(
        """
        class Exporter:
            def __buffer__(self, flags):
                for name in [n for n in sys.modules if n.partition(".")[0] == "pybuf"]:
                    del sys.modules[name]
                gc.collect()
                return memoryview(bytearray(8))
        assert c.new((3,))
        old = c.lend(Exporter(), 0)
        assert c.adopt(old, 0).tolist() == [0] * 8  # by a pybuf that was imported anew
        """
    )


def test_a_buffer_of_a_pybuf_that_was_imported_before_is_called_so(with_every):
    with_every(
        """
        b = c.wrap(flags=0)
        for name in [n for n in sys.modules if n.partition(".")[0] == "pybuf"]:
            del sys.modules[name]
        import pybuf
        assert not c.check(b) and c.check(pybuf.zeros(3))
        try:
            c.array(b)
        except TypeError as error:
            assert str(error).endswith("of the pybuf that is imported")
        assert c.adopt(c.lend(b, 0), ARRAY).tolist() == memoryview(b).tolist() == NUMBERS
        """
    )


# ---- other headers ---------------------------------------------------------------------


def compile_(folder: Path, header: str) -> Path:
    if lack := compiled.lacking():
        pytest.skip(lack)
    (folder / "pybuf.h").write_text(header)
    options = ["-std=c99", *capi_build.STRICT, f"-I{sysconfig.get_path('include')}", f"-I{folder}"]
    built = folder / ("importing" + compiled.SUFFIX)
    source = capi_build.FOLDER / "importing.c"
    subprocess.run(["cc", *options, str(source), "-o", str(built)], check=True)
    return built


EDITS: dict[str, tuple[str, str, str]] = {
    "as it is": ("", "", ""),
    "of the next version": (
        "#define PYBUF_API_VERSION 1",
        "#define PYBUF_API_VERSION 2",
        f"installed has version 1 with {SIZE} bytes: install a newer pybuf",
    ),
    "of an older version": (
        "#define PYBUF_API_VERSION 1",
        "#define PYBUF_API_VERSION 0",
        f"installed has version 1 with {SIZE} bytes: build this module again",
    ),
    "with more functions": (
        "} pybuf_api;",
        "    void (*added)(void);\n} pybuf_api;",
        f"installed has version 1 with {SIZE} bytes: install a newer pybuf",
    ),
    "with fewer functions": ("    void **(*rows_table)(PyObject *memory);\n} py", "} py", ""),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_a_module_built_with_another_header_is_imported_or_refused(fresh, tmp_path, edit):
    old, new, refusal = edit
    header = HEADER.read_text("utf-8")
    if old:
        assert header.count(old) == 1
        header = header.replace(old, new)
    if new == "} py":  # a header that old has no use for the function either
        start = header.index("/* The table of row pointers of an")
        header = header[:start] + header[header.index("/* ---- descriptors", start) :]
    compile_(tmp_path, header)
    version = new[-1] if "VERSION" in new else "1"
    size = SIZE + 8 if "added" in new else SIZE
    asked = f"built for version {version} of pybuf's C API with a table of {size} bytes"
    done = fresh(
        f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        try:
            import importing
        except ImportError as error:
            print(error)
        else:
            assert importing.make().tolist() == [0, 0, 0]
        """,
    )
    if not refusal:
        assert done.stdout == ""
    else:
        assert asked in done.stdout
        assert refusal in done.stdout


STANDARDS = [("cc", "c", s) for s in ("c99", "c11", "c17")]
STANDARDS += [("c++", "c++", s) for s in ("c++11", "c++20")]


@pytest.mark.parametrize(("compiler", "language", "standard"), STANDARDS)
@pytest.mark.parametrize("limited", [[], ["-DPy_LIMITED_API=0x030b0000"]], ids=len)
def test_the_header_has_no_warning_in_any_language(compiler, language, standard, limited):
    if lack := compiled.lacking(compiler):
        pytest.skip(lack)
    text = '#include "pybuf.h"\n#include <Python.h>\n#include "pybuf.h"\n#include "pybuf.h"\n'
    text += "int use(void); int use(void) { return pybuf_import(); }\n"
    strict = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wshadow", "-Wconversion"]
    strict += ["-Wsign-conversion", "-Wcast-qual", "-Wundef"]
    strict += (
        ["-Wold-style-definition", "-Wstrict-prototypes"]
        if language == "c"
        else ["-Wold-style-cast", "-Wzero-as-null-pointer-constant"]
    )
    include = [f"-I{pybuf.get_include()}", f"-isystem{sysconfig.get_path('include')}"]
    options = ["-x", language, f"-std={standard}", *strict, *include, *limited]
    subprocess.run(
        [compiler, *options, "-fsyntax-only", "-"],
        input=text,
        text=True,
        check=True,
    )
