//go:build cgo && !pyext

package pybuf

import (
	"errors"
	"strings"
	"syscall"
	"unsafe"
)

// Export hands the memory over: it returns the address of a descriptor (the C
// struct pybuf_descriptor of pybuf.h), for pybuf.adopt in Python, [Slice] in Go
// or any other consumer. Go's memory is pinned until the consumer calls the
// descriptor's release, on whatever thread; a consumer that never calls it
// keeps the memory for good, and [Live] tells who exported it.
//
// A Buffer with an error is exported as an ERROR descriptor, which raises it in
// Python. 0 is returned only if C has no memory for the descriptor.
//
// Each Export makes a descriptor of its own, over the same memory. [Foreign]
// memory with a free function can be handed over once; a second Export is an
// ERROR descriptor.
func (b *Buffer) Export() uintptr {
	from := callerOf(1)
	err := b.Err()
	free := func() {}
	if b != nil && b.foreign != nil && b.foreign.free != nil {
		if b.foreign.gone.Swap(true) {
			err = fail(ErrValue, "foreign memory was exported twice; it can be given back only once, so export it once")
		} else {
			free = func() { callFree(b.foreign.free) }
		}
	}
	if b != nil && b.then != nil {
		first := free
		free = func() { first(); callFree(b.then) }
	}
	if err != nil {
		free()
		return exportError(err, from)
	}
	e := pins.reserve()
	if b.foreign != nil || b.then != nil {
		e.end = free
	}
	if b.foreign == nil {
		b.pin(e)
	}
	d := newDescriptor(b.descriptorSize())
	if d == nil {
		pins.recycle(e)
		return 0
	}
	b.fill(d)
	return d.publish(e, from)
}

// pin pins Go's memory, and counts it. Of other memory the runtime takes no
// notice.
func (b *Buffer) pin(e *pin) {
	e.bytes = b.facts.NBytes
	if b.data != nil {
		e.pinner.Pin(b.data)
	}
	for _, row := range b.held {
		e.pinner.Pin(row)
	}
}

// publish completes a descriptor, and gives what it holds a slot.
func (d *descriptor) publish(e *pin, from uintptr) uintptr {
	c := fromC()
	d.flags |= flagProcess
	d.pid, d.release = c.home, c.release
	d.magic = descriptorMagic
	e.descriptor, e.from = uintptr(unsafe.Pointer(d)), from
	d.ctx = uintptr(pins.publish(e)) // nobody but Live knows of d yet, which does not read it
	return uintptr(unsafe.Pointer(d))
}

// exportError makes an ERROR descriptor.
func exportError(err error, from uintptr) uintptr {
	text, code, errno := askError(err)
	// C ends a text at the first NUL.
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	d := newDescriptor(unsafe.Sizeof(descriptor{}) + uintptr(len(text)) + 1)
	if d == nil {
		return 0
	}
	d.version, d.flags = descriptorVersion, flagError
	d.ndim, d.nbytes = code, errno
	d.format = putText(unsafe.Add(unsafe.Pointer(d), unsafe.Sizeof(*d)), text)
	return d.publish(pins.reserve(), from)
}

// askError is what an error says, also if it panics: one that is a nil pointer
// of somebody's own type often does.
func askError(err error) (text string, code int32, errno int64) {
	defer func() {
		if p := recover(); p != nil {
			text, code, errno = "the error that was to be told panicked: "+PanicText(p), codeRuntime, 0
		}
	}()
	code, errno = codeOf(err)
	return err.Error(), code, errno
}

// codeOf is an error as an ERROR descriptor has it.
func codeOf(err error) (code int32, errno int64) {
	var number syscall.Errno
	if errors.As(err, &number) {
		return codeSystem, int64(number)
	}
	var kind Kind
	if errors.As(err, &kind) {
		if kind == ErrUnknown { // there is nobody else to ask any more
			kind = ErrValue
		}
		for code, k := range kindOfCode {
			if k == kind {
				return int32(code), 0
			}
		}
	}
	return codeRuntime, 0
}
