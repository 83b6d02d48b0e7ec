// Package tests holds the tests of the Go half, from the outside: of package
// pybuf as a Go author meets it, and of the C ABI as C meets it. It needs Go
// and a C compiler, and no Python.
package tests
