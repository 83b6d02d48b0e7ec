package tests

import (
	"bytes"
	"math"
	"runtime"
	"strconv"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// block is memory that NewBlock gave, with what is written in it.
type block struct {
	memory []byte
	slot   pybuf.Slot
	fill   byte
}

// newBlock takes a block, checks it as every new one, and fills it.
func newBlock(t testing.TB, nbytes, align int, fill byte) block {
	t.Helper()
	data, slot, err := pybuf.NewBlock(nbytes, align)
	require.NoError(t, err)
	require.NotNil(t, data)
	require.Zero(t, uintptr(data)%uintptr(align), "%d bytes at %p, to be aligned to %d", nbytes, data, align)
	require.Positive(t, slot)
	b := block{unsafe.Slice((*byte)(data), nbytes), slot, fill}
	b.require(t, 0)
	for i := range b.memory {
		b.memory[i] = fill
	}
	return b
}

// require checks that every byte is what it should be.
func (b block) require(t testing.TB, fill byte) {
	t.Helper()
	require.Equal(t, len(b.memory), bytes.Count(b.memory, []byte{fill}))
}

// release checks the content for the last time and releases the slot.
func (b block) release(t testing.TB) {
	t.Helper()
	b.require(t, b.fill)
	require.NoError(t, b.slot.Release())
}

var blockSizes = []int{0, 1, 7, 8, 9, 63, 64, 65, 4095, 4096, 8192, 8193, 32 << 10, 32<<10 + 1, 100_000}

func TestNewBlock_IsZeroedAndAlignedToEveryPowerOfTwo(t *testing.T) {
	for align := 1; align <= 1<<20; align *= 2 {
		for _, size := range blockSizes {
			one, other := newBlock(t, size, align, 0x11), newBlock(t, size, align, 0x22)
			one.release(t)
			other.release(t)
		}
	}
}

func TestNewBlock_IsZeroedWhereMemoryWasUsedBefore(t *testing.T) {
	used := map[uintptr]bool{}
	again := 0
	for i := range 200 {
		b := newBlock(t, 100_000, 64, 0xff)
		at := uintptr(unsafe.Pointer(&b.memory[0]))
		if used[at] {
			again++
		}
		used[at] = true
		b.release(t)
		if i%10 == 0 {
			runtime.GC()
		}
	}
	assert.Positive(t, again, "no memory was used again, so this test says nothing")
}

func TestNewBlock_RefusesWhatCannotBe(t *testing.T) {
	for _, row := range []struct {
		nbytes, align int
		kind          pybuf.Kind
		text          string
	}{
		{-1, 64, pybuf.ErrValue, "a block of -1 bytes was asked for"},
		{math.MinInt, 64, pybuf.ErrValue, "a block of -9223372036854775808 bytes was asked for"},
		{-1, 3, pybuf.ErrValue, "a block of -1 bytes was asked for"},
		{8, 0, pybuf.ErrValue, "align is 0, which is no power of two"},
		{8, -8, pybuf.ErrValue, "align is -8, which is no power of two"},
		{8, math.MinInt, pybuf.ErrValue, "align is -9223372036854775808, which is no power of two"},
		{8, 3, pybuf.ErrValue, "align is 3, which is no power of two"},
		{8, math.MaxInt, pybuf.ErrValue, "align is 9223372036854775807, which is no power of two"},
		{1 << 50, 3, pybuf.ErrValue, "align is 3, which is no power of two"},
		{1 << 50, 1, pybuf.ErrMemory, "1125899906842624 bytes, aligned to 1, were asked for, which no machine has"},
		{1 << 47, 1, pybuf.ErrMemory, "140737488355328 bytes, aligned to 1, were asked for, which no machine has"},
		{0, 1 << 62, pybuf.ErrMemory, "0 bytes, aligned to 4611686018427387904, were asked for, which no machine has"},
		{math.MaxInt, 1 << 62, pybuf.ErrMemory, strconv.Itoa(math.MaxInt) +
			" bytes, aligned to 4611686018427387904, were asked for, which no machine has"},
	} {
		slots, held := pybuf.Held()
		data, slot, err := pybuf.NewBlock(row.nbytes, row.align)
		requireKind(t, row.kind, err)
		assert.EqualError(t, err, row.text)
		assert.Nil(t, data)
		assert.Zero(t, slot)
		requireHeld(t, slots, held)
	}
}

// A benchmark of what Python's zeros((8192,), source="go") costs in Go.
func BenchmarkNewBlock(b *testing.B) {
	b.SetBytes(8192)
	for range b.N {
		_, slot, err := pybuf.NewBlock(8192, 64)
		if err != nil || slot.Release() != nil {
			b.Fatal(err)
		}
	}
}
