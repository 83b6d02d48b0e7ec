# What the programs of this folder share; they source it.

fail() {
  echo "$*" >&2
  exit 1
}

# Prints the interpreter of a version, such as 3.12. One that is only a shim of
# pyenv, or lacks venv, is passed over.
find_python() {
  local version=$1 candidate candidates=()
  candidates+=("$(command -v "python$version" || true)")
  if command -v pyenv >/dev/null; then
    candidates+=("$(pyenv root)"/versions/"$version"*/bin/"python$version")
  fi
  if command -v uv >/dev/null; then
    candidates+=("$(uv python find --no-project "$version" 2>/dev/null || true)")
  fi
  for candidate in "${candidates[@]}"; do
    if [[ -x $candidate ]] && "$candidate" - "$version" >/dev/null 2>&1 <<'PYTHON'; then
import ensurepip, sys, sysconfig, venv
assert "%d.%d" % sys.version_info[:2] == sys.argv[1]
assert not sysconfig.get_config_var("Py_GIL_DISABLED")
PYTHON
      echo "$candidate"
      return
    fi
  done
  fail "There is no working CPython $version with pip and venv on PATH, in pyenv or in uv:" \
    "install it, or name the versions to try in PYBUF_CI_PYTHONS."
}
