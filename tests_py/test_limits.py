"""Where Go could not start, the import is refused in words, and the process lives on."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from bare import NOBODY, ROOT, Case, Outcome, run, run_each, told

MIB = 1 << 20

#: Limits the process, imports, and fills what there is. The last line tells how it went.
FILL = """
    import resource
    for name, soft in zip(sys.argv[1::2], sys.argv[2::2]):
        which = getattr(resource, name)
        resource.setrlimit(which, (int(soft), resource.getrlimit(which)[1]))
    try:
        import pybuf
    except (ImportError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit()
    blocks = []
    try:
        for i in range(50):
            blocks.append(pybuf.zeros(8 << 20))
            blocks.append(pybuf.zeros(8 << 20, source="go"))
    except MemoryError:
        pass
    for block in blocks:
        block[0] = block[-1] = 1
    blocks.clear()
    pybuf._core._go_runtime(True)
    print("works")
"""


def limited(name: str, soft: int, **env: str) -> Case:
    return Case((name, str(soft)), env)


def refused(outcome: Outcome, *words: str) -> bool:
    """With a sentence that has one of the words."""
    return outcome.out.startswith("ImportError: pybuf cannot be imported: ") and any(
        word in outcome.out for word in words
    )


def surprises(outcomes: Iterable[Outcome], *words: str) -> list[Outcome]:
    return [o for o in outcomes if not o.quiet or not (o.out == "works" or refused(o, *words))]


# ---- every limit, refused or works -----------------------------------------------------


def test_any_limit_of_addresses_refuses_or_works():
    soft = sorted({*range(50, 2601, 50), *range(1500, 1801, 20)})
    outcomes = run_each(FILL, [limited("RLIMIT_AS", n * MIB) for n in soft])
    bad = surprises(outcomes, "ulimit -v", "MiB that can be written to")
    assert not bad, told(bad)
    assert refused(outcomes[0], "address space", "(ulimit -v is 50 MiB)")
    assert outcomes[-1].out == "works"


def test_any_limit_of_data_refuses_or_works():
    outcomes = run_each(
        FILL, [limited("RLIMIT_DATA", n * MIB) for n in [*range(20, 200, 10), 300, 500, 900]]
    )
    bad = surprises(outcomes, "ulimit -d")
    assert not bad, told(bad)
    assert refused(outcomes[0], "can be written to", "(ulimit -d is 20 MiB)")
    assert outcomes[-1].out == "works"


def test_a_limit_that_the_loader_meets_first_is_its_error():
    outcomes = run_each(
        FILL,
        [limited(name, n << 18) for name in ("RLIMIT_AS", "RLIMIT_DATA") for n in range(1, 6)],
    )
    bad = [
        o
        for o in outcomes
        if not o.quiet or o.out.partition(":")[0] not in ("ImportError", "MemoryError")
    ]
    assert not bad, told(bad)


STACK = """
    import os, resource, textwrap
    if sys.argv[1] == "limit":
        soft, addresses, program = sys.argv[2:]
        resource.setrlimit(resource.RLIMIT_STACK,
                           (int(soft), resource.getrlimit(resource.RLIMIT_STACK)[1]))
        os.execv(sys.executable, [sys.executable, "-S", "-E", "-c", program,
                                  "RLIMIT_AS", addresses])
"""


@pytest.mark.parametrize("addresses", [-1, 1800, 4096])
def test_any_size_of_threads_stacks_refuses_or_works(addresses: int):
    """The C library gives threads the stack that the process was started with."""
    sizes = [1 << 18, 1 << 20, 1 << 23, 1 << 26, 1 << 29, 1 << 30, 1 << 33, 1 << 50, -1]
    program = f"import sys\nsys.path.insert(0, {ROOT!r})\n" + textwrap.dedent(FILL)
    most = str(addresses * MIB if addresses > 0 else -1)
    outcomes = run_each(STACK, [Case(("limit", str(n), most, program)) for n in sizes])
    bad = surprises(outcomes, "threads")
    assert not bad, told(bad)
    assert refused(outcomes[-2], "where their stacks are")
    assert outcomes[1].out == "works"


def test_any_limit_of_files_refuses_or_works():
    """What comes before the loader, which opens the library, is Python's own search for it."""
    outcomes = run_each(
        """
        import os, resource
        soft = int(sys.argv[1])
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, 1000))
        try:
            import pybuf
            assert pybuf.zeros((2, 3), ">i2").nbytes == 12
            assert resource.getrlimit(resource.RLIMIT_NOFILE) == (soft, 1000)
        except (OSError, ImportError) as error:
            print(f"{type(error).__name__}: {error}")
            sys.exit()
        print("works")
        """,
        [Case((str(n),)) for n in range(11)],
    )
    bad = [o for o in outcomes if not o.quiet or not (o.out == "works" or "Error: " in o.out)]
    assert not bad, told(bad)
    assert outcomes[0].out.startswith("OSError: [Errno 24] Too many open files")
    assert outcomes[-1].out == "works"


@pytest.mark.parametrize("free", range(4))
def test_the_library_needs_one_descriptor_to_be_loaded(free: int):
    done = run(
        """
        import importlib.machinery as machinery, os, resource, pathlib
        where = machinery.PathFinder.find_spec("pybuf").submodule_search_locations
        spec = machinery.PathFinder.find_spec("_core", where)
        lowest = os.open(os.devnull, os.O_RDONLY)
        os.close(lowest)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + int(sys.argv[1]), hard))
        loader = machinery.ExtensionFileLoader("pybuf._core", spec.origin)
        spec.name, spec.loader = "pybuf._core", loader
        try:
            core = loader.create_module(spec)
        except ImportError as error:
            print(f"ImportError: {error}")
            sys.exit()
        loader.exec_module(core)
        core.zeros(1 << 20)[0] = 1
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == lowest + int(sys.argv[1])
        print("works")
        """,
        Case((str(free),)),
    )
    assert done.quiet, done
    if free:
        assert done.out == "works"
    else:
        assert done.out.endswith("Too many open files")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes who it is")


@needs_root
def test_any_limit_of_processes_refuses_or_works():
    """One at a time: the system counts those of all of them."""
    program = textwrap.dedent(FILL).replace("try:", textwrap.dedent(NOBODY) + "try:", 1)
    outcomes = [run(program, limited("RLIMIT_NPROC", n)) for n in range(1, 25)]
    bad = surprises(outcomes, "ulimit -u")
    assert not bad, told(bad)
    assert refused(outcomes[0], "this process can have 0 more")
    assert outcomes[-1].out == "works"


@pytest.fixture
def pids_group(tmp_path: Path) -> Iterator[Path]:
    """A control group that counts processes."""
    group = Path("/sys/fs/cgroup/pids") / f"{tmp_path.name}-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield group
    group.rmdir()


def test_any_limit_of_a_control_group_refuses_or_works(pids_group: Path):
    join = f"""
    import os
    with open("{pids_group}/pids.max", "w") as f:
        f.write(sys.argv.pop())
    with open("{pids_group}/cgroup.procs", "w") as f:
        f.write(str(os.getpid()))
    """
    program = textwrap.dedent(join) + textwrap.dedent(FILL)
    outcomes = [run(program, Case((str(n),))) for n in [*range(1, 12), 16, 24]]
    bad = surprises(outcomes, "control group")
    assert not bad, told(bad)
    assert refused(outcomes[0], "this process can have 0 more")
    assert outcomes[-1].out == "works"
