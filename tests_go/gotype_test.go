package tests

import (
	"fmt"
	"math/rand"
	"reflect"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

func requireElementOf[T any](t *testing.T, format string) {
	t.Helper()
	e, err := pybuf.ElementOf[T]()
	require.NoError(t, err, format)
	assert.Equal(t, format, e.Format)
	var zero T
	assert.Equal(t, int(unsafe.Sizeof(zero)), e.ItemSize, format)
	again, err := pybuf.ParseFormat(e.Format)
	require.NoError(t, err)
	assert.Equal(t, e, again)
}

func requireNoElementOf[T any](t *testing.T, parts ...string) {
	t.Helper()
	_, err := pybuf.ElementOf[T]()
	requireKind(t, pybuf.ErrType, err)
	for _, part := range parts {
		assert.ErrorContains(t, err, part)
	}
}

type celsius float32

func TestElementOf_NumbersAndBools(t *testing.T) {
	requireElementOf[bool](t, "?")
	requireElementOf[int8](t, "b")
	requireElementOf[byte](t, "B")
	requireElementOf[int16](t, "h")
	requireElementOf[uint16](t, "H")
	requireElementOf[rune](t, "i")
	requireElementOf[uint32](t, "I")
	requireElementOf[int](t, "l")
	requireElementOf[int64](t, "l")
	requireElementOf[uint](t, "L")
	requireElementOf[uint64](t, "L")
	requireElementOf[uintptr](t, "L")
	requireElementOf[float32](t, "f")
	requireElementOf[float64](t, "d")
	requireElementOf[complex64](t, "Zf")
	requireElementOf[complex128](t, "Zd")
}

func TestElementOf_NamedTypesAreWhatTheyAreMadeOf(t *testing.T) {
	requireElementOf[celsius](t, "f")
	requireElementOf[time.Duration](t, "l")
	requireElementOf[time.Month](t, "l")
}

func TestElementOf_ArraysAreSubArrays(t *testing.T) {
	requireElementOf[[3]float64](t, "(3)d")
	requireElementOf[[2][3]celsius](t, "(2,3)f")
	requireElementOf[[1]bool](t, "(1)?")
}

type trade struct {
	ID    int32
	Price float64
	Flag  bool
}

func TestElementOf_StructsAreRecordsWithTheirPads(t *testing.T) {
	requireElementOf[trade](t, "T{"+native+"i:ID:4x"+native+"d:Price:"+native+"?:Flag:7x}")
	e, err := pybuf.ElementOf[trade]()
	require.NoError(t, err)
	assert.Equal(t, 8, e.Align)
}

func TestElementOf_ATagGivesAName(t *testing.T) {
	requireElementOf[struct {
		A int8 `pybuf:"the first" json:"x"`
		B int8 `json:"y"`
		C int8 `pybuf:""`
	}](t, "T{"+native+"b:the first:"+native+"b:B:"+native+"b:C:}")
}

func TestElementOf_WhatIsNotExportedIsPads(t *testing.T) {
	requireElementOf[struct {
		a int16
		B int16
		c [3]byte
		_ [3]byte
		D int32 `pybuf:"-"`
		E int32
	}](t, "T{2x"+native+"h:B:12x"+native+"i:E:}")
}

func TestElementOf_StructsInside(t *testing.T) {
	requireElementOf[struct {
		trade
		N int16
	}](t, "T{24x"+native+"h:N:6x}")
	requireElementOf[struct {
		Pair [2]struct{ X, Y float32 }
		Last trade
	}](t, "T{(2)T{"+native+"f:X:"+native+"f:Y:}:Pair:T{"+native+"i:ID:4x"+native+"d:Price:"+native+"?:Flag:7x}:Last:}")
}

func TestElementOf_FieldsOfNoBytesAreFieldsOfNoBytes(t *testing.T) {
	requireElementOf[struct {
		A [0]float64
		B int8
	}](t, "T{(0)"+native+"d:A:"+native+"b:B:7x}")
	requireElementOf[struct {
		A int8
		B struct{}
	}](t, "T{"+native+"b:A:T{}:B:1x}")
}

func TestElementOf_PointersAreRefusedWithTypeAndField(t *testing.T) {
	requireNoElementOf[string](t, `"string" holds a pointer`)
	requireNoElementOf[*int](t, `"*int" holds a pointer`)
	requireNoElementOf[[]byte](t, `"[]uint8"`)
	requireNoElementOf[map[int]int](t, `"map[int]int"`)
	requireNoElementOf[any](t, `"interface {}"`)
	requireNoElementOf[chan int](t, `"chan int"`)
	requireNoElementOf[func()](t, `"func()"`)
	requireNoElementOf[unsafe.Pointer](t, `"unsafe.Pointer"`)
	requireNoElementOf[[2]string](t, `"[2]string" holds a pointer`)
	requireNoElementOf[struct{ Who string }](t, `field "Who" of type "string"`)
	requireNoElementOf[struct{ In struct{ Names [3]string } }](t, `field "In.Names" of type "string"`)
	requireNoElementOf[struct {
		A    int
		next *int
	}](t, `field "next" of type "*int"`, "not even as pads")
	requireNoElementOf[struct {
		A int
		B struct{ c []int } `pybuf:"-"`
	}](t, `field "B.c"`)
	requireNoElementOf[time.Time](t, `field "loc"`)
}

func TestElementOf_WhatCannotBeSeenIsRefused(t *testing.T) {
	requireNoElementOf[struct{ a int }](t, "has no exported field")
	requireNoElementOf[struct{ In struct{ a int } }](t, `field "In"`, "has no exported field")
	requireNoElementOf[struct{}](t, "0 bytes")
	requireNoElementOf[[0]int](t, "0 bytes")
}

func TestElementOf_NamesThatNoFormatHoldsAreRefused(t *testing.T) {
	_, err := pybuf.ElementOf[struct {
		A int `pybuf:"a:b"`
	}]()
	requireKind(t, pybuf.ErrValue, err)
	assert.ErrorContains(t, err, "colon")
	_, err = pybuf.ElementOf[struct {
		A int
		B int `pybuf:"A"`
	}]()
	requireKind(t, pybuf.ErrValue, err)
	assert.ErrorContains(t, err, "two fields")
}

func TestElementOf_ArraysInsideOfMoreThanABufferHasAreRefused(t *testing.T) {
	typ := reflect.TypeFor[int8]()
	for range pybuf.MaxNDim {
		typ = reflect.ArrayOf(1, typ)
	}
	e, err := pybuf.ElementOfType(typ)
	require.NoError(t, err)
	extents, _ := e.SubArray()
	assert.Len(t, extents, pybuf.MaxNDim)
	_, err = pybuf.ElementOfType(reflect.ArrayOf(1, typ))
	requireKind(t, pybuf.ErrValue, err)
	assert.ErrorContains(t, err, "has a sub-array of 65 extents; a buffer has at most 64")
}

func TestElementOf_NoTypeIsRefused(t *testing.T) {
	_, err := pybuf.ElementOfType(nil)
	requireKind(t, pybuf.ErrType, err)
}

// randomType is a type of Go's without pointers, of a few levels.
func randomType(random *rand.Rand, depth int) reflect.Type {
	plain := []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[uint16](), reflect.TypeFor[int32](),
		reflect.TypeFor[int](), reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](),
		reflect.TypeFor[complex128](), reflect.TypeFor[uintptr](),
	}
	switch {
	case depth == 0 || random.Intn(3) > 0:
		return plain[random.Intn(len(plain))]
	case random.Intn(2) == 0:
		return reflect.ArrayOf(random.Intn(4), randomType(random, depth-1))
	}
	fields := make([]reflect.StructField, 1+random.Intn(4))
	for i := range fields {
		fields[i] = reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: randomType(random, depth-1)}
	}
	return reflect.StructOf(fields)
}

// requireLaidOut compares a record with Go's own layout, fields inside too.
func requireLaidOut(t *testing.T, typ reflect.Type, e pybuf.Element) {
	t.Helper()
	require.Equal(t, int(typ.Size()), e.ItemSize, typ)
	_, e = e.SubArray()
	for typ.Kind() == reflect.Array {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct {
		require.Nil(t, e.Fields())
		return
	}
	fields := e.Fields()
	require.Len(t, fields, typ.NumField())
	for i, f := range fields {
		require.Equal(t, typ.Field(i).Name, f.Name)
		require.Equal(t, int(typ.Field(i).Offset), f.Offset, typ)
		requireLaidOut(t, typ.Field(i).Type, f.Element)
	}
}

func FuzzElementOf_IsLaidOutAsGoHasIt(f *testing.F) {
	for seed := range int64(200) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed int64) {
		typ := randomType(rand.New(rand.NewSource(seed)), 3)
		e, err := pybuf.ElementOfType(typ)
		if typ.Size() == 0 {
			requireKind(t, pybuf.ErrType, err)
			return
		}
		require.NoError(t, err, typ)
		requireLaidOut(t, typ, e)
	})
}
