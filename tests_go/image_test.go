//go:build cgo && !pyext

package tests

import (
	"image"
	"image/color"
	"math/rand"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
	"github.com/pybuf/pybuf-go/tests_go/consumer"
)

// channels are the numbers of a pixel as package image tells them, by the type
// of its colour. This is another way to them than Image's.
func channels(c color.Color) []int {
	switch c := c.(type) {
	case color.RGBA:
		return []int{int(c.R), int(c.G), int(c.B), int(c.A)}
	case color.NRGBA:
		return []int{int(c.R), int(c.G), int(c.B), int(c.A)}
	case color.RGBA64:
		return []int{int(c.R), int(c.G), int(c.B), int(c.A)}
	case color.NRGBA64:
		return []int{int(c.R), int(c.G), int(c.B), int(c.A)}
	case color.CMYK:
		return []int{int(c.C), int(c.M), int(c.Y), int(c.K)}
	case color.Gray:
		return []int{int(c.Y)}
	case color.Alpha:
		return []int{int(c.A)}
	case color.Gray16:
		return []int{int(c.Y)}
	case color.Alpha16:
		return []int{int(c.A)}
	}
	panic("a colour that no test knows")
}

// number reads the number at an item, big-endian if it has two bytes.
func number(c consumer.Descriptor, at unsafe.Pointer) int {
	n := 0
	for _, b := range unsafe.Slice((*byte)(at), c.ItemSize) {
		n = n<<8 | int(b)
	}
	return n
}

type subImager interface {
	image.Image
	SubImage(image.Rectangle) image.Image
}

var newImages = map[string]func(image.Rectangle) (subImager, []uint8){
	"RGBA":     func(r image.Rectangle) (subImager, []uint8) { m := image.NewRGBA(r); return m, m.Pix },
	"NRGBA":    func(r image.Rectangle) (subImager, []uint8) { m := image.NewNRGBA(r); return m, m.Pix },
	"RGBA64":   func(r image.Rectangle) (subImager, []uint8) { m := image.NewRGBA64(r); return m, m.Pix },
	"NRGBA64":  func(r image.Rectangle) (subImager, []uint8) { m := image.NewNRGBA64(r); return m, m.Pix },
	"CMYK":     func(r image.Rectangle) (subImager, []uint8) { m := image.NewCMYK(r); return m, m.Pix },
	"Gray":     func(r image.Rectangle) (subImager, []uint8) { m := image.NewGray(r); return m, m.Pix },
	"Gray16":   func(r image.Rectangle) (subImager, []uint8) { m := image.NewGray16(r); return m, m.Pix },
	"Alpha":    func(r image.Rectangle) (subImager, []uint8) { m := image.NewAlpha(r); return m, m.Pix },
	"Alpha16":  func(r image.Rectangle) (subImager, []uint8) { m := image.NewAlpha16(r); return m, m.Pix },
	"Paletted": func(r image.Rectangle) (subImager, []uint8) { m := image.NewPaletted(r, palette()); return m, m.Pix },
}

func palette() color.Palette {
	p := make(color.Palette, 256)
	for i := range p {
		p[i] = color.Gray{uint8(i)}
	}
	return p
}

func requireImage(t testing.TB, m image.Image) consumer.Descriptor {
	t.Helper()
	c := take(t, pybuf.Image(m))
	r := m.Bounds()
	require.Equal(t, []int64{int64(r.Dy()), int64(r.Dx())}, c.Shape[:2])
	eachItem(c, func(i []int, at unsafe.Pointer) {
		channel := 0
		if len(i) == 3 {
			channel = i[2]
		}
		require.Equal(t, channels(m.At(r.Min.X+i[1], r.Min.Y+i[0]))[channel], number(c, at), "%v", i)
	})
	return c
}

func TestImage_EveryTypeIsLentPixelByPixel(t *testing.T) {
	lending(t)
	for name, newImage := range newImages {
		m, pix := newImage(image.Rect(-2, -3, 5, 6))
		rand.New(rand.NewSource(1)).Read(pix)
		c := requireImage(t, m)
		assert.Equal(t, uintptr(unsafe.Pointer(&pix[0])), c.Data, name)
		requireImage(t, m.SubImage(image.Rect(-1, 0, 3, 4)))
	}
}

func TestImage_FormatsAndShapes(t *testing.T) {
	lending(t)
	wide := ">H"
	if native == ">" {
		wide = "H"
	}
	for name, expected := range map[string]struct {
		format string
		shape  []int64
	}{
		"RGBA": {"B", []int64{2, 3, 4}}, "NRGBA": {"B", []int64{2, 3, 4}}, "CMYK": {"B", []int64{2, 3, 4}},
		"RGBA64": {wide, []int64{2, 3, 4}}, "NRGBA64": {wide, []int64{2, 3, 4}},
		"Gray": {"B", []int64{2, 3}}, "Alpha": {"B", []int64{2, 3}}, "Paletted": {"B", []int64{2, 3}},
		"Gray16": {wide, []int64{2, 3}}, "Alpha16": {wide, []int64{2, 3}},
	} {
		m, _ := newImages[name](image.Rect(0, 0, 3, 2))
		c := take(t, pybuf.Image(m))
		assert.Equal(t, expected.format, c.Format, name)
		assert.Equal(t, expected.shape, c.Shape, name)
	}
}

func TestImage_WithoutPixels(t *testing.T) {
	lending(t)
	for _, newImage := range newImages {
		for _, r := range []image.Rectangle{{}, image.Rect(0, 0, 5, 0), image.Rect(0, 0, 0, 5)} {
			m, _ := newImage(r)
			requireImage(t, m)
			requireImage(t, m.SubImage(image.Rect(100, 100, 200, 200)))
		}
	}
	assert.Equal(t, []int{0, 0, 4}, pybuf.Image(&image.RGBA{}).Shape())
	assert.Equal(t, []int{0, 0, 4}, pybuf.Image(&image.RGBA{Rect: image.Rectangle{Max: image.Pt(-3, -4)}}).Shape())
}

func TestImage_ThatLeavesItsMemoryIsRefused(t *testing.T) {
	lending(t)
	for _, m := range []*image.Gray{
		{Pix: make([]byte, 5), Stride: 3, Rect: image.Rect(0, 0, 3, 2)},
		{Pix: make([]byte, 100), Stride: -3, Rect: image.Rect(0, 0, 3, 2)},
		{Pix: nil, Stride: 3, Rect: image.Rect(0, 0, 1, 1)},
		{Pix: make([]byte, 100), Stride: 1 << 61, Rect: image.Rect(0, 0, 1, 3)},
	} {
		requireError(t, pybuf.Image(m), pybuf.ErrValue, "leaves its memory")
	}
	m := &image.Gray{Pix: make([]byte, 100), Stride: 1 << 62, Rect: image.Rect(0, 0, 1, 1<<20)}
	requireError(t, pybuf.Image(m), pybuf.ErrOverflow, "more than")
	take(t, pybuf.Image(&image.Gray{Pix: make([]byte, 6), Stride: 3, Rect: image.Rect(0, 0, 3, 2)}))
}

type ownImage struct{ image.Image }

func TestImage_OthersAreRefusedByName(t *testing.T) {
	lending(t)
	requireError(t, pybuf.Image(image.NewUniform(color.White)), pybuf.ErrType, "*image.Uniform has no pixels")
	requireError(t, pybuf.Image(ownImage{image.NewRGBA(image.Rect(0, 0, 1, 1))}), pybuf.ErrType, "tests.ownImage")
	requireError(t, pybuf.Image(image.Rect(0, 0, 1, 1)), pybuf.ErrType, "image.Rectangle")
	requireError(t, pybuf.Image(image.NewYCbCr(image.Rect(0, 0, 1, 1), 0)), pybuf.ErrType, "*image.YCbCr has its colours in planes")
	requireError(t, pybuf.Image(image.NewNYCbCrA(image.Rect(0, 0, 1, 1), 0)), pybuf.ErrType, "by Planes")
	requireError(t, pybuf.Image(nil), pybuf.ErrValue, "there is no image")
	requireError(t, pybuf.Image((*image.RGBA)(nil)), pybuf.ErrValue, "*image.RGBA that is nil")
	requireError(t, pybuf.Image((*image.YCbCr)(nil)), pybuf.ErrValue, "*image.YCbCr that is nil")
}

func FuzzImage_AnyPartOfAnImage(f *testing.F) {
	f.Add(int8(0), int8(0), int8(9), int8(7))
	f.Add(int8(-5), int8(-5), int8(2), int8(100))
	f.Add(int8(3), int8(3), int8(3), int8(4))
	f.Fuzz(func(t *testing.T, x0, y0, x1, y1 int8) {
		lending(t)
		for _, newImage := range newImages {
			m, pix := newImage(image.Rect(-3, -2, 9, 7))
			rand.New(rand.NewSource(int64(x0))).Read(pix)
			requireImage(t, m.SubImage(image.Rect(int(x0), int(y0), int(x1), int(y1))))
		}
	})
}

var ratios = []image.YCbCrSubsampleRatio{
	image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
	image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
}

// requirePlanes checks each plane against YOffset and COffset of package image.
func requirePlanes(t testing.TB, m *image.YCbCr, y, cb, cr *pybuf.Buffer) {
	t.Helper()
	planes := []consumer.Descriptor{take(t, y), take(t, cb), take(t, cr)}
	r := m.Rect
	require.Equal(t, []int{r.Dy(), r.Dx()}, y.Shape())
	if r.Empty() {
		return
	}
	last := r.Max.Sub(image.Pt(1, 1))
	across := m.COffset(last.X, r.Min.Y) - m.COffset(r.Min.X, r.Min.Y) + 1
	require.Equal(t, across, cb.Shape()[1])
	require.Equal(t, m.COffset(r.Min.X, last.Y)/m.CStride+1, cb.Shape()[0])
	for py := r.Min.Y; py < r.Max.Y; py++ {
		for px := r.Min.X; px < r.Max.X; px++ {
			require.Equal(t, m.Y[m.YOffset(px, py)], *(*byte)(item(planes[0], []int{py - r.Min.Y, px - r.Min.X})))
			at := m.COffset(px, py)
			indices := []int{at / m.CStride, at % m.CStride}
			require.Equal(t, m.Cb[at], *(*byte)(item(planes[1], indices)))
			require.Equal(t, m.Cr[at], *(*byte)(item(planes[2], indices)))
		}
	}
}

func TestPlanes_AreTheOnesOfPackageImage(t *testing.T) {
	lending(t)
	for _, ratio := range ratios {
		for _, r := range []image.Rectangle{image.Rect(0, 0, 8, 6), image.Rect(1, 3, 8, 8), image.Rect(0, 0, 1, 1), {}} {
			m := image.NewYCbCr(r, ratio)
			for _, pix := range [][]byte{m.Y, m.Cb, m.Cr} {
				rand.New(rand.NewSource(int64(len(pix)))).Read(pix)
			}
			y, cb, cr, alpha := pybuf.Planes(m)
			requirePlanes(t, m, y, cb, cr)
			requireError(t, alpha, pybuf.ErrType, "no plane of alpha")
			for _, part := range []image.Rectangle{image.Rect(3, 1, 7, 6), image.Rect(1, 4, 2, 5), {}} {
				sub := m.SubImage(part).(*image.YCbCr)
				y, cb, cr, _ = pybuf.Planes(sub)
				requirePlanes(t, sub, y, cb, cr)
			}
		}
	}
}

func TestPlanes_AlphaIsOnePlaneMore(t *testing.T) {
	lending(t)
	m := image.NewNYCbCrA(image.Rect(0, 0, 5, 4), image.YCbCrSubsampleRatio420)
	rand.New(rand.NewSource(1)).Read(m.A)
	part := m.SubImage(image.Rect(2, 2, 4, 4)).(*image.NYCbCrA)
	y, cb, cr, alpha := pybuf.Planes(part)
	requirePlanes(t, &part.YCbCr, y, cb, cr)
	requireItems(t, []byte{m.A[12], m.A[13], m.A[17], m.A[18]}, take(t, alpha))
}

func TestPlanes_OfOthersAreErrors(t *testing.T) {
	lending(t)
	for text, m := range map[string]image.Image{
		"*image.RGBA has no planes":    image.NewRGBA(image.Rect(0, 0, 1, 1)),
		"(image.Image that is nil)":    nil,
		"(*image.YCbCr that is nil)":   (*image.YCbCr)(nil),
		"(*image.NYCbCrA that is nil)": (*image.NYCbCrA)(nil),
	} {
		y, cb, cr, alpha := pybuf.Planes(m)
		for _, b := range []*pybuf.Buffer{y, cb, cr, alpha} {
			require.ErrorContains(t, b.Err(), text)
		}
	}
	m := image.NewYCbCr(image.Rect(0, 0, 4, 4), 0)
	m.Cb = m.Cb[:3]
	_, cb, _, _ := pybuf.Planes(m)
	requireError(t, cb, pybuf.ErrValue, "leaves its memory")
}
