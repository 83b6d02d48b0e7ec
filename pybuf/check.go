//go:build cgo && !pyext

package pybuf

import (
	"slices"
	"strconv"
	"strings"
	"unsafe"
)

// check.go reads descriptors of others: whether they are what they should be,
// and what was asked for.

// takeDescriptor takes over what is at an address, if it is a descriptor.
func takeDescriptor(address uintptr) (*descriptor, error) {
	if address == 0 || address%unsafe.Alignof(descriptor{}) != 0 {
		return nil, fail(ErrValue, "0x", strconv.FormatUint(uint64(address), 16),
			" is not the address of a descriptor; give what pybuf.lend or Export gave")
	}
	doubtful := isDoubtful(address)
	if doubtful && !isReadable(address) {
		return nil, fail(ErrValue, "there is no memory at 0x", strconv.FormatUint(uint64(address), 16),
			"; give what pybuf.lend or Export gave, whole: ctypes cuts a plain int to 32 bits, and passes what pybuf.lend gives as it is")
	}
	d := descriptorAt(address)
	// What is no descriptor may be read-only, so that taking it would fault.
	if doubtful && !d.untaken() || !d.take() {
		if by := releasedBefore(d); by != "" {
			reportMisuse(by)
			return nil, fail(ErrValue, by)
		}
		return nil, fail(ErrValue, "there is no descriptor at 0x", strconv.FormatUint(uint64(address), 16),
			", or it was taken before; each can be taken once")
	}
	if d.release == 0 {
		d.putBack()
		return nil, fail(ErrValue, "the descriptor has no release function, so nobody could give its memory back; its maker has to give one")
	}
	return d, nil
}

// layout is what the descriptor says of its memory; an error if it cannot say
// it, or is somebody else's error.
func (d *descriptor) layout() (l Layout, err error) {
	switch {
	case d.version == 0 || d.version > descriptorVersion:
		return l, fail(ErrValue, "the descriptor is of version ", strconv.Itoa(int(d.version)), ", and this library knows ",
			strconv.Itoa(descriptorVersion), "; use a newer one")
	case d.flags&^flagsKnown != 0:
		return l, fail(ErrValue, "the descriptor has flags that this library does not know (",
			strconv.Itoa(int(d.flags)), "); use a newer one")
	case d.flags&flagProcess != 0 && d.pid <= 0:
		return l, fail(ErrValue, "the descriptor is bound to a process, and says that this is number ", strconv.Itoa(int(d.pid)),
			"; its maker has to give its own")
	case d.flags&flagError != 0:
		return l, d.error()
	case d.ndim < 0 || d.ndim > MaxNDim:
		return l, CheckNDim(int(d.ndim))
	case d.ndim > 0 && d.shape == 0:
		return l, fail(ErrValue, "the descriptor has ", strconv.Itoa(int(d.ndim)), " axes and no shape; its maker has to give one")
	}
	return Layout{
		ItemSize:   int(d.itemSize),
		Shape:      d.numbers(d.shape),
		Strides:    d.numbers(d.strides),
		Suboffsets: d.numbers(d.suboffsets),
	}, nil
}

// error is the error that an ERROR descriptor stands for.
func (d *descriptor) error() error {
	kind := ErrRuntime
	if d.ndim > 0 && int(d.ndim) < len(kindOfCode) {
		kind = kindOfCode[d.ndim]
	}
	return fail(kind, strings.ToValidUTF8(d.text(), "\uFFFD"))
}

// check tells how many items of the Go type the memory holds, or why it cannot
// be had as a slice of them.
func (f *goFacts) check(d *descriptor, writable bool) (n int, err error) {
	if f.err != nil {
		return 0, f.err
	}
	l, err := d.layout()
	if err != nil {
		return 0, err
	}
	facts, err := l.Judge()
	if err != nil {
		return 0, err
	}
	if int64(facts.NBytes) != d.nbytes {
		return 0, fail(ErrValue, "the descriptor says ", strconv.FormatInt(d.nbytes, 10), " bytes, and its shape ",
			tuple(l.Shape), " of items of ", strconv.Itoa(l.ItemSize), " bytes has ", strconv.Itoa(facts.NBytes),
			"; its maker has to agree with itself")
	}
	if err := f.checkItems(d, l.Shape); err != nil {
		return 0, err
	}
	switch {
	case facts.Indirect:
		return 0, fail(ErrBuffer, "the rows lie in pieces of their own (suboffsets ", tuple(l.Suboffsets),
			"), which is no slice; lend a copy of them")
	case !facts.RowMajor:
		return 0, fail(ErrBuffer, "the items do not lie packed in C order (shape ", tuple(l.Shape), ", strides ", tuple(facts.Strides),
			"), which is no slice; lend a copy, such as numpy.ascontiguousarray makes")
	case writable && d.flags&flagReadOnly != 0:
		return 0, fail(ErrBuffer, "the memory is read-only, and Slice gives items that may be written; "+
			"use ReadSlice, or lend memory that may be changed")
	case facts.NBytes == 0:
		return 0, nil
	case d.data == 0 || d.data+uintptr(facts.NBytes) < d.data:
		return 0, fail(ErrValue, "the descriptor has ", strconv.Itoa(facts.NBytes), " bytes at 0x",
			strconv.FormatUint(uint64(d.data), 16), ", where there is no room for them; its maker has to give their address")
	}
	return facts.NBytes / f.size, nil
}

// checkPlace tells whether Go can use the items where they lie.
func (f *goFacts) checkPlace(d *descriptor, n int) error {
	if n == 0 || d.data%f.align == 0 {
		return nil
	}
	return fail(ErrBuffer, "the memory is at 0x", strconv.FormatUint(uint64(d.data), 16), ", and Go wants ", f.name,
		" at a multiple of ", strconv.Itoa(int(f.align)), "; lend a copy of it")
}

// checkItems tells whether the items are of the Go type.
func (f *goFacts) checkItems(d *descriptor, shape []int) error {
	var extents []int
	if text := d.text(); text != f.base.Format || int(d.itemSize) != f.base.ItemSize {
		e, err := ParseExported(strings.Clone(text), int(d.itemSize))
		if err != nil {
			return err
		}
		var base Element
		if extents, base = e.SubArray(); !base.same(f.base) {
			return f.otherItems(base)
		}
	}
	if len(f.extents) == 0 {
		return nil
	}
	all := slices.Concat(shape, extents)
	if at := len(all) - len(f.extents); at < 0 || !slices.Equal(all[at:], f.extents) {
		return fail(ErrType, "the memory has shape ", tuple(all), ", and []", f.name, " was asked for: the last axes have to be ",
			tuple(f.extents), "; ask for a slice of what the array is made of, or reshape it")
	}
	return nil
}

// same tells whether items are of one type, whatever letter their formats have
// for it.
func (e Element) same(other Element) bool {
	if e.Compound() || other.Compound() {
		return e.Format == other.Format
	}
	return e.Typestr == other.Typestr
}

func (f *goFacts) otherItems(e Element) error {
	asked := fail(ErrType, "the items are of format ", quote(e.Format), ", and []", f.name, " was asked for, whose items are of format ",
		quote(f.base.Format), "; ")
	switch swapped, ours := e.Typestr[1:] == f.base.Typestr[1:], e.goName(); {
	case e.Compound() || f.base.Compound():
		asked.Text += f.otherRecord(e)
	case swapped:
		asked.Text += "their byte order is not this machine's: lend a copy in its own, such as a.astype(" + quote(f.base.Format) + ")"
	case ours == "":
		asked.Text += "Go has no such type: lend a copy of another one, such as a.astype(" + quote(f.base.Format) + ")"
	default:
		asked.Text += "ask for []" + ours + ", or lend a copy, such as a.astype(" + quote(f.base.Format) + ")"
	}
	return asked
}

// otherRecord tells how records differ, of which a format shows too little: it
// is long, and cut.
func (f *goFacts) otherRecord(e Element) string {
	theirs, ours := e.Fields(), f.base.Fields()
	if ours == nil {
		return "they are records: lend a copy of one field, such as a[\"name\"].copy()"
	}
	if theirs == nil {
		return "they are no records: lend an array of such records"
	}
	agree := "fields have to agree in names, types and places: "
	for i, want := range ours {
		if i >= len(theirs) {
			return agree + "there is no field " + quote(want.Name)
		}
		switch have := theirs[i]; {
		case have.Name != want.Name:
			return agree + "there is a field " + quote(have.Name) + " where " + quote(want.Name) + " was asked for"
		case have.Element.Format != want.Element.Format:
			return agree + "field " + quote(want.Name) + " is of format " + quote(have.Element.Format) + ", and of " +
				quote(want.Element.Format) + " in Go"
		case have.Offset != want.Offset:
			return agree + "field " + quote(want.Name) + " lies at byte " + strconv.Itoa(have.Offset) + ", and at " +
				strconv.Itoa(want.Offset) + " in Go, as numpy.dtype(..., align=True) has it"
		}
	}
	if len(theirs) > len(ours) {
		return agree + "field " + quote(theirs[len(ours)].Name) + " was not asked for"
	}
	return agree + "a record has " + strconv.Itoa(e.ItemSize) + " bytes, and " + strconv.Itoa(f.base.ItemSize) +
		" in Go, as numpy.dtype(..., align=True) has it"
}

// goName is the Go type of plain items in this machine's byte order, "" if
// there is none.
func (e Element) goName() string {
	switch e.Format {
	case "?":
		return "bool"
	case "b":
		return "int8"
	case "B":
		return "uint8"
	case "h":
		return "int16"
	case "H":
		return "uint16"
	case "i":
		return "int32"
	case "I":
		return "uint32"
	case "l", "q":
		return "int64"
	case "L", "Q":
		return "uint64"
	case "f":
		return "float32"
	case "d":
		return "float64"
	case "Zf":
		return "complex64"
	case "Zd":
		return "complex128"
	}
	return ""
}
