//go:build cgo && !pyext

package pybuf_test

import (
	"errors"
	"fmt"
	"image"
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

// giveBack stands for whoever takes a descriptor, in Python most of the time.
func giveBack[T any](d uintptr) {
	if _, done, err := pybuf.ReadSlice[T](d); err == nil {
		done()
	}
}

func ExampleOf() {
	pixels := make([]uint8, 480*640*3)
	b := pybuf.Of(pixels, 480, 640, 3)
	fmt.Println(b.Shape(), b.Layout().Strides, b.Layout().Format)

	type Trade struct {
		ID    int32
		Price float64
	}
	b = pybuf.Of([]Trade{{1, 9.5}, {2, 9.75}})
	fmt.Println(b.Shape(), b.Layout().ItemSize)

	fmt.Println(pybuf.Of(pixels, 480, 640, 4).Err())
	// Output:
	// [480 640 3] [1920 3 1] B
	// [2] 16
	// shape (480, 640, 4) is of 1228800 items, and the slice has 921600; give extents whose product is its length
}

func ExampleBuffer_Export() {
	prices := []float64{9.5, 9.75, 10}
	d := pybuf.Of(prices).Export() // a number, for pybuf.adopt in Python

	for _, r := range pybuf.Live() {
		fmt.Println(r.Kind, r.Format, r.Shape, r.NBytes, r.Adopted)
	}
	giveBack[float64](d)
	fmt.Println(len(pybuf.Live()))
	// Output:
	// export d [3] 24 false
	// 0
}

func ExampleSlice() {
	d := pybuf.Of([]float64{1, 2, 3, 4, 5, 6}, 2, 3).Export() // or pybuf.lend(array) in Python

	_, _, err := pybuf.Slice[float32](d)
	fmt.Println(err)

	shape, _ := pybuf.Shape(d)
	items, done, err := pybuf.Slice[float64](d)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer done()
	fmt.Println(shape, items)
	// Output:
	// the items are of format "d", and []float32 was asked for, whose items are of format "f"; ask for []float64, or lend a copy, such as a.astype("f")
	// [2 3] [1 2 3 4 5 6]
}

func ExampleMatrix() {
	m := pybuf.Matrix[float32](1000, 20)
	m[7][3] = 1.5
	b := pybuf.Rows(m)
	fmt.Println(b.Shape(), b.Layout().Strides)
	// Output:
	// [1000 20] [80 4]
}

func ExampleRows() {
	rows := [][]int16{{1, 2, 3}, {4, 5, 6}}
	rows[1] = make([]int16, 3, 100) // somewhere else
	b := pybuf.Rows(rows)
	fmt.Println(b.Shape(), b.Err())
	deep := [][][]int16{rows, rows[:2], rows}
	fmt.Println(pybuf.Rows(deep).Shape())
	fmt.Println(pybuf.Rows([][]int16{{1, 2, 3}, {4, 5}}).Err())
	// Output:
	// [2 3] <nil>
	// [3 2 3]
	// row 1 has 2 items and row 0 has 3; the rows of an array are equally long
}

func ExampleImage() {
	img := image.NewRGBA(image.Rect(0, 0, 640, 480))
	part := img.SubImage(image.Rect(100, 100, 200, 150))
	l := pybuf.Image(part).Layout()
	fmt.Println(l.Format, l.Shape, l.Strides)
	fmt.Println(pybuf.Image(image.Black).Err())
	// Output:
	// B [50 100 4] [2560 4 1]
	// an image of type *image.Uniform has no pixels that can be lent; copy it into an *image.RGBA by draw.Draw
}

func ExamplePlanes() {
	img := image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420)
	y, cb, cr, alpha := pybuf.Planes(img)
	fmt.Println(y.Shape(), cb.Shape(), cr.Shape())
	fmt.Println(alpha.Err())
	// Output:
	// [480 640] [240 320] [240 320]
	// an *image.YCbCr has no plane of alpha; an *image.NYCbCrA has
}

func ExampleForeign() {
	var memory [4]int32 // stands for memory of C's
	free := func() { fmt.Println("freed") }
	b := pybuf.Foreign(unsafe.Pointer(&memory), pybuf.Layout{Format: "i", Shape: []int{4}}, free)
	giveBack[int32](b.Export())
	// Output:
	// freed
}

func ExampleFail() {
	b := pybuf.Fail(errors.New("the market is closed"))
	fmt.Println(b.Err()) // b.Export() is a descriptor that raises it in Python
	// Output:
	// the market is closed
}
