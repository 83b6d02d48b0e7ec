//go:build cgo && !pyext

package pybuf

import (
	"slices"
	"sync"
)

// misuse is what was done wrong with descriptors so far.
var misuse struct {
	mu    sync.Mutex
	texts []string
}

// misuseMax is how many sentences are kept: a fault in a loop must not fill the
// memory.
const misuseMax = 1000

// Misuse tells what was done wrong with descriptors since the program began, a
// sentence each, the oldest first: those that were released twice, taken after
// their release, or whose free function panicked. Each sentence goes to stderr
// as well. A build with the tag pybufdebug sees all of it; without, a double
// release is seen until its memory is used again.
func Misuse() []string {
	misuse.mu.Lock()
	defer misuse.mu.Unlock()
	return slices.Clone(misuse.texts)
}

func reportMisuse(text string) {
	println("pybuf: " + text)
	misuse.mu.Lock()
	defer misuse.mu.Unlock()
	if len(misuse.texts) < misuseMax {
		misuse.texts = append(misuse.texts, text)
	}
}

// callFree calls the free function of foreign memory. A panic must not cross
// into whoever released it, where it would end the process.
func callFree(free func()) {
	defer func() {
		if p := recover(); p != nil {
			reportMisuse("the free function of foreign memory panicked: " + PanicText(p))
		}
	}()
	free()
}
