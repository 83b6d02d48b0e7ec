//go:build cgo && !pyext

package pybuf

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// descriptor mirrors the C struct of capi/pybuf.h, which is the manual of every
// field. It is not included from there: `go mod vendor` copies the folder of a
// package and no other. A test holds the two equal.
//
// Pointers are numbers here, since it lies in C's memory: of a pointer that Go
// overwrites the collector wants to know what it points to.
type descriptor struct {
	magic      uint64
	version    uint32
	flags      uint32
	ndim       int32
	pid        int32
	data       uintptr
	itemSize   int64
	nbytes     int64
	format     uintptr
	shape      uintptr
	strides    uintptr
	suboffsets uintptr
	release    uintptr
	ctx        uintptr // the Slot, if it is ours
}

const (
	descriptorMagic   = 0x4353444655425950
	descriptorVersion = 1
	// magicReleased is in those that a debug build keeps after their release.
	magicReleased = 0x44455341454c4552

	flagReadOnly = 1
	flagProcess  = 2
	flagError    = 4
	flagsKnown   = flagReadOnly | flagProcess | flagError
)

// The kinds of errors of an ERROR descriptor. Those of pybuf.h that are a Kind:
var kindOfCode = [...]Kind{
	1: ErrValue,
	2: ErrType,
	3: ErrOverflow,
	4: ErrMemory,
	5: ErrBuffer,
	6: ErrRuntime,
}

const (
	codeRuntime = 6
	codeSystem  = 7
)

// descriptorAt is the descriptor at an address, which is one's.
func descriptorAt(address uintptr) *descriptor { return (*descriptor)(pointerTo(address)) }

// isDoubtful tells that an address may have been cut to 32 bits on its way, as
// ctypes cuts a plain int, or is none. Others are trusted.
func isDoubtful(address uintptr) bool {
	a := uint64(address)
	return a>>47 != 0 || a>>32 == 0 && !fromC().isLow
}

// isReadable asks the kernel, by a pipe, whether there are words at an address:
// to look would end the process where there are none.
func isReadable(address uintptr) bool {
	var ends [2]int
	if syscall.Pipe(ends[:]) != nil {
		return false // nobody to ask
	}
	defer syscall.Close(ends[0])
	defer syscall.Close(ends[1])
	size := unsafe.Sizeof(descriptor{})
	n, _, _ := syscall.Syscall(syscall.SYS_WRITE, uintptr(ends[1]), address, size)
	return n == size
}

// pointerTo makes a pointer of an address that came from C: of memory that is
// not Go's, or is pinned. go vet takes the plain conversion for a mistake, which
// it is wherever the collector could move or free what is meant.
func pointerTo(address uintptr) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

// take takes the descriptor over: of several who try, one gets it.
func (d *descriptor) take() bool {
	return atomic.CompareAndSwapUint64(&d.magic, descriptorMagic, 0)
}

// putBack undoes take, for somebody else to take it.
func (d *descriptor) putBack() { atomic.StoreUint64(&d.magic, descriptorMagic) }

func (d *descriptor) untaken() bool { return atomic.LoadUint64(&d.magic) == descriptorMagic }

// numbers are the ndim numbers at an address in the descriptor, as Go's own;
// nil for NULL.
func (d *descriptor) numbers(address uintptr) []int {
	if address == 0 {
		return nil
	}
	numbers := make([]int, d.ndim)
	for i, n := range unsafe.Slice((*int64)(pointerTo(address)), d.ndim) {
		numbers[i] = int(n)
	}
	return numbers
}

// text is the C string of the descriptor's format, in C's memory.
func (d *descriptor) text() string {
	if d.format == 0 {
		return ""
	}
	p := (*byte)(pointerTo(d.format))
	n := 0
	for *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return unsafe.String(p, n)
}

// descriptorSize is the bytes of one block with a descriptor and all that it
// points to; fill makes it one.
func (b *Buffer) descriptorSize() uintptr {
	lists := 2
	if b.sub != nil {
		lists = 3
	}
	return unsafe.Sizeof(descriptor{}) + uintptr(lists*len(b.shape)*8+len(b.format)+1)
}

// fill describes the Buffer in zeroed memory of descriptorSize.
func (b *Buffer) fill(d *descriptor) {
	d.version = descriptorVersion
	d.ndim = int32(len(b.shape))
	d.itemSize, d.nbytes = int64(b.size), int64(b.facts.NBytes)
	d.data = uintptr(b.data)
	if b.facts.NBytes == 0 {
		d.data = uintptr(unsafe.Pointer(d)) // aligned, and not NULL: some consumers end the process then
	}
	if b.readOnly {
		d.flags |= flagReadOnly
	}
	at := unsafe.Add(unsafe.Pointer(d), unsafe.Sizeof(*d))
	if len(b.shape) > 0 {
		d.shape, at = putNumbers(at, b.shape)
		d.strides, at = putNumbers(at, b.facts.Strides)
		if b.sub != nil {
			d.suboffsets, at = putNumbers(at, b.sub)
		}
	}
	d.format = putText(at, b.format)
}

// putNumbers writes numbers to memory of C's: where they are, and what follows.
func putNumbers(at unsafe.Pointer, numbers []int) (uintptr, unsafe.Pointer) {
	for i, n := range numbers {
		*(*int64)(unsafe.Add(at, i*8)) = int64(n)
	}
	return uintptr(at), unsafe.Add(at, len(numbers)*8)
}

// putText writes a text to zeroed memory of C's, which has a byte more.
func putText(at unsafe.Pointer, text string) uintptr {
	copy(unsafe.Slice((*byte)(at), len(text)), text)
	return uintptr(at)
}
