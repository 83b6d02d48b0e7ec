package pybuf

import (
	"reflect"
	"strings"
)

// ElementOf is the element type of T as it lies in Go's memory: a number, a
// bool, a complex number, a named type of these, an array of such (a sub-array),
// or a struct of such (a record).
//
// The exported fields of a struct are the fields of the record, under their own
// name or that of a tag `pybuf:"name"`. Fields that are not exported, fields
// tagged `pybuf:"-"` and what the compiler leaves between fields are pads. An
// embedded struct is a record inside of the record.
//
// int and int64 leave as "l", uint, uint64 and uintptr as "L": NumPy's own
// letters for them.
//
// Errors: ErrType, with the Go type and the path of the field, for what has
// pointers in it (strings, slices, maps, pointers, interfaces, channels,
// functions; not exported ones too, for whoever sees the bytes sees them), for
// structs that show no field, and for types of no bytes; ErrValue for names
// that a format cannot hold, for a name that comes twice, and for arrays inside
// of more arrays than a buffer has dimensions.
func ElementOf[T any]() (Element, error) {
	return ElementOfType(reflect.TypeFor[T]())
}

// ElementOfType is [ElementOf] for a type that is known when the program runs.
func ElementOfType(t reflect.Type) (Element, error) {
	if t == nil {
		return Element{}, fail(ErrType, "no Go type was given (a nil reflect.Type); give that of an item")
	}
	r := goTypeReader{top: t, native: nativeOrder}
	it, err := r.item(t)
	if err != nil {
		return Element{}, err
	}
	return answerOf(it.leave("Go type "+quote(t.String()), nativeOrder))
}

// A goTypeReader makes an item of a Go type.
type goTypeReader struct {
	top    reflect.Type
	native byte
	path   []string // the fields that are being read, outermost first
}

// plainKinds are the kinds of typestrs that kinds of Go are; their sizes are
// Go's.
var plainKinds = map[reflect.Kind]byte{
	reflect.Bool: 'b',
	reflect.Int:  'i', reflect.Int8: 'i', reflect.Int16: 'i', reflect.Int32: 'i', reflect.Int64: 'i',
	reflect.Uint: 'u', reflect.Uint8: 'u', reflect.Uint16: 'u', reflect.Uint32: 'u', reflect.Uint64: 'u',
	reflect.Uintptr: 'u',
	reflect.Float32: 'f', reflect.Float64: 'f',
	reflect.Complex64: 'c', reflect.Complex128: 'c',
}

func (r *goTypeReader) item(t reflect.Type) (*item, *Error) {
	if kind, ok := plainKinds[t.Kind()]; ok {
		plain := kindType(kind, int(t.Size()))
		it := plainItem(plain, plain.own[0], r.native)
		return &it, nil
	}
	switch t.Kind() {
	case reflect.Array:
		it, err := r.item(t.Elem())
		if err != nil {
			return nil, err
		}
		if err := it.repeat([]int{t.Len()}); err != nil {
			return nil, fail(err.Kind, "Go type ", quote(r.top.String()), " has ", err.Text)
		}
		return it, nil
	case reflect.Struct:
		return r.record(t)
	case reflect.Slice:
		return nil, r.refuse(t, "is a slice, whose items lie somewhere else; lend a slice of slices by Rows, or use arrays, such as [3]float64")
	}
	return nil, r.refuse(t, "holds a pointer, which means nothing outside of Go; lend numbers, bools, arrays or structs of them")
}

func (r *goTypeReader) record(t reflect.Type) (*item, *Error) {
	b := recordBuilder{size: int(t.Size())}
	for i := range t.NumField() {
		f := t.Field(i)
		r.path = append(r.path, f.Name)
		name, shown := fieldName(f)
		if !shown {
			if err := r.pointerFree(f.Type); err != nil {
				return nil, err
			}
		} else if err := r.field(&b, name, f); err != nil {
			return nil, err
		}
		r.path = r.path[:len(r.path)-1]
	}
	if len(b.g.fields) == 0 && t.Size() > 0 {
		return nil, r.refuse(t, "has no exported field, so that nothing of it can be seen; export what is to be lent")
	}
	return b.done()
}

func (r *goTypeReader) field(b *recordBuilder, name string, f reflect.StructField) *Error {
	it, err := r.item(f.Type)
	if err != nil {
		return err
	}
	if err := b.add(name, int(f.Offset), it); err != nil {
		return fail(err.Kind, "Go type ", quote(r.top.String()), ": ", err.Text)
	}
	return nil
}

// fieldName is the name under which a field is seen, if it is.
func fieldName(f reflect.StructField) (name string, shown bool) {
	tag, tagged := f.Tag.Lookup("pybuf")
	switch {
	case !f.IsExported() || tag == "-":
		return "", false
	case tagged && tag != "":
		return tag, true
	}
	return f.Name, true
}

// pointerFree tells whether pads of this type may be lent.
func (r *goTypeReader) pointerFree(t reflect.Type) *Error {
	switch t.Kind() {
	case reflect.Array:
		if t.Len() > 0 {
			return r.pointerFree(t.Elem())
		}
		return nil
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			r.path = append(r.path, f.Name)
			if err := r.pointerFree(f.Type); err != nil {
				return err
			}
			r.path = r.path[:len(r.path)-1]
		}
		return nil
	}
	if _, ok := plainKinds[t.Kind()]; !ok {
		return r.refuse(t, "holds a pointer, which must not be seen outside of Go, not even as pads; keep it in a type of its own")
	}
	return nil
}

func (r *goTypeReader) refuse(t reflect.Type, why string) *Error {
	top := quote(r.top.String())
	if len(r.path) == 0 {
		return fail(ErrType, "Go type ", top, " ", why)
	}
	return fail(ErrType, "Go type ", top, ": field ", quote(strings.Join(r.path, ".")), " of type ", quote(t.String()), " ", why)
}
