//go:build pyext

package main

// The C half of the extension module: with it this library is a CPython
// extension, without it a plain C library.
import _ "github.com/pybuf/pybuf-go/pyshim"
