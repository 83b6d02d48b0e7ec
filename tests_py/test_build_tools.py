"""What the build finds on a machine, and what it refuses in one sentence."""

import importlib
import os
import shutil
import stat
import subprocess
import sys
import sysconfig

import pytest

pytestmark = pytest.mark.build


@pytest.fixture(scope="module")
def tools():
    return importlib.import_module("buildsys.toolchain")


@pytest.fixture
def refused(tools):
    """Call with a function that must refuse; gives back the sentence."""

    def call(function, *args, **kwargs):
        with pytest.raises(tools.Refusal) as caught:
            function(*args, **kwargs)
        text = str(caught.value)
        assert text.endswith(".")
        assert "\n" not in text
        return text

    return call


@pytest.fixture
def bin_folder(tmp_path):
    """Make a folder for PATH: give it the names of real tools, or scripts."""

    def make(*names, **scripts):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name in names:
            (folder / name).symlink_to(shutil.which(name))
        for name, body in scripts.items():
            path = folder / name
            path.write_text(f"#!/bin/sh\n{body}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return {"PATH": str(folder)}

    return make


def fake_go(version):
    return f"echo go version {version} linux/amd64"


# Python


def test_this_python_is_accepted(tools):
    tools.judge_python()


def test_pypy_is_refused(tools, refused):
    text = refused(tools.judge_python, implementation="pypy")
    assert "this Python is pypy" in text


def test_free_threaded_python_is_refused(tools, refused):
    text = refused(tools.judge_python, config={"Py_GIL_DISABLED": 1})
    assert "free-threaded" in text


@pytest.mark.parametrize("platform", ["darwin", "win32", "cygwin"])
def test_other_systems_are_refused(tools, refused, platform):
    text = refused(tools.judge_python, platform=platform)
    assert f"runs on {platform}" in text


def test_musl_is_refused(tools, refused):
    text = refused(
        tools.judge_python, platform="linux", config={"SOABI": "cpython-311-x86_64-linux-musl"}
    )
    assert "stands on musl (SOABI cpython-311-x86_64-linux-musl)" in text


# Go


def test_no_go_is_refused(tools, refused, bin_folder):
    text = refused(tools.find_go, bin_folder())
    assert "there is no go command on PATH" in text
    assert "install Go 1." in text


@pytest.mark.parametrize("version", ["go1.19.8", "go1.9", "go1.23rc1"])
def test_old_go_is_refused_with_its_version_and_path(tools, refused, bin_folder, version):
    environ = bin_folder(go=fake_go(version))
    text = refused(tools.find_go, environ)
    assert f"Go {version[2:].partition('rc')[0]} ({environ['PATH']}/go) is older than" in text
    assert "that go.mod asks for" in text


@pytest.mark.parametrize("version", ["go1.99.1", "go2.0", "go1.99rc2", "devel go1.99-5f2a9b1"])
def test_newer_go_is_taken(tools, bin_folder, version):
    environ = bin_folder(go=fake_go(version))
    assert tools.find_go(environ) == os.path.join(environ["PATH"], "go")


@pytest.mark.parametrize("script", ["echo broken >&2; exit 3", "echo broken"])
def test_go_without_a_version_is_refused(tools, refused, bin_folder, script):
    text = refused(tools.find_go, bin_folder(go=script))
    assert "does not tell its version (it says: broken)" in text


def test_go_is_not_let_fetch_another_go(tools, bin_folder):
    environ = bin_folder(go='test "$GOTOOLCHAIN" = local && ' + fake_go("go1.99"))
    assert tools.find_go({**environ, "GOTOOLCHAIN": "auto"})


# The C compiler


def test_no_compiler_is_refused(tools, refused, bin_folder):
    text = refused(tools.find_cc, bin_folder())
    assert "gcc: not found; cc: not found; clang: not found" in text
    assert "install gcc" in text


def test_a_compiler_that_fails_is_refused_with_its_words(tools, refused, bin_folder):
    text = refused(tools.find_cc, bin_folder(gcc="echo stdlib.h: No such file >&2; exit 1"))
    assert "gcc: stdlib.h: No such file" in text


def test_a_compiler_that_makes_nothing_is_refused(tools, refused, bin_folder):
    text = refused(tools.find_cc, bin_folder(gcc="exit 0"))
    assert "gcc: nothing" in text


def test_the_next_compiler_is_tried(tools, bin_folder):
    environ = bin_folder("cc", gcc="exit 1")
    assert tools.find_cc({"PATH": f"{environ['PATH']}:{os.environ['PATH']}"}) == "cc"


def test_cc_of_the_environment_is_taken_with_its_arguments(tools):
    chosen = {**os.environ, "CC": "cc -pipe"}
    assert tools.find_cc(chosen) == "cc -pipe"


@pytest.mark.parametrize("chosen", ["no-such-cc -O2", "'cc"])
def test_cc_of_the_environment_is_not_replaced(tools, refused, chosen):
    text = refused(tools.find_cc, {**os.environ, "CC": chosen})
    assert f"({chosen}: " in text
    assert "or let CC name another compiler" in text


# Python.h


def test_headers_are_found(tools):
    assert os.path.isfile(os.path.join(tools.find_include(), "Python.h"))


def test_missing_headers_are_refused(tools, refused, tmp_path, monkeypatch):
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(tmp_path))
    text = refused(tools.find_include)
    assert f"no Python.h in {tmp_path}:" in text
    assert f"python3.{sys.version_info.minor}-dev" in text


# All of them


def test_everything_that_is_missing_is_named_at_once(tools, bin_folder):
    with pytest.raises(tools.Refusal) as caught:
        tools.find(bin_folder())
    go, compiler = str(caught.value).splitlines()
    assert "no go command" in go
    assert "No C compiler" in compiler


def test_make_asks_for_them_before_it_fetches_anything(tools, bin_folder):
    package = os.path.dirname(tools.__file__)
    done = subprocess.run(
        [sys.executable, "-m", "buildsys"],
        cwd=os.path.dirname(package),
        env=bin_folder(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: pybuf is built with Go, and there is no go command")
    assert "Traceback" not in done.stderr


def test_the_tools_of_this_machine_are_found(tools):
    found = tools.find()
    assert os.path.isabs(found.go)
    assert found.cc
    assert os.path.isdir(found.include)
