"""Fixtures that every test stands on; the leak check is on by default."""

from __future__ import annotations

import gc
import importlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import capi_build
import capi_uses
import descriptors
import gopy_build
import gopy_runs
import hypothesis
import pytest

import pybuf
from pybuf import _core

hypothesis.settings.register_profile("default", deadline=None, max_examples=100)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=3000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@dataclass(frozen=True)
class Alive:
    """What lives in both runtimes."""

    memories: int
    live_bytes: int
    lent: int  # descriptors that have not come back
    goroutines: int
    blocks: int  # of Go's heap

    @classmethod
    def now(cls) -> Alive:
        for _ in range(3):
            gc.collect()
        counters = _core._counters()
        runtime = _core._go_runtime(False)
        return cls(
            memories=counters["made"] - counters["freed"],
            live_bytes=counters["live_bytes"],
            lent=counters["lent"],
            goroutines=runtime["goroutines"],
            blocks=runtime["blocks"],
        )


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every memory that a test makes or takes over is given back by its end.

    Opt out with @pytest.mark.leaves_memory("why").
    """
    if request.node.get_closest_marker("leaves_memory"):
        yield
        return
    before = Alive.now()
    yield
    after = Alive.now()
    assert after == before, f"before: {before}, after: {after}"


@pytest.fixture
def go_calls() -> Callable[[], int]:
    """The number of calls into Go that this process has made."""
    return lambda: _core._counters()["go_calls"]


@pytest.fixture
def fresh(tmp_path: Any) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs code in an interpreter of its own; it must end well in time.

    `check=False` leaves the judgement of the exit status to the test.
    """

    def run(
        code: str,
        *args: str,
        check: bool = True,
        timeout: float = 60,
        options: tuple[str, ...] = ("-X", "dev", "-W", "error"),
        **kwargs: Any,
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *options, "-c", textwrap.dedent(code), *args],
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=tmp_path,
            check=False,
            **kwargs,
        )
        if check:
            assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
            assert done.stderr == ""
        return done

    return run


@pytest.fixture
def parallel() -> Callable[..., None]:
    """Runs a function on many threads that start together at a barrier."""

    def run(work: Callable[[int], None], threads: int = 8) -> None:
        barrier = threading.Barrier(threads)
        failures: list[BaseException] = []

        def body(i: int) -> None:
            try:
                barrier.wait()
                work(i)
            except BaseException as e:  # handed to the test's own thread
                failures.append(e)

        workers = [threading.Thread(target=body, args=(i,)) for i in range(threads)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
            # Before 3.13 the system's own thread ends a moment after that, and Go counts a
            # thread that called it until then: the leak check would.
            while Path(f"/proc/self/task/{w.native_id}").exists():
                os.sched_yield()
        if failures:
            raise failures[0]

    return run


@pytest.fixture
def only_explicit_collections() -> Iterator[None]:
    """The collector comes only when the test calls it."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def unraisable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The exceptions that nobody could be told of, each as its repr."""
    got: list[str] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda u: got.append(repr(u.exc_value)))
    return got


class Releases(list[int]):
    """A release callback that remembers each address it was given."""

    def __call__(self, address: int) -> None:
        self.append(address)


@pytest.fixture
def releases() -> Releases:
    return Releases()


@pytest.fixture
def released() -> Callable[[], int]:
    """How many descriptors the library of descriptors.py got back since the test began."""
    before = descriptors.library().count()
    return lambda: descriptors.library().count() - before


@pytest.fixture(params=capi_build.EVERY)
def every(request: pytest.FixtureRequest) -> capi_uses.Every:
    """Every function of pybuf.h, compiled in each way."""
    return capi_uses.Every(capi_build.load(request.param))


@pytest.fixture
def every_c() -> capi_uses.Every:
    """The same, in C99 only: for what no compiler changes."""
    return capi_uses.Every(capi_build.load("C99"))


@pytest.fixture
def with_every(fresh: Callable[..., Any]) -> Callable[..., Any]:
    """As fresh, with the module `every` on the path, and as `c` capi_uses.Every of it."""
    preamble = f"""\
import ctypes, gc, os, sys
sys.path[:0] = {[str(capi_build.FOLDER.parent)]!r}
from capi_uses import *
from compiled import module
from pathlib import Path
FOLDER = Path({{folder!r}})
c = Every(module("every", FOLDER))
"""

    def run(
        code: str, *args: str, build: str = "C99", flags: tuple[str, ...] = (), **kwargs: Any
    ) -> Any:
        folder = str(capi_build.folder(build, *flags))
        program = preamble.format(folder=folder) + textwrap.dedent(code)
        return fresh(program, *args, **kwargs)

    return run


@pytest.fixture(scope="session")
def gopy_site() -> gopy_runs.Site:
    """Builds a module with gopy, unless that is done; gives the folder for sys.path.

    Without what gopy needs, the tests skip. PYBUF_NEED_GOPY=1 makes that a failure.
    """
    failures: dict[str, Exception] = {}

    def site(name: str) -> Path:
        if lack := gopy_build.lacking():
            if os.environ.get("PYBUF_NEED_GOPY", "0") != "0":
                pytest.fail(f"PYBUF_NEED_GOPY is set, and {lack}")
            pytest.skip(lack)
        if name in failures:
            raise failures[name]
        try:
            return gopy_build.build(name)
        except gopy_build.BuildError as error:
            failures[name] = error
            raise

    return site


@pytest.fixture(scope="session")
def gopy_plain(gopy_site: gopy_runs.Site) -> Any:
    """What gopy alone makes."""
    return gopy_runs.load(gopy_site("gopy_plain"), "gopy_plain")


@pytest.fixture(scope="session")
def gopy_vecs(gopy_site: gopy_runs.Site) -> Any:
    """The same, with gopybuf in it, and enabled."""
    package = gopy_runs.load(gopy_site("gopy_vecs"), "gopy_vecs")
    importlib.import_module("pybuf.gopy").enable(package)
    return package


@pytest.fixture(scope="session")
def gopy_third(gopy_site: gopy_runs.Site) -> Any:
    """Foreign packages, with gopybuf beside them, and enabled."""
    package = gopy_runs.load(gopy_site("gopy_third"), "gopy_third")
    importlib.import_module("pybuf.gopy").enable(package)
    return package


@pytest.fixture
def vecs(gopy_vecs: Any, no_gopy_leaks: None) -> Any:
    return gopy_vecs.vecs


@pytest.fixture
def go(gopy_vecs: Any, no_gopy_leaks: None) -> Any:
    return gopy_vecs.go


@pytest.fixture
def more(gopy_vecs: Any, no_gopy_leaks: None) -> Any:
    return gopy_vecs.more


@pytest.fixture
def no_gopy_leaks(gopy_vecs: Any, no_leaks: None) -> Iterator[None]:
    """Every view and loan of a gopy module is given back by the end of a test."""
    module = importlib.import_module("pybuf.gopy")

    def live() -> int:
        return int(module.live(gopy_vecs, collect=False))

    before = live()
    yield
    assert gopy_runs.settle(live, gopy_vecs.vecs.Collect, before) <= before


@pytest.fixture
def gopy_run(fresh: gopy_runs.Run, gopy_site: gopy_runs.Site) -> gopy_runs.Run:
    return gopy_runs.runner(fresh, gopy_site)


def pytest_report_header() -> str:
    return f"pybuf {pybuf.__version__} with {_core._go_runtime(False)['go']}: {pybuf.__file__}"


def pytest_collection_finish() -> None:
    """What lives now lives to the end: the leak check need not walk through it each time."""
    gc.collect()
    gc.freeze()
