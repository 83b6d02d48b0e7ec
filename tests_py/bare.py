"""Fresh interpreters with as little in them as can be, many at once."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pybuf

#: Where the package is, for interpreters that know no site-packages.
ROOT = str(Path(pybuf.__file__).parent.parent)

#: More than there are processors: a start waits for files, too.
AT_ONCE = 2 * (os.cpu_count() or 1)


@dataclass(frozen=True)
class Case:
    """What one interpreter is given beside the program, and its name in reports."""

    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([*(f"{k}={v}" for k, v in self.env.items()), *self.args])[:120]


@dataclass(frozen=True)
class Outcome:
    case: Case
    status: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"{self.case}: {self.status} {self.out[-200:]!r} {self.err[-200:]!r}"

    @property
    def quiet(self) -> bool:
        """It ended by itself, with no word of its own or of anybody's runtime."""
        return self.status == 0 and self.err == ""


def run(code: str, case: Case = Case(), timeout: float = 60) -> Outcome:
    """Runs code with the package in reach and an environment that is the case's alone."""
    program = f"import sys\nsys.path.insert(0, {ROOT!r})\n" + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", program, *case.args],
        capture_output=True,
        timeout=timeout,
        env=dict(case.env),
        check=False,
    )
    out, err = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
    return Outcome(case, done.returncode, out.strip(), err)


def run_each(code: str, cases: Iterable[Case]) -> list[Outcome]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda case: run(code, case), cases))


def told(outcomes: Iterable[Outcome]) -> str:
    """One a line, for a test that wants none of them."""
    return "\n".join(map(str, outcomes))


#: Root has any number of processes, unless it is another user who can do all but that.
NOBODY = """
    import ctypes, os
    libc = ctypes.CDLL(None, use_errno=True)
    os.setresuid(20_000 + os.getppid() % 30_000, 0, 0)  # nobody else, whose processes count too
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for capability in 21, 24:  # SYS_ADMIN, SYS_RESOURCE
        sets[0] &= ~(1 << capability)
        sets[1] &= ~(1 << capability)
    assert libc.capset(header, sets) == 0
"""
