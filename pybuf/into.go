//go:build cgo && !pyext

package pybuf

import (
	"reflect"
	"runtime"
	"unsafe"
)

// SliceInto is [Slice] for a slice whose type is known when the program runs:
// it puts the slice that s points to (s is a *[]T, or a pointer to a named type
// of slices) onto the memory of the descriptor. The slice has to be given up
// before done is called.
//
// Errors: those of Slice; ErrType if s does not point to a slice. The slice is
// then as it was.
func SliceInto(d uintptr, s any) (done func(), err error) {
	into, err := sliceBehind(s)
	if err != nil {
		return func() {}, err
	}
	data, n, done, err := takeSlice(factsOf(into.Type().Elem()), d, true)
	if err == nil {
		into.Set(reflect.SliceAt(into.Type().Elem(), data, n).Convert(into.Type()))
	}
	return done, err
}

// CopyInto makes the slice that s points to anew, of Go's own memory, with the
// items of a descriptor, which is not taken, and which may be read-only and lie
// at any address.
//
// Errors: those of [ReadSlice]; ErrType if s does not point to a slice. The
// slice is then as it was.
func CopyInto(d uintptr, s any) error {
	into, err := sliceBehind(s)
	if err != nil {
		return err
	}
	f := factsOf(into.Type().Elem())
	from, err := takeDescriptor(d)
	if err != nil {
		return err
	}
	defer from.putBack()
	n, err := f.check(from, false)
	if err != nil {
		return err
	}
	fresh := reflect.MakeSlice(into.Type(), n, n)
	if n > 0 {
		// As bytes: the items hold no pointers, and may lie anywhere.
		copy(unsafe.Slice((*byte)(fresh.UnsafePointer()), n*f.size), unsafe.Slice((*byte)(pointerTo(from.data)), n*f.size))
	}
	into.Set(fresh)
	runtime.KeepAlive(fresh)
	return nil
}

func sliceBehind(s any) (reflect.Value, error) {
	p := reflect.ValueOf(s)
	if p.Kind() != reflect.Pointer || p.IsNil() || p.Type().Elem().Kind() != reflect.Slice {
		return reflect.Value{}, fail(ErrType, "memory can be put into a slice only; give a pointer to one")
	}
	return p.Elem(), nil
}
