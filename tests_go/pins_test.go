package tests

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"unsafe"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// requireHeld checks what is held now.
func requireHeld(t testing.TB, slots, bytes int) {
	t.Helper()
	gotSlots, gotBytes := pybuf.Held()
	require.Equal(t, [2]int{slots, bytes}, [2]int{gotSlots, gotBytes})
}

// collect runs the collector and tells the bytes that live.
func collect() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func TestHeld_CountsSlotsAndTheBytesThatWereAskedFor(t *testing.T) {
	slots, bytes := pybuf.Held()
	one, none, aligned := newBlock(t, 1000, 1, 1), newBlock(t, 0, 64, 1), newBlock(t, 5, 1<<20, 1)
	requireHeld(t, slots+3, bytes+1005)
	one.release(t)
	requireHeld(t, slots+2, bytes+5)
	none.release(t)
	requireHeld(t, slots+1, bytes+5)
	aligned.release(t)
	requireHeld(t, slots, bytes)
}

func TestSlot_HoldsMemoryThatNobodyInGoRefersTo(t *testing.T) {
	for _, size := range blockSizes {
		data, slot, err := pybuf.NewBlock(size, 64)
		require.NoError(t, err)
		at := uintptr(data)
		ref := weak.Make((*byte)(data))
		if size > 0 {
			*(*byte)(data) = 0x5a
		}
		for range 3 {
			collect()
			garbage = make([]byte, 10*size+1)
		}
		again := ref.Value()
		require.NotNil(t, again, size)
		require.Equal(t, at, uintptr(unsafe.Pointer(again)))
		if size > 0 {
			require.EqualValues(t, 0x5a, *again)
		}
		require.NoError(t, slot.Release())
	}
}

var garbage []byte

func TestSlot_ReleaseLetsTheCollectorHaveTheMemory(t *testing.T) {
	for _, align := range []int{1, 4096, 1 << 20} {
		data, slot, err := pybuf.NewBlock(100_000, align)
		require.NoError(t, err)
		ref := weak.Make((*byte)(data))
		collect()
		require.NotNil(t, ref.Value())
		require.NoError(t, slot.Release())
		collect()
		assert.Nil(t, ref.Value())
	}
}

func TestSlot_ReleaseShrinksTheHeap(t *testing.T) {
	const size = 64 << 20
	newBlock(t, 1, 1, 0).release(t) // the first one ever brings more with it
	before := collect()
	b := newBlock(t, size, 64, 1)
	slot := b.slot
	assert.InDelta(t, before+size, collect(), size/2)
	b.release(t)
	assert.InDelta(t, before, collect(), size/2)
	assert.Error(t, slot.Release())
}

func requireNothingHeldBy(t *testing.T, slot pybuf.Slot) {
	t.Helper()
	slots, bytes := pybuf.Held()
	requireKind(t, pybuf.ErrValue, slot.Release())
	requireHeld(t, slots, bytes)
}

func TestSlot_ReleasedTwiceIsAnErrorThatChangesNothing(t *testing.T) {
	neighbour := newBlock(t, 100, 1, 7)
	b := newBlock(t, 100, 1, 8)
	b.release(t)
	requireNothingHeldBy(t, b.slot)
	requireNothingHeldBy(t, b.slot)
	neighbour.release(t)
}

func TestSlot_OfAnEarlierUseOfThePlaceIsRefused(t *testing.T) {
	const place = 1<<32 - 1 // the lower half
	old := newBlock(t, 100, 1, 7)
	old.release(t)
	b := newBlock(t, 100, 1, 8)
	require.Equal(t, old.slot&place, b.slot&place, "the place was not taken again, so this test says nothing")
	require.NotEqual(t, old.slot, b.slot)
	requireNothingHeldBy(t, old.slot)
	collect()
	b.release(t)
}

func TestSlot_ThatNeverWasIsRefused(t *testing.T) {
	b := newBlock(t, 100, 1, 7)
	for _, slot := range []pybuf.Slot{
		0, 1, -1, b.slot + 1, b.slot - 1, b.slot + 1<<32, b.slot - 1<<32, b.slot | math.MinInt64, -b.slot,
		math.MaxInt64, math.MinInt64, 1<<32 - 1, 1 << 62,
	} {
		requireNothingHeldBy(t, slot)
	}
	b.release(t)
	assert.EqualError(t, pybuf.Slot(-7).Release(), "slot -7 holds no memory: it was released before, or never was one")
}

// takesAndReleases plays what the bytes say against a model: the blocks that
// are held, and the slots that no longer are.
func takesAndReleases(t testing.TB, moves []byte) {
	slots, bytes := pybuf.Held()
	var held []block
	var gone []pybuf.Slot
	used := map[pybuf.Slot]bool{}
	drop := func(i int) {
		held[i].release(t)
		bytes -= len(held[i].memory)
		slots--
		gone = append(gone, held[i].slot)
		held[i] = held[len(held)-1]
		held = held[:len(held)-1]
	}
	for i, move := range moves {
		argument := int(move >> 2)
		switch {
		case move&3 < 2:
			b := newBlock(t, argument*argument*7, 1<<(argument%14), byte(i))
			require.False(t, used[b.slot], "a slot was given out twice")
			used[b.slot] = true
			held = append(held, b)
			slots++
			bytes += len(b.memory)
		case move&3 == 2 && len(held) > 0:
			drop(argument % len(held))
		case move&3 == 3 && len(gone) > 0:
			require.Error(t, gone[argument%len(gone)].Release())
		case argument == 0:
			runtime.GC()
		}
		requireHeld(t, slots, bytes)
	}
	for len(held) > 0 {
		drop(0)
	}
	requireHeld(t, slots, bytes)
}

func FuzzSlots(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{0xff, 0xfe, 0xfd, 0xfc, 2, 2, 3, 3, 0x80, 2})
	f.Add([]byte("take and take, release, take"))
	f.Fuzz(func(t *testing.T, moves []byte) { takesAndReleases(t, moves) })
}

func TestSlots_AnyOrderOfTakesAndReleases(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 0))
		moves := make([]byte, 200)
		for i := range moves {
			moves[i] = byte(random.Uint32())
		}
		takesAndReleases(t, moves)
	}
}

// What one goroutine takes another one releases, and the collector runs.
func TestSlots_ManyGoroutinesAtOnce(t *testing.T) {
	const workers, rounds = 8, 400
	slots, bytes := pybuf.Held()
	passed := make(chan block, workers)
	var done sync.WaitGroup
	for worker := range workers {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := range rounds {
				size := (worker*rounds + i) % 9000
				data, slot, err := pybuf.NewBlock(size, 64)
				if !assert.NoError(t, err) {
					return
				}
				b := block{unsafe.Slice((*byte)(data), size), slot, byte(worker)}
				for j := range b.memory {
					b.memory[j] = b.fill
				}
				passed <- b
				if i%100 == 0 {
					runtime.GC()
				}
				b = <-passed
				for _, got := range b.memory {
					if got != b.fill {
						assert.Equal(t, b.fill, got)
						break
					}
				}
				assert.NoError(t, b.slot.Release())
				assert.Error(t, b.slot.Release())
				pybuf.Held()
			}
		}()
	}
	done.Wait()
	requireHeld(t, slots, bytes)
}

func TestSlots_ManyGoroutinesInATightLoop(t *testing.T) {
	const workers, rounds = 8, 20_000
	slots, bytes := pybuf.Held()
	var done sync.WaitGroup
	for range workers {
		done.Add(1)
		go func() {
			defer done.Done()
			for i := range rounds {
				_, slot, err := pybuf.NewBlock(i%50, 1)
				if err == nil {
					err = slot.Release()
				}
				if !assert.NoError(t, err) {
					return
				}
			}
		}()
	}
	done.Wait()
	requireHeld(t, slots, bytes)
}

func TestSlot_ReleasedByManyGoroutinesIsReleasedOnce(t *testing.T) {
	const workers = 8
	slots, bytes := pybuf.Held()
	for range 200 {
		b := newBlock(t, 100, 1, 1)
		refused := make(chan error, workers)
		for range workers {
			go func() { refused <- b.slot.Release() }()
		}
		released := 0
		for range workers {
			if <-refused == nil {
				released++
			}
		}
		require.Equal(t, 1, released)
		requireHeld(t, slots, bytes)
	}
}
