"""Fresh interpreters that look at their own process: limits, signal masks, signal actions."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Callable
from typing import Any

from pybuf import _core

Probe = Callable[..., "subprocess.CompletedProcess[str]"]

#: What every program starts with. Its arguments: how to load, and the extension's file.
PROBE = """
    import ctypes, os, resource, signal, subprocess, sys, threading

    def load(how=sys.argv[1], file=sys.argv[2]):
        if how == "import":
            import pybuf
        else:
            ctypes.CDLL(file)

    def status(task="self"):
        with open(f"/proc/{task}/status") as f:
            lines = (line.partition(":") for line in f)
            return {name: value.strip() for name, _, value in lines}

    class Action(ctypes.Structure):
        _fields_ = [("handler", ctypes.c_void_p), ("mask", ctypes.c_ubyte * 128),
                    ("flags", ctypes.c_uint), ("restorer", ctypes.c_void_p)]

    def actions():
        # The C library refuses its own two (32 and 33), and tells of all the others.
        found = {}
        for number in range(1, signal.NSIG):
            action = Action()
            if libc.sigaction(number, None, ctypes.byref(action)) == 0:
                flags = action.flags & ~0x04000000  # SA_RESTORER: the C library's own
                found[number] = action.handler, bytes(action.mask)[:8], flags
        return found

    libc = ctypes.CDLL(None)
    # The C library takes a signal of its own when a process gets its first thread.
    first = threading.Thread(target=int)
    first.start()
    first.join()
"""


def prober(fresh: Probe) -> Probe:
    """Runs code after PROBE; `how` says whether load() imports ("import") or only "dlopen"s."""

    def run(code: str, how: str = "import", **kwargs: Any) -> subprocess.CompletedProcess[str]:
        program = textwrap.dedent(PROBE) + textwrap.dedent(code)
        return fresh(program, how, _core.__file__, **kwargs)

    return run
