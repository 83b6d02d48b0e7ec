package tests

import (
	"fmt"
	"math/rand"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

func nested(n int, inside string) string {
	return strings.Repeat("T{", n) + inside + strings.Repeat("}", n)
}

func TestFormatLimits_SixtyFourRecordsInsideOfOneAnother(t *testing.T) {
	e, err := pybuf.ParseFormat(nested(64, "i"))
	require.NoError(t, err)
	requireElement(t, e)
	for _, format := range []string{
		nested(65, "i"),
		nested(1<<18, "i"),
		nested(64, "i") + "i", // what leaves is in a record of its own
		"i" + nested(64, "i"),
		"(2)" + nested(65, "i"),
		strings.Repeat("T{", 1<<19),
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), "more than 64 records", "%.70s", format)
	}
}

func TestFormatLimits_DescrAndRecordNestAsDeep(t *testing.T) {
	descr, element := "i4;", pybuf.Element{}
	for i := 1; i <= 65; i++ {
		descr = "{4:0:1:a" + descr + "}"
		e, err := pybuf.ParseDescr(descr)
		inner := element
		if i == 1 {
			inner, _ = pybuf.ParseFormat("i")
		}
		built, recordErr := pybuf.Record(4, pybuf.Field{Name: "a", Element: inner})
		if i == 65 {
			requireKind(t, pybuf.ErrValue, err)
			requireKind(t, pybuf.ErrValue, recordErr)
			return
		}
		require.NoError(t, err)
		require.NoError(t, recordErr)
		require.Equal(t, e, built)
		element = built
	}
}

func TestFormatLimits_Fields(t *testing.T) {
	const most = 1 << 16
	e, err := pybuf.ParseFormat(strings.Repeat("b", most))
	require.NoError(t, err)
	assert.Len(t, e.Fields(), most)
	half := "T{" + strings.Repeat("b", most/2) + "}"
	for _, format := range []string{
		strings.Repeat("b", most+1),
		"T{" + strings.Repeat("b", most+1) + "}",
		half + half, // with the two fields that they are
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), "more than 65536")
	}
	many, err := pybuf.ParseFormat("T{" + strings.Repeat("b", most/2) + "}")
	require.NoError(t, err)
	_, err = pybuf.Record(most, pybuf.Field{Name: "a", Element: many}, pybuf.Field{Name: "b", Offset: most / 2, Element: many})
	requireKind(t, pybuf.ErrValue, err)
}

func TestFormatLimits_Extents(t *testing.T) {
	extents := func(n int) string { return "(" + strings.Repeat("1,", n-1) + "1)" }
	e, err := pybuf.ParseFormat(extents(64) + "d")
	require.NoError(t, err)
	requireElement(t, e)
	for _, spelling := range []string{extents(65) + "d", extents(64) + "2d", strings.Repeat("(1)", 65) + "d", "T{" + extents(65) + "b:a:}"} {
		_, err := pybuf.ParseFormat(spelling)
		requireKind(t, pybuf.ErrValue, err)
		assert.Contains(t, err.Error(), "at most 64")
	}
	_, err = pybuf.ParseDescr(extents(65) + "i4;")
	requireKind(t, pybuf.ErrValue, err)
	_, err = pybuf.ParseDescr(extents(64) + "(1)i4;")
	requireKind(t, pybuf.ErrValue, err)
}

func TestFormatLimits_BytesThatCannotBeCountedOverflow(t *testing.T) {
	const most = "9223372036854775807"
	for _, format := range []string{
		"9223372036854775808s", "99999999999999999999999x", most + "d", most + "w", "T{d:a:" + most + "s:b:}",
		most + "x b", "b" + most + "x", "(4294967296,4294967296)b", "(4294967296)T{2147483648s:a:}", most + "s0i", "T{i" + most + "s}",
		"2T{" + most + "s}", "T{" + most + "xi}", "(99999999999999999999)d", "b" + "9223372036854775806s" + "b",
	} {
		_, err := pybuf.ParseFormat(format)
		requireKind(t, pybuf.ErrOverflow, err)
	}
	for _, format := range []string{most + "s", most + "x", "b9223372036854775806s", "1152921504606846975d"} {
		e, err := pybuf.ParseFormat(format)
		require.NoError(t, err, format)
		requireElement(t, e)
	}
	requireShown(t, map[string]string{"T{(" + most + "," + most + ",0)d:a:b:b:}": "{a@0 [" + most + " " + most + " 0]d, b@0 b; 8}"})
}

// alphabets of formats that are long: every one is malformed, refused or read,
// in memory that grows with their length and no faster. What takes time with the
// square of the length runs into the limit of go test.
var alphabets = []string{
	"?cbBhHiIlLqQnNefdg", "T{}i:a", "()1,2d", "0123456789x", "<>=@^!i", "X{}", "&d", ":", "i:ab", "xs", " \t\ni", "T{", "}{", "Zfdg", "(", "((1)", "w0",
	"?cbBhHiIlLqQnNPefdgFDsxwZT{}:()<>=@^!&Xtup0123456789, \n\x00\xff\u2603",
}

func TestFormatLimits_AMebibyteOfAnyLettersIsJudged(t *testing.T) {
	const length = 1 << 20
	for _, letters := range alphabets {
		runes := []rune(letters)
		random := rand.New(rand.NewSource(1))
		var shuffled strings.Builder
		for shuffled.Len() < length {
			shuffled.WriteRune(runes[random.Intn(len(runes))])
		}
		for _, s := range []string{
			shuffled.String(), strings.Repeat(letters, length/len(letters)), strings.Repeat("T{b:x:", 60) + shuffled.String(),
			"T{b:" + strings.ReplaceAll(shuffled.String(), ":", "") + ":}",
		} {
			for name, parse := range map[string]func(string) (pybuf.Element, error){
				"format": pybuf.ParseFormat, "descr": pybuf.ParseDescr, "element": pybuf.ParseElement,
				"exported": func(s string) (pybuf.Element, error) { return pybuf.ParseExported(s, 8) },
			} {
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err := parse(s)
				runtime.ReadMemStats(&after)
				what := fmt.Sprintf("%s of %.40q", name, s)
				assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(256<<20), what)
				if err != nil {
					requireSentence(t, err.Error())
					assert.Less(t, len(err.Error()), 1000, what)
				}
			}
		}
	}
}

func TestFormatLimits_AsManyNamesAsThereMayBeAreRead(t *testing.T) {
	var b strings.Builder
	for i := range 1 << 16 {
		fmt.Fprintf(&b, "b:f%d:", 1<<16-i)
	}
	e, err := pybuf.ParseFormat(b.String())
	require.NoError(t, err)
	assert.Len(t, e.Fields(), 1<<16)
}
