package vecs

import "strings"

// ---- a slice of each kind, with the items 0, 1, 2 ... ----

// numbers are the types that count.
type numbers interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~float32 | ~float64
}

func counted[T numbers](n int) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = T(i)
	}
	return s
}

func summed[T numbers](x []T) float64 {
	total := 0.0
	for _, v := range x {
		total += float64(v)
	}
	return total
}

func doubled[T numbers](x []T) {
	for i := range x {
		x[i] *= 2
	}
}

func Float64s(n int) []float64 { return counted[float64](n) }
func Float32s(n int) []float32 { return counted[float32](n) }
func Ints(n int) []int         { return counted[int](n) }
func Int8s(n int) []int8       { return counted[int8](n) }
func Int16s(n int) []int16     { return counted[int16](n) }
func Int32s(n int) []int32     { return counted[int32](n) }
func Int64s(n int) []int64     { return counted[int64](n) }
func Uints(n int) []uint       { return counted[uint](n) }
func Uint8s(n int) []uint8     { return counted[uint8](n) }
func Uint16s(n int) []uint16   { return counted[uint16](n) }
func Uint32s(n int) []uint32   { return counted[uint32](n) }
func Uint64s(n int) []uint64   { return counted[uint64](n) }
func Bytes(n int) []byte       { return counted[byte](n) }
func Runes(n int) []rune       { return counted[rune](n) }

func SumFloat64s(x []float64) float64 { return summed(x) }
func SumFloat32s(x []float32) float64 { return summed(x) }
func SumInts(x []int) float64         { return summed(x) }
func SumInt8s(x []int8) float64       { return summed(x) }
func SumInt16s(x []int16) float64     { return summed(x) }
func SumInt32s(x []int32) float64     { return summed(x) }
func SumInt64s(x []int64) float64     { return summed(x) }
func SumUints(x []uint) float64       { return summed(x) }
func SumUint8s(x []uint8) float64     { return summed(x) }
func SumUint16s(x []uint16) float64   { return summed(x) }
func SumUint32s(x []uint32) float64   { return summed(x) }
func SumUint64s(x []uint64) float64   { return summed(x) }
func SumBytes(x []byte) float64       { return summed(x) }
func SumRunes(x []rune) float64       { return summed(x) }

func DoubleFloat64s(x []float64) { doubled(x) }
func DoubleFloat32s(x []float32) { doubled(x) }
func DoubleInts(x []int)         { doubled(x) }
func DoubleInt8s(x []int8)       { doubled(x) }
func DoubleInt16s(x []int16)     { doubled(x) }
func DoubleInt32s(x []int32)     { doubled(x) }
func DoubleInt64s(x []int64)     { doubled(x) }
func DoubleUints(x []uint)       { doubled(x) }
func DoubleUint8s(x []uint8)     { doubled(x) }
func DoubleUint16s(x []uint16)   { doubled(x) }
func DoubleUint32s(x []uint32)   { doubled(x) }
func DoubleUint64s(x []uint64)   { doubled(x) }
func DoubleBytes(x []byte)       { doubled(x) }
func DoubleRunes(x []rune)       { doubled(x) }

// Bools are true at the odd places.
func Bools(n int) []bool {
	s := make([]bool, n)
	for i := range s {
		s[i] = i%2 == 1
	}
	return s
}

func CountTrue(x []bool) int {
	n := 0
	for _, v := range x {
		if v {
			n++
		}
	}
	return n
}

func Complex64s(n int) []complex64 {
	s := make([]complex64, n)
	for i := range s {
		s[i] = complex(float32(i), float32(-i))
	}
	return s
}

func Complex128s(n int) []complex128 {
	s := make([]complex128, n)
	for i := range s {
		s[i] = complex(float64(i), float64(-i))
	}
	return s
}

func SumReal64(x []complex64) float64 {
	total := 0.0
	for _, v := range x {
		total += float64(real(v))
	}
	return total
}

func SumReal128(x []complex128) float64 {
	total := 0.0
	for _, v := range x {
		total += real(v)
	}
	return total
}

func SumComplex(x []complex128) complex128 {
	total := complex128(0)
	for _, v := range x {
		total += v
	}
	return total
}

func One() complex128 { return complex(1, 2) }

// ---- slices with names ----

type Celsius []float64

func (c Celsius) Mean() float64 { return summed(c) / float64(len(c)) }

func (c Celsius) Warmer(by Celsius) Celsius {
	for i := range c {
		c[i] += by[i]
	}
	return c
}

func Temperatures(n int) Celsius   { return Celsius(counted[float64](n)) }
func SumCelsius(x Celsius) float64 { return summed(x) }
func DoubleCelsius(x Celsius)      { doubled(x) }
func Weeks(n, days int) []Celsius {
	weeks := make([]Celsius, n)
	for i := range weeks {
		weeks[i] = Temperatures(days)
	}
	return weeks
}

// ---- arrays ----

type Vector [3]float64

func Triple() [3]float64             { return [3]float64{1, 2, 3} }
func Direction() Vector              { return Vector{0, 0, 1} }
func SumTriple(x [3]float64) float64 { return x[0] + x[1] + x[2] }
func Small() [2][3]int32             { return [2][3]int32{{1, 2, 3}, {4, 5, 6}} }
func Triples(n int) [][3]float64 {
	s := make([][3]float64, n)
	for i := range s {
		s[i] = [3]float64{float64(i), float64(i) + 0.25, float64(i) + 0.5}
	}
	return s
}

// ---- strings, maps ----

func Strings(n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = strings.Repeat("a", i)
	}
	return s
}

func Join(x []string) string   { return strings.Join(x, ",") }
func Upper(text string) string { return strings.ToUpper(text) }
func Ages() map[string]int     { return map[string]int{"ann": 31, "bob": 42} }
func Series() map[string][]float64 {
	return map[string][]float64{"a": {1, 2, 3}}
}

func SumSeries(m map[string][]float64) float64 {
	total := 0.0
	for _, x := range m {
		total += summed(x)
	}
	return total
}
