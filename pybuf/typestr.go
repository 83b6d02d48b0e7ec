package pybuf

import (
	"strconv"
	"strings"
)

// ParseTypestr reads a typestr of the array interface: an optional byte order
// ('<', '>', '=' or '|' for the host's), the letter of a kind, the bytes of an
// item: "<f8", "|u1", "i4".
//
// It is as lenient as NumPy: '|' and no order at all mean the host's order,
// and items of one byte take any. "S1" is the character, format "c".
//
// Errors: ErrValue for what is malformed and for sizes that no type has;
// ErrType for what is understood and refused: objects, times, long doubles,
// and, by this version, strings, bits and records.
func ParseTypestr(typestr string) (Element, error) {
	e, err := parseTypestr(typestr, nativeOrder)
	if err != nil {
		return Element{}, err
	}
	return e, nil
}

// A typestrKind is a kind that a typestr can name.
type typestrKind struct {
	letter byte
	means  string // what it is, with the sizes of the table of plain types
	// refused says why the kind is refused at the size `at` (0: at any) that
	// the table does not have; what it has is accepted first.
	at      int
	refused string
}

var typestrKinds = [...]typestrKind{
	{'b', "bools", -1, ""},
	{'i', "integers", -1, ""},
	{'u', "unsigned integers", -1, ""},
	{'f', "floats", 16, "long doubles" + byThisVersion + `; convert them to "f8"`},
	{'c', "complex numbers", 32, "complex long doubles" + byThisVersion + `; convert them to "c16"`},
	{'S', "characters", 0, "byte strings" + byThisVersion + `; lend them as "u1" with the length as a last axis`},
	{'U', "", 0, "strings" + byThisVersion + `; lend them as "u4" with the length as a last axis`},
	{'V', "", 0, "records or raw bytes" + byThisVersion + "; lend each field, or the bytes of each item"},
	{'M', "", 0, `dates, which PEP 3118 cannot say; lend their integers, .view("i8")`},
	{'m', "", 0, `time spans, which PEP 3118 cannot say; lend their integers, .view("i8")`},
	{'O', "", 0, "objects, whose items are references that only their owner can count; lend the data itself, as a plain type"},
	{'t', "", 0, "bits" + byThisVersion + `; lend the bytes that hold them, as "u1"`},
}

func parseTypestr(typestr string, native byte) (Element, *Error) {
	order, kind, size, ok := splitTypestr(typestr)
	if !ok {
		return Element{}, fail(ErrValue, "typestr ", quote(typestr),
			` is malformed; write order, kind and bytes, such as "<f8"`)
	}
	if t := kindType(kind.letter, size); t != nil {
		if order != littleEndian && order != bigEndian {
			order = native
		}
		return t.element(t.own[0], order, native), nil
	}
	if kind.at == 0 || kind.at == size {
		return Element{}, fail(ErrType, "typestr ", quote(typestr), " means ", kind.refused)
	}
	return Element{}, fail(ErrValue, "typestr ", quote(typestr), ": there are no ", kind.means,
		" of ", strconv.Itoa(size), " bytes; there are ", sizesOf(kind.letter))
}

// splitTypestr takes apart what has the shape of a typestr, whether there is
// such a type or not. order is 0 if none is written, size is 0 for "|O".
func splitTypestr(s string) (order byte, kind *typestrKind, size int, ok bool) {
	if s != "" && strings.IndexByte("<>=|", s[0]) >= 0 {
		order, s = s[0], s[1:]
	}
	if s == "" {
		return 0, nil, 0, false
	}
	kind = findKind(s[0])
	if kind == nil {
		return 0, nil, 0, false
	}
	digits := s[1:]
	switch kind.letter {
	case 'O': // the one kind whose size may be left out
		if digits == "" {
			return order, kind, 0, true
		}
	case 'M', 'm': // M8[ns]
		if i := strings.IndexByte(digits, '['); i > 0 && strings.HasSuffix(digits, "]") {
			digits = digits[:i]
		}
	}
	for i := 0; i < len(digits); i++ {
		if !isDigit(digits[i]) {
			return 0, nil, 0, false
		}
	}
	size, err := strconv.Atoi(digits) // fails for none, and for too many
	return order, kind, size, err == nil
}

func findKind(letter byte) *typestrKind {
	for i := range typestrKinds {
		if k := &typestrKinds[i]; k.letter == letter {
			return k
		}
	}
	return nil
}

// sizesOf lists the sizes of a kind, "1, 2, 4, 8".
func sizesOf(kind byte) string {
	var sizes []string
	for _, t := range plainTypes {
		if t.typestr[0] == kind {
			sizes = append(sizes, strconv.Itoa(t.size))
		}
	}
	return strings.Join(sizes, ", ")
}
