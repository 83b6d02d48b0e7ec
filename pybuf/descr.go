package pybuf

import (
	"strconv"
	"strings"
)

// ParseDescr reads an element type whose structure is known, such as a NumPy
// dtype's, in a spelling that leaves nothing to rules of alignment and takes
// any name:
//
//	type   = typestr ";"
//	       | "(" extents ")" type
//	       | "{" size ":" fields "}"
//	fields = { offset ":" length of the name ":" name type }
//
// Numbers are decimal; sizes, offsets and lengths are bytes. So
// "{16:0:2:id<i4;8:5:price(2)<f4;}" is a record of 16 bytes with an int at 0
// and two floats at 8.
//
// Errors: ErrValue for what is malformed and for records that [Record] would
// not make; ErrType for types that are refused, with the field that has them;
// ErrOverflow for items of more bytes than there are addresses.
func ParseDescr(descr string) (Element, error) {
	return answerOf(parseDescr(descr, nativeOrder))
}

func parseDescr(descr string, native byte) (Element, *Error) {
	p := descrParser{text: descr, native: native}
	it, err := p.item()
	if err != nil {
		return Element{}, p.inField(err)
	}
	if p.at != len(p.text) {
		return Element{}, p.malformed()
	}
	spelled := "the type"
	if typestr := descr[:len(descr)-1]; !it.record && it.dims == nil {
		spelled = "typestr " + quote(typestr)
	}
	return it.leave(spelled, native)
}

// A descrParser reads a descr.
type descrParser struct {
	text   string
	at     int // index of the next byte
	native byte
	path   []string // the fields that are being read, outermost first
}

func (p *descrParser) item() (*item, *Error) {
	switch {
	case p.skip('{'):
		return p.record()
	case p.skip('('):
		return p.subArray()
	}
	n := strings.IndexByte(p.text[p.at:], ';')
	if n < 0 {
		return nil, p.malformed()
	}
	typestr := p.text[p.at : p.at+n]
	p.at += n + 1
	it, meaning, err := readTypestr(typestr, p.native)
	if meaning != "" {
		err = fail(ErrType, "typestr ", quote(typestr), " means ", meaning)
	}
	return &it, err
}

func (p *descrParser) subArray() (*item, *Error) {
	extents := []int{}
	for {
		n, ok := p.number()
		if !ok {
			return nil, p.malformed()
		}
		extents = append(extents, n)
		if p.skip(')') {
			break
		}
		if !p.skip(',') {
			return nil, p.malformed()
		}
	}
	it, err := p.item()
	if err != nil {
		return nil, err
	}
	return it, it.repeat(extents)
}

func (p *descrParser) record() (*item, *Error) {
	if len(p.path) >= depthMax {
		return nil, fail(ErrValue, "more than ", strconv.Itoa(depthMax), " records inside of one another")
	}
	size, ok := p.number()
	if !ok || !p.skip(':') {
		return nil, p.malformed()
	}
	r := recordBuilder{size: size}
	for !p.skip('}') {
		if err := p.field(&r); err != nil {
			return nil, err
		}
	}
	return r.done()
}

func (p *descrParser) field(r *recordBuilder) *Error {
	offset, ok := p.number()
	if !ok || !p.skip(':') {
		return p.malformed()
	}
	length, ok := p.number()
	if !ok || !p.skip(':') || length > len(p.text)-p.at {
		return p.malformed()
	}
	name := p.text[p.at : p.at+length]
	p.at += length
	p.path = append(p.path, name)
	it, err := p.item()
	if err != nil {
		return err
	}
	p.path = p.path[:len(p.path)-1]
	return r.add(name, offset, it)
}

// inField puts before an error the field whose type it is about.
func (p *descrParser) inField(err *Error) *Error {
	if len(p.path) == 0 {
		return err
	}
	return fail(err.Kind, "field ", quote(strings.Join(p.path, ".")), ": ", err.Text)
}

// number reads digits; false if there are none, or too many.
func (p *descrParser) number() (int, bool) {
	from := p.at
	for p.at < len(p.text) && isDigit(p.text[p.at]) {
		p.at++
	}
	n, err := strconv.Atoi(p.text[from:p.at])
	return n, err == nil
}

// skip passes over c, if it is what comes next.
func (p *descrParser) skip(c byte) bool {
	if p.at == len(p.text) || p.text[p.at] != c {
		return false
	}
	p.at++
	return true
}

func (p *descrParser) malformed() *Error {
	return fail(ErrValue, "descr ", quote(p.text), " is malformed at index ", strconv.Itoa(p.at))
}
