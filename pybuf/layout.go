package pybuf

import (
	"math"
	"math/bits"
	"strconv"
)

// MaxNDim is the most dimensions that a layout may have.
const MaxNDim = 64

// Order is the order of the items of a contiguous layout.
type Order int

const (
	// RowMajor: the last index moves fastest, as in C.
	RowMajor Order = iota
	// ColumnMajor: the first index moves fastest, as in Fortran.
	ColumnMajor
)

// ParseOrder reads the letter of an order, 'C' or 'F'. Any other is ErrValue.
func ParseOrder(letter int) (Order, error) {
	switch letter {
	case 'C':
		return RowMajor, nil
	case 'F':
		return ColumnMajor, nil
	}
	return 0, fail(ErrValue, "order ", strconv.Itoa(letter), " is neither 'C' (67) nor 'F' (70)")
}

// A Layout says where the items of an array lie. All positions are counted
// from the item whose indices are all 0; an empty Shape is one item alone.
type Layout struct {
	// Format is the PEP 3118 format of an item; it may be left empty if
	// ItemSize is given.
	Format string
	// ItemSize is the bytes of an item; 0 takes it from Format.
	ItemSize int
	// Shape is the items along each axis, at most MaxNDim of them.
	Shape []int
	// Strides is the bytes from one index to the next along each axis. nil
	// packs the items in Order.
	Strides []int
	// Suboffsets is, for each axis, the bytes to add to the pointer that is
	// read there, or a negative number where none is read. nil and all
	// negative are the same: no axis is indirect. An indirect layout needs
	// Strides, since its outer axes walk tables of pointers.
	Suboffsets []int
	// Order is read only if Strides is nil.
	Order Order
}

// Facts are what follows from a layout.
type Facts struct {
	// Strides is the bytes from one index to the next along each axis; the
	// caller's to keep and to change. Packed axes count an extent of 0 as 1.
	Strides []int
	// NBytes is the bytes of all items: the product of the extents and the
	// size of an item, whatever gaps or overlaps there are.
	NBytes int
	// Low and High bound the bytes in use, [Low, High) from the first item:
	// Low <= 0 <= High. Both are 0 if there are no items. If the layout is
	// indirect, this is the outermost table of pointers.
	Low, High int
	// RowMajor and ColumnMajor say in which order the items lie packed, with
	// no gap: both may hold, and do if there are no items. Axes of one item
	// do not matter. An indirect layout is never packed.
	RowMajor, ColumnMajor bool
	// Indirect tells that some axis reads pointers.
	Indirect bool
}

// CheckNDim tells whether a layout may have n dimensions: ErrValue if not.
func CheckNDim(n int) error {
	if n < 0 || n > MaxNDim {
		return fail(ErrValue, strconv.Itoa(n), " dimensions; a layout has 0 to ", strconv.Itoa(MaxNDim))
	}
	return nil
}

// Judge tells what follows from the layout, or why there is no such layout:
// ErrValue for numbers that cannot be, ErrOverflow for items that no address
// space could hold or reach.
//
// Strides may be any number, and items may overlap; whether the items are
// inside of a block is for its owner to judge, by Low and High.
func (l Layout) Judge() (Facts, error) {
	itemSize, err := l.itemSize()
	if err != nil {
		return Facts{}, err
	}
	if err := CheckNDim(len(l.Shape)); err != nil {
		return Facts{}, err
	}
	f := Facts{Indirect: l.indirect()}
	if err := l.checkLengths(f.Indirect); err != nil {
		return Facts{}, err
	}
	packed, items, err := l.pack(itemSize)
	if err != nil {
		return Facts{}, err
	}
	f.NBytes = items * itemSize
	f.Strides = packed
	if l.Strides != nil {
		f.Strides = append(packed[:0], l.Strides...)
	}
	if items > 0 {
		if f.Low, f.High, err = l.reach(itemSize, f.Strides); err != nil {
			return Facts{}, err
		}
	}
	if !f.Indirect {
		f.RowMajor = items == 0 || isPacked(itemSize, l.Shape, f.Strides, RowMajor)
		f.ColumnMajor = items == 0 || isPacked(itemSize, l.Shape, f.Strides, ColumnMajor)
	}
	return f, nil
}

func (l *Layout) itemSize() (int, error) {
	size := l.ItemSize
	if l.Format != "" {
		e, err := ParseFormat(l.Format)
		if err != nil {
			return 0, err
		}
		if size != 0 && size != e.ItemSize {
			return 0, fail(ErrValue, "itemsize ", strconv.Itoa(size), ": items of format ", quote(l.Format),
				" have ", strconv.Itoa(e.ItemSize), " bytes")
		}
		size = e.ItemSize
	}
	if size <= 0 {
		return 0, fail(ErrValue, "itemsize ", strconv.Itoa(size), ": an item has at least 1 byte")
	}
	return size, nil
}

func (l *Layout) indirect() bool {
	for _, s := range l.Suboffsets {
		if s >= 0 {
			return true
		}
	}
	return false
}

// checkLengths checks what the lists say by their lengths.
func (l *Layout) checkLengths(indirect bool) error {
	if l.Strides != nil && len(l.Strides) != len(l.Shape) {
		return l.wrongLength("strides", l.Strides)
	}
	if l.Suboffsets != nil && len(l.Suboffsets) != len(l.Shape) {
		return l.wrongLength("suboffsets", l.Suboffsets)
	}
	if indirect && l.Strides == nil {
		return fail(ErrValue, "suboffsets ", tuple(l.Suboffsets),
			" need strides: axes that read pointers step through tables, which no order tells")
	}
	if l.Strides == nil && l.Order != RowMajor && l.Order != ColumnMajor {
		return fail(ErrValue, "order ", strconv.Itoa(int(l.Order)), " is neither RowMajor nor ColumnMajor")
	}
	return nil
}

func (l *Layout) wrongLength(name string, v []int) error {
	return fail(ErrValue, name, " ", tuple(v), " and shape ", tuple(l.Shape), ": ",
		strconv.Itoa(len(v)), " and ", strconv.Itoa(len(l.Shape)), " numbers; give one for each axis")
}

// pack checks the extents, counts the items and computes the strides of the
// layout without gaps. Extents of 0 count as 1 in the strides, and
// so they do in the check: no stride of an empty array overflows.
func (l *Layout) pack(itemSize int) (strides []int, items int, err error) {
	for i, n := range l.Shape {
		if n < 0 {
			return nil, 0, fail(ErrValue, "shape ", tuple(l.Shape), ": extent ", strconv.Itoa(i), " is ",
				strconv.Itoa(n), "; extents count items and must be >= 0")
		}
	}
	strides = make([]int, len(l.Shape))
	empty := false
	step := uint(itemSize)
	for i := range l.Shape {
		axis := l.Order.axis(i, len(l.Shape))
		n := l.Shape[axis]
		strides[axis] = int(step)
		empty = empty || n == 0
		hi, lo := bits.Mul(step, uint(max(n, 1)))
		if hi != 0 || lo > math.MaxInt {
			return nil, 0, fail(ErrOverflow, "shape ", tuple(l.Shape), " of items of ", strconv.Itoa(itemSize),
				" bytes: more than ", maxInt, " bytes")
		}
		step = lo
	}
	if empty {
		return strides, 0, nil
	}
	return strides, int(step) / itemSize, nil
}

// axis is the i-th axis of n from the one that moves fastest.
func (o Order) axis(i, n int) int {
	if o == ColumnMajor {
		return i
	}
	return n - 1 - i
}

// reach computes the bytes in use, there being items. It walks stretches of
// axes: one ends where a pointer is read, and the next one starts from there.
// The first is the answer; each of them must be one that an address can cross,
// so that nobody who adds up strides overflows.
func (l *Layout) reach(itemSize int, strides []int) (low, high int, err error) {
	s := stretch{}
	first := true
	for i, n := range l.Shape {
		s.add(n-1, strides[i])
		if l.Suboffsets == nil || l.Suboffsets[i] < 0 {
			continue
		}
		s.use(pointerSize)
		if first {
			first, low, high = false, -int(s.below), int(s.above)
		}
		if s.tooLong {
			break
		}
		s = stretch{}
		s.use(l.Suboffsets[i])
	}
	s.use(itemSize)
	if s.tooLong {
		return 0, 0, l.tooLong(strides)
	}
	if first {
		low, high = -int(s.below), int(s.above)
	}
	return low, high, nil
}

func (l *Layout) tooLong(strides []int) error {
	sub := ""
	if l.Suboffsets != nil {
		sub = ", suboffsets " + tuple(l.Suboffsets)
	}
	return fail(ErrOverflow, "shape ", tuple(l.Shape), ", strides ", tuple(strides), sub,
		": the items reach over more than ", maxInt, " bytes")
}

// A stretch is the bytes that items reach below and above a place. Its length
// is bounded, and so are the two.
type stretch struct {
	below, above uint
	tooLong      bool
}

// add moves the last item by steps times stride.
func (s *stretch) add(steps, stride int) {
	size, side := uint(stride), &s.above
	if stride < 0 {
		size, side = -size, &s.below
	}
	hi, way := bits.Mul(uint(steps), size)
	s.grow(side, hi, way)
}

// use puts n bytes behind the last item.
func (s *stretch) use(n int) { s.grow(&s.above, 0, uint(n)) }

func (s *stretch) grow(side *uint, hi, lo uint) {
	if s.tooLong || hi != 0 || lo > math.MaxInt || s.below+s.above+lo > math.MaxInt {
		s.tooLong = true
		return
	}
	*side += lo
}

const maxInt = "9223372036854775807"

// isPacked tells whether items lie in the order with no gap. Where an axis has
// one item, its stride is never taken.
func isPacked(itemSize int, shape, strides []int, order Order) bool {
	step := itemSize
	for i := range shape {
		axis := order.axis(i, len(shape))
		if shape[axis] > 1 && strides[axis] != step {
			return false
		}
		step *= shape[axis]
	}
	return true
}
