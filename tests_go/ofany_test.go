//go:build cgo && !pyext

package tests

import (
	"image"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"

	"github.com/pybuf/pybuf-go/pybuf"
)

type (
	prices  []float64
	table   [][]float32
	vector  [3]float64
	tables  []prices
	cube    []table
	squares [2][2]int16
)

func TestOfAny_IsOf(t *testing.T) {
	lending(t)
	items := prices{1, 2, 3}
	for _, v := range []any{items, &items, []float64(items), (*[]float64)(&items), (*[3]float64)(items)} {
		c := take(t, pybuf.OfAny(v))
		assert.Equal(t, "d", c.Format)
		assert.Equal(t, []int64{3}, c.Shape)
		assert.Equal(t, uintptr(unsafe.Pointer(&items[0])), c.Data)
		requireItems(t, items, c)
	}
}

func TestOfAny_OfPointersToArraysHasTheirAxes(t *testing.T) {
	lending(t)
	requireItems(t, []float64{1, 2, 3}, take(t, pybuf.OfAny(&vector{1, 2, 3})))
	c := take(t, pybuf.OfAny(&squares{{1, 2}, {3, 4}}))
	assert.Equal(t, []int64{2, 2}, c.Shape)
	requireItems(t, []int16{1, 2, 3, 4}, c)
	assert.Equal(t, []int64{0}, take(t, pybuf.OfAny(&[0]float64{})).Shape)
	c = take(t, pybuf.OfAny(&[]vector{{1, 2, 3}, {4, 5, 6}}))
	assert.Equal(t, []int64{2, 3}, c.Shape)
}

func TestOfAny_OfAPointerIsOneItemAlone(t *testing.T) {
	lending(t)
	one := trade{1, 2.5, true}
	c := take(t, pybuf.OfAny(&one))
	assert.Zero(t, c.NDim)
	assert.Nil(t, c.Strides)
	requireItems(t, []trade{one}, c)
	n := 5
	requireItems(t, []int{5}, take(t, pybuf.OfAny(&n)))
}

func TestOfAny_OfSlicesOfSlicesIsRows(t *testing.T) {
	lending(t)
	rows := table{{1, 2}, {3, 4}, {5, 6}}
	for _, v := range []any{rows, &rows, [][]float32(rows)} {
		c := take(t, pybuf.OfAny(v))
		assert.Equal(t, []int64{3, 2}, c.Shape)
		requireItems(t, []float32{1, 2, 3, 4, 5, 6}, c)
	}
	requireItems(t, []float64{1, 2}, take(t, pybuf.OfAny(tables{{1}, {2}})))
	requireError(t, pybuf.OfAny(&table{{1}, {2, 3}}), pybuf.ErrValue, "row 1 has 2 items")
	deep := cube{{{1, 2}}, {{3, 4}}, {{5, 6}}}
	for _, v := range []any{deep, &deep, []table(deep)} {
		c := take(t, pybuf.OfAny(v))
		assert.Equal(t, []int64{3, 1, 2}, c.Shape)
		requireItems(t, []float32{1, 2, 3, 4, 5, 6}, c)
	}
}

func TestOfAny_OfImagesIsImage(t *testing.T) {
	lending(t)
	for _, newImage := range newImages {
		m, _ := newImage(image.Rect(0, 0, 3, 2))
		assert.Equal(t, pybuf.Image(m).Layout(), pybuf.OfAny(m).Layout())
		take(t, pybuf.OfAny(m))
	}
	requireError(t, pybuf.OfAny(image.NewYCbCr(image.Rect(0, 0, 3, 2), 0)), pybuf.ErrType, "by Planes")
	requireError(t, pybuf.OfAny((*image.RGBA)(nil)), pybuf.ErrValue, "that is nil")
	requireItems(t, []image.Point{{1, 2}, {3, 4}}, take(t, pybuf.OfAny([]image.Point{{1, 2}, {3, 4}})))
	take(t, pybuf.OfAny(&image.Rectangle{}))
}

func TestOfAny_NilSlicesHaveNoItems(t *testing.T) {
	lending(t)
	var none prices
	var rows table
	for _, v := range []any{none, &none, rows, &rows, &table{nil, nil}, cube(nil), &cube{nil, {}}} {
		assert.Zero(t, take(t, pybuf.OfAny(v)).NBytes)
	}
}

func TestOfAny_WhatCannotBeLentIsRefused(t *testing.T) {
	lending(t)
	requireError(t, pybuf.OfAny(nil), pybuf.ErrType, "nothing to lend (nil)")
	requireError(t, pybuf.OfAny((*prices)(nil)), pybuf.ErrValue, "a nil *tests.prices")
	requireError(t, pybuf.OfAny((*trade)(nil)), pybuf.ErrValue, "a nil *tests.trade")
	requireError(t, pybuf.OfAny(vector{}), pybuf.ErrType, `"tests.vector" is a copy`)
	requireError(t, pybuf.OfAny(trade{}), pybuf.ErrType, "give a pointer to it")
	requireError(t, pybuf.OfAny(5), pybuf.ErrType, "give a pointer to it")
	requireError(t, pybuf.OfAny("text"), pybuf.ErrType, `"string" holds a pointer`)
	requireError(t, pybuf.OfAny(map[int]int{}), pybuf.ErrType, `"map[int]int" holds a pointer`)
	requireError(t, pybuf.OfAny([]string{}), pybuf.ErrType, `"string" holds a pointer`)
	requireError(t, pybuf.OfAny(&[]string{}), pybuf.ErrType, `"string" holds a pointer`)
	requireError(t, pybuf.OfAny([][][]string{}), pybuf.ErrType, `"string" holds a pointer`)
	requireError(t, pybuf.OfAny(&[2][]int{}), pybuf.ErrType, `"[]int" is a slice`)
	requireError(t, pybuf.OfAny(&struct{ Who string }{}), pybuf.ErrType, `field "Who"`)
	requireError(t, pybuf.OfAny(&struct{}{}), pybuf.ErrType, "0 bytes")
	p := &trade{}
	requireError(t, pybuf.OfAny(&p), pybuf.ErrType, `"*tests.trade" holds a pointer`)
	requireError(t, pybuf.OfAny(func() {}), pybuf.ErrType, `"func()"`)
	requireError(t, pybuf.OfAny(make(chan int)), pybuf.ErrType, `"chan int"`)
}
