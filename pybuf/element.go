package pybuf

// DLPackNone is the DLPack code of an element type that DLPack cannot carry.
const DLPackNone = 255

// DLPack's DLDataTypeCode values of plain types.
const (
	dlInt     = 0
	dlUint    = 1
	dlFloat   = 2
	dlComplex = 5
	dlBool    = 6
)

// An Element is one element type: what a consumer must know of an item in
// memory, with its name at each door. Elements are made by the Parse
// functions; two of them are equal (==) if they leave by the same names.
type Element struct {
	ItemSize int // bytes of one item, > 0
	Align    int // bytes, the alignment that C gives the type; a power of two

	// Format is the PEP 3118 format as it is exported: a bare native letter
	// ("d", "l", "Zd") in the host's byte order, otherwise '<' or '>' and a
	// letter of standard size (">d", ">q").
	Format string
	// Typestr is the array interface's spelling with its byte order: "<f8",
	// "|u1" for items of one byte, which have none.
	Typestr string
	// DLPackCode is the DLDataTypeCode, or DLPackNone. DLPack has no
	// characters and no byte order but the host's.
	DLPackCode int
	// DLPackBits is the bits of one lane, 0 with DLPackNone.
	DLPackBits int
	// Arrow is the format of the Arrow C data interface, "" where it has none:
	// bools (bits there, bytes here), complex numbers, characters, and any
	// byte order but the host's.
	Arrow string
}

// A plainType is a row of the table of plain types: all that is known of one
// type, in whatever byte order.
type plainType struct {
	typestr string // without byte order: the letter of the kind, then the size
	size    int    // bytes
	align   int    // bytes

	// Native PEP 3118 letters. own leave as they are; own[0] is what every
	// other spelling leaves as, and NumPy's own letter for the type. other
	// leave as own[0], since some consumer (NumPy for n N P, all but the
	// newest struct for F D) does not know them.
	own, other []string
	// PEP 3118 letters of this size after = < > and !. standard[0] leaves
	// after the order when that is not the host's.
	standard []string

	dlpack int    // DLDataTypeCode or DLPackNone
	arrow  string // Arrow format, or ""
}

// plainTypes is the single home of every letter. l and L are a C long, see
// host.go for its size; P is an address, read as the integer it is.
var plainTypes = [...]plainType{
	{"b1", 1, 1, []string{"?"}, nil, []string{"?"}, dlBool, ""},
	{"S1", 1, 1, []string{"c"}, nil, []string{"c"}, DLPackNone, ""},
	{"i1", 1, 1, []string{"b"}, nil, []string{"b"}, dlInt, "c"},
	{"u1", 1, 1, []string{"B"}, nil, []string{"B"}, dlUint, "C"},
	{"i2", 2, 2, []string{"h"}, nil, []string{"h"}, dlInt, "s"},
	{"u2", 2, 2, []string{"H"}, nil, []string{"H"}, dlUint, "S"},
	{"i4", 4, 4, []string{"i"}, nil, []string{"i", "l"}, dlInt, "i"},
	{"u4", 4, 4, []string{"I"}, nil, []string{"I", "L"}, dlUint, "I"},
	{"i8", 8, 8, []string{"l", "q"}, []string{"n"}, []string{"q"}, dlInt, "l"},
	{"u8", 8, 8, []string{"L", "Q"}, []string{"N", "P"}, []string{"Q"}, dlUint, "L"},
	{"f2", 2, 2, []string{"e"}, nil, []string{"e"}, dlFloat, "e"},
	{"f4", 4, 4, []string{"f"}, nil, []string{"f"}, dlFloat, "f"},
	{"f8", 8, 8, []string{"d"}, nil, []string{"d"}, dlFloat, "g"},
	{"c8", 8, 4, []string{"Zf"}, []string{"F"}, []string{"Zf", "F"}, dlComplex, ""},
	{"c16", 16, 8, []string{"Zd"}, []string{"D"}, []string{"Zd", "D"}, dlComplex, ""},
}

// element is t in the given byte order; letter is one of t.own, which only
// the host's order can keep.
func (t *plainType) element(letter string, order, native byte) Element {
	e := Element{ItemSize: t.size, Align: t.align, Format: letter, DLPackCode: DLPackNone}
	written := order
	if t.size == 1 {
		order, written = native, '|'
	}
	e.Typestr = string([]byte{written}) + t.typestr
	if order != native {
		e.Format = string([]byte{order}) + t.standard[0]
		return e
	}
	e.Arrow = t.arrow
	if t.dlpack != DLPackNone {
		e.DLPackCode, e.DLPackBits = t.dlpack, 8*t.size
	}
	return e
}

// nativeType finds the type that a native letter means, and the letter that
// it leaves as; nil if there is none.
func nativeType(letter string) (t *plainType, leaves string) {
	for i := range plainTypes {
		t = &plainTypes[i]
		for _, own := range t.own {
			if own == letter {
				return t, own // not letter: that is a piece of the caller's string
			}
		}
		if contains(t.other, letter) {
			return t, t.own[0]
		}
	}
	return nil, ""
}

// standardType finds the type that a letter of standard size means, or nil.
func standardType(letter string) *plainType {
	for i := range plainTypes {
		if t := &plainTypes[i]; contains(t.standard, letter) {
			return t
		}
	}
	return nil
}

// kindType finds the type of a typestr's kind and size, or nil.
func kindType(kind byte, size int) *plainType {
	for i := range plainTypes {
		if t := &plainTypes[i]; t.typestr[0] == kind && t.size == size {
			return t
		}
	}
	return nil
}

func contains(letters []string, letter string) bool {
	for _, l := range letters {
		if l == letter {
			return true
		}
	}
	return false
}
