//go:build cgo && !pyext

package pybuf

// A file with an export may have declarations in its preamble and nothing more:
// what calls this is in c.go.

/*
#include <stdint.h>

extern int32_t pybuf_lib_released(uintptr_t d)
	__attribute__((visibility("hidden")));
*/
import "C"

// pybuf_lib_released is the end of an export. It takes no lock but that of the
// table, for Python's GIL may be held.
//
//export pybuf_lib_released
func pybuf_lib_released(address C.uintptr_t) C.int32_t {
	d := (*descriptor)(pointerTo(uintptr(address)))
	e := pins.drop(Slot(d.ctx))
	if e == nil {
		reportDoubleRelease(d)
		return 0
	}
	free := C.int32_t(1)
	if keepReleased(d, e.from) {
		free = 0
	}
	pins.recycle(e)
	return free
}
