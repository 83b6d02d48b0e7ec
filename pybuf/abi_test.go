//go:build cgo && !pyext

package pybuf

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"
)

// The struct that Go knows is the one of the header: the C compiler compares
// them. It is asked from inside, where they can be seen.
func TestDescriptor_IsTheStructOfTheHeader(t *testing.T) {
	var d descriptor
	checks := []string{
		fmt.Sprintf("sizeof(pybuf_descriptor) == %d", unsafe.Sizeof(d)),
		fmt.Sprintf("_Alignof(pybuf_descriptor) == %d", unsafe.Alignof(d)),
		fmt.Sprintf("PYBUF_DESCRIPTOR_MAGIC == %#x", uint64(descriptorMagic)),
		fmt.Sprintf("PYBUF_DESCRIPTOR_MAGIC != %#x", uint64(magicReleased)),
		fmt.Sprintf("PYBUF_DESCRIPTOR_VERSION == %d", descriptorVersion),
		fmt.Sprintf("PYBUF_MAX_NDIM == %d", MaxNDim),
		fmt.Sprintf("PYBUF_FLAG_READONLY == %d", flagReadOnly),
		fmt.Sprintf("PYBUF_FLAG_PROCESS == %d", flagProcess),
		fmt.Sprintf("PYBUF_FLAG_ERROR == %d", flagError),
		fmt.Sprintf("PYBUF_ERUNTIME == %d", codeRuntime),
		fmt.Sprintf("PYBUF_ESYSTEM == %d", codeSystem),
		"sizeof(((pybuf_descriptor *)0)->release) == sizeof(uintptr_t)",
	}
	for name, offset := range map[string]uintptr{
		"magic": unsafe.Offsetof(d.magic), "version": unsafe.Offsetof(d.version), "flags": unsafe.Offsetof(d.flags),
		"ndim": unsafe.Offsetof(d.ndim), "pid": unsafe.Offsetof(d.pid), "data": unsafe.Offsetof(d.data),
		"itemsize": unsafe.Offsetof(d.itemSize), "nbytes": unsafe.Offsetof(d.nbytes), "format": unsafe.Offsetof(d.format),
		"shape": unsafe.Offsetof(d.shape), "strides": unsafe.Offsetof(d.strides),
		"suboffsets": unsafe.Offsetof(d.suboffsets), "release": unsafe.Offsetof(d.release), "ctx": unsafe.Offsetof(d.ctx),
	} {
		checks = append(checks, fmt.Sprintf("offsetof(pybuf_descriptor, %s) == %d", name, offset))
	}
	for kind, name := range map[Kind]string{
		ErrValue: "EVALUE", ErrType: "ETYPE", ErrOverflow: "EOVERFLOW", ErrMemory: "EMEMORY", ErrBuffer: "EBUFFER", ErrRuntime: "ERUNTIME",
	} {
		for code, k := range kindOfCode {
			if k == kind {
				checks = append(checks, fmt.Sprintf("PYBUF_%s == %d", name, code))
			}
		}
	}
	compile(t, checks)
}

func compile(t *testing.T, checks []string) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skipf("no C compiler: %v", err)
	}
	if _, err := os.ReadFile("../capi/pybuf.h"); err != nil { // and go test sees it change
		t.Fatal(err)
	}
	program := "#include <stddef.h>\n#include \"pybuf.h\"\n"
	for _, check := range checks {
		program += fmt.Sprintf("_Static_assert(%s, \"differs from Go\");\n", check)
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "descriptor.c")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(cc, "-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-c", "-I../capi", file, "-o", filepath.Join(folder, "descriptor.o")).CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, strings.TrimSpace(string(out)))
	}
}
