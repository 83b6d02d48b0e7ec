//go:build cgo && !pyext

package tests

import (
	"image"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// A watch hears of the end of memory.
type watch struct{ ended atomic.Int64 }

func watchOver[T any](w *watch, p *T) {
	runtime.AddCleanup(p, func(w *watch) { w.ended.Add(1) }, w)
}

// collected runs the collector until n pieces are gone; cleanups run a moment
// later than it, on a goroutine of their own.
func (w *watch) collected(n int64) bool {
	for until := time.Now().Add(5 * time.Second); time.Now().Before(until); runtime.Gosched() {
		runtime.GC()
		if w.ended.Load() >= n {
			return w.ended.Load() == n
		}
	}
	return false
}

// lendings make memory that nobody else knows, n pieces of it, and a Buffer.
var lendings = map[string]func(w *watch) (b *pybuf.Buffer, n int64){
	"Of": func(w *watch) (*pybuf.Buffer, int64) {
		items := make([]float64, 1000)
		watchOver(w, &items[0])
		return pybuf.Of(items[500:]), 1
	},
	"Rows, strided": func(w *watch) (*pybuf.Buffer, int64) {
		m := pybuf.Matrix[float64](10, 100)
		watchOver(w, &m[0][0])
		return pybuf.Rows(m[3:]), 1
	},
	"Rows, indirect": func(w *watch) (*pybuf.Buffer, int64) {
		rows := make([][]float64, 10)
		for i := range rows {
			rows[i] = make([]float64, 100+i*i)[:100]
			watchOver(w, &rows[i][0])
		}
		watchOver(w, &rows[0])
		return pybuf.Rows(rows), 11
	},
	"Rows of rows, strided": func(w *watch) (*pybuf.Buffer, int64) {
		m := pybuf.Matrix[float64](10, 100)
		watchOver(w, &m[0][0])
		return pybuf.Rows([][][]float64{m[6:8], m[3:5]}), 1
	},
	"Rows of rows, indirect": func(w *watch) (*pybuf.Buffer, int64) {
		tables := make([][][]float64, 3)
		for i := range tables {
			tables[i] = make([][]float64, 10)
			for j := range tables[i] {
				tables[i][j] = make([]float64, 100+i*i+j*j)[:100]
				watchOver(w, &tables[i][j][0])
			}
			watchOver(w, &tables[i][0])
		}
		watchOver(w, &tables[0])
		return pybuf.Rows(tables), 3*10 + 3 + 1
	},
	"Image": func(w *watch) (*pybuf.Buffer, int64) {
		m := image.NewRGBA(image.Rect(0, 0, 20, 20))
		watchOver(w, &m.Pix[0])
		return pybuf.Image(m.SubImage(image.Rect(3, 3, 9, 9))), 1
	},
	"OfAny": func(w *watch) (*pybuf.Buffer, int64) {
		one := &[100]trade{}
		watchOver(w, one)
		return pybuf.OfAny(one), 1
	},
}

func TestExport_MemoryStaysUntilTheReleaseAndGoesThen(t *testing.T) {
	lending(t)
	for name, lend := range lendings {
		var w watch
		b, n := lend(&w)
		d := b.Export()
		b = nil
		require.True(t, consumer.Take(d))
		for range 3 {
			collect()
		}
		require.Zero(t, w.ended.Load(), name)
		consumer.Release(d)
		assert.True(t, w.collected(n), name)
	}
}

func TestBuffer_ThatIsNeverExportedHoldsNothing(t *testing.T) {
	lending(t)
	for name, lend := range lendings {
		var w watch
		b, n := lend(&w)
		collect()
		require.Zero(t, w.ended.Load(), name)
		runtime.KeepAlive(b)
		b = nil
		assert.True(t, w.collected(n), name)
	}
}

func TestExport_WhatIsLentKeepsItsValuesWhileTheCollectorRuns(t *testing.T) {
	lending(t)
	var all []uintptr
	for i := range 50 {
		rows := make([][]uint64, 8)
		for j := range rows {
			rows[j] = make([]uint64, 50+j*j%5)[:50]
			for k := range rows[j] {
				rows[j][k] = uint64(i)
			}
		}
		all = append(all, pybuf.Rows(rows).Export())
		garbage = make([]byte, 100_000)
		collect()
	}
	for i, d := range all {
		require.True(t, consumer.Take(d))
		eachItem(consumer.Read(d), func(_ []int, at unsafe.Pointer) { require.EqualValues(t, i, *(*uint64)(at)) })
		consumer.Release(d)
	}
}

// Many goroutines export, take, give back and list at once; each looks at what
// another one made.
func TestExport_Hammer(t *testing.T) {
	lending(t)
	const workers, rounds = 8, 1500
	passed := make(chan uintptr, workers)
	atOnce(workers, func(worker int) {
		random := rand.New(rand.NewPCG(uint64(worker), 0))
		for i := range rounds {
			items := make([]uint64, 1+random.IntN(100))
			for j := range items {
				items[j] = uint64(len(items))
			}
			var b *pybuf.Buffer
			switch random.IntN(4) {
			case 0:
				b = pybuf.Rows([][]uint64{items, items})
			case 1:
				b = pybuf.Fail(assert.AnError)
			default:
				b = pybuf.Of(items)
			}
			passed <- b.Export()
			if i%100 == 0 {
				runtime.GC()
				pybuf.Live()
			}
			d := <-passed
			if random.IntN(2) == 0 {
				if s, done, err := pybuf.Slice[uint64](d); err == nil {
					for _, n := range s {
						if n != uint64(len(s)) && n != uint64(len(s)/2) {
							t.Errorf("%d in a slice of %d", n, len(s))
							break
						}
					}
					done()
					done()
					continue
				}
			}
			if !consumer.Take(d) {
				t.Error("somebody else took it")
				return
			}
			if random.IntN(8) == 0 {
				consumer.ReleaseOnAThread(d)
			} else {
				consumer.Release(d)
			}
		}
	})
}

func TestShape_IsNoTakeThatAnotherOneSees(t *testing.T) {
	lending(t)
	d := pybuf.Of([]int{1, 2}).Export()
	for range 1000 {
		_, err := pybuf.Shape(d)
		require.NoError(t, err)
	}
	require.True(t, consumer.Take(d))
	consumer.Release(d)
}
