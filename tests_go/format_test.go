package tests

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// requireFormats reads each format and compares the one that is exported.
func requireFormats(t *testing.T, exported map[string]string) {
	t.Helper()
	for format, expected := range exported {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err, format)
		assert.Equal(t, expected, e.Format, format)
	}
}

func TestFormat_BareNativeLetterStaysAsItIs(t *testing.T) {
	for _, letter := range strings.Fields("? c b B h H i I l L q Q e f d Zf Zd") {
		requireFormats(t, map[string]string{letter: letter})
	}
}

func TestFormat_LettersThatNumPyLacksLeaveAsOthersOfTheirSize(t *testing.T) {
	requireFormats(t, map[string]string{"n": "l", "N": "L", "P": "L", "F": "Zf", "D": "Zd"})
}

func TestFormat_NativePrefixesAreDropped(t *testing.T) {
	for _, letter := range strings.Fields("? c b B h H i I l L q Q e f d Zf Zd") {
		requireFormats(t, map[string]string{"@" + letter: letter, "^" + letter: letter})
	}
	requireFormats(t, map[string]string{"@n": "l", "^N": "L", "@P": "L", "^F": "Zf", "@D": "Zd"})
}

func TestFormat_StandardSizesInNativeOrderLeaveAsNativeLetters(t *testing.T) {
	for format, expected := range map[string]string{
		"?": "?", "c": "c", "b": "b", "B": "B", "h": "h", "H": "H", "i": "i", "I": "I",
		"l": "i", "L": "I", "q": "l", "Q": "L",
		"e": "e", "f": "f", "d": "d", "Zf": "Zf", "Zd": "Zd", "F": "Zf", "D": "Zd",
	} {
		requireFormats(t, map[string]string{"=" + format: expected, native + format: expected})
	}
}

func TestFormat_OtherOrderKeepsItsPrefixAndStandardLetters(t *testing.T) {
	for format, expected := range map[string]string{
		"h": "h", "H": "H", "i": "i", "I": "I", "l": "i", "L": "I", "q": "q", "Q": "Q",
		"e": "e", "f": "f", "d": "d", "Zf": "Zf", "Zd": "Zd", "F": "Zf", "D": "Zd",
	} {
		requireFormats(t, map[string]string{foreign + format: foreign + expected})
	}
}

func TestFormat_ExclamationMarkIsBigEndian(t *testing.T) {
	for _, letter := range strings.Fields("? b h i q d Zd") {
		big, err := pybuf.ParseFormat(">" + letter)
		require.NoError(t, err)
		network, err := pybuf.ParseFormat("!" + letter)
		require.NoError(t, err)
		assert.Equal(t, big, network)
	}
}

func TestFormat_OneByteHasNoOrder(t *testing.T) {
	for _, letter := range strings.Fields("? c b B") {
		for _, prefix := range strings.Fields("@ ^ = < > !") {
			requireFormats(t, map[string]string{prefix + letter: letter})
		}
	}
}

func TestFormat_Sizes(t *testing.T) {
	for format, size := range map[string]int{
		"?": 1, "c": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "l": 8, "L": 8, "q": 8, "Q": 8,
		"n": 8, "N": 8, "P": 8, "e": 2, "f": 4, "d": 8, "Zf": 8, "Zd": 16, "F": 8, "D": 16,
		"<l": 4, ">L": 4, "<q": 8, ">Q": 8, "=l": 4, "!l": 4, "@l": 8, "^l": 8,
	} {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err, format)
		assert.Equal(t, size, e.ItemSize, format)
	}
}

func TestFormat_RefusedTypesAreNamed(t *testing.T) {
	for format, meaning := range map[string]string{
		"O":           "objects",
		"=O":          "objects",
		"3O":          "objects",
		"&d":          "pointers",
		"&&<d":        "pointers",
		"&T{d:x:}":    "records",
		"X{}":         "pointers to functions",
		"X{dd}":       "pointers to functions",
		"T{}":         "records",
		"T{d:x:i:y:}": "records",
		"T{T{d:a:}}":  "records",
		"(2,3)d":      "a sub-array",
		"(2)<d":       "a sub-array",
		"<(2)d":       "a sub-array",
		"3d":          "a repeated item",
		"1d":          "a repeated item",
		"=12Zd":       "a repeated item",
		"2s":          "byte strings",
		"10s":         "byte strings",
		"p":           "Pascal strings",
		"u":           "UCS-2",
		"w":           "UCS-4",
		"<5w":         "UCS-4",
		"x":           "pad bytes",
		"4x":          "pad bytes",
		"t":           "bits",
		"g":           "long doubles",
		"<g":          "long doubles",
		"Zg":          "complex long doubles",
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrType, err)
		assert.Contains(t, err.Error(), "format "+`"`+format+`" means `+meaning)
	}
}

func TestFormat_WhatMayComeLaterSaysSo(t *testing.T) {
	for _, format := range strings.Fields("T{} (2,3)d 3d 2s p u w x t g Zg") {
		_, err := pybuf.ParseFormat(format)
		assert.ErrorContains(t, err, "not supported by this version", format)
	}
}

func TestFormat_MalformedNamesTheLetterAndItsIndex(t *testing.T) {
	for format, sentence := range map[string]string{
		"":          `format "" is empty`,
		"<":         `ends at index 1 without the letter`,
		"@":         `ends at index 1 without the letter`,
		"3":         `ends at index 1 without the letter`,
		"=12":       `ends at index 3 without the letter`,
		"(2)":       `ends at index 3 without the letter`,
		"&":         `ends at index 1 without the letter`,
		"j":         `"j" at index 0 is no letter of a type`,
		"<j":        `"j" at index 1 is no letter of a type`,
		"dd":        `"d" at index 1 stands behind a complete format`,
		"d8":        `"8" at index 1 stands behind`,
		"float64":   `"l" at index 1 stands behind`,
		"Od":        `"d" at index 1 stands behind`,
		"d:x:":      `":" at index 1 stands behind`,
		"uint8":     `"i" at index 1 stands behind`,
		"<>d":       `">" at index 1 is a second prefix`,
		"=3<d":      `"<" at index 2 is a second prefix`,
		"<n":        `"n" at index 1 has no standard size; write it without "<"`,
		"=N":        `"N" at index 1 has no standard size`,
		"!P":        `"P" at index 1 has no standard size`,
		">3n":       `"n" at index 2 has no standard size; write it without ">"`,
		"Z":         `"Z" at index 0 begins a complex number`,
		"Zi":        `"Z" at index 0 begins a complex number`,
		"ZZf":       `"Z" at index 0 begins a complex number`,
		"T":         `"T" at index 0 needs braces`,
		"T{d":       `"T" at index 0 needs braces`,
		"T{d:x:}d":  `"T" at index 0 needs braces`,
		"X":         `"X" at index 0 needs braces`,
		"(2d":       `"(" at index 0 opens no list of extents`,
		"()d":       `"(" at index 0 opens no list of extents`,
		"(2,)d":     `"(" at index 0 opens no list of extents`,
		"(,2)d":     `"(" at index 0 opens no list of extents`,
		"(2,,3)d":   `"(" at index 0 opens no list of extents`,
		"(-2)d":     `"(" at index 0 opens no list of extents`,
		"<(x)d":     `"(" at index 1 opens no list of extents`,
		" d":        `" " at index 0 is no letter`,
		"d ":        `" " at index 1 stands behind`,
		"< d":       `" " at index 1 is no letter`,
		"d\x00":     `"\x00" at index 1 stands behind`,
		"\x00":      `"\x00" at index 0 is no letter`,
		"\xff":      `"\xff" at index 0 is no letter`,
		"d\u00e9":   "\"\u00e9\" at index 1 stands behind",
		"|d":        `"|" at index 0 is no letter`,
		"-d":        `"-" at index 0 is no letter`,
		"d\n":       `"\n" at index 1 stands behind`,
		"<\u2603 d": "\"\u2603\" at index 1 is no letter",
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), sentence, "%q", format)
	}
}

func TestFormat_EveryByteIsALetterOrRefused(t *testing.T) {
	const known = "?cbBhHiIlLqQnNPefdFDs"
	const refused = "Oupwxgt"
	for b := 0; b < 256; b++ {
		format := string([]byte{byte(b)})
		_, err := pybuf.ParseFormat(format)
		switch {
		case strings.Contains(known, format):
			assert.NoError(t, err, format)
		case strings.Contains(refused, format):
			requireKind(t, pybuf.ErrType, err)
		default:
			requireKind(t, pybuf.ErrValue, err)
		}
	}
}

func TestFormat_ErrorsOfLongFormatsStayShort(t *testing.T) {
	for _, format := range []string{strings.Repeat("d", 1<<20), strings.Repeat("\u2603", 1<<20), strings.Repeat("(", 1<<20)} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
		assert.Less(t, len(err.Error()), 500)
		assert.NotContains(t, err.Error(), `\x`, "a character was cut in two")
	}
}

func TestFormat_AByteStringOfOneByteIsTheCharacter(t *testing.T) {
	for _, format := range []string{"s", "1s", "<s", ">1s"} {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err, format)
		assert.Equal(t, "c", e.Format, format)
	}
	for _, format := range []string{"0s", "2s", "1 s", "1&s", "&1s", "(1)1s", "1d"} {
		_, err := pybuf.ParseFormat(format)
		assert.Error(t, err, format)
	}
}
