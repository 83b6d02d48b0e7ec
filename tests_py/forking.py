"""Fresh interpreters that fork: what a child does wrong, its parent says."""

from __future__ import annotations

import subprocess
import textwrap
from typing import Any

from probing import PROBE, Probe

from pybuf import _core

#: From 3.12 on Python warns of each fork in a process with threads, and Go's threads are meant.
OPTIONS = ("-X", "dev", "-W", "error", "-W", "ignore:This process:DeprecationWarning")

#: What programs have besides probing.PROBE. A child that hangs is ended by its
#: alarm, or with its parent.
FORK = """
    import traceback

    def status_of(body, *args):
        "Runs body in a child; says how that ended, as the module subprocess does."
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                signal.alarm(80)
                libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
                body(*args)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def in_child(body, *args):
        assert (status := status_of(body, *args)) == 0, status

    def go_calls():
        return _core._counters()["go_calls"]

    def threads():
        return len(os.listdir("/proc/self/task"))

    def without_go(body, *args):
        "In a child that is to do without a runtime, which has threads."
        def child():
            before = go_calls()
            body(*args)
            assert go_calls() == before
            assert threads() == 1
        in_child(child)

    def use_go():
        "Begins a runtime, if there is none."
        b = pybuf.copy(b"go" * 500, source="go")
        assert b.tobytes() == b"go" * 500
        _core._go_runtime(True)

    def generation():
        return _core._go_runtime(False)["generation"]

    def refusal(call, kinds=RuntimeError):
        try:
            call()
        except kinds as error:
            return str(error)
        raise AssertionError("not refused")

    def on_threads(body, count):
        "Runs body on so many threads, which begin together."
        failures = []
        barrier = threading.Barrier(count)
        def guarded():
            try:
                barrier.wait()
                body()
            except BaseException as error:
                failures.append(error)
        workers = [threading.Thread(target=guarded) for _ in range(count)]
        for w in workers:
            w.start()
        for w in workers:
            w.join()
        if failures:
            raise failures[0]
"""

IMPORT = """
    import pybuf
    from pybuf import _core
"""


def forker(fresh: Probe) -> Probe:
    """Runs PROBE, `before`, the import of pybuf unless `imports` is False, FORK, and the code."""

    def run(
        *code: str,
        args: tuple[str, ...] = (),
        before: str = "",
        imports: bool = True,
        options: tuple[str, ...] = OPTIONS,
        **kwargs: Any,
    ) -> subprocess.CompletedProcess[str]:
        parts = (PROBE, before, IMPORT if imports else "", FORK, *code)
        program = "\n".join(map(textwrap.dedent, parts))
        args = ("import", str(_core.__file__), *args)
        return fresh(program, *args, options=options, timeout=110, **kwargs)

    return run
