package pybuf

import "strings"

// DLPackNone is the DLPack code of an element type that DLPack cannot carry.
const DLPackNone = 255

// An Element is one element type: what a consumer must know of an item in
// memory, with its name at each door. Elements are made by [Record] and the
// Parse functions; two of them are equal (==) if they leave by the same names.
type Element struct {
	ItemSize int // bytes of one item, > 0
	// Align is the bytes of which the address of an item should be a multiple,
	// a power of two: what C gives the type; of a record the most that one of
	// its fields has, or 1 if some field does not lie at a multiple of its own.
	Align int

	// Format is the PEP 3118 format as it is exported, and says all that there
	// is to say of the type:
	//   - a plain type is a bare native letter ("d", "l", "Zd") in the host's
	//     byte order, otherwise '<' or '>' and a letter of standard size
	//     (">d", ">q");
	//   - strings and raw bytes are a count and a letter: "5s", "3w", "8x";
	//   - a sub-array is its extents and its base: "(2,3)d";
	//   - a record writes the order of each field and every pad byte, and
	//     names every field: "T{<i:id:4x<d:price:}".
	Format string
	// Typestr is the array interface's spelling with its byte order: "<f8",
	// "|u1" for items that have none. Of records and sub-arrays, "|V16", it
	// says no more than the size.
	Typestr string
	// DLPackCode is the DLDataTypeCode, or DLPackNone. DLPack has numbers and
	// bools only, and no byte order but the host's.
	DLPackCode int
	// DLPackBits is the bits of one lane, 0 with DLPackNone.
	DLPackBits int
	// Arrow is the format of the Arrow C data interface, "" where it has none:
	// bools (bits there, bytes here), complex numbers, long doubles, strings,
	// records, and any byte order but the host's.
	Arrow string
}

// Compound tells whether the type is a record or a sub-array, made of others:
// Typestr says the size of those, and no more.
func (e Element) Compound() bool {
	return strings.HasPrefix(e.Format, "(") || strings.HasSuffix(e.Format, "}")
}

// A Field is one field of a record.
type Field struct {
	Name    string
	Offset  int // bytes from the beginning of the record
	Element Element
}

// Fields are the fields of a record, in memory order; nil for any other type,
// and not nil for a record that has none.
func (e Element) Fields() []Field {
	it := e.taken()
	if it == nil || !it.record || it.dims != nil {
		return nil
	}
	fields := make([]Field, len(it.fields))
	for i := range it.fields {
		f := &it.fields[i]
		fields[i] = Field{Name: f.name, Offset: f.offset, Element: f.item.element(nativeOrder)}
	}
	return fields
}

// SubArray tells the extents of a sub-array and what it is made of; nil and
// the type itself for any other. A Buffer of sub-arrays leaves with the extents
// at the end of its shape, as an ndarray does.
func (e Element) SubArray() (extents []int, base Element) {
	it := e.taken()
	if it == nil || it.dims == nil {
		return nil, e
	}
	extents, it.dims = it.dims, nil
	return extents, it.element(nativeOrder)
}

// taken is the type taken apart again; nil for the zero Element.
func (e Element) taken() *item {
	it, _, err := readFormat(e.Format, nativeOrder, asWritten)
	if err != nil {
		return nil
	}
	return it
}

// Record makes the type of a record of size bytes from its fields, which are
// in memory order and do not overlap. Bytes between and behind them are pads.
//
// Errors: ErrValue for names that a format cannot hold (those with a colon or
// a NUL, or no UTF-8), for a name that comes twice, for fields that lie before
// the end of their predecessor or behind the end of the record, and for
// more records inside of one another, or more fields, than ParseFormat reads;
// ErrType for a record of no bytes.
func Record(size int, fields ...Field) (Element, error) {
	r := recordBuilder{size: size}
	for _, f := range fields {
		it := f.Element.taken()
		if it == nil {
			return Element{}, fail(ErrValue, "field ", quote(f.Name), " has no element type")
		}
		if err := r.add(f.Name, f.Offset, it); err != nil {
			return Element{}, err
		}
	}
	it, err := r.done()
	if err != nil {
		return Element{}, err
	}
	return answerOf(it.leave("a record", nativeOrder))
}
