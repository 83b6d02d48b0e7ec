//go:build cgo && !pyext

package tests

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/pybuf/pybuftest"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// here is the line of its caller, n lines on, as Live says it.
func here(n int) string {
	_, _, line, _ := runtime.Caller(1)
	return fmt.Sprintf("live_test.go:%d", line+n)
}

func TestLive_TellsTheLineThatExported(t *testing.T) {
	lending(t)
	require.Empty(t, pybuf.Live())
	line := here(1)
	d := pybuf.Of([]float64{1, 2, 3, 4, 5, 6}, 2, 3).Export()
	expected := pybuf.LiveRecord{
		Kind: "export", Where: line, Func: "github.com/pybuf/pybuf-go/tests_go.TestLive_TellsTheLineThatExported",
		Format: "d", Shape: []int{2, 3}, NBytes: 48,
	}
	assert.Equal(t, []pybuf.LiveRecord{expected}, pybuf.Live())
	assert.Equal(t, "export at "+line+" in "+expected.Func+`: format "d", shape (2, 3), 48 bytes, taken by nobody`, expected.String())
	require.True(t, consumer.Take(d))
	expected.Adopted = true
	assert.Equal(t, []pybuf.LiveRecord{expected}, pybuf.Live())
	assert.NotContains(t, expected.String(), "nobody")
	consumer.Release(d)
	assert.Empty(t, pybuf.Live())
}

func TestLive_TellsTheLineThatTookASlice(t *testing.T) {
	lending(t)
	for _, take := range []func(uintptr) (func(), error){
		func(d uintptr) (func(), error) { _, done, err := pybuf.Slice[int16](d); return done, err },
		func(d uintptr) (func(), error) { _, done, err := pybuf.ReadSlice[int16](d); return done, err },
	} {
		done, err := take(makeIn(theirs(t, "h", 2, 2, 3)))
		require.NoError(t, err)
		records := pybuf.Live()
		require.Len(t, records, 1)
		r := records[0]
		assert.Equal(t, "slice", r.Kind)
		assert.Contains(t, r.Where, "live_test.go:")
		assert.Contains(t, r.Func, "TestLive_TellsTheLineThatTookASlice.func")
		assert.Equal(t, []int{2, 3}, r.Shape)
		assert.True(t, r.Adopted)
		done()
		assert.Empty(t, pybuf.Live())
	}
}

func TestLive_TellsOfErrorsThatNobodyRaised(t *testing.T) {
	lending(t)
	d := pybuf.Fail(assert.AnError).Export()
	records := pybuf.Live()
	require.Len(t, records, 1)
	assert.Equal(t, "error", records[0].Kind)
	assert.Equal(t, assert.AnError.Error(), records[0].Format)
	assert.Contains(t, records[0].String(), assert.AnError.Error())
	consumer.Take(d)
	consumer.Release(d)
}

func TestLive_DoesNotTellOfBlocks(t *testing.T) {
	lending(t)
	b := newBlock(t, 100, 64, 1)
	assert.Empty(t, pybuf.Live())
	b.release(t)
}

// fakeTest collects what NoLeaks says of a test.
type fakeTest struct {
	testing.TB
	cleanups []func()
	failures []string
}

func (f *fakeTest) Helper()          {}
func (f *fakeTest) Cleanup(c func()) { f.cleanups = append(f.cleanups, c) }
func (f *fakeTest) Errorf(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

func (f *fakeTest) end() []string {
	for _, c := range f.cleanups {
		c()
	}
	return f.failures
}

func TestNoLeaks_NamesTheLineOfEachLeak(t *testing.T) {
	lending(t)
	before := pybuf.Of([]int{0}).Export() // is no leak of the test
	test := &fakeTest{}
	pybuftest.NoLeaks(test)
	require.True(t, consumer.Take(before))
	line := here(1)
	d := pybuf.Of([]int{1}).Export()
	failures := test.end()
	require.Len(t, failures, 1)
	assert.Contains(t, failures[0], "not given back: export at "+line)
	require.True(t, consumer.Take(d))
	consumer.Release(d)

	test = &fakeTest{}
	pybuftest.NoLeaks(test)
	consumer.Release(before)
	assert.Empty(t, test.end())
}

func TestNoLeaks_FailsATestThatMisused(t *testing.T) {
	test := &fakeTest{}
	pybuftest.NoLeaks(test)
	p, _, _ := counted(t, 8)
	d := pybuf.Foreign(p, pybuf.Layout{Format: "d"}, func() { panic("gone") }).Export()
	require.True(t, consumer.Take(d))
	consumer.Release(d)
	failures := test.end()
	require.Len(t, failures, 1)
	assert.Contains(t, failures[0], "misused: the free function")
}
