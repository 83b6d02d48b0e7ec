//go:build cgo && !pyext && !pybufdebug

package pybuf

// keepReleased tells whether a descriptor stays where it is after its release.
func keepReleased(*descriptor, uintptr) bool { return false }

func reportDoubleRelease(*descriptor) {
	reportMisuse("a descriptor was released twice; build with -tags pybufdebug to hear whose it was")
}

// releasedBefore tells who made and released a descriptor that is no more.
func releasedBefore(*descriptor) string { return "" }
