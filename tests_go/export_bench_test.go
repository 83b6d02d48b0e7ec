//go:build cgo && !pyext

package tests

import (
	"testing"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

func benchmarkExport(b *testing.B, buffer func() *pybuf.Buffer) {
	b.ReportAllocs()
	for b.Loop() {
		d := buffer().Export()
		consumer.Release(d) // a call into C and back: some 150 ns of what is measured
	}
}

func BenchmarkExport(b *testing.B) {
	items, trades := make([]float64, 1000), make([]trade, 1000)
	matrix := pybuf.Matrix[float64](1000, 10)
	apart := make([][]float64, 1000)
	for i := range apart {
		apart[i] = make([]float64, 10+i%2)[:10]
	}
	b.Run("Of", func(b *testing.B) { benchmarkExport(b, func() *pybuf.Buffer { return pybuf.Of(items) }) })
	b.Run("Of, 2-D", func(b *testing.B) { benchmarkExport(b, func() *pybuf.Buffer { return pybuf.Of(items, 10, 100) }) })
	b.Run("Of structs", func(b *testing.B) { benchmarkExport(b, func() *pybuf.Buffer { return pybuf.Of(trades) }) })
	b.Run("OfAny", func(b *testing.B) { benchmarkExport(b, func() *pybuf.Buffer { return pybuf.OfAny(&items) }) })
	b.Run("Rows, 1000 strided", func(b *testing.B) { benchmarkExport(b, func() *pybuf.Buffer { return pybuf.Rows(matrix) }) })
	b.Run("Rows, 1000 apart", func(b *testing.B) { benchmarkExport(b, func() *pybuf.Buffer { return pybuf.Rows(apart) }) })
}

func BenchmarkBuffer(b *testing.B) {
	items := make([]float64, 1000)
	b.ReportAllocs()
	for b.Loop() {
		pybuf.Of(items)
	}
}

func BenchmarkRows(b *testing.B) {
	matrix := pybuf.Matrix[float64](1000, 1000)
	apart := make([][]float64, 1000)
	for i := range apart {
		apart[i] = make([]float64, 1000+i%2*100)[:1000]
	}
	deep := make([][][]float64, 1000)
	for i := range deep {
		deep[i] = apart[i%500:][:500]
	}
	benchmark := func(buffer func() *pybuf.Buffer) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				buffer()
			}
		}
	}
	b.Run("1000 strided", benchmark(func() *pybuf.Buffer { return pybuf.Rows(matrix) }))
	b.Run("1000 apart", benchmark(func() *pybuf.Buffer { return pybuf.Rows(apart) }))
	b.Run("500 in each of 1000", benchmark(func() *pybuf.Buffer { return pybuf.Rows(deep) }))
}

func BenchmarkSlice(b *testing.B) {
	items := make([]float64, 1000)
	b.ReportAllocs()
	for b.Loop() {
		_, done, err := pybuf.Slice[float64](pybuf.Of(items).Export())
		if err != nil {
			b.Fatal(err)
		}
		done()
	}
}
