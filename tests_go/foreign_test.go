//go:build cgo && !pyext

package tests

import (
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// counted is memory of C's, and a free function that counts.
func counted(t testing.TB, n int) (p unsafe.Pointer, free func(), freed *atomic.Int64) {
	p, freed = consumer.Alloc(n), &atomic.Int64{}
	t.Cleanup(func() { consumer.Free(p) })
	return p, func() { freed.Add(1) }, freed
}

func TestForeign_IsFreedOnceWhenItComesBack(t *testing.T) {
	lending(t)
	p, free, freed := counted(t, 48)
	b := pybuf.Foreign(p, pybuf.Layout{Format: "d", Shape: []int{2, 3}}, free)
	d := b.Export()
	require.True(t, consumer.Take(d))
	c := consumer.Read(d)
	requireSound(t, c)
	assert.Equal(t, uintptr(p), c.Data)
	assert.Equal(t, []int64{24, 8}, c.Strides)
	assert.Zero(t, freed.Load())
	require.True(t, consumer.ReleaseOnAThread(d))
	assert.EqualValues(t, 1, freed.Load())
}

func TestForeign_LayoutsAreLentAsTheyAre(t *testing.T) {
	lending(t)
	p, _, _ := counted(t, 96)
	at := unsafe.Add(p, 40)
	for _, l := range []pybuf.Layout{
		{Format: "d", Shape: []int{6}, Strides: []int{-8}},
		{Format: "h", Shape: []int{2, 3}, Strides: []int{0, 4}},
		{Format: ">d"},
		{Format: "T{<i:a:<i:b:}", Shape: []int{0}},
		{Format: "d", Shape: []int{2, 3}, Order: pybuf.ColumnMajor},
		{Format: "d", Shape: []int{2, 2}, Strides: []int{8, 8}, Suboffsets: []int{8, -1}},
		{Format: "d", Shape: []int{2, 2}, Suboffsets: []int{-1, -3}},
	} {
		facts, err := l.Judge()
		require.NoError(t, err)
		d := pybuf.Foreign(at, l, nil).Export()
		require.True(t, consumer.Take(d))
		c := consumer.Read(d)
		requireSound(t, c)
		for i := range l.Shape {
			assert.EqualValues(t, l.Shape[i], c.Shape[i])
			assert.EqualValues(t, facts.Strides[i], c.Strides[i])
			if facts.Indirect {
				assert.EqualValues(t, l.Suboffsets[i], c.Suboffsets[i])
			}
		}
		assert.Equal(t, facts.Indirect, c.Suboffsets != nil)
		assert.EqualValues(t, facts.NBytes, c.NBytes)
		consumer.Release(d)
	}
	c := take(t, pybuf.Foreign(p, pybuf.Layout{Format: "(2,3)h", Shape: []int{4}, Strides: []int{20}}, nil))
	assert.Equal(t, "h", c.Format)
	assert.Equal(t, []int64{4, 2, 3}, c.Shape)
	assert.Equal(t, []int64{20, 6, 2}, c.Strides)
}

func TestForeign_TheSecondExportIsAnError(t *testing.T) {
	lending(t)
	p, free, freed := counted(t, 8)
	b := pybuf.Foreign(p, pybuf.Layout{Format: "d"}, free)
	r := b.ReadOnly() // the same memory
	d := b.Export()
	for _, again := range []*pybuf.Buffer{b, r} {
		require.NoError(t, again.Err())
		requireErrorDescriptor(t, again.Export(), consumer.EValue, 0,
			"foreign memory was exported twice; it can be given back only once, so export it once")
	}
	assert.Zero(t, freed.Load())
	require.True(t, consumer.Take(d))
	consumer.Release(d)
	requireErrorDescriptor(t, b.Export(), consumer.EValue, 0,
		"foreign memory was exported twice; it can be given back only once, so export it once")
	assert.EqualValues(t, 1, freed.Load())
}

func TestForeign_OneOfManyExportsGetsIt(t *testing.T) {
	lending(t)
	p, free, freed := counted(t, 8)
	b := pybuf.Foreign(p, pybuf.Layout{Format: "d"}, free)
	var good atomic.Int64
	atOnce(8, func(int) {
		d := b.Export()
		if consumer.Read(d).Flags&consumer.Error == 0 {
			good.Add(1)
		}
		consumer.Take(d)
		consumer.Release(d)
	})
	assert.EqualValues(t, 1, good.Load())
	assert.EqualValues(t, 1, freed.Load())
}

func TestForeign_WithoutAnEndMayBeExportedAgain(t *testing.T) {
	lending(t)
	p, _, _ := counted(t, 8)
	b := pybuf.Foreign(p, pybuf.Layout{Format: "d"}, nil)
	take(t, b)
	take(t, b)
}

func TestForeign_WhatCannotBeLentIsFreedByItsExport(t *testing.T) {
	lending(t)
	p, free, freed := counted(t, 8)
	b := pybuf.Foreign(p, pybuf.Layout{Format: "d", Shape: []int{-1}}, free)
	assert.Zero(t, freed.Load())
	requireError(t, b, pybuf.ErrValue, "extent 0 is -1")
	assert.EqualValues(t, 1, freed.Load())
	consumer.Release(b.Export())
	assert.EqualValues(t, 1, freed.Load())
}

func TestForeign_ThatIsNeverExportedStaysTheCallers(t *testing.T) {
	lending(t)
	p, free, freed := counted(t, 8)
	pybuf.Foreign(p, pybuf.Layout{Format: "d"}, free)
	collect()
	collect()
	assert.Zero(t, freed.Load())
}

func TestForeign_WhatCannotBeIsRefused(t *testing.T) {
	lending(t)
	p, _, _ := counted(t, 8)
	requireError(t, pybuf.Foreign(p, pybuf.Layout{ItemSize: 8}, nil), pybuf.ErrValue, "has no Format")
	requireError(t, pybuf.Foreign(p, pybuf.Layout{Format: "j"}, nil), pybuf.ErrValue, "no letter of a type")
	requireError(t, pybuf.Foreign(p, pybuf.Layout{Format: "O"}, nil), pybuf.ErrType, "objects")
	requireError(t, pybuf.Foreign(p, pybuf.Layout{Format: "d", ItemSize: 4}, nil), pybuf.ErrValue, "itemsize 4")
	requireError(t, pybuf.Foreign(p, pybuf.Layout{Format: "d", Shape: []int{1}, Strides: []int{}}, nil), pybuf.ErrValue, "one for each axis")
	requireError(t, pybuf.Foreign(p, pybuf.Layout{Format: "d", Shape: []int{1 << 61}}, nil), pybuf.ErrOverflow, "more than")
	requireError(t, pybuf.Foreign(nil, pybuf.Layout{Format: "d", Shape: []int{1}}, nil), pybuf.ErrValue, "their memory is at nil")
	take(t, pybuf.Foreign(nil, pybuf.Layout{Format: "d", Shape: []int{0}}, nil))
}

func TestForeign_APanicOfItsEndStaysInGo(t *testing.T) {
	slots, _ := pybuf.Held()
	before := len(pybuf.Misuse())
	p, _, _ := counted(t, 8)
	for _, with := range []any{"gone", assert.AnError, 5} {
		d := pybuf.Foreign(p, pybuf.Layout{Format: "d"}, func() { panic(with) }).Export()
		require.True(t, consumer.Take(d))
		consumer.Release(d)
	}
	said := pybuf.Misuse()[before:]
	require.Len(t, said, 3)
	assert.Contains(t, said[0], "free function of foreign memory panicked: gone")
	assert.Contains(t, said[1], assert.AnError.Error())
	after, _ := pybuf.Held()
	assert.Equal(t, slots, after)
}

// What is Python's may go to Python again: its end is that of the slice.
func TestForeign_OfASlicePassesItOn(t *testing.T) {
	lending(t)
	before := consumer.GivenBack()
	s, done, err := pybuf.Slice[float64](makeIn(theirs(t, "d", 8, 3)))
	require.NoError(t, err)
	d := pybuf.Foreign(unsafe.Pointer(&s[0]), pybuf.Layout{Format: "d", Shape: []int{3}}, done).Export()
	require.True(t, consumer.Take(d))
	assert.Equal(t, before, consumer.GivenBack())
	consumer.Release(d)
	assert.Equal(t, before+1, consumer.GivenBack())
}
