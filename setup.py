"""The one step that pyproject.toml cannot say: the extension is built by Go."""

import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).resolve().parent / "pyshim"))

from buildsys import project, target
from buildsys.gobuild import GoBuildExt

setup(
    version=project.version(),
    # Go decides what the sources are.
    ext_modules=[Extension("pybuf._core", sources=[], py_limited_api=True)],
    cmdclass={"build_ext": GoBuildExt},
    options={"bdist_wheel": target.wheel_options()},
)
