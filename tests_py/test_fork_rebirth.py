"""What needs Go begins a new runtime in a forked child, by itself, and is answered as ever."""

from __future__ import annotations

import pytest
from forking import forker
from probing import Probe


@pytest.fixture
def fork(fresh: Probe) -> Probe:
    return forker(fresh)


#: What enters Go, with the answer that it gives in any process.
NEEDS = {
    "a new element type": "pybuf.zeros(3, '!h').format == '>h'",
    "a new typestr": "pybuf.zeros((2, 3), '=f8').format == 'd'",
    "a type of NumPy's": "pybuf.zeros(3, 'complex64').format == 'Zf'",
    "a type of another exporter": "pybuf.copy(memoryview(bytes(8)).cast('@i')).format == 'i'",
    "a refused ctypes array": "'pointers' in refusal(lambda: pybuf.wrap((ctypes.POINTER("
    "ctypes.c_int) * 3)(), unowned=True), TypeError)",
    "a refused type": "'objects' in refusal(lambda: pybuf.zeros(3, 'O'), TypeError)",
    "strides": "pybuf.wrap(block, (2, 3), 'h', strides=(-12, 4), offset=20, nbytes=64, "
    "owner=block).strides == (-12, 4)",
    "suboffsets": "pybuf.wrap(table, (1, 3), 'h', strides=(8, 2), suboffsets=(0, -1), "
    "owner=(table, block)).tolist() == [[0, 0, 0]]",
    "a refused shape": "refusal(lambda: pybuf.zeros((2, -1)), ValueError) == "
    "'shape (2, -1): extent 1 is -1; extents count items and must be >= 0'",
    "too many items": "'more than' in refusal(lambda: pybuf.zeros((1 << 40,) * 2), OverflowError)",
    "a layout beyond its block": "'uses bytes' in refusal(lambda: pybuf.wrap(block, (2, 3), 'h', "
    "strides=(60, 4), nbytes=64, owner=block), ValueError)",
    "zeros": "pybuf.zeros((3, 4), 'd', source='go').numpy().sum() == 0",
    "empty": "pybuf.empty((3, 4), 'd', order='F', source='go').strides == (8, 24)",
    "no bytes": "pybuf.zeros(0, source='go').address != 0",
    "an alignment": "pybuf.zeros(5, align=1 << 16, source='go').address % (1 << 16) == 0",
    "copy": "pybuf.copy(b'abc', source='go').source == 'go'",
    "a copy of the parent's": "pybuf.copy(old, source='go') == old",
    "64 MiB": "pybuf.zeros(64 << 20, source='go').numpy().any() == False",
    "the counters": "_core._go_runtime(True)['collections'] > 0",
}

THINGS = """
    block = (ctypes.c_char * 64)()
    table = (ctypes.c_void_p * 1)(ctypes.addressof(block))
    old = pybuf.copy(bytes(range(256)) * 20, source="go")
"""


@pytest.mark.parametrize("need", NEEDS.values(), ids=NEEDS)
def test_what_needs_go_is_answered_in_a_child_and_in_its_child(need: str, fork: Probe):
    fork(
        THINGS,
        f"""
        def ask(depth):
            assert threads() == 1
            before = go_calls()
            for _ in range(2):
                assert {need}
            assert go_calls() > before  # else this tells nothing of a new runtime
            assert threads() > 1
            assert generation() == depth
        def reborn():
            use_go()
            in_child(ask, 2)
        in_child(ask, 1)
        in_child(reborn)
        assert {need}  # in the parent, too
        assert generation() == 0
        """,
    )


def test_the_new_runtime_begins_with_nothing_and_counts_its_own(fork: Probe):
    fork(
        """
        mine = [pybuf.zeros(100, source="go") for _ in range(7)]
        def body():
            runtime = _core._go_runtime(True)
            assert (runtime["blocks"], runtime["block_bytes"]) == (0, 0)
            here = [pybuf.zeros(10, source="go") for _ in range(3)]
            mine.clear()
            runtime = _core._go_runtime(True)
            assert (runtime["blocks"], runtime["block_bytes"]) == (3, 30)
            here.clear()
            assert _core._go_runtime(True)["blocks"] == 0
        in_child(body)
        assert _core._go_runtime(True)["blocks"] == 7
        """
    )


def test_the_collector_of_the_new_runtime_takes_what_is_dropped(fork: Probe):
    fork(
        """
        def body():
            use_go()
            before = _core._go_runtime(True)
            for _ in range(300):
                pybuf.zeros(4 << 20, source="go")
            after = _core._go_runtime(True)
            assert after["collections"] > before["collections"] + 2
            assert after["heap_bytes"] < before["heap_bytes"] + (8 << 20)
        in_child(body)
        """
    )


@pytest.mark.parametrize("first", ["", "use_go()"], ids=["not yet reborn", "reborn"])
def test_a_go_block_of_the_parent_can_be_resized_in_the_child(first: str, fork: Probe):
    """Into memory of the new runtime; what the dead one had is left alone."""
    fork(
        f"""
        b = pybuf.copy(bytes(range(100)), source="go")
        other = pybuf.copy(b, source="go")
        def body():
            {first}
            b.resize((2, 75))
            assert b.source == "go"
            assert b.tobytes() == bytes(range(100)) + bytes(50)
            assert _core._go_runtime(True)["blocks"] == 1
            assert b.close()
            assert _core._go_runtime(True)["blocks"] == 0
        in_child(body)
        assert b.tobytes() == bytes(range(100))
        assert _core._go_runtime(True)["blocks"] == 2
        """
    )


DOORS = {
    "memoryview": "memoryview(b)",
    "slice": "b[1:]",
    "asarray": "np.asarray(b)",
    "numpy": "b.numpy()",
    "uncounted array": "np.ndarray(48, 'B', buffer=b)",
    "dlpack": "np.from_dlpack(b)",
    "capsule": "b.__dlpack__()",
    "arrow": "b.__arrow_c_array__()",
    "cast": "b.cast('d')",
    "read-only": "b.toreadonly()",
    "pickle": "out_of_band(b)",
}


@pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)
def test_each_door_lends_blocks_of_both_runtimes(door: str, fork: Probe):
    """The block of the new one is given back with its last view; that of the dead one is not."""
    fork(
        f"""
        import pickle
        import numpy as np
        def out_of_band(b):
            frames = []
            text = pickle.dumps(b, 5, buffer_callback=frames.append)
            return pickle.loads(text, buffers=frames)
        old = pybuf.copy(bytes(range(48)), source="go")
        def body():
            new = pybuf.copy(bytes(range(48)), source="go")
            views = []
            for b in (old, new):
                views.append({door})
            del b, new
            assert _core._go_runtime(True)["blocks"] == 1
            for view in views:
                try:
                    assert bytes(view)[-5:] == bytes(range(43, 48))
                except TypeError:
                    pass  # capsules
            views.clear()
            view = None
            assert _core._go_runtime(True)["blocks"] == 0
        in_child(body)
        assert _core._go_runtime(True)["blocks"] == 1
        """
    )


def test_an_error_of_go_leaves_the_runtime_at_work(fork: Probe):
    fork(
        """
        def body():
            for i in range(20):
                refusal(lambda: pybuf.zeros(2, "no such type"), ValueError)
                refusal(lambda: pybuf.zeros((i, -1)), ValueError)
                use_go()
            assert generation() == 1
        in_child(body)
        """
    )


def test_a_child_begins_one_runtime_however_often_it_needs_go(fork: Probe):
    fork(
        """
        def body():
            use_go()
            first = threads()
            with open("/proc/self/maps") as maps:
                copies = {line.split()[4] for line in maps if "memfd:pybuf" in line}
            assert len(copies) == 1
            for i in range(50):
                pybuf.wrap(4096, (2, i), "h", strides=(400, 4), unowned=True)
                use_go()
            with open("/proc/self/maps") as maps:
                assert copies == {line.split()[4] for line in maps if "memfd:pybuf" in line}
            assert threads() < first + 10
        in_child(body)
        """
    )
