package tests

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pybuf/pybuf-go/pybuf"
)

const header = "../capi/pybuf_abi.h"

// plainLibrary builds the C library without Python, once, and gives its path
// and the C compiler that Go would use.
func plainLibrary(t *testing.T) (library, cc string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the library is built for Linux")
	}
	cc, _, _ = strings.Cut(strings.TrimSpace(run(t, "go", "env", "CC")), " ")
	if _, err := exec.LookPath(cc); err != nil {
		t.Skipf("no C compiler: %v", err)
	}
	library, err := buildLibrary()
	require.NoError(t, err)
	dependOn(t, "../capi/*", "cmain/*")
	return library, cc
}

// dependOn opens files, so that go test runs anew when one of them changes: it
// does not see what other programs read.
func dependOn(t *testing.T, patterns ...string) {
	t.Helper()
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			_, err := os.ReadFile(file)
			require.NoError(t, err)
		}
	}
}

// libraryDir is where the library is built; TestMain makes and removes it.
var libraryDir string

var buildLibrary = sync.OnceValues(func() (string, error) {
	library := filepath.Join(libraryDir, "libpybuf.so")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-o", library, "../capi")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	build.Stderr = os.Stderr
	return library, build.Run()
})

func TestMain(m *testing.M) {
	os.Exit(withLibraryDir(m.Run))
}

func withLibraryDir(tests func() int) int {
	dir, err := os.MkdirTemp("", "pybuf")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	libraryDir = dir
	return tests()
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	command.Stderr = os.Stderr
	out, err := command.Output()
	require.NoError(t, err, "%s", command)
	return string(out)
}

// runC compiles cmain/<name>.c against the header and the library and runs it.
func runC(t *testing.T, name string, args ...string) {
	t.Helper()
	library, cc := plainLibrary(t)
	program := filepath.Join(t.TempDir(), name)
	run(t, cc, "-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-pedantic", "-Wall", "-Wextra", "-Werror",
		"-I", filepath.Dir(header), filepath.Join("cmain", name+".c"), library,
		"-Wl,-rpath,"+filepath.Dir(library), "-pthread", "-o", program)
	out, err := exec.Command(program, args...).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestABI_HalvesAgreeOnNumberSizesAndVersion(t *testing.T) { runC(t, "abi", pybuf.Version) }

func TestABI_Element(t *testing.T) { runC(t, "element") }

func TestABI_Plain(t *testing.T) { runC(t, "plain") }

func TestABI_Layout(t *testing.T) { runC(t, "layout") }

func TestABI_Memory(t *testing.T) { runC(t, "memory") }

func TestABI_TextsAreCutToTheirMemory(t *testing.T) { runC(t, "text") }

func TestABI_Runtime(t *testing.T) { runC(t, "runtime", runtime.Version()) }

func TestABI_AnyThreadAtAnyTime(t *testing.T) { runC(t, "threads") }

func TestABI_EveryProgramIsRun(t *testing.T) {
	programs, err := filepath.Glob("cmain/*.c")
	require.NoError(t, err)
	source, err := os.ReadFile("abi_test.go")
	require.NoError(t, err)
	for _, program := range programs {
		name := strings.TrimSuffix(filepath.Base(program), ".c")
		assert.Contains(t, string(source), `runC(t, "`+name+`"`)
	}
}

func TestABI_ExportsAreThoseOfTheHeader(t *testing.T) {
	library, _ := plainLibrary(t)
	text, err := os.ReadFile(header)
	require.NoError(t, err)
	var promised []string
	for _, m := range regexp.MustCompile(`(?m)^int32_t (\w+)\(`).FindAllStringSubmatch(string(text), -1) {
		promised = append(promised, m[1])
	}
	require.NotEmpty(t, promised)

	file, err := elf.Open(library)
	require.NoError(t, err)
	defer file.Close()
	symbols, err := file.DynamicSymbols()
	require.NoError(t, err)
	var exported []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && strings.HasPrefix(s.Name, "pybuf_") {
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(promised)
	slices.Sort(exported)
	assert.Equal(t, promised, exported)
}

func TestABI_PlainLibraryNeedsNoPython(t *testing.T) {
	library, _ := plainLibrary(t)
	file, err := elf.Open(library)
	require.NoError(t, err)
	defer file.Close()
	symbols, err := file.ImportedSymbols()
	require.NoError(t, err)
	for _, s := range symbols {
		assert.NotRegexp(t, `^_?Py`, s.Name)
	}
	libraries, err := file.ImportedLibraries()
	require.NoError(t, err)
	for _, l := range libraries {
		assert.NotContains(t, l, "python")
	}
}

// What is linked in is loaded by every import of the extension. A package that
// is imported for Go authors alone (reflect) leaves its init and nothing else.
func TestImports_NothingHeavyIsLinkedIn(t *testing.T) {
	library, _ := plainLibrary(t)
	file, err := elf.Open(library)
	require.NoError(t, err)
	defer file.Close()
	symbols, err := file.Symbols()
	require.NoError(t, err)
	found := 0
	for _, s := range symbols {
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC {
			continue
		}
		found++
		for _, heavy := range []string{"fmt", "os", "reflect", "regexp", "encoding/json", "net", "log"} {
			if s.Name != heavy+".init" {
				assert.False(t, strings.HasPrefix(s.Name, heavy+"."), s.Name)
			}
		}
	}
	assert.Greater(t, found, 1000, "the library has no symbols to be judged by")
}

func TestImports_LibraryHasNoDependency(t *testing.T) {
	for _, dep := range strings.Fields(run(t, "go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "../pybuf")) {
		assert.Equal(t, "github.com/pybuf/pybuf-go/pybuf", dep)
	}
}

// The rules need no C: only what hands memory over does, and the extension
// module has ways of its own.
func TestImports_OnlyExportsNeedC(t *testing.T) {
	t.Setenv("CGO_ENABLED", "1")
	for tags, files := range map[string]string{"": "[c.go released.go]", "pyext": "[]"} {
		assert.Equal(t, files, strings.TrimSpace(run(t, "go", "list", "-tags", tags, "-f", "{{.CgoFiles}}", "../pybuf")))
	}
}
