package tests

import (
	"encoding/binary"
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
}

func fuzzParse(f *testing.F, parse func(string) (pybuf.Element, error), kinds ...pybuf.Kind) {
	for _, s := range spellings {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := parse(s)
		if err != nil {
			kind := err.(*pybuf.Error).Kind
			require.Contains(t, kinds, kind)
			requireSentence(t, err.Error())
			require.Zero(t, e)
			return
		}
		byFormat, err := pybuf.ParseFormat(e.Format)
		require.NoError(t, err)
		require.Equal(t, e, byFormat)
		byTypestr, err := pybuf.ParseTypestr(e.Typestr)
		require.NoError(t, err)
		byTypestr.Format = e.Format
		require.Equal(t, e, byTypestr)
	})
}

func FuzzParseFormat(f *testing.F) {
	fuzzParse(f, pybuf.ParseFormat, pybuf.ErrValue, pybuf.ErrType)
}

func FuzzParseTypestr(f *testing.F) {
	fuzzParse(f, pybuf.ParseTypestr, pybuf.ErrValue, pybuf.ErrType)
}

func FuzzParseElement(f *testing.F) {
	fuzzParse(f, pybuf.ParseElement, pybuf.ErrValue, pybuf.ErrType, pybuf.ErrUnknown)
}

func FuzzParseCType(f *testing.F) {
	fuzzParse(f, pybuf.ParseCType, pybuf.ErrType, pybuf.ErrUnknown)
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
