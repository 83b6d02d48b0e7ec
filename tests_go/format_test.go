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
		"O":        "objects",
		"=O":       "objects",
		"3O":       "objects",
		"Od":       "objects",
		"&d":       "pointers, which",
		"&&<d":     "pointers, which",
		"&T{d:x:}": "pointers, which",
		"X{}":      "pointers to functions",
		"X{dd}":    "pointers to functions",
		"X{X{}i}":  "pointers to functions",
		"p":        "Pascal strings",
		"5p":       "Pascal strings",
		"u":        "UCS-2",
		"<5u":      "UCS-2",
		"t":        "bits",
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrType, err)
		assert.Contains(t, err.Error(), "format "+`"`+format+`" means `+meaning)
	}
}

func TestFormat_ItemsOfNoBytesAreRefused(t *testing.T) {
	for _, format := range strings.Fields("T{} 0d 0s 0w 0x (0)d (2,0,3)d 0T{d:a:} T{0d:a:} T{0s:a:} 0l @0l T{T{}:a:}") {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrType, err)
		assert.Contains(t, err.Error(), "items of 0 bytes", format)
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
		"d8":        `ends at index 2 without the letter`,
		"<>d":       `">" at index 1 is a second prefix`,
		"=3<d":      `"<" at index 2 is a second prefix`,
		"<n":        `"n" at index 1 has no standard size; write it without "<"`,
		"=N":        `"N" at index 1 has no standard size`,
		">3n":       `"n" at index 2 has no standard size; write it without ">"`,
		"Z":         `"Z" at index 0 begins a complex number`,
		"Zi":        `"Z" at index 0 begins a complex number`,
		"ZZf":       `"Z" at index 0 begins a complex number`,
		"T":         `"T" at index 0 needs braces`,
		"T{d":       `"{" at index 1 is closed by no }`,
		"X":         `"X" at index 0 needs braces`,
		"(2d":       `"(" at index 0 opens no list of extents`,
		"()d":       `"(" at index 0 opens no list of extents`,
		"(2,)d":     `"(" at index 0 opens no list of extents`,
		"(,2)d":     `"(" at index 0 opens no list of extents`,
		"(2,,3)d":   `"(" at index 0 opens no list of extents`,
		"(-2)d":     `"(" at index 0 opens no list of extents`,
		"<(x)d":     `"(" at index 1 opens no list of extents`,
		"< d":       `" " at index 1 is no letter`,
		"d\x00":     `"\x00" at index 1 is no letter`,
		"\x00":      `"\x00" at index 0 is no letter`,
		"\xff":      `"\xff" at index 0 is no letter`,
		"d\u00e9":   "\"\u00e9\" at index 1 is no letter",
		"float64":   `"o" at index 2 is no letter`,
		"uint8":     `ends at index 5 without the letter`,
		"d:x":       `":" at index 1 begins a name that no : ends`,
		"d:":        `":" at index 1 begins a name`,
		":x:d":      `":" at index 0 is no letter`,
		"d::x:":     `":" at index 4 begins a name`,
		" ":         `format " " is empty`,
		"\n\t":      `is empty`,
		"T {d}":     `"T" at index 0 needs braces`,
		"T{d:x:}}":  `"}" at index 7 is no letter`,
		"T{T{d}":    `"{" at index 1 is closed by no }`,
		"T{<}":      `"}" at index 3 is no letter`,
		"2(3":       `"(" at index 1 opens no list of extents`,
		"2 3d":      `" " at index 1 is no letter`,
		"2(3)4d":    `"4" at index 4 begins a second count`,
		"3>g":       `"g" at index 2 has no standard size`,
		"X{":        `"X" at index 0 is closed by no }`,
		"X{{}":      `"X" at index 0 is closed by no }`,
		"|d":        `"|" at index 0 is no letter`,
		"-d":        `"-" at index 0 is no letter`,
		"<\u2603 d": "\"\u2603\" at index 1 is no letter",
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), sentence, "%q", format)
	}
}

func TestFormat_EveryByteIsALetterOrRefused(t *testing.T) {
	const known = "?cbBhHiIlLqQnNPefdgFDswx"
	const refused = "Oupt"
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
	for _, format := range []string{"1 s", "&1s", "1&s", "2(1)1s"} {
		_, err := pybuf.ParseFormat(format)
		assert.Error(t, err, format)
	}
}
