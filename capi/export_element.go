package main

/*
#include "pybuf_abi.h"
*/
import "C"

import (
	"strconv"
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

// The header and the library write "no DLPack code" alike, or this does not
// compile.
var _ = [1]struct{}{}[C.PYBUF_DL_NONE-pybuf.DLPackNone]

//export pybuf_go_element
func pybuf_go_element(spelling *C.char, length C.int64_t, how C.int32_t, out *C.pybuf_element, err *C.pybuf_text) C.int32_t {
	return answer(err, func() error {
		s, fail := getText(spelling, length)
		if fail != nil {
			return fail
		}
		e, fail := readElement(s, how)
		if fail == nil {
			putElement(out, e)
		}
		return fail
	})
}

//export pybuf_go_plain
func pybuf_go_plain(i C.int64_t, spelling *C.pybuf_text, out *C.pybuf_element) C.int32_t {
	return answer(nil, func() error {
		s, e, ok := pybuf.Plain(int(i))
		if !ok {
			return pybuf.ErrUnknown
		}
		putText(spelling, s)
		putElement(out, e)
		return nil
	})
}

// getText is n bytes of C as a string of the same memory: nothing of it may
// outlive the call.
func getText(p *C.char, n C.int64_t) (string, error) {
	if n < 0 || n > 0 && p == nil {
		return "", &pybuf.Error{Kind: pybuf.ErrValue, Text: "a spelling of " +
			strconv.FormatInt(int64(n), 10) + " bytes at NULL, or of fewer than 0"}
	}
	return unsafe.String((*byte)(unsafe.Pointer(p)), int(n)), nil
}

// readElement reads a spelling in the manner of the header.
func readElement(s string, how C.int32_t) (pybuf.Element, error) {
	switch how {
	case C.PYBUF_FORMAT:
		return pybuf.ParseFormat(s)
	case C.PYBUF_TYPESTR:
		return pybuf.ParseTypestr(s)
	case C.PYBUF_DTYPE:
		return pybuf.ParseElement(s)
	case C.PYBUF_CTYPE:
		return pybuf.ParseCType(s)
	}
	return pybuf.Element{}, &pybuf.Error{Kind: pybuf.ErrValue, Text: "there is no manner " +
		strconv.Itoa(int(how)) + " of reading an element type"}
}

func putElement(out *C.pybuf_element, e pybuf.Element) {
	out.itemsize = C.int64_t(e.ItemSize)
	out.align = C.int64_t(e.Align)
	out.dl_code = C.int64_t(e.DLPackCode)
	out.dl_bits = C.int64_t(e.DLPackBits)
	putText(&out.format, e.Format)
	putText(&out.typestr, e.Typestr)
	putText(&out.arrow, e.Arrow)
}
