// Package more uses types of another package.
package more

import "example.com/vecs/vecs"

type Station struct {
	Name  string
	Today vecs.Celsius
}

func NewStation(n int) *Station { return &Station{"here", vecs.Temperatures(n)} }

func (s *Station) Mean() float64 { return s.Today.Mean() }

func Mean(x vecs.Celsius) float64 { return x.Mean() }

func Grown(x []vecs.Point, by float64) []vecs.Point {
	for i := range x {
		x[i].X += by
		x[i].Y += by
	}
	return x
}

func Sum(x []float64) float64 { return vecs.SumFloat64s(x) }
