package tests

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// spellings are the seeds of the parsers: what is read, what is refused and
// what is malformed.
var spellings = []string{
	"", "d", "<d", ">q", "!Zd", "@n", "^P", "=l", "Zf", "F", "?", ">B", "i4", "<f8", "|u1", "=c16", "S1", "b1",
	"O", "|O8", "T{<d:x:=i:y:}", "X{}", "&d", "(2,3)d", "3d", "10s", "g", "Zg", "M8[ns]", "<m8", "U4", "V16", "f16",
	"float64", "ii", "<f3", "<", "3", "(", "T{", "d\x00", "\xff\xfe", "\u2603", " d", "unsigned int", "long double",
	"T{b:a:d:b:}", "^T{b:a:d:b:}", "T{b:a:7xd:b:}", "2T{T{>h:x:3x}:a:(2,2)5s:b:}", "bh0i", "T{O:a:}", "T{i:a:i:a:}",
	"{16:0:1:ai4;8:1:b(2)<f4;}", "{2:0:1:aO;}", "{1:0:1::i1;}", "(2){4:0:1:aS4;}", "U3;", "T{T{T{}}}", "8x", "T{8x}",
}

// requireElement checks what holds for every element that a parser gives: it
// is exported so that it is read back as it is, however it is looked at.
func requireElement(t *testing.T, e pybuf.Element) {
	t.Helper()
	require.Positive(t, e.ItemSize)
	require.Positive(t, e.Align)
	require.Zero(t, e.Align&(e.Align-1))
	byFormat, err := pybuf.ParseFormat(e.Format)
	require.NoError(t, err)
	require.Equal(t, e, byFormat)
	exported, err := pybuf.ParseExported(e.Format, e.ItemSize)
	require.NoError(t, err)
	require.Equal(t, e, exported)
	byDescr, err := pybuf.ParseDescr(descrOf(e))
	require.NoError(t, err)
	byTypestr, err := pybuf.ParseTypestr(e.Typestr)
	require.NoError(t, err)
	if extents, base := e.SubArray(); extents != nil {
		require.NotEqual(t, e, base)
		requireElement(t, base)
	} else if fields := e.Fields(); fields != nil {
		rebuilt, err := pybuf.Record(e.ItemSize, fields...)
		require.NoError(t, err)
		require.Equal(t, e, rebuilt)
	} else {
		byTypestr.Format, byDescr.Format = e.Format, e.Format // q is one of two letters of its typestr
		require.Equal(t, e, byTypestr)
	}
	require.Equal(t, e.ItemSize, byTypestr.ItemSize)
	require.Equal(t, e.ItemSize, byDescr.ItemSize)
	require.Equal(t, e.Typestr, byDescr.Typestr)
	require.Equal(t, e.Align, byDescr.Align)
	if !strings.HasSuffix(strings.ToLower(e.Format), "q") {
		require.Equal(t, e, byDescr)
	}
}

// descrOf spells an element for ParseDescr.
func descrOf(e pybuf.Element) string {
	if extents, base := e.SubArray(); extents != nil {
		return "(" + strings.Trim(strings.ReplaceAll(fmt.Sprint(extents), " ", ","), "[]") + ")" + descrOf(base)
	}
	fields := e.Fields()
	if fields == nil {
		return e.Typestr + ";"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{%d:", e.ItemSize)
	for _, f := range fields {
		fmt.Fprintf(&b, "%d:%d:%s%s", f.Offset, len(f.Name), f.Name, descrOf(f.Element))
	}
	return b.String() + "}"
}

func requireParse(t *testing.T, parse func(string) (pybuf.Element, error), s string, kinds ...pybuf.Kind) {
	t.Helper()
	e, err := parse(s)
	if err != nil {
		kind := err.(*pybuf.Error).Kind
		require.Contains(t, kinds, kind)
		requireSentence(t, err.Error())
		require.Zero(t, e)
		return
	}
	requireElement(t, e)
}

func fuzzParse(f *testing.F, parse func(string) (pybuf.Element, error), kinds ...pybuf.Kind) {
	for _, s := range spellings {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { requireParse(t, parse, s, kinds...) })
}

func FuzzParseFormat(f *testing.F) {
	fuzzParse(f, pybuf.ParseFormat, pybuf.ErrValue, pybuf.ErrType, pybuf.ErrOverflow)
}

func FuzzParseTypestr(f *testing.F) {
	fuzzParse(f, pybuf.ParseTypestr, pybuf.ErrValue, pybuf.ErrType, pybuf.ErrOverflow)
}

func FuzzParseElement(f *testing.F) {
	fuzzParse(f, pybuf.ParseElement, pybuf.ErrValue, pybuf.ErrType, pybuf.ErrOverflow, pybuf.ErrUnknown)
}

func FuzzParseCType(f *testing.F) {
	fuzzParse(f, pybuf.ParseCType, pybuf.ErrUnknown)
}

func FuzzParseDescr(f *testing.F) {
	fuzzParse(f, pybuf.ParseDescr, pybuf.ErrValue, pybuf.ErrType, pybuf.ErrOverflow)
}

func FuzzParseExported(f *testing.F) {
	for _, s := range spellings {
		for _, size := range []int{-1, 0, 1, 8, 9, 16, 1 << 62} {
			f.Add(s, size)
		}
	}
	f.Fuzz(func(t *testing.T, s string, size int) {
		parse := func(s string) (pybuf.Element, error) { return pybuf.ParseExported(s, size) }
		requireParse(t, parse, s, pybuf.ErrValue, pybuf.ErrType, pybuf.ErrOverflow)
		if e, err := parse(s); err == nil {
			require.Equal(t, size, e.ItemSize)
		}
		if e, err := pybuf.ParseFormat(s); err == nil {
			_, err = pybuf.ParseExported(s, e.ItemSize)
			require.NoError(t, err, "its own size is refused")
		}
	})
}

// FuzzLayout reads a layout from the bytes: what it has, then the numbers.
func FuzzLayout(f *testing.F) {
	seed := func(has byte, numbers ...int) {
		data := []byte{has}
		for _, n := range numbers {
			data = binary.LittleEndian.AppendUint64(data, uint64(n))
		}
		f.Add(data)
	}
	seed(0, 8, 3, 4)
	seed(1, 8, 3, 4)
	seed(2, 8, 3, 4, 32, 8)
	seed(2, 8, 3, 4, -32, 8)
	seed(6, 8, 3, 4, 8, 8, 0, -1)
	seed(6, 8, 3, 4, 8, 8, -1, -1)
	seed(2, 8, 0, 1<<60, -1<<63, 1<<63-1)
	seed(0, 8, 1<<60, 0)
	seed(0, 8, -1)
	seed(0, 0)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, ok := layoutOf(data)
		if !ok {
			t.Skip("not a layout that the oracle can walk over")
		}
		requireOracle(t, l)
	})
}

func layoutOf(data []byte) (l pybuf.Layout, ok bool) {
	if len(data) < 9 {
		return l, false
	}
	has := data[0]
	l.Order = pybuf.Order(has & 1)
	var numbers []int
	for data = data[1:]; len(data) >= 8; data = data[8:] {
		numbers = append(numbers, int(binary.LittleEndian.Uint64(data)))
	}
	l.ItemSize, numbers = numbers[0], numbers[1:]
	lists := 1 + int(has>>1&1) + int(has>>2&1)
	n := len(numbers) / lists
	if n > 10 {
		return l, false // 2**n corners
	}
	l.Shape = numbers[:n]
	if has&2 != 0 {
		l.Strides = numbers[n : 2*n]
	}
	if has&4 != 0 {
		l.Suboffsets = numbers[(lists-1)*n : lists*n]
	}
	return l, true
}
