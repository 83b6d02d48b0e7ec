package gopybuf

import (
	"fmt"
	"reflect"
	"runtime"
	"unsafe"

	"github.com/go-python/gopy/gopyh"

	"github.com/pybuf/pybuf-go/pybuf"
)

// named is the Go value that a handle names: gopy keeps a pointer to it, a
// pointer as it is, or the content of an interface.
func named(handle int64) (any, error) {
	if handle < 1 {
		return nil, &pybuf.Error{Kind: pybuf.ErrValue, Text: "the object is Go's nil, which has no memory to lend"}
	}
	v, err := gopyh.VarFromHandleTry(gopyh.CGoHandle(handle), "")
	if err != nil {
		return nil, &pybuf.Error{Kind: pybuf.ErrValue, Text: fmt.Sprintf(
			"handle %d names no Go value: gopy let go of it, or it is of another gopy module", handle)}
	}
	return v, nil
}

// slice is the slice that a handle names, to be set.
func slice(handle int64) (reflect.Value, error) {
	v, err := named(handle)
	if err != nil {
		return reflect.Value{}, err
	}
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.Type().Elem().Kind() != reflect.Slice {
		return reflect.Value{}, &pybuf.Error{Kind: pybuf.ErrType, Text: fmt.Sprintf(
			"memory can be lent to a slice only, and this is of Go type %T", v)}
	}
	return p.Elem(), nil
}

// view describes the memory of what the handle names. What stands on a loan
// keeps it until the view comes back.
func view(handle int64) *pybuf.Buffer {
	v, err := named(handle)
	if err != nil {
		return pybuf.Fail(err)
	}
	b := pybuf.OfAny(v)
	if loans.none() || b.Err() != nil {
		return b
	}
	found := loans.holdAll(v)
	if len(found) == 0 {
		return b
	}
	return b.Then(func() {
		for _, id := range found {
			loans.drop(id)
		}
	})
}

// lend puts the slice onto the memory of a descriptor: all of its capacity, so
// that append leaves it and never runs over.
func lend(handle int64, descriptor uintptr) (int64, error) {
	s, err := slice(handle)
	if err != nil {
		return 0, err
	}
	done, err := pybuf.SliceInto(descriptor, s.Addr().Interface())
	if err != nil {
		return 0, err
	}
	return loans.add(s, done), nil
}

// fill gives the slice memory of Go's with the items of a descriptor.
func fill(handle int64, descriptor uintptr) error {
	s, err := slice(handle)
	if err != nil {
		return err
	}
	return pybuf.CopyInto(descriptor, s.Addr().Interface())
}

func setNil(handle int64) error {
	s, err := slice(handle)
	if err == nil {
		s.SetZero()
	}
	return err
}

// fits tells whether gopy could hand on what the handle names where it wants
// what the other one names: it looks for a struct in the first fields of others,
// and everything else it takes as it is, or panics.
func fits(handle, wanted int64) bool {
	v, err := named(handle)
	w, errWanted := named(wanted)
	if err != nil || errWanted != nil {
		return false
	}
	have, want := reflect.TypeOf(v), reflect.TypeOf(w)
	if have == want {
		return true
	}
	if !isStructPointer(have) || !isStructPointer(want) {
		return false
	}
	embedded := gopyh.Embed(v, want.Elem())
	return embedded != nil && reflect.TypeOf(embedded) == want
}

func isStructPointer(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

// typeName is the Go type as its author writes it: gopy keeps pointers to what
// it calls a slice, an array or a struct.
func typeName(handle int64) string {
	v, err := named(handle)
	if err != nil {
		return "nil"
	}
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer && t.Elem().Kind() != reflect.Struct {
		t = t.Elem()
	}
	return t.String()
}

// Live counts what Python has of this module's memory and this module of
// Python's: views and loans that have not come back.
func Live() int { return len(pybuf.Live()) }

func live(collect bool) int {
	if collect {
		runtime.GC()
	}
	return Live()
}

func pointer(v reflect.Value) uintptr { return uintptr(unsafe.Pointer(v.UnsafePointer())) }
