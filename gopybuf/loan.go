package gopybuf

import (
	"reflect"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"weak"
)

// loans is the table of what Python has lent to Go and not yet got back.
var loans loanTable

// A loan is memory of Python's: bytes from first to end, lent by one call.
type loan struct {
	id         int64
	first, end uintptr
	refs       int
	kept       int    // how many of them are of Go objects
	done       func() // gives it back
}

type loanTable struct {
	mu    sync.Mutex
	last  int64
	byID  map[int64]*loan
	order []*loan // by first byte
	// reach[i] is the highest end of order[:i+1]: where a search may stop.
	reach []uintptr
	bound map[boundKey]struct{}
}

// boundKey says that a Go object holds a loan. An address would not do for the
// object: Go gives it to the next one before it tells of the end of the last.
type boundKey struct {
	object weak.Pointer[byte]
	loan   int64
}

// add notes that the slice stands on lent memory. The caller has the first
// reference.
func (t *loanTable) add(s reflect.Value, done func()) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = make(map[int64]*loan)
		t.bound = make(map[boundKey]struct{})
	}
	t.last++
	first := pointer(s)
	l := &loan{
		id:    t.last,
		first: first,
		end:   first + uintptr(s.Cap())*s.Type().Elem().Size(),
		refs:  1,
		done:  done,
	}
	t.byID[l.id] = l
	at := sort.Search(len(t.order), func(i int) bool { return t.order[i].first > first })
	t.order = slices.Insert(t.order, at, l)
	t.measure(at)
	return l.id
}

// measure brings reach, from a place on, and the count of loans up to date.
func (t *loanTable) measure(from int) {
	t.reach = t.reach[:from]
	for i, l := range t.order[from:] {
		end := l.end
		if from+i > 0 {
			end = max(end, t.reach[from+i-1])
		}
		t.reach = append(t.reach, end)
	}
	atomic.StoreInt64(loanCount(), int64(len(t.order)))
}

// drop takes a reference away. The last one gives the memory back, outside of
// the lock, for that may wait for the GIL.
func (t *loanTable) drop(id int64) {
	t.mu.Lock()
	l := t.byID[id]
	if l == nil {
		t.mu.Unlock()
		return
	}
	l.refs--
	if l.refs > 0 {
		t.mu.Unlock()
		return
	}
	delete(t.byID, id)
	at := sort.Search(len(t.order), func(i int) bool { return t.order[i].first >= l.first })
	for t.order[at] != l {
		at++
	}
	t.order = slices.Delete(t.order, at, at+1)
	t.measure(at)
	t.mu.Unlock()
	l.done()
}

// none tells without the lock that nothing is lent, as nearly always.
func (t *loanTable) none() bool { return atomic.LoadInt64(loanCount()) == 0 }

// find is the loan whose memory the address is of, nil if there is none. Of
// several that overlap any will do: each keeps the same memory.
func (t *loanTable) find(address uintptr) *loan {
	at := sort.Search(len(t.order), func(i int) bool { return t.order[i].first > address })
	for at--; at >= 0 && t.reach[at] > address; at-- {
		if t.order[at].end > address {
			return t.order[at]
		}
	}
	return nil
}

// holdAt takes a reference to the loan that the address is of. Returns 0 if
// there is none.
func (t *loanTable) holdAt(address uintptr) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.find(address)
	if l == nil {
		return 0
	}
	l.refs++
	return l.id
}

// holdAll takes a reference to each loan that is found in the value. Where the
// search ends early it may have any that Go objects keep.
func (t *loanTable) holdAll(v any) []int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []int64
	hold := func(l *loan) {
		if !slices.Contains(ids, l.id) {
			l.refs++
			ids = append(ids, l.id)
		}
	}
	s := t.search(v)
	for found := range s.found {
		hold(found.loan)
	}
	if len(s.blind) > 0 {
		for _, l := range t.byID {
			if l.kept > 0 {
				hold(l)
			}
		}
	}
	return ids
}
