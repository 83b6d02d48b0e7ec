package pybuf

import (
	"math/bits"
	"strconv"
	"sync"
	"unsafe"
)

// NewBlock returns zeroed memory of Go's heap: nbytes from an address that is
// a multiple of align, a power of two. It is held by the slot, for whoever
// looks at it from outside of Go, and never moves.
//
// Errors: [ErrValue] for a negative size or an alignment that is no power of
// two, [ErrMemory] for a size that no machine has. A size that this machine
// does not have ends the process, as everywhere in Go: ask the system first.
func NewBlock(nbytes, align int) (unsafe.Pointer, Slot, error) {
	if nbytes < 0 {
		return nil, 0, fail(ErrValue, "a block of ", strconv.Itoa(nbytes), " bytes was asked for")
	}
	if align <= 0 || bits.OnesCount(uint(align)) != 1 {
		return nil, 0, fail(ErrValue, "align is ", strconv.Itoa(align), ", which is no power of two")
	}
	if nbytes > blockMax-align {
		return nil, 0, fail(ErrMemory, strconv.Itoa(nbytes), " bytes, aligned to ",
			strconv.Itoa(align), ", were asked for, which no machine has")
	}
	ballast()
	p := alignedBytes(max(nbytes, 1), align)
	return unsafe.Pointer(p), hold(p, nbytes), nil
}

// blockMax is beyond the address space of every 64-bit machine that Go knows,
// and below what make panics for.
const blockMax = 1 << 47

// pageSize is what Go's allocator aligns large blocks to.
const pageSize = 8 << 10

// alignedBytes allocates n > 0 bytes. Go aligns blocks whose size is a multiple
// of a power of two to that power, up to a page: not as a promise, hence the
// look, and the second way, which wastes align bytes.
func alignedBytes(n, align int) *byte {
	if align <= pageSize {
		p := unsafe.SliceData(make([]byte, (n+align-1)&^(align-1)))
		if address(p)&uintptr(align-1) == 0 {
			return p
		}
	}
	room := make([]byte, n+align-1)
	return &room[-address(&room[0])&uintptr(align-1)]
}

func address(p *byte) uintptr { return uintptr(unsafe.Pointer(p)) }

// ballast gives memory that nobody touches, so that it costs addresses only. Go's
// collector waits until the heap has doubled; from the 4 MB of a heap that has
// nothing else it would run after every 500 blocks of 8 KB, which doubles what
// a block costs.
var ballast = sync.OnceValue(func() []byte { return make([]byte, ballastBytes) })

const ballastBytes = 16 << 20
