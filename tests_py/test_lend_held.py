"""What lend() was given is held until the library gives it back, whoever asks meanwhile."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import descriptors as ds
import numpy as np
import pytest

import pybuf
from pybuf import _core

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]


class Watched(bytearray):
    """An exporter that can be watched."""


# ---- how long it is held ---------------------------------------------------------------


def test_the_exporter_is_held_until_it_comes_back():
    a = Watched(64)
    gone = weakref.ref(a)
    d = pybuf.lend(a)
    address = int(d)
    assert ds.library().take(address)
    del a, d
    gc.collect()
    assert gone() is not None
    assert ds.lent_now() == 1
    with pytest.raises(BufferError):
        gone().append(1)
    ds.library().done(address)
    assert gone() is None
    assert ds.lent_now() == 0


def test_a_lent_says_where_its_memory_is():
    d = pybuf.lend(ds.doubles())
    states = [(d.taken, d.returned, repr(d))]
    address = int(d)
    ds.library().take(address)
    states.append((d.taken, d.returned, repr(d)))
    ds.library().done(address)
    states.append((d.taken, d.returned, repr(d)))
    with pybuf.lend(b"", writable=False) as other:
        pass
    states.append((other.taken, other.returned, repr(other)))
    assert states == [
        (False, False, "<pybuf.Lent shape=(5,) format='d': not taken over yet>"),
        (True, False, "<pybuf.Lent shape=(5,) format='d': taken over, and not yet given back>"),
        (True, True, "<pybuf.Lent: it was taken over, and came back>"),
        (False, True, "<pybuf.Lent: nobody took it, and it was given back>"),
    ]


def test_what_nobody_took_goes_with_the_lent():
    a = Watched(8)
    d = pybuf.lend(a)
    assert int(d)
    assert ds.lent_now() == 1
    del d
    assert ds.lent_now() == 0
    a.append(1)  # not held any more


def test_what_nobody_took_goes_at_the_end_of_with():
    a = bytearray(8)
    with pybuf.lend(a) as d:
        address = int(d)
        with pytest.raises(BufferError):
            a.append(1)
    a.append(1)
    assert not ds.library().take(address)
    with pytest.raises(ValueError, match="given back before anybody"):
        int(d)
    with pytest.raises(ValueError, match="given back before anybody"), d:
        pass


def test_what_was_taken_is_held_past_the_end_of_with():
    a = bytearray(8)
    with pybuf.lend(a) as d:
        address = int(d)
        ds.library().take(address)
    assert (d.taken, d.returned) == (True, False)
    with pytest.raises(BufferError):
        a.append(1)
    ds.library().done(address)
    a.append(1)


def test_with_gives_back_whatever_is_raised_inside():
    a = bytearray(8)

    def fails() -> None:
        with pybuf.lend(a):
            raise LookupError

    with pytest.raises(LookupError):
        fails()
    a.append(1)


def test_an_address_is_given_out_until_it_is_taken():
    d = pybuf.lend(ds.doubles())
    assert len({int(d) for _ in range(3)}) == 1
    ds.library().sum(int(d))
    for use in (int, hex, lambda d: d._as_parameter_, pybuf.adopt):
        with pytest.raises(ValueError, match="taken over before"):
            use(d)


def test_a_number_that_is_stale_is_told_for_a_while():
    """Blocks of loans that ended are kept, without their magic."""
    stale = [int(pybuf.lend(bytearray(1))) for _ in range(50)]
    assert len(set(stale)) == 50
    for address in stale:
        assert not ds.library().take(address)
        with pytest.raises(ValueError, match="adopted before, or is no descriptor"):
            pybuf.adopt(address)


def test_a_buffer_that_is_lent_has_one_export():
    b = pybuf.zeros(8)
    with pybuf.lend(b) as d:
        assert b.exports == 1
        assert not b.close()
        assert ds.library().sum(int(pybuf.lend(np.zeros(1)))) == 0
        assert int(d)
    assert b.exports == 0


def test_a_lent_can_be_adopted_and_holds_through_both():
    a = Watched(8)
    gone = weakref.ref(a)
    b = pybuf.adopt(pybuf.lend(a))
    view = np.asarray(b)
    del a, b
    assert gone() is not None
    view[0] = 7
    assert gone()[0] == 7
    del view
    assert gone() is None


def test_memory_can_be_lent_many_times_at_once():
    a = ds.doubles()
    many = [pybuf.lend(a) for _ in range(100)]
    assert ds.lent_now() == 100
    assert {ds.library().sum(int(d)) for d in many} == {10.0}
    assert ds.lent_now() == 0


def test_only_what_has_not_come_back_is_counted():
    before = _core._counters()["lent"]
    with pybuf.lend(ds.doubles()):
        assert _core._counters()["lent"] == before + 1
    assert _core._counters()["lent"] == before


# ---- threads ---------------------------------------------------------------------------


def test_it_may_come_back_on_any_thread():
    d = pybuf.lend(bytearray(8))
    address = int(d)
    ds.library().take(address)
    ds.library().done_on_a_thread(address)
    assert d.returned


def test_it_may_come_back_under_the_lock():
    library = ctypes.PyDLL(ds.library_file())
    for function in (library.take, library.done):
        function.argtypes = [ctypes.c_size_t]
    d = pybuf.lend(bytearray(8))
    address = int(d)
    assert library.take(address)
    library.done(address)
    assert d.returned


def test_a_release_on_a_thread_that_is_late_finds_the_lent_gone():
    a = Watched(8)
    gone = weakref.ref(a)
    d = pybuf.lend(a)
    address = int(d)
    ds.library().take(address)
    ds.library().done_later(address)
    del d, a
    end = time.monotonic() + 20
    while gone() is not None and time.monotonic() < end:
        time.sleep(0.01)
    assert gone() is None


def take(address: int, won: list[int]) -> None:
    won.append(ds.library().take(address))


def test_of_the_end_of_with_and_a_library_one_has_it():
    taken = 0
    for _ in range(300):
        won: list[int] = []
        d = pybuf.lend(bytearray(8))
        address = int(d)
        thread = threading.Thread(target=take, args=(address, won))
        thread.start()
        with d:
            pass
        thread.join()
        assert d.returned == (not won[0])
        if won[0]:
            taken += 1
            ds.library().done(address)
        assert d.returned
    assert 0 <= taken <= 300


def test_threads_lend_the_same_memory(parallel):
    a = ds.doubles()

    def work(_: int) -> None:
        for i in range(300):
            d = pybuf.lend(a)
            if i % 3 == 0:
                assert ds.library().sum(int(d)) == 10
            elif i % 3 == 1:
                assert pybuf.adopt(d).nbytes == 40
            else:
                assert not d.taken

    parallel(work)
    assert ds.lent_now() == 0


# ---- cycles ----------------------------------------------------------------------------


class Owner:
    """Owns a Buffer that leads back to it, and what was lent of that."""

    lent: pybuf.Lent

    def __init__(self) -> None:
        self.block = ctypes.create_string_buffer(8)
        self.buffer = pybuf.wrap(self.block, owner=self)


def test_a_cycle_through_what_is_lent_is_collected(only_explicit_collections):
    owner = Owner()
    owner.lent = pybuf.lend(owner.buffer)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_a_cycle_through_what_was_taken_waits_until_it_comes_back(only_explicit_collections):
    owner = Owner()
    owner.lent = pybuf.lend(owner.buffer)
    address = int(owner.lent)
    assert ds.library().take(address)
    gone = weakref.ref(owner)
    del owner
    for _ in range(3):
        gc.collect()
    assert gone() is not None
    assert bytes(gone().block) == bytes(8)
    ds.library().done(address)
    gc.collect()
    assert gone() is None


def test_a_cycle_whose_address_is_out_waits_until_it_is_broken(only_explicit_collections):
    """Nobody knows whether it is about to be taken."""
    owner = Owner()
    owner.lent = pybuf.lend(owner.buffer)
    assert int(owner.lent)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is not None
    with gone().lent:
        pass
    gc.collect()
    assert gone() is None


# ---- processes and interpreters --------------------------------------------------------

USE = """
    import os, sys
    sys.path.insert(0, {tests!r})
    import descriptors as ds
    ds.library_file = lambda: {file!r}
    import numpy as np
    import pybuf
    lib = ds.library()
"""


@pytest.fixture
def program(fresh: Fresh) -> Callable[..., Any]:
    given = {"tests": str(Path(__file__).parent), "file": ds.library_file()}
    options = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")
    return lambda code, **kwargs: fresh(
        USE.format(**given) + code.replace("\n", "\n    "), options=options, **kwargs
    )


def test_a_child_gives_its_own_copy_back(program):
    program("""
a, c = bytearray(8), bytearray(8)
d, e = pybuf.lend(a), pybuf.lend(c)
address = int(e)
lib.take(address)
pid = os.fork()
if pid == 0:
    code = 70
    try:
        del d
        a.append(1)
        lib.done(address)
        c.append(1)
        assert e.returned
        code = 0
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert pybuf.stats()["lent"] == 2
lib.done(address)
del d
assert pybuf.stats()["lent"] == 0
""")


def test_the_end_of_python_with_memory_lent_in_every_state_is_quiet(program):
    program("""
states = [pybuf.lend(bytearray(8)) for _ in range(4)]
int(states[1])
lib.take(int(states[2]))
lib.sum(int(pybuf.lend(np.zeros(2))))
sys.kept = pybuf.adopt(states[3]), states
""")


def test_it_may_come_back_after_python_is_gone(program):
    program("""
d = pybuf.lend(bytearray(8))
address = int(d)
lib.take(address)
lib.done_at_the_end(address)
""")


def test_it_may_come_back_while_python_ends(program):
    program("""
import threading
for _ in range(4):
    d = pybuf.lend(bytearray(8))
    address = int(d)
    lib.take(address)
    lib.done_later(address)
""")


def test_what_has_not_come_back_is_told_at_the_end(program):
    done = program(
        """
d = pybuf.lend(bytearray(8))
lib.take(int(d))
""",
        env=os.environ | {"PYBUF_LEAKS": "1"},
        check=False,
    )
    assert done.returncode == 0
    assert done.stderr == (
        "pybuf: ResourceWarning: 1 descriptor by lend() had not come back at the end of Python\n"
    )


# ---- memory that is out ----------------------------------------------------------------


def test_whatever_allocation_fails_nothing_stays_held(unraisable):
    """From 3.13 on Python tells the hook of look-ups in a dict that failed so."""
    testcapi = pytest.importorskip("_testcapi")
    # By these names: to look a function up may allocate, too, and fail in its place.
    lend, fail, mend = pybuf.lend, testcapi.set_nomemory, testcapi.remove_mem_hooks
    for obj in (ds.doubles(), np.zeros([1] * 9, "b"), np.zeros(2, "i4,f8"), bytearray(8)):
        before = sys.getrefcount(obj)
        for after in range(30):
            last = after + 1
            try:
                fail(after, last)
                lend(obj)
            except (MemoryError, ValueError):  # NumPy has another word for it at times
                pass
            finally:
                mend()
        assert sys.getrefcount(obj) == before
    assert ds.lent_now() == 0


def test_nothing_is_left_of_many_loans():
    def once() -> None:
        pybuf.lend(bytearray(8))
        ds.library().sum(int(pybuf.lend(ds.doubles())))
        pybuf.adopt(pybuf.lend(ds.doubles()))
        with pybuf.lend(ds.doubles()):
            pass

    for _ in range(100):
        once()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1000):
        once()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
