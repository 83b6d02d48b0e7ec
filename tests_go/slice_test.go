//go:build cgo && !pyext

package tests

import (
	"fmt"
	"math"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// A theirs is memory of C's and what its descriptor says.
func theirs(t testing.TB, format string, itemSize int, shape ...int64) consumer.Descriptor {
	n := int64(itemSize)
	for _, extent := range shape {
		n *= extent
	}
	p := consumer.Alloc(int(n) + 64)
	t.Cleanup(func() { consumer.Free(p) })
	for i := range unsafe.Slice((*byte)(p), n) {
		*(*byte)(unsafe.Add(p, i)) = byte(i)
	}
	return consumer.Descriptor{
		Magic: consumer.Magic, Version: consumer.Version, NDim: int32(len(shape)), Data: uintptr(p),
		ItemSize: int64(itemSize), NBytes: n, Format: format, Shape: shape,
	}
}

func makeIn(c consumer.Descriptor) uintptr {
	made++
	return consumer.Make(c)
}

// requireSlice takes a descriptor as a slice and gives it back.
func requireSlice[T any](t testing.TB, c consumer.Descriptor, n int) {
	t.Helper()
	before := consumer.GivenBack()
	s, done, err := pybuf.Slice[T](makeIn(c))
	require.NoError(t, err, c.Format)
	require.Len(t, s, n)
	require.Equal(t, n, cap(s))
	if n > 0 {
		assert.Equal(t, c.Data, uintptr(unsafe.Pointer(&s[0])))
	}
	require.Equal(t, before, consumer.GivenBack())
	done()
	done()
	require.Equal(t, before+1, consumer.GivenBack())
}

// refuseSlice checks that a descriptor is refused, and still its owner's.
func refuseSlice[T any](t testing.TB, c consumer.Descriptor, kind pybuf.Kind, text string) {
	t.Helper()
	d := makeIn(c)
	before := consumer.GivenBack()
	s, done, err := pybuf.Slice[T](d)
	requireKind(t, kind, err)
	assert.ErrorContains(t, err, text)
	assert.Nil(t, s)
	done()
	require.Equal(t, before, consumer.GivenBack())
	require.True(t, consumer.Take(d), "it was taken")
	consumer.Release(d)
}

func TestSlice_OfEveryElementType(t *testing.T) {
	lending(t)
	requireSlice[bool](t, theirs(t, "?", 1, 3), 3)
	requireSlice[int8](t, theirs(t, "b", 1, 3), 3)
	requireSlice[uint8](t, theirs(t, "B", 1, 3), 3)
	requireSlice[int16](t, theirs(t, "h", 2, 3), 3)
	requireSlice[uint16](t, theirs(t, "=H", 2, 3), 3)
	requireSlice[int32](t, theirs(t, "i", 4, 3), 3)
	requireSlice[uint32](t, theirs(t, "I", 4, 3), 3)
	requireSlice[float32](t, theirs(t, "f", 4, 3), 3)
	requireSlice[float64](t, theirs(t, "d", 8, 3), 3)
	requireSlice[complex64](t, theirs(t, "Zf", 8, 3), 3)
	requireSlice[complex128](t, theirs(t, "Zd", 16, 3), 3)
	requireSlice[celsius](t, theirs(t, "f", 4, 3), 3)
}

func TestSlice_LettersOfOneTypeAreTheSame(t *testing.T) {
	lending(t)
	for _, format := range []string{"l", "q", "n", "@l", "=q", native + "q"} {
		requireSlice[int64](t, theirs(t, format, 8, 2), 2)
		requireSlice[int](t, theirs(t, format, 8, 2), 2)
		refuseSlice[uint64](t, theirs(t, format, 8, 2), pybuf.ErrType, "ask for []int64")
	}
	for _, format := range []string{"L", "Q", "N", "P"} {
		requireSlice[uint64](t, theirs(t, format, 8, 2), 2)
		requireSlice[uintptr](t, theirs(t, format, 8, 2), 2)
	}
	requireSlice[int32](t, theirs(t, "=l", 4, 2), 2)
}

func TestSlice_IsAllItemsWhateverTheAxes(t *testing.T) {
	lending(t)
	requireSlice[int16](t, theirs(t, "h", 2, 2, 3, 4), 24)
	requireSlice[int16](t, theirs(t, "h", 2), 1)
	requireSlice[int16](t, theirs(t, "h", 2, 0, 5), 0)
	c := theirs(t, "h", 2, 2, 1, 4)
	c.Strides = []int64{8, 12345, 2} // an axis of one item is never stepped along
	requireSlice[int16](t, c, 8)
	c.Suboffsets = []int64{-1, -1, -2}
	requireSlice[int16](t, c, 8)
}

func TestSlice_OfArraysTakesTheLastAxes(t *testing.T) {
	lending(t)
	requireSlice[[3]float32](t, theirs(t, "f", 4, 5, 3), 5)
	requireSlice[[2][3]float32](t, theirs(t, "f", 4, 5, 2, 3), 5)
	requireSlice[[3]float32](t, theirs(t, "(3)f", 12, 5), 5)
	requireSlice[[2][3]float32](t, theirs(t, "(3)f", 12, 5, 2), 5)
	requireSlice[float32](t, theirs(t, "(3)f", 12, 5), 15)
	requireSlice[[3]float32](t, theirs(t, "f", 4, 3), 1)
	refuseSlice[[3]float32](t, theirs(t, "f", 4, 3, 5), pybuf.ErrType, "shape (3, 5), and [][3]float32 was asked for: the last axes have to be (3,)")
	refuseSlice[[2][3]float32](t, theirs(t, "f", 4, 3), pybuf.ErrType, "(2, 3)")
	refuseSlice[[3]float32](t, theirs(t, "f", 4), pybuf.ErrType, "shape ()")
}

func TestSlice_OfRecordsNeedsTheSameFields(t *testing.T) {
	lending(t)
	whole := "T{" + native + "i:ID:4x" + native + "d:Price:" + native + "?:Flag:7x}"
	requireSlice[trade](t, theirs(t, whole, 24, 2), 2)
	requireSlice[trade](t, theirs(t, "T{i:ID:d:Price:?:Flag:7x}", 24, 2), 2)
	for _, format := range []string{
		"T{" + native + "i:id:4x" + native + "d:Price:" + native + "?:Flag:7x}",
		"T{" + native + "I:ID:4x" + native + "d:Price:" + native + "?:Flag:7x}",
		"T{" + foreign + "i:ID:4x" + native + "d:Price:" + native + "?:Flag:7x}",
		"24x", "(24)B", "(3)d",
	} {
		refuseSlice[trade](t, theirs(t, format, 24, 2), pybuf.ErrType, "was asked for")
	}
	refuseSlice[float64](t, theirs(t, whole, 24, 2), pybuf.ErrType, `they are records: lend a copy of one field, such as a["name"].copy()`)
	refuseSlice[trade](t, theirs(t, "d", 8, 2), pybuf.ErrType, "they are no records")
}

func TestSlice_OfOtherRecordsNamesTheFirstDifference(t *testing.T) {
	lending(t)
	for _, c := range []struct {
		fields, says string
		size         int
	}{
		{"i:id:4x" + "d:Price:" + "?:Flag:7x", `there is a field "id" where "ID" was asked for`, 24},
		{"I:ID:4x" + "d:Price:" + "?:Flag:7x", `field "ID" is of format "I", and of "i" in Go`, 24},
		{"i:ID:" + "d:Price:" + "?:Flag:", `field "Price" lies at byte 4, and at 8 in Go, as numpy.dtype(..., align=True) has it`, 13},
		{"i:ID:4x" + "d:Price:8x", `there is no field "Flag"`, 24},
		{"i:ID:4x" + "d:Price:" + "?:Flag:" + "?:More:6x", `field "More" was not asked for`, 24},
		{"i:ID:4x" + "d:Price:" + "?:Flag:", `a record has 17 bytes, and 24 in Go`, 17},
	} {
		refuseSlice[trade](t, theirs(t, "T{="+c.fields+"}", c.size, 2), pybuf.ErrType, c.says)
	}
}

func TestSlice_OtherTypesAreRefusedWithTheOneToAskFor(t *testing.T) {
	lending(t)
	refuseSlice[float64](t, theirs(t, "f", 4, 3), pybuf.ErrType,
		`the items are of format "f", and []float64 was asked for, whose items are of format "d"; ask for []float32, or lend a copy, such as a.astype("d")`)
	refuseSlice[float64](t, theirs(t, foreign+"d", 8, 3), pybuf.ErrType, "byte order is not this machine's")
	refuseSlice[float64](t, theirs(t, "g", 16, 3), pybuf.ErrType, "Go has no such type")
	refuseSlice[float64](t, theirs(t, "e", 2, 3), pybuf.ErrType, "Go has no such type")
	refuseSlice[bool](t, theirs(t, "B", 1, 3), pybuf.ErrType, "ask for []uint8")
	refuseSlice[byte](t, theirs(t, "c", 1, 3), pybuf.ErrType, "Go has no such type")
	refuseSlice[byte](t, theirs(t, "3s", 3, 3), pybuf.ErrType, "Go has no such type")
	refuseSlice[string](t, theirs(t, "d", 8, 3), pybuf.ErrType, `"string" holds a pointer`)
	refuseSlice[struct{}](t, theirs(t, "d", 8, 3), pybuf.ErrType, "0 bytes")
	refuseSlice[float64](t, theirs(t, "O", 8, 3), pybuf.ErrType, "objects")
	refuseSlice[float64](t, theirs(t, "j", 8, 3), pybuf.ErrValue, "no letter of a type")
}

func TestSlice_OtherLayoutsAreRefused(t *testing.T) {
	lending(t)
	for _, strides := range [][]int64{{8, 24}, {48, 8}, {-24, 8}, {0, 8}, {24, -8}} {
		c := theirs(t, "d", 8, 2, 3)
		c.Strides = strides
		refuseSlice[float64](t, c, pybuf.ErrBuffer, "do not lie packed in C order (shape (2, 3), strides")
	}
	c := theirs(t, "d", 8, 2, 3)
	c.Strides, c.Suboffsets = []int64{8, 8}, []int64{0, -1}
	refuseSlice[float64](t, c, pybuf.ErrBuffer, "suboffsets (0, -1)")
	c = theirs(t, "d", 8, 3)
	c.Data += 4
	refuseSlice[float64](t, c, pybuf.ErrBuffer, "and Go wants float64 at a multiple of 8")
	c.Shape, c.NBytes = []int64{0}, 0
	requireSlice[float64](t, c, 0)
}

func TestSlice_ReadOnlyMemoryIsForReadSlice(t *testing.T) {
	lending(t)
	c := theirs(t, "d", 8, 3)
	c.Flags = consumer.ReadOnly
	refuseSlice[float64](t, c, pybuf.ErrBuffer, "use ReadSlice")
	s, done, err := pybuf.ReadSlice[float64](makeIn(c))
	require.NoError(t, err)
	assert.Len(t, s, 3)
	done()
	c.Flags = 0
	_, done, err = pybuf.ReadSlice[float64](makeIn(c))
	require.NoError(t, err)
	done()
}

func TestSlice_DescriptorsThatCannotBeAreRefused(t *testing.T) {
	lending(t)
	for _, row := range []struct {
		change func(*consumer.Descriptor)
		kind   pybuf.Kind
		text   string
	}{
		{func(c *consumer.Descriptor) { c.Version = 2 }, pybuf.ErrValue, "is of version 2, and this library knows 1"},
		{func(c *consumer.Descriptor) { c.Version = 0 }, pybuf.ErrValue, "is of version 0"},
		{func(c *consumer.Descriptor) { c.Flags = 8 }, pybuf.ErrValue, "flags that this library does not know (8)"},
		{func(c *consumer.Descriptor) { c.Flags = consumer.Process }, pybuf.ErrValue, "bound to a process"},
		{func(c *consumer.Descriptor) { c.NDim = -1; c.Shape = nil }, pybuf.ErrValue, "-1 dimensions"},
		{func(c *consumer.Descriptor) { c.NDim = 65; c.Shape = nil }, pybuf.ErrValue, "65 dimensions"},
		{func(c *consumer.Descriptor) { c.Shape = nil }, pybuf.ErrValue, "1 axes and no shape"},
		{func(c *consumer.Descriptor) { c.Shape = []int64{-3} }, pybuf.ErrValue, "extent 0 is -3"},
		{func(c *consumer.Descriptor) { c.Shape = []int64{math.MaxInt64} }, pybuf.ErrOverflow, "more than"},
		{func(c *consumer.Descriptor) { c.ItemSize = 0 }, pybuf.ErrValue, "itemsize 0"},
		{func(c *consumer.Descriptor) { c.ItemSize = 4; c.NBytes = 12 }, pybuf.ErrValue, "the exporter says"},
		{func(c *consumer.Descriptor) { c.NBytes = 23 }, pybuf.ErrValue, "says 23 bytes"},
		{func(c *consumer.Descriptor) { c.Data = 0 }, pybuf.ErrValue, "24 bytes at 0x0"},
		{func(c *consumer.Descriptor) { c.Data = math.MaxUint64 - 7 }, pybuf.ErrValue, "no room for them"},
		{func(c *consumer.Descriptor) { c.Suboffsets = []int64{0} }, pybuf.ErrValue, "need strides"},
		{func(c *consumer.Descriptor) { c.Format = "" }, pybuf.ErrValue, "format"},
	} {
		c := theirs(t, "d", 8, 3)
		row.change(&c)
		refuseSlice[float64](t, c, row.kind, row.text)
	}
}

func TestADescriptorThatNobodyCouldGiveBackIsNotTaken(t *testing.T) {
	lending(t)
	d := makeIn(theirs(t, "d", 8, 3))
	release := consumer.SwapRelease(d, 0)
	_, done, err := pybuf.Slice[float64](d)
	done()
	requireKind(t, pybuf.ErrValue, err)
	assert.ErrorContains(t, err, "no release function")
	_, err = pybuf.Shape(d)
	requireKind(t, pybuf.ErrValue, err)
	var s []float64
	requireKind(t, pybuf.ErrValue, pybuf.CopyInto(d, &s))
	requireKind(t, pybuf.ErrValue, pybuf.Release(d))
	consumer.SwapRelease(d, release)
	require.NoError(t, pybuf.Release(d))
}

func TestSlice_OfAnErrorIsTheError(t *testing.T) {
	lending(t)
	for code, kind := range map[int32]pybuf.Kind{
		consumer.EValue: pybuf.ErrValue, consumer.EType: pybuf.ErrType, consumer.EOverflow: pybuf.ErrOverflow,
		consumer.EMemory: pybuf.ErrMemory, consumer.EBuffer: pybuf.ErrBuffer, consumer.ERuntime: pybuf.ErrRuntime,
		consumer.ESystem: pybuf.ErrRuntime, 0: pybuf.ErrRuntime, -1: pybuf.ErrRuntime, 99: pybuf.ErrRuntime,
	} {
		c := consumer.Descriptor{Magic: consumer.Magic, Version: 1, Flags: consumer.Error, Format: "the market is closed"}
		d := makeIn(c)
		require.True(t, consumer.Take(d))
		consumer.Release(d)
		c.NDim = code
		refuseSlice[float64](t, c, kind, "the market is closed")
	}
}

func TestSlice_OfWhatIsNoDescriptor(t *testing.T) {
	lending(t)
	for _, address := range []uintptr{0, 1, 7, 12345} {
		_, done, err := pybuf.Slice[float64](address)
		requireKind(t, pybuf.ErrValue, err)
		assert.ErrorContains(t, err, "is not the address of a descriptor")
		done()
		_, err = pybuf.Shape(address)
		requireKind(t, pybuf.ErrValue, err)
	}
	p := consumer.Alloc(200)
	defer consumer.Free(p)
	_, _, err := pybuf.Slice[float64](uintptr(p))
	requireKind(t, pybuf.ErrValue, err)
	assert.ErrorContains(t, err, "there is no descriptor at")
}

func TestSlice_OfADescriptorThatIsTakenIsRefused(t *testing.T) {
	lending(t)
	d := makeIn(theirs(t, "d", 8, 3))
	_, done, err := pybuf.Slice[float64](d)
	require.NoError(t, err)
	_, _, err = pybuf.Slice[float64](d)
	requireKind(t, pybuf.ErrValue, err)
	assert.ErrorContains(t, err, "was taken before")
	_, err = pybuf.Shape(d)
	requireKind(t, pybuf.ErrValue, err)
	require.False(t, consumer.Take(d))
	done()
}

func TestSlice_OneOfManyGetsIt(t *testing.T) {
	lending(t)
	for range 100 {
		d := makeIn(theirs(t, "d", 8, 3))
		ends := make(chan func(), 8)
		atOnce(8, func(int) {
			if _, done, err := pybuf.Slice[float64](d); err == nil {
				ends <- done
			}
		})
		require.Len(t, ends, 1)
		(<-ends)()
	}
}

func TestSlice_DoneOnManyGoroutinesGivesBackOnce(t *testing.T) {
	lending(t)
	for range 100 {
		before := consumer.GivenBack()
		_, done, err := pybuf.Slice[float64](makeIn(theirs(t, "d", 8, 3)))
		require.NoError(t, err)
		atOnce(8, func(int) { done() })
		require.Equal(t, before+1, consumer.GivenBack())
	}
}

func TestSlice_OfAnotherProcessIsNotGivenBack(t *testing.T) {
	lending(t)
	c := theirs(t, "d", 8, 3)
	c.Flags, c.PID = consumer.Process, int32(os.Getpid())+1
	d := makeIn(c)
	before := consumer.GivenBack()
	_, done, err := pybuf.Slice[float64](d)
	require.NoError(t, err)
	done()
	require.Equal(t, before, consumer.GivenBack())
	consumer.Release(d)

	c.PID = int32(os.Getpid())
	requireSlice[float64](t, c, 3)
}

func TestShape_TellsWithoutTaking(t *testing.T) {
	lending(t)
	for _, shape := range [][]int64{{}, {3}, {0, 2}, {2, 3, 4}} {
		d := makeIn(theirs(t, "d", 8, shape...))
		for range 2 {
			got, err := pybuf.Shape(d)
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprint(shape), fmt.Sprint(got))
		}
		require.True(t, consumer.Take(d))
		consumer.Release(d)
	}
	d := pybuf.Fail(fmt.Errorf("closed")).Export()
	_, err := pybuf.Shape(d)
	assert.EqualError(t, err, "closed")
	requireErrorDescriptor(t, d, consumer.ERuntime, 0, "closed")
}

// What Go lends, Go can take: the same memory.
func TestSlice_OfWhatGoExports(t *testing.T) {
	lending(t)
	items := make([]trade, 6)
	s, done, err := pybuf.Slice[trade](pybuf.Of(items, 2, 3).Export())
	require.NoError(t, err)
	s[4].Price = 2.5
	assert.Equal(t, items, s)
	assert.Equal(t, 2.5, items[4].Price)
	done()

	d := pybuf.Of(items).ReadOnly().Export()
	_, _, err = pybuf.Slice[trade](d)
	requireKind(t, pybuf.ErrBuffer, err)
	_, done, err = pybuf.ReadSlice[trade](d)
	require.NoError(t, err)
	done()

	arrays := [][3]float32{{1, 2, 3}, {4, 5, 6}}
	a, done, err := pybuf.Slice[[3]float32](pybuf.Of(arrays).Export())
	require.NoError(t, err)
	assert.Equal(t, arrays, a)
	done()

	e, done, err := pybuf.Slice[float64](pybuf.Of[float64](nil).Export())
	require.NoError(t, err)
	assert.Empty(t, e)
	done()
}
