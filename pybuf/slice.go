//go:build cgo && !pyext

package pybuf

import (
	"reflect"
	"unsafe"
)

// Slice takes memory of somebody else as a slice: d is the address of a
// descriptor, such as pybuf.lend(array) gives in Python. The slice has all
// items, however many axes there are, the last index fastest; [Shape] tells the
// extents, and is to be asked before, since Slice takes the descriptor over.
//
//	prices, done, err := pybuf.Slice[float64](d)
//	if err != nil {
//		return err
//	}
//	defer done()
//
// The slice is valid until done is called, and not a moment longer: then the
// memory goes back to its owner, and reading it may end the process. done may
// be called on any goroutine and more than once; it is never nil. The capacity
// of the slice is its length, so that append moves to Go's own memory.
//
// T has to be what the items are: the same size, kind and byte order; "l" and
// "q" are both an int64. A struct has to have the fields of the items, with
// their names, types and places. For an array, such as [3]float32, the last
// axes have to be its extents.
//
// Errors: ErrType for items of another type, and for a T that no memory can be
// of (see [ElementOf]); ErrBuffer for memory that is read-only, not in one
// piece in C order, or not aligned as Go wants it; ErrValue for what is no
// descriptor or was taken before. With an error the descriptor is not taken:
// it stays its owner's, as pybuf.lend expects.
func Slice[T any](d uintptr) (s []T, done func(), err error) {
	data, n, done, err := takeSlice(factsOf(reflect.TypeFor[T]()), d, true)
	return unsafe.Slice((*T)(data), n), done, err
}

// ReadSlice is [Slice] that takes read-only memory too. Whoever calls it
// promises not to write: the memory may be a constant, a file, or the bytes of
// an object that Python believes never to change.
func ReadSlice[T any](d uintptr) (s []T, done func(), err error) {
	data, n, done, err := takeSlice(factsOf(reflect.TypeFor[T]()), d, false)
	return unsafe.Slice((*T)(data), n), done, err
}

// takeSlice takes the descriptor if it is what was asked for.
func takeSlice(f *goFacts, address uintptr, writable bool) (data unsafe.Pointer, n int, done func(), err error) {
	nothing := func() {}
	d, err := takeDescriptor(address)
	if err != nil {
		return nil, 0, nothing, err
	}
	// It is ours from here on, so that nobody frees it while it is looked at.
	if n, err = f.check(d, writable); err == nil {
		err = f.checkPlace(d, n)
	}
	if err != nil {
		d.putBack()
		return nil, 0, nothing, err
	}
	e := lent.reserve()
	e.bytes, e.descriptor, e.from = int(d.nbytes), address, callerOf(2)
	slot := lent.publish(e)
	done = func() {
		if e := lent.drop(slot); e != nil {
			e.end = d.giveBack
			lent.recycle(e)
		}
	}
	if n == 0 { // not its address, which means nothing
		return unsafe.Pointer(&noItems), 0, done, nil
	}
	return pointerTo(d.data), n, done, nil
}

// noItems is where slices of no items begin.
var noItems complex128

// Release gives back a descriptor that nobody took, such as one that [Slice]
// refused or that stands for an error: whoever made it ends what it holds.
//
// Errors: ErrValue for what is no descriptor or was taken before.
func Release(d uintptr) error {
	taken, err := takeDescriptor(d)
	if err == nil {
		taken.giveBack()
	}
	return err
}

// Shape tells the extents of a descriptor's memory, without taking it: () for
// one item alone.
//
// Errors: ErrValue for what is no descriptor or was taken before, and what
// somebody else's error is.
func Shape(d uintptr) ([]int, error) {
	taken, err := takeDescriptor(d)
	if err != nil {
		return nil, err
	}
	defer taken.putBack()
	l, err := taken.layout()
	if err != nil {
		return nil, err
	}
	return l.Shape, nil
}
