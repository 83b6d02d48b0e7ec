"""How the tests of the demo run it, make databases, and read what it prints."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Run = Callable[..., subprocess.CompletedProcess[str]]
STRICT = ("-X", "dev", "-W", "error")

# A program that runs the demo, to be put behind statements that change something.
DEMO = """
import runpy, sys
sys.argv[0] = "pybuf"
runpy.run_module("pybuf", run_name="__main__", alter_sys=True)
"""


def environ(**changes: str) -> dict[str, str]:
    buffered = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return buffered | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "80"} | changes


def runner(folder: Path) -> Run:
    """A function that runs `python -m pybuf` with arguments, or a program in its place."""

    def run(*args: Any, program: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        code = ("-c", program) if program else ("-m", "pybuf")
        usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environ()}
        return subprocess.run(
            [sys.executable, *STRICT, *code, *map(os.fspath, args)],
            encoding="utf-8",
            cwd=folder,
            timeout=60,
            check=False,
            **usual | options,
        )

    return run


def told(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a run that went well."""
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence of a run that was refused."""
    assert done.returncode == 1, done
    assert done.stdout == ""
    sentence = done.stderr
    assert sentence.endswith("\n")
    assert "Traceback" not in sentence
    return sentence


def numbers(pattern: str, text: str) -> list[int]:
    found = re.search(pattern, text)
    assert found, (pattern, text)
    return [int(group.replace(",", "")) for group in found.groups()]


def kinds(text: str) -> dict[str, int]:
    """The table of pages: name -> pages."""
    row = r"^ +([a-z][a-z ]+?) +([\d,]+)  [█# ]*(?:[\d,]+ cells)?$"
    rows = re.findall(row, text, re.MULTILINE)
    return {name: int(pages.replace(",", "")) for name, pages in rows}


def cells(text: str, kind: str) -> int:
    return numbers(rf"{kind} .* ([\d,]+) cells", text)[0]


def fill(path: Path, *settings: str, rows: int = 3000) -> None:
    """A database with an index, overflow pages and, mostly, a freelist."""
    with sqlite3.connect(path) as connection:
        for setting in settings:
            connection.execute(f"PRAGMA {setting}").fetchall()
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
        connection.execute("CREATE INDEX by_name ON t (name)")
        connection.execute("CREATE TABLE long (body BLOB)")
        names = ((f"name {i * 7919 % rows}",) for i in range(rows))
        connection.executemany("INSERT INTO t (name) VALUES (?)", names)
        connection.executemany("INSERT INTO long VALUES (?)", [(bytes(200_000),)] * 3)
        connection.execute("DELETE FROM t WHERE id BETWEEN 1000 AND 2500")
        connection.execute("DELETE FROM long WHERE rowid = 2")
    connection.close()


def ask(path: Path, sql: str) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(sql).fetchone()[0])
    finally:
        connection.close()
