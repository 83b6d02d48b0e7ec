package gopybuf

import (
	"reflect"
	"strings"
	"sync"
)

var pointerful sync.Map // reflect.Type -> bool

// holdsPointers tells whether values of the type can hold lent memory.
func holdsPointers(t reflect.Type) bool {
	if known, ok := pointerful.Load(t); ok {
		return known.(bool)
	}
	holds := true
	switch k := t.Kind(); {
	case k <= reflect.Complex128:
		holds = false
	case k == reflect.Array:
		holds = t.Len() > 0 && holdsPointers(t.Elem())
	case k == reflect.Struct:
		holds = false
		for i := range t.NumField() {
			holds = holds || holdsPointers(t.Field(i).Type)
		}
	}
	pointerful.Store(t, holds)
	return holds
}

var locked sync.Map // reflect.Type -> bool

// holdsLock tells whether a struct has a lock or an atomic, or a pointer to one,
// in itself or in a struct that is embedded in it.
func holdsLock(t reflect.Type) bool {
	if known, ok := locked.Load(t); ok {
		return known.(bool)
	}
	holds := false
	for i := range t.NumField() {
		f := t.Field(i).Type
		for f.Kind() == reflect.Array {
			f = f.Elem()
		}
		switch {
		case f.Kind() == reflect.Pointer:
			holds = holds || isLock(f.Elem())
		case f.Kind() == reflect.Struct:
			holds = holds || isLock(f) || holdsLock(f)
		default:
			holds = holds || isLock(f) // sync.Locker
		}
	}
	locked.Store(t, holds)
	return holds
}

func isLock(t reflect.Type) bool {
	path := t.PkgPath()
	return path == "sync" || strings.HasSuffix(path, "sync/atomic")
}

// isOfC tells whether values of the type lie in memory of C's.
func isOfC(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "_Ctype_") }

var opaque sync.Map // reflect.Type -> bool

// isOpaque tells whether values that the handle's type refers to may be out of
// sight of a search, or be used by other threads meanwhile.
func isOpaque(handle int64) bool {
	v, err := named(handle)
	if err != nil {
		return false
	}
	t := reflect.TypeOf(v)
	if known, ok := opaque.Load(t); ok {
		return known.(bool)
	}
	is := reachesOpaque(t, map[reflect.Type]bool{})
	opaque.Store(t, is)
	return is
}

func reachesOpaque(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return reachesOpaque(t.Elem(), seen)
	case reflect.Map:
		return reachesOpaque(t.Key(), seen) || reachesOpaque(t.Elem(), seen)
	case reflect.Struct:
		if holdsLock(t) {
			return true
		}
		for i := range t.NumField() {
			if reachesOpaque(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
