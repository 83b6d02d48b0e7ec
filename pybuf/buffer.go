//go:build cgo && !pyext

package pybuf

import (
	"slices"
	"strconv"
	"sync/atomic"
	"unsafe"
)

// A Buffer is memory with its layout, ready to be handed to Python or to any
// other library by [Buffer.Export]. [Of], [Rows], [Image], [Planes], [Foreign]
// and [OfAny] make Buffers, and none of them copies an item.
//
// A Buffer carries its error: what was wrong with the arguments, [Buffer.Err]
// tells, and Export hands it to whoever wanted the memory. So an export is one
// line, and is right:
//
//	//export Prices
//	func Prices() C.uintptr_t { return C.uintptr_t(pybuf.Of(prices).Export()) }
//
// A Buffer does not change; any goroutine may use it at any time. It keeps its
// memory reachable, as a slice does, and no more: what is not exported costs
// nothing but the Buffer.
type Buffer struct {
	err error // then the rest says nothing, but foreign

	data   unsafe.Pointer   // the item whose indices are all 0, or the table of rows
	held   []unsafe.Pointer // more that has to be pinned: each row, and the tables between
	facts  Facts
	format string
	size   int // bytes of an item
	shape  []int
	sub    []int // suboffsets, nil if there are none

	readOnly bool
	foreign  *foreign // nil: memory of Go's
	then     func()   // nil: nobody wants to know
}

// foreign is memory of C's, which can be given away once.
type foreign struct {
	free func() // nil: its owner keeps it
	gone atomic.Bool
}

// Fail is a Buffer that carries an error. What Python gets of it is an
// exception with the error's text; its type is that of the [Kind] if err has
// one, OSError if err wraps a syscall.Errno, RuntimeError otherwise.
//
//	prices, err := load(path)
//	if err != nil {
//		return pybuf.Fail(err).Export()
//	}
//
// A nil error is a fault in itself: the Buffer says so.
func Fail(err error) *Buffer {
	if err == nil {
		err = fail(ErrRuntime, "Fail was called with no error (nil)")
	}
	return &Buffer{err: err}
}

// Err is why there is no memory, nil if there is.
func (b *Buffer) Err() error {
	if b == nil {
		return fail(ErrValue, "there is no Buffer (a nil *Buffer)")
	}
	return b.err
}

// ReadOnly is the same memory, which whoever it is exported to may not change.
// Go may; b itself stays as it is.
func (b *Buffer) ReadOnly() *Buffer {
	if b.Err() != nil {
		return b
	}
	r := *b
	r.readOnly = true
	return &r
}

// Then is the same memory, with a function that is called once for each export
// of it: when that has come back, on any thread, or before Export returns if it
// fails. It must not wait for what Python has, such as its GIL.
func (b *Buffer) Then(f func()) *Buffer {
	if b.Err() != nil {
		return b
	}
	r := *b
	r.then = f
	return &r
}

// Shape is the items along each axis, the caller's to keep; nil with an error.
func (b *Buffer) Shape() []int {
	if b.Err() != nil {
		return nil
	}
	return slices.Clone(b.shape)
}

// String tells people what the memory is.
func (b *Buffer) String() string {
	if err := b.Err(); err != nil {
		return "pybuf.Buffer with an error: " + err.Error()
	}
	access := ""
	if b.readOnly {
		access = ", read-only"
	}
	return "pybuf.Buffer of shape " + tuple(b.shape) + " and format " + quote(b.format) + access
}

// Layout is what the memory is described as; the zero Layout with an error.
func (b *Buffer) Layout() Layout {
	if b.Err() != nil {
		return Layout{}
	}
	return Layout{
		Format:     b.format,
		ItemSize:   b.size,
		Shape:      slices.Clone(b.shape),
		Strides:    slices.Clone(b.facts.Strides),
		Suboffsets: slices.Clone(b.sub),
	}
}

// lay makes a Buffer of items of base at data. extents are those of sub-arrays:
// they become the last axes, whose items lie packed. strides may be nil.
func lay(data unsafe.Pointer, base *Element, extents, shape, strides, sub []int) *Buffer {
	if len(extents) > 0 {
		inner, err := Layout{ItemSize: base.ItemSize, Shape: extents}.Judge()
		if err != nil {
			return Fail(err)
		}
		shape = append(slices.Clip(shape), extents...)
		if strides != nil {
			strides = append(slices.Clip(strides), inner.Strides...)
		}
		if sub != nil {
			sub = append(slices.Clip(sub), slices.Repeat([]int{-1}, len(extents))...)
		}
	}
	b := &Buffer{data: data, format: base.Format, size: base.ItemSize, shape: shape}
	l := Layout{ItemSize: b.size, Shape: shape, Strides: strides, Suboffsets: sub}
	if b.facts, b.err = l.Judge(); b.facts.Indirect {
		b.sub = sub
	}
	return b
}

// items makes a Buffer of n packed items of Go's memory; without a shape they
// lie along one axis.
func (f *goFacts) items(data unsafe.Pointer, n int, shape []int) *Buffer {
	if f.err != nil {
		return Fail(f.err)
	}
	if len(shape) == 0 {
		return lay(data, &f.base, f.extents, []int{n}, nil, nil)
	}
	b := lay(data, &f.base, f.extents, slices.Clone(shape), nil, nil)
	if b.err == nil && b.facts.NBytes != n*f.size {
		return Fail(fail(ErrValue, "shape ", tuple(shape), " is of ", strconv.Itoa(b.facts.NBytes/f.size),
			" items, and the slice has ", strconv.Itoa(n), "; give extents whose product is its length"))
	}
	return b
}
