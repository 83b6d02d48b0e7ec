package tests

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

type exported struct {
	format string
	size   int
}

func requireExported(t *testing.T, meanings map[exported]string) {
	t.Helper()
	for x, expected := range meanings {
		e, err := pybuf.ParseExported(x.format, x.size)
		require.NoError(t, err, x.format)
		assert.Equal(t, expected, shown(e), "%q of %d bytes", x.format, x.size)
		assert.Equal(t, x.size, e.ItemSize)
	}
}

func TestExported_OfTheSizeThatTheFormatSaysIsAsParseFormatReadsIt(t *testing.T) {
	for _, format := range spellings {
		e, err := pybuf.ParseFormat(format)
		if err != nil {
			continue
		}
		exported, err := pybuf.ParseExported(format, e.ItemSize)
		require.NoError(t, err)
		assert.Equal(t, e, exported, format)
	}
}

func TestExported_PlainItemsHaveTheirOwnSizeOnly(t *testing.T) {
	for _, format := range []string{"d", "<i", "5s", "3w", "8x", "3d", "(2,3)h", "2T{d:a:}"} {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err)
		for _, size := range []int{-1, 0, 1, e.ItemSize - 1, e.ItemSize + 1, 2 * e.ItemSize, 1 << 62} {
			if size == e.ItemSize {
				continue
			}
			_, err := pybuf.ParseExported(format, size)
			requireKind(t, pybuf.ErrValue, err)
			assert.Contains(t, err.Error(), "the exporter says")
		}
	}
}

func TestExported_PadsBehindTheLastFieldMayBeMissing(t *testing.T) {
	requireExported(t, map[exported]string{
		{"T{i:a:}", 100}:           "{a@0 i; 100}",
		{"T{<d:a:<i:b:}", 16}:      "{a@0 d, b@8 i; 16}",
		{"T{d:a:i:b:}", 12}:        "{a@0 d, b@8 i; 12}",
		{"T{d:a:i:b:}", 20}:        "{a@0 d, b@8 i; 20}",
		{"db", 16}:                 "{f0@0 d, f1@8 b; 16}",
		{"T{}", 8}:                 "{; 8}",
		{"T{xxxxxxx=i:a:}", 13}:    "{a@7 i; 13}",
		{"T{b:a:T{=i:x:}:b:}", 10}: "{a@0 b, b@1 {x@0 i; 4}; 10}",
	})
}

func TestExported_FieldsDoNotGetLess(t *testing.T) {
	for _, x := range []exported{{"T{d:a:i:b:}", 11}, {"T{d:a:}", 7}, {"T{d:a:}", 0}, {"T{d:a:}", -8}, {"ii", 4}} {
		_, err := pybuf.ParseExported(x.format, x.size)
		requireKind(t, pybuf.ErrValue, err)
	}
}

func TestExported_NumPyWritesAllPadsItself(t *testing.T) {
	requireExported(t, map[exported]string{
		{"T{T{d:x:b:y:}:n:b:z:}", 10}:        "{n@0 {x@0 d, y@8 b; 9}, z@9 b; 10}",
		{"T{T{d:x:b:y:}:n:xxxxxxxb:z:}", 24}: "{n@0 {x@0 d, y@8 b; 9}, z@16 b; 24}",
		{"T{b:a:xxxxxxxd:b:}", 16}:           "{a@0 b, b@8 d; 16}",
		{"T{b:a:xxxd:b:}", 16}:               "{a@0 b, b@8 d; 16}", // 4 is no place for a d: pads in vain
		{"T{b:a:=i:b:}", 8}:                  "{a@0 b, b@1 i; 8}",
	})
}

func TestExported_CtypesBeforePython312WritesNoPads(t *testing.T) {
	n := native
	requireExported(t, map[exported]string{
		{"T{" + n + "b:a:" + n + "i:b:}", 8}:                                  "{a@0 b, b@4 i; 8}",
		{"T{" + n + "i:a:" + n + "b:b:}", 8}:                                  "{a@0 i, b@4 b; 8}",
		{"T{" + n + "b:a:T{" + n + "d:x:" + n + "b:y:}:b:" + n + "h:c:}", 32}: "{a@0 b, b@8 {x@0 d, y@8 b; 16}, c@24 h; 32}",
		{"T{" + n + "b:a:" + n + "i:b:}", 5}:                                  "{a@0 b, b@1 i; 5}",
		{"T{" + n + "b:a:" + n + "i:b:}", 12}:                                 "{a@0 b, b@1 i; 12}",
		{"T{" + n + "b:a:" + n + "i:b:3x}", 8}:                                "{a@0 b, b@1 i; 8}",
		{"T{" + foreign + "b:a:" + foreign + "i:b:}", 8}:                      "{a@0 b, b@1 >i; 8}",
	})
}

func TestExported_CythonWritesTheAlignmentOfPackedRecordsInThem(t *testing.T) {
	requireExported(t, map[exported]string{
		{"T{d:a:i:b:}", 16}:                     "{a@0 d, b@8 i; 16}",
		{"T{^d:a:^i:b:}", 12}:                   "{a@0 d, b@8 i; 12}",
		{"T{^b:a:^d:b:}", 9}:                    "{a@0 b, b@1 d; 9}",
		{"T{b:a:T{^b:x:^d:y:}:in:d:b:}", 24}:    "{a@0 b, in@1 {x@0 b, y@1 d; 9}, b@16 d; 24}",
		{"T{^b:a:^T{b:x:d:y:}:in:^d:b:}", 25}:   "{a@0 b, in@1 {x@0 b, y@8 d; 16}, b@17 d; 25}",
		{"T{b:a:(2)T{^b:x:^d:y:}:in:d:b:}", 32}: "{a@0 b, in@1 [2]{x@0 b, y@1 d; 9}, b@24 d; 32}",
		{"T{Zd:a:(2,3)f:b:b:c:}", 48}:           "{a@0 Zd, b@16 [2 3]f, c@40 b; 48}",
	})
}

func TestExported_RefusesAsParseFormatDoes(t *testing.T) {
	_, err := pybuf.ParseExported("T{i:a:O:b:}", 16)
	requireKind(t, pybuf.ErrType, err)
	assert.Contains(t, err.Error(), `field "b" is of objects`)
	_, err = pybuf.ParseExported("T{i:a:", 16)
	requireKind(t, pybuf.ErrValue, err)
	_, err = pybuf.ParseExported("T{}", 0)
	requireKind(t, pybuf.ErrType, err)
}
