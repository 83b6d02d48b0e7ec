package main

/*
#include "pybuf_abi.h"
*/
import "C"

import (
	"runtime"
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

//export pybuf_go_abi
func pybuf_go_abi(out *C.int64_t) C.int32_t {
	return answer(nil, func() error {
		copy(unsafe.Slice(out, 5), []C.int64_t{
			C.PYBUF_ABI, C.sizeof_pybuf_element, C.sizeof_pybuf_layout,
			C.sizeof_pybuf_runtime, C.sizeof_pybuf_block,
		})
		return nil
	})
}

//export pybuf_go_version
func pybuf_go_version(out *C.pybuf_text) C.int32_t {
	return answer(nil, func() error {
		putText(out, pybuf.Version)
		return nil
	})
}

//export pybuf_go_runtime
func pybuf_go_runtime(collect C.int32_t, out *C.pybuf_runtime) C.int32_t {
	return answer(nil, func() error {
		if collect != 0 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		out.goroutines = C.int64_t(runtime.NumGoroutine())
		out.heap_objects = C.int64_t(m.HeapObjects)
		out.heap_bytes = C.int64_t(m.HeapAlloc)
		out.collections = C.int64_t(m.NumGC)
		slots, bytes := pybuf.Held()
		out.blocks, out.block_bytes = C.int64_t(slots), C.int64_t(bytes)
		putText(&out._go, runtime.Version())
		return nil
	})
}
