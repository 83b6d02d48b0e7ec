"""Children of children, each with a runtime of its own, as far as the loader goes."""

from __future__ import annotations

import os

import pytest
from forking import forker
from probing import Probe


@pytest.fixture
def fork(fresh: Probe) -> Probe:
    return forker(fresh)


def test_a_generation_is_counted_with_each_fork_and_not_by_siblings(fork: Probe):
    fork(
        """
        def body(depth):
            assert generation() == depth
            for _ in range(2 if depth < 4 else 0):
                in_child(body, depth + 1)
            assert generation() == depth
        body(0)
        """
    )


def test_a_generation_that_needs_no_go_is_counted_too(fork: Probe):
    fork(
        """
        b = pybuf.copy(b"parent", source="go")
        def without(depth):
            assert b == b"parent" and threads() == 1
            if depth < 5:
                in_child(without, depth + 1)
            else:
                use_go()
                assert generation() == depth
        in_child(without, 1)
        """
    )


def test_fifty_generations_make_view_and_drop_go_blocks(fork: Probe):
    """Of the last four generations blocks are alive at once: each with the bytes of its maker."""
    done = fork(
        """
        kept = []
        def body(depth):
            kept.append(pybuf.copy(bytes([depth]) * 5000, source="go"))
            view = memoryview(kept[-1])
            assert [b.tobytes() for b in kept] == [bytes([d]) * 5000
                                                  for d in range(max(0, depth - 3), depth + 1)]
            for b in kept:
                b[0] = b[0]
            if len(kept) > 3:
                kept.pop(0)
            assert pybuf.zeros(2, "=H" if depth % 2 else "@H").nbytes == 4
            runtime = _core._go_runtime(True)
            assert (runtime["generation"], runtime["blocks"]) == (depth, 1), runtime
            if depth == 50:
                print("all the way")
                sys.stdout.flush()
            else:
                in_child(body, depth + 1)
            assert view.tobytes() == bytes([depth]) * 5000
        body(0)
        """
    )
    assert done.stdout == "all the way\n"


def test_a_block_is_given_back_to_the_runtime_that_made_it_and_to_no_other(fork: Probe):
    """The numbers of the blocks are the same in each: a mistaken release would hit the new one."""
    fork(
        """
        old = [pybuf.copy(b"old", source="go") for _ in range(10)]
        def body(depth):
            new = [pybuf.copy(b"new", source="go") for _ in range(10)]
            old.pop()
            assert _core._go_runtime(True)["blocks"] == 10
            if depth < 4:
                in_child(body, depth + 1)
            assert _core._go_runtime(True)["blocks"] == 10
            assert {b.tobytes() for b in old} == {b"old"}
            assert {b.tobytes() for b in new} == {b"new"}
            old.clear()
            assert _core._go_runtime(True)["blocks"] == 10
            new.clear()
            assert _core._go_runtime(True)["blocks"] == 0
        in_child(body, 1)
        assert _core._go_runtime(True)["blocks"] == 10
        """
    )


def test_the_parent_goes_on_while_children_live(fork: Probe):
    """Six of them at once, and the runtime of each is its own."""
    fork(
        """
        ready, tell = os.pipe()
        end, hold = os.pipe()
        def body(i):
            os.close(hold)
            mine = [pybuf.copy(bytes([i]) * 1000, source="go") for _ in range(i)]
            os.write(tell, b"!")
            assert os.read(end, 1) == b""  # until the parent has let go of `hold`
            assert all(b == bytes([i]) * 1000 for b in mine)
            assert _core._go_runtime(True)["blocks"] == i
        def start(i):
            pid = os.fork()
            if pid == 0:
                try:
                    signal.alarm(80)
                    body(i)
                    os._exit(0)
                finally:
                    os._exit(1)
            return pid
        children = [start(i) for i in range(6)]
        for _ in children:
            os.read(ready, 1)
        use_go()
        assert (generation(), _core._go_runtime(True)["blocks"]) == (0, 0)
        os.close(hold)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 6
        """
    )


def test_where_the_loader_refuses_the_step_is_named_and_c_works_on(fork: Probe):
    """Its room for thread-local data of libraries that come late is used up at some generation:
    after some 200, and earlier here, where it is asked to keep less of it."""
    room = "glibc.rtld.nns=1:glibc.rtld.optional_static_tls=0"
    done = fork(
        """
        kept = pybuf.copy(b"of the first", source="go")
        def body(depth):
            try:
                use_go()
            except RuntimeError as error:
                print(error)
                sys.stdout.flush()
                again = refusal(use_go)
                assert again.partition("/proc")[0] == str(error).partition("/proc")[0]
                assert kept == b"of the first"
                assert pybuf.zeros((3, 4), "d").numpy().sum() == 0
                kept.close()
                in_child(lambda: refusal(use_go))
            else:
                in_child(body, depth + 1)
        body(0)
        """,
        env={**os.environ, "GLIBC_TUNABLES": room},
    )
    assert done.stdout.startswith(
        "this process was forked, Go's runtime is dead in it, and a new one could not be started: "
        "the copy of the library cannot be loaded: "
    )
    assert done.stdout.count("\n") == 1
