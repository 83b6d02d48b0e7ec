"""The build_ext command: how it calls go, and what comes out of it."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.build

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def gobuild():
    return importlib.import_module("buildsys.gobuild")


@pytest.fixture(scope="module")
def project():
    return importlib.import_module("buildsys.project")


@pytest.fixture
def tools(gobuild):
    return gobuild.Toolchain(go="/opt/go/bin/go", cc="cc")


@pytest.fixture
def tree(tmp_path):
    """Copy what a build needs into a folder with a blank and a comma in its name."""
    copy = tmp_path / "a copy, moved"
    copy.mkdir()
    for name in ("LICENSE", "MANIFEST.in", "README.md", "go.mod", "pyproject.toml", "setup.py"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    for name in ("capi", "gopybuf", "pybuf", "pyshim"):
        unwanted = shutil.ignore_patterns("_core.abi3.*", "*.egg-info", "__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=unwanted)
    return copy


def build(tree, *options, **environ):
    return subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace", *options],
        cwd=tree,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def module_of(tree):
    return tree / "pyshim" / "pybuf" / "_core.abi3.so"


# The command line and the environment of go


def test_the_file_name_is_the_same_on_each_python(gobuild, monkeypatch):
    monkeypatch.setattr("sysconfig.get_config_var", lambda _name: ".cpython-315-x.so")
    command = gobuild.GoBuildExt.__new__(gobuild.GoBuildExt)
    assert command.get_ext_filename("pybuf._core") == "pybuf/_core.abi3.so"


@pytest.mark.parametrize("name", ["CGO_ENABLED", "GOFLAGS", "GOTOOLCHAIN", "GOWORK"])
def test_the_environment_cannot_change_the_build(gobuild, tools, tmp_path, name):
    plain = {"HOME": str(tmp_path)}
    meddled = gobuild.go_environ(tools, tmp_path, gobuild.GoSwitches(), {**plain, name: "0"})
    assert meddled == gobuild.go_environ(tools, tmp_path, gobuild.GoSwitches(), plain)


def test_another_target_is_not_built(gobuild, tools, tmp_path, monkeypatch):
    monkeypatch.setattr(gobuild.platform, "machine", lambda: "aarch64")
    given = {"GOOS": "plan9", "GOARCH": "mips"}
    environ = gobuild.go_environ(tools, tmp_path, gobuild.GoSwitches(), given)
    assert (environ["GOOS"], environ["GOARCH"]) == ("linux", "arm64")


def test_goroot_is_kept_for_the_go_of_path_only(gobuild, tools, tmp_path):
    go = tmp_path / "go"
    go.touch(0o755)
    given = {"GOROOT": "/usr/lib/go", "PATH": str(tmp_path)}
    switches = gobuild.GoSwitches()
    assert "GOROOT" not in gobuild.go_environ(tools, tmp_path, switches, given)
    own = gobuild.Toolchain(go=str(go), cc="cc")
    assert gobuild.go_environ(own, tmp_path, switches, given)["GOROOT"] == "/usr/lib/go"


@pytest.mark.parametrize("flags", [0, os.ST_NOEXEC | os.ST_NOSUID])
def test_a_library_is_not_tried_where_nothing_may_run(gobuild, tmp_path, monkeypatch, flags):
    monkeypatch.setattr(gobuild.os, "statvfs", lambda _path: SimpleNamespace(f_flag=flags))
    assert gobuild.lies_where_nothing_runs(tmp_path / "built.so") == bool(flags)


def test_flags_of_the_user_come_last(gobuild, tools, tmp_path):
    given = {"CGO_CFLAGS": "-O3"}
    environ = gobuild.go_environ(tools, tmp_path, gobuild.GoSwitches(), given)
    flags = environ["CGO_CFLAGS"]
    assert flags.startswith("-O2 -g -DPYBUF_HEADERS=0x")
    assert flags.endswith(" -O3")


@pytest.mark.parametrize("home", [None, "", "/proc/no/such/home"])
def test_without_a_home_the_cache_lies_in_the_build_folder(gobuild, tools, tmp_path, home):
    given = {} if home is None else {"HOME": home}
    environ = gobuild.go_environ(tools, tmp_path, gobuild.GoSwitches(), given)
    assert environ["GOCACHE"] == str(tmp_path / "go-cache")


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME", "GOCACHE"])
def test_with_a_home_the_cache_is_gos_own(gobuild, tools, tmp_path, name):
    given = {name: str(tmp_path)}
    environ = gobuild.go_environ(tools, tmp_path, gobuild.GoSwitches(), given)
    assert environ.get("GOCACHE") == given.get("GOCACHE")


def test_debug_keeps_symbols_and_paths(gobuild, tools, tmp_path):
    switches = gobuild.GoSwitches.from_environ({"PYBUF_DEBUG": "1"})
    command = gobuild.go_command(tools, tmp_path / "out.so", switches)
    assert "-trimpath" not in command
    assert not any("-ldflags=-s -w" in word for word in command)
    environ = gobuild.go_environ(tools, tmp_path, switches, {})
    assert environ["CGO_CFLAGS"].startswith("-O0 -g3 ")


def test_werror_is_a_build_tag(gobuild, tools, tmp_path):
    switches = gobuild.GoSwitches.from_environ({"PYBUF_WERROR": "1"})
    assert "-tags=pyext,werror" in gobuild.go_command(tools, tmp_path / "out.so", switches)
    assert "-Werror" not in gobuild.go_environ(tools, tmp_path, switches, {})["CGO_CFLAGS"]


def test_a_switch_with_another_value_is_refused(gobuild):
    with pytest.raises(gobuild.Refusal, match=r"PYBUF_DEBUG is 'yes'.*set it to 1 or to 0"):
        gobuild.GoSwitches.from_environ({"PYBUF_DEBUG": "yes"})


@pytest.mark.parametrize(
    ("word", "quoted"),
    [("-I/a", "-I/a"), ("-I/a b", "'-I/a b'"), ('-D"x"', "'-D\"x\"'"), ("-I/o'b", '"-I/o\'b"')],
)
def test_words_are_quoted_as_go_reads_them(gobuild, word, quoted):
    assert gobuild.quote(word) == quoted


def test_a_word_that_go_cannot_read_is_refused(gobuild):
    with pytest.raises(gobuild.Refusal, match="a quote in it"):
        gobuild.quote("both ' and \"")


# What the tree says


def test_the_version_of_the_metadata_is_gos(project):
    assert project.version() == version("pybuf-go")


def test_a_tree_without_a_version_is_refused(project, tmp_path):
    (tmp_path / "pybuf").mkdir()
    (tmp_path / "pybuf" / "version.go").write_text("package pybuf\n")
    with pytest.raises(project.Refusal, match=r"version\.go has no line"):
        project.version(tmp_path)


def test_the_digest_changes_with_text_name_and_number_of_headers(project, tmp_path):
    for folder in ("capi", "pyshim"):
        (tmp_path / folder).mkdir()
    seen = {project.headers_digest(tmp_path)}
    header = tmp_path / "capi" / "a.h"
    for text in ("int a;", "int b;"):
        header.write_text(text)
        seen.add(project.headers_digest(tmp_path))
    header.rename(tmp_path / "capi" / "b.h")
    seen.add(project.headers_digest(tmp_path))
    (tmp_path / "pyshim" / "c.h").write_text("")
    seen.add(project.headers_digest(tmp_path))
    assert len(seen) == 5
    assert all(re.fullmatch(r"0x[0-9a-f]{16}", digest) for digest in seen)


# Whole builds


@pytest.mark.skipif(shutil.which("nm") is None, reason="needs nm")
def test_only_the_names_of_exports_map_leave_the_module():
    script = (ROOT / "pyshim" / "exports.map").read_text()
    allowed = set(re.findall(r"\w+", re.search(r"global:([^:]*);", script)[1]))
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", "--format=posix", module_of(ROOT)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.split()[0] for line in listed.stdout.splitlines()} == allowed


def test_a_refusal_is_the_last_line_and_no_traceback(tree):
    done = build(tree, CC="no-such-cc")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    *_, last = done.stderr.splitlines()
    assert last.startswith("error: No C compiler here compiles and links a shared library (no-")


def test_each_kind_of_edit_is_built(tree):
    marked = {
        "capi/marked.go": 'package main\n\nfunc init() { marks["go 0"]++ }\n'
        "\nvar marks = map[string]int{}\n",
        "pyshim/marked.c": '#include "marked.h"\n'
        '__attribute__((used, retain)) static const char marks[] = "c 0, " MARK;\n',
        "capi/marked.h": '#define MARK "header 0"\n',
    }
    for name, text in marked.items():
        (tree / name).write_text(text)
    header = tree / "pyshim" / "pybuf" / "include" / "pybuf.h"  # of C code, built against the tree
    header.unlink(missing_ok=True)
    # What would break a plain go build must not break this one.
    meddling = {"CGO_ENABLED": "0", "GOOS": "plan9", "GOFLAGS": "-mod=vendor"}
    for old, new in [(b"", b""), (b"go 0", b"go 1"), (b"c 0", b"c 1"), (b"header 0", b"header 1")]:
        for name in marked:
            path = tree / name
            path.write_bytes(path.read_bytes().replace(old, new) if old else path.read_bytes())
        done = build(tree, **meddling)
        assert done.returncode == 0, done.stderr
        built = module_of(tree).read_bytes()
        assert new in built
        assert not old or old not in built
    assert header.read_bytes() == (tree / "capi" / "pybuf.h").read_bytes()
    assert not list(tree.rglob("_core*.h"))


def test_an_edit_that_is_taken_back_is_built(tree):
    source = tree / "pyshim" / "marked.c"
    # Two folders, as setup.py and pip have them: at last go finds its output in
    # the first one up to date; it must still replace the module, built later.
    for mark, folder in [("c 0", "one"), ("c 1", "two"), ("c 0", "one")]:
        source.write_text(f'__attribute__((used, retain)) static const char marks[] = "{mark}";\n')
        done = build(tree, "--build-temp", folder)
        assert done.returncode == 0, done.stderr
        assert mark.encode() in module_of(tree).read_bytes()


def test_a_name_that_python_lacks_is_refused(tree):
    (tree / "pyshim" / "misspelt.c").write_text(
        "extern void PyBuf_Misspelt(void);\n"
        "__attribute__((used, retain)) static void (*const keep)(void) = PyBuf_Misspelt;\n"
    )
    done = build(tree)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "cannot load it" in last
    assert "undefined symbol: PyBuf_Misspelt" in last
    assert not module_of(tree).exists()


def test_a_failed_go_build_ends_in_a_sentence(tree):
    (tree / "capi" / "broken.go").write_text("package main\n\nvar x int = nil\n")
    done = build(tree)
    assert done.returncode == 1
    assert "broken.go:3" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: go build ended with status 1")
