//go:build cgo && !pyext

package pybuf

import (
	"reflect"
	"unsafe"
)

// Of lends the items of a slice: numbers, bools, complex numbers, named types
// of these, arrays and structs of them, as [ElementOf] reads them. The shape
// is the items along each axis, the last one moves fastest; without one the
// Buffer has one axis.
//
//	pybuf.Of(prices)                   // []float64: shape (len(prices),)
//	pybuf.Of(pixels, height, width, 4) // []uint8
//	pybuf.Of(points)                   // [][3]float32: shape (len(points), 3)
//	pybuf.Of(trades)                   // []Trade, a structure with its fields
//
// The items stay where they are, and Go may use them as before: both sides
// see what the other one writes, and agree between themselves who writes when.
// Appending to the slice may move it to other memory, as ever; what was
// exported stays at the old one. nil is a slice of no items.
//
// Go keeps its own memory, which is what make, new and variables give. A slice of
// other memory (of syscall.Mmap, of C, of [Slice]) nobody would keep: use
// [Foreign], with a function that ends it.
//
// Errors, which the Buffer carries: those of ElementOf; ErrValue if the product
// of the shape is not the length of the slice; ErrOverflow.
func Of[T any](items []T, shape ...int) *Buffer {
	return factsOf(reflect.TypeFor[T]()).items(unsafe.Pointer(unsafe.SliceData(items)), len(items), shape)
}
