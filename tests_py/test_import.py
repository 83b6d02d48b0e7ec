"""The import on other threads, at once, again, and in other interpreters."""

from __future__ import annotations

import pytest
from probing import Probe, prober


@pytest.fixture
def probe(fresh: Probe) -> Probe:
    return prober(fresh)


def test_an_import_on_a_thread_serves_all(probe: Probe):
    probe(
        """
        loader = threading.Thread(target=load)
        loader.start()
        loader.join()
        import pybuf
        assert pybuf.zeros(3).tolist() == [0, 0, 0]
        """
    )


def test_imports_on_many_threads_at_once_are_one(probe: Probe):
    probe(
        """
        barrier, found = threading.Barrier(8), []
        def body():
            barrier.wait()
            import pybuf
            found.append(pybuf.zeros)
        threads = [threading.Thread(target=body) for _ in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert len(found) == 8 and len(set(found)) == 1
        """
    )


def test_a_second_import_makes_a_second_module_and_leaves_the_process_alone(probe: Probe):
    probe(
        """
        load()
        import pybuf
        first = pybuf
        old = memoryview(first.zeros(4))
        def state():
            kept = {k: v for k, v in status().items() if k.startswith("Sig") and k != "SigQ"}
            return kept, resource.getrlimit(resource.RLIMIT_NOFILE), actions()
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
        signal.signal(signal.SIGURG, print)
        before = state()
        del sys.modules["pybuf"], sys.modules["pybuf._core"]
        import pybuf
        assert state() == before
        assert pybuf is not first and pybuf.Buffer is not first.Buffer
        assert pybuf.copy(old).tolist() == first.copy(pybuf.zeros(4)).tolist() == [0] * 4
        """
    )


def test_a_sub_interpreter_may_import_it_and_end(probe: Probe):
    """On 3.12 and later with a lock of its own."""
    probe(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        before = status()["SigBlk"]
        code = '''if True:
            import pybuf
            kept = [memoryview(pybuf.wrap(4096, 4, release=lambda _: None)), pybuf.zeros(3)]
            kept.append(kept)
            assert pybuf.zeros((2, 2), "d").tolist() == [[0, 0], [0, 0]]
            '''
        def body():
            here = interpreters.create()
            for _ in range(2):
                failed = interpreters.run_string(here, code)
                assert failed is None, failed
            interpreters.destroy(here)
        body()
        load()
        for _ in range(3):
            body()
        import pybuf
        assert pybuf.zeros(2).tolist() == [0, 0]
        assert status()["SigBlk"] == before
        """,
        options=("-X", "dev"),
    )
