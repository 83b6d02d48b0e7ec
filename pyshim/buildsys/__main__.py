"""`python -m buildsys`: say in advance what a build lacks on this machine."""

import sys

from . import toolchain
from .refusal import Refusal

try:
    toolchain.find()
except Refusal as refusal:
    sys.exit(f"error: {refusal}")
