package pybuf_test

import (
	"errors"
	"fmt"

	"github.com/pybuf/pybuf-go/pybuf"
)

func ExampleParseElement() {
	for _, spelling := range []string{"B", "u1", "|u1", "float64", "O"} {
		e, err := pybuf.ParseElement(spelling)
		switch {
		case errors.Is(err, pybuf.ErrUnknown):
			fmt.Println(spelling, "is for somebody else to read")
		case err != nil:
			fmt.Println(err)
		default:
			fmt.Println(spelling, "->", e.Format, e.Typestr)
		}
	}
	// Output:
	// B -> B |u1
	// u1 -> B |u1
	// |u1 -> B |u1
	// float64 is for somebody else to read
	// format "O" means objects, whose items are references that only their owner can count; lend the data itself, as a plain type
}

func ExampleParseFormat() {
	for _, format := range []string{"d", "@i", "=q", "n", "F"} {
		e, err := pybuf.ParseFormat(format)
		fmt.Println(format, "leaves as", e.Format, e.ItemSize, err)
	}
	_, err := pybuf.ParseFormat("<n")
	fmt.Println(err)
	// Output:
	// d leaves as d 8 <nil>
	// @i leaves as i 4 <nil>
	// =q leaves as l 8 <nil>
	// n leaves as l 8 <nil>
	// F leaves as Zf 8 <nil>
	// format "<n": "n" at index 1 has no standard size; write it without "<"
}

func ExampleParseTypestr() {
	e, err := pybuf.ParseTypestr("c16")
	fmt.Println(e.Format, e.ItemSize, e.Align, err)
	_, err = pybuf.ParseTypestr("<M8[ns]")
	fmt.Println(err)
	// Output:
	// Zd 16 8 <nil>
	// typestr "<M8[ns]" means dates, which PEP 3118 cannot say; lend their integers, .view("i8")
}

func ExampleParseCType() {
	e, err := pybuf.ParseCType("unsigned int")
	fmt.Println(e.Format, e.ItemSize, err)
	// Output:
	// I 4 <nil>
}

func ExampleReading_Plain() {
	var count int
	cache := map[string]pybuf.Element{}
	for {
		spelling, e, ok := pybuf.AsElement.Plain(count)
		if !ok {
			break
		}
		cache[spelling] = e
		count++
	}
	fmt.Println(len(cache) == count, cache["f8"] == cache["d"])
	// Output:
	// true true
}

func ExampleLayout_Judge() {
	f, err := pybuf.Layout{Format: "d", Shape: []int{3, 4}}.Judge()
	fmt.Println(f.Strides, f.NBytes, f.RowMajor, f.ColumnMajor, err)

	// the same memory, its rows backwards
	f, err = pybuf.Layout{Format: "d", Shape: []int{3, 4}, Strides: []int{-32, 8}}.Judge()
	fmt.Println(f.Low, f.High, f.RowMajor, err)

	_, err = pybuf.Layout{Format: "d", Shape: []int{3, -1}}.Judge()
	fmt.Println(err)
	// Output:
	// [32 8] 96 true false <nil>
	// -64 32 false <nil>
	// shape (3, -1): extent 1 is -1; extents count items and must be >= 0
}

func ExampleLayout_Judge_indirect() {
	// a table of 3 pointers to rows of 4 items
	f, err := pybuf.Layout{
		Format:     "d",
		Shape:      []int{3, 4},
		Strides:    []int{8, 8},
		Suboffsets: []int{0, -1},
	}.Judge()
	fmt.Println(f.Indirect, f.NBytes, f.Low, f.High, err)
	// Output:
	// true 96 0 24 <nil>
}

func ExampleCheckNDim() {
	fmt.Println(pybuf.CheckNDim(64))
	fmt.Println(pybuf.CheckNDim(65))
	// Output:
	// <nil>
	// 65 dimensions; a layout has 0 to 64
}

func ExampleParseOrder() {
	order, err := pybuf.ParseOrder('F')
	fmt.Println(order == pybuf.ColumnMajor, err)
	// Output:
	// true <nil>
}

func ExampleError() {
	_, err := pybuf.Layout{ItemSize: 8, Shape: []int{1 << 60}}.Judge()
	fmt.Println(errors.Is(err, pybuf.ErrOverflow))
	fmt.Println(err)
	// Output:
	// true
	// shape (1152921504606846976,) of items of 8 bytes: more than 9223372036854775807 bytes
}

func ExampleElementOf() {
	type Trade struct {
		ID    int32 `pybuf:"id"`
		Price float64
		Tags  [2]uint16
	}
	e, err := pybuf.ElementOf[Trade]()
	for _, f := range e.Fields() {
		fmt.Println(f.Name, f.Offset, f.Element.Format)
	}
	fmt.Println(e.ItemSize, err)
	_, err = pybuf.ElementOf[struct{ Who string }]()
	fmt.Println(err)
	// Output:
	// id 0 i
	// Price 8 d
	// Tags 16 (2)H
	// 24 <nil>
	// Go type "struct { Who string }": field "Who" of type "string" holds a pointer, which means nothing outside of Go; lend numbers, bools, arrays or structs of them
}
