"""python -m pybuf.gopy OUTDIR: the step after gopy, by which a package enables itself."""

import argparse
import sys
from pathlib import Path

from pybuf.gopy import _table

_INIT = '''\
"""Made by gopy; enabled by `python -m pybuf.gopy`, which is to be run after each run of gopy."""

import sys as _sys

from pybuf.gopy import enable as _enable

_enable(_sys.modules[__name__])
'''
_OWN = "`python -m pybuf.gopy`"


def _packages(outdir: Path) -> list[Path]:
    """Find the gopy modules: outdir itself after gopy build, a folder in it after gopy pkg."""
    folders = [outdir, *(path for path in sorted(outdir.iterdir()) if path.is_dir())]
    return [folder for folder in folders if (folder / "go.py").is_file()]


def _name_of(folder: Path) -> str:
    for path in sorted(folder.glob("*.go")):
        if _table.go_file(folder, path.stem) is not None:
            return path.stem
    raise SystemExit(
        f"There is no Go file in {folder} that gopy generated: the argument types are read "
        "from it, so run this before it is removed."
    )


def _write(folder: Path) -> str:
    name = _name_of(folder)
    init = folder / "__init__.py"
    if init.is_file():
        text = init.read_text(encoding="utf-8")
        if text.strip() and _OWN not in text:
            raise SystemExit(
                f"{init} has something in it that gopy did not write, so it is left alone: "
                "put `pybuf.gopy.enable(sys.modules[__name__])` there."
            )
    source = (folder / f"{name}.go").read_text(encoding="utf-8")
    table = _table.parse(source)
    if "gopybuf" not in source:
        raise SystemExit(
            f"{folder} was built without gopybuf: name the package "
            "github.com/pybuf/pybuf-go/gopybuf as one more on gopy's command line."
        )
    if not any(folder.glob("_*.so")):
        raise SystemExit(
            f"There is no extension module in {folder}: gopy ended with an error, so see what it "
            "said, and run it again."
        )
    (folder / f"{_table.MODULE_NAME}.py").write_text(table.dump(), encoding="utf-8")
    init.write_text(_INIT, encoding="utf-8")
    return f"{folder}: {len(table.functions)} functions; it enables itself when it is imported"


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m pybuf.gopy",
        description="Makes a package that gopy made enable itself (see pybuf.gopy.enable).",
    )
    parser.add_argument("outdir", type=Path, help="what gopy was given as -output")
    outdir = parser.parse_args(arguments).outdir
    if not outdir.is_dir():
        raise SystemExit(f"There is no folder {outdir}.")
    folders = _packages(outdir)
    if not folders:
        raise SystemExit(f"There is nothing in {outdir} that gopy made: no go.py.")
    for folder in folders:
        print(_write(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
