// Goimage reads and writes pictures for Python: JPEG, PNG and GIF, by Go's
// standard library. It is a C shared library; goimage.py and goimage_cffi.py
// bind it. Pixels pass in both directions without a copy.
package main

// #include <stdint.h>
import "C"

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	_ "image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/pybuf/pybuf-go/pybuf"
)

func main() {}

// Decode reads a picture as (height, width, 4) red, green, blue and alpha.
//
//export Decode
func Decode(path *C.char) C.uintptr_t {
	return C.uintptr_t(decode(C.GoString(path)).Export())
}

// DecodeAll is Decode for n files at once.
//
//export DecodeAll
func DecodeAll(paths **C.char, n C.int, out *C.uintptr_t) {
	results := unsafe.Slice(out, n)
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i, path := range unsafe.Slice(paths, n) {
		all.Add(1)
		free <- struct{}{}
		go func() {
			results[i] = Decode(path)
			<-free
			all.Done()
		}()
	}
	all.Wait()
}

// Parts reads a picture in the form that its file has: the planes of most
// JPEGs, the indices and the palette of a GIF, else the pixels alone. It answers
// how many parts there are, at most 4; an error is one part.
//
//export Parts
func Parts(path *C.char, out *C.uintptr_t) C.int { return export(out, parts(C.GoString(path))) }

// Pair reads a picture twice, side by side. It answers 3 parts on the same
// memory: the whole, the left half, the right half; an error is one part.
//
//export Pair
func Pair(path *C.char, out *C.uintptr_t) C.int { return export(out, pair(C.GoString(path))) }

// Encode writes the pixels of a descriptor to a file; its name says how. It
// answers 0, or the descriptor of an error.
//
//export Encode
func Encode(path *C.char, pixels C.uintptr_t, quality C.int) C.uintptr_t {
	if err := encode(C.GoString(path), uintptr(pixels), int(quality)); err != nil {
		return C.uintptr_t(pybuf.Fail(err).Export())
	}
	return 0
}

// Address is where Go finds the first of the pixels; 0 if they are not to be
// had.
//
//export Address
func Address(pixels C.uintptr_t) C.uintptr_t {
	pix, done, _ := pybuf.ReadSlice[uint8](uintptr(pixels))
	defer done()
	return C.uintptr_t(uintptr(unsafe.Pointer(unsafe.SliceData(pix))))
}

// Live counts what Python has of Go's memory, and Go of Python's.
//
//export Live
func Live() C.int { return C.int(len(pybuf.Live())) }

func export(out *C.uintptr_t, parts []*pybuf.Buffer) C.int {
	for i, part := range parts {
		unsafe.Slice(out, len(parts))[i] = C.uintptr_t(part.Export())
	}
	return C.int(len(parts))
}

func decode(path string) *pybuf.Buffer {
	img, err := read(path)
	if err != nil {
		return pybuf.Fail(err)
	}
	return pybuf.Image(rgba(img))
}

func read(path string) (image.Image, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	img, _, err := image.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return img, nil
}

// rgba is the image with 4 bytes a pixel; itself, if it has these. Where alpha
// is 255 the two types are the same in memory.
func rgba(img image.Image) draw.Image {
	o, known := img.(interface{ Opaque() bool })
	opaque := known && o.Opaque()
	switch m := img.(type) {
	case *image.NRGBA:
		return m
	case *image.RGBA:
		if opaque {
			return m
		}
	}
	var m draw.Image = image.NewNRGBA(img.Bounds())
	if opaque {
		m = image.NewRGBA(img.Bounds()) // for which Go has fast ways
	}
	draw.Draw(m, m.Bounds(), img, img.Bounds().Min, draw.Src)
	return m
}

func parts(path string) []*pybuf.Buffer {
	img, err := read(path)
	if err != nil {
		return []*pybuf.Buffer{pybuf.Fail(err)}
	}
	switch m := img.(type) {
	case *image.YCbCr:
		y, cb, cr, _ := pybuf.Planes(m)
		return []*pybuf.Buffer{y, cb, cr}
	case *image.Paletted:
		colours := make([][4]uint8, len(m.Palette))
		for i, c := range m.Palette {
			n := color.NRGBAModel.Convert(c).(color.NRGBA)
			colours[i] = [4]uint8{n.R, n.G, n.B, n.A}
		}
		return []*pybuf.Buffer{pybuf.Image(m), pybuf.Of(colours)}
	}
	return []*pybuf.Buffer{pybuf.Image(img)}
}

func pair(path string) []*pybuf.Buffer {
	img, err := read(path)
	if err != nil {
		return []*pybuf.Buffer{pybuf.Fail(err)}
	}
	size := img.Bounds().Size()
	m := image.NewNRGBA(image.Rect(0, 0, 2*size.X, size.Y))
	half := image.Rect(0, 0, size.X, size.Y)
	draw.Draw(m, half, img, img.Bounds().Min, draw.Src)
	other := half.Add(image.Pt(size.X, 0))
	draw.Draw(m, other, img, img.Bounds().Min, draw.Src)
	return []*pybuf.Buffer{pybuf.Image(m), pybuf.Image(m.SubImage(half)), pybuf.Image(m.SubImage(other))}
}

func encode(path string, pixels uintptr, quality int) error {
	shape, err := pybuf.Shape(pixels)
	if err != nil {
		return err
	}
	pix, done, err := pybuf.ReadSlice[uint8](pixels)
	if err != nil {
		return err
	}
	defer done()
	img := imageOf(pix, shape)
	if img == nil {
		return refuse(fmt.Sprint("pixels are bytes (height, width) or (height, width, 4), and these are ", shape))
	}
	var file bytes.Buffer
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png":
		err = png.Encode(&file, img)
	case ".jpg", ".jpeg":
		err = jpeg.Encode(&file, img, &jpeg.Options{Quality: quality})
	default:
		err = refuse("the name of the file has to end in .png, .jpg or .jpeg")
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, file.Bytes(), 0o666)
}

func refuse(why string) error { return &pybuf.Error{Kind: pybuf.ErrValue, Text: why} }

// imageOf is an image that stands on the pixels; nil if they are none.
func imageOf(pix []uint8, shape []int) image.Image {
	if len(shape) < 2 {
		return nil
	}
	r := image.Rect(0, 0, shape[1], shape[0])
	switch {
	case len(shape) == 2:
		return &image.Gray{Pix: pix, Stride: shape[1], Rect: r}
	case len(shape) == 3 && shape[2] == 4:
		m := &image.NRGBA{Pix: pix, Stride: 4 * shape[1], Rect: r}
		if m.Opaque() {
			return &image.RGBA{Pix: m.Pix, Stride: m.Stride, Rect: r} // encoded faster
		}
		return m
	}
	return nil
}
