package tests

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// plainTypestrs are the typestrs without byte order and the native letters
// that they leave as.
var plainTypestrs = map[string]string{
	"b1": "?", "S1": "c",
	"i1": "b", "i2": "h", "i4": "i", "i8": "l",
	"u1": "B", "u2": "H", "u4": "I", "u8": "L",
	"f2": "e", "f4": "f", "f8": "d", "c8": "Zf", "c16": "Zd",
}

func TestTypestr_NativeOrderLeavesAsABareLetter(t *testing.T) {
	for typestr, format := range plainTypestrs {
		for _, order := range []string{"", "=", "|", native} {
			e, err := pybuf.ParseTypestr(order + typestr)
			require.NoError(t, err, order+typestr)
			assert.Equal(t, format, e.Format, order+typestr)
		}
	}
}

func TestTypestr_OtherOrderKeepsIt(t *testing.T) {
	for typestr, format := range plainTypestrs {
		e, err := pybuf.ParseTypestr(foreign + typestr)
		require.NoError(t, err)
		switch {
		case e.ItemSize == 1:
			assert.Equal(t, format, e.Format)
		case format == "l":
			assert.Equal(t, foreign+"q", e.Format)
		case format == "L":
			assert.Equal(t, foreign+"Q", e.Format)
		default:
			assert.Equal(t, foreign+format, e.Format)
		}
	}
}

func TestTypestr_LeavesWithItsOrderWritten(t *testing.T) {
	for typestr := range plainTypestrs {
		for _, order := range []string{"", "<", ">"} {
			e, err := pybuf.ParseTypestr(order + typestr)
			require.NoError(t, err)
			expected := order + typestr
			switch {
			case e.ItemSize == 1:
				expected = "|" + typestr
			case order == "":
				expected = native + typestr
			}
			assert.Equal(t, expected, e.Typestr)
		}
	}
}

func TestTypestr_LeadingZerosOfASizeMeanNothing(t *testing.T) {
	e, err := pybuf.ParseTypestr("<i04")
	require.NoError(t, err)
	assert.Equal(t, "<i4", e.Typestr)
}

func TestTypestr_RefusedTypesAreNamed(t *testing.T) {
	for typestr, meaning := range map[string]string{
		"|O":      "objects",
		"|O8":     "objects",
		"O":       "objects",
		"<M8":     "dates",
		"<M8[ns]": "dates",
		"M8[25s]": "dates",
		">m8[D]":  "time spans",
		"m8":      "time spans",
		"|t4":     "bits",
		"|S0":     "items of 0 bytes", "S0": "items of 0 bytes", "<U0": "items of 0 bytes", "V0": "items of 0 bytes",
		foreign + "f16": "long doubles in the order",
		foreign + "c32": "long doubles in the order",
	} {
		_, err := pybuf.ParseTypestr(typestr)
		requireKind(t, pybuf.ErrType, err)
		assert.Contains(t, err.Error(), "typestr "+`"`+typestr+`" means `+meaning)
	}
}

func TestTypestr_TimesAreAdvisedToBeViewedAsIntegers(t *testing.T) {
	for _, typestr := range strings.Fields("M8 <m8[ns]") {
		_, err := pybuf.ParseTypestr(typestr)
		assert.ErrorContains(t, err, `.view("i8")`)
	}
}

func TestTypestr_StringsAndRawBytesAreOfAnyLength(t *testing.T) {
	for typestr, row := range map[string]struct {
		format, leaves string
		size, align    int
	}{
		"|S5":           {"5s", "|S5", 5, 1},
		"S123456":       {"123456s", "|S123456", 123456, 1},
		">S5":           {"5s", "|S5", 5, 1},
		"U1":            {"w", native + "U1", 4, 4},
		native + "U4":   {"4w", native + "U4", 16, 4},
		foreign + "U4":  {foreign + "4w", foreign + "U4", 16, 4},
		"|V16":          {"16x", "|V16", 16, 1},
		"V1":            {"1x", "|V1", 1, 1},
		native + "f16":  {"g", native + "f16", 16, 16},
		"=c32":          {"Zg", native + "c32", 32, 16},
		"S" + "0000002": {"2s", "|S2", 2, 1},
	} {
		e, err := pybuf.ParseTypestr(typestr)
		require.NoError(t, err, typestr)
		assert.Equal(t, pybuf.Element{
			ItemSize: row.size, Align: row.align, Format: row.format, Typestr: row.leaves, DLPackCode: pybuf.DLPackNone,
		}, e, typestr)
	}
}

func TestTypestr_MoreBytesThanThereAreAddressesOverflow(t *testing.T) {
	_, err := pybuf.ParseTypestr("U2305843009213693952")
	requireKind(t, pybuf.ErrOverflow, err)
	_, err = pybuf.ParseTypestr("U2305843009213693951")
	require.NoError(t, err)
}

func TestTypestr_SizesThatNoTypeHas(t *testing.T) {
	for typestr, sentence := range map[string]string{
		"i3":  "there are no integers of 3 bytes; there are 1, 2, 4, 8",
		"<i0": "there are no integers of 0 bytes",
		"u16": "there are no unsigned integers of 16 bytes; there are 1, 2, 4, 8",
		"<f3": "there are no floats of 3 bytes; there are 2, 4, 8, 16",
		"f10": "there are no floats of 10 bytes",
		"c4":  "there are no complex numbers of 4 bytes; there are 8, 16, 32",
		"b2":  "there are no bools of 2 bytes; there are 1",
	} {
		_, err := pybuf.ParseTypestr(typestr)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), sentence)
	}
}

func TestTypestr_Malformed(t *testing.T) {
	for _, typestr := range []string{
		"", "<", "|", "i", "<i", "d", "<d", "8", "<8", "float64", "!f8", "@f8", "^f8", "<<f8", "f8 ", " f8",
		"f 8", "f+8", "f-8", "f8\x00", "f\x008", "B1", "?1", "q8", "f8f8", "f8,", "i99999999999999999999",
		"M", "M8[ns", "M8ns]", "M[ns]", "f8[ns]", "S", "V", "U", "Ox", "\xff", "f\xff", "F8", "a5", "I8",
	} {
		_, err := pybuf.ParseTypestr(typestr)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), "is malformed", "%q", typestr)
	}
}
