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

// And so the manners of reading.
var (
	_ = [1]struct{}{}[C.PYBUF_FORMAT-pybuf.AsFormat]
	_ = [1]struct{}{}[C.PYBUF_TYPESTR-pybuf.AsTypestr]
	_ = [1]struct{}{}[C.PYBUF_DTYPE-pybuf.AsElement]
	_ = [1]struct{}{}[C.PYBUF_CTYPE-pybuf.AsCType]
	_ = [1]struct{}{}[C.PYBUF_DESCR-pybuf.AsDescr]
)

//export pybuf_go_element
func pybuf_go_element(spelling *C.char, length C.int64_t, how C.int32_t, itemSize C.int64_t, out *C.pybuf_element, err *C.pybuf_text) C.int32_t {
	return answer(err, func() error {
		s, fail := getText(spelling, length)
		if fail != nil {
			return fail
		}
		var e pybuf.Element
		if how == C.PYBUF_FORMAT && itemSize != 0 {
			e, fail = pybuf.ParseExported(s, int(itemSize))
		} else {
			e, fail = pybuf.Reading(how).Parse(s)
		}
		if fail == nil {
			putElement(out, e)
		}
		return fail
	})
}

//export pybuf_go_plain
func pybuf_go_plain(how C.int32_t, i C.int64_t, spelling *C.pybuf_text, out *C.pybuf_element) C.int32_t {
	return answer(nil, func() error {
		s, e, ok := pybuf.Reading(how).Plain(int(i))
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

func putElement(out *C.pybuf_element, e pybuf.Element) {
	var extents []int
	out.structured = 0
	if e.Compound() {
		extents, e = e.SubArray()
		if e.Fields() != nil {
			out.structured = 1
		}
	}
	out.ndim = C.int64_t(copy(ints(out.extents, pybuf.MaxNDim), extents))
	out.itemsize = C.int64_t(e.ItemSize)
	out.align = C.int64_t(e.Align)
	out.dl_code = C.int64_t(e.DLPackCode)
	out.dl_bits = C.int64_t(e.DLPackBits)
	putText(&out.format, e.Format)
	putText(&out.typestr, e.Typestr)
	putText(&out.arrow, e.Arrow)
}
