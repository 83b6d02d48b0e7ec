package tests

import (
	"encoding/binary"
	"errors"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

// The byte order of this host, and the other one, as formats write them.
var native, foreign = byteOrders()

func byteOrders() (string, string) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) == 1 {
		return "<", ">"
	}
	return ">", "<"
}

// requireKind checks that err is of the kind and is fit to be read.
func requireKind(t testing.TB, kind pybuf.Kind, err error) {
	t.Helper()
	require.Error(t, err)
	require.ErrorIs(t, err, kind)
	var e *pybuf.Error
	require.True(t, errors.As(err, &e), "%T", err)
	requireSentence(t, e.Text)
}

// requireSentence checks what every error sentence promises, whatever was put
// in: a text of readable length that any door can carry.
func requireSentence(t testing.TB, text string) {
	t.Helper()
	assert.NotEmpty(t, text)
	assert.Less(t, len(text), 8000)
	assert.True(t, utf8.ValidString(text), "%q", text)
	for _, r := range text {
		if !unicode.IsPrint(r) {
			t.Errorf("%q in %q", r, text)
		}
	}
}
