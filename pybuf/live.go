//go:build cgo && !pyext

package pybuf

import (
	"runtime"
	"strconv"
	"strings"
)

// A LiveRecord is one thing that has not come back.
type LiveRecord struct {
	// Kind is "export" for memory that was exported and not released, "error"
	// for an exported error, "slice" for memory of somebody else that [Slice]
	// or [ReadSlice] took and whose done was not called.
	Kind string
	// Where is the line that called Export or Slice, "prices.go:12"; Func is the
	// function that it is in.
	Where, Func string
	// Format, Shape and NBytes are the descriptor's. Of an error Format is its
	// text.
	Format string
	Shape  []int
	NBytes int
	// Adopted tells of an export that somebody took it; else its address was
	// lost, or is still on its way. Slices are always taken.
	Adopted bool
}

// String is the record as a line for people.
func (r LiveRecord) String() string {
	if r.Kind == "error" {
		return "error at " + r.Where + " in " + r.Func + ": " + r.Format
	}
	s := r.Kind + " at " + r.Where + " in " + r.Func + ": format " + quote(r.Format) + ", shape " + tuple(r.Shape) +
		", " + strconv.Itoa(r.NBytes) + " bytes"
	if !r.Adopted {
		s += ", taken by nobody"
	}
	return s
}

// Live lists what has not come back: what was exported and not released, and
// slices of somebody else's memory whose done was not called. It costs some
// microseconds for each of them, and stops exports and releases as long. A
// leak check of a test is in package pybuftest.
func Live() []LiveRecord {
	return append(pins.records("export"), lent.records("slice")...)
}

// lent are the slices of somebody else's memory. Its slots are nobody's but
// this package's.
var lent pinTable

func (t *pinTable) records(kind string) []LiveRecord {
	var records []LiveRecord
	var from []uintptr
	t.mu.Lock()
	for _, e := range t.all {
		// While the lock is held nobody releases: the descriptor is there.
		if e.taken && e.descriptor != 0 {
			records = append(records, descriptorAt(e.descriptor).record(kind))
			from = append(from, e.from)
		}
	}
	t.mu.Unlock()
	for i := range records {
		records[i].Where, records[i].Func = lineAt(from[i])
	}
	return records
}

func (d *descriptor) record(kind string) LiveRecord {
	r := LiveRecord{Kind: kind, Format: strings.Clone(d.text()), Adopted: !d.untaken()}
	if d.flags&flagError != 0 {
		r.Kind = "error"
		return r
	}
	r.Shape, r.NBytes = d.numbers(d.shape), int(d.nbytes)
	return r
}

// callerOf is the place from which a function of this package was called, skip
// calls above its own. Finding it is a fifth of what an export costs; what line
// that is, only Live asks.
func callerOf(skip int) uintptr {
	var pc [1]uintptr
	runtime.Callers(skip+2, pc[:])
	return pc[0]
}

func lineAt(pc uintptr) (where, function string) {
	if pc == 0 {
		return "?", "?"
	}
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return shortLine(f), f.Function
}

// shortLine is a line as people write it, "prices.go:12".
func shortLine(f runtime.Frame) string {
	return f.File[strings.LastIndexByte(f.File, '/')+1:] + ":" + strconv.Itoa(f.Line)
}
