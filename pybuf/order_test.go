package pybuf

import "testing"

// The tests of tests_go see this host's byte order only; these see both.

func TestNativeOrder_DecidesWhatABareLetterIs(t *testing.T) {
	for _, row := range []struct{ spelling, little, big string }{
		{"d", "d <f8", "d >f8"},
		{"=q", "l <i8", "l >i8"},
		{"@n", "l <i8", "l >i8"},
		{"<q", "l <i8", "<q <i8"},
		{">q", ">q >i8", "l >i8"},
		{"!l", ">i >i4", "i >i4"},
		{"<Zf", "Zf <c8", "<Zf <c8"},
		{"<b", "b |i1", "b |i1"},
		{"i8", "l <i8", "l >i8"},
		{"|u4", "I <u4", "I >u4"},
		{"<f8", "d <f8", "<d <f8"},
		{">f8", ">d >f8", "d >f8"},
		{">S1", "c |S1", "c |S1"},
	} {
		for native, expected := range map[byte]string{littleEndian: row.little, bigEndian: row.big} {
			e, err := parseElement(row.spelling, native)
			if err != nil {
				t.Fatal(err)
			}
			if actual := e.Format + " " + e.Typestr; actual != expected {
				t.Errorf("%q on a %c host: %s, not %s", row.spelling, native, actual, expected)
			}
		}
	}
}

func TestNativeOrder_OtherDoorsTakeItAlone(t *testing.T) {
	for _, native := range []byte{littleEndian, bigEndian} {
		for _, order := range []byte{littleEndian, bigEndian} {
			e, err := parseElement(string([]byte{order, 'd'}), native)
			if err != nil {
				t.Fatal(err)
			}
			if lent := e.DLPackCode != DLPackNone && e.Arrow != ""; lent != (order == native) {
				t.Errorf("%c on a %c host: %+v", order, native, e)
			}
		}
	}
}
