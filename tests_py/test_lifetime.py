"""Memory is freed once, at the end of the last thing that looks at it, whoever that is."""

from __future__ import annotations

import array
import base64
import binascii
import ctypes
import gc
import hashlib
import io
import os
import socket
import struct
import threading
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from blocks import KINDS, PATTERN, Lent, own_memory, python_callback
from consumers import COUNTED, UNCOUNTED, Consumer

import pybuf

KEEPING = COUNTED | UNCOUNTED


def seen(address: int) -> bytes:
    """What lies in memory that must not have been freed yet."""
    return ctypes.string_at(address, len(PATTERN))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_memory_without_views_is_freed_with_its_buffer(kind: Callable[[], Lent]):
    buffer, _, freed = kind()
    assert freed() == 0
    del buffer
    assert freed() == 1


@pytest.mark.parametrize("consume", KEEPING.values(), ids=KEEPING)
def test_memory_lives_as_long_as_a_view_of_it(consume: Consumer):
    for kind in KINDS:
        buffer, address, freed = kind()
        view = consume(buffer)
        del buffer
        gc.collect(0)
        assert freed() == 0, kind
        assert seen(address) == PATTERN, kind
        del view
        assert freed() == 1, kind


@pytest.mark.parametrize("consume", KEEPING.values(), ids=KEEPING)
def test_memory_lives_as_long_as_a_view_of_a_closed_buffer(consume: Consumer):
    for kind in KINDS:
        buffer, address, freed = kind()
        view = consume(buffer)
        assert buffer.close() is False, kind
        del buffer
        gc.collect(0)
        assert freed() == 0, kind
        assert seen(address) == PATTERN, kind
        del view
        assert freed() == 1, kind


@pytest.mark.parametrize("consume", COUNTED.values(), ids=COUNTED)
def test_each_view_that_reports_its_end_is_counted_until_then(consume: Consumer):
    buffer = own_memory().buffer
    view = consume(buffer)
    assert buffer.exports >= 1
    del view
    assert buffer.exports == 0


@pytest.mark.parametrize("consume", UNCOUNTED.values(), ids=UNCOUNTED)
def test_views_that_report_nothing_are_kept_safe_without_a_count(consume: Consumer):
    """These are why the count of exports is not what the memory lives by."""
    buffer, address, freed = own_memory()
    view = consume(buffer)
    assert buffer.exports == 0
    del buffer
    assert freed() == 0
    assert seen(address) == PATTERN
    del view
    assert freed() == 1


@pytest.mark.parametrize("first_dropped", range(4))
def test_any_order_of_dropping_views_frees_at_the_last(first_dropped: int):
    buffer, _, freed = python_callback()
    array = np.asarray(buffer)
    views = [memoryview(buffer), array.view(np.double), array[::2], np.ndarray(8, "d", buffer)]
    del buffer, array
    for left in range(len(views), 0, -1):
        assert freed() == 0
        views.pop(first_dropped % left)
    assert freed() == 1


def test_views_see_one_memory():
    buffer = pybuf.zeros(8, "d")
    m, a, n, w = memoryview(buffer), np.asarray(buffer), buffer.numpy(), np.ndarray(8, "d", buffer)
    m[0], a[1], n[2], w[3] = 1, 2, 3, 4
    expected = [1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0, 0.0]
    assert buffer.tolist() == m.tolist() == a.tolist() == n.tolist() == w.tolist() == expected


# ---- consumers for the length of one call ----------------------------------------------


def _through_a_socket(b: pybuf.Buffer) -> None:
    left, right = socket.socketpair()
    with left, right:
        left.sendall(b)
        assert right.recv_into(b) == 64


def _through_a_pipe(b: pybuf.Buffer) -> None:
    read, write = os.pipe()
    with open(read, "rb", buffering=0) as r, open(write, "wb", buffering=0) as w:
        assert os.writev(w.fileno(), [b, b]) == 128
        assert os.readv(r.fileno(), [b]) == 64
        assert r.readinto(b) == 64


PASSING: dict[str, Callable[[pybuf.Buffer], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "bytes.join": lambda b: b"-".join([b, b]),
    "bytes.find": lambda b: bytes(100).find(b),
    "int.from_bytes": lambda b: int.from_bytes(b, "little"),
    "str": lambda b: str(b, "ascii"),
    "hashlib": lambda b: hashlib.sha256(b).digest(),
    "hashlib without the GIL": lambda b: hashlib.sha256(pybuf.zeros(100_000)).update(b),
    "zlib.crc32": zlib.crc32,
    "zlib.compress": zlib.compress,
    "binascii": binascii.hexlify,
    "base64": base64.b64encode,
    "struct.unpack_from": lambda b: struct.unpack_from("<4i", b, 8),
    "struct.pack_into": lambda b: struct.pack_into("<4i", b, 8, 1, 2, 3, 4),
    "array.frombytes": lambda b: array.array("B").frombytes(b),
    "readinto": lambda b: io.BytesIO(bytes(64)).readinto(b),
    "write": lambda b: io.BytesIO().write(b),
    "socket": _through_a_socket,
    "pipe": _through_a_pipe,
    "np.array": np.array,
    "np.copyto": lambda b: np.copyto(np.zeros(64, "B"), b),
    "np.sum": np.sum,
    "np.array_equal": lambda b: np.array_equal(b, b),
    "comparison": lambda b: b == memoryview(PATTERN),
    "pybuf.copy": pybuf.copy,
    "unpacking": lambda b: [*b],
    "in": lambda b: 63 in b,
}


@pytest.mark.parametrize("use", PASSING.values(), ids=PASSING)
def test_a_consumer_for_one_call_leaves_nothing_behind(use: Callable[[pybuf.Buffer], Any]):
    buffer, _, freed = python_callback()
    result = use(buffer)
    assert buffer.exports == 0
    del buffer
    assert freed() == 1  # even while the result lives
    del result


@pytest.mark.parametrize("use", PASSING.values(), ids=PASSING)
def test_a_consumer_for_one_call_may_use_a_view(use: Callable[[Any], Any]):
    """The same through a memoryview and an array, which lend the Buffer on."""
    buffer, _, freed = python_callback()
    use(memoryview(buffer))
    use(np.asarray(buffer))
    assert buffer.exports == 0
    del buffer
    assert freed() == 1


# ---- pyarrow ---------------------------------------------------------------------------


def test_pyarrow_keeps_the_memory_of_its_buffers_and_arrays():
    buffer, address, freed = python_callback()
    block = pa.py_buffer(buffer)
    assert (block.address, block.size) == (address, 64)
    array = pa.Array.from_buffers(pa.uint8(), 64, [None, block])[10:20]
    del buffer, block
    gc.collect()
    assert freed() == 0
    assert array.to_pylist() == list(range(10, 20))
    del array
    gc.collect()  # readers of PyArrow are in cycles now and then
    assert freed() == 1


def test_pyarrow_takes_empty_memory():
    """It ends the process when a pointer is NULL, be there no bytes or not."""
    assert pa.py_buffer(pybuf.zeros(0)).size == 0
    assert pa.py_buffer(pybuf.wrap(0, 0, unowned=True)).size == 0


# ---- which thread ----------------------------------------------------------------------


@pytest.mark.parametrize("consume", [np.asarray, memoryview, lambda b: np.ndarray(64, "B", b)])
def test_memory_is_freed_by_the_thread_that_drops_the_last_reference(consume: Consumer):
    released_on: list[int] = []
    block = ctypes.create_string_buffer(PATTERN, len(PATTERN))

    def make() -> Any:
        return consume(
            pybuf.wrap(block, release=lambda _: released_on.append(threading.get_ident()))
        )

    held = [make()]
    dropper = threading.Thread(target=held.clear)
    dropper.start()
    dropper.join()
    assert released_on == [dropper.ident]


def test_memory_is_freed_before_the_statement_that_drops_it_ends():
    """In the dealloc itself: no queue, no finalizer thread, no later collection."""
    events: list[str] = []
    block = ctypes.create_string_buffer(8)
    view = np.asarray(pybuf.wrap(block, release=lambda _: events.append("freed")))
    gc.disable()
    try:
        events.append("before")
        del view
        events.append("after")
    finally:
        gc.enable()
    assert events == ["before", "freed", "after"]
