// Command capi is the C ABI of package pybuf, to be built as a shared library
// (go build -buildmode=c-shared): with the build tag pyext it holds the C half
// too and is the extension module, without it a plain C library.
//
// pybuf_abi.h is the contract: units, ownership, threads and returns of
//
//	pybuf_go_abi      ABI number and struct sizes
//	pybuf_go_version  version of the library
//	pybuf_go_element  a spelling of an element type -> the element record
//	pybuf_go_plain    the spellings to fill a cache of records with
//	pybuf_go_layout   a layout -> what follows from it
//	pybuf_go_alloc    memory of Go's heap
//	pybuf_go_free     gives it back
//	pybuf_go_runtime  counters of the Go runtime
//
// An export decodes its arguments, calls package pybuf and encodes the
// answer; what is right and wrong is decided there. No C pointer outlives the
// call that brought it. The one memory that C is given is pybuf_go_alloc's.
package main

func main() {} // not called in a shared library, and demanded by the linker
