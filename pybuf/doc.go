// Package pybuf decides what an element type is and what a layout of elements
// in memory may be. It is the library behind the extension module of the same
// name, and useful without it: it needs no Python, no cgo and no dependency.
//
// # Element types
//
// An [Element] is one type of items (a number, a bool, a string, a sub-array, a
// record of others) in one byte order, together with its name at each door
// through which memory is lent: a PEP 3118 format, an array-interface typestr,
// a DLPack code, an Arrow format. [ParseFormat], [ParseTypestr], [ParseCType]
// and [ParseDescr] read one kind of spelling each; [ParseElement] reads what
// people write, [ElementOf] Go's own types; [Record] makes records of fields.
// [Element.Fields] and [Element.SubArray] take them apart.
//
// # Layouts
//
// A [Layout] says where the elements of an array lie, counted from the element
// whose indices are all 0. [Layout.Judge] applies the rules and tells what
// follows from them: strides, bytes, the reach in memory, contiguity.
//
// # Memory
//
// [NewBlock] gives memory of Go's heap to somebody outside of Go, who may look
// at it until its [Slot] is released.
//
// # Errors
//
// Every error of the package is an [*Error]: a [Kind] for programs and a
// sentence for people, which says what was asked, what is there and what to
// do. Nothing here panics on any input.
//
// # Threads
//
// Every function may be called by any goroutine at any time. No argument is
// kept or changed, and nothing is kept between calls but what slots hold.
package pybuf
