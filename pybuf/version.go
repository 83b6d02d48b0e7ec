package pybuf

// Version is the version of the Go library, of the extension module and of
// the Python distribution. It stands here and nowhere else.
const Version = "0.1.0"
