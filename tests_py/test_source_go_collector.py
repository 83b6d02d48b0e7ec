"""Views stay right under a collector that runs all the time and spoils whatever it frees."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import pytest
from go_workout import WORKOUT

#: Seconds. A race of Go's with threads that leave it freezes a process for up to two minutes, now
#: and then (docs/process.md), and asking for collections makes it likelier.
FREEZE = 240

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]


def environ(**settings: str) -> dict[str, str]:
    return {**os.environ, **settings}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"GOGC": "1", "GODEBUG": "clobberfree=1"},
        {"GOGC": "1", "GODEBUG": "clobberfree=1,gccheckmark=1"},
        {"GOGC": "1", "GODEBUG": "clobberfree=1,gcstoptheworld=2"},
        {"GOGC": "off"},
    ],
    ids=str,
)
def test_views_are_right_however_go_collects(settings: dict[str, str], fresh: Fresh):
    done = fresh(WORKOUT, env=environ(**settings), timeout=FREEZE)
    collections = json.loads(done.stdout)["collections"]
    asked_for = 81
    assert collections > (asked_for if settings.get("GOGC") == "1" else 0)


def test_the_collector_spoils_what_it_frees(fresh: Fresh):
    """Else the test above would see nothing. (This looks at memory that was given back.)"""
    code = """
        import ctypes
        import pybuf
        from pybuf import _core
        addresses = []
        for _ in range(200):
            b = pybuf.copy(bytes([7]) * 1024, source="go")
            addresses.append(b.address)
        del b
        _core._go_runtime(True)
        spoilt = (0xDEADBEEF).to_bytes(4, "little") * 256
        print(sum(ctypes.string_at(address, 1024) == spoilt for address in addresses))
    """
    assert int(fresh(code, env=environ(GODEBUG="clobberfree=1")).stdout) > 100
    assert int(fresh(code).stdout) == 0


def test_blocks_made_while_go_collects_are_none_of_the_collectors_business(fresh: Fresh):
    """Each is made where C's stack still holds the address of the one before, which is collected
    by then: nobody may show that to the collector, who ends the process when it sees it."""
    fresh(
        """
        import sys, threading
        import pybuf
        from pybuf import _core

        def collect():
            global collections
            while worker.is_alive():
                _core._go_runtime(True)
                collections += 1

        def work():
            for _ in range(400):
                pybuf.zeros(40_000, source="go")
                enough = collections + 2
                while collections < enough:
                    pass

        sys.setswitchinterval(1e-5)
        collections = 0
        worker = threading.Thread(target=work)
        worker.start()
        collect()
        """,
        timeout=FREEZE,
    )


@pytest.mark.parametrize("door", ["b", "memoryview(b)", "b.numpy()", "b.cast('d')", "iter(b)"])
def test_blocks_that_live_to_the_end_are_right_to_the_end(door: str, fresh: Fresh):
    """atexit comes when Python is about to go."""
    code = f"""
        import atexit
        import numpy as np
        import pybuf
        from pybuf import _core

        def look():
            for _ in range(20):
                pybuf.zeros(100_000, source="go")
                _core._go_runtime(True)
            print(all(bytes(view) == bytes([i]) * 8000 for i, view in enumerate(held)))

        held = []
        for i in range(20):
            b = pybuf.copy(bytes([i]) * 8000, source="go")
            held.append({door})
        del b
        atexit.register(look)
    """
    settings = environ(GOGC="1", GODEBUG="clobberfree=1")
    assert fresh(code, env=settings).stdout == "True\n"
