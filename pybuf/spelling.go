package pybuf

import (
	"strconv"
	"strings"
)

// ParseElement reads an element type as people write it: a PEP 3118 format if
// it is one, else an array-interface typestr. "d" and "<f8" are the same; "c"
// is the character of PEP 3118.
//
// Errors: ErrUnknown for what has neither form ("float64" is a name that
// others know); ErrType and ErrValue as ParseFormat and ParseTypestr give
// them for what has one of the forms and is refused.
func ParseElement(spelling string) (Element, error) {
	return answerOf(parseElement(spelling, nativeOrder))
}

func parseElement(spelling string, native byte) (Element, *Error) {
	if contains(numpyNames[:], spelling) {
		return Element{}, fail(ErrUnknown, "element type ", quote(spelling), " is a name of NumPy's")
	}
	e, err := parseFormat(spelling, native)
	if err == nil || err.Kind != ErrValue {
		return e, err
	}
	if _, _, _, ok := splitTypestr(spelling); ok {
		return parseTypestr(spelling, native)
	}
	if strings.ContainsAny(spelling, ":{") {
		return e, err // nobody else writes names and records so
	}
	return Element{}, fail(ErrUnknown, "element type ", quote(spelling),
		` is neither a PEP 3118 format nor a typestr; write "d" or "<f8"`)
}

// numpyNames are the names of NumPy's types that are letters of formats, one
// after the other, by chance. Nobody who writes them means such a record.
var numpyNames = [...]string{"int", "intc", "intp", "uint", "uintc", "uintp", "single", "csingle"}

// A Reading is a manner of reading the spelling of an element type.
type Reading int

// The readings, with the function that each of them is.
const (
	AsFormat  Reading = iota // ParseFormat
	AsTypestr                // ParseTypestr
	AsElement                // ParseElement
	AsCType                  // ParseCType
	AsDescr                  // ParseDescr
)

// Parse reads the spelling in this manner. ErrValue if there is no such one.
func (r Reading) Parse(spelling string) (Element, error) {
	switch r {
	case AsFormat:
		return ParseFormat(spelling)
	case AsTypestr:
		return ParseTypestr(spelling)
	case AsElement:
		return ParseElement(spelling)
	case AsCType:
		return ParseCType(spelling)
	case AsDescr:
		return ParseDescr(spelling)
	}
	return Element{}, fail(ErrValue, "there is no manner ", strconv.Itoa(int(r)), " of reading an element type")
}

// Plain returns the i-th of the spellings that plain types are met under in
// this manner: formats with a bare letter, '<' or '>', typestrs with and
// without their order, or both, or names of C types. No spelling comes twice,
// and Parse reads each of them as e. ok is false past the end.
func (r Reading) Plain(i int) (spelling string, e Element, ok bool) {
	for s := range r.plainSpellings {
		if i == 0 {
			it := plainItem(s.plain, s.leaves, s.order)
			return s.prefix + s.letter, it.element(nativeOrder), true
		}
		i--
	}
	return "", Element{}, false
}

// A plainSpelling is a spelling in two parts, and what it means.
type plainSpelling struct {
	prefix, letter string
	plain          *plainType
	leaves         string // the native letter as which it leaves
	order          byte
}

// plainSpellings is the sequence behind Plain: it runs once for each entry, and
// neither joins nor reads any but the one that is wanted, since every import
// asks for all of them.
func (r Reading) plainSpellings(yield func(plainSpelling) bool) {
	if r == AsCType {
		for _, c := range cTypes {
			if t, leaves := nativeType(c.letter); !yield(plainSpelling{"", c.name, t, leaves, nativeOrder}) {
				return
			}
		}
		return
	}
	for i := range plainTypes {
		t := &plainTypes[i]
		if (r == AsFormat || r == AsElement) && !t.formats(yield) {
			return
		}
		if (r == AsTypestr || r == AsElement) && !t.typestrs(yield) {
			return
		}
	}
}

// formats yields the formats that mean t; false to end.
func (t *plainType) formats(yield func(plainSpelling) bool) bool {
	for _, letter := range t.own {
		if !yield(plainSpelling{"", letter, t, letter, nativeOrder}) {
			return false
		}
	}
	for _, letter := range t.other {
		if !yield(plainSpelling{"", letter, t, t.own[0], nativeOrder}) {
			return false
		}
	}
	for _, letter := range t.standard {
		if !yield(plainSpelling{"<", letter, t, t.own[0], littleEndian}) ||
			!yield(plainSpelling{">", letter, t, t.own[0], bigEndian}) {
			return false
		}
	}
	return true
}

// typestrs yields the typestrs that mean t; false to end.
func (t *plainType) typestrs(yield func(plainSpelling) bool) bool {
	in := func(prefix string, order byte) bool {
		return yield(plainSpelling{prefix, t.typestr, t, t.own[0], order})
	}
	if !in("", nativeOrder) {
		return false
	}
	switch {
	case t.size == 1:
		return in("|", nativeOrder)
	case t.standard == nil:
		return in(string([]byte{nativeOrder}), nativeOrder)
	}
	return in("<", littleEndian) && in(">", bigEndian)
}
