//go:build pyext && werror

package pyshim

// The build tag werror (PYBUF_WERROR=1 for setup.py) makes each warning of
// the shim an error. It stands here and not in CGO_CFLAGS because those also
// reach the C of runtime/cgo, whose warnings are not ours to mend.

/*
#cgo CFLAGS: -Werror
*/
import "C"
