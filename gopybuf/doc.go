// Package gopybuf gives the slices of a gopy module to Python without a copy.
// It is named as one more package on gopy's command line, or imported for its
// effect, and needs no change of the packages beside it:
//
//	gopy build -output=out -vm=python ./mypackage github.com/pybuf/pybuf-go/gopybuf
//
// In Python, pybuf.gopy.enable() finds what this package exports. gopybuf.h is
// what the two say to each other.
//
// # Views
//
// gopy keeps each Go value that Python holds in a table, under a number, its
// handle. A view is a descriptor of what a handle names at that moment: what
// [pybuf.OfAny] takes. It holds the memory, not the handle: a slice that append
// moves later leaves its views on the memory that it had.
//
// # Loans
//
// A loan is memory of Python's under a Go slice, for the time of a call. A
// function may return what it was lent, a part of it, or something that keeps
// it. So a loan ends when the last of these is gone: the call, each Python
// object that stands on the memory, each view of it, each Go object in which it
// is found after the call. What Go puts where no call shows it, such as a
// global variable or a goroutine, is not found: such functions take a copy.
//
// # Threads
//
// Every function may be called on any thread. No lock is held while Python's
// memory is given back, which may wait for the GIL.
package gopybuf
