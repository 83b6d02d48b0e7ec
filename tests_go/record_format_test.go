package tests

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// shown is an element with the offsets of its fields: "{a@0 i, b@8 d; 16}".
func shown(e pybuf.Element) string {
	if extents, base := e.SubArray(); extents != nil {
		return fmt.Sprint(extents) + shown(base)
	}
	fields := e.Fields()
	if fields == nil {
		return e.Format
	}
	var list []string
	for _, f := range fields {
		list = append(list, fmt.Sprintf("%s@%d %s", f.Name, f.Offset, shown(f.Element)))
	}
	return fmt.Sprintf("{%s; %d}", strings.Join(list, ", "), e.ItemSize)
}

// requireShown reads each format and compares what it means.
func requireShown(t *testing.T, meanings map[string]string) {
	t.Helper()
	for format, expected := range meanings {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err, format)
		assert.Equal(t, expected, shown(e), format)
	}
}

func TestRecord_NativeItemsLieWhereCPutsThem(t *testing.T) {
	requireShown(t, map[string]string{
		"T{b:a:d:b:}":            "{a@0 b, b@8 d; 16}",
		"T{d:a:b:b:}":            "{a@0 d, b@8 b; 16}",
		"@T{b:a:h:b:i:c:q:d:}":   "{a@0 b, b@2 h, c@4 i, d@8 l; 16}",
		"T{b:a:g:b:}":            "{a@0 b, b@16 g; 32}",
		"T{b:a:Zd:b:Zf:c:}":      "{a@0 b, b@8 Zd, c@24 Zf; 32}",
		"T{b:a:P:b:}":            "{a@0 b, b@8 L; 16}",
		"T{b:a:3w:b:3s:c:}":      "{a@0 b, b@4 3w, c@16 3s; 20}",
		"T{b:a:(2,3)h:b:b:c:}":   "{a@0 b, b@2 [2 3]h, c@14 b; 16}",
		"T{b:a:T{h:x:i:y:}:b:}":  "{a@0 b, b@4 {x@0 h, y@4 i; 8}; 12}",
		"T{T{d:x:b:y:}:a:b:b:}":  "{a@0 {x@0 d, y@8 b; 16}, b@16 b; 24}",
		"T{b:a:2T{i:x:b:y:}:b:}": "{a@0 b, b@4 [2]{x@0 i, y@4 b; 8}; 20}",
	})
}

func TestRecord_OtherPrefixesLeaveNoGaps(t *testing.T) {
	for _, prefix := range strings.Fields("^ = < > !") {
		e, err := pybuf.ParseFormat(prefix + "T{b:a:d:b:i:c:}")
		require.NoError(t, err)
		assert.Equal(t, 13, e.ItemSize, prefix)
		assert.Equal(t, 1, e.Fields()[1].Offset, prefix)
		assert.Equal(t, 9, e.Fields()[2].Offset, prefix)
	}
}

func TestRecord_PrefixHoldsUntilTheNextOne(t *testing.T) {
	requireShown(t, map[string]string{
		"T{<h:a:h:b:>h:c:h:d:}":      "{a@0 h, b@2 h, c@4 >h, d@6 >h; 8}",
		"<T{l:a:}":                   "{a@0 i; 4}",
		"T{<l:a:@l:b:}":              "{a@0 i, b@8 l; 16}",
		"T{b:a:^d:b:b:c:@h:d:}":      "{a@0 b, b@1 d, c@9 b, d@10 h; 12}",
		"T{T{>h:x:}:a:h:b:}":         "{a@0 {x@0 >h; 2}, b@2 >h; 4}", // out of its record too
		"T{b:a:2>h:b:h:c:}":          "{a@0 b, b@1 [2]>h, c@5 >h; 7}",
		"T{b:a:>(2)T{h:x:}:b:i:c:}":  "{a@0 b, b@1 [2]{x@0 >h; 2}, c@5 >i; 9}",
		"T{b:a:T{^b:x:d:y:}:b:d:c:}": "{a@0 b, b@1 {x@0 b, y@1 d; 9}, c@10 d; 18}",
	})
}

func TestRecord_PadsAreGaps(t *testing.T) {
	requireShown(t, map[string]string{
		"T{<b:a:3x<i:b:5x}": "{a@0 b, b@4 i; 13}",
		"T{xxb:a:}":         "{a@2 b; 3}",
		"T{2xb:a:2x2x}":     "{a@2 b; 7}",
		"T{8x}":             "{; 8}",
		"T{0xb:a:}":         "{a@0 b; 1}",
		"T{b:a:x i:b:}":     "{a@0 b, b@4 i; 8}",
		"T{=b:a:xi:b:}":     "{a@0 b, b@2 i; 6}",
		"4x4x":              "{; 8}",
		"x x":               "{; 2}",
	})
}

func TestRecord_PadsWithANameOrExtentsAreRawBytes(t *testing.T) {
	requireShown(t, map[string]string{
		"T{4x:a:b:b:}": "{a@0 4x, b@4 b; 5}",
		"T{x:a:}":      "{a@0 1x; 1}",
		"T{(3)2x}":     "{f0@0 [3]2x; 6}",
		"(3)2x":        "[3]2x",
	})
}

func TestRecord_ALonePadIsRawBytes(t *testing.T) {
	requireShown(t, map[string]string{"8x": "8x", "x": "1x", " 8x ": "8x", "<8x": "8x"})
}

func TestRecord_BareItemsArePackedAsStructDoes(t *testing.T) {
	requireShown(t, map[string]string{
		"bd":       "{f0@0 b, f1@8 d; 16}",
		"db":       "{f0@0 d, f1@8 b; 9}", // no pads at the end
		"db0d":     "{f0@0 d, f1@8 b; 16}",
		"@db0l":    "{f0@0 d, f1@8 b; 16}",
		"=db0l":    "{f0@0 d, f1@8 b; 9}",
		"<bd":      "{f0@0 b, f1@1 d; 9}",
		"b0i":      "{f0@0 b; 4}",
		"0ib":      "{f0@0 b; 1}",
		"bx":       "{f0@0 b; 2}",
		"xb":       "{f0@1 b; 2}",
		"3sh":      "{f0@0 3s, f1@4 h; 6}",
		"b 2h\td":  "{f0@0 b, f1@2 [2]h, f2@8 d; 16}",
		"i:n:d":    "{n@0 i, f0@8 d; 16}",
		"d:x:":     "{x@0 d; 8}",
		"T{d:x:}d": "{f0@0 {x@0 d; 8}, f1@8 d; 16}",
	})
}

func TestRecord_ASingleItemIsItself(t *testing.T) {
	requireShown(t, map[string]string{
		" d": "d", "d ": "d", "\td\n": "d", "5s": "5s", "0005s": "5s", "w": "w", "3w": "3w",
		"3d": "[3]d", "(3)d": "[3]d", "(2,3)d": "[2 3]d", "(2)(3)d": "[2 3]d", "(2)3d": "[2 3]d", "2(3)d": "[3 2]d",
		"(2)3s": "[2]3s", "1d": "d", "(1)d": "[1]d", "(1)1s": "[1]c", "2T{b:a:}": "[2]{a@0 b; 1}",
		"T{b:a:}": "{a@0 b; 1}", "T{b}": "{f0@0 b; 1}",
	})
}

func TestRecord_ItemsWithoutANameAreCountedAsNumPyCountsThem(t *testing.T) {
	requireShown(t, map[string]string{
		"T{bbb}":           "{f0@0 b, f1@1 b, f2@2 b; 3}",
		"T{bb:x:b}":        "{f0@0 b, x@1 b, f1@2 b; 3}",
		"T{bb:f0:b}":       "{f1@0 b, f0@1 b, f2@2 b; 3}",
		"T{b::b}":          "{f0@0 b, f1@1 b; 2}",
		"T{bT{bb}b}":       "{f0@0 b, f1@1 {f0@0 b, f1@1 b; 2}, f2@3 b; 4}",
		"T{b:f1:bb:f0:b}":  "{f1@0 b, f2@1 b, f0@2 b, f3@3 b; 4}",
		"T{b:f00:b:f01:b}": "{f00@0 b, f01@1 b, f0@2 b; 3}",
	})
}

func TestRecord_NamesAreAnythingButColons(t *testing.T) {
	for _, name := range []string{" ", "}", "T{", "a b", "\n", "日本", `"`, "'", "3i", "(2)", "\\", strings.Repeat("n", 5000)} {
		e, err := pybuf.ParseFormat("T{b:" + name + ":}")
		require.NoError(t, err, name)
		require.Len(t, e.Fields(), 1)
		assert.Equal(t, name, e.Fields()[0].Name)
		assert.Equal(t, "T{"+native+"b:"+name+":}", e.Format)
	}
}

func TestRecord_ASpaceMeansNothingBetweenItems(t *testing.T) {
	requireShown(t, map[string]string{"T{ b:a: \n d:b: } ": "{a@0 b, b@8 d; 16}"})
}

func TestRecord_LeavesWithEachOrderAndEachPad(t *testing.T) {
	n := native
	requireFormats(t, map[string]string{
		"T{b:a:d:b:}":              "T{" + n + "b:a:7x" + n + "d:b:}",
		"T{d:a:b:b:}":              "T{" + n + "d:a:" + n + "b:b:7x}",
		"T{>h:a:b:b:}":             "T{>h:a:" + n + "b:b:}",
		"T{l:a:L:b:n:c:P:d:}":      "T{" + n + "q:a:" + n + "Q:b:" + n + "q:c:" + n + "Q:d:}",
		"T{g:a:Zg:b:}":             "T{^g:a:^Zg:b:}",
		"T{F:a:<D:b:}":             "T{" + n + "Zf:a:<Zd:b:}",
		"T{5s:a:3w:b:s:c:w:d:}":    "T{" + n + "5s:a:3x" + n + "3w:b:" + n + "c:c:3x" + n + "w:d:}",
		"T{" + foreign + "3w:a:}":  "T{" + foreign + "3w:a:}",
		"T{(2,3)h:a:2T{b:x:}:b:}":  "T{(2,3)" + n + "h:a:(2)T{" + n + "b:x:}:b:}",
		"T{b4x:a:}":                "T{" + n + "b:f0:" + n + "4x:a:}",
		"4x4x":                     "T{8x}",
		"(2)T{T{h:x:}:a:b:b:}":     "(2)T{T{" + n + "h:x:}:a:" + n + "b:b:1x}",
		"T{0d:a:b:b:}":             "T{(0)" + n + "d:a:" + n + "b:b:7x}",
		"T{T{}:a:b:b:0s:c:0w:d:x}": "T{T{}:a:" + n + "b:b:" + n + "0s:c:3x" + n + "0w:d:4x}",
	})
}

func TestRecord_OtherDoorsSayTheSizeAtMost(t *testing.T) {
	for _, format := range strings.Fields("T{d:a:} 3d (2,3)i T{8x} 2T{b:a:}") {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err)
		assert.Equal(t, fmt.Sprint("|V", e.ItemSize), e.Typestr)
		assert.Equal(t, pybuf.DLPackNone, e.DLPackCode)
		assert.Zero(t, e.DLPackBits)
		assert.Empty(t, e.Arrow)
	}
}

func TestRecord_AlignmentIsThatOfItsFieldsIfTheyAllHaveIt(t *testing.T) {
	for format, align := range map[string]int{
		"T{b:a:d:b:}": 8, "T{b:a:b:b:}": 1, "T{d:a:g:b:}": 16, "T{2h:a:}": 2, "T{T{i:x:}:a:}": 4, "3d": 8, "5s": 1, "w": 4,
		"=T{b:a:d:b:}": 1, "=T{d:a:b:b:}": 1, "=T{d:a:d:b:}": 8, "db": 1, "=hh": 2, "T{4xi:a:}": 4, "T{2x=i:a:2x}": 1,
		"T{8x}": 1, "T{Zd:a:}": 8,
	} {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err)
		assert.Equal(t, align, e.Align, format)
	}
}

func TestRecord_RefusalsNameTheFieldWithItsPath(t *testing.T) {
	for format, sentence := range map[string]string{
		"T{O:a:}":                         `field "a" is of objects`,
		"T{i:a:T{d:x:&d:y:}:b:}":          `field "b.y" is of pointers, which`,
		"T{T{T{u:c:}:b:}:a:}":             `field "a.b.c" is of UCS-2`,
		"T{p:a:}":                         `field "a" is of Pascal strings`,
		"T{3t:a:}":                        `field "a" is of bits`,
		"T{X{}:f:}":                       `field "f" is of pointers to functions`,
		"T{iO}":                           `field "(unnamed)" is of objects`,
		"O:a:":                            `field "a" is of objects`,
		"T{O:a:p:b:}":                     `field "a" is of objects`,
		"(2)T{i:n:(3)T{>d:p:O:q:}:r:}":    `field "r.q" is of objects`,
		"T{O:" + strings.Repeat("é", 100): `field "é`,
	} {
		if strings.HasSuffix(format, "é") {
			format += ":}"
		}
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrType, err)
		assert.Contains(t, err.Error(), sentence, format)
	}
}

func TestRecord_WhatIsMalformedIsToldBeforeWhatIsRefused(t *testing.T) {
	for _, format := range []string{"T{O:a:", "T{O:a:j}", "Oj", "&j", "X{}j", "T{O:a:i:b:d:b:}"} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
	}
}

func TestRecord_NamesThatComeTwiceAreRefused(t *testing.T) {
	for _, format := range []string{"T{i:a:i:a:}", "i:a:i:a:", "T{T{i:a:i:a:}:b:}", "T{i:a:4x:a:}"} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), `two fields "a"`, format)
	}
	requireShown(t, map[string]string{"T{i:a:T{i:a:}:b:}": "{a@0 i, b@4 {a@0 i; 4}; 8}"})
}

func TestRecord_NamesThatNoFormatHoldsAreRefused(t *testing.T) {
	for format, sentence := range map[string]string{
		"T{i:a\x00b:}": "NUL", "T{i:\xff:}": "UTF-8", "i:\xe2\x98:": "UTF-8",
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), sentence, "%q", format)
	}
}
