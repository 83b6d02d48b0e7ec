package gopybuf

/*
#cgo CFLAGS: -Wall -Wextra
#include "gopybuf.h"

extern int64_t gopybuf_loans;
const pybuf_gopy_functions *gopybuf_functions(void);
*/
import "C"

import (
	"errors"
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

// pybuf_gopy_api is the one symbol that is looked up. Its call waits until the
// Go runtime is up.
//
//export pybuf_gopy_api
func pybuf_gopy_api() unsafe.Pointer { return unsafe.Pointer(C.gopybuf_functions()) }

// loanCount is where C reads how many loans there are, without a call into Go.
func loanCount() *int64 { return (*int64)(unsafe.Pointer(&C.gopybuf_loans)) }

// answer is the frame of every export: an error becomes a descriptor of it, and
// so does a panic, which must not cross into C. err is nil for exports that give
// no error.
func answer(err *C.uint64_t, call func() (int64, error)) (result C.int64_t) {
	defer func() {
		if p := recover(); p != nil {
			result = fail(err, panicked(p))
		}
	}()
	n, e := call()
	if e != nil {
		return fail(err, e)
	}
	return C.int64_t(n)
}

func fail(out *C.uint64_t, err error) C.int64_t {
	if out != nil {
		*out = C.uint64_t(pybuf.Fail(err).Export())
	}
	return -1
}

func panicked(p any) error { return errors.New("bug in gopybuf: " + pybuf.PanicText(p)) }

func truth(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

//export gopybuf_view
func gopybuf_view(handle C.int64_t) (descriptor C.uint64_t) {
	defer func() {
		if p := recover(); p != nil {
			descriptor = C.uint64_t(pybuf.Fail(panicked(p)).Export())
		}
	}()
	return C.uint64_t(view(int64(handle)).Export())
}

//export gopybuf_lend
func gopybuf_lend(handle C.int64_t, descriptor C.uint64_t, err *C.uint64_t) C.int64_t {
	return answer(err, func() (int64, error) { return lend(int64(handle), uintptr(descriptor)) })
}

//export gopybuf_fill
func gopybuf_fill(handle C.int64_t, descriptor C.uint64_t, err *C.uint64_t) C.int64_t {
	return answer(err, func() (int64, error) { return 0, fill(int64(handle), uintptr(descriptor)) })
}

//export gopybuf_hold
func gopybuf_hold(handle C.int64_t) C.int64_t {
	return answer(nil, func() (int64, error) { return hold(int64(handle)), nil })
}

//export gopybuf_bind
func gopybuf_bind(handle C.int64_t, taken *C.int64_t, n C.int64_t) C.int64_t {
	return answer(nil, func() (int64, error) {
		bind(int64(handle), unsafe.Slice((*int64)(unsafe.Pointer(taken)), int(n)))
		return 0, nil
	})
}

//export gopybuf_drop
func gopybuf_drop(loan C.int64_t) C.int64_t {
	return answer(nil, func() (int64, error) { loans.drop(int64(loan)); return 0, nil })
}

//export gopybuf_clear
func gopybuf_clear(handle C.int64_t, err *C.uint64_t) C.int64_t {
	return answer(err, func() (int64, error) { return 0, setNil(int64(handle)) })
}

//export gopybuf_fits
func gopybuf_fits(handle, wanted C.int64_t) C.int64_t {
	return answer(nil, func() (int64, error) { return truth(fits(int64(handle), int64(wanted))), nil })
}

//export gopybuf_is_opaque
func gopybuf_is_opaque(handle C.int64_t) C.int64_t {
	return answer(nil, func() (int64, error) { return truth(isOpaque(int64(handle))), nil })
}

//export gopybuf_type_name
func gopybuf_type_name(handle C.int64_t, text *C.char, room C.int64_t) C.int64_t {
	return answer(nil, func() (int64, error) {
		return int64(copy(unsafe.Slice((*byte)(unsafe.Pointer(text)), int(room)), typeName(int64(handle)))), nil
	})
}

//export gopybuf_live
func gopybuf_live(collect C.int32_t) C.int64_t {
	return answer(nil, func() (int64, error) { return int64(live(collect != 0)), nil })
}
