"""The end of the interpreter, with Buffers and views alive in every corner: code 0, no word."""

from __future__ import annotations

import subprocess
import textwrap
from collections import Counter
from collections.abc import Callable

import pytest

Fresh = Callable[..., "subprocess.CompletedProcess[str]"]

#: Makes `everything`: each sort of holder on each sort of memory. A Python release tells its name
#: with nothing but what it holds itself, for modules are emptied at the end.
MAKE = """
    import ctypes, os, pickle, sys
    import numpy as np
    import pybuf

    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    Native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p)

    class Owner:
        def __init__(self, name):
            self.name, self.write = name, os.write
            self.buf = pybuf.wrap(libc.malloc(16), 16, release=self.free)
        def free(self, address, free=libc.free):
            free(ctypes.c_void_p(address))
            self.write(1, (self.name + "\\n").encode())

    def called(name):
        def release(address, free=libc.free, void_p=ctypes.c_void_p, write=os.write):
            free(void_p(address))
            write(1, (name + "\\n").encode())
        return pybuf.wrap(libc.malloc(16), 16, release=release)

    def thunk(name):
        write, free, void_p = os.write, libc.free, ctypes.c_void_p
        def release(data, nbytes, arg):
            free(void_p(data))
            write(1, (name + "\\n").encode())
        return pybuf.wrap(libc.malloc(16), 16, release=Native(release))

    kinds = {
        "own": lambda name: pybuf.zeros(16),
        "go": lambda name: pybuf.zeros(16, source="go"),
        "native": lambda name: pybuf.wrap(libc.malloc(16), 16, release=libc.free),
        "unowned": lambda name: pybuf.wrap(libc.malloc(16), 16, unowned=True),
        "called": called,
        "thunk": thunk,
        "method": lambda name: Owner(name).buf,
    }
    holders = {
        "buffer": lambda b: b,
        "closed": lambda b: (memoryview(b), b.close(), b),
        "memoryview": memoryview,
        "slice": lambda b: memoryview(b)[2:5],
        "iterator": iter,
        "asarray": np.asarray,
        "numpy": lambda b: b.numpy()[::2],
        "uncounted": lambda b: np.ndarray(16, "B", buffer=b),
        "interface": lambda b: (b, b.__array_interface__),
        "child": lambda b: b.toreadonly().cast("i"),
        "capsule": lambda b: b.__dlpack__(),
        "versioned": lambda b: b.__dlpack__(max_version=(1, 0)),
        "dlpack": np.from_dlpack,
        "pickle": pickle.PickleBuffer,
        "ctypes": (ctypes.c_char * 16).from_buffer,
    }
    everything = [
        hold(kinds[kind](f"{kind}-{holder}"))
        for kind in sys.argv[1].split() for holder, hold in holders.items()
        if holder in sys.argv[2].split()
    ]
"""

KINDS = "own go native unowned called method"
#: Apart, because ctypes itself cannot call Python any more when thread-locals end.
THUNK = "thunk"
#: What is no view to the collector; a view in the cycle of its own callback (here through the
#: globals of the callback, which hold the view) keeps all of it, and the process ends first.
BUFFERS = "buffer interface child"
VIEWS = (
    "closed memoryview slice iterator asarray numpy uncounted capsule versioned dlpack pickle "
    "ctypes"
)
HOLDERS = f"{BUFFERS} {VIEWS}"

PLACES = {
    "in a global of the main module": "",
    "in a global beside a module that is gone": "del pybuf, np, sys.modules['pybuf']",
    "in the modules sys and builtins": """
        import builtins
        sys.held = builtins.held = everything
        del everything
    """,
    "in a module of its own": """
        import types
        sys.modules["elsewhere"] = types.ModuleType("elsewhere")
        sys.modules["elsewhere"].held = everything
        del everything
    """,
    "in a cycle of modules": """
        import types
        a, b = types.ModuleType("a"), types.ModuleType("b")
        a.b, b.a, a.held = b, a, everything
        sys.modules.update(a=a, b=b)
        del everything, a, b
    """,
    "in a module's own dictionary": "pybuf.held = pybuf._core.held = everything; del everything",
    "in a class": "Holder = type('Holder', (), {'held': everything}); del everything",
    "in garbage": "everything.append(everything); del everything",
    "in the frame of a generator": """
        def generate(held):
            try:
                yield
            finally:
                del held
        running = generate(everything)
        next(running)
        del everything
    """,
    "in an exception": """
        try:
            1 / 0
        except ZeroDivisionError as e:
            e.held = everything
            sys.last_value = sys.last_exc = e
        del everything
    """,
    "in a default of a function with __del__": """
        class Late:
            def __del__(self, held=everything):
                held.clear()
        late = Late()
        del everything
    """,
    "in a thread-local": """
        import threading
        local = threading.local()
        local.held = everything
        del everything
    """,
    "in an atexit handler": """
        import atexit
        atexit.register(everything.clear)
        del everything
    """,
    "in an atexit handler that views them": """
        import atexit
        def look(held):
            for x in held:
                if not isinstance(x, tuple) and hasattr(type(x), "__buffer__"):
                    held.append(memoryview(x).nbytes)
        atexit.register(look, everything)
        del everything
    """,
    "in a weakref.finalize": """
        import weakref
        class Key: pass
        key = Key()
        weakref.finalize(key, everything.clear)
        del everything
    """,
    "in a daemon thread that waits": """
        import threading
        started = threading.Event()
        def body(held):
            started.set()
            threading.Event().wait()
        threading.Thread(target=body, args=(everything,), daemon=True).start()
        started.wait()
        del everything
    """,
    "in a thread that nobody joins": """
        import threading
        main = threading.main_thread()
        def body(held):
            main.join()
        threading.Thread(target=body, args=(everything,)).start()
        del everything
    """,
    "in a context variable": """
        import contextvars
        variable = contextvars.ContextVar("variable")
        variable.set(everything)
        del everything
    """,
}


def _program(place: str) -> str:
    return textwrap.dedent(MAKE) + textwrap.dedent(place)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_the_interpreter_ends_well_with_views_alive(place: str, fresh: Fresh):
    told = Counter(fresh(_program(place), KINDS, HOLDERS).stdout.split())
    assert not told or max(told.values()) == 1
    assert set(told) <= {f"{k}-{h}" for k in ("called", "method") for h in HOLDERS.split()}


@pytest.mark.parametrize("place", [p for p in PLACES if p != "in a thread-local"])
def test_the_interpreter_ends_well_with_thunks_alive(place: str, fresh: Fresh):
    """Releases that are Python functions behind a C function pointer of ctypes."""
    told = Counter(fresh(_program(PLACES[place]), THUNK, HOLDERS).stdout.split())
    assert not told or max(told.values()) == 1
    assert set(told) <= {f"thunk-{h}" for h in HOLDERS.split()}


def test_python_releases_run_at_the_end_for_what_a_main_module_held(fresh: Fresh):
    """Globals of the main module end while Python still runs, and so do the releases."""
    told = fresh(_program(""), KINDS, BUFFERS).stdout.split()
    assert sorted(told) == sorted(
        f"{k}-{h}" for k in ("called", "method") for h in BUFFERS.split()
    )


def test_native_releases_run_at_the_end(fresh: Fresh, tmp_path):
    """memset(data, nbytes, arg) leaves its trace in a file that outlives the process."""
    trace = tmp_path / "trace"
    trace.write_bytes(bytes(8))
    fresh(
        """
        import ctypes, mmap, sys
        import pybuf
        with open(sys.argv[1], "r+b") as f:
            shared = mmap.mmap(f.fileno(), 8)
        address = ctypes.addressof((ctypes.c_char * 8).from_buffer(shared))
        kept_by_c = ctypes.py_object(shared)
        ctypes.pythonapi.Py_IncRef(kept_by_c)  # the mapping outlives the interpreter
        view = memoryview(pybuf.wrap(address, 5, release=(ctypes.CDLL(None).memset, 3)))
        """,
        str(trace),
    )
    assert trace.read_bytes() == b"\5\5\5\0\0\0\0\0"


@pytest.mark.parametrize(
    ("call", "name", "deleter_at"),
    [
        ("__dlpack__()", "dltensor", 56),  # behind a DLTensor of 48 bytes and the context
        ("__dlpack__(max_version=(1, 0))", "dltensor_versioned", 16),
    ],
)
def test_a_dlpack_deleter_that_comes_after_the_end_leaves_all_alone(
    call: str, name: str, deleter_at: int, fresh: Fresh
):
    """As a C++ consumer's static destructor does: exit() runs it when Python is gone. (The C
    library's own way to register such a thing is called here, with the deleter itself.)"""
    fresh(
        f"""
        import ctypes
        import pybuf
        api, libc = ctypes.pythonapi, ctypes.CDLL(None)
        api.PyCapsule_GetPointer.restype = ctypes.c_void_p
        api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
        api.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_void_p]
        used = libc.strdup
        used.restype = ctypes.c_void_p
        held = []
        for release in (print, lambda _: print("too late"), libc.free):
            b = pybuf.wrap(0, 0, release=release)
            capsule = b.{call}
            tensor = api.PyCapsule_GetPointer(capsule, b"{name}")
            api.PyCapsule_SetName(capsule, used(b"used_{name}"))
            deleter = ctypes.cast(tensor + {deleter_at}, ctypes.POINTER(ctypes.c_void_p))[0]
            at_exit = getattr(libc, "__cxa_atexit")
            assert at_exit(ctypes.c_void_p(deleter), ctypes.c_void_p(tensor), None) == 0
            assert b.exports == 1
            del b, capsule
        """
    )


def test_a_callback_that_makes_buffers_at_the_end_does_no_harm(fresh: Fresh):
    fresh(
        """
        import gc, sys
        import pybuf

        def release(address, make=pybuf.zeros, wrap=pybuf.wrap, copy=pybuf.copy):
            try:
                for _ in range(3):
                    memoryview(make((2, 3), "d")).tolist()
                    copy(b"abc").close()
                    wrap(4096, 4, "i", strides=8, unowned=True).cast
            except (RuntimeError, SystemError, ImportError, AttributeError):
                pass  # too late: said in words, and not by a crash

        class Cycle:
            pass

        # Exported inside the garbage, so that the callback runs when the collector has
        # begun to empty what it found, the module's state among it.
        one = Cycle()
        one.one = one
        one.module = sys.modules["pybuf"], sys.modules["pybuf._core"]
        one.buffer = pybuf.wrap(4096, 4, owner=one, release=release)
        one.view = memoryview(one.buffer)
        two = pybuf.wrap(4096, 4, release=release)
        sys.three = memoryview(pybuf.wrap(4096, 4, release=release))
        """
    )


def test_a_callback_that_raises_at_the_end_is_said_and_ends_nothing(fresh: Fresh):
    done = fresh(
        """
        import pybuf
        def release(address):
            raise LookupError("late")
        kept = pybuf.wrap(4096, 4, release=release)
        print("last line")
        """,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == "last line\n"
    assert done.stderr.count("LookupError: late") == 1


def test_callbacks_run_once_when_atexit_closes_what_is_alive(fresh: Fresh):
    done = fresh(
        """
        import atexit
        import pybuf
        calls = []
        buffers = [pybuf.wrap(4096, 4, release=calls.append) for _ in range(3)]
        view = memoryview(buffers[2])
        def end():
            print([b.close() for b in buffers], len(calls))
        atexit.register(end)
        """
    )
    assert done.stdout == "[True, True, False] 2\n"


@pytest.mark.parametrize(
    "leave", ["os._exit(0)", "sys.exit(0)", "raise SystemExit", "exec('quit()')"]
)
def test_every_way_to_leave_ends_well(leave: str, fresh: Fresh):
    fresh(_program(leave), KINDS, HOLDERS)


def test_a_daemon_thread_that_makes_and_frees_to_the_last_moment_does_no_harm(fresh: Fresh):
    fresh(
        """
        import threading
        import pybuf

        started = threading.Barrier(4)

        def body():
            started.wait()
            while True:
                b = pybuf.wrap(4096, 4, owner=[], release=lambda _: None)
                views = [memoryview(b), b.toreadonly(), pybuf.zeros(100, source="go")]
                b.close()

        for _ in range(3):
            threading.Thread(target=body, daemon=True).start()
        started.wait()
        """
    )


def test_an_import_alone_ends_well(fresh: Fresh):
    done = fresh("import pybuf")
    assert done.stdout == ""


def test_an_exit_in_the_middle_of_a_callback_ends_well(fresh: Fresh):
    """sys.exit() in a callback is an error of the callback; os._exit() is not asked."""
    done = fresh(
        """
        import os
        import pybuf
        pybuf.wrap(4096, 4, release=lambda _: os._exit(7)).close()
        """,
        check=False,
    )
    assert (done.returncode, done.stderr) == (7, "")
