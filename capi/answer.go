package main

/*
#cgo CFLAGS: -I${SRCDIR}
#include "pybuf_abi.h"
*/
import "C"

import (
	"errors"
	"unicode/utf8"
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

// answer is the frame of every export: it runs the call and encodes its error.
// A panic must not cross into C, where it would end the process. err is nil
// for exports that give no sentence.
func answer(err *C.pybuf_text, call func() error) (kind C.int32_t) {
	defer func() {
		if p := recover(); p != nil {
			kind = C.PYBUF_EPANIC
			putText(err, "bug in the Go half of pybuf: "+pybuf.PanicText(p))
		}
	}()
	e := call()
	if e == nil {
		return C.PYBUF_OK
	}
	putText(err, e.Error())
	return kindOf(e)
}

// kindOf is the table of the kinds of errors: pybuf's, and the header's.
func kindOf(err error) C.int32_t {
	var kind pybuf.Kind
	if errors.As(err, &kind) {
		switch kind {
		case pybuf.ErrValue:
			return C.PYBUF_EVALUE
		case pybuf.ErrType:
			return C.PYBUF_ETYPE
		case pybuf.ErrOverflow:
			return C.PYBUF_EOVERFLOW
		case pybuf.ErrMemory:
			return C.PYBUF_EMEMORY
		case pybuf.ErrUnknown:
			return C.PYBUF_EUNKNOWN
		case pybuf.ErrBuffer:
			return C.PYBUF_EBUFFER
		case pybuf.ErrRuntime:
			return C.PYBUF_ERUNTIME
		}
	}
	return C.PYBUF_EPANIC
}

// putText writes s and a NUL into the caller's memory, cut to what is there
// and not inside of a character, and says how long s is. nil takes nothing.
func putText(out *C.pybuf_text, s string) {
	if out == nil {
		return
	}
	out.len = C.int64_t(len(s))
	if out.data == nil || out.cap <= 0 {
		return
	}
	room := unsafe.Slice((*byte)(unsafe.Pointer(out.data)), int(out.cap))
	n := min(len(s), len(room)-1)
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	copy(room, s[:n])
	room[n] = 0
}
