"""IndirectMemory2D beyond indirect_buffer: arrays, rows, close, classes, threads."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import pickle
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from indirect_memories import A, make
from pybuf.indirect import IndirectMemory2D, zeros

import pybuf

POINTER = ctypes.sizeof(ctypes.c_void_p)


def test_numpy_is_a_view_of_new_memory():
    mem = make()
    a = mem.numpy()
    a[1, 2] = 5
    assert memoryview(mem)[1, 2] == 5
    assert mem.exports == 1
    del mem
    assert a.tolist() == [[0, 0, 0], [0, 0, 5]]


def test_numpy_copies_rows_that_lie_anywhere():
    mem = IndirectMemory2D.from_ctype_ptr(
        (ctypes.POINTER(ctypes.c_int) * 3)(*((ctypes.c_int * 1)(i) for i in (1, 2, 3))), 3, 1
    )
    assert mem.numpy(copy=True).tolist() == [[1], [2], [3]]
    rows = zeros((3, 2), "i")
    table = (ctypes.c_void_p * 3).from_address(rows.address)
    table[1], table[2] = table[2], table[1]
    mem = IndirectMemory2D.from_ptr_with_memory_nanny(rows.address, 3, 2, "i", False, rows)
    with pytest.raises(BufferError):
        mem.numpy(copy=False)
    assert not np.shares_memory(mem.numpy(), rows.row(0).numpy())


def test_a_row_is_a_buffer():
    mem = make()
    row = mem.row(-1)
    row[2] = 4
    assert (row.shape, row.suboffsets, mem.exports) == ((3,), (), 1)
    assert memoryview(mem)[1, 2] == 4
    with pytest.raises(IndexError):
        mem.row(2)
    del mem
    assert row.tolist() == [0, 0, 4]


def test_close_refuses_new_views_and_keeps_those_that_live():
    mem = make()
    view = memoryview(mem)
    with pytest.raises(BufferError, match="1 view"):
        mem.close(strict=True)
    with mem as same:
        assert same is mem
    assert mem.closed
    view[0, 0] = 3
    for use in (memoryview, IndirectMemory2D.numpy, lambda m: m.row(0), lambda m: m.copy_from(A)):
        with pytest.raises(ValueError, match="closed"):
            use(mem)
    with pytest.raises(ValueError, match="closed"):
        mem.address  # noqa: B018
    with pytest.raises(ValueError, match="closed"):
        mem.reinterpret_data("b")
    assert (view[0, 0], mem.shape, mem.get_format()) == (3, (2, 3), b"i")


def test_close_frees_at_once_what_was_never_lent():
    assert make().close() is True
    mem = make()
    memoryview(mem).release()
    assert mem.close() is False


def test_a_copy_lends_nothing_that_would_outlast_it():
    mem = make()
    mem.copy_from(np.zeros((2, 3), "i"))
    mem.copy_to(np.zeros((2, 3), "i"))
    pybuf.copy(mem)
    assert mem.close() is True


def test_it_says_what_it_is():
    mem = make(readonly=True)
    assert repr(mem) == (
        "<pybuf.indirect.IndirectMemory2D shape=(2, 3) format='i' exports=0 readonly>"
    )
    assert sys.getsizeof(mem) > 2 * POINTER + 24


def test_it_takes_weak_references():
    mem = make()
    ref = weakref.ref(mem)
    assert ref() is mem
    del mem
    assert ref() is None


class Mine(IndirectMemory2D):
    """Has attributes of its own, and an end."""

    ended: ClassVar[list[int]] = []

    def __del__(self) -> None:
        Mine.ended.append(1)


def test_classes_may_be_derived_whose_methods_make_their_own():
    mem = Mine.create_memory(2, 3, "i")
    assert type(mem) is Mine
    mem.name = "mine"
    assert type(Mine.view_from_rows(A.copy())) is Mine
    assert repr(mem).startswith("<pybuf.indirect.Mine ")
    Mine.ended.clear()
    view = memoryview(mem)
    del mem
    assert not Mine.ended
    view.release()
    assert Mine.ended == [1]


class Raised(IndirectMemory2D):
    kept: ClassVar[list[Any]] = []

    def __del__(self) -> None:
        Raised.kept.append(self)


def test_what_comes_back_from_its_end_is_whole():
    mem = Raised.create_memory(2, 3, "i")
    memoryview(mem)[0, 0] = 5
    del mem
    mem = Raised.kept.pop()
    assert memoryview(mem)[0, 0] == 5
    del mem
    assert not Raised.kept  # the second time it goes


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_classes_with_a_buffer_of_their_own_are_counted_right():
    class Through(IndirectMemory2D):
        def __buffer__(self, flags: int) -> memoryview:
            return super().__buffer__(flags)

    class Other(IndirectMemory2D):
        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(b"abc")

    for cls, exports in ((Through, 1), (Other, 0)):
        mem = cls.create_memory(2, 3, "i")
        view = memoryview(mem)
        assert mem.exports == exports
        view.release()
        del view
        gc.collect()
        assert mem.exports == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="classes of Python export from 3.12 on")
def test_the_memory_is_locked_while_a_partner_is_asked():
    """It may close it, which frees nothing under the copy."""

    class Partner:
        def __init__(self, act: Any) -> None:
            self.act = act

        def __buffer__(self, flags: int) -> memoryview:
            self.act()
            return memoryview(bytearray(24)).cast("i", (2, 3))

    for copy in ("copy_from", "copy_to"):
        mem = make()
        getattr(mem, copy)(Partner(lambda mem=mem: mem.close()))
        assert mem.closed
        with pytest.raises(ValueError, match="closed"):
            getattr(mem, copy)(A)
        mem = make()
        with pytest.raises(BufferError, match="buffer is locked"):
            getattr(mem, copy)(Partner(lambda mem=mem: mem.reinterpret_data("b")))
        assert mem.exports == 0


def test_formats_of_a_class_derived_from_bytes_run_nothing_of_it():
    class Format(bytes):
        __slots__ = ()

        def __eq__(self, other: object) -> bool:
            raise ZeroDivisionError

        __hash__ = bytes.__hash__

    mem = make()
    mem.reinterpret_data(Format(b"f"))
    assert (mem.get_format(), type(mem.get_format())) == (b"f", bytes)


def test_none_is_returned_with_a_reference():
    """On 3.11, where it needs one, also of a library built on a later version."""
    mem, b = make(), pybuf.zeros(3)
    before = sys.getrefcount(None)
    for _ in range(1000):
        mem.reinterpret_data("i")
        b.resize(3)
        with pybuf.lend(b"", writable=False):
            pass
    assert sys.getrefcount(None) > before - 500


def test_threads_that_change_it_and_view_it_meet_no_half(parallel: Any):
    mem = make(8, 8)

    def work(i: int) -> None:
        for _ in range(200):
            with contextlib.suppress(BufferError):
                if i % 2:
                    mem.reinterpret_data("b")
                    mem.reinterpret_data("i")
                else:
                    a = mem.numpy()
                    assert a.nbytes == 256
                    with memoryview(mem) as view:
                        assert view.nbytes == 256
                    assert mem.row(7).nbytes == 32

    parallel(work)


def test_it_is_an_exporter_to_the_rest_of_pybuf():
    mem = make(2, 3, "<i")
    mem.numpy()[1, 2] = 7
    assert pybuf.copy(mem).tolist() == [[0, 0, 0], [0, 0, 7]]
    with pybuf.lend(mem) as lent:
        b = pybuf.adopt(lent)
    assert (b.suboffsets, b.format, mem.exports) == ((0, -1), "i", 1)
    del b
    pybuf.copyto(mem, np.ones((2, 3), "i"))
    assert pybuf.indirect.rows([mem, mem]).shape == (2, 2, 3)


def test_it_is_not_pickled():
    with pytest.raises(TypeError, match="cannot pickle 'IndirectMemory2D'"):
        pickle.dumps(make())


def test_cycles_through_it_are_collected():
    class Owner:
        pass

    row = (ctypes.c_int * 2)()
    table = (ctypes.c_void_p * 1)(ctypes.addressof(row))
    owner = Owner()
    owner.mem = IndirectMemory2D.from_ptr_with_memory_nanny(table, 1, 2, "i", False, owner)
    ref = weakref.ref(owner)
    del owner
    gc.collect()
    assert ref() is None
    mem = Mine.create_memory(2, 2, "i")
    mem.view, mem.myself = memoryview(mem), mem
    ref = weakref.ref(mem)
    del mem
    gc.collect()
    assert ref() is None


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """double trace(double **rows, long n): sums the diagonal and writes 1 into it."""
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler")
    folder: Path = tmp_path_factory.mktemp("trace")
    (folder / "trace.c").write_text(
        "double trace(double **rows, long n) { double sum = 0;\n"
        "for (long i = 0; i < n; i++) { sum += rows[i][i]; rows[i][i] = 1; }\n"
        "return sum; }\n"
    )
    library = folder / "trace.so"
    subprocess.run(
        [cc, "-shared", "-fPIC", "-o", str(library), str(folder / "trace.c")], check=True
    )
    function = ctypes.CDLL(str(library)).trace
    function.argtypes = [ctypes.c_void_p, ctypes.c_long]
    function.restype = ctypes.c_double
    return function


def test_a_function_of_c_takes_the_address_as_pointers_to_rows(trace: Any):
    source = np.arange(9.0).reshape(3, 3)
    for mem in (make(3, 3, "d"), IndirectMemory2D.view_from_rows(source.copy())):
        mem.copy_from(source)
        assert trace(mem.address, 3) == 12
        assert mem.numpy().diagonal().tolist() == [1, 1, 1]


def test_memory_is_seen_by_threads_at_once(parallel: Any):
    mem = make(64, 64, "q")
    mem.copy_from(np.arange(64 * 64, dtype="l").reshape(64, 64).view("q"), cast=True)

    def work(i: int) -> None:
        for _ in range(50):
            with memoryview(mem) as view:
                assert view[i, 1] == i * 64 + 1
            assert mem.row(i)[2] == i * 64 + 2
            target = make(64, 64, "q")
            mem.copy_to(target)

    parallel(work)
    assert mem.exports == 0


def test_a_trace_names_its_views(tmp_path: Path):
    mem = make()
    with pybuf.trace(str(tmp_path / "lines")):
        view = memoryview(mem)
        view.release()
        del mem, view
    text = (tmp_path / "lines").read_text()
    assert "release" in text
    assert "free" in text
