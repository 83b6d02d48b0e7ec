//go:build pyext

// Package pyshim is the CPython half of the extension module: C only. It is
// linked into the c-shared build of package capi by the build tag pyext; no
// other build sees it. It needs no headers of Python's: pyabi.h has what is used.
package pyshim

/*
#cgo CFLAGS: -I${SRCDIR}/../capi -I${SRCDIR}/../gopybuf -std=c11 -D_GNU_SOURCE -Wall -Wextra -fvisibility=hidden
// Calls of Go's own C that come to limits.c, entry.c and guard.c, which say why.
#cgo LDFLAGS: -Wl,--wrap=pthread_create -Wl,--wrap=pthread_key_create -Wl,--wrap=sigaction
*/
import "C"
