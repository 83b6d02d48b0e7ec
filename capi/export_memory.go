package main

/*
#include "pybuf_abi.h"
*/
import "C"

import (
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

//export pybuf_go_alloc
func pybuf_go_alloc(nbytes, align C.int64_t, out *C.pybuf_block, err *C.pybuf_text) C.int32_t {
	return answer(err, func() error {
		out.slot = 0 // before there is anything to lose
		data, slot, fail := pybuf.NewBlock(int(nbytes), int(align))
		if fail == nil {
			// Not as a pointer: of one that it overwrites the collector wants to
			// know what it points to, and here that is whatever C left there.
			*(*uintptr)(unsafe.Pointer(&out.data)) = uintptr(data)
			out.slot = C.int64_t(slot)
		}
		return fail
	})
}

//export pybuf_go_free
func pybuf_go_free(slot C.int64_t, err *C.pybuf_text) C.int32_t {
	return answer(err, func() error { return pybuf.Slot(slot).Release() })
}
