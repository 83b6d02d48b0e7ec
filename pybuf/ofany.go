//go:build cgo && !pyext

package pybuf

import (
	"image"
	"reflect"
)

// OfAny is what [Of], [Rows] and [Image] are, for a value whose type is known
// when the program runs. T is any type that [ElementOf] reads, and each type may
// be a named one:
//
//	[]T, *[]T      (length,)
//	[][]T, *[][]T  (rows, columns), as Rows; [][][]T and deeper too
//	*[N]T          (N,); of *[N][M]T (N, M)
//	*T             () one item alone, such as a record
//	image.Image    as Image, if it is one of those of package image
//
// A pointer to a slice is read once, here: what it points to later is another
// slice. nil slices have no items. An array or a struct itself is refused: it is
// a copy, which nobody would see change.
//
// Errors, which the Buffer carries: those of Of, Rows and Image; ErrType for
// other types; ErrValue for nil pointers.
func OfAny(v any) *Buffer {
	switch img := v.(type) {
	case *image.RGBA, *image.NRGBA, *image.RGBA64, *image.NRGBA64, *image.CMYK, *image.Gray, *image.Gray16,
		*image.Alpha, *image.Alpha16, *image.Paletted, *image.YCbCr, *image.NYCbCrA:
		return Image(img.(image.Image))
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Invalid:
		return Fail(fail(ErrType, "there is nothing to lend (nil); give a slice, or a pointer to an array or a struct"))
	case reflect.Slice:
		return ofSlice(r)
	case reflect.Pointer:
		if r.IsNil() {
			return Fail(fail(ErrValue, "there is nothing to lend (a nil ", r.Type().String(), ")"))
		}
	default:
		if _, err := ElementOfType(r.Type()); err != nil {
			return Fail(err)
		}
		return Fail(fail(ErrType, "a Go value of type ", quote(r.Type().String()), " is a copy, which nobody would see change; give a pointer to it"))
	}
	at := r.UnsafePointer()
	switch t := r.Type().Elem(); t.Kind() {
	case reflect.Slice:
		return ofSlice(r.Elem())
	case reflect.Array:
		return factsOf(t.Elem()).items(at, t.Len(), nil)
	default:
		f := factsOf(t)
		if f.err != nil {
			return Fail(f.err)
		}
		return lay(at, &f.base, f.extents, nil, nil, nil)
	}
}

func ofSlice(r reflect.Value) *Buffer {
	data, item := r.UnsafePointer(), r.Type().Elem()
	if item.Kind() == reflect.Slice {
		return lendRows(item.Elem(), data, r.Len())
	}
	return factsOf(item).items(data, r.Len(), nil)
}
