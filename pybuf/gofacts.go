//go:build cgo && !pyext

package pybuf

import (
	"reflect"
	"sync"
)

// goFacts is what lending has to know of a Go type, found out once.
type goFacts struct {
	name    string
	size    int     // bytes of one
	align   uintptr // of which Go wants its address to be a multiple
	base    Element // the type, or what its arrays are made of
	extents []int   // of its arrays: they are the last axes of what is lent
	err     error   // why it cannot be lent; then the rest says nothing
}

// goTypes are the facts of each reflect.Type that was asked for. A program has
// only so many types, so nothing is ever forgotten.
var goTypes sync.Map

func factsOf(t reflect.Type) *goFacts {
	if known, ok := goTypes.Load(t); ok {
		return known.(*goFacts)
	}
	f := &goFacts{name: t.String()}
	var e Element
	if e, f.err = ElementOfType(t); f.err == nil {
		f.extents, f.base = e.SubArray()
		f.size, f.align = e.ItemSize, uintptr(t.Align())
	}
	known, _ := goTypes.LoadOrStore(t, f)
	return known.(*goFacts)
}
