package pybuf

// plain.go is the home of every letter: what each of them means in a format,
// in a typestr, and at the other doors.

// DLPack's DLDataTypeCode values of plain types.
const (
	dlInt     = 0
	dlUint    = 1
	dlFloat   = 2
	dlComplex = 5
	dlBool    = 6
)

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
	// PEP 3118 letters of this size after = < > and ! (P, which has none there
	// by the PEP, is what ctypes writes for addresses). standard[0] leaves
	// after the order when that is not the host's, and in records. nil: the type
	// has the host's order only.
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
	{"u8", 8, 8, []string{"L", "Q"}, []string{"N", "P"}, []string{"Q", "P"}, dlUint, "L"},
	{"f2", 2, 2, []string{"e"}, nil, []string{"e"}, dlFloat, "e"},
	{"f4", 4, 4, []string{"f"}, nil, []string{"f"}, dlFloat, "f"},
	{"f8", 8, 8, []string{"d"}, nil, []string{"d"}, dlFloat, "g"},
	{"f16", 16, 16, []string{"g"}, nil, nil, DLPackNone, ""},
	{"c8", 8, 4, []string{"Zf"}, []string{"F"}, []string{"Zf", "F"}, dlComplex, ""},
	{"c16", 16, 8, []string{"Zd"}, []string{"D"}, []string{"Zd", "D"}, dlComplex, ""},
	{"c32", 32, 16, []string{"Zg"}, nil, nil, DLPackNone, ""},
}

// A textType is a row of the table of items that are a count of units.
type textType struct {
	letter byte // of PEP 3118
	kind   byte // of a typestr
	unit   int  // bytes
	align  int  // bytes
}

var textTypes = [...]textType{
	{'s', 'S', 1, 1}, // bytes, NUL-padded
	{'w', 'U', 4, 4}, // characters, UCS-4
	{'x', 'V', 1, 1}, // bytes of no meaning: pads, if they have no name
}

func findText(letter byte) *textType {
	for i := range textTypes {
		if t := &textTypes[i]; t.letter == letter {
			return t
		}
	}
	return nil
}

func findTextKind(kind byte) *textType {
	for i := range textTypes {
		if t := &textTypes[i]; t.kind == kind {
			return t
		}
	}
	return nil
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
