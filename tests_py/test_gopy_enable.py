"""enable(), and packages that enable themselves: python -m pybuf.gopy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import gopy_build
import gopy_runs
import numpy as np
import pytest

import pybuf
from pybuf import gopy

# ---- enable ------------------------------------------------------------------------------


@pytest.fixture
def enable(vecs: Any) -> Any:
    return gopy.enable


def test_twice_is_as_once(enable: Any, gopy_vecs: Any, vecs: Any):
    before = dict(vars(vecs))
    enable(gopy_vecs)
    enable(gopy_vecs.vecs)
    enable(gopy_vecs.go)
    assert dict(vars(vecs)) == before
    assert np.asarray(vecs.Float64s(3)).tolist() == [0, 1, 2]


@pytest.mark.parametrize("what", [json, None, 3, "gopy_vecs", np, pybuf], ids=repr)
def test_what_gopy_did_not_make_is_refused(what: Any, enable: Any):
    with pytest.raises((TypeError, ValueError), match="gopy"):
        enable(what)


def test_a_module_without_gopybuf_is_refused(enable: Any, gopy_plain: Any):
    with pytest.raises((TypeError, ValueError, ImportError), match="gopybuf"):
        enable(gopy_plain)


def test_other_gopy_modules_stay_as_they_are(gopy_plain: Any, vecs: Any):
    with pytest.raises(TypeError):
        memoryview(gopy_plain.vecs.Float64s(3))
    with pytest.raises(AttributeError):
        gopy_plain.vecs.SumFloat64s(np.ones(3))


@pytest.mark.parametrize(
    "code",
    [
        "import gopy_vecs; enable(gopy_vecs); from gopy_vecs import vecs",
        "from gopy_vecs import vecs; enable(vecs)",
        "from gopy_vecs import more; enable(more); from gopy_vecs import vecs",
        "import gopy_vecs; from gopy_vecs import vecs; enable(gopy_vecs)",
    ],
)
def test_a_package_or_any_module_of_it_enables_all(code: str, gopy_run: Any):
    gopy_run(
        f"""
        from pybuf.gopy import enable
        {code}
        a = np.asarray(vecs.Float64s(3))
        a[0] = 5
        x = np.ones(3)
        assert vecs.SumFloat64s(x) == 3
        from gopy_vecs import go, more
        assert memoryview(go.Slice_float64([1, 2])).shape == (2,)
        assert more.Sum(x) == 3
        """,
        enable=False,
    )


def test_objects_made_before_are_what_they_were(gopy_run: Any):
    gopy_run(
        """
        from gopy_vecs import vecs
        old = vecs.Float64s(3)
        import gopy_vecs
        pybuf.gopy.enable(gopy_vecs)
        assert list(old) == [0, 1, 2]
        assert vecs.SumFloat64s(old) == 3
        """,
        enable=False,
    )


def test_names_that_were_imported_before_still_work(gopy_run: Any):
    gopy_run(
        """
        from gopy_vecs.vecs import Float64s, SumFloat64s
        from gopy_vecs.go import Slice_float64
        import gopy_vecs
        pybuf.gopy.enable(gopy_vecs)
        assert SumFloat64s(Float64s(3)) == 3
        assert SumFloat64s(Slice_float64([1, 2])) == 3
        assert memoryview(Float64s(3)).shape == (3,)
        """,
        enable=False,
    )


def test_without_the_source_beside_it_views_work(gopy_site: Any, gopy_run: Any, tmp_path: Path):
    """name.go, from which the types of arguments are read, is not always installed."""
    package = tmp_path / "gopy_vecs"
    shutil.copytree(gopy_site("gopy_vecs") / "gopy_vecs", package)
    (package / "gopy_vecs.go").unlink()
    gopy_run(
        """
        sys.path.insert(0, sys.argv[2])
        import gopy_vecs
        from gopy_vecs import go, vecs
        assert gopy_vecs.__file__.startswith(sys.argv[2])
        pybuf.gopy.enable(gopy_vecs)
        assert np.asarray(vecs.Float64s(3)).tolist() == [0, 1, 2]
        assert vecs.SumFloat64s(vecs.Float64s(3)) == 3
        with pybuf.gopy.lend(go.Slice_float64, np.ones(3)) as s:
            assert vecs.SumFloat64s(s) == 3
        for call in (vecs.SumFloat64s, vecs.Keeper().Keep):
            for given in (np.ones(3), [1.0]):
                try:
                    call(given)
                except TypeError as error:
                    assert "python -m pybuf.gopy" in str(error), error
                    assert type(given).__name__ in str(error), error
                else:
                    raise AssertionError
        """,
        str(tmp_path),
        enable=False,
    )


@pytest.mark.parametrize(
    "keep", ["vecs.NewKeeper(s)", "keeper(s)", "vecs.RowsOf(s, 1000)", "vecs.KeeperValue(s)"]
)
def test_without_the_source_too_go_keeps_what_it_was_lent(keep: str, gopy_run: Any):
    """As an installed package is, that was not made to enable itself."""
    gopy_run(
        f"""
        import gopy_pkg
        from gopy_pkg import go, vecs
        pybuf.gopy.enable(gopy_pkg)

        def keeper(s):
            keeper = vecs.Keeper()
            keeper.Keep(s)
            return keeper

        x = np.arange(1000.0)
        ref = weakref.ref(x)
        with pybuf.gopy.lend(go.Slice_float64, x) as s:
            kept = {keep}
        del x, s
        for _ in range(3):
            gc.collect()
            vecs.Collect()
            np.full(1000, np.nan)
        assert ref() is not None
        total = kept.Sum() if hasattr(kept, "Sum") else vecs.SumGrid(kept)
        assert total == sum(range(1000))
        """,
        modules="gopy_pkg",
        enable=False,
    )


def test_without_the_source_too_lent_memory_is_written(gopy_run: Any):
    gopy_run(
        """
        import gopy_pkg
        from gopy_pkg import go, vecs
        pybuf.gopy.enable(gopy_pkg)
        x = np.arange(3.0)
        s = pybuf.gopy.lend(go.Slice_float64, x)
        s[1] = 9.0
        assert x.tolist() == [0, 9, 2]
        s.append(3.0)
        assert list(s) == [0, 9, 2, 3]
        """,
        modules="gopy_pkg",
        enable=False,
    )


# ---- classes stay what they were ---------------------------------------------------------


def test_classes_keep_names_modules_and_places(gopy_plain: Any, gopy_vecs: Any, vecs: Any):
    for part in ("vecs", "go", "more"):
        for name, plain in vars(getattr(gopy_plain, part)).items():
            if not isinstance(plain, type):
                continue
            ours = getattr(getattr(gopy_vecs, part), name)
            assert (ours.__name__, ours.__qualname__) == (plain.__name__, plain.__qualname__)
            assert ours.__module__ == plain.__module__.replace("gopy_plain", "gopy_vecs")
            assert ours.__doc__ == plain.__doc__


def test_subclasses_are_subclasses(go: Any, vecs: Any):
    assert issubclass(vecs.Derived, vecs.Base)
    assert issubclass(vecs.Slice_vecs_Point, go.GoClass)
    d = vecs.NewDerived(2)
    assert isinstance(d, vecs.Base)
    assert isinstance(d, go.GoClass)
    assert type(d) is vecs.Derived


def test_users_derive_from_the_classes(go: Any, vecs: Any):
    class Mine(go.Slice_float64):  # type: ignore[misc]
        def total(self) -> float:
            return float(sum(self))

    mine = Mine([1, 2, 3])
    assert mine.total() == 6
    assert np.asarray(mine).tolist() == [1, 2, 3]
    mine.name = "mine"
    assert vars(mine)["name"] == "mine"


def test_own_attributes_begin_with_two_underscores(go: Any, vecs: Any):
    for make in (vecs.Float64s(3), vecs.NewAcc(3), vecs.Same(np.ones(3)), vecs.Triple()):
        np.asarray(getattr(make, "Data", make))
        assert {n for n in vars(make) if not n.startswith("__")} <= {"handle", "index"}


# ---- python -m pybuf.gopy ----------------------------------------------------------------


def module_run(*args: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pybuf.gopy", *map(str, args)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(pybuf.__file__).parents[1])},
    )


USE = """
    import gc, sys
    sys.path.insert(0, sys.argv[1])
    import numpy as np
    package = __import__(sys.argv[2])
    assert package.__file__.startswith(sys.argv[1])
    from importlib import import_module
    vecs = import_module(sys.argv[2] + ".vecs")
    a = np.asarray(vecs.Float64s(3))
    assert not a.flags.owndata
    a[0] = 5
    x = np.ones(3)
    assert vecs.SumFloat64s(x) == 3
    vecs.DoubleFloat64s(x)
    assert x.tolist() == [2, 2, 2]
    assert vecs.NewAcc(1).Total(1.0, x) == 6
    try:
        vecs.SumFloat64s(np.ones(3, "f4"))
    except TypeError as error:
        assert "float64" in str(error)
    else:
        raise AssertionError
"""


@pytest.mark.parametrize("folder", ["absolute", "relative", "trailing slash"])
@pytest.mark.parametrize("name", ["gopy_vecs", "gopy_pkg"])
def test_a_package_enables_itself(
    name: str, folder: str, gopy_site: gopy_runs.Site, fresh: gopy_runs.Run, tmp_path: Path
):
    built = gopy_site(name) / name
    if name == "gopy_pkg":  # as gopy left it, before it was installed
        built = gopy_site(name).parent / "dist" / name
    shutil.copytree(built, tmp_path / name)
    said = {"absolute": str(tmp_path / name), "relative": name, "trailing slash": f"{name}/"}
    done = module_run(said[folder], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    fresh(USE, str(tmp_path), name)


def test_a_package_that_enables_itself_needs_no_source(
    gopy_site: gopy_runs.Site, fresh: gopy_runs.Run, tmp_path: Path
):
    shutil.copytree(gopy_site("gopy_vecs") / "gopy_vecs", tmp_path / "gopy_vecs")
    assert module_run("gopy_vecs", cwd=tmp_path).returncode == 0
    for path in (tmp_path / "gopy_vecs").glob("*.go"):
        path.unlink()
    fresh(USE, str(tmp_path), "gopy_vecs")


def test_the_command_may_run_twice(
    gopy_site: gopy_runs.Site, fresh: gopy_runs.Run, tmp_path: Path
):
    shutil.copytree(gopy_site("gopy_vecs") / "gopy_vecs", tmp_path / "gopy_vecs")
    assert module_run("gopy_vecs", cwd=tmp_path).returncode == 0
    files = {p.name: p.read_bytes() for p in (tmp_path / "gopy_vecs").glob("*.py")}
    assert module_run("gopy_vecs", cwd=tmp_path).returncode == 0
    assert files == {p.name: p.read_bytes() for p in (tmp_path / "gopy_vecs").glob("*.py")}
    fresh(USE, str(tmp_path), "gopy_vecs")


def test_a_package_that_was_installed_enables_itself(
    gopy_site: gopy_runs.Site, fresh: gopy_runs.Run, tmp_path: Path
):
    """The table of the command goes along with pip install, the Go source does not."""
    dist = tmp_path / "dist"
    shutil.copytree(gopy_site("gopy_pkg").parent / "dist", dist)
    assert module_run(dist / "gopy_pkg", cwd=tmp_path).returncode == 0
    gopy_build.install(dist, tmp_path / "site")
    assert not list((tmp_path / "site" / "gopy_pkg").glob("*.go"))
    fresh(USE, str(tmp_path / "site"), "gopy_pkg")


@pytest.mark.parametrize("args", [[], ["nothing"], ["."], ["a", "b"], ["file.py"]])
def test_what_is_no_output_of_gopy_is_refused(args: list[str], tmp_path: Path):
    (tmp_path / "file.py").write_text("")
    done = module_run(*args, cwd=tmp_path)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["file.py"]


def test_a_package_that_gopy_could_not_build_is_refused(gopy_site: gopy_runs.Site, tmp_path: Path):
    shutil.copytree(gopy_site("gopy_vecs") / "gopy_vecs", tmp_path / "gopy_vecs")
    for path in (tmp_path / "gopy_vecs").glob("*.so"):
        path.unlink()
    done = module_run("gopy_vecs", cwd=tmp_path)
    assert done.returncode != 0
    assert "There is no extension module in gopy_vecs" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_module_for_another_python_is_refused_with_both_told(
    gopy_site: gopy_runs.Site, gopy_run: Any, tmp_path: Path
):
    package = tmp_path / "gopy_vecs"
    shutil.copytree(gopy_site("gopy_vecs") / "gopy_vecs", package)
    (library,) = package.glob("_*.so")
    library.rename(package / "_gopy_vecs.cpython-31-x86_64-linux-gnu.so")
    assert module_run("gopy_vecs", cwd=tmp_path).returncode == 0
    gopy_run(
        """
        sys.path.insert(0, sys.argv[2])
        try:
            import gopy_vecs
        except ImportError as error:
            assert "for CPython 3." in str(error), error
            assert "_gopy_vecs.cpython-31-x86_64-linux-gnu.so" in str(error), error
        else:
            raise AssertionError
        """,
        str(tmp_path),
        enable=False,
    )


def test_a_package_without_gopybuf_is_refused(gopy_site: gopy_runs.Site, tmp_path: Path):
    shutil.copytree(gopy_site("gopy_plain") / "gopy_plain", tmp_path / "gopy_plain")
    done = module_run("gopy_plain", cwd=tmp_path)
    assert done.returncode != 0
    assert "gopybuf" in done.stderr
    assert "Traceback" not in done.stderr
