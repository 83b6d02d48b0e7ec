//go:build cgo && !pyext

package pybuf

import (
	"math/bits"
	"reflect"
	"strconv"
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

// Matrix makes rows of cols items each, all 0, in one piece of memory: [Rows]
// lends it as a plain matrix without gaps. A row cannot grow into the next one:
// its capacity is cols.
//
// Sizes that cannot be (negative ones, and more bytes than any machine has) give
// a matrix of no rows that Rows answers with an error, so that Rows(Matrix(n, m))
// needs no check; len tells it from others if n is not 0. A size that this
// machine does not have ends the process, as everywhere in Go.
func Matrix[T any](rows, cols int) [][]T {
	var item T
	if rows < 0 || cols < 0 || !fits(rows, int(unsafe.Sizeof(rowHeader{}))) {
		return refusedRows[T]()
	}
	if high, n := bits.Mul(uint(rows), uint(cols)); high != 0 || n > blockMax || !fits(int(n), int(unsafe.Sizeof(item))) {
		return refusedRows[T]()
	}
	all := make([]T, rows*cols)
	m := make([][]T, rows)
	for i := range m {
		m[i] = all[i*cols : (i+1)*cols : (i+1)*cols]
	}
	return m
}

func fits(n, size int) bool {
	high, bytes := bits.Mul(uint(n), uint(size))
	return high == 0 && bytes <= blockMax
}

// refusedMatrix is where rows begin that Matrix could not make: no other slice
// begins there.
var refusedMatrix rowHeader

func refusedRows[T any]() [][]T {
	return unsafe.Slice((*[]T)(unsafe.Pointer(&refusedMatrix)), 0)
}

// Rows lends rows of equal length as an array of two axes, without a copy:
//
//   - Rows at even distances (those of [Matrix], of one slice cut in pieces, one
//     row again and again, rows backwards) are a strided array, which every
//     consumer understands.
//   - Other rows are an indirect array of PEP 3118, whose table of pointers is
//     the slice of slices itself. memoryview, Cython and pybuf's own copies
//     follow it; NumPy does not, and wants a copy.
//
// While it is lent, the items may change as for [Of], but rows may not be
// replaced (rows[i] = other): nobody would hold the new one.
//
// Errors, which the Buffer carries: those of [ElementOf] for T; ErrValue for rows
// of unequal lengths, with the number of the row, and for a Matrix that could
// not be made.
func Rows[T any](rows [][]T) *Buffer {
	return factsOf(reflect.TypeFor[T]()).rows(unsafe.Pointer(unsafe.SliceData(rows)), len(rows))
}

// rowHeader is a row as it lies in a slice of slices.
type rowHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// rows makes a Buffer of the n rows of a [][]T that begins at table.
func (f *goFacts) rows(table unsafe.Pointer, n int) *Buffer {
	if f.err != nil {
		return Fail(f.err)
	}
	if table == unsafe.Pointer(&refusedMatrix) {
		return Fail(fail(ErrValue, "the rows are of a Matrix of negative sizes, or of more bytes than any machine has"))
	}
	rows := unsafe.Slice((*rowHeader)(table), n)
	cols := 0
	for i, row := range rows {
		if i == 0 {
			cols = row.len
		} else if row.len != cols {
			return Fail(fail(ErrValue, "row ", strconv.Itoa(i), " has ", strconv.Itoa(row.len), " items and row 0 has ",
				strconv.Itoa(cols), "; the rows of an array are equally long"))
		}
	}
	shape := []int{n, cols}
	if n == 0 || cols == 0 {
		return lay(nil, &f.base, f.extents, shape, nil, nil)
	}
	var b *Buffer
	if step, even := f.evenStep(rows); even {
		b = lay(rows[0].data, &f.base, f.extents, shape, []int{step, f.size}, nil)
	} else {
		b = lay(table, &f.base, f.extents, shape, []int{int(unsafe.Sizeof(rowHeader{})), f.size}, []int{0, -1})
	}
	b.held = make([]unsafe.Pointer, n)
	for i, row := range rows {
		b.held[i] = row.data
	}
	return b
}

// evenStep is the bytes from one row to the next, if it is the same everywhere.
func (f *goFacts) evenStep(rows []rowHeader) (step int, even bool) {
	if len(rows) == 1 {
		return rows[0].len * f.size, true
	}
	step = int(uintptr(rows[1].data) - uintptr(rows[0].data))
	for i := 2; i < len(rows); i++ {
		if int(uintptr(rows[i].data)-uintptr(rows[i-1].data)) != step {
			return 0, false
		}
	}
	return step, true
}
