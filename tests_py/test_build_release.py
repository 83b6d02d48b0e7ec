"""Wheels for other machines and an older glibc: what PYBUF_ZIG_TARGET decides."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from setuptools import Distribution, Extension

import pybuf

pytestmark = pytest.mark.build

ROOT = Path(__file__).resolve().parents[1]
TARGETS = {
    "x86_64-linux-gnu.2.17": ("amd64", "manylinux_2_17_x86_64"),
    "aarch64-linux-gnu.2.17": ("arm64", "manylinux_2_17_aarch64"),
    "aarch64-linux-gnu.2.28": ("arm64", "manylinux_2_28_aarch64"),
}


@pytest.fixture(scope="module")
def targets():
    return importlib.import_module("buildsys.target")


@pytest.fixture(scope="module")
def toolchain():
    return importlib.import_module("buildsys.toolchain")


@pytest.fixture(scope="module")
def gobuild():
    return importlib.import_module("buildsys.gobuild")


@pytest.fixture
def ziglang(toolchain, monkeypatch, tmp_path):
    """Let the package ziglang be there, and each compiler work, or leave it away."""

    def put(there=True):
        folder = tmp_path if there else None
        monkeypatch.setattr(toolchain, "_package_folder", lambda _name: folder)
        monkeypatch.setattr(toolchain.subprocess, "run", compile_all)

    def compile_all(command, **_options):
        if "-o" in command:
            Path(command[command.index("-o") + 1]).touch()
        return subprocess.CompletedProcess(command, 0, "go version go1.99.1 linux/amd64", "")

    return put


# What the switch says


@pytest.mark.parametrize("value", TARGETS)
def test_the_switch_gives_the_machine_to_go_and_the_name_to_the_wheel(targets, value):
    target = targets.from_environ({"PYBUF_ZIG_TARGET": value})
    assert (target.goarch, target.platform_tag) == TARGETS[value]
    assert str(target) == value


@pytest.mark.parametrize("environ", [{}, {"PYBUF_ZIG_TARGET": ""}])
def test_without_the_switch_a_wheel_is_for_this_system(targets, environ):
    assert targets.from_environ(environ) is None
    assert targets.wheel_options(environ) == {"py_limited_api": "cp311"}


@pytest.mark.parametrize(
    "value",
    ["1", "riscv64-linux-gnu.2.17", "x86_64-linux-musl", "x86_64-linux-gnu", "x86_64-macos"],
)
def test_an_unknown_target_is_refused_in_one_sentence(targets, value):
    with pytest.raises(targets.Refusal) as caught:
        targets.from_environ({"PYBUF_ZIG_TARGET": value})
    assert str(caught.value) == (
        f"PYBUF_ZIG_TARGET is {value!r} in the environment: set it to x86_64-linux-gnu.2.17 or "
        "aarch64-linux-gnu.2.17, or unset it."
    )


def test_a_glibc_that_lacks_what_the_sources_need_is_refused(targets):
    with pytest.raises(targets.Refusal, match=r"glibc 2\.5, and pybuf needs 2\.17 or newer"):
        targets.from_environ({"PYBUF_ZIG_TARGET": "x86_64-linux-gnu.2.5"})


def test_two_compilers_are_one_too_many(targets):
    environ = {"PYBUF_ZIG_TARGET": "x86_64-linux-gnu.2.17", "CC": "gcc-14"}
    with pytest.raises(targets.Refusal, match=r"and CC for gcc-14: unset one of them"):
        targets.from_environ(environ)


def test_setup_py_ends_with_the_sentence():
    done = subprocess.run(
        [sys.executable, "setup.py", "--version"],
        cwd=ROOT,
        env={**os.environ, "PYBUF_ZIG_TARGET": "amiga"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: PYBUF_ZIG_TARGET is 'amiga'")


# What the tools are told


@pytest.mark.parametrize("value", TARGETS)
def test_zig_builds_for_the_target_and_no_other_compiler(toolchain, ziglang, value):
    ziglang()
    tools = toolchain.find({"PYBUF_ZIG_TARGET": value, "PATH": os.environ["PATH"]})
    assert f" -m ziglang cc -target {value} " in tools.cc
    assert str(tools.target) == value


def test_without_zig_the_switch_is_refused(toolchain, ziglang):
    ziglang(there=False)
    environ = {"PYBUF_ZIG_TARGET": "x86_64-linux-gnu.2.17", "PATH": os.environ["PATH"]}
    with pytest.raises(toolchain.Refusal, match=r"asks for zig's C compiler.*pip install ziglang"):
        toolchain.find_cc(environ)


def test_zig_is_fetched_for_a_target_though_a_compiler_is_there(toolchain, ziglang):
    ziglang(there=False)
    environ = {"PATH": os.environ["PATH"]}
    assert toolchain.lacking(environ) == []
    environ["PYBUF_ZIG_TARGET"] = "aarch64-linux-gnu.2.17"
    assert toolchain.lacking(environ) == [toolchain.CC_PACKAGE]


def test_an_unknown_target_is_refused_before_anything_is_fetched(toolchain):
    with pytest.raises(toolchain.Refusal, match="PYBUF_ZIG_TARGET is 'amiga'"):
        toolchain.lacking({"PYBUF_ZIG_TARGET": "amiga"})


@pytest.mark.parametrize("value", TARGETS)
def test_the_target_decides_and_not_goarch(targets, gobuild, tmp_path, value):
    target = targets.from_environ({"PYBUF_ZIG_TARGET": value})
    tools = gobuild.Toolchain("go", "zig", target)
    environ = gobuild.go_environ(tools, tmp_path, gobuild.GoSwitches(), {"GOARCH": "riscv64"})
    assert environ["GOARCH"] == TARGETS[value][0]
    assert environ["CC"] == "zig"


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_only_what_is_for_this_machine_is_loaded(targets, gobuild, monkeypatch, tmp_path, machine):
    monkeypatch.setattr(targets.platform, "machine", lambda: "x86_64")
    tools = gobuild.Toolchain("go", "zig", targets.Target(machine))
    monkeypatch.setattr(gobuild.toolchain, "find", lambda: tools)
    monkeypatch.setattr(gobuild, "build_module", lambda *_args: tmp_path / "built.so")
    loaded = []
    monkeypatch.setattr(gobuild, "check_loads", lambda *args: loaded.append(args))
    command = gobuild.GoBuildExt(Distribution())
    command.build_temp = str(tmp_path)
    for name in ("get_ext_fullpath", "mkpath", "copy_file"):
        monkeypatch.setattr(command, name, lambda *_args: "module.so")
    command.build_extension(Extension("pybuf._core", sources=[]))
    assert bool(loaded) == (machine == "x86_64")


# What is made


@pytest.mark.parametrize("value", TARGETS)
def test_the_wheel_is_named_for_the_target_and_for_each_python(targets, value):
    distribution = Distribution({"ext_modules": [Extension("pybuf._core", sources=[])]})
    options = targets.wheel_options({"PYBUF_ZIG_TARGET": value})
    distribution.command_options["bdist_wheel"] = {
        name: ("setup.py", said) for name, said in options.items()
    }
    command = distribution.get_command_obj("bdist_wheel")
    command.ensure_finalized()
    assert command.get_tag() == ("cp311", "abi3", TARGETS[value][1])


def test_no_path_and_no_tool_leaves_a_mark_in_the_module(gobuild, tmp_path):
    command = gobuild.go_command(gobuild.Toolchain("go", "cc"), tmp_path, gobuild.GoSwitches())
    flags = next(word for word in command if word.startswith("-ldflags="))
    assert "-buildid= " in flags
    assert "-trimpath" in command


def test_what_tries_an_installed_wheel_passes_here(tmp_path):
    site = Path(pybuf.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "try_install.py", site],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"pybuf {pybuf.__version__} imports and works\n")
