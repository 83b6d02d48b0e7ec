package pybuf

import (
	"runtime"
	"strconv"
	"sync"
)

// Slot names memory of Go's heap that is held for somebody outside of Go: it
// stays where it is, and is not collected, until [Slot.Release]. It is a number
// and no pointer, so that it may be kept anywhere; 0 is none.
//
// The lower half is a place in the table, the upper half says how often that
// place was taken: a slot that was released names nothing any more.
type Slot int64

// pins is the table behind the slots.
var pins pinTable

type pinTable struct {
	mu    sync.Mutex
	all   []*pin // a pin stays at its place for good
	free  *pin   // those that hold nothing, linked by next
	held  int
	bytes int
}

type pin struct {
	pinner runtime.Pinner
	slot   Slot // as it is, or was last
	taken  bool
	bytes  int
	next   *pin
}

const (
	placeBits = 32
	placeMask = 1<<placeBits - 1
	maxSlot   = 1<<63 - 1
)

// hold pins the memory at p and counts it as so many bytes.
func hold(p *byte, bytes int) Slot {
	t := &pins
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.free
	if e == nil {
		e = &pin{slot: Slot(len(t.all))}
		t.all = append(t.all, e)
	}
	t.free = e.next
	e.slot = (e.slot + 1<<placeBits) & maxSlot
	if e.slot < 1<<placeBits { // once round: 0 uses is no slot
		e.slot += 1 << placeBits
	}
	e.taken, e.bytes = true, bytes
	e.pinner.Pin(p)
	t.held++
	t.bytes += bytes
	return e.slot
}

// Release gives the memory back to Go's collector, which takes it once nothing
// in Go refers to it. A slot that holds nothing is an error of the kind
// [ErrValue], and nothing happens.
func (s Slot) Release() error {
	t := &pins
	t.mu.Lock()
	defer t.mu.Unlock()
	place := int(s & placeMask)
	if place >= len(t.all) || t.all[place].slot != s || !t.all[place].taken {
		return fail(ErrValue, "slot ", strconv.FormatInt(int64(s), 10),
			" holds no memory: it was released before, or never was one")
	}
	e := t.all[place]
	e.pinner.Unpin()
	t.held--
	t.bytes -= e.bytes
	e.taken, e.bytes = false, 0
	e.next, t.free = t.free, e
	return nil
}

// Held counts the slots that hold memory now, and their bytes.
func Held() (slots, bytes int) {
	pins.mu.Lock()
	defer pins.mu.Unlock()
	return pins.held, pins.bytes
}
