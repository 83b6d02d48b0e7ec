package main

/*
#include "pybuf_abi.h"
*/
import "C"

import (
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

// The header and the library count dimensions alike, or this does not compile.
var _ = [1]struct{}{}[C.PYBUF_MAX_NDIM-pybuf.MaxNDim]

//export pybuf_go_layout
func pybuf_go_layout(layout *C.pybuf_layout, err *C.pybuf_text) C.int32_t {
	return answer(err, func() error {
		asked, fail := getLayout(layout)
		if fail != nil {
			return fail
		}
		facts, fail := asked.Judge()
		if fail == nil {
			putFacts(layout, facts)
		}
		return fail
	})
}

// getLayout reads what is asked. The slices are the caller's memory.
func getLayout(l *C.pybuf_layout) (pybuf.Layout, error) {
	ndim := int(l.ndim)
	if err := pybuf.CheckNDim(ndim); err != nil {
		return pybuf.Layout{}, err
	}
	asked := pybuf.Layout{
		ItemSize:   int(l.itemsize),
		Shape:      ints(l.shape, ndim),
		Strides:    ints(l.strides, ndim),
		Suboffsets: ints(l.suboffsets, ndim),
	}
	if len(asked.Shape) != ndim || ndim > 0 && l.out_strides == nil {
		return pybuf.Layout{}, &pybuf.Error{Kind: pybuf.ErrValue, Text: "shape or out_strides is NULL"}
	}
	var err error
	if l.strides == nil {
		asked.Order, err = pybuf.ParseOrder(int(l.order))
	}
	return asked, err
}

func putFacts(out *C.pybuf_layout, f pybuf.Facts) {
	copy(ints(out.out_strides, len(f.Strides)), f.Strides)
	out.nbytes = C.int64_t(f.NBytes)
	out.low, out.high = C.int64_t(f.Low), C.int64_t(f.High)
	out.flags = 0
	if f.RowMajor {
		out.flags |= C.PYBUF_C_CONTIGUOUS
	}
	if f.ColumnMajor {
		out.flags |= C.PYBUF_F_CONTIGUOUS
	}
	out.indirect = 0
	if f.Indirect {
		out.indirect = 1
	}
}

// ints is n numbers of C as a slice of the same memory; nil for NULL. An int
// has 64 bits wherever pybuf compiles.
func ints(p *C.int64_t, n int) []int {
	if p == nil {
		return nil
	}
	return unsafe.Slice((*int)(unsafe.Pointer(p)), n)
}
