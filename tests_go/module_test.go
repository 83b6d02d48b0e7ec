package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A library of somebody who uses what needs no gopy. (gopybuf is for modules that
// gopy makes, and gopy is a part of those.)
var userFiles = map[string]string{
	"prices.go": `package main

import "C"

import "github.com/pybuf/pybuf-go/pybuf"

//export Prices
func Prices() C.size_t { return C.size_t(pybuf.Of([]float64{2.5, 4}).Export()) }

func main() {}
`,
	"prices_test.go": `package main

import (
	"testing"

	"github.com/pybuf/pybuf-go/pybuf/pybuftest"
)

func TestNothingIsLeft(t *testing.T) { pybuftest.NoLeaks(t) }
`,
}

// runGo runs go in a folder, with nothing but the tools of this machine: no
// network, and no module that was ever fetched.
func runGo(t *testing.T, folder, modules string, args ...string) string {
	t.Helper()
	command := exec.Command("go", args...)
	command.Dir = folder
	command.Env = append(os.Environ(),
		"GOFLAGS=-mod=mod", "GOMODCACHE="+modules, "GOPROXY=off", "GOSUMDB=off",
		"GOTOOLCHAIN=local", "GOWORK=off")
	out, err := command.CombinedOutput()
	require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
	return string(out)
}

func TestModule_ImportsNothingElseForItsUsers(t *testing.T) {
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	folder, modules := t.TempDir(), filepath.Join(t.TempDir(), "modules")
	for name, text := range userFiles {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	const path = "github.com/pybuf/pybuf-go"
	runGo(t, folder, modules, "mod", "init", "example.com/user")
	runGo(t, folder, modules, "mod", "edit", "-replace="+path+"="+root, "-require="+path+"@v0.0.0")
	runGo(t, folder, modules, "build", "-buildmode=c-shared", "-o", "libprices.so", ".")
	runGo(t, folder, modules, "vet", ".")
	runGo(t, folder, modules, "test", ".")
	runGo(t, folder, modules, "mod", "tidy")

	fetched, err := filepath.Glob(filepath.Join(modules, "*"))
	require.NoError(t, err)
	assert.Subset(t, []string{filepath.Join(modules, "cache")}, fetched)
	assert.NoFileExists(t, filepath.Join(folder, "go.sum"))
}

// The shim has a build tag; what is built without it knows no Python.
func TestModule_ImportsNoPythonWithoutATag(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f",
		"{{.ImportPath}} {{.CgoPkgConfig}} {{.CgoCFLAGS}} {{.CgoLDFLAGS}}", "../...").Output()
	require.NoError(t, err)
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		path, flags, _ := strings.Cut(line, " ")
		assert.NotContains(t, path, "pyshim")
		assert.NotContains(t, flags, "python", path)
	}
}
