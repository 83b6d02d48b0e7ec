package gopybuf

import (
	"math/rand/v2"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lendSlice lends the slice itself; given counts how often it came back.
func lendSlice[T any](s *[]T, given *int) int64 {
	return loans.add(reflect.ValueOf(s).Elem(), func() { *given++ })
}

var escapes any

// memory is items that lie on the heap: those on a stack move.
func memory[T any](n int) []T {
	s := make([]T, n)
	escapes = s
	return s
}

// nothingIsLent is the leak check of these tests.
func nothingIsLent(t *testing.T) {
	t.Helper()
	before := len(loans.byID)
	t.Cleanup(func() {
		assert.Len(t, loans.byID, before)
		assert.Len(t, loans.order, before)
		assert.Equal(t, before == 0, loans.none())
	})
}

// comesBack collects until the memory was given back.
func comesBack(t *testing.T, back <-chan struct{}) {
	t.Helper()
	limit := time.After(time.Minute)
	for {
		runtime.GC()
		select {
		case <-back:
			return
		case <-limit:
			require.Fail(t, "the memory stayed when the object had gone")
		default:
			runtime.Gosched()
		}
	}
}

// staysAway tells that the memory is not given back by collections, of which
// each has told of the ends of objects that had none left.
func staysAway(t *testing.T, back <-chan struct{}) {
	t.Helper()
	for range 5 {
		told := make(chan struct{})
		runtime.AddCleanup(new([64]byte), func(told chan struct{}) { close(told) }, told)
		comesBack(t, told)
		select {
		case <-back:
			assert.Fail(t, "the memory went while the object had it")
		default:
		}
	}
}

func TestALoanComesBackOnceWithItsLastReference(t *testing.T) {
	nothingIsLent(t)
	s, given := memory[float64](8), 0
	id := lendSlice(&s, &given)
	part := s[3:5]
	again := loans.holdAt(pointer(reflect.ValueOf(part)))
	assert.Equal(t, id, again)
	loans.drop(id)
	assert.Zero(t, given)
	loans.drop(again)
	assert.Equal(t, 1, given)
	loans.drop(again) // one too many does no harm
	assert.Equal(t, 1, given)
}

func TestMemoryThatIsNotLentBelongsToNoLoan(t *testing.T) {
	nothingIsLent(t)
	all, given := memory[int32](30), 0
	middle := all[10:20:20]
	id := lendSlice(&middle, &given)
	defer loans.drop(id)
	for i := range all {
		got := loans.holdAt(pointer(reflect.ValueOf(all[i:])))
		assert.Equal(t, i >= 10 && i < 20, got == id, i)
		if got != 0 {
			loans.drop(got)
		}
	}
}

// Loans overlap when one array is lent twice, or views of it are.
func TestFindAgreesWithALookAtEveryLoan(t *testing.T) {
	nothingIsLent(t)
	all := memory[byte](200)
	random := rand.New(rand.NewPCG(1, 2))
	given := 0
	live := map[int64][2]int{}
	for range 5000 {
		if len(live) < 12 && random.IntN(2) == 0 {
			from := random.IntN(len(all))
			to := from + random.IntN(len(all)-from+1)
			s := all[from:to:to]
			live[lendSlice(&s, &given)] = [2]int{from, to}
		} else {
			for id := range live { // a random one
				loans.drop(id)
				delete(live, id)
				break
			}
		}
		at := random.IntN(len(all))
		covered := false
		for _, r := range live {
			covered = covered || r[0] <= at && at < r[1]
		}
		found := loans.find(pointer(reflect.ValueOf(&all[at])))
		require.Equal(t, covered, found != nil)
		if found != nil {
			r := live[found.id]
			require.True(t, r[0] <= at && at < r[1])
		}
	}
	for id := range live {
		loans.drop(id)
	}
}

type node struct {
	next  *node
	any   any
	table map[string][]float64
	rows  [][]float64
	text  string
}

func TestASearchFindsLentMemoryAtAnyDepth(t *testing.T) {
	nothingIsLent(t)
	s, given := memory[float64](4), 0
	id := lendSlice(&s, &given)
	defer loans.drop(id)
	loop := &node{any: &s[1]}
	loop.next = &node{next: loop}
	other := memory[float64](4)
	for name, c := range map[string]struct {
		value any
		found int
	}{
		"slice of it":       {&node{any: s[1:2]}, 1},
		"pointer into it":   {loop, 1},
		"map":               {&node{table: map[string][]float64{"a": other, "b": s}}, 1},
		"rows":              {&node{rows: [][]float64{other, s[2:]}}, 1},
		"other memory":      {&node{rows: [][]float64{other}, any: 3, text: "text"}, 0},
		"nothing":           {&node{}, 0},
		"nil":               {(*node)(nil), 0},
		"array of pointers": {&[2]*float64{nil, &s[3]}, 1},
		"empty part":        {&node{any: s[:0:0]}, 0},
	} {
		assert.Len(t, loans.search(c.value).found, c.found, name)
	}
}

// What cannot be looked into may have it.
func TestASearchTellsWhatItCannotSee(t *testing.T) {
	for name, value := range map[string]any{
		"closure": &struct{ f func() }{func() {}},
		"channel": &struct{ c chan []float64 }{make(chan []float64, 1)},
		"locked": &struct {
			sync.Mutex
			*node
		}{},
		"lock behind a pointer": &struct {
			lock *sync.Mutex
			*node
		}{},
		"lock in an embedded struct": &struct {
			guarded
			*node
		}{},
		"large": manyNodes(searchMax + 1),
	} {
		assert.Len(t, loans.search(value).blind, 1, name)
	}
	assert.Empty(t, loans.search(&struct{ f func() }{}).blind)
}

type guarded struct{ sync.Mutex }

func manyNodes(n int) *node {
	var first *node
	for range n {
		first = &node{next: first}
	}
	return first
}

func TestAGoObjectKeepsWhatWasFoundInItUntilItIsCollected(t *testing.T) {
	nothingIsLent(t)
	s := memory[float64](4)
	back := make(chan struct{})
	id := loans.add(reflect.ValueOf(&s).Elem(), func() { close(back) })
	keeper := &node{any: s}
	for range 3 { // as each call that it takes part in does
		loans.bindAll(reflect.ValueOf(keeper), nil)
	}
	loans.drop(id)
	staysAway(t, back)
	assert.NotNil(t, loans.byID[id])
	runtime.KeepAlive(keeper)
	comesBack(t, back)
}

// A view of rows that are too many to look at: the last one is Python's.
func TestWhatIsViewedHoldsWhatItMayHaveWhereTheSearchEnds(t *testing.T) {
	nothingIsLent(t)
	s := memory[float64](4)
	back := make(chan struct{})
	id := loans.add(reflect.ValueOf(&s).Elem(), func() { close(back) })
	rows := make([][]float64, searchMax+1)
	rows[searchMax] = s
	loans.bindAll(reflect.ValueOf(&rows), []int64{id})
	loans.drop(id)
	held := loans.holdAll(&rows)
	assert.Equal(t, []int64{id}, held)
	runtime.KeepAlive(&rows)
	rows = nil
	staysAway(t, back)
	for _, id := range held {
		loans.drop(id)
	}
	comesBack(t, back)
}

func TestTypesThatReachWhatNoSearchSeesAreOpaque(t *testing.T) {
	type locked struct{ sync.Mutex }
	for value, want := range map[any]bool{
		(*node)(nil):                 false, // what its interface holds is searched
		(*locked)(nil):               true,
		(*[]locked)(nil):             true,
		(*map[string]*locked)(nil):   true,
		(*struct{ f func() })(nil):   true,
		(*struct{ c chan int })(nil): true,
		(*[]float64)(nil):            false,
	} {
		assert.Equal(t, want, reachesOpaque(reflect.TypeOf(value), map[reflect.Type]bool{}), "%T", value)
	}
}

func TestThreadsLendHoldAndDropAtOnce(t *testing.T) {
	nothingIsLent(t)
	all := memory[float64](1000)
	var back sync.WaitGroup
	var threads sync.WaitGroup
	for n := range 8 {
		threads.Add(1)
		go func() {
			defer threads.Done()
			random := rand.New(rand.NewPCG(uint64(n), 3))
			for range 2000 {
				from := random.IntN(900)
				s := all[from : from+100 : from+100]
				back.Add(1)
				id := loans.add(reflect.ValueOf(&s).Elem(), back.Done)
				held := loans.holdAt(pointer(reflect.ValueOf(s[50:])))
				if held == 0 {
					panic("lent memory was not found")
				}
				loans.drop(id)
				loans.drop(held)
			}
		}()
	}
	threads.Wait()
	back.Wait() // each came back once, or this waits for ever, or panics
}

// Somebody may have the part alone when the whole is gone.
func TestWhatRefersToALoanKeepsItAlone(t *testing.T) {
	nothingIsLent(t)
	s := memory[float64](4)
	back := make(chan struct{})
	id := loans.add(reflect.ValueOf(&s).Elem(), func() { close(back) })
	below := &node{any: s}
	loans.bindAll(reflect.ValueOf(&node{next: &node{next: below}}), nil)
	loans.drop(id)
	staysAway(t, back)
	runtime.KeepAlive(below)
	below = nil
	comesBack(t, back)
}

func TestRoomAndShorterSlicesAreSearched(t *testing.T) {
	nothingIsLent(t)
	s, given := memory[float64](4), 0
	id := lendSlice(&s, &given)
	defer loans.drop(id)
	rows := [][]float64{nil, nil, s}
	for name, value := range map[string]any{
		"room":                  &node{any: s[:0]},
		"rows behind the end":   &node{rows: rows[:1]},
		"the same start before": &struct{ few, all [][]float64 }{rows[:1:1], rows},
	} {
		assert.Len(t, loans.search(value).found, 1, name)
	}
}

// Of what is lent to others at the moment an object that hides its content has
// nothing, of what it was given or what Go keeps it may have all.
func TestAnObjectThatCannotBeSearchedGetsWhatItMayHave(t *testing.T) {
	nothingIsLent(t)
	var given atomic.Int64
	lent := [3][]float64{memory[float64](4), memory[float64](4), memory[float64](4)}
	var ids [3]int64
	for i := range lent {
		ids[i] = loans.add(reflect.ValueOf(&lent[i]).Elem(), func() { given.Add(1) })
	}
	keeper, hiding := &node{any: lent[1]}, &struct{ f func() }{func() {}}
	loans.bindAll(reflect.ValueOf(keeper), nil)
	loans.bindAll(reflect.ValueOf(hiding), ids[2:])
	for i, kept := range []int{0, 2, 1} {
		assert.Equal(t, kept, loans.byID[ids[i]].kept, i)
		loans.drop(ids[i])
	}
	assert.EqualValues(t, 1, given.Load())
	runtime.KeepAlive(keeper)
	runtime.KeepAlive(hiding)
	keeper, hiding = nil, nil
	for limit := time.Now().Add(time.Minute); given.Load() < 3; runtime.GC() {
		require.True(t, time.Now().Before(limit))
	}
}
