//go:build cgo && !pyext

package pybuf

import (
	"math"
	"math/bits"
	"reflect"
	"slices"
	"strconv"
	"unsafe"
)

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

func failMatrix() *Error {
	return fail(ErrValue, "the rows are of a Matrix of negative sizes, or of more bytes than any machine has")
}

func refusedRows[T any]() [][]T {
	return unsafe.Slice((*[]T)(unsafe.Pointer(&refusedMatrix)), 0)
}

// Rows lends rows of equal length as an array of two axes, without a copy. Rows
// may be of rows themselves, to any depth: a [][][]T has three axes, one for each
// level of slices, and so on to [MaxNDim].
//
//   - Rows at even distances (those of [Matrix], of one slice cut in pieces, one
//     row again and again, rows backwards) are a strided array, which every
//     consumer understands. Of deeper slices it is the innermost ones, of items,
//     that have to lie so along each axis.
//   - Other rows are an indirect array of PEP 3118, whose tables of pointers are
//     the slices of slices themselves. memoryview, Cython and pybuf's own copies
//     follow them; NumPy does not, and wants a copy.
//
// While it is lent, the items may change as for [Of], but rows may not be
// replaced (rows[i] = other): nobody would hold the new one.
//
// Errors, which the Buffer carries: those of [ElementOf] for what the rows are
// of; ErrValue for rows of unequal lengths, with the numbers of the row, for a
// Matrix that could not be made, and for more axes than an array has; ErrOverflow.
func Rows[T any](rows [][]T) *Buffer {
	return lendRows(reflect.TypeFor[T](), unsafe.Pointer(unsafe.SliceData(rows)), len(rows))
}

// rowHeader is a row as it lies in a slice of slices.
type rowHeader struct {
	data     unsafe.Pointer
	len, cap int
}

// lendRows makes a Buffer of the n rows of a [][]T that begins at table; t is T,
// which may be a slice again.
func lendRows(t reflect.Type, table unsafe.Pointer, n int) *Buffer {
	item, axes := t, 2
	for ; item.Kind() == reflect.Slice; item = item.Elem() {
		if axes++; axes > MaxNDim { // a type may be a slice of itself
			return Fail(fail(ErrValue, "rows of Go type ", quote(t.String()), " are slices in slices, more than ",
				strconv.Itoa(MaxNDim), " deep; each is an axis, and an array has at most ", strconv.Itoa(MaxNDim)))
		}
	}
	f := factsOf(item)
	if f.err != nil {
		return Fail(f.err)
	}
	if table == unsafe.Pointer(&refusedMatrix) {
		return Fail(failMatrix())
	}
	w := rowWalk{shape: make([]int, axes), steps: make([]int, axes), at: make([]int, axes-2)}
	for axis := range w.shape {
		w.shape[axis], w.steps[axis] = notSeen, notSeen
	}
	w.shape[0], w.steps[axes-1] = n, f.size
	first, err := w.table(table, 0)
	if err != nil {
		return Fail(err)
	}
	if first == nil { // there is no item
		for axis := range w.shape {
			w.shape[axis] = max(w.shape[axis], 0)
		}
		return lay(nil, &f.base, f.extents, w.shape, nil, nil)
	}
	// All or nothing. Where the rows of each table are even for themselves, the
	// pointers to the tables lead to headers all the same, not to items: no layout
	// on Go's own headers steps over those. Tables whose headers are even could be
	// stepped over, but whoever reads one pointer can read two.
	var b *Buffer
	if w.uneven {
		sub := make([]int, axes)
		for axis := range sub[:axes-1] {
			w.steps[axis] = int(unsafe.Sizeof(rowHeader{}))
		}
		sub[axes-1] = -1
		b = lay(table, &f.base, f.extents, w.shape, w.steps, sub)
		for inner := range w.inner {
			w.rows = append(w.rows, inner)
		}
	} else {
		for axis := axes - 2; axis >= 0; axis-- {
			if w.steps[axis] == notSeen { // there is one row
				w.steps[axis] = w.shape[axis+1] * w.steps[axis+1]
			}
		}
		b = lay(first, &f.base, f.extents, w.shape, w.steps, nil)
	}
	b.held = w.rows
	return b
}

// A rowWalk finds out what slices of slices are as an array. It looks at rows in
// the order of their indices, so that the first row of all tells the extents.
type rowWalk struct {
	shape  []int
	steps  []int // bytes from one index to the next along each axis, while not uneven
	uneven bool  // some row lies elsewhere

	at   []int            // the indices of the slice of slices that is looked at
	rows []unsafe.Pointer // where each row of items lies
	// inner are the slices of slices but the outermost one, and where the first
	// item of each lies. Nobody has to look at one twice: a few slices that have
	// one another again and again may be more rows than there are bytes.
	inner map[unsafe.Pointer]unsafe.Pointer
}

// notSeen is the extent and the step of an axis of which there was no row, or
// one alone: no distance of two addresses is that long.
const notSeen = math.MinInt

// table looks at a slice of slices, whose rows are those along an axis. It tells
// where the first item lies, nil if there is none.
func (w *rowWalk) table(at unsafe.Pointer, axis int) (first unsafe.Pointer, err *Error) {
	rows := unsafe.Slice((*rowHeader)(at), w.shape[axis])
	if err := w.compareLengths(rows, axis); err != nil {
		return nil, err
	}
	if w.shape[axis+1] <= 0 {
		return nil, nil
	}
	var places []unsafe.Pointer
	if w.ofItems(axis) {
		before := len(w.rows)
		w.rows = slices.Grow(w.rows, len(rows))
		for i := range rows {
			w.rows = append(w.rows, rows[i].data)
		}
		places = w.rows[before:]
	} else if places, err = w.tables(rows, axis); err != nil {
		return nil, err
	}
	w.compareSteps(places, axis)
	return places[0], nil
}

// ofItems tells whether rows along an axis are of items, and not of rows again.
func (w *rowWalk) ofItems(axis int) bool { return axis == len(w.shape)-2 }

// tables looks at rows of rows, and tells where the first item of each lies.
func (w *rowWalk) tables(rows []rowHeader, axis int) ([]unsafe.Pointer, *Error) {
	if w.inner == nil {
		w.inner = make(map[unsafe.Pointer]unsafe.Pointer, len(rows))
	}
	places := make([]unsafe.Pointer, len(rows))
	for i, row := range rows {
		first, known := w.inner[row.data]
		if !known {
			var err *Error
			w.at[axis] = i
			if first, err = w.table(row.data, axis+1); err != nil {
				return nil, err
			}
			w.inner[row.data] = first
		}
		places[i] = first
	}
	return places, nil
}

// compareLengths tells whether the rows are as long as the first one of all.
func (w *rowWalk) compareLengths(rows []rowHeader, axis int) *Error {
	if !w.ofItems(axis) {
		for i := range rows {
			if rows[i].data == unsafe.Pointer(&refusedMatrix) {
				return failMatrix()
			}
		}
	}
	if w.shape[axis+1] == notSeen && len(rows) > 0 {
		w.shape[axis+1] = rows[0].len
	}
	n := w.shape[axis+1]
	for i := range rows {
		if rows[i].len != n {
			return w.ragged(axis, i, rows[i].len)
		}
	}
	return nil
}

// compareSteps notes whether rows lie at the same distance as all others along
// the axis.
func (w *rowWalk) compareSteps(places []unsafe.Pointer, axis int) {
	if w.uneven || len(places) < 2 {
		return
	}
	step := w.steps[axis]
	if step == notSeen {
		step = int(uintptr(places[1]) - uintptr(places[0]))
		w.steps[axis] = step
	}
	for i := 1; i < len(places); i++ {
		if int(uintptr(places[i])-uintptr(places[i-1])) != step {
			w.uneven = true
			return
		}
	}
}

// ragged is the error of row i along an axis.
func (w *rowWalk) ragged(axis, i, length int) *Error {
	row, first := "row "+strconv.Itoa(i), "row 0"
	for outer := axis - 1; outer >= 0; outer-- {
		row += " of row " + strconv.Itoa(w.at[outer])
		first += " of row 0"
	}
	of := " items"
	if !w.ofItems(axis) {
		of = " rows"
	}
	return fail(ErrValue, row, " has ", strconv.Itoa(length), of, " and ", first, " has ", strconv.Itoa(w.shape[axis+1]),
		"; the rows of an array are equally long")
}
