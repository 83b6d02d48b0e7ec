// Package third names the foreign packages that the tests bind, so that go.mod
// has them.
package third

import (
	_ "github.com/go-python/gopy/gopyh"
	_ "github.com/golang/snappy"
	_ "github.com/pybuf/pybuf-go/gopybuf"
	_ "gonum.org/v1/gonum/dsp/fourier"
	_ "gonum.org/v1/gonum/floats"
	_ "gonum.org/v1/gonum/stat"
)
