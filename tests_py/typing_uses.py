"""Right and wrong uses for type checkers: read by mypy, run by test_typing.py.

A wrong line bears the type: ignore that it needs. A checker that no longer
finds fault with it says that the comment is not needed, which is an error.
"""

from __future__ import annotations

import ctypes
import io
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, assert_type

import numpy as np

import pybuf

if TYPE_CHECKING:
    from typing_extensions import Buffer as SupportsBuffer  # collections.abc has it from 3.12 on

# ---- right: each of them runs ---------------------------------------------------


def right_elements() -> None:
    for dtype in ("d", "<f8", "float64", np.dtype("f8"), np.float64, float, ctypes.c_double):
        assert_type(pybuf.zeros(3, dtype), pybuf.Buffer)
    for plain in (bool, int, float, complex):
        pybuf.empty(3, plain)
    pybuf.zeros(3, np.dtype(np.int16)).cast(np.uint8).cast("B", (2, 3)).cast(ctypes.c_uint16)


class Trade(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int32), ("price", ctypes.c_double)]


def right_records() -> None:
    columns: list[tuple[str, str]] = [("id", "i4"), ("price", "f8")]
    pybuf.zeros(4, columns).cast([(("title", "all"), Trade)])
    pybuf.zeros(3, [("a", np.float32, (2, 3)), ("b", [("c", "i4")])])
    pybuf.zeros(3, ("f8", (2, 3)))
    pybuf.zeros(3, {"names": ["a"], "formats": ["i4"], "offsets": [0], "itemsize": 8})
    pybuf.Layout(3, ctypes.c_int16 * 4).zeros()
    pybuf.Layout(3, Trade, order="F", strides=None)
    trade = Trade()
    assert_type(pybuf.wrap(trade, (), Trade, owner=trade), pybuf.Buffer)


def right_shapes() -> None:
    for shape in (3, (3,), [3, 4], (), range(2), np.int64(3)):
        pybuf.zeros(shape, "B", order="F", align=128, source="c")
        pybuf.zeros(shape, source="go")


def right_wraps() -> None:
    block = (ctypes.c_double * 6)()
    free: list[int] = []
    pybuf.wrap(block, owner=block)
    pybuf.wrap(block, (2, 3), owner=block, readonly=True, strides=(24, 8))
    pybuf.wrap(ctypes.addressof(block), 6, "d", release=free.append)
    pybuf.wrap(ctypes.pointer(block), 6, "d", release=free.append, owner=block)
    pybuf.wrap(ctypes.cast(block, ctypes.c_void_p), 3, "d", unowned=True, nbytes=48, offset=24)
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    pybuf.wrap(libc.malloc(8), 8, release=libc.free)
    pybuf.wrap(libc.malloc(8), 8, release=(libc.free, None))
    pybuf.wrap(libc.malloc(8), 8, release=(ctypes.cast(libc.free, ctypes.c_void_p), 0))
    assert len(free) == 2


def right_attributes() -> None:
    b = pybuf.copy(b"abc", order="C")
    assert_type(b.shape, tuple[int, ...])
    assert_type(b.format, str)
    assert_type(b.nbytes, int)
    assert_type(b.readonly, bool)
    assert_type(b.source, Literal["c", "go", "foreign"])
    assert_type(b.close(), bool)
    assert_type(b.close(strict=True), bool)


def right_items() -> None:
    with pybuf.copy(b"abc") as b:
        assert_type(b, pybuf.Buffer)
        assert_type(b[0], Any)
        assert_type(b[1:], "memoryview[Any]")
        b[0] = 1
        b[1:] = b"de"
        b[:] = b
        assert_type(len(b), int)
        assert_type(b.tobytes(), bytes)
        list(b)
    assert_type(pybuf.zeros(())[...], "memoryview[Any]")


def right_views() -> None:
    b = pybuf.zeros((2, 3), "d")
    exporter: SupportsBuffer = b
    memoryview(exporter)
    array = b.numpy()
    assert_type(array, np.ndarray[Any, np.dtype[Any]])
    np.asarray(b)
    np.from_dlpack(b)
    bytes(b)
    weakref.ref(b)
    assert_type(b.toreadonly(), pybuf.Buffer)
    hash(pybuf.copy(b"abc").toreadonly())


def right_descriptors() -> None:
    lent = [pybuf.lend(pybuf.zeros(8)) for _ in range(3)]
    assert_type(pybuf.adopt(pybuf.lend(b"", writable=False)), pybuf.Buffer)
    pybuf.adopt(int(lent[0]))
    pybuf.adopt(ctypes.c_size_t(int(lent[1])))
    pybuf.adopt(ctypes.c_void_p(int(lent[2])))
    with pybuf.lend(bytearray(8)) as d:
        assert_type(d, pybuf.Lent)
        ctypes.CDLL(None).labs(d)
    assert_type((d.taken, d.returned), tuple[bool, bool])
    assert_type(pybuf.stats()["lent"], int)


def right_indirect() -> None:
    parts = [bytearray(4), bytearray(4)]
    assert_type(pybuf.indirect.rows(parts), pybuf.Buffer)
    pybuf.indirect.rows([[parts[0]], (parts[1],)], readonly=False, indirect=True)
    pybuf.indirect.rows(iter(parts), shape=(1, 2), readonly=None)
    table = pybuf.indirect.zeros((2, 3), "d", levels=1, align=8)
    pybuf.indirect.pointers(table.address, (2, 3), np.float64, owner=table).numpy(copy=False)
    pybuf.copyto(table, pybuf.zeros((2, 3), "d"))


def right_indirect_memories() -> None:
    mem = pybuf.indirect.IndirectMemory2D.create_memory(2, 3, b"i", readonly=False)
    assert_type(mem, pybuf.indirect.IndirectMemory2D)
    assert_type(mem.shape, tuple[int, int])
    assert_type(mem.get_format(), bytes)
    assert_type(mem.row(0), pybuf.Buffer)
    exporter: SupportsBuffer = mem
    memoryview(exporter).release()
    mem.copy_from(pybuf.zeros((2, 3), "i"))
    mem.copy_to(pybuf.zeros((2, 3), "f"), cast=True)
    mem.close()

    class Mine(pybuf.indirect.BufferCollection2D):
        pass

    with Mine([b"ab", b"cd"], format="B") as mine:
        assert_type(mine, Mine)
    assert_type(Mine.view_from_rows(bytearray(3)), Mine)
    assert_type(pybuf.indirect.BufferHolder(b"ab").buffer_is_set(), bool)


def right_inspection() -> None:
    path = Path(os.devnull)
    with pybuf.trace(io.StringIO()), pybuf.trace(os.devnull), pybuf.trace(path), pybuf.trace(None):
        b = pybuf.zeros(3)
    assert_type(pybuf.stats()["sources"]["go"]["bytes"], int)
    assert_type(pybuf.live(), list[pybuf.LiveMemory])
    assert_type([record.where for record in pybuf.live()], list[str | None])
    b.close()


# ---- wrong: each of them raises ---------------------------------------------------


def wrong_descriptor() -> None:
    pybuf.adopt("0x1000")  # type: ignore[arg-type]


def wrong_descriptor_none() -> None:
    pybuf.adopt(None)  # type: ignore[arg-type]


def wrong_lend() -> None:
    pybuf.lend("text")  # type: ignore[arg-type]


def wrong_lend_by_position() -> None:
    pybuf.lend(bytearray(3), True)  # type: ignore[call-arg]


def wrong_lent() -> None:
    pybuf.Lent()  # type: ignore[call-arg]


def wrong_rows() -> None:
    pybuf.indirect.rows([3])  # type: ignore[list-item]


def wrong_table_of_nobody() -> None:
    pybuf.indirect.pointers(4096, (2, 3))  # type: ignore[call-overload]


def wrong_indirect_memory() -> None:
    pybuf.indirect.IndirectMemory2D.create_memory("2", 3, "i")  # type: ignore[arg-type]


def wrong_collection() -> None:
    pybuf.indirect.BufferCollection2D([3])  # type: ignore[list-item]


def wrong_trace() -> None:
    pybuf.trace(3)  # type: ignore[arg-type]


def wrong_record() -> None:
    b = pybuf.zeros(3)
    record = pybuf.live()[-1]
    b.close()
    record.nbytes = 3  # type: ignore[misc]


def wrong_element() -> None:
    pybuf.zeros(3, object)  # type: ignore[arg-type]


def wrong_field() -> None:
    pybuf.zeros(3, [("a", object)])  # type: ignore[list-item]


def wrong_field_without_type() -> None:
    pybuf.zeros(3, [("a",)])  # type: ignore[list-item]


def wrong_order_and_strides() -> None:
    pybuf.Layout(3, order="F", strides=1)  # type: ignore[call-overload]


def wrong_element_none() -> None:
    pybuf.zeros(3, None)  # type: ignore[arg-type]


def wrong_shape_float() -> None:
    pybuf.zeros(3.0)  # type: ignore[arg-type]


def wrong_shape_floats() -> None:
    pybuf.zeros((3.0, 4.0))  # type: ignore[arg-type]


def wrong_shape_text() -> None:
    pybuf.zeros("3")  # type: ignore[arg-type]


def wrong_order() -> None:
    pybuf.zeros(3, order="K")  # type: ignore[arg-type]


def wrong_source() -> None:
    pybuf.zeros(3, source="foreign")  # type: ignore[arg-type]


def wrong_keyword_only() -> None:
    pybuf.zeros(3, "B", "C")  # type: ignore[call-arg]


def wrong_copy_of_no_exporter() -> None:
    pybuf.copy([1, 2, 3])  # type: ignore[arg-type]


def wrong_memory_of_nobody() -> None:
    pybuf.wrap(4096, 8)  # type: ignore[call-overload]


def wrong_memory_of_two_minds() -> None:
    pybuf.wrap(4096, 8, owner="x", unowned=True)  # type: ignore[call-overload]


def wrong_address() -> None:
    pybuf.wrap("4096", 8, unowned=True)  # type: ignore[call-overload]


def wrong_number_as_address() -> None:
    pybuf.wrap(ctypes.c_int(4096), 8, unowned=True)  # type: ignore[call-overload]


def wrong_release() -> None:
    pybuf.wrap(4096, 8, release=4096)  # type: ignore[call-overload]


def wrong_instance() -> None:
    pybuf.Buffer()  # type: ignore[call-arg]


def wrong_subclass() -> None:
    class Mine(pybuf.Buffer):  # type: ignore[misc]
        pass


def wrong_attribute() -> None:
    pybuf.zeros(3).shape = (3,)  # type: ignore[misc]


def wrong_slice_value() -> None:
    pybuf.zeros(3)[:] = [1, 2, 3]  # type: ignore[call-overload]


def wrong_close() -> None:
    pybuf.zeros(3).close(True)  # type: ignore[call-arg]
