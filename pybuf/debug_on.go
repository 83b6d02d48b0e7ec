//go:build cgo && !pyext && pybufdebug

package pybuf

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// The build tag pybufdebug keeps every descriptor that was released, so that its
// address is never used again and each misuse of it is noticed. Memory grows by
// some hundred bytes for each export.

// graves are the lines that made and released what is no more, by descriptor.
var graves sync.Map // uintptr -> grave

type grave struct{ made, released string }

// keepReleased keeps a descriptor, and poisons what it points to.
func keepReleased(d *descriptor, from uintptr) bool {
	made, _ := lineAt(from)
	graves.Store(uintptr(unsafe.Pointer(d)), grave{made, releasingLine()})
	atomic.StoreUint64(&d.magic, magicReleased)
	d.data, d.format, d.shape, d.strides, d.suboffsets = poison, poison, poison, poison, poison
	d.nbytes, d.itemSize = -1, -1
	return true
}

// poison is an address where no machine has memory.
const poison = 0xdeaddeaddeaddea0

func reportDoubleRelease(d *descriptor) {
	text := "a descriptor was released twice"
	if g, ok := graves.Load(uintptr(unsafe.Pointer(d))); ok {
		text += ": exported at " + g.(grave).made + ", released at " + g.(grave).released
	}
	reportMisuse(text + ", now released again at " + releasingLine())
}

// releasedBefore tells who made and released a descriptor that is no more; ""
// if it is none of those.
func releasedBefore(d *descriptor) string {
	if atomic.LoadUint64(&d.magic) != magicReleased {
		return ""
	}
	text := "a descriptor was taken after its release"
	if g, ok := graves.Load(uintptr(unsafe.Pointer(d))); ok {
		text += ": exported at " + g.(grave).made + ", released at " + g.(grave).released
	}
	return text
}

// releasingLine is the line of Go from which C was called that releases now, or
// "code that is not Go's".
func releasingLine() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		if line := shortLine(f); f.Line > 0 && !strings.HasPrefix(f.Function, "runtime.") &&
			!strings.HasPrefix(f.Function, "github.com/pybuf/pybuf-go/pybuf.") &&
			!strings.HasPrefix(line, "_cgo") { // what cgo writes between Go and C
			return line
		}
		if !more {
			return "code that is not Go's"
		}
	}
}
