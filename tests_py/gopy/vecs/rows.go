package vecs

import (
	"image"
	"image/color"
)

// ---- slices of slices ----

func value(row, column int) float64 { return float64(row) + float64(column)/100 }

// Grid has its rows in one piece of memory.
func Grid(rows, columns int) [][]float64 {
	all := make([]float64, rows*columns)
	g := make([][]float64, rows)
	for i := range g {
		g[i] = all[i*columns : (i+1)*columns : (i+1)*columns]
		for j := range g[i] {
			g[i][j] = value(i, j)
		}
	}
	return g
}

func row(i, columns int) []float64 {
	r := make([]float64, columns)
	for j := range r {
		r[j] = value(i, j)
	}
	return r
}

// Separate has each row for itself, and not one behind the other: those with an
// odd number come first.
func Separate(rows, columns int) [][]float64 {
	g := make([][]float64, rows)
	for i := 1; i < rows; i += 2 {
		g[i] = row(i, columns)
	}
	for i := 0; i < rows; i += 2 {
		g[i] = row(i, columns)
	}
	return g
}

// Neighbours has each row for itself. By chance they lie one behind the other.
func Neighbours(rows, columns int) [][]float64 {
	g := make([][]float64, rows)
	for i := range g {
		g[i] = row(i, columns)
	}
	return g
}

// Ragged has rows of 1, 2, 3 ... items.
func Ragged(rows int) [][]float64 {
	g := make([][]float64, rows)
	for i := range g {
		g[i] = make([]float64, i+1)
	}
	return g
}

func SumGrid(x [][]float64) float64 {
	total := 0.0
	for _, row := range x {
		total += summed(row)
	}
	return total
}

func At(x [][]float64, row, column int) float64 { return x[row][column] }

// ---- slices of slices of slices ----

// Cube has its rows in one piece of memory.
func Cube(tables, rows, columns int) [][][]float64 {
	all := Grid(tables*rows, columns)
	c := make([][][]float64, tables)
	for i := range c {
		c[i] = all[i*rows : (i+1)*rows]
	}
	return c
}

// SeparateCube has each row for itself, and not one behind the other.
func SeparateCube(tables, rows, columns int) [][][]float64 {
	c := make([][][]float64, tables)
	for i := range c {
		c[i] = Separate(rows, columns)
	}
	return c
}

// RaggedCube has a table of 2 rows behind one of 3.
func RaggedCube() [][][]float64 { return [][][]float64{Grid(3, 2), Grid(2, 2)} }

func AtCube(x [][][]float64, table, row, column int) float64 { return x[table][row][column] }

// ---- images ----

func shade(x, y int) uint8 { return uint8(16*y + x) }

func Picture(width, height int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := 0; y < height; y++ {
		for x := 0; x < width; x++ {
			img.SetRGBA(x, y, color.RGBA{shade(x, y), 1, 2, 255})
		}
	}
	return img
}

func GrayPicture(width, height int) *image.Gray {
	img := image.NewGray(image.Rect(0, 0, width, height))
	for y := 0; y < height; y++ {
		for x := 0; x < width; x++ {
			img.SetGray(x, y, color.Gray{shade(x, y)})
		}
	}
	return img
}

func Inner(img *image.RGBA, left, top, right, bottom int) *image.RGBA {
	return img.SubImage(image.Rect(left, top, right, bottom)).(*image.RGBA)
}

func Red(img *image.RGBA, x, y int) int { return int(img.RGBAAt(x, y).R) }
