//go:build cgo && !pyext

package tests

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// countFrom0 makes n items that count from 0.
func countFrom0[T int8 | int16 | float64](n int) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = T(i)
	}
	return all
}

// cubeOf cuts rows of k items out of a slice: row j of table i begins at place(i, j).
func cubeOf[T any](all []T, n, m, k int, place func(i, j int) int) [][][]T {
	cube := make([][][]T, n)
	for i := range cube {
		cube[i] = make([][]T, m)
		for j := range cube[i] {
			cube[i][j] = all[place(i, j):][:k]
		}
	}
	return cube
}

func TestRows_OfRowsAtEvenDistancesAreStrided(t *testing.T) {
	lending(t)
	all := countFrom0[int16](60)
	for _, even := range []struct {
		n, m, k int
		place   func(i, j int) int
		strides []int64
	}{
		{2, 3, 4, func(i, j int) int { return 12*i + 4*j }, []int64{24, 8, 2}},         // in one piece
		{2, 3, 4, func(i, j int) int { return 20*i + 5*j }, []int64{40, 10, 2}},        // with gaps
		{3, 2, 4, func(i, j int) int { return 4*i + 12*j }, []int64{8, 24, 2}},         // the other axis is the faster one
		{2, 3, 4, func(i, j int) int { return 12 - 12*i + 4*j }, []int64{-24, 8, 2}},   // tables backwards
		{2, 3, 4, func(i, j int) int { return 20 - 12*i - 4*j }, []int64{-24, -8, 2}},  // all backwards
		{2, 3, 4, func(_, j int) int { return 4 * j }, []int64{0, 8, 2}},               // one table again and again
		{2, 3, 4, func(i, _ int) int { return 4 * i }, []int64{8, 0, 2}},               // its rows are one row
		{3, 3, 3, func(i, j int) int { return i + j }, []int64{2, 2, 2}},               // that overlap
		{1, 3, 4, func(_, j int) int { return 5 * j }, []int64{30, 10, 2}},             // one table
		{3, 1, 4, func(i, _ int) int { return 50 - 7*i }, []int64{-14, 8, 2}},          // of one row each
		{1, 1, 4, func(_, _ int) int { return 7 }, []int64{8, 8, 2}},                   // one row
		{2, 2, 1, func(i, j int) int { return 30 + 17*j - 9*i }, []int64{-18, 34, 2}},  // of one item each
		{1, 2, 60, func(_, _ int) int { return 0 }, []int64{0, 0, 2}},                  //
		{3, 3, 10, func(i, j int) int { return 10 + 15*i - 5*j }, []int64{30, -10, 2}}, //
	} {
		cube := cubeOf(all, even.n, even.m, even.k, even.place)
		c := take(t, pybuf.Rows(cube))
		assert.Equal(t, []int64{int64(even.n), int64(even.m), int64(even.k)}, c.Shape)
		assert.Equal(t, even.strides, c.Strides)
		assert.Nil(t, c.Suboffsets)
		assert.Equal(t, uintptr(unsafe.Pointer(&cube[0][0][0])), c.Data)
		requireItems(t, allOf(cube), c)
	}
}

// allOf are the items in the order of their indices.
func allOf[T any](cube [][][]T) []T {
	return slices.Concat(slices.Concat(cube...)...)
}

func TestRows_OfRowsAnywhereAreIndirectOnTheirSlices(t *testing.T) {
	lending(t)
	all := countFrom0[float64](60)
	cube := cubeOf(all, 2, 3, 4, func(i, j int) int { return []int{0, 40, 20, 12, 4, 8}[3*i+j] })
	c := take(t, pybuf.Rows(cube))
	assert.Equal(t, []int64{2, 3, 4}, c.Shape)
	assert.Equal(t, uintptr(unsafe.Pointer(&cube[0])), c.Data)
	assert.Equal(t, []int64{24, 24, 8}, c.Strides)
	assert.Equal(t, []int64{0, 0, -1}, c.Suboffsets)
	requireItems(t, allOf(cube), c)
	all[40] = 100
	assert.Equal(t, 100.0, *(*float64)(item(c, []int{0, 1, 0})))
}

func TestRows_AreAllPinnedToWhichPointersLead(t *testing.T) {
	lending(t)
	cube := make([][][]int16, 3)
	for i := range cube {
		cube[i] = make([][]int16, 4)
		for j := range cube[i] {
			cube[i][j] = make([]int16, 5+i*j)[:5]
		}
	}
	look := func() {
		consumer.Look(unsafe.Pointer(&cube[0]))
		for i := range cube {
			consumer.Look(unsafe.Pointer(&cube[i][0]))
		}
	}
	assert.Panics(t, look)
	d := pybuf.Rows(cube).Export()
	require.True(t, consumer.Take(d))
	assert.NotPanics(t, look)
	consumer.Release(d)
	assert.Panics(t, look)
}

// No pointer leads over the headers of a table to its items.
func TestRows_OfTablesThatAreEvenEachForItselfAreIndirect(t *testing.T) {
	lending(t)
	all := countFrom0[float64](100)
	for _, place := range []func(i, j int) int{
		func(i, j int) int { return []int{0, 20, 70}[i] + 4*j },    // the tables lie anywhere
		func(i, j int) int { return 20*i + []int{4, 5, 4}[i]*j },   // the steps in one of them are others
		func(i, j int) int { return 20*i + []int{0, 4, 9, 12}[j] }, // in all of them
		func(i, j int) int { return 20*i + 4*j + i*j/6 },           // the very last row
	} {
		cube := cubeOf(all, 3, 4, 4, place)
		c := take(t, pybuf.Rows(cube))
		assert.Equal(t, []int64{0, 0, -1}, c.Suboffsets)
		requireItems(t, allOf(cube), c)
	}
}

func TestRows_OfRowsOfArraysHaveTheirAxesToo(t *testing.T) {
	lending(t)
	type pair [2]int8
	all := make([]pair, 40)
	for i := range all {
		all[i] = pair{int8(2 * i), int8(2*i + 1)}
	}
	c := take(t, pybuf.Rows([][][]pair{{all[0:1], all[1:2]}, {all[2:3], all[3:4]}}))
	assert.Equal(t, []int64{2, 2, 1, 2}, c.Shape)
	assert.Equal(t, []int64{4, 2, 2, 1}, c.Strides)
	requireItems(t, []int8{0, 1, 2, 3, 4, 5, 6, 7}, c)

	c = take(t, pybuf.Rows([][][]pair{{all[0:1], all[1:2]}, {all[2:3], all[30:31]}}))
	assert.Equal(t, []int64{2, 2, 1, 2}, c.Shape)
	assert.Equal(t, []int64{24, 24, 2, 1}, c.Strides)
	assert.Equal(t, []int64{0, 0, -1, -1}, c.Suboffsets)
	requireItems(t, []int8{0, 1, 2, 3, 4, 5, 60, 61}, c)
}

func TestRows_OfRowsWithoutItemsHaveTheShapeThatIsKnown(t *testing.T) {
	lending(t)
	for _, empty := range []struct {
		rows  [][][]int16
		shape []int64
	}{
		{nil, []int64{0, 0, 0}},
		{[][][]int16{}, []int64{0, 0, 0}},
		{[][][]int16{nil}, []int64{1, 0, 0}},
		{[][][]int16{nil, {}, nil}, []int64{3, 0, 0}},
		{[][][]int16{{nil}, {{}}}, []int64{2, 1, 0}},
		{[][][]int16{{nil, {}}, {{}, nil}}, []int64{2, 2, 0}},
		{pybuf.Matrix[[]int16](3, 4), []int64{3, 4, 0}},
	} {
		c := take(t, pybuf.Rows(empty.rows))
		assert.Equal(t, empty.shape, c.Shape)
		assert.Nil(t, c.Suboffsets)
		assert.Zero(t, c.NBytes)
	}
}

func TestRows_OfUnequalLengthsAreRefusedByTheirIndices(t *testing.T) {
	lending(t)
	for sentence, rows := range map[string][][][]int{
		"row 2 of row 1 has 3 items and row 0 of row 0 has 4; the rows of an array are equally long": {
			{{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3, 4}},
			{{1, 2, 3, 4}, {1, 2, 3, 4}, {1, 2, 3}},
		},
		"row 1 of row 0 has 2 items and row 0 of row 0 has 1":    {{{1}, {1, 2}}},
		"row 1 of row 1 has 1 items and row 0 of row 0 has 0":    {{nil, nil}, {nil, {1}}},
		"row 0 of row 1 has 0 items and row 0 of row 0 has 1":    {{{1}}, {nil}},
		"row 0 of row 1 has 1 items and row 0 of row 0 has 0":    {{nil}, {{1}}},
		"row 1 has 1 rows and row 0 has 2":                       {{{1}, {2}}, {{1}}},
		"row 1 has 2 rows and row 0 has 0":                       {nil, {{1}, {2}}},
		"row 2 has 0 rows and row 0 has 1; the rows of an array": {{{1}}, {{1}}, {}},
	} {
		requireError(t, pybuf.Rows(rows), pybuf.ErrValue, sentence)
		requireError(t, pybuf.OfAny(&rows), pybuf.ErrValue, sentence)
	}
	a, b := [][]int{{1, 2}}, [][]int{{1}}
	requireError(t, pybuf.Rows([][][][]int{{a, a, a}, {a, a, b}}), pybuf.ErrValue,
		"row 0 of row 2 of row 1 has 1 items and row 0 of row 0 of row 0 has 2")
	requireError(t, pybuf.Rows([][][]string{{{"a"}}}), pybuf.ErrType, `"string" holds a pointer`)
}

func TestRows_OfAMatrixThatCouldNotBeMadeAreRefused(t *testing.T) {
	lending(t)
	refused := pybuf.Matrix[int](-1, 3)
	requireError(t, pybuf.Rows([][][]int{refused}), pybuf.ErrValue, "a Matrix of negative sizes")
	requireError(t, pybuf.Rows([][][]int{{{1}}, refused}), pybuf.ErrValue, "a Matrix of negative sizes")
	requireError(t, pybuf.Rows([][][][]int{{{{1}}, refused}}), pybuf.ErrValue, "a Matrix of negative sizes")
}

type nest []nest

func TestRows_DeeperThanAnArrayHasAxesAreRefused(t *testing.T) {
	lending(t)
	const text = "an array has at most 64"
	requireError(t, pybuf.Rows([][]nest{}), pybuf.ErrValue, text)
	requireError(t, pybuf.OfAny(nest{}), pybuf.ErrValue, text)
	requireError(t, pybuf.OfAny(&nest{{}, {nil}}), pybuf.ErrValue, text)
	deep := reflect.ValueOf([]int8{1, 2, 3})
	for axes := 1; axes <= 66; axes++ {
		if b := pybuf.OfAny(deep.Interface()); axes <= pybuf.MaxNDim {
			c := take(t, b)
			assert.EqualValues(t, axes, c.NDim)
			requireItems(t, []int8{1, 2, 3}, c)
		} else {
			requireError(t, b, pybuf.ErrValue, text)
		}
		outer := reflect.MakeSlice(reflect.SliceOf(deep.Type()), 1, 1)
		outer.Index(0).Set(deep)
		deep = outer
	}
	requireError(t, pybuf.OfAny(deepOf(reflect.TypeFor[[2]int8](), 64)), pybuf.ErrValue, "65 dimensions")
}

// deepOf is an empty value of slices of the type, n levels of them.
func deepOf(item reflect.Type, n int) any {
	for range n {
		item = reflect.SliceOf(item)
	}
	return reflect.MakeSlice(item, 0, 0).Interface()
}

// To go along every path of these would take for ever.
func TestRows_ThatHaveOneAnotherAgainAndAgainAreLookedAtOnce(t *testing.T) {
	lending(t)
	again := func(rows []int8, other []int8, axes int) *pybuf.Buffer {
		a, b := reflect.ValueOf(rows), reflect.ValueOf(other)
		for range axes {
			outer := [2]reflect.Value{}
			for i := range outer {
				outer[i] = reflect.MakeSlice(reflect.SliceOf(a.Type()), 2, 2)
				outer[i].Index(0).Set(a)
				outer[i].Index(1).Set(b)
			}
			a, b = outer[0], outer[1]
		}
		return pybuf.OfAny(a.Interface())
	}
	all := countFrom0[int8](2)
	c := take(t, again(all[:1], all[1:], 40))
	assert.Nil(t, c.Suboffsets)
	assert.EqualValues(t, 1<<40, c.NBytes)
	assert.Equal(t, append(make([]int64, 39), 1, 1), c.Strides)

	assert.NoError(t, again(all[:1], all[1:], 62).Err())
	requireError(t, again(all[:1], all[1:], 63), pybuf.ErrOverflow, "more than 9223372036854775807 bytes")
}

// deepRows are slices of slices of uint16, made at random, and what a slow oracle
// says of it.
type deepRows struct {
	value reflect.Value
	rows  []deepRow
	// lengths are those that were met along each axis.
	lengths []map[int]bool
}

type deepRow struct {
	indices []int
	items   []uint16
}

// makeDeepRows cuts rows out of one slice at even distances, or makes them lie
// elsewhere; now and then one is shorter.
func makeDeepRows(random *rand.Rand) reflect.Value {
	axes := 2 + random.IntN(4)
	shape, steps := make([]int, axes), make([]int, axes)
	for axis := range shape {
		shape[axis] = 1 + random.IntN(4)
		steps[axis] = random.IntN(41) - 20
		if random.IntN(30) == 0 {
			shape[axis] = 0
		}
	}
	all := make([]uint16, 600)
	for i := range all {
		all[i] = uint16(i)
	}
	way, ragged := random.IntN(4), random.IntN(4) == 0
	row := func(at int) []uint16 {
		switch {
		case way == 0: // anywhere
			at = random.IntN(500)
		case way == 1 && random.IntN(20) == 0: // nearly even
			at++
		case way == 2: // each for itself
			return append([]uint16(nil), all[at:][:shape[axes-1]]...)
		}
		return all[at:][:shape[axes-1]]
	}
	var cut func(axis, at int) reflect.Value
	cut = func(axis, at int) reflect.Value {
		n := shape[axis]
		if ragged && random.IntN(20) == 0 {
			n = random.IntN(4)
		}
		if axis == axes-1 {
			return reflect.ValueOf(row(at)[:min(n, shape[axis])])
		}
		t := reflect.TypeFor[uint16]()
		for range axes - axis {
			t = reflect.SliceOf(t)
		}
		table := reflect.MakeSlice(t, n, n+random.IntN(2))
		for i := range n {
			table.Index(i).Set(cut(axis+1, at+i*steps[axis]))
		}
		return table
	}
	return cut(0, 300)
}

// newDeepRows walks along every path.
func newDeepRows(v reflect.Value) *deepRows {
	n := &deepRows{value: v}
	for t := v.Type(); t.Kind() == reflect.Slice; t = t.Elem() {
		n.lengths = append(n.lengths, map[int]bool{})
	}
	n.walk(v, nil)
	return n
}

func (n *deepRows) walk(v reflect.Value, indices []int) {
	axis := len(indices)
	n.lengths[axis][v.Len()] = true
	if items, ok := v.Interface().([]uint16); ok {
		n.rows = append(n.rows, deepRow{append([]int(nil), indices...), items})
		return
	}
	for i := range v.Len() {
		n.walk(v.Index(i), append(indices, i))
	}
}

// shape is the extents, and whether each row has them.
func (n *deepRows) shape() (shape []int64, equal bool) {
	shape, equal = make([]int64, len(n.lengths)), true
	for axis, met := range n.lengths {
		equal = equal && len(met) <= 1
		for length := range met {
			shape[axis] = int64(length)
		}
	}
	return shape, equal
}

func (n *deepRows) place(row deepRow) int64 {
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(row.items))))
}

func sum(numbers []int) (total int) {
	for _, n := range numbers {
		total += n
	}
	return total
}

// strides are those at which the rows lie, if they lie at some.
func (n *deepRows) strides(shape []int64) (strides []int64, even bool) {
	strides = make([]int64, len(shape))
	strides[len(shape)-1] = 2
	for axis := range len(shape) - 1 {
		for _, row := range n.rows { // the one beside the first
			if sum(row.indices) == 1 && row.indices[axis] == 1 {
				strides[axis] = n.place(row) - n.place(n.rows[0])
			}
		}
	}
	for _, row := range n.rows {
		at := n.place(n.rows[0])
		for axis, i := range row.indices {
			at += int64(i) * strides[axis]
		}
		if at != n.place(row) {
			return nil, false
		}
	}
	return strides, true
}

func FuzzRows_OfAnyDepthAreWhatEachPathLeadsTo(f *testing.F) {
	for seed := range uint64(400) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		lending(t)
		n := newDeepRows(makeDeepRows(rand.New(rand.NewPCG(seed, 0))))
		b := pybuf.OfAny(n.value.Interface())
		if rows, ok := n.value.Interface().([][][]uint16); ok {
			assert.Equal(t, b.Layout(), pybuf.Rows(rows).Layout())
		}
		shape, equal := n.shape()
		if !equal {
			requireError(t, b, pybuf.ErrValue, "equally long")
			return
		}
		c := take(t, b)
		require.Equal(t, shape, c.Shape)
		var items []uint16
		for _, row := range n.rows {
			items = append(items, row.items...)
		}
		requireItems(t, items, c)
		if len(items) == 0 {
			assert.Nil(t, c.Suboffsets)
			return
		}
		strides, even := n.strides(shape)
		require.Equal(t, even, c.Suboffsets == nil)
		for axis := range shape {
			if even && shape[axis] > 1 {
				require.Equal(t, strides[axis], c.Strides[axis])
			}
		}
	})
}
