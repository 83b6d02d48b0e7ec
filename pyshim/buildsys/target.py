"""The machine that a wheel is made for, where it is not simply this one.

A wheel for others must not ask for the glibc of the machine that made it. zig
links against any glibc, for any machine; which, the environment says.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass

from .refusal import Refusal, as_last_words

SWITCH = "PYBUF_ZIG_TARGET"

# What pybuf is made for: the names of Python's platform tags, and Go's.
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}

# The oldest glibc that the C sources are content with, of manylinux_2_17.
GLIBC = (2, 17)


@dataclass(frozen=True)
class Target:
    """A machine, and the oldest glibc that a module for it runs with."""

    machine: str
    glibc: tuple[int, int] = GLIBC

    def __str__(self) -> str:
        """Say it as zig does."""
        return f"{self.machine}-linux-gnu.{self.glibc[0]}.{self.glibc[1]}"

    @property
    def goarch(self) -> str:
        """Go's name of the machine."""
        return MACHINES[self.machine]

    @property
    def platform_tag(self) -> str:
        """The last part of the name of a wheel, by which pip chooses."""
        return f"manylinux_{self.glibc[0]}_{self.glibc[1]}_{self.machine}"

    def is_here(self) -> bool:
        """Tell whether this machine can load what is made."""
        return self.machine == platform.machine()


def from_environ(environ: Mapping[str, str] = os.environ) -> Target | None:
    """Read PYBUF_ZIG_TARGET: a machine and a glibc as zig spells them, or None."""
    value = environ.get(SWITCH, "").strip()
    if not value:
        return None
    match = re.fullmatch(r"(\w+)-linux-gnu\.(\d+)\.(\d+)", value)
    if match is None or match[1] not in MACHINES:
        known = " or ".join(str(Target(machine)) for machine in MACHINES)
        raise Refusal(f"{SWITCH} is {value!r} in the environment: set it to {known}, or unset it.")
    target = Target(match[1], (int(match[2]), int(match[3])))
    if target.glibc < GLIBC:
        oldest = Target(target.machine)
        raise Refusal(
            f"{SWITCH} asks for glibc {match[2]}.{match[3]}, and pybuf needs "
            f"{GLIBC[0]}.{GLIBC[1]} or newer: set it to {oldest}."
        )
    if environ.get("CC", "").strip():
        raise Refusal(
            f"{SWITCH} asks for zig's C compiler and CC for {environ['CC']}: unset one of them."
        )
    return target


def wheel_options(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what setuptools is to be told of the name of the wheel."""
    with as_last_words():
        target = from_environ(environ)
    options = {"py_limited_api": "cp311"}
    # Else setuptools says linux_x86_64, which is for this very system.
    return {**options, "plat_name": target.platform_tag} if target else options
