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

func TestNativeOrder_DecidesHowRecordsLeave(t *testing.T) {
	for _, row := range []struct{ format, little, big string }{
		{"T{b:a:d:b:}", "T{<b:a:7x<d:b:}", "T{>b:a:7x>d:b:}"},
		{"T{<h:a:>h:b:}", "T{<h:a:>h:b:}", "T{<h:a:>h:b:}"},
		{"T{<b:a:>b:b:}", "T{<b:a:<b:b:}", "T{>b:a:>b:b:}"},
		{"T{<5s:a:>5s:b:}", "T{<5s:a:<5s:b:}", "T{>5s:a:>5s:b:}"},
		{"T{=3w:a:<w:b:>w:c:}", "T{<3w:a:<w:b:>w:c:}", "T{>3w:a:<w:b:>w:c:}"},
		{"T{g:a:}", "T{^g:a:}", "T{^g:a:}"},
		{"<3w", "3w", "<3w"},
		{">3w", ">3w", "3w"},
		{"(2)>d", "(2)>d", "(2)d"},
	} {
		for native, expected := range map[byte]string{littleEndian: row.little, bigEndian: row.big} {
			e, err := parseFormat(row.format, native)
			if err != nil {
				t.Fatal(err)
			}
			if e.Format != expected {
				t.Errorf("%q on a %c host: %q, not %q", row.format, native, e.Format, expected)
			}
			again, err := parseFormat(e.Format, native)
			if err != nil || again != e {
				t.Errorf("%q on a %c host is read back as %+v, %v", e.Format, native, again, err)
			}
			exported, err := parseExported(e.Format, e.ItemSize, native)
			if err != nil || exported != e {
				t.Errorf("%q on a %c host comes back as %+v, %v", e.Format, native, exported, err)
			}
		}
	}
}

func TestNativeOrder_DecidesWhatTypestrsOfDescrsMean(t *testing.T) {
	const descr = "{11:0:1:a<i2;2:1:b>i2;4:1:ci2;6:1:d<U1;10:1:e>S1;}"
	for native, expected := range map[byte]string{
		littleEndian: "T{<h:a:>h:b:<h:c:<w:d:<c:e:}",
		bigEndian:    "T{<h:a:>h:b:>h:c:<w:d:>c:e:}",
	} {
		e, err := parseDescr(descr, native)
		if err != nil {
			t.Fatal(err)
		}
		if e.Format != expected {
			t.Errorf("on a %c host: %q, not %q", native, e.Format, expected)
		}
	}
}

func TestNativeOrder_LongDoublesHaveNoOther(t *testing.T) {
	for native, other := range map[byte]string{littleEndian: ">", bigEndian: "<"} {
		if _, err := parseFormat(other+"g", native); err == nil || err.Kind != ErrValue {
			t.Errorf("%sg on a %c host: %v", other, native, err)
		}
		if _, err := parseFormat("="+"g", native); err != nil {
			t.Errorf("=g on a %c host: %v", native, err)
		}
		if _, err := parseTypestr(other+"f16", native); err == nil || err.Kind != ErrType {
			t.Errorf("%sf16 on a %c host: %v", other, native, err)
		}
	}
}

func TestNativeOrder_CtypesWritesThatOneWhereItWritesNoPads(t *testing.T) {
	for native, other := range map[byte]byte{littleEndian: bigEndian, bigEndian: littleEndian} {
		for order, offset := range map[byte]int{native: 4, other: 1} {
			format := "T{" + string([]byte{order}) + "b:a:" + string([]byte{order}) + "i:b:}"
			e, err := parseExported(format, 8, native)
			if err != nil {
				t.Fatal(err)
			}
			it, _, err := readFormat(e.Format, native, asWritten)
			if err != nil {
				t.Fatal(err)
			}
			if it.fields[1].offset != offset {
				t.Errorf("%q of 8 bytes on a %c host: b lies at %d", format, native, it.fields[1].offset)
			}
		}
	}
}
