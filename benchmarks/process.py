"""What pybuf costs a process: python benchmarks/process.py.

Fresh interpreters import pybuf, make Go memory, fork, and need Go in the
child. Each line is the median over the runs, with the quartiles behind it.
Times are by the clock on the wall, so a busy machine shows.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys

PROBE = """
import json, os, sys, time

def status():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    number = lambda name: int(fields[name].split()[0])
    return {"threads": number("Threads"), "MiB of addresses": number("VmSize") / 1024,
            "MiB in memory": number("VmRSS") / 1024}

found = {}

def step(name, work):
    before, began = status(), time.perf_counter()
    work()
    took, after = time.perf_counter() - began, status()
    found[name, "ms"] = took * 1e3
    found.update({(name, unit): after[unit] - before[unit] for unit in before})

def load():
    global pybuf
    import pybuf

def blocks():
    for _ in range(10_000):
        pybuf.zeros(8192, source="go")

def child():
    told, tell = os.pipe()
    if os.fork() == 0:
        found.clear()
        step("Go started again in a forked child", lambda: pybuf.zeros(8, source="go"))
        os.write(tell, json.dumps([*map(list, found.items())]).encode())
        os._exit(0)
    os.close(tell)
    os.wait()
    return json.loads(os.read(told, 1 << 16))

step("import", load)
step("10,000 times 8 KB of Go memory, freed", blocks)
print(json.dumps([*map(list, found.items()), *child()]))
"""


def run() -> dict[tuple[str, str], float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE], capture_output=True, text=True, check=True
    )
    return {(name, unit): value for (name, unit), value in json.loads(done.stdout)}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="fresh interpreters (20)")
    args = parser.parse_args()
    if args.runs < 2:
        parser.error("--runs: quartiles need 2 or more")
    print(f"Python {platform.python_version()}, {platform.machine()}, {args.runs} runs")
    runs = [run() for _ in range(args.runs)]
    last = ""
    for name, unit in runs[0]:
        if name != last:
            print(f"\n{name}")
        last = name
        values = [r[name, unit] for r in runs]
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"  {middle:10.2f} {unit:20} {low:.2f} .. {high:.2f}")


if __name__ == "__main__":
    main()
