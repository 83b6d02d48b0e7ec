"""The process ends while Go works, or holds memory of Go's: always well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Fresh = Callable[..., Any]

WORK = {
    "memory": 'pybuf.zeros(1 << 14, source="go")',
    "much memory": 'pybuf.zeros(1 << 22, source="go")',
    "views": 'kept.append(memoryview(pybuf.zeros(64, source="go"))); del kept[:-9]',
    "collections": "_core._go_runtime(True)",
    "element types": "unseen()",
}
LEAVE = {
    "the end": "",
    "an exception": "sys.exit(0)",
    "_exit": "os._exit(0)",
    "exec": 'os.execv("/bin/true", ["true"])',
}


@pytest.mark.parametrize("leave", LEAVE.values(), ids=LEAVE)
@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_a_process_ends_well_with_threads_in_go(work: str, leave: str, fresh: Fresh):
    """Daemon threads: Python stops them where they next ask for it, Go's calls end by then."""
    fresh(
        f"""
        import itertools, os, sys, threading
        import pybuf
        from pybuf import _core

        count = itertools.count()

        def unseen():
            try:
                pybuf.zeros(1, f"{{next(count)}}p")
            except TypeError:
                pass

        def body(kept):
            started.wait()
            while True:
                {work}

        started = threading.Barrier(5)
        for _ in range(4):
            threading.Thread(target=body, args=([],), daemon=True).start()
        started.wait()
        begun = _core._go_runtime(False)["collections"]
        while _core._go_runtime(True)["collections"] < begun + 3:
            pass
        {leave}
        """,
        options=("-X", "dev"),
    )


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_a_process_ends_well_when_its_last_thread_ends_in_go(work: str, fresh: Fresh):
    """Threads that Python joins at the end, and a main thread that calls Go when all is over."""
    fresh(
        f"""
        import atexit, itertools, os, sys, threading
        import pybuf
        from pybuf import _core

        count = itertools.count()

        def unseen():
            try:
                pybuf.zeros(1, f"{{next(count)}}p")
            except TypeError:
                pass

        class Last:
            def __del__(self, pybuf=pybuf, _core=_core, unseen=unseen):
                kept = []
                {work}

        def body(kept=[]):
            if threading.current_thread() is not main:
                main.join()
            for _ in range(20):
                {work}

        main = threading.main_thread()
        for _ in range(4):
            threading.Thread(target=body).start()
        atexit.register(body, [])
        held = [Last(), pybuf.zeros(1 << 20, source="go")]
        held.append(memoryview(held[1]))
        held.append(held)
        sys.last = Last()
        """
    )


def test_a_thread_killed_in_go_ends_the_process_by_that_signal(fresh: Fresh):
    done = fresh(
        """
        import os, signal, threading
        import pybuf
        from pybuf import _core
        def body():
            while True:
                _core._go_runtime(True)
        for _ in range(4):
            threading.Thread(target=body, daemon=True).start()
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            pybuf.zeros(1 << 12, source="go")
        """,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-15, "", "")
