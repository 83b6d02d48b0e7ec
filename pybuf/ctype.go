package pybuf

// ParseCType reads the name of a C type, as a C compiler or cffi spells it:
// "unsigned int", "int64_t", "double _Complex".
//
// Errors: ErrUnknown for any other name.
func ParseCType(name string) (Element, error) {
	for _, c := range cTypes {
		if c.name == name {
			e, err := parseFormat(c.letter, nativeOrder)
			if err != nil {
				return Element{}, fail(err.Kind, "C type ", quote(name), ": ", err.Text)
			}
			return e, nil
		}
	}
	return Element{}, fail(ErrUnknown, "C type ", quote(name),
		` is no type of numbers that is known here; say the element type, such as "d"`)
}

// cTypes refers each C name to the native letter of the table. Types of a
// fixed width take the letter to which other spellings of that width lead.
var cTypes = [...]struct{ name, letter string }{
	{"_Bool", "?"},
	{"char", "c"},
	{"signed char", "b"},
	{"unsigned char", "B"},
	{"short", "h"},
	{"unsigned short", "H"},
	{"int", "i"},
	{"unsigned int", "I"},
	{"long", "l"},
	{"unsigned long", "L"},
	{"long long", "q"},
	{"unsigned long long", "Q"},
	{"int8_t", "b"},
	{"uint8_t", "B"},
	{"int16_t", "h"},
	{"uint16_t", "H"},
	{"int32_t", "i"},
	{"uint32_t", "I"},
	{"int64_t", "l"},
	{"uint64_t", "L"},
	{"intptr_t", "n"},
	{"uintptr_t", "N"},
	{"size_t", "N"},
	{"ssize_t", "n"},
	{"ptrdiff_t", "n"},
	{"float", "f"},
	{"double", "d"},
	{"long double", "g"},
	{"float _Complex", "Zf"},
	{"double _Complex", "Zd"},
	{"long double _Complex", "Zg"},
	{"_cffi_float_complex_t", "Zf"},
	{"_cffi_double_complex_t", "Zd"},
}
