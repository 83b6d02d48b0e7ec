//go:build cgo && pybufdebug && !pyext

package tests

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// The build tag pybufdebug: go test -tags pybufdebug ./...

func misused(t *testing.T, do func()) string {
	t.Helper()
	slots, bytes := pybuf.Held()
	before := len(pybuf.Misuse())
	do()
	requireHeld(t, slots, bytes)
	said := pybuf.Misuse()[before:]
	require.Len(t, said, 1)
	requireSentence(t, said[0])
	return said[0]
}

func TestDebug_ADoubleReleaseIsReportedWithBothLines(t *testing.T) {
	for range 20 {
		d := pybuf.Of([]int{1}).Export()
		require.True(t, consumer.Take(d))
		consumer.Release(d)
		for range 20 { // whose memory is not used again
			other := pybuf.Of([]int{1}).Export()
			require.True(t, consumer.Take(other))
			consumer.Release(other)
		}
		text := misused(t, func() { consumer.Release(d) })
		assert.Regexp(t, `released twice: exported at debug_test.go:\d+, released at consumer.go:\d+, now released again at consumer.go:\d+`, text)
	}
}

func TestDebug_AReleaseByAThreadIsNotGos(t *testing.T) {
	d := pybuf.Of([]int{1}).Export()
	require.True(t, consumer.Take(d))
	consumer.Release(d)
	text := misused(t, func() { consumer.ReleaseOnAThread(d) })
	assert.Contains(t, text, "now released again at code that is not Go's")
}

func TestDebug_ATakeAfterTheReleaseIsReported(t *testing.T) {
	_, done, err := pybuf.Slice[int](pybuf.Of([]int{1}).Export())
	require.NoError(t, err)
	done()
	d := pybuf.Of([]int{1}).Export()
	_, done, err = pybuf.Slice[int](d)
	require.NoError(t, err)
	done()
	text := misused(t, func() {
		_, _, err = pybuf.Slice[int](d)
		requireKind(t, pybuf.ErrValue, err)
	})
	assert.Regexp(t, `taken after its release: exported at debug_test.go:\d+, released at debug_test.go:\d+`, text)
	assert.False(t, consumer.Take(d))
}

func TestDebug_WhatIsReleasedIsPoisoned(t *testing.T) {
	d := pybuf.Of([]int{1}).Export()
	require.True(t, consumer.Take(d))
	consumer.Release(d)
	assert.NotEqual(t, uint64(consumer.Magic), consumer.Peek(d).Magic)
	assert.Equal(t, uintptr(0xdeaddeaddeaddea0), consumer.Peek(d).Data)
}

func TestDebug_OfManyReleasesOneCounts(t *testing.T) {
	const workers = 8
	for range 20 {
		slots, bytes := pybuf.Held()
		before := len(pybuf.Misuse())
		d := pybuf.Of([]int{1}).Export()
		require.True(t, consumer.Take(d))
		atOnce(workers, func(int) { consumer.Release(d) })
		requireHeld(t, slots, bytes)
		require.Len(t, pybuf.Misuse()[before:], workers-1)
	}
}
