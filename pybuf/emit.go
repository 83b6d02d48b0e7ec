package pybuf

import (
	"strconv"
	"strings"
)

// leave is the item as an Element, if it may be one: an item of a Buffer has
// bytes, and its format can be read again. spelled begins the sentence.
func (it *item) leave(spelled string, native byte) (Element, *Error) {
	depth, fields := it.extent()
	switch {
	case depth > depthMax:
		return Element{}, fail(ErrValue, spelled, " has more than ", strconv.Itoa(depthMax), " records inside of one another")
	case fields > fieldsMax:
		return Element{}, fail(ErrValue, spelled, " has more than ", strconv.Itoa(fieldsMax), " fields")
	}
	if it.bytes() == 0 {
		advice := ""
		if it.text != 0 && it.count == 0 {
			advice = `; write how many, such as "S5"`
		}
		return Element{}, fail(ErrType, spelled, " means items of 0 bytes; an item of a Buffer has 1 byte or more", advice)
	}
	return it.element(native), nil
}

// element is the item with its name at each door.
func (it *item) element(native byte) Element {
	e := Element{
		ItemSize: it.bytes(), Align: it.align, Format: it.format(native), Typestr: it.typestr(native),
		DLPackCode: DLPackNone,
	}
	if it.plain == nil || it.dims != nil || it.order != native && it.plain.size > 1 {
		return e
	}
	e.Arrow = it.plain.arrow
	if it.plain.dlpack != DLPackNone {
		e.DLPackCode, e.DLPackBits = it.plain.dlpack, 8*it.plain.size
	}
	return e
}

// typestr is the array interface's name of the item.
func (it *item) typestr(native byte) string {
	switch {
	case it.dims != nil || it.record || it.text == 'x':
		return "|V" + strconv.Itoa(it.bytes())
	case it.plain != nil && it.plain.size == 1:
		return "|" + it.plain.typestr
	case it.plain != nil:
		return string([]byte{it.order}) + it.plain.typestr
	}
	t := findText(it.text)
	order := it.order
	if t.unit == 1 {
		order = '|'
	}
	return string([]byte{order, t.kind}) + strconv.Itoa(it.count)
}

// format is the PEP 3118 format of the item, as it is exported.
func (it *item) format(native byte) string {
	var b strings.Builder
	it.writeExtents(&b)
	switch {
	case it.record:
		it.writeRecord(&b, native)
	case it.text != 0:
		if it.order != native && findText(it.text).unit > 1 {
			b.WriteByte(it.order)
		}
		it.writeText(&b)
	case it.order != native && it.plain.size > 1:
		b.WriteByte(it.order)
		b.WriteString(it.plain.standard[0])
	default:
		b.WriteString(it.letter)
	}
	return b.String()
}

func (it *item) writeExtents(b *strings.Builder) {
	for i, n := range it.dims {
		b.WriteByte("(,"[min(i, 1)])
		b.WriteString(strconv.Itoa(n))
	}
	if it.dims != nil {
		b.WriteByte(')')
	}
}

func (it *item) writeText(b *strings.Builder) {
	if it.text == 's' && it.count == 1 {
		b.WriteByte('c')
		return
	}
	if it.count != 1 || it.text == 'x' {
		b.WriteString(strconv.Itoa(it.count))
	}
	b.WriteByte(it.text)
}

// writeRecord writes a record so that nothing is left to the rules by which
// readers differ: the order of each field, each pad byte, each name.
func (it *item) writeRecord(b *strings.Builder, native byte) {
	b.WriteString("T{")
	end := 0
	for i := range it.fields {
		f := &it.fields[i]
		writePads(b, f.offset-end)
		f.item.writeField(b, native)
		b.WriteByte(':')
		b.WriteString(f.name)
		b.WriteByte(':')
		end = f.offset + f.item.bytes()
	}
	writePads(b, it.size-end)
	b.WriteByte('}')
}

func writePads(b *strings.Builder, n int) {
	if n > 0 {
		b.WriteString(strconv.Itoa(n))
		b.WriteByte('x')
	}
}

func (it *item) writeField(b *strings.Builder, native byte) {
	it.writeExtents(b)
	switch {
	case it.record:
		it.writeRecord(b, native)
	case it.text != 0:
		b.WriteByte(it.fieldOrder(findText(it.text).unit, native))
		it.writeText(b)
	case it.plain.standard == nil:
		// No standard size: C's size, and no alignment.
		b.WriteByte('^')
		b.WriteString(it.letter)
	default:
		b.WriteByte(it.fieldOrder(it.plain.size, native))
		b.WriteString(it.plain.standard[0])
	}
}

// fieldOrder is the order that a field is written with. Single bytes have
// none: they get the host's, so that a type has one spelling.
func (it *item) fieldOrder(unit int, native byte) byte {
	if unit == 1 {
		return native
	}
	return it.order
}
