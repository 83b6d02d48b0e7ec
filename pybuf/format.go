package pybuf

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseFormat reads a PEP 3118 format of one plain element, as the struct
// module and NumPy write it: "d", "<i", "Zd".
//
// An optional prefix says which sizes and which byte order: none, '@' or '^'
// mean C's sizes and the host's order; '=' the host's, '<' little-endian and
// '>' or '!' big-endian order, with standard sizes (l is 4 bytes, q is 8; n, N
// and P have none). The Format of the answer is the one to export, see
// [Element].
//
// Errors: ErrValue for what is malformed, with the index (from 0) of the
// fault; ErrType for what is well formed and refused: objects, pointers, and,
// by this version, records, sub-arrays, strings, bits, padding and long
// doubles.
func ParseFormat(format string) (Element, error) {
	e, err := parseFormat(format, nativeOrder)
	if err != nil {
		return Element{}, err
	}
	return e, nil
}

// refusedLetters are the letters that PEP 3118 knows and this package refuses.
// What is malformed is told from them first, so that "uint8" is no u.
var refusedLetters = [...]struct{ letter, meaning string }{
	{"O", "objects, whose items are references that only their owner can count; lend the data itself, as a plain type"},
	{"s", "byte strings" + byThisVersion + `; lend them as "B" with the length as a last axis`},
	{"p", "Pascal strings" + byThisVersion + `; lend them as "B" with the length as a last axis`},
	{"u", "UCS-2 characters" + byThisVersion + `; lend them as "H"`},
	{"w", "UCS-4 characters" + byThisVersion + `; lend them as "I"`},
	{"x", "pad bytes" + byThisVersion + ` outside of records; lend them as "B"`},
	{"t", "bits" + byThisVersion + `; lend the bytes that hold them, as "B"`},
	{"g", "long doubles" + byThisVersion + `; convert them to "d"`},
	{"Zg", "complex long doubles" + byThisVersion + `; convert them to "Zd"`},
}

const byThisVersion = ", not supported by this version"

func parseFormat(format string, native byte) (Element, *Error) {
	p := formatParser{text: format}
	if err := p.scan(); err != nil {
		return Element{}, err
	}
	if p.refused != "" {
		return Element{}, fail(ErrType, "format ", quote(format), " means ", p.refused)
	}
	order := native
	switch p.prefix {
	case 0, '@', '^':
		t, leaves := nativeType(p.letter)
		return t.element(leaves, native, native), nil
	case '<':
		order = littleEndian
	case '>', '!':
		order = bigEndian
	}
	t := standardType(p.letter)
	return t.element(t.own[0], order, native), nil
}

// A formatParser takes a format apart: modifiers, then one item, then the end.
type formatParser struct {
	text string
	at   int // index of the next byte

	prefix  byte   // byte order and sizes, 0 if there is none
	once    bool   // the item is said to come one time, "1s"
	letter  string // of a plain type that has a size under the prefix
	refused string // what is refused about a well-formed format, "" if nothing
}

// scan fills the parser, or says where the format is malformed.
func (p *formatParser) scan() *Error {
	if p.text == "" {
		return fail(ErrValue, `format "" is empty; write a letter such as "d"`)
	}
	if err := p.modifiers(); err != nil {
		return err
	}
	if p.at == len(p.text) {
		return fail(ErrValue, "format ", quote(p.text), " ends at index ", strconv.Itoa(p.at), " without the letter of a type")
	}
	if err := p.item(); err != nil {
		return err
	}
	if p.at < len(p.text) {
		return p.malformed("stands behind a complete format")
	}
	return nil
}

// modifiers reads all that may stand before an item.
func (p *formatParser) modifiers() *Error {
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case strings.IndexByte("@^=<>!", c) >= 0:
			if p.prefix != 0 {
				return p.malformed("is a second prefix")
			}
			p.prefix = c
		case c == '&':
			p.once = false
			p.refused = "pointers, which hold only in one process; lend what they point to"
		case isDigit(c):
			from := p.at
			for p.at+1 < len(p.text) && isDigit(p.text[p.at+1]) {
				p.at++
			}
			p.once = p.refused == "" && p.text[from:p.at+1] == "1"
			p.refused = "a repeated item" + byThisVersion + "; give the count as the last extent of the shape"
		case c == '(':
			n := shapeLen(p.text[p.at:])
			if n == 0 {
				return p.malformed("opens no list of extents such as (2,3)")
			}
			p.at += n - 1
			p.once = false
			p.refused = "a sub-array" + byThisVersion + "; give its extents as the last extents of the shape"
		default:
			return nil
		}
	}
	return nil
}

// item reads one item: the letter of a type, or what stands in braces.
func (p *formatParser) item() *Error {
	rest := p.text[p.at:]
	n := 1
	switch rest[0] {
	case 'T', 'X':
		return p.braces()
	case 'Z':
		if len(rest) < 2 || strings.IndexByte("fdg", rest[1]) < 0 {
			return p.malformed(`begins a complex number, "Zf" or "Zd"`)
		}
		n = 2
	}
	letter := rest[:n]
	if letter == "s" && (p.refused == "" || p.once) {
		// A byte string of one byte is the character; so NumPy spells it.
		p.refused, p.letter = "", "c"
		p.at += n
		return nil
	}
	for _, r := range refusedLetters {
		if r.letter == letter {
			p.refused = r.meaning
			p.at += n
			return nil
		}
	}
	if t, _ := nativeType(letter); t == nil {
		return p.malformed("is no letter of a type")
	}
	if !p.nativeSizes() && standardType(letter) == nil {
		return p.malformed("has no standard size; write it without " + quote(string([]byte{p.prefix})))
	}
	p.letter = letter
	p.at += n
	return nil
}

func (p *formatParser) nativeSizes() bool {
	return p.prefix == 0 || p.prefix == '@' || p.prefix == '^'
}

// braces reads T{} and X{}, whatever is in them.
func (p *formatParser) braces() *Error {
	rest := p.text[p.at:]
	if !strings.HasPrefix(rest[1:], "{") || !strings.HasSuffix(rest, "}") {
		return p.malformed("needs braces behind it, up to the end")
	}
	p.refused = "records" + byThisVersion + "; lend each field, or the bytes of each record"
	if rest[0] == 'X' {
		p.refused = "pointers to functions, which hold only in one process"
	}
	p.at = len(p.text)
	return nil
}

// malformed is the error for the character that comes next.
func (p *formatParser) malformed(fault string) *Error {
	_, n := utf8.DecodeRuneInString(p.text[p.at:])
	c := quote(p.text[p.at : p.at+n])
	return fail(ErrValue, "format ", quote(p.text), ": ", c, " at index ", strconv.Itoa(p.at), " ", fault)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// shapeLen is the length of the list of extents that s begins with, brackets
// included: digits, with one comma between. 0 if it is none.
func shapeLen(s string) int {
	digits := 0
	for i := 1; i < len(s); i++ {
		switch {
		case isDigit(s[i]):
			digits++
		case digits == 0:
			return 0
		case s[i] == ')':
			return i + 1
		case s[i] != ',':
			return 0
		default:
			digits = 0
		}
	}
	return 0
}
