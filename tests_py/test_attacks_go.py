"""What a hostile tester found in the Go half: each of these ended or disturbed a process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("size", [8, 4096, 16384, 1_000_000])
def test_collections_while_blocks_are_made_and_dropped_meet_no_stale_pointer(
    size: int, fresh: Callable[..., Any]
):
    fresh(
        f"""
        import threading
        import pybuf

        def work():
            while not stop.is_set():
                pybuf.zeros({size}, source="go")

        stop = threading.Event()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for _ in range(60):
            pybuf._core._go_runtime(True)
        stop.set()
        for t in threads:
            t.join()
        """
    )


def test_a_handler_of_sigurg_is_called_for_no_signal_that_was_not_sent(fresh: Callable[..., Any]):
    done = fresh(
        """
        import signal, threading
        import pybuf
        calls = []
        signal.signal(signal.SIGURG, lambda *_: calls.append(True))
        def work():
            while not stop.is_set():
                pybuf.zeros(1 << 26, source="go")
                pybuf._core._go_runtime(True)
        stop = threading.Event()
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for _ in range(300):
            pybuf._core._go_runtime(True)
        stop.set()
        for t in threads:
            t.join()
        print(len(calls))
        """
    )
    assert done.stdout == "0\n"
