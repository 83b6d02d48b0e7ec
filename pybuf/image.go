//go:build cgo && !pyext

package pybuf

import (
	"image"
	"reflect"
	"strconv"
	"unsafe"
)

// Image lends the pixels of an image of the standard library:
//
//	*image.RGBA, *image.NRGBA      (height, width, 4) "B"   red, green, blue, alpha
//	*image.RGBA64, *image.NRGBA64  (height, width, 4) ">H"  the same
//	*image.CMYK                    (height, width, 4) "B"   cyan, magenta, yellow, black
//	*image.Gray, *image.Alpha      (height, width)    "B"
//	*image.Gray16, *image.Alpha16  (height, width)    ">H"
//	*image.Paletted                (height, width)    "B"   indices into the palette
//
// Row 0, column 0 is the pixel at Bounds().Min. What SubImage gives is lent as
// it is, with gaps between its rows. ">H" are big-endian numbers, as Go has them
// in memory; in NumPy a.astype("H") copies them to native ones. In RGBA, RGBA64
// and Alpha the colours are premultiplied by alpha; in the ones with N they
// are not, which is what most libraries of Python expect.
//
// Errors, which the Buffer carries: ErrType for *image.YCbCr and *image.NYCbCrA,
// which [Planes] lends, and for other types, which have no pixels in memory or
// keep them to themselves (draw.Draw copies any of them to an *image.RGBA);
// ErrValue for nil, and for an image whose Stride and Rect leave its Pix.
func Image(img image.Image) *Buffer {
	if err := noImage(img); err != nil {
		return Fail(err)
	}
	switch m := img.(type) {
	case *image.RGBA:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 4, 1}.lend()
	case *image.NRGBA:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 4, 1}.lend()
	case *image.CMYK:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 4, 1}.lend()
	case *image.RGBA64:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 4, 2}.lend()
	case *image.NRGBA64:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 4, 2}.lend()
	case *image.Gray:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 1, 1}.lend()
	case *image.Alpha:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 1, 1}.lend()
	case *image.Paletted:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 1, 1}.lend()
	case *image.Gray16:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 1, 2}.lend()
	case *image.Alpha16:
		return plane{m.Pix, m.Stride, m.Rect.Size(), 1, 2}.lend()
	case *image.YCbCr, *image.NYCbCrA:
		return Fail(fail(ErrType, "an ", typeName(img), " has its colours in planes of several sizes; lend those, by Planes"))
	}
	return Fail(fail(ErrType, "an image of type ", typeName(img),
		" has no pixels that can be lent; copy it into an *image.RGBA by draw.Draw"))
}

// Planes lends the planes of an *image.YCbCr or *image.NYCbCrA, each an array
// (height, width) of "B". Those of blue and red are as small as the image's
// SubsampleRatio makes them. alpha is the error of an image that has none if
// it is an *image.YCbCr.
//
// Errors, which each of the Buffers carries: ErrType for other images; ErrValue
// for nil, and for planes that are not as large as the image says.
func Planes(img image.Image) (y, cb, cr, alpha *Buffer) {
	if err := noImage(img); err != nil {
		b := Fail(err)
		return b, b, b, b
	}
	var m *image.YCbCr
	switch i := img.(type) {
	case *image.YCbCr:
		m = i
		alpha = Fail(fail(ErrType, "an *image.YCbCr has no plane of alpha; an *image.NYCbCrA has"))
	case *image.NYCbCrA:
		m = &i.YCbCr
		alpha = plane{i.A, i.AStride, i.Rect.Size(), 1, 1}.lend()
	default:
		b := Fail(fail(ErrType, "an image of type ", typeName(img), " has no planes; lend it by Image"))
		return b, b, b, b
	}
	colours := chroma(m.Rect, m.SubsampleRatio)
	y = plane{m.Y, m.YStride, m.Rect.Size(), 1, 1}.lend()
	cb = plane{m.Cb, m.CStride, colours, 1, 1}.lend()
	cr = plane{m.Cr, m.CStride, colours, 1, 1}.lend()
	return y, cb, cr, alpha
}

// chroma is the size of the planes of colours, as package image has it.
func chroma(r image.Rectangle, ratio image.YCbCrSubsampleRatio) image.Point {
	if r.Empty() {
		return image.Point{}
	}
	across, down := 1, 1
	switch ratio {
	case image.YCbCrSubsampleRatio422:
		across = 2
	case image.YCbCrSubsampleRatio420:
		across, down = 2, 2
	case image.YCbCrSubsampleRatio440:
		down = 2
	case image.YCbCrSubsampleRatio411:
		across = 4
	case image.YCbCrSubsampleRatio410:
		across, down = 4, 2
	}
	return image.Point{
		X: (r.Max.X+across-1)/across - r.Min.X/across,
		Y: (r.Max.Y+down-1)/down - r.Min.Y/down,
	}
}

// A plane is numbers of an image in memory: rows of pixels of channels.
type plane struct {
	pix      []uint8
	stride   int
	size     image.Point
	channels int // 1: no axis of their own
	bytes    int // of a number; 2 are big-endian
}

func (p plane) lend() *Buffer {
	typestr := "|u1"
	if p.bytes == 2 {
		typestr = ">u2"
	}
	e, err := ParseTypestr(typestr)
	if err != nil {
		return Fail(err)
	}
	shape := []int{max(p.size.Y, 0), max(p.size.X, 0)}
	strides := []int{p.stride, p.channels * p.bytes}
	if p.channels > 1 {
		shape, strides = append(shape, p.channels), append(strides, p.bytes)
	}
	b := lay(unsafe.Pointer(unsafe.SliceData(p.pix)), &e, nil, shape, strides, nil)
	if b.err == nil && (b.facts.Low < 0 || b.facts.High > len(p.pix)) {
		return Fail(fail(ErrValue, "an image of ", strconv.Itoa(shape[1]), " x ", strconv.Itoa(shape[0]), " pixels with a stride of ",
			strconv.Itoa(p.stride), " bytes leaves its memory, which has ", strconv.Itoa(len(p.pix)), " bytes"))
	}
	return b
}

// noImage is the error of a nil image, or of a nil pointer to one.
func noImage(img image.Image) error {
	if v := reflect.ValueOf(img); v.IsValid() && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		return nil
	}
	return fail(ErrValue, "there is no image (", typeName(img), " that is nil)")
}

func typeName(img image.Image) string {
	if img == nil {
		return "image.Image"
	}
	return reflect.TypeOf(img).String()
}
