"""What type checkers say of pybuf's users, and that it is what happens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typing_uses

ROOT = Path(__file__).resolve().parents[1]
USES = Path(typing_uses.__file__)
RIGHT = [use for name, use in vars(typing_uses).items() if name.startswith("right_")]
WRONG = [use for name, use in vars(typing_uses).items() if name.startswith("wrong_")]


def name(use: Callable[[], None]) -> str:
    return use.__name__


@pytest.mark.parametrize("use", RIGHT, ids=name)
def test_what_is_typed_right_runs(use: Callable[[], None]) -> None:
    use()


@pytest.mark.parametrize("use", WRONG, ids=name)
def test_what_is_typed_wrong_raises(use: Callable[[], None]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        use()


@pytest.fixture(scope="module")
def mypy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs mypy --strict as a user would and returns what it says, nothing if all is well."""
    folder = tmp_path_factory.mktemp("mypy")

    def run(*args: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", *args],
            capture_output=True,
            text=True,
            cwd=folder,  # no configuration, and a cache of its own
            env=os.environ | {"MYPYPATH": str(ROOT / "pyshim")},
            check=False,
        )
        assert done.returncode in {0, 1}, done.stderr
        return done.stdout

    return run


@pytest.mark.build
def test_mypy_takes_what_is_right_and_refuses_what_is_wrong(mypy: Callable[..., str]) -> None:
    assert mypy(str(USES)) == ""


@pytest.mark.build
def test_mypy_would_tell_a_stub_that_refuses_nothing(
    mypy: Callable[..., str], tmp_path: Path
) -> None:
    """The test above is one that can fail: without its comments each wrong use is an error."""
    bare = tmp_path / "bare.py"
    bare.write_text(USES.read_text().replace("# type: ignore", "# "))
    errors = [line for line in mypy(str(bare)).splitlines() if ": error: " in line]
    assert len(errors) == len(WRONG)


WITHOUT_NUMPY = """
import pybuf
from typing import Any, assert_type

pybuf.zeros((2, 3), "d")
pybuf.zeros(3, float)
assert_type(pybuf.zeros(3).numpy(), Any)
pybuf.zeros(3, object)  # type: ignore[arg-type]
pybuf.wrap("4096", 8, unowned=True)  # type: ignore[call-overload]
"""


@pytest.mark.build
def test_types_stay_precise_for_a_user_without_numpy(mypy: Callable[..., str]) -> None:
    # NumPy is out of sight; a user would not see this one message, which is about
    # a stub of somebody else.
    options = ("--no-site-packages", "--disable-error-code=import-not-found")
    assert mypy(*options, "-c", WITHOUT_NUMPY) == ""


@pytest.mark.build
def test_the_stub_says_what_the_module_has(tmp_path: Path) -> None:
    settings = tmp_path / "mypy.ini"
    settings.write_text(f"[mypy]\nmypy_path = {ROOT / 'pyshim'}\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "--mypy-config-file", str(settings), "pybuf"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
