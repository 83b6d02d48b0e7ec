package pybuf

// ParseElement reads an element type as people write it: a PEP 3118 format if
// it is one, else an array-interface typestr. "d" and "<f8" are the same; "c"
// is the character of PEP 3118.
//
// Errors: ErrUnknown for what has neither form ("float64" is a name that
// others know); ErrType and ErrValue as ParseFormat and ParseTypestr give
// them for what has one of the forms and is refused.
func ParseElement(spelling string) (Element, error) {
	e, err := parseElement(spelling, nativeOrder)
	if err != nil {
		return Element{}, err
	}
	return e, nil
}

func parseElement(spelling string, native byte) (Element, *Error) {
	e, err := parseFormat(spelling, native)
	if err == nil || err.Kind != ErrValue {
		return e, err
	}
	if _, _, _, ok := splitTypestr(spelling); ok {
		return parseTypestr(spelling, native)
	}
	return Element{}, fail(ErrUnknown, "element type ", quote(spelling),
		` is neither a PEP 3118 format nor a typestr; write "d" or "<f8"`)
}

// Plain returns the i-th of the spellings that plain types are met under:
// formats with a bare letter, '<' or '>', typestrs with and without their
// order. No spelling comes twice, and ParseElement reads each of them as e.
// ok is false past the end.
func Plain(i int) (spelling string, e Element, ok bool) {
	for order, letter := range plainSpellings {
		if i == 0 {
			e, err := parseElement(order+letter, nativeOrder)
			return order + letter, e, err == nil
		}
		i--
	}
	return "", Element{}, false
}

// plainSpellings is the sequence behind Plain, each spelling in two parts: it
// runs once for each entry, and joins none but the one that is wanted.
func plainSpellings(yield func(order, letter string) bool) {
	each := func(orders, letters []string) bool {
		for _, order := range orders {
			for _, letter := range letters {
				if !yield(order, letter) {
					return false
				}
			}
		}
		return true
	}
	bare, both, all := []string{""}, []string{"<", ">"}, []string{"", "<", ">"}
	for i := range plainTypes {
		t := &plainTypes[i]
		written := all
		if t.size == 1 {
			written = []string{"", "|"}
		}
		if !each(bare, t.own) || !each(bare, t.other) || !each(both, t.standard) ||
			!each(written, []string{t.typestr}) {
			return
		}
	}
}
