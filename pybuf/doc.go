// Package pybuf lends memory of Go to Python, and Python's to Go, without a copy.
// A slice becomes a NumPy array:
//
//	//export Prices
//	func Prices() C.uintptr_t { return C.uintptr_t(pybuf.Of(prices).Export()) }
//
//	array = numpy.asarray(pybuf.adopt(lib.Prices()))
//
// and an array becomes a slice:
//
//	//export Sum
//	func Sum(d C.uintptr_t) C.double {
//		prices, done, err := pybuf.ReadSlice[float64](uintptr(d))
//		...
//		defer done()
//
//	with pybuf.lend(array) as d:
//		lib.Sum(d)
//
// The package needs no Python and no dependency. It decides too what an element
// type is and what a layout of elements in memory may be, for the extension module
// of the same name; that part needs no cgo, what lends and borrows does.
//
// # Lending
//
// A [Buffer] is memory with its layout, or the error that there is none. [Of]
// makes one of a slice, [Rows] of slices of slices to any depth, [Image] and
// [Planes] of an image, [Foreign] of memory that is not Go's, [OfAny] of whatever
// it is given, [Fail] of an error. [Buffer.Export] makes a descriptor of it, the
// C struct of the header pybuf.h, whose address is a number that fits through
// every door between Go and Python. Whoever takes the descriptor calls its release
// when the last array is gone; until then Go's memory is pinned.
//
// # Borrowing
//
// [Slice] and [ReadSlice] take a descriptor, check that its items are what is
// asked for, and give a slice that is valid until done is called.
//
// # Leaks
//
// [Live] lists what has not come back, with the line that made it; package
// pybuftest makes a test of it. Build with the tag pybufdebug to have each
// misuse of a descriptor noticed: see [Misuse].
//
// # Forks
//
// A Go runtime is dead in a child of fork(). The child may look at what was lent
// before, which is its own copy; releases do nothing there.
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
// changed, and none is kept but the memory of Buffers. Releases come on any
// thread; they wait for no lock that is held while somebody else's code runs.
package pybuf
