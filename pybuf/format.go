package pybuf

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParseFormat reads a PEP 3118 format of one element, as the struct module,
// NumPy, ctypes and Cython write it: "d", "<i", "5s", "(2,3)d",
// "T{<i:id:4x<d:price:}".
//
// A prefix says which sizes, which byte order and what alignment hold from
// there on: none and '@' mean C's sizes, the host's order, and items where C
// would put them; '^' the same without alignment; '=' the host's order, '<'
// little-endian and '>' or '!' big-endian order, with standard sizes and no
// alignment (l is 4 bytes, q is 8; n, N, P and g have none). Before the letter
// may stand the extents of a sub-array and a count, behind it a :name:. Spaces
// between items mean nothing.
//
// Several items without braces, as struct packs them, are a record that ends
// with its last item; one in braces is padded to its alignment where '@'
// holds, as C does. Items with no name are called f0, f1, ... as NumPy calls
// them. A count of 0 is an item of no bytes, which is no field without a name
// and aligns what follows where C's rules hold. A lone "8x" is raw bytes, and
// pads beside other items.
//
// The Format of the answer is the one to export, see [Element].
//
// Errors: ErrValue for what is malformed, with the index (from 0) of the
// fault; ErrType for what is well formed and refused, with the field that has
// it: objects, pointers, bits, Pascal strings, UCS-2, items of no bytes.
// ErrOverflow for records of more bytes than there are addresses.
func ParseFormat(format string) (Element, error) {
	return answerOf(parseFormat(format, nativeOrder))
}

// ParseExported reads the format that an exporter gave together with the
// bytes of its items. The size decides where formats of the wild differ: pad
// bytes that a format leaves out behind the last field; whether C's alignment
// is to be added to a format with native letters or is written out in it
// already, as NumPy does; the pads that ctypes leaves out before Python 3.12;
// where Cython's '^' ends.
//
// Errors: as [ParseFormat], and ErrValue if the format cannot have this size.
func ParseExported(format string, itemSize int) (Element, error) {
	return answerOf(parseExported(format, itemSize, nativeOrder))
}

// answerOf makes the error of the package an error of the language: a nil
// *Error in an error is not nil.
func answerOf(e Element, err *Error) (Element, error) {
	if err != nil {
		return Element{}, err
	}
	return e, nil
}

func parseFormat(format string, native byte) (Element, *Error) {
	it, _, err := readFormat(format, native, asWritten)
	if err != nil {
		return Element{}, err
	}
	return it.leave("format "+quote(format), native)
}

func parseExported(format string, itemSize int, native byte) (Element, *Error) {
	spelled := "format " + quote(format)
	it, seen, err := readFormat(format, native, asWritten)
	if err != nil {
		return Element{}, err
	}
	if other := seen.instead(native); it.record && (seen.pads || it.bytes() != itemSize) {
		// Pads that come behind the last field may be missing in any manner; the
		// two that are rare must explain the size to the byte.
		if read, seen, err := readFormat(format, native, other); err == nil && !seen.misaligned &&
			(other == tight && read.bytes() <= itemSize || read.bytes() == itemSize) {
			it = read
		}
	}
	if it.record && it.dims == nil && it.used() <= itemSize {
		it.size = itemSize // the rest is padding that nobody wrote
		it.alignRecord()
	}
	if size := it.bytes(); size != itemSize {
		return Element{}, fail(ErrValue, spelled, " has items of ", strconv.Itoa(size),
			" bytes, and the exporter says that its items have ", strconv.Itoa(itemSize), " bytes")
	}
	return it.leave(spelled, native)
}

// instead is the manner in which a format may have been written that does not
// have the size that its exporter says.
func (s sightings) instead(native byte) manner {
	switch {
	case s.pads:
		return tight // whoever writes pads may have written all of them
	case s.modes == modeBit(native):
		return padless
	case s.modes&modeBit('^') != 0 && s.modes&^modeBit('^', '@') == 0:
		return scoped
	}
	return tight
}

// refusedLetters are the letters that PEP 3118 knows and this package refuses.
// What is malformed is told from them first.
var refusedLetters = [...]struct{ letter, meaning string }{
	{"O", "objects, whose items are references that only their owner can count; lend the data itself, as a plain type"},
	{"p", `Pascal strings, which NumPy and memoryview cannot read; lend them as byte strings, "s" with the same count`},
	{"u", `UCS-2 characters, which NumPy cannot read (and ctypes writes for characters of 4 bytes); lend them as "H" or as "w"`},
	{"t", `bits, which no consumer reads; lend the bytes that hold them, as "B"`},
}

const (
	meansPointers  = "pointers, which hold only in one process; lend what they point to"
	meansFunctions = "pointers to functions, which hold only in one process"
)

// depthMax is how deep records may nest: far more than anybody writes, and few
// enough for every stack.
const depthMax = 64

// A formatParser takes a format apart.
type formatParser struct {
	text   string
	at     int // index of the next byte
	native byte
	mode   byte // the prefix that holds, 0 before the first
	depth  int
	count  int // items that are fields, those of all records
	manner manner
	seen   sightings

	refused *refusal
}

// A manner is how a writer of formats understands the rules.
type manner int

const (
	// asWritten is the manner of PEP 3118 and of the struct module.
	asWritten manner = iota
	// tight takes all pads to be written out: no item is moved to where C
	// would put it. NumPy does so.
	tight
	// padless takes no pad to be written although a prefix says that there is
	// no alignment: items are where C puts them. ctypes does so before Python
	// 3.12, with the host's order before each item.
	padless
	// scoped takes a prefix to hold to the end of its record, and not in the
	// records inside of it. Cython does so, with '^' before each item of a
	// packed record.
	scoped
)

// sightings are what a reading shows of the manner in which it was written.
type sightings struct {
	pads       bool // pad bytes were written
	misaligned bool // an item does not lie where C puts it, and '@' says so
	modes      uint // the prefixes that held at some item
}

// modeBit is the set of prefixes; none and '@' are the same.
func modeBit(prefixes ...byte) (set uint) {
	for _, c := range prefixes {
		set |= 1 << (uint(strings.IndexByte("@^=<>!", c)) & 7)
	}
	return set
}

// A refusal is what a format means that is not taken, and where.
type refusal struct{ field, meaning string }

// readFormat reads the whole of a format.
func readFormat(format string, native byte, m manner) (*item, sightings, *Error) {
	p := formatParser{text: format, native: native, manner: m}
	r, err := p.items(false, 0)
	if err != nil {
		return nil, p.seen, err
	}
	if p.refused != nil {
		return nil, p.seen, p.refused.err("format " + quote(format))
	}
	return r.whole(native), p.seen, nil
}

func (r *refusal) err(spelled string) *Error {
	if r.field != "" {
		return fail(ErrType, spelled, ": field ", quote(r.field), " is of ", r.meaning)
	}
	return fail(ErrType, spelled, " means ", r.meaning)
}

// items reads items to the end of the text, or to the brace that closes them.
// base is where they begin in the whole element, in bytes.
func (p *formatParser) items(braces bool, base int) (*gathering, *Error) {
	g := &gathering{align: 1}
	opened := p.at
	for {
		p.spaces()
		if p.at == len(p.text) {
			if braces {
				p.at = opened - 1
				return nil, p.malformed("is closed by no }")
			}
			if g.entries == 0 {
				return nil, fail(ErrValue, "format ", quote(p.text), ` is empty; write a letter such as "d"`)
			}
			return g, nil
		}
		if braces && p.text[p.at] == '}' {
			p.at++
			if p.aligns() && !g.pad(-g.end&(g.align-1)) {
				return nil, p.tooLong()
			}
			return g, nil
		}
		if err := p.entry(g, base); err != nil {
			return nil, err
		}
	}
}

// entry reads one item with its name and puts it where it belongs.
func (p *formatParser) entry(g *gathering, base int) *Error {
	refusedBefore := p.refused != nil
	e, err := p.item(base + g.end)
	if err != nil {
		return err
	}
	name, named, err := p.name()
	if err != nil {
		return err
	}
	if p.refused != nil && !refusedBefore && (named || p.depth > 0) {
		p.refused.inside(name)
	}
	it := &e.item
	g.entries++
	if p.aligns() {
		if !g.pad(-g.end & (it.align - 1)) {
			return p.tooLong()
		}
		g.align = max(g.align, it.align)
	} else if p.manner == tight && p.asC() && !it.record && (base+g.end)&(it.align-1) != 0 {
		p.seen.misaligned = true
	}
	switch {
	case it.text == 'x' && !named && it.dims == nil:
		p.seen.pads = true
		g.pads = true
		if !g.pad(it.count) {
			return p.tooLong()
		}
		return nil
	case e.none && !named:
		// "0l": struct's way to align the end.
		g.pads = true
		return nil
	}
	if name != "" {
		if fault := nameFault(name); fault != "" {
			return fail(ErrValue, "format ", quote(p.text), ": field ", quote(name), " ", fault)
		}
		if g.names[name] {
			return fail(ErrValue, "format ", quote(p.text), " has two fields ", quote(name))
		}
	}
	if p.count++; p.count > fieldsMax+1 { // a record is one itself
		return fail(ErrValue, "format ", quote(p.text), " has more than ", strconv.Itoa(fieldsMax), " items")
	}
	if !g.add(name, it) {
		return p.tooLong()
	}
	return nil
}

func (r *refusal) inside(name string) {
	if name == "" {
		name = "(unnamed)"
	}
	if r.field != "" {
		name += "." + r.field
	}
	r.field = name
}

// A spelledItem is an item as it was read.
type spelledItem struct {
	item
	none bool // it is said to come 0 times
}

// item reads what may stand before a letter, and the letter or what is in
// braces. start is where it would begin if nothing moves it.
func (p *formatParser) item(start int) (e spelledItem, err *Error) {
	var extents []int
	count, prefixed := -1, false
	for ; p.at < len(p.text); p.at++ {
		switch c := p.text[p.at]; {
		case strings.IndexByte("@^=<>!", c) >= 0:
			if prefixed {
				return e, p.malformed("is a second prefix")
			}
			prefixed, p.mode = true, c
		case c == '&':
			p.refuse(meansPointers)
		case isDigit(c):
			if count >= 0 {
				return e, p.malformed("begins a second count")
			}
			if count, err = p.number(); err != nil {
				return e, err
			}
			p.at--
		case c == '(':
			more, err := p.extents()
			if err != nil {
				return e, err
			}
			extents = append(extents, more...) // NumPy writes "(3)(2,2)d"
			p.at--
		default:
			return p.counted(start, extents, count)
		}
	}
	return e, p.ends("without the letter of a type")
}

// counted reads the letter and applies what stood before it.
func (p *formatParser) counted(start int, extents []int, count int) (e spelledItem, err *Error) {
	it, err := p.letter(start)
	if err != nil {
		return e, err
	}
	e.item = it
	switch {
	case it.text != 0:
		if count >= 0 {
			e.count = count
		}
		if it.text == 's' && e.count == 1 {
			// A byte string of one byte is the character; so NumPy spells it.
			t, letter := nativeType("c")
			e.item = plainItem(t, letter, p.native)
		}
	case count >= 0 && count != 1:
		extents = append(extents, count)
		e.none = count == 0
	}
	switch err := e.repeat(extents); {
	case err == nil:
		return e, nil
	case err.Kind == ErrOverflow:
		return e, p.tooLong()
	default:
		return e, fail(err.Kind, "format ", quote(p.text), " has ", err.Text)
	}
}

// letter reads the letter of a type, or braces.
func (p *formatParser) letter(start int) (it item, err *Error) {
	if p.text[p.at] != 'T' {
		p.seen.modes |= modeBit(p.prefix())
	}
	rest := p.text[p.at:]
	n := 1
	switch rest[0] {
	case 'T':
		return p.braces(start)
	case 'X':
		return item{size: pointerSize, align: pointerSize}, p.function()
	case 'Z':
		if len(rest) < 2 || strings.IndexByte("fdg", rest[1]) < 0 {
			return it, p.malformed(`begins a complex number, "Zf", "Zd" or "Zg"`)
		}
		n = 2
	}
	letter := rest[:n]
	for _, r := range refusedLetters {
		if r.letter == letter {
			p.refuse(r.meaning)
			p.at += n
			return item{size: 1, align: 1}, nil
		}
	}
	if t := findText(letter[0]); t != nil && n == 1 {
		it = item{text: t.letter, size: t.unit, count: 1, align: t.align, order: p.order()}
		p.at += n
		return it, nil
	}
	t, leaves := nativeType(letter)
	if t == nil {
		return it, p.malformed("is no letter of a type")
	}
	// ctypes puts an order before long doubles, too, which have C's size only.
	if standard := standardType(letter); !p.nativeSizes() && (t.standard != nil || p.order() != p.native) {
		if t = standard; t == nil {
			return it, p.malformed("has no standard size; write it without " + quote(string([]byte{p.mode})))
		}
		leaves = t.own[0]
	}
	p.at += n
	return plainItem(t, leaves, p.order()), nil
}

// braces reads T{...}.
func (p *formatParser) braces(start int) (it item, err *Error) {
	if !strings.HasPrefix(p.text[p.at:], "T{") {
		return it, p.malformed("needs braces behind it")
	}
	if p.depth == depthMax {
		return it, p.malformed("opens more than " + strconv.Itoa(depthMax) + " records inside of one another")
	}
	outside := p.mode
	if p.manner == scoped {
		p.mode = 0
	}
	p.depth++
	p.at += 2
	g, err := p.items(true, start)
	p.depth--
	if p.manner == scoped {
		p.mode = outside
	}
	if err != nil {
		return it, err
	}
	return *g.recordItem(), nil
}

// function reads X{...}, whatever is in it.
func (p *formatParser) function() *Error {
	if !strings.HasPrefix(p.text[p.at:], "X{") {
		return p.malformed("needs braces behind it")
	}
	p.refuse(meansFunctions)
	open := 0
	for i := p.at + 1; i < len(p.text); i++ {
		switch p.text[i] {
		case '{':
			open++
		case '}':
			if open--; open == 0 {
				p.at = i + 1
				return nil
			}
		}
	}
	return p.malformed("is closed by no }")
}

// name reads a :name:, if there is one.
func (p *formatParser) name() (name string, named bool, err *Error) {
	if p.at == len(p.text) || p.text[p.at] != ':' {
		return "", false, nil
	}
	n := strings.IndexByte(p.text[p.at+1:], ':')
	if n < 0 {
		return "", false, p.malformed("begins a name that no : ends")
	}
	name = p.text[p.at+1 : p.at+1+n]
	p.at += n + 2
	return name, true, nil
}

// extents reads "(2,3)".
func (p *formatParser) extents() ([]int, *Error) {
	opened := p.at
	list := []int{}
	for p.at++; p.at < len(p.text) && isDigit(p.text[p.at]); p.at++ {
		n, err := p.number()
		if err != nil {
			return nil, err
		}
		list = append(list, n)
		if p.at < len(p.text) && p.text[p.at] == ')' {
			p.at++
			return list, nil
		}
		if p.at == len(p.text) || p.text[p.at] != ',' {
			break
		}
	}
	p.at = opened
	return nil, p.malformed("opens no list of extents such as (2,3)")
}

// number reads digits, of which there is one at least.
func (p *formatParser) number() (int, *Error) {
	from := p.at
	for p.at < len(p.text) && isDigit(p.text[p.at]) {
		p.at++
	}
	n, err := strconv.Atoi(p.text[from:p.at])
	if err != nil {
		return 0, fail(ErrOverflow, "format ", quote(p.text), ": ", quote(p.text[from:p.at]), " at index ",
			strconv.Itoa(from), " is more than ", maxInt)
	}
	return n, nil
}

func (p *formatParser) spaces() {
	for p.at < len(p.text) && strings.IndexByte(" \t\n\v\f\r", p.text[p.at]) >= 0 {
		p.at++
	}
}

// prefix is the one that holds, where there is none '@'.
func (p *formatParser) prefix() byte {
	if p.mode == 0 {
		return '@'
	}
	return p.mode
}

// asC tells whether items lie where C puts them.
func (p *formatParser) asC() bool { return p.prefix() == '@' }

// aligns tells whether items are to be moved there.
func (p *formatParser) aligns() bool {
	return p.asC() && p.manner != tight || p.manner == padless
}

// nativeSizes tells whether C's sizes hold.
func (p *formatParser) nativeSizes() bool { return p.asC() || p.mode == '^' }

// order is the byte order that holds.
func (p *formatParser) order() byte {
	switch p.mode {
	case '<':
		return littleEndian
	case '>', '!':
		return bigEndian
	}
	return p.native
}

func (p *formatParser) refuse(meaning string) {
	if p.refused == nil {
		p.refused = &refusal{meaning: meaning}
	}
}

// malformed is the error for the character that comes next.
func (p *formatParser) malformed(fault string) *Error {
	_, n := utf8.DecodeRuneInString(p.text[p.at:])
	c := quote(p.text[p.at : p.at+n])
	return fail(ErrValue, "format ", quote(p.text), ": ", c, " at index ", strconv.Itoa(p.at), " ", fault)
}

func (p *formatParser) ends(fault string) *Error {
	return fail(ErrValue, "format ", quote(p.text), " ends at index ", strconv.Itoa(len(p.text)), " ", fault)
}

func (p *formatParser) tooLong() *Error {
	return fail(ErrOverflow, "format ", quote(p.text), " is of items of more than ", maxInt, " bytes")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
