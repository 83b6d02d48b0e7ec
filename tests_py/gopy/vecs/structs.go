package vecs

import "errors"

type Point struct{ X, Y float64 }

func (p *Point) Norm() float64 { return p.X*p.X + p.Y*p.Y }

// Trade has padding between its fields and behind them.
type Trade struct {
	Time  int64
	Size  int32
	Price float64
	Buy   bool
}

type Segment struct {
	From, To Point
	Weight   float32
}

type Cell struct {
	Values [2][3]float32
	Mark   uint8
}

// Tagged cannot be a structure of numbers.
type Tagged struct {
	Name  string
	Value float64
}

func Points(n int) []Point {
	s := make([]Point, n)
	for i := range s {
		s[i] = Point{float64(i), -float64(i)}
	}
	return s
}

func Trades(n int) []Trade {
	s := make([]Trade, n)
	for i := range s {
		s[i] = Trade{int64(i), int32(i * 10), float64(i) / 4, i%2 == 1}
	}
	return s
}

func Segments(n int) []Segment {
	s := make([]Segment, n)
	for i := range s {
		f := float64(i)
		s[i] = Segment{Point{f, f + 1}, Point{f + 2, f + 3}, float32(i)}
	}
	return s
}

func Cells(n int) []Cell {
	s := make([]Cell, n)
	for i := range s {
		s[i].Values[1][2] = float32(i)
		s[i].Mark = uint8(i)
	}
	return s
}

func Tags(n int) []Tagged {
	s := make([]Tagged, n)
	for i := range s {
		s[i] = Tagged{"tag", float64(i)}
	}
	return s
}

func PointPointers(n int) []*Point {
	s := make([]*Point, n)
	for i := range s {
		s[i] = &Point{float64(i), 0}
	}
	return s
}

func SumPoints(x []Point) float64 {
	total := 0.0
	for _, p := range x {
		total += p.X + p.Y
	}
	return total
}

func SumPrices(x []Trade) float64 {
	total := 0.0
	for _, t := range x {
		total += t.Price
	}
	return total
}

func Middle(s Segment) Point {
	return Point{(s.From.X + s.To.X) / 2, (s.From.Y + s.To.Y) / 2}
}

// ---- structs with slices in them ----

type Acc struct {
	Name  string
	Data  []float64
	Fixed [4]float32
	Count int
}

func NewAcc(n int) *Acc { return &Acc{Name: "new", Data: counted[float64](n)} }

func (a *Acc) Add(x []float64) int {
	a.Data = append(a.Data, x...)
	return len(a.Data)
}

func (a *Acc) Get() []float64 { return a.Data }

func (a Acc) Total(scale float64, x []float64) float64 { return scale * summed(x) }

func (a *Acc) Dot(x, y []float64) (float64, error) {
	if len(x) != len(y) {
		return 0, errors.New("lengths differ")
	}
	total := 0.0
	for i, v := range x {
		total += v * y[i]
	}
	return total, nil
}

func (a *Acc) Sum() float64 { return summed(a.Data) }

type Base struct {
	ID   int
	Data []float64
}

func (b *Base) Total() float64 { return summed(b.Data) }

type Derived struct {
	Base
	Extra []float32
}

func NewDerived(n int) *Derived {
	return &Derived{Base{7, counted[float64](n)}, counted[float32](n)}
}

func (d *Derived) Both() float64 { return d.Total() + summed(d.Extra) }

// Summer is what has a sum.
type Summer interface{ Sum() float64 }

func SumOf(s Summer) float64 { return s.Sum() }

func AnySummer(n int) Summer { return NewAcc(n) }

func Describe(value interface{}) string {
	if value == nil {
		return "nothing"
	}
	return "something"
}

// ---- variables ----

var Global = []float64{1, 2, 3}

var Answer = 42

const Size = 7

func SumGlobal() float64 { return summed(Global) }
