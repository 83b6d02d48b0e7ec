"""A library that hands memory over by descriptors and takes it over, written in C.

It knows nothing of Python, and of pybuf the one header that the package has.
"""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pybuf

FLAGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread")
MAGIC = 0x4353444655425950
READONLY, PROCESS, ERROR = 1, 2, 4

SOURCE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pybuf.h"

static long released;
static pthread_t released_by;

long count(void) { return __atomic_load_n(&released, __ATOMIC_SEQ_CST); }
int by_this_thread(void) { return pthread_equal(released_by, pthread_self()); }

static void noted(void)
{
    released_by = pthread_self();
    __atomic_add_fetch(&released, 1, __ATOMIC_SEQ_CST);
}

/* ---- a producer ---- */

static void give_back(pybuf_descriptor *d) { noted(); free(d); }
/* The block stays, so that one can look what has become of it. */
static void keep(pybuf_descriptor *d) { (void)d; noted(); }

/* As Go does on a thread that it sees for the first time. */
static __thread int seen;
static void unblock_first(pybuf_descriptor *d)
{
    sigset_t all;
    sigfillset(&all);
    if (!seen++)
        pthread_sigmask(SIG_UNBLOCK, &all, NULL);
    give_back(d);
}

/* As no runtime does. */
static void unblock_always(pybuf_descriptor *d)
{
    seen = 0;
    unblock_first(d);
}

extern void *PyExc_KeyError;
void PyErr_SetString(void *, const char *);
int PyRun_SimpleString(const char *);
static void set_error(pybuf_descriptor *d)
{
    PyErr_SetString(PyExc_KeyError, "set by a release");
    give_back(d);
}
static void run_python(pybuf_descriptor *d)
{
    PyRun_SimpleString("ran = True");
    give_back(d);
}

static void (*const releases[])(pybuf_descriptor *) = {
    give_back, keep, unblock_first, unblock_always, set_error, run_python, NULL};

static int64_t *dims(char **at, const int64_t *from, int32_t n)
{
    int64_t *to = (int64_t *)*at;
    if (from == NULL)
        return NULL;
    if (n > 0)
        memcpy(to, from, 8 * (size_t)n);
    *at += n > 0 ? 8 * n : 0;
    return to;
}

/* The descriptor in one block of malloc, with all that it points to but data. */
pybuf_descriptor *produce(const pybuf_descriptor *from, int release)
{
    int32_t n = from->ndim < 0 || from->ndim > 1000 ? 0 : from->ndim;
    if (from->flags & PYBUF_FLAG_ERROR)
        n = 0;
    size_t text = from->format == NULL ? 0 : strlen(from->format) + 1;
    pybuf_descriptor *d = malloc(sizeof *d + 24 * (size_t)n + text);
    char *at = (char *)(d + 1);
    *d = *from;
    d->shape = dims(&at, from->shape, n);
    d->strides = dims(&at, from->strides, n);
    d->suboffsets = dims(&at, from->suboffsets, n);
    if (from->format != NULL)
        d->format = memcpy(at, from->format, text);
    d->release = releases[release];
    if (d->flags & PYBUF_FLAG_PROCESS && d->pid == 0)
        d->pid = getpid();
    return d;
}

const char *PyCapsule_GetName(void *);
void *PyCapsule_GetPointer(void *, const char *);
void end_capsule(void *capsule)
{
    const char *name = PyCapsule_GetName(capsule);
    if (name != NULL && strcmp(name, PYBUF_CAPSULE) == 0) {
        pybuf_descriptor *d = PyCapsule_GetPointer(capsule, name);
        if (pybuf_descriptor_take(d))
            d->release(d);
    }
}

/* ---- a consumer ---- */

int take(uintptr_t d) { return pybuf_descriptor_take((pybuf_descriptor *)d); }

/* Of doubles in one axis; -1 if it was not to be had. */
double sum(uintptr_t address)
{
    pybuf_descriptor *d = (pybuf_descriptor *)address;
    double total = 0;
    if (!pybuf_descriptor_take(d))
        return -1;
    for (int64_t i = 0; i < d->shape[0]; i++)
        total += *(double *)((char *)d->data + i * d->strides[0]);
    d->release(d);
    return total;
}

void done(uintptr_t address)
{
    pybuf_descriptor *d = (pybuf_descriptor *)address;
    d->release(d);
}

static void *done_there(void *d) { done((uintptr_t)d); return NULL; }

void done_on_a_thread(uintptr_t address)
{
    pthread_t thread;
    pthread_create(&thread, NULL, done_there, (void *)address);
    pthread_join(thread, NULL);
}

static void *done_late(void *d) { usleep(300000); done((uintptr_t)d); return NULL; }

void done_later(uintptr_t address)
{
    pthread_t thread;
    pthread_create(&thread, NULL, done_late, (void *)address);
    pthread_detach(thread);
}

static uintptr_t left;
static void done_at_exit(void) { done(left); }
void done_at_the_end(uintptr_t address) { left = address; atexit(done_at_exit); }
"""

#: Numbers of the releases above.
GIVE_BACK, KEEP, UNBLOCK_FIRST, UNBLOCK_ALWAYS, SET_ERROR, RUN_PYTHON, NONE = range(7)


class Descriptor(ctypes.Structure):
    """The struct, written down once more: a test holds that C sees the same."""

    _fields_ = (
        ("magic", ctypes.c_uint64),
        ("version", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("ndim", ctypes.c_int32),
        ("pid", ctypes.c_int32),
        ("data", ctypes.c_void_p),
        ("itemsize", ctypes.c_int64),
        ("nbytes", ctypes.c_int64),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("suboffsets", ctypes.POINTER(ctypes.c_int64)),
        ("release", ctypes.c_void_p),
        ("ctx", ctypes.c_void_p),
    )


def dims(values: Sequence[int] | None) -> Any:
    if values is None:
        return None
    return (ctypes.c_int64 * max(len(values), 1))(*values)


@functools.cache
def library_file(source: str = SOURCE) -> str:
    """The library, compiled once; whoever has no compiler skips."""
    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler")
    folder = Path(tempfile.mkdtemp(prefix="descriptors"))
    (folder / "library.c").write_text(source)
    subprocess.run(
        [
            cc,
            *FLAGS,
            f"-I{pybuf.get_include()}",
            str(folder / "library.c"),
            "-o",
            str(folder / "library.so"),
        ],
        check=True,
    )
    return str(folder / "library.so")


@functools.cache
def library() -> ctypes.CDLL:
    lib = ctypes.CDLL(library_file())
    lib.produce.restype = ctypes.c_size_t
    lib.produce.argtypes = [ctypes.POINTER(Descriptor), ctypes.c_int]
    lib.count.restype = ctypes.c_long
    lib.sum.restype = ctypes.c_double
    for name in ("take", "sum", "done", "done_on_a_thread", "done_later", "done_at_the_end"):
        getattr(lib, name).argtypes = [ctypes.c_size_t]
    return lib


#: What most tests lend: eight doubles.
BLOCK = (ctypes.c_double * 8)(*range(8))


def produce(
    *,
    shape: Sequence[int] | None = (8,),
    strides: Sequence[int] | None = None,
    suboffsets: Sequence[int] | None = None,
    ndim: int | None = None,
    format: bytes | None = b"d",  # noqa: A002
    itemsize: int = 8,
    nbytes: int = 64,
    data: int | None = ctypes.addressof(BLOCK),
    flags: int = 0,
    pid: int = 0,
    version: int = 1,
    release: int = GIVE_BACK,
) -> int:
    """The address of a descriptor. The memory is not its own: that is the caller's to keep."""
    given = Descriptor(
        magic=MAGIC,
        version=version,
        flags=flags,
        ndim=len(shape or ()) if ndim is None else ndim,
        pid=pid,
        data=data,
        itemsize=itemsize,
        nbytes=nbytes,
        format=format,
        shape=dims(shape),
        strides=dims(strides),
        suboffsets=dims(suboffsets),
    )
    address: int = library().produce(given, release)
    return address


def failure(kind: int, text: bytes | None, number: int = 0, **kwargs: Any) -> int:
    return produce(
        flags=ERROR | kwargs.pop("flags", 0),
        ndim=kind,
        nbytes=number,
        format=text,
        shape=None,
        data=None,
        **kwargs,
    )


def at(address: int) -> Descriptor:
    return Descriptor.from_address(address)


_new_capsule = ctypes.PyDLL(None).PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p] * 3
_NAMES: dict[bytes, Any] = {}  # a capsule does not keep its name


def capsule(address: int, name: bytes | None = b"pybuf_descriptor") -> Any:
    """A capsule whose destructor releases a descriptor that nobody took."""
    kept = None if name is None else _NAMES.setdefault(name, ctypes.create_string_buffer(name))
    end = ctypes.cast(library().end_capsule, ctypes.c_void_p)
    return _new_capsule(address, None if kept is None else ctypes.addressof(kept), end)


def lent_now() -> int:
    """Descriptors of lend() that have not come back."""
    return pybuf.stats()["lent"]


def doubles(n: int = 5) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.arange(float(n))
