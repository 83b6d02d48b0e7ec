package tests

import (
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// A chooser makes choices by the bytes of a fuzz input; without more of them,
// it chooses the first thing.
type chooser struct{ data []byte }

func (c *chooser) below(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

var leaves = []string{
	"b", "?", "c", "B", "h", ">h", "<H", "<i", ">I", "l", "Q", ">q", "<e", ">f", "d", "Zf", ">Zd", "g", "Zg",
	"5s", "0s", "w", ">3w", "<2w", "1x", "8x", "(2,3)d", "(0)i", "(1)c", "2(2)>w",
}

var names = []string{"a", "b", "f0", "f1", "}", "T{i", " ", "日本", `"`, "\n", "x y", "1"}

// leaf is an item of the format, one of no bytes too: as a field.
func leaf(t *testing.T, format string) pybuf.Element {
	e, err := pybuf.ParseFormat("T{" + format + ":a:b:b:}")
	require.NoError(t, err)
	return e.Fields()[0].Element
}

// record builds a record of fields with gaps, and the fields it is built of.
func (c *chooser) record(t *testing.T, depth int) (pybuf.Element, []pybuf.Field) {
	fields := []pybuf.Field{}
	end, first := c.below(3), c.below(len(names))
	for i := range c.below(6) {
		var e pybuf.Element
		if depth > 0 && c.below(3) == 0 {
			e, _ = c.record(t, depth-1)
		} else {
			e = leaf(t, leaves[c.below(len(leaves))])
		}
		fields = append(fields, pybuf.Field{Name: names[(first+i)%len(names)], Offset: end, Element: e})
		end += e.ItemSize + c.below(9)
	}
	size := max(end+c.below(9), 1)
	e, err := pybuf.Record(size, fields...)
	require.NoError(t, err)
	require.Equal(t, size, e.ItemSize)
	return e, fields
}

func requireRecordRoundTrip(t *testing.T, data []byte) {
	c := &chooser{data}
	e, fields := c.record(t, 3)
	require.Equal(t, fields, e.Fields())
	requireElement(t, e)
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte{})
	random := rand.New(rand.NewSource(1))
	for range 200 {
		data := make([]byte, 60)
		random.Read(data)
		f.Add(data)
	}
	f.Fuzz(requireRecordRoundTrip)
}

// TestRandomFormats_LeaveAsWhatTheyMean reads formats of random items, with
// and without braces, names, counts and spaces.
func TestRandomFormats_LeaveAsWhatTheyMean(t *testing.T) {
	random := rand.New(rand.NewSource(2))
	pick := func(list ...string) string { return list[random.Intn(len(list))] }
	var items func(depth int) string
	items = func(depth int) string {
		s := ""
		for range 1 + random.Intn(4) {
			s += pick("", "", " ", "\n") + pick("", "", "", "(2)", "(2,3)(1)") + pick("", "", "", "@", "^", "=", "<", ">", "!")
			if depth > 0 && random.Intn(3) == 0 {
				s += pick("", "2") + "T{" + items(depth-1) + "}"
			} else {
				s += pick("", "", "", "0", "2", "13") + pick("?", "c", "b", "H", "i", "l", "q", "e", "f", "d", "Zf", "D", "s", "w", "x", "0q")
			}
			s += pick("", "", "::")
		}
		return s
	}
	read := 0
	for range 20000 {
		format := items(3)
		e, err := pybuf.ParseFormat(format)
		if err == nil {
			read++
			requireElement(t, e)
		}
	}
	require.Greater(t, read, 10000)
}
