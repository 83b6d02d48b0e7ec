package pybuf

import (
	"math/bits"
	"unsafe"
)

// Only hosts with 64-bit pointers and a 64-bit C long (LP64) are supported:
// the table of plain types says 8 for l, and an int holds any offset. On a
// 32-bit host this constant is negative and does not compile.
const _ = uint(bits.UintSize - 64)

// pointerSize is the bytes of one entry of an indirect layout's pointer table.
const pointerSize = bits.UintSize / 8

// The two byte orders, as PEP 3118 and typestrs write them.
const (
	littleEndian = '<'
	bigEndian    = '>'
)

// nativeOrder is this host's byte order. The functions that depend on it take
// it as an argument, so that both answers can be tested on one host.
// (encoding/binary knows it too, and would bring reflect along.)
var nativeOrder = probeOrder()

func probeOrder() byte {
	one := uint16(1)
	if *(*byte)(unsafe.Pointer(&one)) == 1 {
		return littleEndian
	}
	return bigEndian
}
