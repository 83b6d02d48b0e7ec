//go:build cgo && !pyext

// Package pybuftest is the leak check of the tests of whoever lends memory by
// package pybuf.
//
//	func TestPrices(t *testing.T) {
//		pybuftest.NoLeaks(t)
//		...
//	}
//
// Run the tests with the build tag pybufdebug (go test -tags pybufdebug), and
// each double release is a failure too, not only those that happen to show.
package pybuftest

import (
	"testing"

	"github.com/pybuf/pybuf-go/pybuf"
)

// NoLeaks lets the test fail if at its end more is out than now: what was
// exported and not released, and slices whose done was not called; with the line
// of each of them. Misuse that package pybuf noticed in between fails the test
// too.
//
// It looks after the Cleanup functions that the test registers later. What is
// out is counted for the whole program, so it is not for tests that run in
// parallel with others.
func NoLeaks(t testing.TB) {
	t.Helper()
	before, wrong := map[string]int{}, len(pybuf.Misuse())
	for _, r := range pybuf.Live() {
		before[key(r)]++
	}
	t.Cleanup(func() {
		t.Helper()
		for _, r := range pybuf.Live() {
			if before[key(r)]--; before[key(r)] < 0 {
				t.Errorf("not given back: %s", r)
			}
		}
		misuse := pybuf.Misuse()
		for _, text := range misuse[min(wrong, len(misuse)):] {
			t.Errorf("pybuf was misused: %s", text)
		}
	})
}

// key is a record without what may change while it is out.
func key(r pybuf.LiveRecord) string {
	r.Adopted = true
	return r.String()
}
