package gopybuf

import (
	"reflect"
	"runtime"
	"unsafe"
	"weak"
)

// searchMax is how many values a search looks at. Where it ends early, all
// loans count as found: what is kept too long does no harm.
const searchMax = 20_000

// hold tells whether what the handle names stands on lent memory itself: a
// slice of it, or a pointer into it. Returns the loan, with a reference for the
// caller, or 0.
func hold(handle int64) int64 {
	if loans.none() {
		return 0
	}
	v, err := named(handle)
	if err != nil {
		return 0
	}
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return 0
	}
	if id := loans.holdAt(pointer(p)); id != 0 {
		return id
	}
	if p.Type().Elem().Kind() == reflect.Slice {
		if id := loans.holdAt(pointer(p.Elem())); id != 0 {
			return id
		}
	}
	if loans.kept.Load() != 0 { // something that has one may have been copied
		bindValue(p)
	}
	return 0
}

// bind searches the Go object for loans, and lets each that it finds live as
// long as the object: the object's cleanup, which Go's collector runs, drops it.
func bind(handle int64) {
	if loans.none() {
		return
	}
	v, err := named(handle)
	if err != nil {
		return
	}
	p := reflect.ValueOf(v)
	if p.Kind() == reflect.Pointer && !holdsPointers(p.Type().Elem()) {
		return
	}
	if s := p.Type(); s.Kind() == reflect.Pointer && s.Elem().Kind() == reflect.Slice && !holdsPointers(s.Elem().Elem()) {
		return // it stands on a loan itself, if on any, and Python's object has that
	}
	bindValue(p)
}

func bindValue(v reflect.Value) {
	t := &loans
	t.mu.Lock()
	defer t.mu.Unlock()
	var object *byte
	if v.Kind() == reflect.Pointer {
		object = (*byte)(v.UnsafePointer())
		if t.find(pointer(v)) != nil {
			return // in lent memory, which holds no pointers
		}
	}
	for l := range t.search(v.Interface()) {
		key := boundKey{weak.Make(object), l.id}
		if _, is := t.bound[key]; is {
			continue
		}
		l.refs++
		t.kept.Add(1)
		if object == nil {
			continue // of what is no pointer nobody hears when it ends: for good
		}
		t.bound[key] = struct{}{}
		runtime.AddCleanup(object, unbind, key)
	}
}

func unbind(key boundKey) {
	t := &loans
	t.mu.Lock()
	delete(t.bound, key)
	t.kept.Add(-1)
	t.mu.Unlock()
	t.drop(key.loan)
}

// search finds the loans that can be reached from a value. t.mu is held.
func (t *loanTable) search(v any) map[*loan]struct{} {
	s := searcher{table: t, found: map[*loan]struct{}{}, seen: map[seenKey]struct{}{}}
	s.value(reflect.ValueOf(v))
	if s.unsure {
		for _, l := range t.byID {
			s.found[l] = struct{}{}
		}
	}
	return s.found
}

type searcher struct {
	table  *loanTable
	found  map[*loan]struct{}
	seen   map[seenKey]struct{}
	looked int
	unsure bool // something could not be looked into
}

type seenKey struct {
	at unsafe.Pointer
	t  reflect.Type
}

func (s *searcher) address(p uintptr) (lent bool) {
	l := s.table.find(p)
	if l != nil {
		s.found[l] = struct{}{}
	}
	return l != nil
}

func (s *searcher) value(v reflect.Value) {
	if !v.IsValid() || s.unsure {
		return
	}
	if s.looked++; s.looked > searchMax {
		s.unsure = true
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		if v.Len() > 0 && !s.address(pointer(v)) && s.first(v.UnsafePointer(), v.Type()) && holdsPointers(v.Type().Elem()) {
			for i := range v.Len() {
				s.value(v.Index(i))
			}
		}
	case reflect.String:
		s.address(uintptr(unsafe.Pointer(unsafe.StringData(v.String()))))
	case reflect.Pointer:
		if !v.IsNil() && !s.address(pointer(v)) && s.first(v.UnsafePointer(), v.Type()) {
			s.value(v.Elem())
		}
	case reflect.Interface:
		s.value(v.Elem())
	case reflect.Array:
		if holdsPointers(v.Type().Elem()) {
			for i := range v.Len() {
				s.value(v.Index(i))
			}
		}
	case reflect.Struct:
		s.record(v)
	case reflect.Map:
		for _, key := range v.MapKeys() {
			s.value(key)
			s.value(v.MapIndex(key))
		}
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		s.unsure = s.unsure || !v.IsNil() // no look into these
	}
}

// record looks at the fields. What other goroutines may be changing at this
// moment, which the presence of locks tells, is not looked at.
func (s *searcher) record(v reflect.Value) {
	if !holdsPointers(v.Type()) {
		return
	}
	if holdsLock(v.Type()) {
		s.unsure = true
		return
	}
	for i := range v.NumField() {
		s.value(v.Field(i))
	}
}

// first tells whether this is the first look at it.
func (s *searcher) first(at unsafe.Pointer, t reflect.Type) bool {
	key := seenKey{at, t}
	if _, is := s.seen[key]; is {
		return false
	}
	s.seen[key] = struct{}{}
	return true
}
