"""One table for all interpreters of a process, and to each its own objects."""

from __future__ import annotations

import sys

import pytest

#: Runs code in a new interpreter, in which m is a module of every.c; then that is ended.
PREAMBLE = """
    import textwrap
    try:
        import _interpreters as interpreters
    except ImportError:
        import _xxsubinterpreters as interpreters
    own_gil = sys.argv[1] == "own GIL"

    def create():
        if sys.version_info >= (3, 13):
            return interpreters.create("isolated" if own_gil else "legacy")
        return interpreters.create(isolated=own_gil)

    # Without capi_uses, for ctypes is not in every interpreter.
    MODULE = f'''
    import sys
    sys.path[:] = {sys.path!r}
    import importlib.util as util
    spec = util.spec_from_file_location("every", {c.module.__file__!r})
    m = util.module_from_spec(spec)
    spec.loader.exec_module(m)

    def wrap(release=1):
        return m.wrap({ADDRESS}, 1, [8], None, b"d", 0, release, None)
    '''

    def run(here, code):
        code = textwrap.dedent(MODULE) + textwrap.dedent(code)
        failed = interpreters.run_string(here, code)
        assert failed is None, failed

    def alone(code):
        here = create()
        try:
            run(here, code)
        finally:
            interpreters.destroy(here)
"""

KINDS = ["shared GIL"]
if sys.version_info >= (3, 12):
    KINDS.append("own GIL")
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def interpreters(with_every):
    def run(kind: str, code: str) -> None:
        with_every(PREAMBLE + code, kind, options=("-X", "dev"))

    return run


@each_kind
def test_each_interpreter_gets_objects_of_its_own(interpreters, kind):
    interpreters(
        kind,
        """
    import pybuf
    here, there = c.wrap(flags=0), []
    for _ in range(3):
        alone('''
            b = wrap() # imports pybuf: this interpreter has not
            import pybuf
            assert type(b) is pybuf.Buffer and m.check(b)
            assert b.tolist() == list(map(float, range(8)))
            assert len(pybuf.live()) == 1
            assert m.new(1, [3], b'd', 0)[0].tolist() == [0, 0, 0]
            del b
            assert m.calls()[1][-1][4] == 1
            ''')
    assert len(pybuf.live()) == 1
    assert c.check(here) and c.check(pybuf.zeros(3))
    assert len(c.calls()) == 3
    """,
    )


@each_kind
def test_what_an_interpreter_leaves_behind_is_not_taken_for_the_next_one_s(interpreters, kind):
    """A Buffer in a static variable kept the module; the next interpreter has its address."""
    interpreters(
        kind,
        """
    import pybuf
    for i in range(4):
        alone(f'''
            b = wrap(5)
            import pybuf
            assert type(b) is pybuf.Buffer and m.check(pybuf.zeros(3))
            assert len(pybuf.live()) == 1
            m.keep({i}, b)
            ''')
    assert c.wrap(flags=0).tolist() == NUMBERS
    """,
    )


@each_kind
def test_two_interpreters_take_turns(interpreters, kind):
    interpreters(
        kind,
        """
    import pybuf
    one, other = create(), create()
    for here in (one, other):
        run(here, "b = wrap()")
    mine = c.wrap(flags=0)
    for here in (one, other, one):
        run(here, "import pybuf; assert m.check(b) and len(pybuf.live()) == 1")
        assert c.check(mine)
    interpreters.destroy(one)
    run(other, "assert m.check(wrap()) and m.check(b)")
    one = create()
    run(one, "import pybuf; assert m.check(wrap()) and pybuf.live() == []")
    for here in (one, other):
        interpreters.destroy(here)
    del mine
    assert len(c.calls()) == 5
    """,
    )


@each_kind
def test_a_sub_interpreter_does_not_lend(interpreters, kind):
    interpreters(
        kind,
        """
    alone('''
            try:
                m.lend(bytearray(3), 0)
            except BufferError as error:
                assert "sub-interpreter" in str(error)
            else:
                raise AssertionError
            ''')
    """,
    )


@each_kind
def test_an_owner_ends_in_its_own_interpreter_with_the_gil(interpreters, kind):
    """There a release could not call Python: PyGILState_Ensure knows of one interpreter."""
    interpreters(
        kind,
        """
    alone(f'''
            ended = []
            class Owner:
                def __del__(self):
                    ended.append(len(pybuf.live()))
            import pybuf
            b = m.wrap_owned({ADDRESS}, 1, [8], None, b'd', 0, Owner())
            assert ended == []
            del b
            assert ended == [0]
            ''')
    """,
    )


@pytest.mark.skipif(sys.version_info < (3, 12), reason="one GIL for all interpreters")
def test_interpreters_that_run_at_the_same_time_do_not_meet(interpreters):
    interpreters(
        "own GIL",
        """
    import threading
    failures = []
    def body():
        try:
            for _ in range(3):
                alone('''
            for _ in range(300):
                a, b = wrap(), m.new(1, [3], b'd', 0)[0]
                assert m.check(a) and m.check(b)
                ''')
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=body) for _ in range(4)]
    for t in threads:
        t.start()
    for _ in range(300):
        assert c.check(c.wrap(flags=0))
    for t in threads:
        t.join()
    assert not failures, failures
    assert c.module.calls()[0] == 4 * 3 * 300 + 300
    """,
    )
