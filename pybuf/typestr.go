package pybuf

import (
	"strconv"
	"strings"
)

// ParseTypestr reads a typestr of the array interface: an optional byte order
// ('<', '>', '=' or '|' for the host's), the letter of a kind, the bytes of an
// item: "<f8", "|u1", "i4", "|S5", "|V16". The number behind 'U' counts
// characters of 4 bytes.
//
// It is as lenient as NumPy: '|' and no order at all mean the host's order,
// and items of one byte take any. "S1" is the character, format "c"; "|V16" is
// raw bytes, though a record has that typestr too.
//
// Errors: ErrValue for what is malformed and for sizes that no type has;
// ErrType for what is understood and refused: objects, times, bits, items of
// no bytes, and long doubles in the order that is not the host's; ErrOverflow
// for items of more bytes than there are addresses.
func ParseTypestr(typestr string) (Element, error) {
	return answerOf(parseTypestr(typestr, nativeOrder))
}

// A typestrKind is a kind that a typestr can name.
type typestrKind struct {
	letter  byte
	means   string // what it is, with the sizes of the table of plain types
	refused string // why the kind is refused at any size
}

var typestrKinds = [...]typestrKind{
	{'b', "bools", ""},
	{'i', "integers", ""},
	{'u', "unsigned integers", ""},
	{'f', "floats", ""},
	{'c', "complex numbers", ""},
	{'S', "byte strings", ""},
	{'U', "strings", ""},
	{'V', "raw bytes", ""},
	{'M', "", `dates, which PEP 3118 cannot say; lend their integers, .view("i8")`},
	{'m', "", `time spans, which PEP 3118 cannot say; lend their integers, .view("i8")`},
	{'O', "", "objects, whose items are references that only their owner can count; lend the data itself, as a plain type"},
	{'t', "", `bits, which no consumer reads; lend the bytes that hold them, as "u1"`},
}

func parseTypestr(typestr string, native byte) (Element, *Error) {
	it, meaning, err := readTypestr(typestr, native)
	if err != nil {
		return Element{}, err
	}
	spelled := "typestr " + quote(typestr)
	if meaning != "" {
		return Element{}, fail(ErrType, spelled, " means ", meaning)
	}
	return it.leave(spelled, native)
}

// readTypestr reads a typestr. meaning is not empty for what is understood and
// refused.
func readTypestr(typestr string, native byte) (it item, meaning string, err *Error) {
	order, kind, size, ok := splitTypestr(typestr)
	if !ok {
		return it, "", fail(ErrValue, "typestr ", quote(typestr),
			` is malformed; write order, kind and bytes, such as "<f8"`)
	}
	if kind.refused != "" {
		return it, kind.refused, nil
	}
	if order != littleEndian && order != bigEndian {
		order = native
	}
	if t := kindType(kind.letter, size); t != nil {
		if t.standard == nil && order != native {
			return it, "long doubles in the order that is not this machine's, which no format can say; " +
				"convert them to this machine's", nil
		}
		return plainItem(t, t.own[0], order), "", nil
	}
	if t := findTextKind(kind.letter); t != nil {
		it = item{text: t.letter, count: size, size: t.unit, align: t.align, order: order}
		if it.bytes() < 0 {
			return it, "", fail(ErrOverflow, "typestr ", quote(typestr), " is of items of more than ", maxInt, " bytes")
		}
		return it, "", nil
	}
	return it, "", fail(ErrValue, "typestr ", quote(typestr), ": there are no ", kind.means,
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
