"""What the environment says to Go: the import works, or is refused in words that repeat it."""

from __future__ import annotations

import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from bare import AT_ONCE, ROOT, Case, run, run_each, told

USE = """
    try:
        import pybuf
    except ImportError as error:
        print(f"ImportError: {error}")
        sys.exit()
    blocks = [pybuf.zeros(1 << 20, source="go") for _ in range(20)]
    blocks.append(pybuf.zeros((3, 2), ">Zd"))
    pybuf._core._go_runtime(True)
    for block in blocks:
        assert bytes(memoryview(block)).count(0) == block.nbytes
    blocks.clear()
    pybuf._core._go_runtime(True)
    print("works")
"""

TUNING = """
    adaptivestackstart asyncpreemptoff clobberfree containermaxprocs disablethp dontfreezetheworld
    efence gccheckmark gcshrinkstackoff gcstoptheworld harddecommit invalidptr madvdontneed
    memprofilerate profstackdepth traceallocfree tracebackancestors
"""

#: Values that change how Go works, or that it does not understand and ignores.
TAKEN = {
    "GOMEMLIMIT": ["", "off", "0", "1", "1B", "1KiB", "512MiB", "8388607TiB", "-0"],
    "GOMAXPROCS": ["", "0", "1", "2", "3", "64", "-1", "512", "x", "0x10", "1_000", "off"],
    "GOGC": ["", "0", "1", "-1", "off", "OFF", "100", "2147483648", "99999999999999999999", "x"],
    "GOTRACEBACK": ["", "none", "single", "all", "system", "crash", "wer", "0", "2", "-1", "x"],
    "GODEBUG": [
        "",
        ",,,",
        "=",
        "x",
        "x=y",
        "cgocheck",
        "cgocheck=",
        "cgocheck=0",
        "cgocheck=1",
        "cgocheck=x",
        "xcgocheck=2",
        "cgocheckx=2",
        "sbrk=0",
        "sbrk=",
        "http2debug=1,panicnil=1",
        *(f"{name}={value}" for name in TUNING.split() for value in (1, 2)),
    ],
}

#: Values that would end the process.
REFUSED = {
    "GOMEMLIMIT": ["x", "-1", "1.5", "1KB", "1 MiB", "OFF", "9223372036854775808", "8388608TiB"],
    "GOMAXPROCS": ["8193", "100000", "2147483647", "99999999999999999999", "+9000"],
    "GODEBUG": [
        "cgocheck=2",
        "cgocheck=+2",
        "cgocheck=02",
        "cgocheck=2147483647",
        ",cgocheck=2",
        "x,cgocheck=2",
        "x=cgocheck=1,cgocheck=2",
        "sbrk=1",
        "sbrk=-1",
        "cgocheck=1,sbrk=1",
        "panicnil=1,sbrk=1,x=y",
    ],
}


def settings(table: dict[str, list[str]]) -> list[Case]:
    return [Case(env={name: value}) for name, values in table.items() for value in values]


# ---- taken or refused ------------------------------------------------------------------


def test_a_setting_that_go_can_live_with_is_taken():
    bad = [o for o in run_each(USE, settings(TAKEN)) if not o.quiet or o.out != "works"]
    assert not bad, told(bad)


def test_a_setting_that_would_end_the_process_is_an_import_error_that_repeats_it():
    outcomes = run_each(USE, settings(REFUSED))
    bad = []
    for o in outcomes:
        [(name, value)] = o.case.env.items()
        begin = f"ImportError: pybuf cannot be imported: this process was started with {name}="
        if not o.quiet or not o.out.startswith(f"{begin}{value}, "):
            bad.append(o)
    assert not bad, told(bad)


def test_a_setting_that_makes_go_talk_ends_nothing():
    """What it writes is what was asked for."""
    traces = ["gctrace=1", "gcpacertrace=1", "inittrace=1", "scavtrace=1", "schedtrace=1000"]
    outcomes = run_each(USE, [Case(env={"GODEBUG": trace}) for trace in traces])
    bad = [o for o in outcomes if (o.status, o.out) != (0, "works")]
    assert not bad, told(bad)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GOMEMLIMIT", "9" * 100_000),
        ("GOMEMLIMIT", "1\nMiB\t"),
        ("GOMEMLIMIT", "12 МиБ 🦀" * 10),
        ("GOMEMLIMIT", "%s%n%d"),
        ("GOMEMLIMIT", os.fsdecode(b"\xff\xfe\x80")),
        ("GOMAXPROCS", "9" * 100_000),
        ("GODEBUG", "cgocheck=2," + "x" * 100_000),
    ],
)
def test_a_strange_value_is_repeated_as_far_as_it_can_be_read(name: str, value: str):
    done = run(USE, Case(env={name: value, "PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"}))
    assert done.quiet, done
    assert f"this process was started with {name}={value[:5]}".splitlines()[0] in done.out or (
        "\ufffd" in done.out
    )
    assert len(done.out) < 600


def test_the_first_of_two_values_is_the_one_that_counts_as_for_go():
    """A process may be given a name twice; execve takes any list."""
    for first, second in [("x", "1MiB"), ("1MiB", "x")]:
        done = run(
            """
            import ctypes
            first, second, program = (text.encode() for text in sys.argv[1:])
            def array(*items):
                return (ctypes.c_char_p * (len(items) + 1))(*items, None)
            argv = array(sys.executable.encode(), b"-S", b"-E", b"-c", program)
            env = array(b"GOMEMLIMIT=" + first, b"GOMEMLIMIT=" + second)
            ctypes.CDLL(None).execve(argv[0], argv, env)
            """,
            Case((first, second, f"import sys\nsys.path.insert(0, {ROOT!r})\n{dedent(USE)}")),
        )
        assert done.quiet, done
        assert ("GOMEMLIMIT=x" in done.out) is (first == "x")


# ---- the same rule as Go's -------------------------------------------------------------

EDGES = """
    0|1|+5|-5|-0|+0|--1|+-1|00|007|0x10|1e3|1_000|1,000|1.5|٣|1٣|½
    B|1B|0B|-0B|+1B|-1B|1b|1BB|B1|iB|1iB|KiB|1KiB|1kiB|1Kib|1KIB|1KB|1K|1k|-KiB|+KiB|-1KiB|-0KiB
    1MiB|1miB|1GiB|1TiB|1PiB|1EiB|1BiB|1KiBB|1KiB |01KiB|1KiKiB|1KMiB|1MiB1|0TiB|-0TiB
    9223372036854775807|9223372036854775808|9223372036854775807B|9223372036854775808B
    9007199254740991KiB|9007199254740992KiB|8796093022207MiB|8796093022208MiB
    8589934591GiB|8589934592GiB|8388607TiB|8388608TiB|16777216TiB|16777217TiB
    18446744073709551615|18446744073709551616|18446744073709551616KiB|-9223372036854775808
    00000000000000000000000000000001|99999999999999999999999999MiB|-9223372036854775809
    off|OFF|Off|off |offB|on|nil|none|1 MiB| 1MiB|1MiB |1\tMiB|MiB|MiB1|1 |+|-|i|🦀|1🦀|1🦀B
""".strip()


def spellings() -> list[str]:
    """Edge cases, and others that are made of the same letters."""
    chosen = random.Random(8)
    made = [
        chosen.choice(["", "", "", "+", "-", " "])
        + "".join(chosen.choices("0123456789", k=chosen.choice([0, 1, 2, 4, 16, 19, 20])))
        + "".join(chosen.choices(["B", "i", "K", "M", "G", "T", "k", "b", "iB"], k=n % 4))
        for n in range(80)
    ]
    fixed = [edge.strip("\n") for line in EDGES.split("\n") for edge in line.lstrip().split("|")]
    return ["", *dict.fromkeys([*fixed, *made])]


@pytest.fixture
def go_program(tmp_path: Path) -> str:
    """A Go program that does nothing."""
    (tmp_path / "go.mod").write_text("module nothing\n\ngo 1.25\n")
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n")
    subprocess.run(
        ["go", "build", "-o", "nothing", "."],
        cwd=tmp_path,
        env={**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "0"},
        check=True,
        timeout=120,
    )
    return str(tmp_path / "nothing")


def taken_by_go(program: str, name: str, value: str) -> bool:
    done = subprocess.run(
        [program], env={name: value}, capture_output=True, timeout=60, check=False
    )
    if done.returncode:
        assert b"malformed GOMEMLIMIT" in done.stderr
    return done.returncode == 0


@pytest.mark.build
def test_a_memory_limit_is_read_as_go_reads_it(go_program: str):
    values = spellings()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        expected = list(pool.map(lambda v: taken_by_go(go_program, "GOMEMLIMIT", v), values))
    outcomes = run_each(
        """
        try:
            import pybuf
            print("works")
        except ImportError as error:
            print(error)
        """,
        [Case(env={"GOMEMLIMIT": value}) for value in values],
    )
    bad = [o for o, good in zip(outcomes, expected, strict=True) if (o.out == "works") is not good]
    assert not bad, told(bad)
    assert all(o.quiet for o in outcomes)
    assert min(sum(expected), len(expected) - sum(expected)) > 30


def test_the_last_of_two_debug_settings_counts_as_for_go():
    values = [
        "cgocheck=1,cgocheck=2",
        "cgocheck=0,sbrk=0,cgocheck=2",
        "sbrk=0,sbrk=1",
        "cgocheck=x,cgocheck=2",
    ]
    outcomes = run_each(USE, [Case(env={"GODEBUG": v}) for v in values])
    bad = [o for o in outcomes if not o.quiet or "ImportError" not in o.out]
    assert not bad, told(bad)
