// Package vecs is what a Go author may have written: it knows nothing of pybuf
// nor of gopy. The tests bind it with gopy, and look at it from Python.
package vecs
