"""Source "c": memory as it was asked for, and no page of it touched before its user does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import pybuf

MIB = 1 << 20


def region_of(address: int) -> dict[str, str]:
    """What the kernel says of the mapping around an address (/proc/self/smaps)."""
    found: dict[str, str] = {}
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if head:
            inside = int(head[1], 16) <= address < int(head[2], 16)
        elif inside:
            name, _, value = line.partition(":")
            found[name] = value.strip()
    return found


def resident_kib() -> int:
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[1])


@pytest.mark.parametrize("make", [pybuf.zeros, pybuf.empty])
@pytest.mark.parametrize("align", [1 << k for k in range(22)])
def test_the_first_item_lies_at_a_multiple_of_align(make, align):
    for shape in (0, 1, 7, 4096, 100_001):
        assert make(shape, align=align).address % align == 0


def test_without_a_wish_items_lie_at_a_multiple_of_64():
    for n in range(200):
        assert pybuf.empty(n).address % 64 == 0
    assert pybuf.copy(b"abc").address % 64 == 0


@pytest.mark.parametrize("align", [0, -8, 3, 24, 2**31, 2**62])
def test_an_align_that_is_no_power_of_two_in_reach_is_refused(align):
    with pytest.raises(ValueError, match=rf"align is {align}; it must be a power of two"):
        pybuf.zeros(3, align=align)


def test_zeros_are_zero_where_memory_was_used_before():
    for n in (1, 63, 4096, 100_000, 5 * MIB):
        used = pybuf.empty(n)
        used.numpy()[:] = 255
        del used
        assert not pybuf.zeros(n).numpy().any()


@pytest.mark.parametrize("make", [pybuf.zeros, pybuf.empty])
def test_no_page_is_touched_by_making(make):
    before = resident_kib()
    b = make(512 * MIB)
    assert resident_kib() - before < 64 * 1024
    view = np.asarray(b)
    view[:: 64 * MIB] = 1
    assert view[64 * MIB] == 1


@pytest.mark.parametrize("make", [pybuf.zeros, pybuf.empty])
def test_huge_pages_are_asked_for_from_4_mib_on(make):
    """Up to the last byte: one page less would cost the last huge page."""
    b = make(64 * MIB)
    for at in (8192, 32 * MIB, 64 * MIB - 1):
        assert "hg" in region_of(b.address + at)["VmFlags"].split()


def test_no_huge_pages_are_asked_for_below_4_mib(fresh):
    """In a process of its own: malloc gives memory again that was advised before."""
    done = fresh(
        """
        from pathlib import Path
        import pybuf
        b = pybuf.zeros((4 << 20) - 4096)
        middle, inside = b.address + (2 << 20), False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            first, _, rest = line.partition(" ")
            if "-" in first:
                low, high = (int(bound, 16) for bound in first.split("-"))
                inside = low <= middle < high
            elif inside and first == "VmFlags:":
                print("hg" in rest.split())
        """
    )
    assert done.stdout == "False\n"


@pytest.mark.parametrize("make", [pybuf.zeros, pybuf.empty])
def test_memory_that_cannot_be_had_is_a_memory_error_with_its_size(make):
    with pytest.raises(MemoryError, match=f"{1 << 60} bytes were asked for"):
        make(1 << 60)


@pytest.mark.parametrize("source", ["C", "", "foreign", "Go", "shared"])
def test_a_source_that_there_is_not_is_named(source):
    words = rf"source is '{source}'; memory can be had from \"c\" and from \"go\""
    with pytest.raises(ValueError, match=words):
        pybuf.zeros(3, source=source)
