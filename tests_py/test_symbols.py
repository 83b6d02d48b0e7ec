"""What the extension shows to the linker: two functions of its own, and CPython's stable ABI."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import abi3info
import pytest

from pybuf import _core

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or sys.maxsize < 2**32, reason="reads 64-bit ELF files"
)

SHT_DYNSYM = 11
STB_LOCAL, STB_GLOBAL, STB_WEAK = 0, 1, 2
SHN_UNDEF = 0


class Symbol(NamedTuple):
    name: str
    binding: int
    section: int

    @property
    def defined(self) -> bool:
        return self.section != SHN_UNDEF


def dynamic_symbols(elf: bytes) -> Iterator[Symbol]:
    """The dynamic symbol table of a 64-bit file, as `nm -D` lists it."""
    assert elf[:4] == b"\x7fELF"
    assert elf[4] == 2, "not a 64-bit file"
    order = "<" if elf[5] == 1 else ">"
    sections_at, entry_size, count = _fields(order, "40x Q 10x H H", elf, 0)
    sections = [
        # type, offset, size, link
        _fields(order, "4x I 16x Q Q I", elf, sections_at + i * entry_size)
        for i in range(count)
    ]
    tables = [section for section in sections if section[0] == SHT_DYNSYM]
    assert len(tables) == 1
    _, offset, size, link = tables[0]
    names = sections[link][1]
    for at in range(offset, offset + size, 24):
        name_at, info, section = _fields(order, "I B x H", elf, at)
        start = names + name_at
        yield Symbol(elf[start : elf.index(b"\0", start)].decode(), info >> 4, section)


def _fields(order: str, layout: str, elf: bytes, at: int) -> tuple[int, ...]:
    return struct.unpack_from(order + layout, elf, at)


@pytest.fixture(scope="module")
def symbols() -> list[Symbol]:
    return list(dynamic_symbols(Path(_core.__file__).read_bytes()))


def test_the_reader_reads(symbols: list[Symbol]):
    """Else the tests below might look at nothing."""
    names = {s.name for s in symbols if not s.defined}
    assert {"PyModuleDef_Init", "calloc", "pthread_create"} <= names


def test_only_the_init_function_and_what_a_forked_child_needs_are_exported(symbols: list[Symbol]):
    """Two libraries of Go in one process must not meet, nor anybody find our entry points."""
    exported = {s.name for s in symbols if s.defined and s.binding != STB_LOCAL}
    assert exported == {"PyInit__core", "pybuf_runtime_start"}


#: What the stable ABI itself spells with an underscore, because macros of its headers use it.
UNDERSCORED = {
    "_PyArg_ParseTupleAndKeywords_SizeT",
    "_PyErr_BadInternalCall",
    "_PyObject_CallFunction_SizeT",
    "_PyObject_CallMethod_SizeT",
    "_PyObject_GC_New",
    "_PyObject_New",
    "_Py_BuildValue_SizeT",
    "_Py_CheckRecursiveCall",
    "_Py_Dealloc",
    "_Py_DecRef",
    "_Py_FalseStruct",
    "_Py_IncRef",
    "_Py_NoneStruct",
    "_Py_NotImplementedStruct",
    "_Py_TrueStruct",
    "_Py_VaBuildValue_SizeT",
}


def test_nothing_private_of_python_is_used(symbols: list[Symbol]):
    used = {s.name for s in symbols if not s.defined and s.name.startswith(("Py", "_Py"))}
    assert used, "nothing of Python is used"
    assert {name for name in used if name.startswith("_")} <= UNDERSCORED


def test_every_name_of_python_is_in_the_list_of_the_stable_abi(symbols: list[Symbol]):
    known = {
        symbol.name: entry.added
        for table in (abi3info.FUNCTIONS, abi3info.DATAS)
        for symbol, entry in table.items()
    }
    used = {s.name for s in symbols if not s.defined and s.name.startswith(("Py", "_Py"))}
    assert used <= known.keys(), used - known.keys()
    later = {n for n in used if (known[n].major, known[n].minor) > (3, 11)}
    assert not later, f"not in CPython 3.11: {later}"


def test_no_name_is_left_to_chance(symbols: list[Symbol]):
    """An undefined weak name would be NULL where nobody defines it; these are the tools' own."""
    weak = {s.name for s in symbols if s.binding == STB_WEAK and not s.defined}
    assert weak <= {
        "_ITM_deregisterTMCloneTable",
        "_ITM_registerTMCloneTable",
        "__cxa_finalize",
        "__gmon_start__",
        "pthread_setattr_default_np",
    }
