//go:build cgo && !pyext

package tests

import (
	"errors"
	"io/fs"
	"math"
	"math/rand"
	"os"
	"reflect"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

func requireLent[T comparable](t *testing.T, format string, items ...T) {
	t.Helper()
	c := take(t, pybuf.Of(items))
	assert.Equal(t, format, c.Format)
	assert.Equal(t, []int64{int64(len(items))}, c.Shape)
	assert.Nil(t, c.Suboffsets)
	assert.EqualValues(t, consumer.Process, c.Flags)
	assert.Equal(t, uintptr(unsafe.Pointer(&items[0])), c.Data, "a copy")
	requireItems(t, items, c)
}

func TestOf_LendsEveryElementTypeWhereItLies(t *testing.T) {
	lending(t)
	requireLent(t, "?", true, false)
	requireLent[int8](t, "b", -1, 2)
	requireLent[uint8](t, "B", 1, 255)
	requireLent[int16](t, "h", -1, 2)
	requireLent[uint16](t, "H", 1, 2)
	requireLent[int32](t, "i", -1, 2)
	requireLent[uint32](t, "I", 1, 2)
	requireLent[int64](t, "l", math.MinInt64, 2)
	requireLent[uint64](t, "L", math.MaxUint64, 2)
	requireLent(t, "l", -1, 2)
	requireLent[uint](t, "L", 1, 2)
	requireLent[uintptr](t, "L", 1, 2)
	requireLent[float32](t, "f", 1.5, -2)
	requireLent(t, "d", 1.5, math.Inf(-1))
	requireLent[complex64](t, "Zf", 1+2i)
	requireLent(t, "Zd", 1+2i)
	requireLent[celsius](t, "f", 36.6)
	requireLent(t, "T{"+native+"i:ID:4x"+native+"d:Price:"+native+"?:Flag:7x}", trade{1, 2.5, true}, trade{2, 3.5, false})
}

func TestOf_AShapeIsPackedInCOrder(t *testing.T) {
	lending(t)
	items := make([]int32, 24)
	for i := range items {
		items[i] = int32(i)
	}
	c := take(t, pybuf.Of(items, 2, 3, 4))
	assert.Equal(t, []int64{2, 3, 4}, c.Shape)
	assert.Equal(t, []int64{48, 16, 4}, c.Strides)
	requireItems(t, items, c)
}

func TestOf_ArraysAreTheLastAxes(t *testing.T) {
	lending(t)
	items := [][2][3]int16{{{1, 2, 3}, {4, 5, 6}}, {{7, 8, 9}, {10, 11, 12}}}
	c := take(t, pybuf.Of(items))
	assert.Equal(t, "h", c.Format)
	assert.Equal(t, []int64{2, 2, 3}, c.Shape)
	assert.Equal(t, []int64{12, 6, 2}, c.Strides)
	requireItems(t, []int16{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, c)
	c = take(t, pybuf.Of(items, 1, 2))
	assert.Equal(t, []int64{1, 2, 2, 3}, c.Shape)
}

func TestOf_NoItemsHaveAnAddressThatIsAligned(t *testing.T) {
	lending(t)
	for _, b := range []*pybuf.Buffer{
		pybuf.Of[float64](nil), pybuf.Of([]float64{}), pybuf.Of([]float64{}, 0, 5), pybuf.Of(make([]float64, 0, 9)),
		pybuf.Of([][3]float64{}),
	} {
		c := take(t, b)
		assert.Zero(t, c.NBytes)
		assert.Zero(t, c.Data%8)
	}
}

func TestOf_TheShapeIsTheLength(t *testing.T) {
	lending(t)
	items := make([]float64, 12)
	requireError(t, pybuf.Of(items, 3, 5), pybuf.ErrValue, "shape (3, 5) is of 15 items, and the slice has 12")
	requireError(t, pybuf.Of(items, 0), pybuf.ErrValue, "shape (0,) is of 0 items, and the slice has 12")
	requireError(t, pybuf.Of(items[:0], 1), pybuf.ErrValue, "shape (1,) is of 1 items, and the slice has 0")
	requireError(t, pybuf.Of(items, -3, -4), pybuf.ErrValue, "extent 0 is -3")
	requireError(t, pybuf.Of(items, 1<<62, 4), pybuf.ErrOverflow, "more than")
	requireError(t, pybuf.Of(make([][2]int8, 3), 4), pybuf.ErrValue, "shape (4,) is of 4 items, and the slice has 3")
	ones := make([]int, pybuf.MaxNDim+1)
	for i := range ones {
		ones[i] = 1
	}
	requireError(t, pybuf.Of(items[:1], ones...), pybuf.ErrValue, "65 dimensions")
	requireError(t, pybuf.Of(make([][1]int8, 1), ones[:64]...), pybuf.ErrValue, "65 dimensions")
	take(t, pybuf.Of(items[:1], ones[:64]...))
}

func TestOf_WhatHoldsPointersIsRefused(t *testing.T) {
	lending(t)
	requireError(t, pybuf.Of([]string{"a"}), pybuf.ErrType, `"string" holds a pointer`)
	requireError(t, pybuf.Of([]*int{nil}), pybuf.ErrType, `"*int"`)
	requireError(t, pybuf.Of([]any{1}), pybuf.ErrType, `"interface {}"`)
	requireError(t, pybuf.Of([]map[int]int{}), pybuf.ErrType, `"map[int]int"`)
	requireError(t, pybuf.Of([]chan int{}), pybuf.ErrType, `"chan int"`)
	requireError(t, pybuf.Of([]struct{ A, B string }{}), pybuf.ErrType, `field "A" of type "string"`)
	requireError(t, pybuf.Of([][]float64{}), pybuf.ErrType, `"[]float64"`)
	requireError(t, pybuf.Of([]struct{}{{}}), pybuf.ErrType, "0 bytes")
	requireError(t, pybuf.Of([][0]int{{}}), pybuf.ErrType, "0 bytes")
}

func TestOf_TheCallersShapeIsItsOwn(t *testing.T) {
	lending(t)
	shape := []int{2, 3}
	b := pybuf.Of(make([]int8, 6), shape...)
	shape[0] = 6
	b.Shape()[0] = 7
	b.Layout().Strides[0] = 7
	c := take(t, b)
	assert.Equal(t, []int64{2, 3}, c.Shape)
	assert.Equal(t, []int64{3, 1}, c.Strides)
}

func TestBuffer_ReadOnlyIsAnotherBufferOfTheSameMemory(t *testing.T) {
	lending(t)
	items := []int{1, 2, 3}
	b := pybuf.Of(items)
	c := take(t, b.ReadOnly())
	assert.EqualValues(t, consumer.Process|consumer.ReadOnly, c.Flags)
	requireItems(t, items, c)
	assert.EqualValues(t, consumer.Process, take(t, b).Flags)
}

func TestBuffer_LayoutIsWhatIsExported(t *testing.T) {
	b := pybuf.Rows([][]int16{{1, 2}, {3, 4}, {5, 6}})
	l := b.Layout()
	assert.Equal(t, "h", l.Format)
	assert.Equal(t, []int{3, 2}, l.Shape)
	assert.Equal(t, []int{3, 2}, b.Shape())
	_, err := l.Judge()
	assert.NoError(t, err)
}

func TestExport_TwoDescriptorsOfOneMemoryAreReleasedOnTheirOwn(t *testing.T) {
	lending(t)
	items := []int{1, 2, 3}
	b := pybuf.Of(items)
	slots, bytes := pybuf.Held()
	one, other := b.Export(), b.Export()
	requireHeld(t, slots+2, bytes+48)
	require.True(t, consumer.Take(one))
	require.True(t, consumer.Take(other))
	require.False(t, consumer.Take(other))
	consumer.Release(one)
	requireItems(t, items, consumer.Read(other))
	consumer.Release(other)
	requireHeld(t, slots, bytes)
}

func TestExport_ReleasedOnAThreadThatGoNeverSaw(t *testing.T) {
	lending(t)
	for range 100 {
		d := pybuf.Of([]int{1}).Export()
		require.True(t, consumer.Take(d))
		require.True(t, consumer.ReleaseOnAThread(d))
	}
}

func TestExport_ReleasedInAForkedChildDoesNothing(t *testing.T) {
	lending(t)
	d := pybuf.Of([]int{1}).Export()
	assert.Zero(t, consumer.ReleaseInAChild(d))
	require.True(t, consumer.Take(d))
	consumer.Release(d)
}

func TestExport_OfNoBufferIsAnError(t *testing.T) {
	lending(t)
	var b *pybuf.Buffer
	requireError(t, b, pybuf.ErrValue, "a nil *Buffer")
}

func TestFail_HasTheKindOfItsError(t *testing.T) {
	lending(t)
	for kind := range codes {
		requireError(t, pybuf.Fail(&pybuf.Error{Kind: kind, Text: "why"}), kind, "why")
	}
	requireError(t, pybuf.Fail(nil), pybuf.ErrRuntime, "no error (nil)")
}

func TestFail_OtherErrorsAreOfNoKind(t *testing.T) {
	lending(t)
	err := errors.New("the market is closed")
	b := pybuf.Fail(err)
	assert.Equal(t, err, b.Err())
	requireErrorDescriptor(t, b.Export(), consumer.ERuntime, 0, "the market is closed")
}

type panics struct{}

func (panics) Error() string { panic("no text") }

type panicsInside struct{ error }

func (e *panicsInside) Unwrap() error { return e.error }

func TestFail_AnErrorThatPanicsIsAnErrorToo(t *testing.T) {
	lending(t)
	requireErrorDescriptor(t, pybuf.Fail(panics{}).Export(), consumer.ERuntime, 0, "the error that was to be told panicked: no text")
	d := pybuf.Fail((*panicsInside)(nil)).Export()
	require.True(t, consumer.Take(d))
	assert.Contains(t, consumer.Read(d).Format, "nil pointer dereference")
	consumer.Release(d)
}

func TestFail_ErrorsOfTheSystemHaveTheirNumber(t *testing.T) {
	lending(t)
	_, err := os.Open("/no/such/file")
	require.ErrorIs(t, err, fs.ErrNotExist)
	requireErrorDescriptor(t, pybuf.Fail(err).Export(), consumer.ESystem, int64(syscall.ENOENT), err.Error())
}

func TestFail_TheTextIsOneThatCCanHold(t *testing.T) {
	lending(t)
	for text, expected := range map[string]string{"": "", "a\x00b": "a\uFFFDb", "\xff": "\uFFFD", "☃": "☃"} {
		requireErrorDescriptor(t, pybuf.Fail(errors.New(text)).Export(), consumer.ERuntime, 0, expected)
	}
}

// lendsValues holds a slice of any type against what is exported of it, byte by
// byte of each item.
func lendsValues(t testing.TB, random *rand.Rand, typ reflect.Type) {
	e, err := pybuf.ElementOfType(typ)
	require.NoError(t, err)
	n := random.Intn(5)
	items := reflect.New(reflect.SliceOf(typ))
	items.Elem().Set(reflect.MakeSlice(reflect.SliceOf(typ), n, n))
	whole := unsafe.Slice((*byte)(items.Elem().UnsafePointer()), n*e.ItemSize)
	for i := range whole {
		whole[i] = byte(random.Uint32())
	}
	d := pybuf.OfAny(items.Interface()).Export()
	require.True(t, consumer.Take(d))
	defer consumer.Release(d)
	c := consumer.Read(d)
	requireSound(t, c)
	at := 0
	eachItem(c, func(_ []int, p unsafe.Pointer) {
		size := int(c.ItemSize)
		require.Equal(t, whole[at:at+size], unsafe.Slice((*byte)(p), size))
		at += size
	})
	require.Equal(t, len(whole), at)
}

func TestOf_AnyTypeLeavesByteByByte(t *testing.T) {
	lending(t)
	random := rand.New(rand.NewSource(1))
	for range 300 {
		typ := randomType(random, 3)
		if _, err := pybuf.ElementOfType(typ); err == nil {
			lendsValues(t, random, typ)
		}
	}
}

func FuzzOf_AnyShape(f *testing.F) {
	f.Add(uint8(3), uint8(4), uint8(5))
	f.Add(uint8(0), uint8(4), uint8(5))
	f.Add(uint8(1), uint8(1), uint8(1))
	f.Add(uint8(7), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, i, j, k uint8) {
		lending(t)
		shape := []int{int(i % 8), int(j % 8), int(k % 8)}
		items := make([]uint16, shape[0]*shape[1]*shape[2])
		for n := range items {
			items[n] = uint16(n * 7)
		}
		requireItems(t, items, take(t, pybuf.Of(items, shape...)))
		requireItems(t, items, take(t, pybuf.Of(items, shape[1], 1, shape[0]*shape[2])))
		requireItems(t, items, take(t, pybuf.Of(items)))
	})
}
