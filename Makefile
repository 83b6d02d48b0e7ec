# pybuf: the jobs of a developer. `make` alone lists them.
#
# All Python lives in $(VENV). A stamp file there says what is done, so that a
# second run costs nothing; any change of the sources builds the extension anew.

# To choose: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
# Tests that run at once. Most wait for an interpreter of their own: one more
# than there are processors.
JOBS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
PYVER := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

# Commands that stand in for those of this machine, where it has no Go that is
# new enough or no C compiler that works.
STAND_INS := $(abspath $(VENV))/stand-ins
export PATH := $(STAND_INS):$(PATH)

# As setup.py has it: -buildvcs=false, else go stops in a checkout that is owned
# by another user.
export CGO_ENABLED := 1
export GO111MODULE := on
export GOFLAGS := -mod=readonly -buildvcs=false
export GOWORK := off
# A foreign path would let another pybuf into the tests.
unexport PYTHONHOME PYTHONPATH
# Another target would build here, and not run.
unexport GOOS GOARCH

# Folders are among the sources: a file that is removed changes its folder only.
SOURCES := pyshim $(shell find pybuf capi gopybuf/*.h pyshim/*.go pyshim/*.c pyshim/*.h pyshim/*.map \
	\( -type d -o -name '*.go' -o -name '*.c' -o -name '*.h' -o -name '*.map' \) \
	! -name '*_test.go' 2>/dev/null)
BUILD := setup.py pyproject.toml go.mod $(wildcard pyshim/buildsys/*.py)
EXTENSION := pyshim/pybuf/_core.abi3.so
EXTENSION_PACKAGES := ./capi ./pybuf ./pyshim

# Not build, where gopy leaves Go files.
GO_FOLDERS := $(wildcard capi gopybuf pybuf pyshim tests_go tests_py examples)

# gopy's modules, and those of Cython, are built against Python's own headers;
# pybuf is not. Their tests may skip where there are none, and only there.
PYTHON_H = $$($(PY) -c 'import os, sysconfig as s; print(os.path.join(s.get_path("include"), "Python.h"))')

.PHONY: help
help: ## list the jobs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(VENV)/.installed $(VENV)/.go-modules ## make .venv, with the test tools and pybuf built from this tree

.PHONY: demo
demo: setup ## show what pybuf does
	$(PY) -m pybuf demo

.PHONY: example
example: setup ## build examples/goimage, Go's pictures as arrays, and run it
	$(PY) examples/goimage/build.py
	@mkdir -p build
	$(PY) examples/goimage/demo.py --output build

.PHONY: test
test: setup ## run all tests, Go and Python
	@$(MAKE) --no-print-directory test-go
	@$(MAKE) --no-print-directory test-py

.PHONY: test-go
test-go: ## run the Go tests only (no Python is needed)
	@command -v go >/dev/null || { echo "There is no go command on PATH: install Go" \
		"$$(sed -n 's/^go //p' go.mod) or newer (https://go.dev/dl) and put it there, or let" \
		"make setup bring one." >&2; exit 1; }
	go build ./... && go vet ./... && go test ./...
# Once more with all that makes faults of lent memory show: descriptors are kept
# after their release, freed memory is overwritten, the collector runs all the
# time, and every pointer that reaches C is checked.
	GOEXPERIMENT=cgocheck2 GODEBUG=clobberfree=1 GOGC=1 \
		go test -tags pybufdebug -skip 'ABI|Imports' ./pybuf/... ./gopybuf ./tests_go
	go test -race -skip 'ABI|Imports' ./pybuf/... ./gopybuf ./tests_go

.PHONY: test-py
test-py: setup ## run the Python tests only
	@if test -e "$(PYTHON_H)"; then \
		$(PY) tests_py/gopy_build.py && PYBUF_NEED_GOPY=1 $(PY) -m pytest -n $(JOBS); \
	else \
		echo "There is no $(PYTHON_H): tests that build against it skip."; \
		$(PY) -m pytest -n $(JOBS); \
	fi

.PHONY: lint
lint: setup $(VENV)/.tools-lint ## run every checker; all of them must be silent
	@unformatted=$$(gofmt -l $(GO_FOLDERS)); test -z "$$unformatted" || \
		{ echo "gofmt -w would change: $$unformatted" >&2; exit 1; }
	go vet ./...
	cd tests_py/gopy && go vet ./...
	go vet -tags pyext $(EXTENSION_PACKAGES)
	go run $(STATICCHECK) ./...
	go run $(STATICCHECK) -tags pyext $(EXTENSION_PACKAGES)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -m pyright --pythonpath $(PY)
	$(PY) -m mypy.stubtest --mypy-config-file pyproject.toml pybuf
	PYBUF_WERROR=1 $(PY) setup.py -q build_ext --build-lib build/werror --build-temp build/werror

.PHONY: wheel
wheel: $(VENV)/.tools-test $(VENV)/.stand-ins ## build the wheel into dist/
# setuptools packs what it finds in build/, removed files included.
	rm -rf build/bdist* build/lib* dist
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .
	@ls -l dist

.PHONY: release
release: ## make what would be uploaded into dist/, and check it
	.ci/release

.PHONY: bare
bare: ## install pybuf in chroots with nothing but Python (as root, by debootstrap)
	.ci/bare

.PHONY: bench
bench: setup ## time pybuf beside NumPy, ctypes and others
	$(PY) benchmarks/run.py
	$(PY) benchmarks/process.py

.PHONY: clean
clean: ## remove all that was made here
	rm -rf --one-file-system $(VENV) build dist pyshim/*.egg-info $(EXTENSION) pyshim/pybuf/*.abi3.h
	rm -f pyshim/pybuf/include/*.h
	rm -f examples/*/lib*.so examples/*/lib*.h
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# The venv, anew for each minor version. Without its interpreter a stamp lies.
$(VENV)/.venv-$(PYVER): $(if $(wildcard $(PY)),,FORCE)
	@case "$(PYVER)" in \
	"") echo "There is no working $(PYTHON): install CPython 3.11 or newer, or name one" \
		"(make PYTHON=python3.12)." >&2; exit 1;; \
	2.*|3.?|3.10) echo "$(PYTHON) is Python $(PYVER), and pybuf needs 3.11 or newer: name a newer" \
		"one (make PYTHON=python3.12)." >&2; exit 1;; \
	esac
# Only what the machine has itself is judged, not the stand-ins of last time.
	@rm -rf "$(STAND_INS)"
	@PYTHONPATH=pyshim $(PYTHON) -B -m buildsys >/dev/null
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

# What builds, where the machine lacks it.
$(VENV)/.stand-ins: pyshim/buildsys/toolchain.py pyshim/buildsys/wrappers.py $(VENV)/.venv-$(PYVER)
	@rm -rf "$(STAND_INS)"
	@lacking=$$(PYTHONPATH=pyshim $(PYTHON) -B -m buildsys); \
	test -z "$$lacking" || { \
		echo "This machine lacks what these bring:" $$lacking; \
		printf '%s\n' "$$lacking" >$(VENV)/lacking.txt; \
		$(PIP) install -r $(VENV)/lacking.txt; \
	}
	@PYTHONPATH=pyshim $(PY) -B -m buildsys wrappers "$(STAND_INS)"
	@touch $@

$(VENV)/.tools-%: .ci/requirements/%.txt $(VENV)/.venv-$(PYVER)
	$(PIP) install -r $<
	@touch $@

# Without isolation: the pinned setuptools builds, and nothing is fetched.
$(VENV)/.installed: $(VENV)/.tools-test $(VENV)/.stand-ins $(SOURCES) $(BUILD) $(if $(wildcard $(EXTENSION)),,FORCE)
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What the Go tests import and run; from here on nothing needs a network. After
# the install, which says in a sentence what a machine without Go lacks.
$(VENV)/.go-modules: $(foreach f,. tests_py/gopy,$(f)/go.mod $(f)/go.sum) | $(VENV)/.installed
	go mod download
	cd tests_py/gopy && go mod download
	@touch $@

.PHONY: FORCE
FORCE:
