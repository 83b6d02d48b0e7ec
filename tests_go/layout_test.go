package tests

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

func judge(t *testing.T, l pybuf.Layout) pybuf.Facts {
	t.Helper()
	f, err := l.Judge()
	require.NoError(t, err, "%+v", l)
	return f
}

// requireRefused checks the kind of the error and a part of its sentence.
func requireRefused(t *testing.T, kind pybuf.Kind, sentence string, l pybuf.Layout) {
	t.Helper()
	_, err := l.Judge()
	requireKind(t, kind, err)
	assert.Contains(t, err.Error(), sentence)
}

func TestLayout_NoAxisIsOneItem(t *testing.T) {
	f := judge(t, pybuf.Layout{ItemSize: 8})
	assert.Equal(t, pybuf.Facts{Strides: []int{}, NBytes: 8, High: 8, RowMajor: true, ColumnMajor: true}, f)
}

func TestLayout_ItemSizeComesFromTheFormat(t *testing.T) {
	f := judge(t, pybuf.Layout{Format: "<Zd", Shape: []int{3}})
	assert.Equal(t, 48, f.NBytes)
	f = judge(t, pybuf.Layout{Format: "d", ItemSize: 8, Shape: []int{3}})
	assert.Equal(t, 24, f.NBytes)
}

func TestLayout_ItemSizeAndFormatMustAgree(t *testing.T) {
	requireRefused(t, pybuf.ErrValue, `itemsize 4: items of format "d" have 8 bytes`,
		pybuf.Layout{Format: "d", ItemSize: 4})
}

func TestLayout_RefusedFormatIsNoLayout(t *testing.T) {
	requireRefused(t, pybuf.ErrType, "objects", pybuf.Layout{Format: "O"})
	requireRefused(t, pybuf.ErrValue, "no letter", pybuf.Layout{Format: "j"})
}

func TestLayout_ItemsHaveAtLeastOneByte(t *testing.T) {
	for _, size := range []int{0, -1, math.MinInt} {
		requireRefused(t, pybuf.ErrValue, "an item has at least 1 byte", pybuf.Layout{ItemSize: size})
	}
}

func TestLayout_AtMost64Dimensions(t *testing.T) {
	f := judge(t, pybuf.Layout{ItemSize: 1, Shape: ones(64)})
	assert.Equal(t, 1, f.NBytes)
	requireRefused(t, pybuf.ErrValue, "65 dimensions; a layout has 0 to 64", pybuf.Layout{ItemSize: 1, Shape: ones(65)})
}

func TestCheckNDim_Bounds(t *testing.T) {
	for _, n := range []int{0, 1, pybuf.MaxNDim} {
		assert.NoError(t, pybuf.CheckNDim(n))
	}
	for _, n := range []int{-1, math.MinInt, pybuf.MaxNDim + 1, math.MaxInt} {
		requireKind(t, pybuf.ErrValue, pybuf.CheckNDim(n))
	}
}

func ones(n int) []int {
	v := make([]int, n)
	for i := range v {
		v[i] = 1
	}
	return v
}

func TestLayout_ExtentsAreNotNegative(t *testing.T) {
	requireRefused(t, pybuf.ErrValue, "shape (3, -1): extent 1 is -1; extents count items and must be >= 0",
		pybuf.Layout{ItemSize: 1, Shape: []int{3, -1}})
	requireRefused(t, pybuf.ErrValue, "shape (-5,): extent 0 is -5",
		pybuf.Layout{ItemSize: 1, Shape: []int{-5}})
	requireRefused(t, pybuf.ErrValue, "extent 1 is -1",
		pybuf.Layout{ItemSize: 1, Shape: []int{0, -1}})
}

func TestLayout_PackedStrides(t *testing.T) {
	for _, row := range []struct {
		size    int
		shape   []int
		c, fort []int
	}{
		{8, []int{5}, []int{8}, []int{8}},
		{8, []int{3, 4}, []int{32, 8}, []int{8, 24}},
		{2, []int{3, 4, 5}, []int{40, 10, 2}, []int{2, 6, 24}},
		{1, []int{1, 1}, []int{1, 1}, []int{1, 1}},
		{8, []int{3, 1, 4}, []int{32, 32, 8}, []int{8, 24, 24}},
		// an extent of 0 counts as 1
		{8, []int{3, 0, 2}, []int{16, 16, 8}, []int{8, 24, 24}},
		{8, []int{0}, []int{8}, []int{8}},
		{8, []int{0, 5}, []int{40, 8}, []int{8, 8}},
	} {
		assert.Equal(t, row.c, judge(t, pybuf.Layout{ItemSize: row.size, Shape: row.shape}).Strides)
		assert.Equal(t, row.fort,
			judge(t, pybuf.Layout{ItemSize: row.size, Shape: row.shape, Order: pybuf.ColumnMajor}).Strides)
	}
}

func TestLayout_PackedItemsFillTheirBytes(t *testing.T) {
	for _, order := range []pybuf.Order{pybuf.RowMajor, pybuf.ColumnMajor} {
		f := judge(t, pybuf.Layout{ItemSize: 4, Shape: []int{3, 5}, Order: order})
		assert.Equal(t, 60, f.NBytes)
		assert.Equal(t, 0, f.Low)
		assert.Equal(t, 60, f.High)
		assert.Equal(t, order == pybuf.RowMajor, f.RowMajor)
		assert.Equal(t, order == pybuf.ColumnMajor, f.ColumnMajor)
	}
}

func TestLayout_BytesFitIn64Bits(t *testing.T) {
	judge(t, pybuf.Layout{ItemSize: 1, Shape: []int{math.MaxInt}})
	judge(t, pybuf.Layout{ItemSize: math.MaxInt})
	judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{1 << 59, 1}})
	for _, l := range []pybuf.Layout{
		{ItemSize: 2, Shape: []int{math.MaxInt}},
		{ItemSize: math.MaxInt, Shape: []int{2}},
		{ItemSize: 8, Shape: []int{1 << 60}},
		{ItemSize: 8, Shape: []int{1 << 30, 1 << 30}},
		{ItemSize: 1, Shape: []int{1 << 32, 1 << 32}},  // 2**64: 0 if it wrapped
		{ItemSize: 16, Shape: []int{1 << 30, 1 << 31}}, // 2**65
	} {
		requireRefused(t, pybuf.ErrOverflow, "more than 9223372036854775807 bytes", l)
		l.Order = pybuf.ColumnMajor
		requireRefused(t, pybuf.ErrOverflow, "more than 9223372036854775807 bytes", l)
	}
}

func TestLayout_ExtentsBesideAZeroMustFitToo(t *testing.T) {
	requireRefused(t, pybuf.ErrOverflow, "more than", pybuf.Layout{ItemSize: 8, Shape: []int{0, 1 << 60}})
	requireRefused(t, pybuf.ErrOverflow, "more than", pybuf.Layout{ItemSize: 8, Shape: []int{1 << 60, 0}})
	f := judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{1 << 59, 0}})
	assert.Equal(t, 0, f.NBytes)
}

func TestLayout_NoItemsUseNoBytes(t *testing.T) {
	for _, l := range []pybuf.Layout{
		{ItemSize: 8, Shape: []int{0}},
		{ItemSize: 8, Shape: []int{3, 0}, Strides: []int{-100, 7}},
		{ItemSize: 8, Shape: []int{3, 0}, Strides: []int{math.MinInt, math.MaxInt}},
	} {
		f := judge(t, l)
		assert.Zero(t, f.NBytes)
		assert.Zero(t, f.Low)
		assert.Zero(t, f.High)
		assert.True(t, f.RowMajor)
		assert.True(t, f.ColumnMajor)
	}
}

func TestLayout_OneStrideForEachAxis(t *testing.T) {
	requireRefused(t, pybuf.ErrValue, "strides (8,) and shape (3, 4): 1 and 2 numbers; give one for each axis",
		pybuf.Layout{ItemSize: 8, Shape: []int{3, 4}, Strides: []int{8}})
	requireRefused(t, pybuf.ErrValue, "strides () and shape (3,)",
		pybuf.Layout{ItemSize: 8, Shape: []int{3}, Strides: []int{}})
	requireRefused(t, pybuf.ErrValue, "strides (8,) and shape ()",
		pybuf.Layout{ItemSize: 8, Strides: []int{8}})
}

func TestLayout_StridesMayBeAnyNumber(t *testing.T) {
	for _, row := range []struct {
		shape, strides []int
		low, high      int
	}{
		{[]int{3, 4}, []int{40, 8}, 0, 112},
		{[]int{3, 4}, []int{0, 0}, 0, 8},      // all items are one
		{[]int{3}, []int{-8}, -16, 8},         // backwards
		{[]int{3, 4}, []int{-32, 8}, -64, 32}, // rows backwards
		{[]int{3, 4}, []int{1, 3}, 0, 19},     // overlapping, not aligned
		{[]int{1, 1}, []int{math.MinInt, math.MaxInt}, 0, 8},
	} {
		f := judge(t, pybuf.Layout{ItemSize: 8, Shape: row.shape, Strides: row.strides})
		assert.Equal(t, row.strides, f.Strides)
		assert.Equal(t, row.low, f.Low, "%v %v", row.shape, row.strides)
		assert.Equal(t, row.high, f.High, "%v %v", row.shape, row.strides)
		n := 8
		for _, extent := range row.shape {
			n *= extent
		}
		assert.Equal(t, n, f.NBytes)
	}
}

func TestLayout_ReachFitsIn64Bits(t *testing.T) {
	judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{2}, Strides: []int{math.MaxInt - 8}})
	judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{2}, Strides: []int{-(math.MaxInt - 8)}})
	for _, l := range []pybuf.Layout{
		{ItemSize: 8, Shape: []int{2}, Strides: []int{math.MaxInt - 7}},
		{ItemSize: 8, Shape: []int{2}, Strides: []int{-(math.MaxInt - 7)}},
		{ItemSize: 1, Shape: []int{2}, Strides: []int{math.MaxInt}},
		{ItemSize: 1, Shape: []int{2}, Strides: []int{math.MinInt}},
		{ItemSize: 1, Shape: []int{3}, Strides: []int{math.MinInt}}, // 2**64: 0 if it wrapped
		{ItemSize: 1, Shape: []int{1 << 40}, Strides: []int{1 << 40}},
		{ItemSize: 1, Shape: []int{2, 2}, Strides: []int{1 << 62, 1 << 62}},
		{ItemSize: 1, Shape: []int{2, 2}, Strides: []int{1 << 62, -(1 << 62)}}, // each end fits, what lies between does not
	} {
		requireRefused(t, pybuf.ErrOverflow, "the items reach over more than 9223372036854775807 bytes", l)
	}
}

func TestLayout_ContiguityIgnoresAxesOfOneItem(t *testing.T) {
	for _, row := range []struct {
		shape, strides []int
		c, fort        bool
	}{
		{[]int{3, 4}, []int{32, 8}, true, false},
		{[]int{3, 4}, []int{8, 24}, false, true},
		{[]int{3, 4}, []int{40, 8}, false, false},
		{[]int{3, 4}, []int{-32, 8}, false, false},
		{[]int{4}, []int{8}, true, true},
		{[]int{4}, []int{16}, false, false},
		{[]int{4}, []int{0}, false, false},
		{[]int{1}, []int{12345}, true, true},
		{[]int{1, 4}, []int{-7, 8}, true, true},
		{[]int{4, 1}, []int{8, 99}, true, true},
		{[]int{3, 1, 4}, []int{32, 5, 8}, true, false},
		{[]int{3, 1, 4}, []int{8, 5, 24}, false, true},
	} {
		f := judge(t, pybuf.Layout{ItemSize: 8, Shape: row.shape, Strides: row.strides})
		assert.Equal(t, row.c, f.RowMajor, "%v %v", row.shape, row.strides)
		assert.Equal(t, row.fort, f.ColumnMajor, "%v %v", row.shape, row.strides)
	}
}

func TestLayout_OneSuboffsetForEachAxis(t *testing.T) {
	requireRefused(t, pybuf.ErrValue, "suboffsets (0,) and shape (3, 4): 1 and 2 numbers",
		pybuf.Layout{ItemSize: 8, Shape: []int{3, 4}, Strides: []int{8, 8}, Suboffsets: []int{0}})
}

func TestLayout_NegativeSuboffsetsAreNone(t *testing.T) {
	direct := judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{3, 4}})
	f := judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{3, 4}, Suboffsets: []int{-1, math.MinInt}})
	assert.Equal(t, direct, f)
}

func TestLayout_IndirectIsNeverPacked(t *testing.T) {
	for _, shape := range [][]int{{3, 4}, {1, 1}, {0, 4}} {
		f := judge(t, pybuf.Layout{ItemSize: 8, Shape: shape, Strides: []int{32, 8}, Suboffsets: []int{0, -1}})
		assert.True(t, f.Indirect)
		assert.False(t, f.RowMajor)
		assert.False(t, f.ColumnMajor)
	}
}

func TestLayout_IndirectReachIsTheFirstTableOfPointers(t *testing.T) {
	for _, row := range []struct {
		shape, strides, suboffsets []int
		low, high                  int
	}{
		{[]int{3, 4}, []int{8, 8}, []int{0, -1}, 0, 24},
		{[]int{3, 4}, []int{24, 8}, []int{16, -1}, 0, 56}, // slice headers
		{[]int{3, 4}, []int{-8, 8}, []int{0, -1}, -16, 8},
		{[]int{3, 4, 5}, []int{8, 8, 1}, []int{0, 0, -1}, 0, 24},
		{[]int{3, 4, 5}, []int{32, 8, 1}, []int{-1, 0, -1}, 0, 96},
		{[]int{3}, []int{8}, []int{0}, 0, 24},
		{[]int{0, 4}, []int{8, 8}, []int{0, -1}, 0, 0},
		{[]int{3, 0}, []int{8, 8}, []int{0, -1}, 0, 0},
	} {
		f := judge(t, pybuf.Layout{ItemSize: 1, Shape: row.shape, Strides: row.strides, Suboffsets: row.suboffsets})
		assert.Equal(t, row.low, f.Low, "%+v", row)
		assert.Equal(t, row.high, f.High, "%+v", row)
	}
}

func TestLayout_IndirectNeedsStrides(t *testing.T) {
	requireRefused(t, pybuf.ErrValue, "suboffsets (0, -1) need strides",
		pybuf.Layout{ItemSize: 8, Shape: []int{3, 4}, Suboffsets: []int{0, -1}})
}

func TestLayout_ReachBehindPointersFitsIn64Bits(t *testing.T) {
	judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{3, 2}, Strides: []int{8, 8}, Suboffsets: []int{math.MaxInt - 16, -1}})
	for _, l := range []pybuf.Layout{
		{ItemSize: 8, Shape: []int{3, 2}, Strides: []int{8, 8}, Suboffsets: []int{math.MaxInt - 15, -1}},
		{ItemSize: 8, Shape: []int{3, 2}, Strides: []int{8, math.MinInt}, Suboffsets: []int{0, -1}},
		{ItemSize: 8, Shape: []int{2, 2}, Strides: []int{math.MaxInt - 7, 8}, Suboffsets: []int{0, -1}},
		{ItemSize: 1, Shape: []int{2, 2, 2}, Strides: []int{8, math.MaxInt, 1}, Suboffsets: []int{0, 0, -1}},
	} {
		requireRefused(t, pybuf.ErrOverflow, "reach over more than", l)
	}
}

func TestLayout_FactsAreTheCallersOwn(t *testing.T) {
	strides := []int{32, 8}
	l := pybuf.Layout{ItemSize: 8, Shape: []int{3, 4}, Strides: strides}
	f := judge(t, l)
	f.Strides[0] = 1
	assert.Equal(t, []int{32, 8}, strides)
	strides[1] = 2
	assert.Equal(t, []int{1, 8}, f.Strides)
}

func TestLayout_OrderIsReadOnlyWithoutStrides(t *testing.T) {
	requireRefused(t, pybuf.ErrValue, "order 7", pybuf.Layout{ItemSize: 8, Shape: []int{3}, Order: 7})
	judge(t, pybuf.Layout{ItemSize: 8, Shape: []int{3}, Strides: []int{8}, Order: 7})
}

func TestParseOrder_Letters(t *testing.T) {
	order, err := pybuf.ParseOrder('C')
	require.NoError(t, err)
	assert.Equal(t, pybuf.RowMajor, order)
	order, err = pybuf.ParseOrder('F')
	require.NoError(t, err)
	assert.Equal(t, pybuf.ColumnMajor, order)
	for _, letter := range []int{0, 'c', 'K', 'A', -1, 'C' + 256, math.MinInt} {
		_, err = pybuf.ParseOrder(letter)
		requireKind(t, pybuf.ErrValue, err)
	}
}

func TestLayout_SentencesOfManyAxesStayReadable(t *testing.T) {
	shape, strides := make([]int, 64), make([]int, 64)
	for i := range shape {
		shape[i], strides[i] = 1, math.MinInt
	}
	shape[0] = 2
	requireRefused(t, pybuf.ErrOverflow, "reach", pybuf.Layout{ItemSize: 1, Shape: shape, Strides: strides})
}
