"""trace() writes a line for each memory and view that begins or ends, and remembers where."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from consumers import COUNTED, UNCOUNTED, Consumer
from hypothesis import given
from hypothesis import strategies as st
from tracing import Line, events, read, source, traced

import pybuf
from pybuf import _core

BLOCK = ctypes.create_string_buffer(64)
ADDRESS = ctypes.addressof(BLOCK)


def here() -> str:
    """The line that calls this."""
    return f"{__file__}:{sys._getframe(1).f_lineno}"


# ---- lines ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["c", "go"])
def test_memory_that_is_made_and_freed_has_a_line_for_each(kind: str):
    with traced() as lines:
        b, made = pybuf.zeros(12, source=kind), here()  # type: ignore[call-overload]
        address = pybuf.live()[-1].address
        b.close()
    freed = lines[1].where
    assert source(freed) == "b.close()"
    assert lines == [
        Line("alloc", address, made, None, 12, kind),
        Line("free", address, freed, made, 12, kind),
    ]


def test_memory_of_others_is_wrapped_and_given_back():
    with traced() as lines:
        b, made = pybuf.wrap(ADDRESS, 64, unowned=True), here()
        del b
    freed = lines[1].where
    assert lines == [
        Line("wrap", ADDRESS, made, None, 64, "foreign"),
        Line("free", ADDRESS, freed, made, 64, "foreign"),
    ]
    assert source(freed) == "del b"


@pytest.mark.parametrize(
    ("take", "door"),
    [
        (memoryview, "buffer"),
        (np.asarray, "buffer"),
        (lambda b: b.numpy(), "numpy"),
        (lambda b: b.__dlpack__(), "dlpack"),
        (lambda b: b.__dlpack__(max_version=(1, 0)), "dlpack"),
        (np.from_dlpack, "dlpack"),
        (lambda b: b.__arrow_c_array__(), "arrow"),
        (lambda b: b.cast("h"), "cast"),
        (lambda b: b.toreadonly(), "toreadonly"),
    ],
)
def test_each_view_has_a_line_when_it_begins_and_ends(take: Consumer, door: str):
    b = pybuf.zeros(16)
    with traced() as lines:
        view = take(b)
        del view
    taken = lines[0].where
    assert [(line.event, line.door, line.before) for line in lines] == [
        ("export", door, None),
        ("release", door, taken),
    ]
    assert {line.address for line in lines} == {b.address}
    assert source(lines[1].where) == "del view"


@pytest.mark.parametrize("consumer", [*COUNTED.values(), *UNCOUNTED.values()])
def test_what_begins_in_a_trace_ends_in_it_whatever_the_consumer(consumer: Consumer):
    with traced() as lines:
        held = consumer(pybuf.zeros(64, "B"))
        del held
        gc.collect()
    count = Counter(events(lines))
    assert count["alloc"] + count["wrap"] == count["free"]
    assert count["export"] == count["release"]
    assert [line for line in lines if line.event in {"free", "release"} and not line.before] == []


def test_resize_frees_and_allocates():
    b = pybuf.zeros(16)
    with traced() as lines:
        b.resize(100)
    assert [(line.event, line.nbytes) for line in lines] == [("free", 16), ("alloc", 100)]
    assert lines[1].address == b.address


def test_a_refused_view_has_no_line():
    b = pybuf.zeros(16).toreadonly()
    with traced() as lines, pytest.raises((BufferError, TypeError)):
        io.BytesIO(b"text").readinto(b)
    assert lines == []


def test_what_began_before_ends_with_no_word_of_where():
    b = pybuf.zeros(16)
    views = [memoryview(b), b.numpy(), b.__dlpack__(), b.toreadonly()]
    with traced() as lines:
        del views
        b.close()
        del b
    assert {line.before for line in lines} == {None}
    assert events(lines) == ["release"] * 4 + ["free"]


def test_what_began_inside_ends_later_without_a_line():
    with traced() as lines:
        b = pybuf.zeros(16)
        view = memoryview(b)
    count = len(lines)
    view.release()
    b.close()
    assert (count, events(lines)) == (2, ["alloc", "export"])


def test_the_line_of_a_free_comes_before_the_release():
    order: list[str] = []

    class Lines(io.StringIO):
        def write(self, text: str) -> int:
            if text:
                order.append(text.split()[1])
            return len(text)

    b = pybuf.wrap(ADDRESS, 64, release=lambda _: order.append("released"))
    with pybuf.trace(Lines()):
        del b
    assert order == ["free", "released"]


def test_a_file_name_that_no_terminal_could_show_is_one_line():
    code = compile("import pybuf\nb = pybuf.zeros(4)", "odd\n\udcff\tname", "exec")
    scope: dict[str, Any] = {}
    with traced() as lines:
        exec(code, scope)
    assert lines[0].where == "odd?\\udcff?name:2"
    assert pybuf.live()[-1].where == "odd?\\udcff?name:2"


def test_a_name_of_any_length_is_one_line():
    code = compile("import pybuf\nb = pybuf.zeros(4)\ndel b", "n" * 100_000, "exec")
    file = io.StringIO()
    with pybuf.trace(file):
        exec(code, {})
    assert file.getvalue().count("\n") == 2
    assert file.getvalue().startswith("pybuf: alloc 0x")


# ---- what is remembered -------------------------------------------------------------------


def test_close_names_who_made_the_views():
    with traced():
        b = pybuf.zeros(16)
        first, line = memoryview(b), here()
        second, below = b.numpy(), here()
    with pytest.raises(BufferError) as refused:
        b.close(strict=True)
    assert str(refused.value) == (
        "close(strict=True): 2 views of this Buffer still live; nothing was changed; "
        f"taken by buffer at {line}, by numpy at {below}"
    )
    del first, second
    assert b.close(strict=True) is False  # nobody looks, but it was lent


def test_close_names_some_of_many_views_and_counts_the_rest():
    b = pybuf.zeros(16)
    unseen = [memoryview(b) for _ in range(3)]
    with traced():
        seen = [memoryview(b) for _ in range(10)]
    with pytest.raises(BufferError, match=r"13 views .*(by buffer at .*){4}, and 9 more$"):
        b.close(strict=True)
    del seen[:9]
    with pytest.raises(BufferError, match=r"4 views .*by buffer at [^ ]*, and 3 more$"):
        b.close(strict=True)
    del unseen, seen


def test_close_names_casts_where_they_were_made():
    with traced():
        b = pybuf.zeros(16)
        cast, line = b.cast("h"), here()
        view = memoryview(cast)
    with pytest.raises(BufferError) as refused:
        b.close(strict=True)
    assert str(refused.value).endswith(f"taken by cast at {line}")
    del view, cast


def test_close_says_nothing_of_lines_that_nobody_saw():
    b = pybuf.zeros(16)
    view = memoryview(b)
    with pytest.raises(BufferError, match=r"nothing was changed; where a pybuf.trace\(\) is on"):
        b.close(strict=True)
    view.release()


def test_live_says_where_memory_was_made():
    with traced():
        b, made = pybuf.zeros(16), here()
    later = pybuf.zeros(16)
    assert [record.where for record in pybuf.live()[-2:]] == [made, None]
    b.resize(32)
    assert pybuf.live()[-2].where == made
    del b, later


def test_looking_into_a_traced_buffer_lends_nothing_still():
    with traced():
        b = pybuf.zeros(16)
        b[0] = b[1]
        assert b == bytes(16)
        assert bytes(b.tolist()) == b.tobytes()
    b.resize(32)


# ---- beginning and ending -------------------------------------------------------------------


def test_without_a_file_lines_go_to_stderr_as_it_is_then(capsys: pytest.CaptureFixture[str]):
    with pybuf.trace():
        pybuf.zeros(4).close()
    assert events(read(capsys.readouterr().err)) == ["alloc", "free"]


def test_without_stderr_lines_go_nowhere(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", None)
    with pybuf.trace():
        b, made = pybuf.zeros(4), here()
    assert pybuf.live()[-1].where == made
    b.close()


@pytest.mark.parametrize("kind", [Path, str, os.fsencode])
def test_a_path_is_appended_to(kind: Callable[[Any], Any], tmp_path: Path):
    path = tmp_path / "träce"
    for _ in range(2):
        with pybuf.trace(kind(path)):
            pybuf.zeros(4).close()
            assert path.read_text().count("\n") % 2 == 0
    assert events(read(path.read_text())) == ["alloc", "free"] * 2


def test_a_trace_leaves_no_descriptor_open(tmp_path: Path):
    before = os.listdir("/proc/self/fd")
    for _ in range(20):
        with pybuf.trace(tmp_path / "trace"):
            pybuf.zeros(4)
    assert os.listdir("/proc/self/fd") == before


def test_descriptors_are_not_handed_to_programs(tmp_path: Path):
    path = tmp_path / "trace"
    with pybuf.trace(path):
        links = Path("/proc/self/fd").iterdir()
        (fd,) = [int(link.name) for link in links if os.path.realpath(link) == str(path)]
        assert os.get_inheritable(fd) is False


@pytest.mark.parametrize("file", [3, 1.5, object(), [], True])
def test_what_is_no_file_is_refused_at_once(file: Any):
    with pytest.raises(TypeError, match=r"trace\(\): file is .*; it must be a path"):
        pybuf.trace(file)


def test_a_file_that_cannot_be_written_is_refused_at_the_with(tmp_path: Path):
    closed = io.StringIO()
    closed.close()
    for file, error, sentence in (
        (closed, ValueError, "closed"),
        (io.BytesIO(), TypeError, r"trace\(\): file is .*BytesIO.* takes no text .* open it as"),
        (tmp_path, IsADirectoryError, "directory"),
        (tmp_path / "none" / "trace", FileNotFoundError, "No such file"),
    ):
        with pytest.raises(error, match=sentence), pybuf.trace(file):  # type: ignore[arg-type]
            pass
    with traced() as lines:
        pass
    assert lines == []


def test_each_of_several_traces_gets_each_line():
    outer, inner = io.StringIO(), io.StringIO()
    with pybuf.trace(outer):
        with pybuf.trace(inner):
            pybuf.zeros(4).close()
        pybuf.zeros(5).close()
    assert events(read(outer.getvalue())) == ["alloc", "free"] * 2
    assert outer.getvalue().startswith(inner.getvalue())


@given(st.lists(st.integers(0, 4), max_size=30))
def test_traces_may_begin_and_end_in_any_order(steps: list[int]):
    on: dict[int, tuple[pybuf._inspect.Trace, io.StringIO, int]] = {}
    count = 0
    for step in steps:
        if step in on:
            trace, file, expected = on.pop(step)
            trace.__exit__()
            assert file.getvalue().count("\n") == count - expected
        else:
            file = io.StringIO()
            on[step] = (pybuf.trace(file).__enter__(), file, count)
        pybuf.zeros(4).close()
        count += 2
    for trace, file, expected in on.values():
        trace.__exit__()
        assert file.getvalue().count("\n") == count - expected


def test_a_trace_is_on_once_at_a_time_and_can_be_used_again():
    file = io.StringIO()
    trace = pybuf.trace(file)
    for _ in range(2):
        with trace:
            with pytest.raises(RuntimeError, match="on already"), trace:
                pass
            pybuf.zeros(4).close()
    pybuf.zeros(4).close()
    assert events(read(file.getvalue())) == ["alloc", "free"] * 2


def test_a_trace_ends_with_the_exception_that_ends_its_block():
    file = io.StringIO()
    with pytest.raises(ZeroDivisionError), pybuf.trace(file):
        _ = 1 / 0
    pybuf.zeros(4).close()
    assert file.getvalue() == ""


def test_more_traces_than_there_is_room_for_are_refused():
    traces = [pybuf.trace(io.StringIO()) for _ in range(32)]
    for trace in traces:
        trace.__enter__()
    with pytest.raises(RuntimeError, match="32 traces are on"), pybuf.trace(io.StringIO()):
        pass
    for trace in traces:
        trace.__exit__()
    with traced():
        pass


def test_a_trace_that_never_began_may_end():
    pybuf.trace(io.StringIO()).__exit__()


def test_thousands_of_rounds_leave_nothing_behind():
    def round_trip() -> None:
        with traced() as lines:
            b = pybuf.zeros((2, 3), "d")
            held = [memoryview(b), b.numpy(), b.__dlpack__(), b.cast("B"), b.toreadonly()]
            del held
            pybuf.live()
            del b
        assert len(lines) == 12, lines

    file = sys.intern("a file name, " + __file__)
    code = round_trip.__code__.replace(co_filename=file)
    round_trip.__code__ = code
    round_trip()
    gc.collect()
    names, objects = sys.getrefcount(file), len(gc.get_objects())
    for _ in range(2000):
        round_trip()
    gc.collect()
    assert abs(sys.getrefcount(file) - names) < 5
    assert abs(len(gc.get_objects()) - objects) < 100


def test_tracing_calls_no_go():
    calls = _core._counters()["go_calls"]
    with traced():
        b = pybuf.zeros(4)
        held = [memoryview(b), b.numpy(), b.__dlpack__(), b.cast("b")]
        del held, b
    assert _core._counters()["go_calls"] == calls
