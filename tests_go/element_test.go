package tests

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// The codes of DLDataTypeCode in dlpack.h.
const (
	kDLInt     = 0
	kDLUInt    = 1
	kDLFloat   = 2
	kDLComplex = 5
	kDLBool    = 6
)

func TestElement_CodesOfPlainTypes(t *testing.T) {
	for _, row := range []struct {
		size, align     int
		format, typestr string
		code, bits      int
		arrow           string
	}{
		{1, 1, "?", "|b1", kDLBool, 8, ""},
		{1, 1, "c", "|S1", pybuf.DLPackNone, 0, ""},
		{1, 1, "b", "|i1", kDLInt, 8, "c"},
		{1, 1, "B", "|u1", kDLUInt, 8, "C"},
		{2, 2, "h", native + "i2", kDLInt, 16, "s"},
		{2, 2, "H", native + "u2", kDLUInt, 16, "S"},
		{4, 4, "i", native + "i4", kDLInt, 32, "i"},
		{4, 4, "I", native + "u4", kDLUInt, 32, "I"},
		{8, 8, "l", native + "i8", kDLInt, 64, "l"},
		{8, 8, "L", native + "u8", kDLUInt, 64, "L"},
		{8, 8, "q", native + "i8", kDLInt, 64, "l"},
		{8, 8, "Q", native + "u8", kDLUInt, 64, "L"},
		{2, 2, "e", native + "f2", kDLFloat, 16, "e"},
		{4, 4, "f", native + "f4", kDLFloat, 32, "f"},
		{8, 8, "d", native + "f8", kDLFloat, 64, "g"},
		{8, 4, "Zf", native + "c8", kDLComplex, 64, ""},
		{16, 8, "Zd", native + "c16", kDLComplex, 128, ""},
		{16, 16, "g", native + "f16", pybuf.DLPackNone, 0, ""},
		{32, 16, "Zg", native + "c32", pybuf.DLPackNone, 0, ""},
	} {
		e, err := pybuf.ParseFormat(row.format)
		require.NoError(t, err)
		assert.Equal(t, pybuf.Element{
			ItemSize: row.size, Align: row.align, Format: row.format, Typestr: row.typestr,
			DLPackCode: row.code, DLPackBits: row.bits, Arrow: row.arrow,
		}, e)
	}
}

func TestElement_OtherByteOrderHasNoDLPackAndNoArrow(t *testing.T) {
	for _, letter := range strings.Fields("h H i I l L q Q e f d Zf Zd") {
		e, err := pybuf.ParseFormat(foreign + letter)
		require.NoError(t, err)
		assert.Equal(t, pybuf.DLPackNone, e.DLPackCode, letter)
		assert.Zero(t, e.DLPackBits, letter)
		assert.Empty(t, e.Arrow, letter)
	}
}

// eachPlain calls f with every entry of the list of plain spellings.
func eachPlain(f func(spelling string, e pybuf.Element)) {
	for i := 0; ; i++ {
		spelling, e, ok := pybuf.AsElement.Plain(i)
		if !ok {
			return
		}
		f(spelling, e)
	}
}

func TestPlain_EachSpellingIsReadAsItsElement(t *testing.T) {
	eachPlain(func(spelling string, expected pybuf.Element) {
		e, err := pybuf.ParseElement(spelling)
		require.NoError(t, err, spelling)
		assert.Equal(t, expected, e, spelling)
	})
}

func TestPlain_NoSpellingTwice(t *testing.T) {
	seen := map[string]bool{}
	eachPlain(func(spelling string, _ pybuf.Element) {
		assert.False(t, seen[spelling], spelling)
		seen[spelling] = true
	})
}

func TestPlain_HoldsAllThatBuffersExport(t *testing.T) {
	seen := map[string]bool{}
	eachPlain(func(spelling string, _ pybuf.Element) { seen[spelling] = true })
	eachPlain(func(spelling string, e pybuf.Element) {
		assert.True(t, seen[e.Format], e.Format)
		assert.True(t, seen[e.Typestr], e.Typestr)
	})
	for _, letter := range strings.Fields("? c b B h H i I l L q Q n N P e f d Zf Zd F D") {
		assert.True(t, seen[letter], letter)
	}
	for typestr := range plainTypestrs {
		assert.True(t, seen[typestr], typestr)
	}
}

func TestPlain_EndsAndHasNothingBeforeTheFirst(t *testing.T) {
	for _, i := range []int{-1, -1 << 63, 1000, 1<<63 - 1} {
		spelling, e, ok := pybuf.AsElement.Plain(i)
		assert.False(t, ok)
		assert.Empty(t, spelling)
		assert.Zero(t, e)
	}
}

func TestPlain_ElementsSayOneThingAtEveryDoor(t *testing.T) {
	eachPlain(func(spelling string, e pybuf.Element) {
		byFormat, err := pybuf.ParseFormat(e.Format)
		require.NoError(t, err)
		assert.Equal(t, e, byFormat, spelling)

		byTypestr, err := pybuf.ParseTypestr(e.Typestr)
		require.NoError(t, err)
		byTypestr.Format = e.Format // q is one of two letters of its typestr
		assert.Equal(t, e, byTypestr, spelling)

		assert.Zero(t, e.ItemSize%e.Align, spelling)
		assert.Zero(t, e.Align&(e.Align-1), spelling)
		if e.DLPackCode != pybuf.DLPackNone {
			assert.Equal(t, 8*e.ItemSize, e.DLPackBits, spelling)
		}
	})
}
