module example.com/vecs

go 1.25.0

tool (
	github.com/go-python/gopy
	golang.org/x/tools/cmd/goimports
)

require (
	github.com/go-python/gopy v0.4.10
	github.com/golang/snappy v1.0.0
	github.com/pybuf/pybuf-go v0.0.0-00010101000000-000000000000
	gonum.org/v1/gonum v0.16.0
)

require (
	github.com/gonuts/commander v0.1.0 // indirect
	github.com/gonuts/flag v0.1.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	golang.org/x/mod v0.23.0 // indirect
	golang.org/x/sync v0.11.0 // indirect
	golang.org/x/tools v0.30.0 // indirect
)

replace github.com/pybuf/pybuf-go => ../..
