"""A child that makes no use of Go has no runtime, and all that is C's works in it."""

from __future__ import annotations

import pytest
from forking import forker
from probing import Probe


@pytest.fixture
def fork(fresh: Probe) -> Probe:
    return forker(fresh)


#: A Buffer of each source, made by the parent, all with the same bytes.
BUFFERS = """
    import copy, gc, pickle
    import numpy as np
    data = bytes(range(48))
    block = ctypes.create_string_buffer(data, len(data))
    buffers = {
        "c": pybuf.copy(data),
        "go": pybuf.copy(data, source="go"),
        "foreign": pybuf.wrap(block, len(data), "B", owner=block),
    }
    assert {b.source for b in buffers.values()} == set(buffers)
"""

LOOKS = {
    "memoryview": "memoryview(b).tobytes() == data",
    "slice": "b[3:9].tobytes() == data[3:9] and memoryview(b)[::-5].tolist() == [*data[::-5]]",
    "items": "b[5] == 5 and [*b] == [*data] and len(b) == 48 and b.tolist() == [*data]",
    "equality": "b == data and b != data[1:]",
    "hash": "hash(b.toreadonly()) == hash(data)",
    "asarray": "np.asarray(b)[::2].tobytes() == data[::2]",
    "numpy": "b.numpy().reshape(6, 8).T.tobytes('F') == data",
    "array without a count": "np.ndarray(48, 'B', buffer=b).tobytes() == data",
    "interface": "b.__array_interface__['data'] == (b.address, False)",
    "dlpack": "np.from_dlpack(b).tobytes() == data",
    "dlpack copy": "b.__dlpack__(max_version=(1, 0), copy=True) is not None",
    "arrow": "len(b.__arrow_c_array__()) == 2",
    "cast": "b.cast('d', (2, 3)).cast('B') == data and b.cast('>u4').tobytes() == data",
    "copy": "pybuf.copy(b) == b and (b.source == 'go' or copy.copy(b) == copy.deepcopy(b) == b)",
    "pickle": "all(pickle.loads(pickle.dumps(b, n)) == b for n in (2, 5))",
    "pickle out of band": "pickle.loads(pickle.dumps(b, 5, buffer_callback=frames.append), "
    "buffers=frames).address == b.address",
    "attributes": "[getattr(b, name) for name in dir(b)]",
    "a write": "b.__setitem__(3, 77) or b.numpy().__setitem__(4, 78) "
    "or b[2:6] == b'\\2\\x4d\\x4e\\5'",
    "with": "b.__enter__() is b and b.__exit__(None, None, None) is None and b.closed",
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_memory_of_the_parent_is_viewed_without_go(look: str, fork: Probe):
    fork(
        BUFFERS,
        f"""
        def body(b):
            frames = []
            assert {look}
            b.close()
        for b in buffers.values():
            without_go(body, b)
        """,
    )


def test_new_memory_of_known_types_is_made_and_freed_without_go(fork: Probe):
    fork(
        """
        def body():
            for i in range(50):
                for dtype in ("d", "<f4", ">i2", "?", "Zd", "float64", np.dtype("u8"), "=Q"):
                    assert not pybuf.zeros((i, 3), dtype).numpy().any()
                pybuf.empty(i, "i", order="F", align=4096)
                assert pybuf.copy(np.arange(i)) == np.arange(i)
                b = pybuf.zeros(i)
                b.resize((2, i))
                assert b.tobytes() == bytes(2 * i)
        import numpy as np
        for spelling in ("=Q", "float64"):
            pybuf.zeros(1, spelling)
        without_go(body)
        """
    )


RELEASES = {
    "a callable": "release=seen.append",
    "a C function": "release=thunk",
    "a pair": "release=(thunk, 9)",
    "a method in a cycle": "release=Cycle().free",
}


@pytest.mark.parametrize("release", RELEASES.values(), ids=RELEASES)
@pytest.mark.parametrize("where", ["parent", "child"])
def test_a_release_runs_once_in_the_child_without_go(release: str, where: str, fork: Probe):
    """For a wrap of the parent's too: parent and child have a copy each, and free their own."""
    fork(
        f"""
        import gc
        seen = []
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)
        thunk = prototype(lambda data, nbytes, arg: seen.append(data))
        class Cycle:
            def free(self, address):
                self.self = self
                seen.append(address)
        def make():
            return pybuf.wrap(4096, (2, 3), "h", {release})
        box = [make()] if {where == "parent"} else []
        def body():
            view = memoryview(box.pop() if box else make())
            assert view.nbytes == 12 and not seen
            del view
            gc.collect()
            assert seen == [4096], seen
        without_go(body)
        assert not seen
        box.clear()
        gc.collect()
        assert len(seen) == {int(where == "parent")}
        """
    )


def test_a_view_of_the_parent_outlives_its_buffer_in_the_child(fork: Probe):
    fork(
        BUFFERS,
        """
        views = {name: (memoryview(b), np.asarray(b), b.numpy(), b.toreadonly())
                 for name, b in buffers.items()}
        def body():
            buffers.clear()
            gc.collect()
            for each in views.values():
                assert all(bytes(view) == data for view in each)
            views.clear()
        without_go(body)
        assert all(bytes(view) == data for each in views.values() for view in each)
        """,
    )


def test_neither_process_sees_what_the_other_writes(fork: Probe):
    fork(
        BUFFERS,
        """
        written, write = os.pipe()
        def body():
            os.read(written, 1)  # the parent has written
            for b in buffers.values():
                assert b == data
                b.numpy()[:] = 1
                assert b.tobytes() == bytes([1]) * 48
        def parent():
            for b in buffers.values():
                b[0] = 99
            os.write(write, b"!")
        late = threading.Thread(target=parent)
        os.register_at_fork(after_in_parent=late.start)
        without_go(body)
        late.join()
        for b in buffers.values():
            assert b.tobytes() == bytes([99]) + data[1:]
        """,
    )


def test_go_blocks_of_the_parent_are_closed_and_dropped_without_go(fork: Probe):
    """They are left alone: the parent has them as before."""
    fork(
        """
        import gc
        blocks = [pybuf.copy(bytes([i]) * 5000, source="go") for i in range(100)]
        cycle = [pybuf.zeros(9, source="go")]
        cycle.append(cycle)
        held = _core._go_runtime(True)["blocks"]
        def body():
            before = _core._counters()
            assert all(b.close() for b in blocks[:50])
            blocks.clear()
            cycle.clear()
            gc.collect()
            after = _core._counters()
            assert after["freed"] - before["freed"] == 101
            assert after["live_bytes"] == before["live_bytes"] - 100 * 5000 - 9
        without_go(body)
        assert _core._go_runtime(True)["blocks"] == held == 101
        assert all(b == bytes([i]) * 5000 for i, b in enumerate(blocks))
        blocks.clear()
        assert _core._go_runtime(True)["blocks"] == 1
        """
    )


def test_what_c_refuses_is_refused_without_go(fork: Probe):
    fork(
        """
        b = pybuf.zeros(8, source="go")
        view = memoryview(b)
        def body():
            assert "1 view" in refusal(lambda: b.resize(9), BufferError)
            assert "1 view" in refusal(lambda: b.close(strict=True), BufferError)
            assert "no whole number" in refusal(lambda: pybuf.zeros(3).cast("d"),
                                                TypeError)
            assert not b.close()
            assert "closed" in refusal(lambda: memoryview(b), ValueError)
            assert bytes(view) == bytes(8)
            assert "who frees" in refusal(lambda: pybuf.wrap(4096, 3), TypeError)
            assert "source is" in refusal(lambda: pybuf.zeros(3, source="rust"), ValueError)
            assert "no such block" in refusal(lambda: pybuf.zeros(1 << 50), MemoryError)
        without_go(body)
        """
    )


def test_a_child_that_looked_without_go_can_begin_a_runtime_after_all(fork: Probe):
    """Else the tests above would pass in a child that could not."""
    fork(
        """
        def body():
            pybuf.zeros(3)
            assert threads() == 1
            use_go()
            assert threads() > 1
            assert generation() == 1
        in_child(body)
        assert generation() == 0
        """
    )
