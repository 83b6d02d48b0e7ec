package tests

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/pybuf/pybuf-go/pybuf"
)

func TestError_IsItsKindAndNoOther(t *testing.T) {
	kinds := []pybuf.Kind{pybuf.ErrValue, pybuf.ErrType, pybuf.ErrOverflow, pybuf.ErrUnknown, pybuf.ErrMemory,
		pybuf.ErrBuffer, pybuf.ErrRuntime}
	for _, kind := range kinds {
		err := error(&pybuf.Error{Kind: kind, Text: "why"})
		for _, other := range kinds {
			assert.Equal(t, kind == other, errors.Is(err, other))
		}
		assert.Equal(t, "why", err.Error())
	}
}

func TestKind_HasADescriptionOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for kind := pybuf.Kind(0); kind <= pybuf.ErrRuntime+1; kind++ {
		assert.False(t, seen[kind.Error()], kind.Error())
		seen[kind.Error()] = true
	}
}
