//go:build pyext

// Package pyshim is the CPython half of the extension module: C only. It is
// linked into the c-shared build of package capi by the build tag pyext; no
// other build sees it, so that everything else needs no Python.
//
// The include path of Python.h comes from the environment (CGO_CFLAGS), which
// setup.py fills; nothing about one machine stands here.
package pyshim

/*
#cgo CFLAGS: -I${SRCDIR}/../capi -std=c11 -Wall -Wextra -fvisibility=hidden
*/
import "C"
