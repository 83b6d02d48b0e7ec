// Package consumer is C as it meets descriptors: it reads, takes, releases and
// makes them by the header capi/pybuf.h and nothing else. The tests hold package
// pybuf against it. (Tests themselves cannot use cgo.)
package consumer

/*
#cgo CFLAGS: -I${SRCDIR}/../../capi -D_GNU_SOURCE -Wall -Wextra -pthread
#cgo LDFLAGS: -pthread

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pybuf.h"

static pybuf_descriptor *
at(uintptr_t d)
{
	return (pybuf_descriptor *)d;
}

static uintptr_t
swap_release(uintptr_t d, uintptr_t release)
{
	uintptr_t before = (uintptr_t)at(d)->release;
	at(d)->release = (void (*)(pybuf_descriptor *))release;
	return before;
}

static int
take(uintptr_t d)
{
	return pybuf_descriptor_take(at(d));
}

static void
release(uintptr_t d)
{
	at(d)->release(at(d));
}

static void *
release_in_thread(void *d)
{
	release((uintptr_t)d);
	return NULL;
}

static int
release_on_a_thread(uintptr_t d)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, release_in_thread, (void *)d) != 0) {
		return -1;
	}
	return pthread_join(thread, NULL);
}

// Releases in a forked child. Returns its status, or -1 if it hung.
static int
release_in_a_child(uintptr_t d)
{
	pid_t child = fork();
	if (child == 0) {
		alarm(10); // a child that waits for Go's dead runtime ends by a signal
		release(d);
		_exit(0);
	}
	int status = -1;
	if (child < 0 || waitpid(child, &status, 0) != child) {
		return -1;
	}
	return status;
}

static _Atomic int64_t given_back;

static void
count_release(pybuf_descriptor *d)
{
	given_back++;
	free(d);
}

static int64_t
count(void)
{
	return given_back;
}

// A block of C's for a descriptor with lists of ndim numbers and a format.
static uintptr_t
make(pybuf_descriptor filled, int64_t *numbers, int lists, char *format)
{
	size_t n = (size_t)(filled.ndim > 0 ? filled.ndim : 0) * sizeof(int64_t);
	size_t text = strlen(format) + 1;
	char *block = calloc(1, sizeof(filled) + (size_t)3 * n + text);
	char *lists_at = block + sizeof(filled), *format_at = lists_at + 3 * n;
	if (n > 0) {
		memcpy(lists_at, numbers, 3 * n);
	}
	memcpy(format_at, format, text);
	filled.shape = lists & 1 ? (int64_t *)lists_at : NULL;
	filled.strides = lists & 2 ? (int64_t *)(lists_at + n) : NULL;
	filled.suboffsets = lists & 4 ? (int64_t *)(lists_at + 2 * n) : NULL;
	filled.format = format_at;
	filled.release = count_release;
	memcpy(block, &filled, sizeof(filled));
	return (uintptr_t)block;
}

static void
look(void *p)
{
	(void)p;
}

static pybuf_descriptor
fields(uintptr_t d)
{
	return *at(d);
}

static const int64_t *shape_of(uintptr_t d) { return at(d)->shape; }
static const int64_t *strides_of(uintptr_t d) { return at(d)->strides; }
static const int64_t *suboffsets_of(uintptr_t d) { return at(d)->suboffsets; }
static const char *format_of(uintptr_t d) { return at(d)->format; }
static uintptr_t data_of(uintptr_t d) { return (uintptr_t)at(d)->data; }
static void put_data(pybuf_descriptor *d, uintptr_t data) { d->data = (void *)data; }
*/
import "C"

import "unsafe"

// What the header calls them.
const (
	Magic    = C.PYBUF_DESCRIPTOR_MAGIC
	Version  = C.PYBUF_DESCRIPTOR_VERSION
	ReadOnly = C.PYBUF_FLAG_READONLY
	Process  = C.PYBUF_FLAG_PROCESS
	Error    = C.PYBUF_FLAG_ERROR

	EValue    = C.PYBUF_EVALUE
	EType     = C.PYBUF_ETYPE
	EOverflow = C.PYBUF_EOVERFLOW
	EMemory   = C.PYBUF_EMEMORY
	EBuffer   = C.PYBUF_EBUFFER
	ERuntime  = C.PYBUF_ERUNTIME
	ESystem   = C.PYBUF_ESYSTEM
)

// A Descriptor is the C struct, copied. Lists are nil for NULL.
type Descriptor struct {
	Magic                      uint64
	Version, Flags             uint32
	NDim, PID                  int32
	Data                       uintptr
	ItemSize, NBytes           int64
	Format                     string
	Shape, Strides, Suboffsets []int64
	HasRelease                 bool
}

// Peek copies what a descriptor says without its lists and texts.
func Peek(d uintptr) Descriptor {
	c := C.fields(C.uintptr_t(d))
	return Descriptor{Magic: uint64(c.magic), Flags: uint32(c.flags), Data: uintptr(C.data_of(C.uintptr_t(d)))}
}

// Read copies a descriptor.
func Read(d uintptr) Descriptor {
	at := C.uintptr_t(d)
	c := C.fields(at)
	return Descriptor{
		Magic: uint64(c.magic), Version: uint32(c.version), Flags: uint32(c.flags),
		NDim: int32(c.ndim), PID: int32(c.pid),
		Data: uintptr(C.data_of(at)), ItemSize: int64(c.itemsize), NBytes: int64(c.nbytes),
		Format:     C.GoString(C.format_of(at)),
		Shape:      numbers(C.shape_of(at), c.ndim),
		Strides:    numbers(C.strides_of(at), c.ndim),
		Suboffsets: numbers(C.suboffsets_of(at), c.ndim),
		HasRelease: c.release != nil,
	}
}

func numbers(p *C.int64_t, n C.int32_t) []int64 {
	if p == nil {
		return nil
	}
	return append([]int64{}, unsafe.Slice((*int64)(p), n)...)
}

// Make makes a descriptor in C's memory, whose releases are counted.
func Make(d Descriptor) uintptr {
	var c C.pybuf_descriptor
	c.magic, c.version, c.flags = C.uint64_t(d.Magic), C.uint32_t(d.Version), C.uint32_t(d.Flags)
	c.ndim, c.pid = C.int32_t(d.NDim), C.int32_t(d.PID)
	c.itemsize, c.nbytes = C.int64_t(d.ItemSize), C.int64_t(d.NBytes)
	C.put_data(&c, C.uintptr_t(d.Data))
	lists := 0
	all := make([]int64, 3*max(d.NDim, 0)+1)
	for i, list := range [][]int64{d.Shape, d.Strides, d.Suboffsets} {
		if list != nil {
			lists |= 1 << i
			copy(all[i*int(d.NDim):], list)
		}
	}
	format := C.CString(d.Format)
	defer C.free(unsafe.Pointer(format))
	return uintptr(C.make(c, (*C.int64_t)(&all[0]), C.int(lists), format))
}

// GivenBack counts releases of what Make made.
func GivenBack() int { return int(C.count()) }

// SwapRelease changes the release of a descriptor; it returns what it was.
func SwapRelease(d, release uintptr) uintptr {
	return uintptr(C.swap_release(C.uintptr_t(d), C.uintptr_t(release)))
}

// Take takes a descriptor over.
func Take(d uintptr) bool { return C.take(C.uintptr_t(d)) == 1 }

// Release calls the descriptor's release.
func Release(d uintptr) { C.release(C.uintptr_t(d)) }

// ReleaseOnAThread calls it on a thread that Go never saw.
func ReleaseOnAThread(d uintptr) bool { return C.release_on_a_thread(C.uintptr_t(d)) == 0 }

// ReleaseInAChild calls it in a forked child: 0 if that ended as it should.
func ReleaseInAChild(d uintptr) int { return int(C.release_in_a_child(C.uintptr_t(d))) }

// Look hands a pointer to C: cgo panics if in what it points to there is a
// pointer to Go's memory that is not pinned.
func Look(p unsafe.Pointer) { C.look(p) }

// Alloc is memory of C's, filled with zeros; Free ends it.
func Alloc(n int) unsafe.Pointer { return C.calloc(1, C.size_t(n)) }

// Free frees what Alloc gave.
func Free(p unsafe.Pointer) { C.free(p) }
