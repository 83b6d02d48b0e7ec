"""Another Go library, and programs that have both it and pybuf in them."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from probing import Probe, prober

OTHER = """
package main

import "C"
import (
	"runtime"
	"sync"
	"time"
)

//export OtherWork
func OtherWork(n C.int) C.longlong {
	var sink [][]byte
	for i := 0; i < int(n); i++ {
		sink = append(sink, make([]byte, 1<<14))
		if len(sink) > 100 {
			sink = nil
			runtime.GC()
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return C.longlong(m.NumGC)
}

//export OtherStart
func OtherStart(n C.int) C.int {
	var group sync.WaitGroup
	sums := make(chan int, int(n))
	for i := 0; i < int(n); i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			time.Sleep(time.Millisecond)
			sums <- i
		}()
	}
	group.Wait()
	close(sums)
	total := 0
	for i := range sums {
		total += i
	}
	return C.int(total)
}

//export OtherRecovers
func OtherRecovers() (recovered C.int) {
	defer func() {
		if recover() != nil {
			recovered = 1
		}
	}()
	var nothing *int
	return C.int(*nothing)
}

//export OtherGoroutines
func OtherGoroutines() C.int { return C.int(runtime.NumGoroutine()) }

func main() {}
"""

#: Arguments of the program: how to load, pybuf's file, the other library's.
USE = """
    import faulthandler

    def load_other():
        global other
        other = ctypes.CDLL(sys.argv[3])
        other.OtherWork.restype = ctypes.c_longlong

    def load_both(order):
        for name in order.split():
            load() if name == "pybuf" else load_other()
        global pybuf, _core
        import pybuf
        from pybuf import _core

    def use_ours():
        kept = [pybuf.copy(bytes([i]) * (1 << 12), source="go") for i in range(100)]
        _core._go_runtime(True)
        assert all(b.tobytes() == bytes([i]) * (1 << 12) for i, b in enumerate(kept))

    def use_other():
        assert other.OtherWork(150) > 0
        assert other.OtherStart(20) == 190
        # Not with a handler of faults in front of Go's, which would take it for a real one.
        if not faulthandler.is_enabled():
            assert other.OtherRecovers() == 1

    def at_once(*bodies, times=20):
        failures = []
        def run(body):
            try:
                for _ in range(times):
                    body()
            except BaseException as failure:
                failures.append(failure)
        threads = [threading.Thread(target=run, args=(body,)) for body in bodies]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert not failures, failures

    def busy_until(stop):
        def ours():
            while not stop.is_set():
                use_ours()
        def theirs():
            while not stop.is_set():
                use_other()
        threads = [threading.Thread(target=t, daemon=True) for t in (ours, theirs) * 2]
        for t in threads:
            t.start()
        return threads
"""


def build_other(folder: Path) -> Path:
    (folder / "go.mod").write_text("module other\n\ngo 1.25\n")
    (folder / "main.go").write_text(OTHER.lstrip())
    subprocess.run(
        ["go", "build", "-buildmode=c-shared", "-o", "other.so", "."],
        cwd=folder,
        env={**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false", "CGO_ENABLED": "1"},
        check=True,
        timeout=300,
    )
    return folder / "other.so"


def both_prober(fresh: Probe, library: Path) -> Callable[..., Any]:
    """Runs `before`, loads both in an order, and runs code."""

    def with_other(code: str, *args: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
        return fresh(code, *args, str(library), **kwargs)

    probe = prober(with_other)

    def run(code: str, order: str, before: str = "", **kwargs: Any) -> Any:
        parts = USE, before, f"load_both({order!r})", code
        return probe("\n".join(textwrap.dedent(part) for part in parts), **kwargs)

    return run
