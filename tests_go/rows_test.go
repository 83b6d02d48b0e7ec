//go:build cgo && !pyext

package tests

import (
	"math"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

func requireRows[T comparable](t testing.TB, rows [][]T) consumer.Descriptor {
	t.Helper()
	c := take(t, pybuf.Rows(rows))
	var all []T
	cols := 0
	for _, row := range rows {
		all = append(all, row...)
		cols = len(row)
	}
	assert.Equal(t, []int64{int64(len(rows)), int64(cols)}, c.Shape)
	requireItems(t, all, c)
	return c
}

func TestMatrix_IsOnePieceThatRowsLendWithoutGaps(t *testing.T) {
	lending(t)
	m := pybuf.Matrix[float32](3, 4)
	for i := range m {
		for j := range m[i] {
			m[i][j] = float32(10*i + j)
		}
	}
	c := requireRows(t, m)
	assert.Equal(t, []int64{16, 4}, c.Strides)
	assert.Nil(t, c.Suboffsets)
	assert.Equal(t, uintptr(unsafe.Pointer(&m[0][0])), c.Data)
}

func TestMatrix_RowsDoNotGrowIntoTheNextOne(t *testing.T) {
	m := pybuf.Matrix[int](2, 3)
	_ = append(m[0], 7)
	assert.Zero(t, m[1][0])
	assert.Equal(t, 3, cap(m[0]))
}

func TestMatrix_MayBeEmpty(t *testing.T) {
	lending(t)
	requireRows(t, pybuf.Matrix[int](0, 0))
	requireRows(t, pybuf.Matrix[int](3, 0))
	c := take(t, pybuf.Rows(pybuf.Matrix[int](0, 5)))
	assert.Equal(t, []int64{0, 0}, c.Shape)
	assert.Len(t, pybuf.Matrix[struct{}](3, 5), 3)
}

func TestMatrix_SizesThatCannotBeAreAnErrorOfRows(t *testing.T) {
	lending(t)
	for _, size := range [][2]int{
		{-1, 3}, {3, -1}, {-1, -1}, {math.MinInt, 1}, {1 << 40, 1 << 40}, {1 << 47, 0}, {1, math.MaxInt}, {math.MaxInt, 0},
		{1 << 24, 1 << 24}, {1 << 32, 1 << 32},
	} {
		m := pybuf.Matrix[float64](size[0], size[1])
		assert.Empty(t, m)
		for range m {
			t.Fatal("there is a row")
		}
		requireError(t, pybuf.Rows(m), pybuf.ErrValue, "a Matrix of negative sizes, or of more bytes")
		requireError(t, pybuf.OfAny(&m), pybuf.ErrValue, "a Matrix of negative sizes")
	}
	requireError(t, pybuf.Rows(pybuf.Matrix[struct{}](1<<40, 1<<40)), pybuf.ErrType, "0 bytes")
}

func TestRows_AtEvenDistancesAreStrided(t *testing.T) {
	lending(t)
	all := []int16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	for _, row := range []struct {
		step int64
		rows [][]int16
	}{
		{8, [][]int16{all[0:3], all[4:7], all[8:11]}},    // with gaps
		{2, [][]int16{all[0:3], all[1:4], all[2:5]}},     // that overlap
		{0, [][]int16{all[2:6], all[2:6], all[2:6]}},     // one row again and again
		{-8, [][]int16{all[8:11], all[4:7], all[0:3]}},   // backwards
		{-2, [][]int16{all[2:], all[1:11], all[0:10]}},   // backwards and overlapping
		{20, [][]int16{all[:10]}},                        // one
		{-20, [][]int16{all[10:12:12], all[0:2]}},        // two
		{24, [][]int16{all}},                             //
		{2, [][]int16{all[0:1], all[1:2:2], all[2:3]}},   // a column
		{-22, [][]int16{all[11:], all[0:1]}},             //
		{4, [][]int16{all[:2], all[2:4:4], all[4:6:12]}}, // whatever their capacities
	} {
		c := requireRows(t, row.rows)
		assert.Equal(t, []int64{row.step, 2}, c.Strides)
		assert.Nil(t, c.Suboffsets)
	}
}

func TestRows_AnywhereAreIndirectOnTheSliceOfSlices(t *testing.T) {
	lending(t)
	all := []float64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	rows := [][]float64{all[0:2], all[9:11], all[4:6]}
	c := requireRows(t, rows)
	assert.Equal(t, uintptr(unsafe.Pointer(&rows[0])), c.Data)
	assert.Equal(t, []int64{24, 8}, c.Strides)
	assert.Equal(t, []int64{0, -1}, c.Suboffsets)
	all[9] = 100
	assert.Equal(t, 100.0, *(*float64)(item(c, []int{1, 0})))
}

func TestRows_OfArraysHaveTheirAxesToo(t *testing.T) {
	lending(t)
	all := make([][2]int8, 12)
	for i := range all {
		all[i] = [2]int8{int8(2 * i), int8(2*i + 1)}
	}
	c := take(t, pybuf.Rows([][][2]int8{all[0:2], all[2:4], all[4:6]}))
	assert.Equal(t, []int64{3, 2, 2}, c.Shape)
	assert.Equal(t, []int64{4, 2, 1}, c.Strides)
	requireItems(t, []int8{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, c)

	c = take(t, pybuf.Rows([][][2]int8{all[0:2], all[9:11], all[4:6]}))
	assert.Equal(t, []int64{24, 2, 1}, c.Strides)
	assert.Equal(t, []int64{0, -1, -1}, c.Suboffsets)
	requireItems(t, []int8{0, 1, 2, 3, 18, 19, 20, 21, 8, 9, 10, 11}, c)
}

func TestRows_WithoutItemsAreNotIndirect(t *testing.T) {
	lending(t)
	requireRows[int](t, nil)
	requireRows(t, [][]int{})
	requireRows(t, [][]int{nil, {}, nil})
	requireRows(t, [][]int{nil})
}

func TestRows_OfUnequalLengthsAreRefusedByNumber(t *testing.T) {
	lending(t)
	requireError(t, pybuf.Rows([][]int{{1, 2}, {3, 4}, {5}, {6}}), pybuf.ErrValue, "row 2 has 1 items and row 0 has 2")
	requireError(t, pybuf.Rows([][]int{{}, {3, 4}}), pybuf.ErrValue, "row 1 has 2 items and row 0 has 0")
	requireError(t, pybuf.Rows([][]int{{3, 4}, nil}), pybuf.ErrValue, "row 1 has 0 items and row 0 has 2")
	requireError(t, pybuf.Rows([][]string{{"a"}}), pybuf.ErrType, `"string" holds a pointer`)
}

func FuzzRows_AnyPiecesOfOneSlice(f *testing.F) {
	f.Add([]byte{0, 4, 8, 12}, uint8(3))
	f.Add([]byte{12, 8, 4, 0}, uint8(4))
	f.Add([]byte{3, 3, 3}, uint8(2))
	f.Add([]byte{7, 1, 9, 200}, uint8(5))
	f.Add([]byte{1}, uint8(0))
	f.Fuzz(func(t *testing.T, starts []byte, cols uint8) {
		lending(t)
		all := make([]uint32, 512)
		for i := range all {
			all[i] = uint32(i)
		}
		rows := make([][]uint32, min(len(starts), 50))
		for i := range rows {
			rows[i] = all[starts[i] : int(starts[i])+int(cols)]
		}
		requireRows(t, rows)
		apart := make([][]uint32, len(rows))
		for i, row := range rows {
			apart[i] = append([]uint32(nil), row...)
		}
		requireRows(t, apart)
		if len(rows) > 0 {
			rows[len(rows)-1] = all[:int(cols)+1]
			if len(rows) > 1 {
				require.ErrorIs(t, pybuf.Rows(rows).Err(), pybuf.ErrValue)
			}
		}
	})
}
