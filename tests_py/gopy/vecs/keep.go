package vecs

import (
	"errors"
	"image"
	"sync"
	"time"
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

// Tree has nodes that it can do without.
type Tree struct{ left, right *Keeper }

func NewTree() *Tree { return &Tree{&Keeper{}, &Keeper{}} }

func (t *Tree) Left() *Keeper { return t.left }

func (t *Tree) Right() *Keeper { return t.right }

func (t *Tree) Fill(x []float64) int { t.left.hidden = x; return len(x) }

func (t *Tree) Swap() int {
	t.left.hidden, t.right.hidden = t.right.hidden, t.left.hidden
	return 0
}

func FillAll(keepers []*Keeper, x []float64) int {
	for _, k := range keepers {
		k.hidden = x
	}
	return len(x)
}

func LockedOf(l *Locked) []*Locked { return []*Locked{l} }

func FillLocked(all []*Locked, x []float64) int {
	for _, l := range all {
		l.Keep(x)
	}
	return len(x)
}

// TakeAfter calls back in between.
func (k *Keeper) TakeAfter(other *Keeper, f func(n int)) int {
	f(0)
	k.hidden = other.hidden
	return len(k.hidden)
}

// Reuser keeps the room of x, as a buffer does.
type Reuser struct{ room []float64 }

func NewReuser(x []float64) *Reuser { return &Reuser{x[:0]} }

// Shelf has the same rows twice, once fewer of them.
type Shelf struct{ few, all [][]float64 }

func NewShelf(x []float64) *Shelf {
	all := [][]float64{nil, nil, x}
	return &Shelf{all[:1:1], all}
}

func (s *Shelf) Sum() float64 { return SumGrid(s.all) }

type guard struct{ sync.Mutex }

// Store is for several threads, by a lock that is not among its own fields.
type Store struct {
	guard
	kept map[int]*Keeper
}

func NewStore() *Store { return &Store{kept: map[int]*Keeper{}} }

// Work writes n times.
func (s *Store) Work(k *Keeper, n int) int {
	for i := 0; i < n; i++ {
		s.Lock()
		s.kept[i%1000] = k
		delete(s.kept, i*7%1000)
		s.Unlock()
	}
	return n
}

func (s *Store) Has(k *Keeper) bool {
	s.Lock()
	defer s.Unlock()
	return s.kept[1] == k
}

// ---- methods of what stands on it ----

func (c Celsius) Keeper() *Keeper { return &Keeper{hidden: c} }

func (c Celsius) Rows() [][]float64 { return [][]float64{c} }

func (c Celsius) ByName() map[string][]float64 { return map[string][]float64{"x": c} }

func (c Celsius) Slowly(milliseconds int) float64 { return Slowly(c, milliseconds) }

func (c Celsius) Sum() float64 { return summed(c) }

func SlowCelsius(c Celsius, milliseconds int) float64 { return Slowly(c, milliseconds) }

// Total is what LaterSum added up.
var Total float64

func LaterSum(s Summer, milliseconds int) {
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
	Total = s.Sum()
}

func (c Celsius) LaterTotal(milliseconds int) { LaterSum(c, milliseconds) }

var Chosen Summer

func SumChosen() float64 { return Chosen.Sum() }

type PointRef struct{ point *Point }

func (p *Point) Ref() *PointRef { return &PointRef{p} }

func (r *PointRef) X() float64 { return r.point.X }

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
