package pybuf

import (
	"runtime"
	"strconv"
	"sync"
)

// Slot names memory that is held for somebody outside of Go: it
// stays where it is, and is not collected, until [Slot.Release]. It is a number
// and no pointer, so that it may be kept anywhere; 0 is none.
//
// The lower half is a place in the table, the upper half says how often that
// place was taken: a slot that was released names nothing any more.
type Slot int64

// pins is the table behind the slots.
var pins pinTable

// pinTable is a table of slots. Its lock is held for a few instructions, never
// while memory is pinned or somebody else's code runs: those who release may
// hold locks that others wait for.
type pinTable struct {
	mu    sync.Mutex
	all   []*pin // a pin stays at its place for good
	free  *pin   // those that hold nothing, linked by next
	held  int
	bytes int
}

// A pin goes round: reserve and drop give it to one goroutine, which may change
// it, publish and recycle to the table, where it is under the lock.
type pin struct {
	slot  Slot // as it is, or was last
	place int
	taken bool
	next  *pin

	pinner     runtime.Pinner // stays here: it can be used again
	bytes      int
	end        func()  // what else has to be done at the end; may be nil
	descriptor uintptr // the address of one that tells of the memory; 0 if there is none
	from       uintptr // the place in the program that made the descriptor
}

const (
	placeBits = 32
	placeMask = 1<<placeBits - 1
	maxSlot   = 1<<63 - 1
)

// hold pins the memory at p and counts it as so many bytes.
func hold(p *byte, bytes int) Slot {
	e := pins.reserve()
	e.pinner.Pin(p)
	e.bytes = bytes
	return pins.publish(e)
}

// reserve gives a pin that holds nothing.
func (t *pinTable) reserve() *pin {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.free
	if e == nil {
		e = &pin{place: len(t.all)}
		t.all = append(t.all, e)
	} else {
		t.free, e.next = e.next, nil
	}
	return e
}

// publish gives what a reserved pin holds now a slot.
func (t *pinTable) publish(e *pin) Slot {
	t.mu.Lock()
	defer t.mu.Unlock()
	uses := (e.slot>>placeBits + 1) & (maxSlot >> placeBits)
	e.slot = max(uses, 1)<<placeBits | Slot(e.place) // once round: 0 uses is no slot
	e.taken = true
	t.held++
	t.bytes += e.bytes
	return e.slot
}

// drop gives the pin of a slot to whoever has to end it; nil if the slot holds
// nothing.
func (t *pinTable) drop(s Slot) *pin {
	t.mu.Lock()
	defer t.mu.Unlock()
	place := int(s & placeMask)
	if place >= len(t.all) || t.all[place].slot != s || !t.all[place].taken {
		return nil
	}
	e := t.all[place]
	e.taken = false
	t.held--
	t.bytes -= e.bytes
	return e
}

// recycle ends what a dropped pin held, and lets it be reserved again.
func (t *pinTable) recycle(e *pin) {
	e.pinner.Unpin()
	if e.end != nil {
		e.end()
	}
	e.bytes, e.end, e.descriptor, e.from = 0, nil, 0, 0
	t.mu.Lock()
	defer t.mu.Unlock()
	e.next, t.free = t.free, e
}

// Release gives the memory back to Go's collector, which takes it once nothing
// in Go refers to it. A slot that holds nothing is an error of the kind
// [ErrValue], and nothing happens.
func (s Slot) Release() error {
	e := pins.drop(s)
	if e == nil {
		return fail(ErrValue, "slot ", strconv.FormatInt(int64(s), 10),
			" holds no memory: it was released before, or never was one")
	}
	pins.recycle(e)
	return nil
}

// Held counts the slots that hold memory now, and their bytes: of [NewBlock],
// and of what was exported and has not come back.
func Held() (slots, bytes int) {
	pins.mu.Lock()
	defer pins.mu.Unlock()
	return pins.held, pins.bytes
}
