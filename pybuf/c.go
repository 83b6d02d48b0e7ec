//go:build cgo && !pyext

package pybuf

// c.go is all that this package asks of C: memory that may be refused, and the
// function that consumers call, on threads that Go never saw.
//
// Nothing that lends is in the extension module (build tag pyext): it has ways of
// its own, and each import of it would start packages such as image.

/*
#cgo CFLAGS: -Wall -Wextra
#cgo noescape pybuf_lib_calloc
#cgo nocallback pybuf_lib_calloc
#cgo nocallback pybuf_lib_home
#cgo nocallback pybuf_lib_is_low

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

// The end of an export, in Go (released.go). Returns: whether d is to be freed.
extern int32_t pybuf_lib_released(uintptr_t d)
	__attribute__((visibility("hidden")));

// The process in which this runtime lives. It is dead in a child of fork():
// whoever enters it there waits for ever.
static pid_t home;

__attribute__((constructor)) static void
pybuf_lib_start(void)
{
	home = getpid();
}

static int32_t
pybuf_lib_home(void)
{
	return (int32_t)home;
}

// Whether C's own memory may lie below 4 GiB, as in programs that are linked to
// a fixed place.
static int32_t
pybuf_lib_is_low(void)
{
	return (uint64_t)(uintptr_t)sbrk(0) >> 32 == 0;
}

// pybuf_descriptor.release of all that Go exports.
static void
pybuf_lib_release(void *d)
{
	if (getpid() == home && pybuf_lib_released((uintptr_t)d)) {
		free(d);
	}
}

static uintptr_t
pybuf_lib_release_address(void)
{
	return (uintptr_t)pybuf_lib_release;
}

// Not C.calloc, which ends the process where there is no memory.
static uintptr_t
pybuf_lib_calloc(size_t n)
{
	return (uintptr_t)calloc(1, n);
}

// Gives a descriptor back to whoever made it. pid: of the only process where
// that may be done, or 0.
static void
pybuf_lib_give_back(uintptr_t d, uintptr_t release, int32_t pid)
{
	if (pid == 0 || pid == (int32_t)getpid()) {
		((void (*)(void *))release)((void *)d);
	}
}
*/
import "C"

import (
	"sync"
	"unsafe"
)

// fromC is what C's side of this library says of itself.
var fromC = sync.OnceValue(func() (facts struct {
	home    int32
	isLow   bool
	release uintptr
}) {
	facts.home = int32(C.pybuf_lib_home())
	facts.isLow = C.pybuf_lib_is_low() != 0
	facts.release = uintptr(C.pybuf_lib_release_address())
	return facts
})

// newDescriptor is zeroed memory of C's for a descriptor; nil if there is none.
func newDescriptor(size uintptr) *descriptor {
	return (*descriptor)(pointerTo(uintptr(C.pybuf_lib_calloc(C.size_t(size)))))
}

// giveBack calls the descriptor's release.
func (d *descriptor) giveBack() {
	pid := int32(0)
	if d.flags&flagProcess != 0 {
		pid = d.pid
	}
	C.pybuf_lib_give_back(C.uintptr_t(uintptr(unsafe.Pointer(d))), C.uintptr_t(d.release), C.int32_t(pid))
}
