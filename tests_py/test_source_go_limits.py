"""Memory of Go's heap that cannot be had is a MemoryError, and everything goes on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable

import numpy as np
import pytest

import pybuf
from pybuf import _core

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]

WORDS = "bytes of Go's heap were asked for and the system has no such block of memory"
TOO_MUCH = [1 << 47, 1 << 50, (1 << 62) - 64, 1 << 62, (1 << 63) - 64, (1 << 63) - 1]


@pytest.mark.parametrize("make", [pybuf.zeros, pybuf.empty])
@pytest.mark.parametrize("nbytes", TOO_MUCH)
def test_sizes_that_no_machine_has_are_a_memory_error_with_the_size(make, nbytes):
    for align in (1, 64, 1 << 30):
        with pytest.raises(MemoryError, match=f"^{nbytes} {WORDS}$"):
            make(nbytes, align=align, source="go")


def test_a_copy_that_no_machine_has_is_a_memory_error_with_the_size():
    endless = pybuf.wrap(np.zeros(1).ctypes.data, 1 << 50, strides=0, unowned=True)
    with pytest.raises(MemoryError, match=f"^{1 << 50} {WORDS}$"):
        pybuf.copy(endless, source="go")
    assert endless.exports == 0


@pytest.mark.parametrize("nbytes", TOO_MUCH)
def test_a_resize_that_no_machine_has_leaves_everything_as_it_was(nbytes):
    b = pybuf.copy(b"abc", source="go")
    with pytest.raises(MemoryError, match=f"^{nbytes} {WORDS}$"):
        b.resize(nbytes)
    assert (b.shape, b.source, b.tobytes()) == ((3,), "go", b"abc")
    b.resize(2)
    assert b.tobytes() == b"ab"


def test_refusals_leave_nothing_behind():
    before = _core._go_runtime(True)
    for _ in range(100):
        for nbytes in TOO_MUCH:
            with pytest.raises(MemoryError):
                pybuf.zeros(nbytes, source="go")
    after = _core._go_runtime(True)
    assert (after["blocks"], after["block_bytes"]) == (before["blocks"], before["block_bytes"])
    assert after["heap_bytes"] - before["heap_bytes"] < 1 << 20


def test_refusals_do_not_call_go(go_calls: Callable[[], int]):
    """Go would end the process."""
    before = go_calls()
    for nbytes in TOO_MUCH:
        with pytest.raises(MemoryError):
            pybuf.zeros(nbytes, source="go")
    assert go_calls() == before


def test_an_align_or_a_shape_that_cannot_be_is_refused_as_of_any_memory(go_calls):
    before = go_calls()
    with pytest.raises(ValueError, match="align is 3; it must be a power of two"):
        pybuf.zeros(3, align=3, source="go")
    assert go_calls() == before
    with pytest.raises(OverflowError):
        pybuf.zeros(1 << 62, "d", source="go")
    with pytest.raises(ValueError, match="extent 0 is -1"):
        pybuf.zeros(-1, source="go")


#: Takes blocks until there are none, under a limit that lies `room` MiB above what the process has
#: now. Go has collected before, so that its collector has what it needs.
FILL = """
    import re, resource, sys
    import pybuf
    from pybuf import _core

    def size_of_process(name):
        with open("/proc/self/status") as f:
            return int(re.search(name + r":\\s+(\\d+) kB", f.read())[1]) << 10

    def take(nbytes):
        b = pybuf.empty(nbytes, source="go")
        memoryview(b)[:] = bytes([len(blocks) % 251]) * nbytes
        blocks.append(b)

    limit, room, nbytes = sys.argv[1], int(sys.argv[2]) << 20, int(sys.argv[3])
    blocks = []
    _core._go_runtime(True)
    was = size_of_process({"RLIMIT_AS": "VmSize", "RLIMIT_DATA": "VmData"}[limit])
    hard = resource.getrlimit(getattr(resource, limit))[1]
    resource.setrlimit(getattr(resource, limit), (was + room, hard))
    refused = 0
    while refused < 5:
        try:
            take(nbytes)
        except MemoryError as e:
            refused += 1
            words = str(e)
    resource.setrlimit(getattr(resource, limit), (hard, hard))
    assert all(bytes(b) == bytes([i % 251]) * nbytes for i, b in enumerate(blocks))
    most = len(blocks)
    assert _core._go_runtime(True)["blocks"] == most
    blocks.clear()
    assert _core._go_runtime(True)["blocks"] == 0
    for _ in range(3):
        take(nbytes)
    print(most, words)
"""


@pytest.mark.parametrize("nbytes", [100_000, 3 << 20, 70 << 20])
@pytest.mark.parametrize("room", [16, 170, 400, 600])
@pytest.mark.parametrize("limit", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_at_a_limit_of_the_process_all_blocks_stay_and_more_can_be_had_later(
    limit: str, room: int, nbytes: int, fresh: Fresh
):
    most, words = fresh(FILL, limit, str(room), str(nbytes)).stdout.split(maxsplit=1)
    assert words == f"{nbytes} {WORDS}\n"
    assert int(most) * nbytes < room << 20
    # Go wants some room beside the blocks; there is little doubt that 300 MiB are enough.
    assert int(most) * nbytes > (room - 300 << 20) - nbytes


def test_the_books_of_python_are_right_after_a_refusal(fresh: Fresh):
    said = fresh(
        """
        import resource
        import pybuf
        from pybuf import _core
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (1 << 20, hard))
        before = _core._counters()
        for make in (pybuf.zeros, pybuf.empty):
            try:
                make(1000, source="go")
            except MemoryError as e:
                print(e)
        after = _core._counters()
        assert (after["made"], after["live_bytes"]) == (before["made"], before["live_bytes"])
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        b = pybuf.zeros(1000, source="go")
        assert b.tobytes() == bytes(1000)
        """
    ).stdout
    assert re.fullmatch(f"(1000 {WORDS}\n){{2}}", said)
