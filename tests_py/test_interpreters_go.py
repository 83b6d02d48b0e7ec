"""Memory of Go's heap in sub-interpreters: made, dropped, and left behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import pytest
from probing import Probe, prober

#: Sub-interpreters that share the lock of the first one, and those that have their own.
KINDS = ["legacy", "isolated"]
KIND = pytest.mark.parametrize("kind", KINDS)

HELP = """
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    new_style = sys.version_info >= (3, 13)

    def create(kind):
        if new_style:
            return interpreters.create(kind)
        return interpreters.create(isolated=kind == "isolated")

    def run(here, code):
        failed = interpreters.run_string(here, code)
        assert failed is None, failed

    def blocks(collections=2):
        for _ in range(collections):
            found = pybuf._core._go_runtime(True)["blocks"]
        return found

    def on_threads(body, n=4):
        failures = []
        def caught(i):
            try:
                body(i)
            except BaseException as failure:
                failures.append(failure)
        threads = [threading.Thread(target=caught, args=(i,)) for i in range(n)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures

    USE = '''if True:
        import gc, pybuf
        from pybuf import _core
        def use(n):
            for i in range(n):
                kept = [pybuf.copy(bytes([i % 256]) * (i + 1), source="go") for i in range(50)]
                views = [memoryview(b) for b in kept]
                del kept
                _core._go_runtime(i % 10 == 0)
                assert all(v.tobytes() == bytes([i % 256]) * (i + 1) for i, v in enumerate(views))
    '''
    load()
    import pybuf
"""


@pytest.fixture
def probe(fresh: Probe) -> Probe:
    """Runs code after HELP.

    Without -X dev: Python 3.12 corrupts its own memory when interpreters with a lock of their own
    come and go on threads under its debug allocator.
    """
    run = prober(fresh)

    def with_help(code: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return run(textwrap.dedent(HELP) + textwrap.dedent(code), options=(), **kwargs)

    return with_help


@KIND
def test_it_is_made_and_dropped_in_a_sub_interpreter(kind: str, probe: Probe):
    probe(
        f"""
        for _ in range(5):
            here = create({kind!r})
            run(here, USE + "    use(20)")
            interpreters.destroy(here)
        assert blocks() == 0
        """
    )


@KIND
def test_interpreters_on_threads_use_it_at_once(kind: str, probe: Probe):
    """Each with a lock of its own, if it has one: all are in Go at the same time."""
    probe(
        f"""
        def body(i):
            for _ in range(3):
                here = create({kind!r})
                run(here, USE + "    use(20)")
                interpreters.destroy(here)
        on_threads(body)
        assert blocks() == 0
        """
    )


@KIND
def test_what_lives_in_cycles_when_an_interpreter_ends_is_freed(kind: str, probe: Probe):
    probe(
        f"""
        def body(i=0):
            here = create({kind!r})
            run(here, USE + '''
            class Node:
                def __init__(self):
                    self.me = self
                    self.memory = pybuf.zeros(1 << 12, source="go")
                    self.views = [memoryview(self.memory), self.memory.toreadonly()]
                    self.wrapped = pybuf.wrap(self.memory.address, 8, owner=self)
                    self.called = pybuf.wrap(4096, 4, owner=self, release=lambda _: self)
            nodes = [Node() for _ in range(20)]
            gc.disable()
            del nodes[10:]
            kept = [pybuf.zeros(64, source="go"), nodes]
            kept.append(kept)
            ''')
            interpreters.destroy(here)
        for _ in range(5):
            body()
        on_threads(body)
        assert blocks() == 0
        """
    )


@KIND
def test_memory_that_an_interpreter_left_behind_stays_readable(kind: str, probe: Probe):
    """Its Buffer was never given back, as by a C library that kept a reference: so the block is
    held for as long as the process lives."""
    if kind == "isolated" and sys.version_info < (3, 13):
        pytest.skip("ctypes cannot be imported there")
    probe(
        f"""
        read, write = os.pipe()
        here = create({kind!r})
        run(here, USE + f'''
            import ctypes, os
            kept = [pybuf.copy(bytes([i]) * 5000, source="go") for i in range(20)]
            for b in kept:
                ctypes.pythonapi.Py_IncRef(ctypes.py_object(b))
            os.write({{write}}, b"".join(b.address.to_bytes(8, "little") for b in kept))
            ''')
        interpreters.destroy(here)
        addresses = os.read(read, 1000)
        for _ in range(5):
            assert blocks() == 20
            made = [pybuf.zeros(5000, source="go") for _ in range(100)]
            for i in range(20):
                address = int.from_bytes(addresses[8 * i:8 * i + 8], "little")
                assert ctypes.string_at(address, 5000) == bytes([i]) * 5000
            made.clear()
        """
    )


@KIND
def test_a_process_ends_well_with_interpreters_that_hold_it(kind: str, probe: Probe):
    probe(
        f"""
        held = [create({kind!r}) for _ in range(3)]
        for here in held:
            run(here, USE + '''
            kept = [memoryview(pybuf.zeros(100, source="go")) for _ in range(10)]
            kept.append(kept)
            ''')
        assert blocks() == 30
        for here in held:
            interpreters.destroy(here)
        assert blocks() == 0
        """
    )


@KIND
def test_an_interpreter_that_imports_first_leaves_go_to_the_others(kind: str, probe: Probe):
    probe(
        f"""
        del sys.modules["pybuf"], sys.modules["pybuf._core"]
        here = create({kind!r})
        run(here, USE + "    use(3)")
        interpreters.destroy(here)
        import pybuf
        pybuf.zeros(1 << 16, source="go")
        there = create({kind!r})
        run(there, USE + "    use(3)")
        interpreters.destroy(there)
        assert blocks() == 0
        """
    )


@KIND
def test_the_mask_of_a_thread_stays_in_any_interpreter(kind: str, probe: Probe):
    probe(
        f"""
        def body(i):
            signal.pthread_sigmask(signal.SIG_SETMASK, {{signal.SIGCHLD, signal.SIGURG}})
            mine = f"self/task/{{threading.get_native_id()}}"
            before = status(mine)["SigBlk"]
            here = create({kind!r})
            run(here, USE + "    use(2)")
            assert status(mine)["SigBlk"] == before
            interpreters.destroy(here)
            assert status(mine)["SigBlk"] == before
        on_threads(body)
        """
    )


def test_an_interpreter_with_its_own_lock_is_reborn_with_the_others(probe: Probe):
    """A fork in the first interpreter, and Go in another one of the child."""
    probe(
        """
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        pybuf.zeros(1, source="go")
        child = os.fork()
        if child == 0:
            def body(i):
                here = create("isolated")
                run(here, USE + "    use(5)")
                interpreters.destroy(here)
            on_threads(body)
            pybuf.zeros(1, source="go")
            os._exit(blocks())
        assert os.waitpid(child, 0)[1] == 0
        """
    )
