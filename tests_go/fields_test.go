package tests

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

func element(t *testing.T, format string) pybuf.Element {
	t.Helper()
	e, err := pybuf.ParseFormat(format)
	require.NoError(t, err)
	return e
}

func TestFields_AreInMemoryOrderWithTheirOffsets(t *testing.T) {
	assert.Equal(t, []pybuf.Field{
		{Name: "a", Offset: 0, Element: element(t, "b")},
		{Name: "b", Offset: 8, Element: element(t, "(2,3)d")},
		{Name: "c", Offset: 56, Element: element(t, foreign+"3w")},
	}, element(t, "T{b:a:(2,3)d:b:"+foreign+"3w:c:}").Fields())
}

func TestFields_OnlyRecordsHaveThem(t *testing.T) {
	for _, format := range strings.Fields("d 5s 8x 3d 2T{b:a:} Zg") {
		assert.Nil(t, element(t, format).Fields(), format)
	}
	assert.Nil(t, pybuf.Element{}.Fields())
	assert.NotNil(t, element(t, "T{8x}").Fields())
	assert.Empty(t, element(t, "T{8x}").Fields())
}

func TestFields_OfNoBytesAreThere(t *testing.T) {
	fields := element(t, "T{0d:a:T{}:b:0s:c:b:d:}").Fields()
	require.Len(t, fields, 4)
	for _, f := range fields[:3] {
		assert.Zero(t, f.Element.ItemSize, f.Name)
	}
}

func TestSubArray_IsItsExtentsAndWhatItIsMadeOf(t *testing.T) {
	extents, base := element(t, "(2,3)<h").SubArray()
	assert.Equal(t, []int{2, 3}, extents)
	assert.Equal(t, element(t, "<h"), base)
	extents, base = element(t, "3T{(2)b:a:}").SubArray()
	assert.Equal(t, []int{3}, extents)
	assert.Equal(t, element(t, "T{(2)b:a:}"), base)
}

func TestSubArray_OthersAreThemselves(t *testing.T) {
	for _, format := range strings.Fields("d 5s 8x T{3d:a:}") {
		e := element(t, format)
		extents, base := e.SubArray()
		assert.Nil(t, extents)
		assert.Equal(t, e, base)
	}
	extents, base := pybuf.Element{}.SubArray()
	assert.Nil(t, extents)
	assert.Zero(t, base)
}

func TestRecordOf_FieldsLeavesAsTheFormatThatSaysThem(t *testing.T) {
	e, err := pybuf.Record(
		24,
		pybuf.Field{Name: "id", Offset: 4, Element: element(t, "i")},
		pybuf.Field{Name: "price", Offset: 8, Element: element(t, foreign+"d")},
	)
	require.NoError(t, err)
	assert.Equal(t, "T{4x"+native+"i:id:"+foreign+"d:price:8x}", e.Format)
	assert.Equal(t, 24, e.ItemSize)
	assert.Equal(t, 8, e.Align)
	requireElement(t, e)
}

func TestRecordOf_NoFieldsIsPadsAlone(t *testing.T) {
	e, err := pybuf.Record(8)
	require.NoError(t, err)
	assert.Equal(t, element(t, "T{8x}"), e)
}

func TestRecordOf_RefusesWhatNoFormatSays(t *testing.T) {
	i, none := element(t, "i"), pybuf.Element{}
	at := func(name string, offset int, e pybuf.Element) pybuf.Field {
		return pybuf.Field{Name: name, Offset: offset, Element: e}
	}
	for _, row := range []struct {
		size     int
		fields   []pybuf.Field
		sentence string
	}{
		{8, []pybuf.Field{at("a", 0, none)}, `field "a" has no element type`},
		{8, []pybuf.Field{at("", 0, i)}, "empty name"},
		{8, []pybuf.Field{at("a:b", 0, i)}, `field "a:b" has a colon`},
		{8, []pybuf.Field{at("a\x00", 0, i)}, "NUL"},
		{8, []pybuf.Field{at("\xff", 0, i)}, "UTF-8"},
		{8, []pybuf.Field{at("a", 0, i), at("a", 4, i)}, `two fields "a"`},
		{8, []pybuf.Field{at("a", 0, i), at("b", 3, i)}, `field "b" lies at byte 3, before byte 4`},
		{8, []pybuf.Field{at("a", 4, i), at("b", 0, i)}, `field "b" lies at byte 0, before byte 8`},
		{8, []pybuf.Field{at("a", -1, i)}, "lies at byte -1"},
		{8, []pybuf.Field{at("a", -1<<63, i)}, "before byte 0"},
		{8, []pybuf.Field{at("a", 5, i)}, "ends behind the end of the record, which has 8 bytes"},
		{8, []pybuf.Field{at("a", 1<<63-1, i)}, "ends behind the end"},
		{0, []pybuf.Field{at("a", 0, i)}, "ends behind the end"},
		{-1, nil, "-1 bytes"},
		{-1, []pybuf.Field{at("a", 0, i)}, "-1 bytes"},
	} {
		_, err := pybuf.Record(row.size, row.fields...)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), row.sentence)
	}
	_, err := pybuf.Record(0)
	requireKind(t, pybuf.ErrType, err)
}

func TestDescr_IsTheTypeWithNothingLeftToRules(t *testing.T) {
	for descr, format := range map[string]string{
		native + "f8;":                  "d",
		foreign + "i8;":                 foreign + "q",
		"S5;":                           "5s",
		"V8;":                           "8x",
		"(2,3)f8;":                      "(2,3)d",
		"(2)(3)f8;":                     "(2,3)d",
		"{8:}":                          "T{8x}",
		"{16:0:2:idi4;8:5:price(2)f4;}": "T{" + native + "i:id:4x(2)" + native + "f:price:}",
		"{4:1:2:a:i1;}":                 "",
		"{4:1:1:}i1;}":                  "T{1x" + native + "b:}:2x}",
		"{2:0:6:日本i1;1:1::i1;}":         "",
		"(2){2:0:3:日i1;1:1: i1;}":       "(2)T{" + native + "b:日:" + native + "b: :}",
		"{9:0:1:a{9:0:1:bi1;1:1:c" + foreign + "f8;}}": "T{T{" + native + "b:b:" + foreign + "d:c:}:a:}",
		"{4:0:1:a(0)i8;0:1:bS0;}":                      "T{(0)" + native + "q:a:" + native + "0s:b:4x}",
	} {
		e, err := pybuf.ParseDescr(descr)
		if format == "" {
			requireKind(t, pybuf.ErrValue, err)
			assert.Contains(t, err.Error(), "colon")
			continue
		}
		require.NoError(t, err, descr)
		assert.Equal(t, format, e.Format, descr)
		requireElement(t, e)
	}
}

func TestDescr_MalformedNamesTheIndex(t *testing.T) {
	for descr, index := range map[string]int{
		"": 0, "i4": 0, ";": -1, "i4;i4;": 3, "{": 1, "{8": 2, "{8:": 3, "{8:0": 4, "{8:0:": 5, "{8:0:1": 6, "{8:0:1:": 7,
		"{8:0:9:a": 7, "{8:0:1:ai4;": 11, "{:}": 1, "{-1:}": 1, "()i4;": 1, "(2,)i4;": 3, "(2i4;": 2, "(-1)i4;": 1,
		"{99999999999999999999:}": 21, "{8:}}": 4, "}": 0, " i4;": -1, "{8: 0:1:ai4;}": 3, "{8:0:-1:ai4;}": 5,
	} {
		_, err := pybuf.ParseDescr(descr)
		requireKind(t, pybuf.ErrValue, err)
		if index >= 0 {
			assert.Contains(t, err.Error(), "malformed at index "+strconv.Itoa(index), descr)
		}
	}
}

func TestDescr_RefusalsNameTheFieldWithItsPath(t *testing.T) {
	for descr, sentence := range map[string]string{
		"O;":                        `typestr "O" means objects`,
		"{8:0:1:aO;}":               `field "a": typestr "O" means objects`,
		"{8:0:1:a{8:0:1:bM8[ns];}}": `field "a.b": typestr "M8[ns]" means dates`,
		"(2){8:0:1:a(3){8:0:1:b" + foreign + "f16;}}": `field "a.b": typestr "` + foreign + `f16" means long doubles`,
		"{0:}":   "items of 0 bytes",
		"(0)i4;": "items of 0 bytes",
	} {
		_, err := pybuf.ParseDescr(descr)
		requireKind(t, pybuf.ErrType, err)
		assert.Contains(t, err.Error(), sentence)
	}
	_, err := pybuf.ParseDescr("{8:0:1:a{8:0:1:xi4;2:1:yi4;}}")
	requireKind(t, pybuf.ErrValue, err)
	assert.Contains(t, err.Error(), `field "y" lies at byte 2`)
}

func TestCompound_IsWhatIsMadeOfOthers(t *testing.T) {
	for format, compound := range map[string]bool{
		"d": false, ">d": false, "5s": false, "8x": false, "3w": false, "g": false, "(2)d": true, "3d": true,
		"T{d:a:}": true, "(2)T{d:a:}": true, "T{8x}": true, "dd": true,
	} {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err, format)
		assert.Equal(t, compound, e.Compound(), format)
		extents, _ := e.SubArray()
		assert.Equal(t, compound, extents != nil || e.Fields() != nil, format)
	}
}
