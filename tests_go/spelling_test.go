package tests

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

func TestElementSpelling_FormatWins(t *testing.T) {
	for spelling, typestr := range map[string]string{
		"d":   native + "f8",
		"c":   "|S1", // the character, not a complex number
		"b":   "|i1", // an integer, not a bool
		"<i":  "<i4",
		">l":  ">i4",
		"l":   native + "i8",
		"!Zd": ">c16",
		"P":   native + "u8",
		"@d":  native + "f8",
		"^e":  native + "f2",
		"=q":  native + "i8",
		"F":   native + "c8",
		"<?":  "|b1",
		">B":  "|u1",
		"<Q":  "<u8",
		"Zf":  native + "c8",
	} {
		e, err := pybuf.ParseElement(spelling)
		require.NoError(t, err, spelling)
		assert.Equal(t, typestr, e.Typestr, spelling)
	}
}

func TestElementSpelling_ThenTypestr(t *testing.T) {
	for spelling, format := range map[string]string{
		"i4": "i", "f8": "d", "b1": "?", "u1": "B", "c8": "Zf", "S1": "c", "|u1": "B", "=f8": "d",
		native + "f8": "d", foreign + "f8": foreign + "d", foreign + "i8": foreign + "q", "|i4": "i", "<i1": "b",
	} {
		e, err := pybuf.ParseElement(spelling)
		require.NoError(t, err, spelling)
		assert.Equal(t, format, e.Format, spelling)
	}
}

func TestElementSpelling_RefusedFormatIsNotTriedAsTypestr(t *testing.T) {
	for _, spelling := range []string{"O", "p", "u", "5p", "&d", "X{}"} {
		_, err := pybuf.ParseElement(spelling)
		requireKind(t, pybuf.ErrType, err)
		assert.Contains(t, err.Error(), `format "`+spelling+`" means`)
	}
}

func TestElementSpelling_RefusedTypestrHasItsOwnSentence(t *testing.T) {
	for spelling, kind := range map[string]pybuf.Kind{
		"<f3": pybuf.ErrValue, "i3": pybuf.ErrValue, "b2": pybuf.ErrValue, "c4": pybuf.ErrValue,
		"M8[ns]": pybuf.ErrType, "<m8": pybuf.ErrType, "|O": pybuf.ErrType, "O8": pybuf.ErrType, "S0": pybuf.ErrType,
		"<U0": pybuf.ErrType, "V0": pybuf.ErrType, foreign + "f16": pybuf.ErrType, foreign + "c32": pybuf.ErrType,
	} {
		_, err := pybuf.ParseElement(spelling)
		requireKind(t, kind, err)
		assert.Contains(t, err.Error(), `typestr "`+spelling+`"`)
	}
}

func TestElementSpelling_NamesOfOthersAreUnknown(t *testing.T) {
	for _, spelling := range []string{
		"", "float64", "int", "intc", "intp", "uint", "uintc", "uintp", "single", "csingle", "int8", "uint16", "bool", "complex128", "object", "str", "bytes", "void", "half",
		"longdouble", "datetime64[ns]", "timedelta64", "i4,f8", "(2,3)f8", "5i4", "S", "U", "V", "M", "m", "a5",
		"<", "d\x00", "\xff", "Z", "<n", "B1", "?1", "d\u00e9",
	} {
		_, err := pybuf.ParseElement(spelling)
		requireKind(t, pybuf.ErrUnknown, err)
	}
}

func TestCType_NamesLeadToNativeLetters(t *testing.T) {
	for name, format := range map[string]string{
		"_Bool": "?", "char": "c", "signed char": "b", "unsigned char": "B",
		"short": "h", "unsigned short": "H", "int": "i", "unsigned int": "I",
		"long": "l", "unsigned long": "L", "long long": "q", "unsigned long long": "Q",
		"int8_t": "b", "uint8_t": "B", "int16_t": "h", "uint16_t": "H",
		"int32_t": "i", "uint32_t": "I", "int64_t": "l", "uint64_t": "L",
		"intptr_t": "l", "uintptr_t": "L", "size_t": "L", "ssize_t": "l", "ptrdiff_t": "l",
		"float": "f", "double": "d", "float _Complex": "Zf", "double _Complex": "Zd",
		"long double": "g", "long double _Complex": "Zg", "_cffi_float_complex_t": "Zf", "_cffi_double_complex_t": "Zd",
	} {
		e, err := pybuf.ParseCType(name)
		require.NoError(t, err, name)
		assert.Equal(t, format, e.Format, name)
	}
}

func TestCType_OthersAreUnknown(t *testing.T) {
	for _, name := range []string{"", "void", "int *", "struct s", "wchar_t", "d", "i4", " int", "int ", "INT", "int\x00", "\xff"} {
		_, err := pybuf.ParseCType(name)
		requireKind(t, pybuf.ErrUnknown, err)
	}
}

func TestElementSpelling_MalformedRecordIsNotAskedOfOthers(t *testing.T) {
	for _, spelling := range []string{"T{", "T{d:x", "<T{j}", "2T{d:a:d:a:}", "i:a:i:a:", "d:x", "i:"} {
		_, err := pybuf.ParseElement(spelling)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), "format ", spelling)
	}
}

func TestElementSpelling_RecordsStringsAndSubArrays(t *testing.T) {
	for spelling, format := range map[string]string{
		"T{i:a:}": "T{" + native + "i:a:}", "S5": "5s", "U3": "3w", "5s": "5s", "V8": "8x", "8x": "8x",
		"(2,3)d": "(2,3)d", "3d": "(3)d", "f16": "g", "c32": "Zg", "g": "g", "Zg": "Zg",
		foreign + "U3": foreign + "3w", foreign + "3w": foreign + "3w",
	} {
		e, err := pybuf.ParseElement(spelling)
		require.NoError(t, err, spelling)
		assert.Equal(t, format, e.Format, spelling)
	}
}
