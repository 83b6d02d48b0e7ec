package vecs

import (
	"errors"
	"image"
	"sync"
)

// ---- what comes back of a slice that was lent ----

func Same(x []float64) []float64 { return x }

func AddTo(dst, a, b []float64) []float64 {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
	return dst
}

func Half(x []float64) []float64 { return x[:len(x)/2] }

func Tail(x []float64, from int) []float64 { return x[from:] }

func Last(x []float64) []float64 { return x[len(x):] }

func RowsOf(x []float64, columns int) [][]float64 {
	var rows [][]float64
	for len(x) >= columns {
		rows = append(rows, x[:columns])
		x = x[columns:]
	}
	return rows
}

func ByName(x []float64) map[string][]float64 { return map[string][]float64{"x": x} }

func Clone(x []float64) []float64 { return append([]float64(nil), x...) }

func Append(x []float64, value float64) []float64 { return append(x, value) }

func BytesOf(x []byte) []byte { return x }

func PointsOf(x []Point) []Point { return x }

func AsCelsius(x []float64) Celsius { return x }

// ---- what keeps a slice ----

type Keeper struct {
	Shown  []float64
	hidden []float64
	next   *Keeper
}

func NewKeeper(x []float64) *Keeper { return &Keeper{hidden: x} }

func NewShower(x []float64) *Keeper { return &Keeper{Shown: x} }

func NewChain(x []float64, links int) *Keeper {
	k := NewKeeper(x)
	for i := 0; i < links; i++ {
		k = &Keeper{next: k}
	}
	return k
}

func (k *Keeper) last() *Keeper {
	for k.next != nil {
		k = k.next
	}
	return k
}

func (k *Keeper) Keep(x []float64) int {
	k.hidden = x
	return len(x)
}

func (k *Keeper) Drop() int {
	k.hidden, k.Shown = nil, nil
	return 0
}

func (k *Keeper) Sum() float64 { k = k.last(); return summed(k.hidden) + summed(k.Shown) }

func (k *Keeper) Get() []float64 { return k.last().hidden }

func KeeperOf(k *Keeper) *Keeper { return &Keeper{next: k} }

func CheckedKeeper(x []float64) (*Keeper, error) {
	if len(x) == 0 {
		return nil, errors.New("nothing to keep")
	}
	return NewKeeper(x), nil
}

func KeeperValue(x []float64) Keeper { return Keeper{hidden: x} }

func Keepers(x []float64) []*Keeper { return []*Keeper{nil, NewKeeper(x)} }

func SummerOf(x []float64) Summer { return NewKeeper(x) }

// Box keeps it where only the type of the value says what it is.
type Box struct{ value interface{} }

func NewBox(x []float64) *Box { return &Box{x} }

func (b *Box) Sum() float64 { return summed(b.value.([]float64)) }

// Pair keeps it in an array.
type Pair struct{ both [2][]float64 }

func NewPair(x []float64) *Pair { return &Pair{[2][]float64{nil, x}} }

func (p *Pair) Sum() float64 { return summed(p.both[1]) }

// Locked is made for several threads: what it keeps may be used by others.
type Locked struct {
	lock sync.Mutex
	kept []float64
}

func (l *Locked) Keep(x []float64) int {
	l.lock.Lock()
	defer l.lock.Unlock()
	l.kept = x
	return len(x)
}

func (l *Locked) Double(x []float64) []float64 {
	l.lock.Lock()
	defer l.lock.Unlock()
	doubled(x)
	return x
}

func (l *Locked) DoubleAndFail(x []float64) (int, error) {
	l.Double(x)
	return 0, errors.New("it doubled and failed")
}

func (l *Locked) Sum() float64 {
	l.lock.Lock()
	defer l.lock.Unlock()
	return summed(l.kept)
}

// ---- how it gets from one to another ----

func (k *Keeper) Copy() *Keeper {
	c := *k
	return &c
}

func (k *Keeper) TakeFrom(other *Keeper) int {
	k.hidden = other.hidden
	return len(k.hidden)
}

// Outer has another struct in it, to which InnerOf gives a pointer.
type Outer struct {
	Before [10]int
	inner  Keeper
}

func NewOuter() *Outer { return &Outer{} }

func InnerOf(o *Outer) *Keeper { return &o.inner }

func (o *Outer) Sum() float64 { return o.inner.Sum() }

var shared Keeper

// Shared is no memory of Go's heap.
func Shared() *Keeper { return &shared }

// ---- pointers into it ----

func First(x []Point) *Point { return &x[0] }

func TriplesOf(x [][3]float64) [][3]float64 { return x }

func ImageOf(pix []byte, width, height int) *image.RGBA {
	return &image.RGBA{Pix: pix, Stride: 4 * width, Rect: image.Rect(0, 0, width, height)}
}

// ---- nil ----

func NilSlice() []float64 { return nil }

func NilRows() [][]float64 { return nil }

func NilBytes() []byte { return nil }

func NilKeeper() *Keeper { return nil }

func IsNil(x []float64) bool { return x == nil }

func IsNilBytes(x []byte) bool { return x == nil }

func IsNilKeeper(k *Keeper) bool { return k == nil }

// ---- errors ----

func Check(x []float64) error {
	if len(x) == 0 {
		return errors.New("it is empty")
	}
	return nil
}

func CheckedSum(x []float64) (float64, error) { return summed(x), Check(x) }

func Checked(x []float64) ([]float64, error) { return x, Check(x) }
