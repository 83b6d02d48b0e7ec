package pybuf

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Kind says what sort of fault an error of this package is. A Kind is an
// error itself, the target of errors.Is:
//
//	if errors.Is(err, pybuf.ErrOverflow) { ... }
type Kind int

// The kinds of errors.
const (
	// ErrValue: a value that cannot be, such as a negative extent or a
	// malformed format.
	ErrValue Kind = iota + 1
	// ErrType: an element type that is understood and refused.
	ErrType
	// ErrOverflow: a number too large for what it counts.
	ErrOverflow
	// ErrUnknown: a spelling that is none of ours; somebody else may know it.
	ErrUnknown
	// ErrMemory: memory that no machine has.
	ErrMemory
	// ErrBuffer: memory that is there, and is not as it was asked for: read-only,
	// not contiguous, not aligned.
	ErrBuffer
	// ErrRuntime: whatever else failed, somewhere else.
	ErrRuntime
)

// Error names the kind, "pybuf: impossible value".
func (k Kind) Error() string {
	switch k {
	case ErrValue:
		return "pybuf: impossible value"
	case ErrType:
		return "pybuf: refused element type"
	case ErrOverflow:
		return "pybuf: number too large"
	case ErrMemory:
		return "pybuf: no such memory"
	case ErrUnknown:
		return "pybuf: unknown spelling"
	case ErrBuffer:
		return "pybuf: memory of another sort"
	case ErrRuntime:
		return "pybuf: failure"
	}
	return "pybuf: kind of error " + strconv.Itoa(int(k))
}

// Error is what every function of this package returns when it fails.
type Error struct {
	Kind Kind
	Text string // a sentence without the package's name; valid UTF-8 if its maker kept to it
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the kind, for errors.Is.
func (e *Error) Unwrap() error { return e.Kind }

// fail makes an error whose sentence is the parts, one after the other.
func fail(kind Kind, parts ...string) *Error {
	return &Error{Kind: kind, Text: strings.Join(parts, "")}
}

// PanicText is what a panic says, of which p is what recover gave. It is for
// functions that C calls: a panic must not leave those.
func PanicText(p any) string {
	switch p := p.(type) {
	case error:
		return p.Error()
	case string:
		return p
	}
	return "a panic with no text"
}

// quoteMax is how many bytes of a spelling an error repeats: spellings come
// from anywhere and may be of any length.
const quoteMax = 60

// quote shows a spelling in a sentence, whatever bytes it is made of.
func quote(s string) string {
	if len(s) <= quoteMax {
		return strconv.Quote(s)
	}
	n := quoteMax
	for n > quoteMax-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return strconv.Quote(s[:n]) + "..."
}

// tuple writes extents and strides as people know them: (), (3,), (3, 4).
func tuple(v []int) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, n := range v {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(n))
	}
	if len(v) == 1 {
		b.WriteByte(',')
	}
	b.WriteByte(')')
	return b.String()
}
