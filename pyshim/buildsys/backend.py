"""The PEP 517 backend: setuptools', and what a machine lacks for the build.

Where no Go is found that go.mod admits, and no C compiler that works, pip is
asked to bring them as wheels, into the environment of this build alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

from . import toolchain
from .refusal import as_last_words

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

if TYPE_CHECKING:  # a Python that is too old shall read on until it is refused
    Settings = dict[str, str | list[str] | None] | None


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return what a wheel is built with, beside setuptools."""
    return [*_lacking(), *build_meta.get_requires_for_build_wheel(config_settings)]


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Return the same for an editable install."""
    return [*_lacking(), *build_meta.get_requires_for_build_editable(config_settings)]


def _lacking() -> list[str]:
    with as_last_words():
        return toolchain.lacking()
