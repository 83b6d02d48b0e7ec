"""Types that were seen once are known: no call into Go, no parse by NumPy, and no leak."""

from __future__ import annotations

import ctypes
import gc
import pickle
import sys
from typing import Any

import numpy as np
import pytest
import strategies_dtypes as d

import pybuf

each = pytest.mark.parametrize

RECORD = np.dtype([("id", "i4"), ("price", "f8")], align=True)
FORMAT = "T{i:id:d:cost:}"


@each("dtype", [RECORD, FORMAT, "S77", "(2,7)d", np.dtype("U9"), np.dtype(("f4", (9,)))], ids=str)
def test_a_second_use_does_not_enter_go(dtype, go_calls):
    array = np.zeros(3, dtype) if not isinstance(dtype, str) else None

    def use(n: int) -> None:
        b = pybuf.zeros(n, dtype)
        pybuf.copy(b)
        pybuf.copy(memoryview(b))
        b.cast("B").cast(dtype)
        b.toreadonly().numpy()
        np.asarray(b)
        pickle.loads(pickle.dumps(b))
        pybuf.wrap(4096, 0, dtype, unowned=True)
        if array is not None:
            pybuf.copy(array)

    use(1)
    before = go_calls()
    for n in range(20):
        use(n)
    assert go_calls() == before


@each("dtype", [RECORD, FORMAT, "S77", "5s", "V8"], ids=str)
def test_numpy_gives_the_same_dtype_object_each_time(dtype):
    """NumPy reads the format of a record in Python, which takes long: once is enough."""
    first = pybuf.zeros(3, dtype).numpy().dtype
    for b in (pybuf.zeros(1, dtype), pybuf.zeros(3, dtype).toreadonly(), pybuf.zeros(0, dtype)):
        assert b.numpy().dtype is first


def test_numpy_gives_the_dtype_that_was_given():
    """With all that no format holds: titles, the class of its scalars."""
    titled = np.dtype([(("a title", "seldom"), "i4")])
    assert pybuf.zeros(3, titled).numpy().dtype is titled
    record = np.dtype((np.record, [("seldom seen", "i4")]))
    assert pybuf.zeros(3, record).numpy().dtype is record
    assert pybuf.zeros(3, record).numpy()[0]["seldom seen"] == 0


def test_equal_types_with_other_titles_are_not_mistaken_for_one_another():
    plain = np.dtype([("a", "i4")])
    titled = np.dtype([(("title", "a"), "i4")])
    for dtype in (plain, titled, plain):
        assert pybuf.zeros(1, dtype).numpy().dtype.fields.keys() == dtype.fields.keys()


PAIR = {"names": "ab", "formats": ["i4", "f8"], "offsets": [0, 8], "itemsize": 16}
ALIKE = [
    np.dtype(PAIR),
    np.dtype(PAIR, metadata={"unit": "m"}),
    np.dtype([("a", "i4"), ("b", "f8")], align=True),
    np.dtype((np.record, PAIR)),
]


@each("sub", [(), (2,)], ids=str)
@each("one", range(len(ALIKE)))
@each("other", range(len(ALIKE)))
def test_what_equals_a_dtype_is_not_given_for_it(one, other, sub, go_calls):
    """NumPy compares no metadata, no flag for alignment and no class of scalars."""
    assert ALIKE[one] == ALIKE[other]
    dtypes = [np.dtype((ALIKE[i], sub)) if sub else ALIKE[i] for i in (one, other, one)]
    calls = []
    for _ in range(2):  # a cache that is full begins anew, but not twice in a row
        pybuf.zeros(1, dtypes[0])
        before = go_calls()
        buffers = [pybuf.zeros(1, dtype) for dtype in dtypes]
        buffers += [pybuf.copy(np.zeros(1, dtype)) for dtype in dtypes]
        for b, dtype in zip(buffers, dtypes * 2, strict=True):
            assert b.numpy().dtype is dtype.base
        calls.append(go_calls() - before)
    assert 0 in calls


def test_metadata_of_a_string_is_not_given_for_another():
    for metadata in ({"unit": "m"}, None, {"unit": "s"}):
        dtype = np.dtype("S51", metadata=metadata) if metadata else np.dtype("S51")
        assert pybuf.zeros(1, dtype).numpy().dtype.metadata == metadata


@each(
    "dtype", [np.dtype([("x", "i4"), ("old", "f8")]), "T{i:x:d:old:}", "2T{b:x:d:old:}"], ids=str
)
def test_fields_that_are_renamed_in_an_array_keep_their_names_in_the_next_buffer(dtype):
    """NumPy renames them in every array that shares the dtype."""
    b = pybuf.zeros(2, dtype)
    b.numpy().dtype.names = ("x", "new")
    for after in (b, pybuf.zeros(2, b.format), pybuf.copy(b)):
        assert after.numpy().dtype.names == np.asarray(after).dtype.names == ("x", "old")


def test_a_format_that_differs_in_its_itemsize_is_another():
    exported = []
    for itemsize in (16, 12, 20, 16):
        dtype = np.dtype(
            {"names": "ab", "formats": ["f8", "i4"], "offsets": [0, 8], "itemsize": itemsize}
        )
        exported.append(pybuf.copy(memoryview(np.zeros(2, dtype))).itemsize)
    assert exported == [16, 12, 20, 16]


def resident() -> int:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


@each("kind", ["formats", "strings", "dtypes", "long formats", "exporters", "ctypes"])
def test_thousands_of_made_up_types_leave_little_behind(kind):
    def use(i: int) -> Any:
        match kind:
            case "formats":
                return pybuf.zeros(1, f"T{{i:name{i}:}}")
            case "strings":
                return pybuf.zeros(1, f"{i + 1}s")
            case "dtypes":
                return pybuf.zeros(1, np.dtype([(f"name{i}", "i4")])).numpy()
            case "long formats":
                return pybuf.zeros(1, f"T{{i:name{i}{'x' * 5000}:}}")
            case "exporters":
                return pybuf.copy(memoryview(np.zeros(1, [(f"name{i}", "i4")])))
        array = (type("S", (ctypes.Structure,), {"_fields_": [(f"name{i}", ctypes.c_int)]}) * 1)()
        return pybuf.wrap(array, owner=array).numpy()

    def growth(first: int, last: int) -> int:
        before = resident()
        for i in range(first, last):
            use(i)
        gc.collect()
        return resident() - before

    growth(0, 6000)
    # What leaks grows each time; the Go runtimes of other tests take memory now and then.
    assert min(growth(i, i + 3000) for i in (6000, 9000, 12000)) < 8 << 20


def test_after_thousands_of_made_up_types_the_next_one_is_known_again(go_calls):
    for i in range(9000):
        pybuf.empty(1, f"T{{i:made up {i}:}}")
        pybuf.empty(1, np.dtype([(f"made up {i}", "i4")]))
    before = go_calls()
    for _ in range(10):
        for plain in ("d", "<f4", ">i2", np.dtype("i8"), "|u1"):
            pybuf.empty(1, plain)
    assert go_calls() == before
    for dtype in ("T{i:the next:}", np.dtype([("the next", "i4")])):
        pybuf.empty(1, dtype)
        before = go_calls()
        for _ in range(10):
            pybuf.empty(1, dtype)
        assert go_calls() == before


def test_a_dtype_that_is_kept_is_kept_once():
    dtype = np.dtype([("kept", "i4"), ("once", "f8")])
    pybuf.zeros(1, dtype).numpy()
    before = sys.getrefcount(dtype)
    for _ in range(100):
        pybuf.zeros(1, dtype).numpy()
        pybuf.copy(np.zeros(1, dtype))
    assert sys.getrefcount(dtype) <= before + 1


@each("dtype", list(d.TABLE.values())[::9], ids=str)
def test_threads_may_be_the_first_at_once(dtype, parallel):
    fresh = np.dtype([("of threads", dtype), (str(id(dtype)), "i1")])
    got: list[Any] = []
    parallel(lambda _: got.append(pybuf.zeros(2, fresh).numpy().dtype))
    assert all(g == fresh for g in got)


def test_records_are_read_without_numpy(fresh):
    """But for numpy() and for what only NumPy reads."""
    fresh(
        """
        import pickle, sys
        sys.modules["numpy"] = None
        import pybuf
        b = pybuf.zeros(3, "T{i:id:d:price:}")
        assert b.itemsize == 16 and b.format.count(":") == 4
        assert memoryview(b).format == b.format
        assert pickle.loads(pickle.dumps(b)).format == b.format
        assert pybuf.copy(b).format == pybuf.copy(memoryview(b)).format == b.format
        assert b.cast("B").cast(b.format).shape == (3,)
        interface = b.__array_interface__
        assert interface["typestr"] == "|V16" and "descr" not in interface
        assert pybuf.zeros(2, "S5").format == "5s"
        import ctypes
        class S(ctypes.Structure):
            _fields_ = [("a", ctypes.c_byte), ("b", ctypes.c_int)]
        array = (S * 2)()
        assert pybuf.wrap(array, owner=array).itemsize == 8
        try:
            b.numpy()
        except ImportError:
            pass
        else:
            raise AssertionError
        """
    )


def test_a_dtype_is_learnt_in_a_forked_child(fresh):
    fresh(
        """
        import os, numpy as np, pybuf
        dtype = np.dtype([("a", "i1"), ("b", "f8", (2,))], align=True)
        pid = os.fork()
        if pid == 0:
            ok = pybuf.zeros(3, dtype).numpy().dtype == dtype
            os._exit(0 if ok and pybuf.zeros(3, "T{i:x:}").itemsize == 4 else 1)
        assert os.waitpid(pid, 0)[1] == 0
        """,
        options=("-W", "ignore"),
    )


def test_equal_dtypes_that_look_different_are_not_taken_for_each_other():
    """NumPy calls a dtype of np.record equal to one of np.void, and an aligned one to one that
    happens to lie as if it were."""
    fields = [("a", "i4"), ("b", "i4")]
    plain, aligned = np.dtype(fields), np.dtype(fields, align=True)
    record = np.dtype((np.record, fields))
    assert plain == aligned == record
    for dtype in (plain, record, aligned, plain, aligned, record):
        found = pybuf.zeros(2, dtype).numpy().dtype
        assert found.type is dtype.type
        assert found.isalignedstruct == dtype.isalignedstruct
