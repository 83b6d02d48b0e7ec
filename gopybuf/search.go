package gopybuf

import (
	"reflect"
	"runtime"
	"slices"
	"unsafe"
	"weak"
)

// searchMax is how many values a search looks at. Where it ends early, it counts
// as found whatever could be there.
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
	bindNamed(v, nil)
	return 0
}

// bind searches the Go object for loans, and lets each that it finds live as
// long as the Go object that it is found in, which may be one far below:
// somebody may have that one alone. The object's cleanup, which Go's collector
// runs, drops the loan. taken are the loans that took part in the call: what
// cannot be looked into may have them.
func bind(handle int64, taken []int64) {
	if loans.none() {
		return
	}
	if v, err := named(handle); err == nil {
		bindNamed(v, taken)
	}
}

func bindNamed(v any, taken []int64) {
	p := reflect.ValueOf(v)
	if p.Kind() == reflect.Pointer && !holdsPointers(p.Type().Elem()) {
		return
	}
	if s := p.Type(); s.Kind() == reflect.Pointer && s.Elem().Kind() == reflect.Slice && !holdsPointers(s.Elem().Elem()) {
		return // it stands on a loan itself, if on any, and Python's object has that
	}
	loans.bindAll(p, taken)
}

func (t *loanTable) bindAll(v reflect.Value, taken []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if v.Kind() == reflect.Pointer && t.find(pointer(v)) != nil {
		return // in lent memory, which holds no pointers
	}
	s := t.search(v.Interface())
	for found := range s.found {
		t.bindTo(found.object, found.loan)
	}
	if len(s.blind) == 0 {
		return
	}
	// What is lent to other calls at this moment cannot have come here.
	for _, l := range t.byID {
		if l.kept == 0 && !slices.Contains(taken, l.id) {
			continue
		}
		for object := range s.blind {
			t.bindTo(object, l)
		}
	}
}

// bindTo lets a loan live as long as the object. t.mu is held.
func (t *loanTable) bindTo(object unsafe.Pointer, l *loan) {
	key := boundKey{weak.Make((*byte)(object)), l.id}
	if _, is := t.bound[key]; is {
		return
	}
	t.bound[key] = struct{}{}
	l.refs++
	l.kept++
	if object != nil { // else nobody hears when it ends: for good
		runtime.AddCleanup((*byte)(object), unbind, key)
	}
}

func unbind(key boundKey) {
	t := &loans
	t.mu.Lock()
	delete(t.bound, key)
	if l := t.byID[key.loan]; l != nil {
		l.kept--
	}
	t.mu.Unlock()
	t.drop(key.loan)
}

// search finds the loans that can be reached from a value. t.mu is held.
func (t *loanTable) search(v any) *searcher {
	s := &searcher{table: t, found: map[holding]struct{}{}, blind: map[unsafe.Pointer]struct{}{}, seen: map[seenKey]struct{}{}}
	s.value(reflect.ValueOf(v))
	return s
}

type searcher struct {
	table *loanTable
	found map[holding]struct{}
	blind map[unsafe.Pointer]struct{} // objects that could not be looked into
	seen  map[seenKey]struct{}
	// in is the Go object that is looked at, root the first one; nil if the
	// value is in none.
	in, root unsafe.Pointer
	looked   int
}

// A holding is a loan that was found, and the Go object that refers to it.
type holding struct {
	object unsafe.Pointer
	loan   *loan
}

type seenKey struct {
	at unsafe.Pointer
	n  int // 1 but for slices
	t  reflect.Type
}

func (s *searcher) address(p uintptr) (lent bool) {
	l := s.table.find(p)
	if l != nil {
		s.found[holding{s.in, l}] = struct{}{}
	}
	return l != nil
}

// within looks at what is in another Go object.
func (s *searcher) within(object unsafe.Pointer, look func()) {
	outer := s.in
	s.in = object
	if s.root == nil {
		s.root = object
	}
	look()
	s.in = outer
}

func (s *searcher) value(v reflect.Value) {
	if !v.IsValid() {
		return
	}
	if s.looked++; s.looked > searchMax {
		s.blind[s.root] = struct{}{}
		return
	}
	switch v.Kind() {
	case reflect.Slice:
		s.items(v)
	case reflect.String:
		s.address(uintptr(unsafe.Pointer(unsafe.StringData(v.String()))))
	case reflect.Pointer:
		if v.IsNil() || s.address(pointer(v)) || !s.first(v.UnsafePointer(), 1, v.Type()) {
			return
		}
		object := v.UnsafePointer()
		if isOfC(v.Type().Elem()) { // it has no end that Go would tell of
			object = s.in
		}
		s.within(object, func() { s.value(v.Elem()) })
	case reflect.Interface:
		s.value(v.Elem())
	case reflect.Array:
		if holdsPointers(v.Type().Elem()) {
			for i := 0; i < v.Len() && s.looked <= searchMax; i++ {
				s.value(v.Index(i))
			}
		}
	case reflect.Struct:
		s.record(v)
	case reflect.Map:
		s.entries(v)
	case reflect.Func, reflect.Chan, reflect.UnsafePointer:
		if !v.IsNil() { // no look into these
			s.blind[s.in] = struct{}{}
		}
	}
}

// items looks at a slice. What is behind its end it may have again.
func (s *searcher) items(v reflect.Value) {
	n := v.Cap()
	if n == 0 || s.address(pointer(v)) || !holdsPointers(v.Type().Elem()) || !s.first(v.UnsafePointer(), n, v.Type()) {
		return
	}
	all := v.Slice(0, n)
	s.within(v.UnsafePointer(), func() {
		for i := 0; i < n && s.looked <= searchMax; i++ {
			s.value(all.Index(i))
		}
	})
}

func (s *searcher) entries(v reflect.Value) {
	if v.IsNil() || !holdsPointers(v.Type().Key()) && !holdsPointers(v.Type().Elem()) || !s.first(v.UnsafePointer(), 1, v.Type()) {
		return
	}
	s.within(v.UnsafePointer(), func() {
		for entry := v.MapRange(); s.looked <= searchMax && entry.Next(); {
			s.value(entry.Key())
			s.value(entry.Value())
		}
	})
}

// record looks at the fields. What other threads may be changing at this
// moment, which the presence of locks tells, is not looked at.
func (s *searcher) record(v reflect.Value) {
	if !holdsPointers(v.Type()) {
		return
	}
	if holdsLock(v.Type()) {
		s.blind[s.in] = struct{}{}
		return
	}
	for i := range v.NumField() {
		s.value(v.Field(i))
	}
}

// first tells whether this is the first look at it.
func (s *searcher) first(at unsafe.Pointer, n int, t reflect.Type) bool {
	key := seenKey{at, n, t}
	if _, is := s.seen[key]; is {
		return false
	}
	s.seen[key] = struct{}{}
	return true
}
