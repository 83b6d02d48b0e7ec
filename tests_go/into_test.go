//go:build cgo && !pyext

package tests

import (
	"fmt"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

type temperatures []float64

func TestSliceIntoPutsASliceOfAnyNameOntoTheMemory(t *testing.T) {
	lending(t)
	c := theirs(t, "d", 8, 3)
	var warm temperatures
	before := consumer.GivenBack()
	done, err := pybuf.SliceInto(makeIn(c), &warm)
	require.NoError(t, err)
	require.Len(t, warm, 3)
	assert.Equal(t, 3, cap(warm))
	assert.Equal(t, c.Data, uintptr(unsafe.Pointer(&warm[0])))
	assert.Equal(t, before, consumer.GivenBack())
	done()
	assert.Equal(t, before+1, consumer.GivenBack())
}

func TestIntoRefusesWhatSliceRefusesAndLeavesTheSlice(t *testing.T) {
	lending(t)
	was := []float64{1}
	s := was
	d := makeIn(theirs(t, "f", 4, 3))
	done, err := pybuf.SliceInto(d, &s)
	require.ErrorIs(t, err, pybuf.ErrType)
	done()
	require.ErrorIs(t, pybuf.CopyInto(d, &s), pybuf.ErrType)
	assert.Equal(t, was, s)
	for _, wrong := range []any{nil, s, &was[0], (*[]float64)(nil), new([3]float64)} {
		_, err = pybuf.SliceInto(d, wrong)
		require.ErrorIs(t, err, pybuf.ErrType)
		require.ErrorIs(t, pybuf.CopyInto(d, wrong), pybuf.ErrType)
	}
	var right []float32 // nobody has taken it
	done, err = pybuf.SliceInto(d, &right)
	require.NoError(t, err)
	done()
}

func TestCopyIntoCopiesFromReadOnlyMemoryAtAnyAddress(t *testing.T) {
	lending(t)
	c := theirs(t, "i", 4, 2, 3)
	items := make([]byte, 24)
	for i := range items {
		items[i] = byte(i + 1)
	}
	items[23] = 0
	c.Data++
	c.Flags |= consumer.ReadOnly
	d := makeIn(c)
	var s, again []int32
	require.NoError(t, pybuf.CopyInto(d, &s))
	require.NoError(t, pybuf.CopyInto(d, &again)) // it was not taken
	require.Len(t, s, 6)
	assert.Equal(t, s, again)
	for i := range s {
		bytes := unsafe.Slice((*byte)(unsafe.Pointer(&s[i])), 4)
		assert.Equal(t, items[4*i:4*i+4], bytes)
	}
	require.True(t, consumer.Take(d))
	consumer.Release(d)
}

func TestThenIsCalledOnceForEachExportThatCameBack(t *testing.T) {
	lending(t)
	calls := 0
	b := pybuf.Of([]int32{1, 2}).Then(func() { calls++ })
	first, second := b.Export(), b.Export()
	require.True(t, consumer.Take(first))
	require.True(t, consumer.Take(second))
	assert.Zero(t, calls)
	consumer.Release(first)
	assert.Equal(t, 1, calls)
	consumer.Release(second)
	assert.Equal(t, 2, calls)
}

func TestReleaseGivesBackWhatNobodyTook(t *testing.T) {
	lending(t)
	before := consumer.GivenBack()
	d := makeIn(theirs(t, "f", 4, 3))
	_, done, err := pybuf.Slice[float64](d)
	require.Error(t, err)
	done()
	require.NoError(t, pybuf.Release(d))
	assert.Equal(t, before+1, consumer.GivenBack())
	failed := pybuf.Fail(pybuf.ErrValue).Export()
	_, err = pybuf.Shape(failed)
	require.ErrorIs(t, err, pybuf.ErrValue)
	require.NoError(t, pybuf.Release(failed))
	require.ErrorIs(t, pybuf.Release(0), pybuf.ErrValue)
}

func TestABufferTellsPeopleWhatItIs(t *testing.T) {
	assert.Equal(t, `pybuf.Buffer of shape (2,) and format "d", read-only`, fmt.Sprint(pybuf.Of([]float64{1, 2}).ReadOnly()))
	assert.Contains(t, fmt.Sprint(pybuf.Of([][]float64{{1}})), "with an error: Go type \"[]float64\" is a slice, whose items lie somewhere else; lend a slice of slices by Rows")
}
