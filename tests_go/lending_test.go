//go:build cgo && !pyext

package tests

import (
	"os"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/pybuf/pybuftest"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// lending is the leak check of every test that hands memory over: nothing is out
// at its end, and the collector finds the same slots.
func lending(t testing.TB) {
	t.Helper()
	pybuftest.NoLeaks(t)
	slots, bytes := pybuf.Held()
	given := consumer.GivenBack()
	made = 0
	t.Cleanup(func() {
		runtime.GC()
		requireHeld(t, slots, bytes)
		require.Equal(t, made, consumer.GivenBack()-given, "descriptors of C that were made and given back")
	})
}

// made counts the descriptors that a test made in C.
var made int

// take exports a Buffer and takes it, as a consumer does; at the end of the test
// it is released.
func take(t testing.TB, b *pybuf.Buffer) consumer.Descriptor {
	t.Helper()
	require.NoError(t, b.Err())
	d := b.Export()
	require.NotZero(t, d)
	require.True(t, consumer.Take(d))
	t.Cleanup(func() { consumer.Release(d) })
	c := consumer.Read(d)
	requireSound(t, c)
	return c
}

// requireSound checks what the header says of every descriptor.
func requireSound(t testing.TB, c consumer.Descriptor) {
	t.Helper()
	require.EqualValues(t, consumer.Version, c.Version)
	require.EqualValues(t, os.Getpid(), c.PID)
	require.NotZero(t, c.Flags&consumer.Process)
	require.Zero(t, c.Flags&^(consumer.ReadOnly|consumer.Process))
	require.True(t, c.HasRelease)
	require.NotZero(t, c.Data)
	e, err := pybuf.ParseFormat(c.Format)
	require.NoError(t, err)
	require.EqualValues(t, e.ItemSize, c.ItemSize)
	require.Equal(t, e.Format, c.Format)
	n := c.ItemSize
	for _, extent := range c.Shape {
		n *= extent
	}
	require.Equal(t, n, c.NBytes)
	require.Equal(t, int(c.NDim), len(c.Shape))
	require.Equal(t, int(c.NDim), len(c.Strides))
	if c.NDim == 0 {
		require.Nil(t, c.Shape)
	}
}

// item is where the item of some indices lies, by PEP 3118's own loop.
func item(c consumer.Descriptor, indices []int) unsafe.Pointer {
	at := c.Data
	for axis, i := range indices {
		at += uintptr(c.Strides[axis] * int64(i))
		if c.Suboffsets != nil && c.Suboffsets[axis] >= 0 {
			at = *(*uintptr)(*(*unsafe.Pointer)(unsafe.Pointer(&at))) + uintptr(c.Suboffsets[axis])
		}
	}
	return *(*unsafe.Pointer)(unsafe.Pointer(&at))
}

// eachItem calls f with every item and its indices, the last one fastest.
func eachItem(c consumer.Descriptor, f func(indices []int, at unsafe.Pointer)) {
	indices := make([]int, c.NDim)
	var walk func(axis int)
	walk = func(axis int) {
		if axis == len(indices) {
			f(indices, item(c, indices))
			return
		}
		for i := range int(c.Shape[axis]) {
			indices[axis] = i
			walk(axis + 1)
		}
	}
	walk(0)
}

// requireItems checks every item, in order, against values of Go.
func requireItems[T comparable](t testing.TB, expected []T, c consumer.Descriptor) {
	t.Helper()
	n := 0
	eachItem(c, func(indices []int, at unsafe.Pointer) {
		require.Less(t, n, len(expected))
		require.Equal(t, expected[n], *(*T)(at), "%v", indices)
		n++
	})
	require.Equal(t, len(expected), n)
}

// requireError exports what cannot be lent, and checks the ERROR descriptor.
func requireError(t testing.TB, b *pybuf.Buffer, kind pybuf.Kind, text string) {
	t.Helper()
	require.ErrorIs(t, b.Err(), kind)
	assert.Contains(t, b.Err().Error(), text)
	requireErrorDescriptor(t, b.Export(), codes[kind], 0, b.Err().Error())
	assert.Nil(t, b.Shape())
	assert.Equal(t, pybuf.Layout{}, b.Layout())
	assert.Equal(t, b, b.ReadOnly())
}

var codes = map[pybuf.Kind]int32{
	pybuf.ErrValue: consumer.EValue, pybuf.ErrType: consumer.EType, pybuf.ErrOverflow: consumer.EOverflow,
	pybuf.ErrMemory: consumer.EMemory, pybuf.ErrBuffer: consumer.EBuffer, pybuf.ErrRuntime: consumer.ERuntime,
	pybuf.ErrUnknown: consumer.EValue,
}

func requireErrorDescriptor(t testing.TB, d uintptr, code int32, errno int64, text string) {
	t.Helper()
	require.NotZero(t, d)
	require.True(t, consumer.Take(d))
	c := consumer.Read(d)
	assert.EqualValues(t, consumer.Version, c.Version)
	assert.EqualValues(t, consumer.Error|consumer.Process, c.Flags)
	assert.EqualValues(t, os.Getpid(), c.PID)
	assert.Equal(t, code, c.NDim)
	assert.Equal(t, errno, c.NBytes)
	assert.Equal(t, text, c.Format)
	consumer.Release(d)
}

// atOnce runs f on n goroutines that begin together, and waits for them.
func atOnce(n int, f func(worker int)) {
	start := make(chan struct{})
	var all sync.WaitGroup
	for worker := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			<-start
			f(worker)
		}()
	}
	close(start)
	all.Wait()
}
