package tests

import (
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// An oracle says what Judge must say, found in other ways: by numbers of any
// length, bounds by looking at items, contiguity by walking over them.
type oracle struct {
	kind pybuf.Kind // 0: the layout is one
	pybuf.Facts
	walked bool // RowMajor and ColumnMajor are known
}

var maxInt = big.NewInt(math.MaxInt)

func askOracle(l pybuf.Layout) oracle {
	ndim := len(l.Shape)
	indirect := slices.ContainsFunc(l.Suboffsets, func(s int) bool { return s >= 0 })
	if l.ItemSize <= 0 || ndim > 64 ||
		slices.ContainsFunc(l.Shape, func(n int) bool { return n < 0 }) ||
		l.Strides != nil && len(l.Strides) != ndim ||
		l.Suboffsets != nil && len(l.Suboffsets) != ndim ||
		indirect && l.Strides == nil ||
		l.Strides == nil && l.Order != pybuf.RowMajor && l.Order != pybuf.ColumnMajor {
		return oracle{kind: pybuf.ErrValue}
	}
	empty := slices.Contains(l.Shape, 0)
	bytes := packedStep(l, func(int) bool { return true })
	if bytes.Cmp(maxInt) > 0 {
		return oracle{kind: pybuf.ErrOverflow}
	}
	o := oracle{Facts: pybuf.Facts{Strides: slices.Clone(l.Strides), Indirect: indirect}}
	if o.Strides == nil {
		o.Strides = []int{}
		for axis := range l.Shape {
			faster := func(other int) bool { return other > axis }
			if l.Order == pybuf.ColumnMajor {
				faster = func(other int) bool { return other < axis }
			}
			o.Strides = append(o.Strides, int(packedStep(l, faster).Int64()))
		}
	}
	if empty {
		o.walked = true
		o.RowMajor, o.ColumnMajor = !indirect, !indirect
		return o
	}
	o.NBytes = int(bytes.Int64())
	if !o.bound(l) {
		return oracle{kind: pybuf.ErrOverflow}
	}
	if indirect {
		o.walked = true
	} else if o.NBytes/l.ItemSize <= 4096 {
		o.walked = true
		o.RowMajor = walkIsPacked(l, o.Strides, false)
		o.ColumnMajor = walkIsPacked(l, o.Strides, true)
	}
	return o
}

// packedStep is the bytes of an item times the extents, but 0, of the axes
// that are meant.
func packedStep(l pybuf.Layout, meant func(axis int) bool) *big.Int {
	step := big.NewInt(int64(l.ItemSize))
	for axis, n := range l.Shape {
		if n > 0 && meant(axis) {
			step.Mul(step, big.NewInt(int64(n)))
		}
	}
	return step
}

// bound finds Low and High, or says that some stretch between two pointers is
// longer than an int. There are items.
func (o *oracle) bound(l pybuf.Layout) bool {
	found := false
	begin, start := 0, 0
	for axis := range l.Shape {
		if l.Suboffsets == nil || l.Suboffsets[axis] < 0 {
			continue
		}
		low, high, ok := corners(l.Shape[begin:axis+1], o.Strides[begin:axis+1], start, 8)
		if !ok {
			return false
		}
		if !found {
			found, o.Low, o.High = true, low, high
		}
		begin, start = axis+1, l.Suboffsets[axis]
	}
	low, high, ok := corners(l.Shape[begin:], o.Strides[begin:], start, l.ItemSize)
	if ok && !found {
		o.Low, o.High = low, high
	}
	return ok
}

// corners looks at every item whose indices are the first or the last ones,
// all counted from the one with all indices 0; start is in front of that.
func corners(shape, strides []int, start, size int) (low, high int, ok bool) {
	offsets := []*big.Int{new(big.Int)}
	for axis, n := range shape {
		if n == 1 || strides[axis] == 0 {
			continue
		}
		way := new(big.Int).Mul(big.NewInt(int64(n-1)), big.NewInt(int64(strides[axis])))
		for _, offset := range offsets {
			offsets = append(offsets, new(big.Int).Add(offset, way))
		}
	}
	compare := func(a, b *big.Int) int { return a.Cmp(b) }
	first, last := slices.MinFunc(offsets, compare), slices.MaxFunc(offsets, compare)
	last = new(big.Int).Add(last, big.NewInt(int64(size)))
	span := new(big.Int).Sub(last, first)
	if span.Add(span, big.NewInt(int64(start))).Cmp(maxInt) > 0 {
		return 0, 0, false
	}
	return int(first.Int64()), int(last.Int64()), true
}

// walkIsPacked visits the items, the last index fastest (or the first one),
// and tells whether each lies behind the one before.
func walkIsPacked(l pybuf.Layout, strides []int, firstFastest bool) bool {
	shape, steps := slices.Clone(l.Shape), slices.Clone(strides)
	if firstFastest {
		slices.Reverse(shape)
		slices.Reverse(steps)
	}
	index := make([]int, len(shape))
	for expected := 0; ; expected += l.ItemSize {
		offset := 0
		for axis, i := range index {
			offset += i * steps[axis]
		}
		if offset != expected {
			return false
		}
		axis := len(shape) - 1
		for ; axis >= 0; axis-- {
			if index[axis]++; index[axis] < shape[axis] {
				break
			}
			index[axis] = 0
		}
		if axis < 0 {
			return true
		}
	}
}

// requireOracle holds Judge against the oracle.
func requireOracle(t *testing.T, l pybuf.Layout) {
	t.Helper()
	o := askOracle(l)
	f, err := l.Judge()
	if o.kind != 0 {
		require.Error(t, err, "%+v", l)
		require.ErrorIs(t, err, o.kind, "%+v", l)
		requireSentence(t, err.Error())
		return
	}
	require.NoError(t, err, "%+v", l)
	if !o.walked {
		o.RowMajor, o.ColumnMajor = f.RowMajor, f.ColumnMajor
	}
	require.Equal(t, o.Facts, f, "%+v", l)
}

// randomLayout makes layouts near the edges of the rules, most of them valid.
func randomLayout(r *rand.Rand) pybuf.Layout {
	one := func(v ...int) int { return v[r.IntN(len(v))] }
	rarely := func() bool { return r.IntN(24) == 0 }
	l := pybuf.Layout{ItemSize: one(1, 2, 3, 4, 8, 16), Order: pybuf.Order(r.IntN(2))}
	if rarely() {
		l.ItemSize = one(0, -1, math.MinInt, math.MaxInt, 1<<40, 1<<62)
	}
	ndim := r.IntN(6)
	if rarely() {
		ndim = one(63, 64, 65)
	}
	for i := 0; i < ndim; i++ {
		n := r.IntN(5)
		switch {
		case i >= 6:
			n = 1
		case rarely():
			n = one(-1, math.MinInt, math.MaxInt, 1<<31, 1<<32, 1<<59, 1<<60, 1<<62, 100)
		}
		l.Shape = append(l.Shape, n)
	}
	if r.IntN(3) > 0 {
		l.Strides = randomStrides(r, l)
	}
	if r.IntN(3) == 0 {
		l.Suboffsets = []int{}
		for range l.Shape {
			l.Suboffsets = append(l.Suboffsets, one(-1, -1, -1, math.MinInt, 0, 0, 8, 16))
		}
		if rarely() && ndim > 0 {
			l.Suboffsets[r.IntN(ndim)] = one(math.MaxInt, math.MaxInt-8, math.MaxInt-16, 1<<62)
		}
	}
	if rarely() {
		l.Strides = append(l.Strides, 8)
	}
	if rarely() {
		l.Suboffsets = append(l.Suboffsets, -1)
	}
	if rarely() {
		l.Order = 2
	}
	return l
}

// randomStrides are often those of packed items, with a change here and there.
func randomStrides(r *rand.Rand, l pybuf.Layout) []int {
	one := func(v ...int) int { return v[r.IntN(len(v))] }
	packed, err := pybuf.Layout{ItemSize: l.ItemSize, Shape: l.Shape, Order: pybuf.Order(r.IntN(2))}.Judge()
	strides := packed.Strides
	if err != nil {
		strides = make([]int, len(l.Shape))
	}
	for i := range strides {
		switch r.IntN(8) {
		case 0:
			strides[i] = -strides[i]
		case 1:
			strides[i] = r.IntN(100) - 50
		case 2:
			strides[i] *= 2
		case 3:
			if r.IntN(4) == 0 {
				strides[i] = one(math.MinInt, math.MaxInt, math.MaxInt-8, 1<<61, -(1 << 61), 1<<62, -(1 << 62), 1<<33)
			}
		}
	}
	return strides
}

func TestLayout_RandomLayoutsAgreeWithTheOracle(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	kinds := map[pybuf.Kind]int{}
	for i := 0; i < 100_000; i++ {
		l := randomLayout(r)
		requireOracle(t, l)
		kinds[askOracle(l).kind]++
	}
	// the test is worth something only if it meets every verdict
	for _, kind := range []pybuf.Kind{0, pybuf.ErrValue, pybuf.ErrOverflow} {
		assert.Greater(t, kinds[kind], 1_000, "%v", kinds)
	}
}
