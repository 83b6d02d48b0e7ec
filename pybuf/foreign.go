//go:build cgo && !pyext

package pybuf

import (
	"slices"
	"unsafe"
)

// Foreign lends memory that is not Go's: of malloc, of a mapped file, of a C
// library. ptr is where the item lies whose indices are all 0 (with negative
// strides the items reach below it); it may be nil if there are no items. The
// layout needs a Format, and is trusted to lie in the memory.
//
// Until Export the memory is the caller's. Export hands it over, and from then
// on free is called exactly once, on any thread: when the memory comes back,
// or before Export returns if it has nothing to hand over but an error. It must
// not wait for what Python has, such as its GIL. A Buffer that is never
// exported never calls free. Such memory is exported once; a second Export is
// an error.
//
// Without free (nil) the memory has to outlive all that is made of it, and may
// be exported again.
//
// Errors, which the Buffer carries: those of [ParseFormat] and [Layout.Judge];
// ErrValue for a nil ptr with items.
func Foreign(ptr unsafe.Pointer, l Layout, free func()) *Buffer {
	b := foreignItems(ptr, l)
	b.foreign = &foreign{free: free}
	return b
}

func foreignItems(ptr unsafe.Pointer, l Layout) *Buffer {
	if l.Format == "" {
		return Fail(fail(ErrValue, "the layout of foreign memory has no Format; say what the items are, \"B\" for bytes"))
	}
	e, err := ParseFormat(l.Format)
	if err != nil {
		return Fail(err)
	}
	facts, err := l.Judge()
	if err != nil {
		return Fail(err)
	}
	if ptr == nil && facts.NBytes > 0 {
		return Fail(fail(ErrValue, "shape ", tuple(l.Shape), " has items, and their memory is at nil"))
	}
	extents, base := e.SubArray()
	return lay(ptr, &base, extents, slices.Clone(l.Shape), facts.Strides, slices.Clone(l.Suboffsets))
}
