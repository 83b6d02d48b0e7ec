package vecs

import (
	"runtime"
	"time"
	"unsafe"
)

// ---- ways to be called ----

func Scaled(x []float64, scale float64) float64 { return scale * summed(x) }

func Mixed(name string, x []float64, scale float64, y []float32) float64 {
	return float64(len(name)) + scale*summed(x) + summed(y)
}

func Keyword(lambda []float64, in float64) float64 { return summed(lambda) * in }

func Unnamed([]float64, int) int { return 1 }

func Variadic(x ...float64) float64 { return summed(x) }

func VariadicSlices(x ...[]float64) float64 { return SumGrid(x) }

// Map calls back for each item.
func Map(x []float64, f func(value float64)) {
	for _, v := range x {
		f(v)
	}
}

// CallBack lends nothing on: f may do with x what it wants.
func CallBack(x []float64, f func(n int)) float64 {
	f(len(x))
	return summed(x)
}

// Later doubles x, after a while: with goRun, when the call is over.
func Later(x []float64, milliseconds int) {
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	doubled(x)
}

// Slowly reads x all the time.
func Slowly(x []float64, milliseconds int) float64 {
	total := 0.0
	until := time.Now().Add(time.Duration(milliseconds) * time.Millisecond)
	for time.Now().Before(until) {
		total = summed(x)
	}
	return total
}

func Panics(x []float64) float64 { return x[len(x)] }

// ---- what the tests ask of Go ----

func Address(x []float64) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(x)))) }

func Len(x []float64) int { return len(x) }

func Cap(x []float64) int { return cap(x) }

var garbage [][]byte

// Collect runs Go's collector until what is dead is gone, finalizers included.
func Collect() int {
	garbage = nil
	for i := 0; i < 3; i++ {
		runtime.GC()
		done := make(chan bool)
		x := new([64]byte)
		runtime.SetFinalizer(x, func(*[64]byte) { close(done) })
		x = nil
		runtime.GC()
		<-done
	}
	return 0
}

// Litter writes into memory that is free, and makes the collector work.
func Litter(megabytes int) int {
	for i := 0; i < megabytes; i++ {
		b := make([]byte, 1<<20)
		for j := range b {
			b[j] = 0xA5
		}
		garbage = append(garbage, b)
		if len(garbage) > 8 {
			garbage = nil
		}
	}
	return len(garbage)
}

func HeapBytes() int {
	Collect()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func Goroutines() int { return runtime.NumGoroutine() }
