"""A program for a fresh interpreter: it makes, views and drops memory of Go's heap in all ways."""

from __future__ import annotations

#: What it looks at must be what was written there. Prints what Go says of itself in the end.
WORKOUT = """
    import gc, json, pickle, random, sys, threading
    import numpy as np
    import pybuf
    from pybuf import _core

    rounds = 2000
    sizes = (0, 1, 8, 15, 16, 100, 512, 4096, 8192, 8193, 40_000, 300_000)
    sys.setswitchinterval(1e-5)

    def out_of_band(b):
        frames = []
        data = pickle.dumps(b, 5, buffer_callback=frames.append)
        return pickle.loads(data, buffers=frames)

    def cycle(b):
        ring = [memoryview(b)]
        ring.append(ring)
        return ring[0]

    class Interface:
        def __init__(self, b):
            self.b, self.__array_interface__ = b, b.__array_interface__

    doors = [
        lambda b: b, memoryview, cycle, np.asarray, out_of_band, np.from_dlpack, iter,
        lambda b: b[:], lambda b: b.numpy()[:], lambda b: np.ndarray(b.shape, "B", b),
        lambda b: b.toreadonly().cast("B"), lambda b: b.__dlpack__(max_version=(1, 0)),
        lambda b: np.asarray(Interface(b)), lambda b: (memoryview(b), b.close())[0],
    ]

    def make(n, fill):
        if fill % 4 == 0:
            return pybuf.copy(bytes([fill]) * n, source="go", align=1 << fill % 13)
        b = pybuf.zeros(n, source="go", align=1 << fill % 13)
        assert not any(memoryview(b)) if n < 1000 else not b.numpy().any()
        np.ndarray(n, "B", b)[:] = fill
        if fill % 4 == 1:
            b = pybuf.copy(b, source="go")
            b.resize(n // 2)
            b.resize(n)
            np.ndarray(n, "B", b)[n // 2:] = fill
        return b

    def look(held):
        view, fill, n, keeper = held
        if hasattr(type(view), "__next__"):
            assert list(view) == [fill] * n
        elif type(view).__name__ == "PyCapsule":
            view = None
        else:
            assert bytes(view) == bytes([fill]) * n
        assert keeper is None or bytes(keeper) == bytes([fill]) * n

    passed = []

    def work(me):
        rng = random.Random(me)
        mine = []
        for i in range(rounds):
            fill, n = rng.randrange(256), rng.choice(sizes)
            b = make(n, fill)
            view = rng.choice(doors)(b)
            mine.append((view, fill, n, None if rng.random() < .7 or b.closed else memoryview(b)))
            del b, view
            if len(mine) > 20:
                look(mine.pop(rng.randrange(20)))
            if rng.random() < .2:
                passed.append(mine.pop())
            if rng.random() < .2 and passed:
                try:
                    look(passed.pop(0))
                except IndexError:  # another thread was first
                    pass
            if i % 100 == 0:
                _core._go_runtime(True)
        for held in mine:
            look(held)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    while passed:
        look(passed.pop())
    gc.collect()
    said = _core._go_runtime(True)
    assert (said["blocks"], said["block_bytes"]) == (0, 0), said
    kept = [door(make(5000, 7)) for door in doors]  # to the end of the process
    print(json.dumps(said))
"""
