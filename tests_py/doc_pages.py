"""Runs the blocks of a page: python doc_pages.py PAGE [--programs KIND].

A page that says what is alive needs an interpreter in which nothing else is.

Of most pages the ```python blocks are run. Where a page shows how programs are
built, all blocks are run in their order, in the working folder: a block whose
first line names a file is written to it, shell goes to bash.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What programs the blocks of a page are, or those of a section of README.md.
PROGRAMS = {
    "go.md": "go",
    "From Go": "go",
    "c.md": "c",
    "From C and C++": "c",
    "cython.md": "cython",
}
FILES = {"c", "cpp", "cython", "go", "toml"}


@dataclass(frozen=True)
class Block:
    language: str
    text: str
    line: int  # of the page, where the text begins
    follows: bool  # nothing but blanks between it and the block before
    section: str = ""  # the heading above it

    def program(self, page: Path) -> str:
        """What sort of program it is a part of, if it is one of how a program is built."""
        return PROGRAMS.get(page.name) or PROGRAMS.get(self.section, "")

    def file(self) -> str:
        """The file that its first line names, if it is one."""
        named = re.match(r"(?://|#) ([\w./]+\.\w+)\n", self.text)
        assert named or self.language not in FILES, f"line {self.line}: no file is named"
        return named[1] if named else ""


def blocks(page: Path) -> list[Block]:
    content = page.read_text(encoding="utf-8")
    found, end = [], -1
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", content, re.MULTILINE | re.DOTALL):
        line = content.count("\n", 0, match.start(2)) + 1
        follows = end >= 0 and not content[end : match.start()].strip()
        headings = re.findall(r"^#+ (.*)$", content[: match.start()], re.MULTILINE)
        found.append(Block(match[1], match[2], line, follows, headings[-1] if headings else ""))
        end = match.end()
    assert content.count("\n```") + content.startswith("```") == 2 * len(found), page
    return found


def like(expected: str) -> re.Pattern[str]:
    """A pattern for a text in which "..." stands for anything."""
    return re.compile(".*".join(map(re.escape, expected.split("..."))), re.DOTALL)


@dataclass
class Statement:
    node: ast.stmt
    expected: str = ""  # the repr, or the name of an exception and its text
    raises: bool = False


EXPECTATION = re.compile(r"#\s+(->|raises)\s+(.*)$")


def statements(block: Block) -> Iterator[Statement]:
    tree = ast.parse(block.text)
    lines = block.text.splitlines()
    found = 0
    for node in tree.body:
        last = node.end_lineno or 0
        behind = lines[last - 1].encode()[node.end_col_offset :].decode()
        below = lines[last].strip() if last < len(lines) else ""
        match = EXPECTATION.match(behind.strip()) or EXPECTATION.match(below)
        if match is None:
            yield Statement(node)
        else:
            found += 1
            yield Statement(node, match[2], raises=match[1] == "raises")
    assert found == sum(EXPECTATION.search(line) is not None for line in lines)


def execute(statement: Statement, place: str, scope: dict[str, Any]) -> None:
    node = statement.node
    if not statement.expected or statement.raises:
        code = compile(ast.Module([node], []), place, "exec")
        if not statement.raises:
            exec(code, scope)
            return
        try:
            exec(code, scope)
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        else:
            said = "nothing"
    else:
        assert isinstance(node, ast.Expr), f"{place}:{node.lineno}: only expressions have a value"
        said = repr(eval(compile(ast.Expression(node.value), place, "eval"), scope))
    where = f"{place}:{node.lineno}"
    assert like(statement.expected).fullmatch(said), f"{where}: {statement.expected} != {said}"


def write(block: Block) -> None:
    place = Path(block.file())
    place.parent.mkdir(exist_ok=True)
    place.write_text(block.text, encoding="utf-8")


def run_shell(block: Block) -> str:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (block.text, done.stdout, done.stderr)
    return done.stdout


def run_python(block: Block, place: str, scope: dict[str, Any]) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for statement in statements(block):
            ast.increment_lineno(statement.node, block.line - 1)
            execute(statement, place, scope)
    return printed.getvalue()


def run_page(page: Path, programs: str = "") -> None:
    """Runs all blocks in one namespace, and looks that nothing is left behind."""
    scope: dict[str, Any] = {"__name__": "page"}
    all_blocks = blocks(page)
    for i, block in enumerate(all_blocks):
        if block.program(page) != programs:
            continue
        after = all_blocks[i + 1] if i + 1 < len(all_blocks) else None
        shown = after.text if after and after.follows and after.language == "text" else ""
        if programs and block.file():
            write(block)
        elif block.language == "python":
            printed = run_python(block, page.name, scope)
            assert like(shown).fullmatch(printed), f"{page.name}:{block.line}: {printed}"
        elif programs and block.language == "sh":
            printed = run_shell(block)
            assert not shown or like(shown).fullmatch(printed), f"{page.name}:{block.line}"
    scope.clear()
    gc.collect()
    pybuf = sys.modules.get("pybuf")
    assert pybuf is None or pybuf.live() == [], pybuf.live()


if __name__ == "__main__":
    sys.path[0] = ""  # as a reader's Python has it; this file's folder is the tests' own
    run_page(Path(sys.argv[1]), *sys.argv[3:])
