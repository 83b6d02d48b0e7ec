package pybuf

import (
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// An item is an element type taken apart: what each reader makes of its
// spelling, and the emitter writes. Exactly one of plain, text and record says
// what it is.
type item struct {
	plain  *plainType
	letter string // the native letter of plain that it keeps in the host's order

	text  byte // 's', 'w' or 'x'
	count int  // units of text

	record bool
	fields []field

	order byte  // '<' or '>', of plain and of text
	size  int   // bytes, without the extents; of text those of one unit
	align int   // bytes, see Element.Align
	dims  []int // extents of a sub-array of it; nil if it is none
}

type field struct {
	name   string
	offset int // bytes
	item   item
}

func plainItem(t *plainType, letter string, order byte) item {
	return item{plain: t, letter: letter, order: order, size: t.size, align: t.align}
}

// product multiplies sizes and counts; -1 if it is more than an int holds.
func product(n int, factors ...int) int {
	for _, f := range factors {
		if f == 0 {
			return 0
		}
	}
	for _, f := range factors {
		hi, lo := bits.Mul(uint(n), uint(f))
		if hi != 0 || lo > math.MaxInt {
			return -1
		}
		n = int(lo)
	}
	return n
}

// one is the bytes of one item, without the extents; -1 for too many.
func (it *item) one() int {
	if it.text != 0 {
		return product(it.size, it.count)
	}
	return it.size
}

// bytes is the bytes of the whole; -1 for too many.
func (it *item) bytes() int {
	if n := it.one(); n >= 0 {
		return product(n, it.dims...)
	}
	return -1
}

// repeat makes the item a sub-array of what it is. Every reader comes here: what
// a sub-array may be is said once.
func (it *item) repeat(extents []int) *Error {
	it.dims = append(extents, it.dims...)
	if len(it.dims) > MaxNDim {
		return fail(ErrValue, "a sub-array of ", strconv.Itoa(len(it.dims)), " extents; a buffer has at most ",
			strconv.Itoa(MaxNDim))
	}
	if it.bytes() < 0 {
		return fail(ErrOverflow, "a sub-array ", tuple(it.dims), " of more than ", maxInt, " bytes")
	}
	return nil
}

// used is the bytes of a record up to the end of its last field.
func (it *item) used() int {
	if len(it.fields) == 0 {
		return 0
	}
	last := &it.fields[len(it.fields)-1]
	return last.offset + last.item.bytes()
}

// extent is how many records are inside of one another, and how many fields
// all of them have.
func (it *item) extent() (depth, fields int) {
	if !it.record {
		return 0, 0
	}
	for i := range it.fields {
		d, n := it.fields[i].item.extent()
		depth = max(depth, d)
		fields += 1 + n
	}
	return depth + 1, fields
}

// alignRecord finds what a record may be aligned to.
func (it *item) alignRecord() {
	it.align = 1
	most := 1
	for i := range it.fields {
		f := &it.fields[i]
		if f.offset&(f.item.align-1) != 0 {
			return
		}
		most = max(most, f.item.align)
	}
	if it.size&(most-1) == 0 {
		it.align = most
	}
}

// nameFault says why a format cannot hold a name; "" if it can.
func nameFault(name string) string {
	switch {
	case strings.IndexByte(name, ':') >= 0:
		return "has a colon in its name, which ends a name in a format; rename it"
	case strings.IndexByte(name, 0) >= 0:
		return "has a NUL in its name, which ends a format; rename it"
	case !utf8.ValidString(name):
		return "has a name that is no UTF-8; rename it"
	}
	return ""
}

// fieldsMax is how many fields an element may have, those of the records in it
// included: far more than anybody writes, and few enough that a format of
// nothing but letters takes neither time nor memory.
const fieldsMax = 1 << 16

// A gathering is the items of a format that are read so far.
type gathering struct {
	fields  []field
	names   map[string]bool // of the fields that have one
	end     int             // bytes
	align   int             // the most that one of them has
	entries int             // items read, pads included
	pads    bool            // there is more than the fields
}

// add puts an item at the end. false: the end cannot be counted.
func (g *gathering) add(name string, it *item) bool {
	g.fields = append(g.fields, field{name, g.end, *it})
	if name != "" {
		if g.names == nil {
			g.names = map[string]bool{}
		}
		g.names[name] = true
	}
	return g.pad(it.bytes())
}

// pad moves the end by n bytes. false: it cannot be counted.
func (g *gathering) pad(n int) bool {
	if n > math.MaxInt-g.end {
		return false
	}
	g.end += n
	return true
}

// whole is what a whole format means: a single item is itself.
func (g *gathering) whole(native byte) *item {
	switch {
	case len(g.fields) == 1 && g.fields[0].name == "" && !g.pads:
		return &g.fields[0].item
	case len(g.fields) == 0 && g.entries == 1:
		// "8x": raw bytes. So NumPy spells its V8.
		return &item{text: 'x', count: g.end, size: 1, align: 1, order: native}
	}
	return g.recordItem()
}

// recordItem is the record of what was gathered.
func (g *gathering) recordItem() *item {
	next := 0
	for i := range g.fields {
		f := &g.fields[i]
		for f.name == "" {
			if name := "f" + strconv.Itoa(next); !g.names[name] {
				f.name = name
			}
			next++
		}
	}
	it := &item{record: true, fields: g.fields, size: g.end}
	it.alignRecord()
	return it
}

// A recordBuilder makes a record whose offsets are known.
type recordBuilder struct {
	size int
	g    gathering
}

func (r *recordBuilder) add(name string, offset int, it *item) *Error {
	if fault := nameFault(name); fault != "" || name == "" {
		if fault == "" {
			fault = "has an empty name; name it"
		}
		return fail(ErrValue, "field ", quote(name), " ", fault)
	}
	if r.g.names[name] {
		return fail(ErrValue, "a record has two fields ", quote(name))
	}
	if len(r.g.fields) == fieldsMax {
		return fail(ErrValue, "a record of more than ", strconv.Itoa(fieldsMax), " fields")
	}
	if offset < r.g.end {
		return fail(ErrValue, "field ", quote(name), " lies at byte ", strconv.Itoa(offset), ", before byte ",
			strconv.Itoa(r.g.end), ", where the fields listed before it end; ",
			"a format has fields in memory order that do not overlap")
	}
	r.g.end = offset
	if !r.g.add(name, it) || r.g.end > r.size {
		return fail(ErrValue, "field ", quote(name), " of ", strconv.Itoa(it.bytes()), " bytes at byte ",
			strconv.Itoa(offset), " ends behind the end of the record, which has ", strconv.Itoa(r.size), " bytes")
	}
	return nil
}

func (r *recordBuilder) done() (*item, *Error) {
	if r.size < r.g.end {
		return nil, fail(ErrValue, "a record of ", strconv.Itoa(r.size), " bytes; there cannot be fewer than 0")
	}
	r.g.end = r.size
	return r.g.recordItem(), nil
}
