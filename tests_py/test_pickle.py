"""Pickling, in band and out of band (PEP 574)."""

from __future__ import annotations

import array
import ctypes
import pickle
import pickletools
from typing import Any

import numpy as np
import pytest
import strategies as s
from hypothesis import given

import pybuf
from pybuf import _core

each_protocol = pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))


def out_of_band(b: Any) -> tuple[bytes, list[pickle.PickleBuffer]]:
    frames: list[pickle.PickleBuffer] = []
    return pickle.dumps(b, 5, buffer_callback=frames.append), frames


def assert_same(got: pybuf.Buffer, b: pybuf.Buffer) -> None:
    assert type(got) is pybuf.Buffer
    assert got.shape == b.shape
    assert got.readonly == b.readonly
    assert got.tobytes() == b.tobytes()
    assert got.numpy().dtype == b.numpy().dtype


# ---- round trips ----


@each_protocol
@given(block=s.blocks())
def test_every_layout_comes_back_with_its_items(protocol, block):
    """Strided ones as C-contiguous, contiguous ones in their order."""
    b = block.buffer
    got = pickle.loads(pickle.dumps(b, protocol))
    assert_same(got, b)
    order = "F" if block.layout.contiguous == "F" else "C"
    assert got.tobytes("A") == b.tobytes(order)
    assert b.exports == 0


@given(block=s.blocks())
def test_every_layout_comes_back_out_of_band(block):
    b = block.buffer
    data, frames = out_of_band(b)
    assert len(frames) == 1
    got = pickle.loads(data, buffers=frames)
    assert_same(got, b)
    if block.layout.contiguous:
        assert got.strides == b.strides or b.nbytes == 0 or 1 in b.shape
        assert got.address == b.address or b.nbytes == 0


def test_pure_python_pickling_does_the_same():
    b = pybuf.copy(np.arange(6.0).reshape(2, 3))
    for protocol in range(6):
        assert_same(pickle._loads(pickle._dumps(b, protocol)), b)


def test_one_buffer_in_two_places_stays_one():
    b = pybuf.copy(b"abc")
    x, y = pickle.loads(pickle.dumps([b, b], 5))
    assert x is y


def test_indirect_memory_is_pickled_as_plain():
    b = s.indirect([[1, 2], [3, 4]])
    got = pickle.loads(pickle.dumps(b))
    assert (got.suboffsets, got.tolist()) == ((), [[1, 2], [3, 4]])


# ---- out of band ----


@pytest.mark.parametrize("source", ["c", "go"])
def test_out_of_band_nothing_is_copied(source):
    b = pybuf.zeros((2, 3), "d", order="F", source=source)
    data, frames = out_of_band(b)
    got = pickle.loads(data, buffers=frames)
    got[1, 2] = 5
    assert b[1, 2] == 5
    assert got.address == b.address
    assert len(data) < 200


def test_a_frame_is_a_view_until_both_sides_drop_it():
    b = pybuf.zeros(8)
    data, frames = out_of_band(b)
    assert b.exports == 1
    got = pickle.loads(data, buffers=frames)
    for frame in frames:
        frame.release()
    frames.clear()
    assert b.exports > 0
    b.close()
    got[0] = 1
    del got
    assert b.exports == 0


FRAMES = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "memoryview of bytearray": lambda f: memoryview(bytearray(f)),
    "array": lambda f: array.array("B", bytes(f)),
    "ndarray": lambda f: np.frombuffer(bytes(f), "d"),
    "ctypes array": lambda f: (ctypes.c_char * len(bytes(f))).from_buffer_copy(f),
    "misaligned": lambda f: memoryview(bytearray(b"x" + bytes(f)))[1:],
    "Buffer": pybuf.copy,
}


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("transport", FRAMES.values(), ids=FRAMES)
def test_a_frame_may_arrive_as_any_contiguous_exporter_at_any_alignment(transport, readonly):
    b = pybuf.copy(np.arange(6.0).reshape(2, 3))
    b = b.toreadonly() if readonly else b
    data, frames = out_of_band(b)
    arrived = transport(frames[0].raw())
    got = pickle.loads(data, buffers=[arrived])
    assert got.tobytes() == b.tobytes()
    assert got.numpy().tolist() == b.tolist()
    # What arrives read-only stays so; but bytes are moved out of for a writer.
    locked = memoryview(arrived).readonly and not isinstance(arrived, bytes)
    assert got.readonly is (readonly or locked)


def test_a_writable_buffer_never_writes_into_bytes():
    b = pybuf.copy(b"abc")
    data, frames = out_of_band(b)
    frame = bytes(frames[0])
    got = pickle.loads(data, buffers=[frame])
    got[0] = 0
    assert frame == b"abc"
    assert got.source == "c"


def test_a_buffer_that_stands_on_its_frame_keeps_it():
    data, frames = out_of_band(pybuf.copy(b"abc"))
    frame = bytearray(frames[0])
    got = pickle.loads(data, buffers=[frame])
    with pytest.raises(BufferError):
        frame.append(1)
    assert got.address == ctypes.addressof(ctypes.c_char.from_buffer(frame))
    del got
    frame.append(1)


# ---- what a pickle holds ----


@each_protocol
def test_read_only_is_kept(protocol):
    b = pybuf.copy(b"abc").toreadonly()
    got = pickle.loads(pickle.dumps(b, protocol))
    assert got.readonly
    assert hash(got) == hash(b)
    assert not pickle.loads(pickle.dumps(pybuf.copy(b"abc"), protocol)).readonly


@each_protocol
def test_equal_content_makes_equal_pickles(protocol):
    """joblib and others hash them: no address, no counter, no source."""
    content = np.arange(6.0).reshape(2, 3)
    one = pybuf.copy(content)
    other = pybuf.wrap(content.ctypes.data, (2, 3), "d", owner=content)
    view = memoryview(other)
    same = (one, other, one.cast("d", (2, 3)), pybuf.copy(content, source="go"))
    pickles = [pickle.dumps(b, protocol) for b in same]
    assert len(set(pickles)) == 1
    assert view.obj is other


def test_equal_content_makes_equal_pickles_in_another_process(fresh):
    code = "import pickle, pybuf; print(pickle.dumps(pybuf.copy(b'abc'), 5).hex())"
    assert fresh(code).stdout == fresh(code, options=("-O",)).stdout


def test_a_pickle_names_only_pybuf_and_holds_the_bytes_once():
    data = pickle.dumps(pybuf.copy(bytes(1000)), 5)
    assert len(data) < 1200
    names = [arg for op, arg, _ in pickletools.genops(data) if op.name == "SHORT_BINUNICODE"]
    assert names[:2] == ["pybuf._core", "_rebuild"]


def test_numpy_is_not_needed_to_load(fresh):
    data = pickle.dumps(pybuf.zeros((2, 3), "d"), 5)
    fresh(f"""
        import pickle, sys
        b = pickle.loads({data!r})
        assert b.tolist() == [[0.0] * 3] * 2
        assert "numpy" not in sys.modules
    """)


# ---- refusals ----


def test_a_closed_buffer_is_not_pickled():
    b = pybuf.zeros(3)
    b.close()
    for protocol in range(6):
        with pytest.raises(ValueError, match="closed"):
            pickle.dumps(b, protocol)


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((b"abc", "|u1", (4,), "C", False), ValueError),
        ((b"abcd", "|u1", (3,), "C", False), ValueError),
        ((b"abcd", "|u1", (-4,), "C", False), ValueError),
        ((b"abcd", "|u1", (2**62, 4), "C", False), OverflowError),
        ((b"abcd", "|u1", (4,), "A", False), ValueError),
        ((b"abcd", "|u1", (4,), None, False), TypeError),
        ((b"abcd", "|u1", "4", "C", False), TypeError),
        ((b"abcd", "|O8", (4,), "C", False), TypeError),
        ((b"abcd", "nonsense", (4,), "C", False), ValueError),
        ((b"abcd", None, (4,), "C", False), TypeError),
        (("abcd", "|u1", (4,), "C", False), TypeError),
        ((None, "|u1", (4,), "C", False), TypeError),
        ((memoryview(b"abcdefgh")[::2], "|u1", (4,), "C", False), BufferError),
        ((b"abcd", "|u1", (4,), "C"), TypeError),
        ((), TypeError),
    ],
)
def test_a_malformed_pickle_is_refused_in_words(args, error):
    with pytest.raises(error) as e:
        _core._rebuild(*args)
    assert type(e.value) is error
    assert str(e.value)


def test_the_refusal_of_a_frame_says_both_sizes():
    data, frames = out_of_band(pybuf.zeros(8))
    with pytest.raises(ValueError, match=r"8 bytes.*has 5"):
        pickle.loads(data, buffers=[bytes(frames[0])[:5]])
    with pytest.raises(ValueError, match=r"8 bytes.*has 9"):
        pickle.loads(data, buffers=[bytes(9)])
