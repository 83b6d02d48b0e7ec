"""`python -m buildsys`: what a build lacks on this machine, before anything is fetched.

Without an argument it prints the requirements by which pip brings that, one a
line. With `wrappers FOLDER` it writes commands that stand in for what is still
missing there: those of the packages that this Python has.
"""

import sys
from pathlib import Path

from . import toolchain, wrappers
from .refusal import Refusal

try:
    match sys.argv[1:]:
        case []:
            print(*toolchain.lacking(), sep="\n")
        case ["wrappers", folder]:
            wrappers.write(Path(folder))
        case _:
            sys.exit("usage: python -m buildsys [wrappers FOLDER]")
except Refusal as refusal:
    sys.exit(f"error: {refusal}")
