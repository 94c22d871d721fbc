# Sourced by tools/quickstart and tools/test: packages, data folder, configure and build.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# One cache for all build folders of a checkout: the Python package takes the program's objects from it.
export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-pch_defines,time_macros}

say() { printf '==> %s\n' "$*"; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# packages build|test|fuzz: the names in packages.txt; test adds those marked "# test" to the
# unmarked ones, fuzz is those marked "# fuzz" alone.
packages() {
  case $1 in
    build) grep -vE '^#|# (test|fuzz)' "$root/tools/packages.txt" ;;
    test) grep -vE '^#|# fuzz' "$root/tools/packages.txt" ;;
    fuzz) grep '# fuzz' "$root/tools/packages.txt" ;;
  esac | sed 's/[[:space:]]*#.*//'
}

# install_packages build|test|fuzz
install_packages() {
  local missing=() package
  for package in $(packages "$1"); do
    # Some distributions have it under another name.
    ! grep -q "^$package .*optional" "$root/tools/packages.txt" ||
      [ -n "$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^  Candidate: *\([^(]\)/\1/p')" ] ||
      continue
    [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = 'ii ' ] ||
      missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    say "packages: all there"
    return
  fi
  command -v apt-get >/dev/null ||
    die "these packages are missing and there is no apt-get to install them: ${missing[*]}"
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
      die "installing needs root or sudo; ask for these packages: ${missing[*]}"
    apt=(sudo "${apt[@]}")
  fi
  say "packages: installing ${missing[*]}"
  local log
  log=$(mktemp)
  if ! "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >"$log" 2>&1; then
    # The package lists may be missing or out of date.
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${missing[@]}"; } \
      >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "apt-get could not install ${missing[*]}"; }
  fi
  rm -f "$log"
}

# cuobjdump for the tests that read the kernels' machine code: distributions do not package it. Without
# it (no pip, no network) those tests are skipped.
find_cuobjdump() {
  local folder=$root/build/cuda-tools tool
  command -v nvcc >/dev/null || [ -x /usr/local/cuda/bin/nvcc ] || return 0
  ! command -v cuobjdump >/dev/null && [ ! -x /usr/local/cuda/bin/cuobjdump ] || return 0
  if [ ! -d "$folder/nvidia" ]; then
    rm -rf "$folder.part"
    if ! python3 -m pip install --quiet --disable-pip-version-check --target "$folder.part" \
      nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm >"$root/build/cuda-tools.log" 2>&1; then
      say "cuobjdump: not to be had (build/cuda-tools.log); machine code is not checked"
      return 0
    fi
    mv "$folder.part" "$folder"
  fi
  for tool in cuobjdump nvdisasm; do
    export "${tool^^}=$(find "$folder" -path "*/bin/$tool" | head -n 1)"
  done
  say "cuobjdump: $CUOBJDUMP"
}

# A copy of MNIST next to the checkout saves the download.
find_data() {
  if [ -z "${SMOOTHCERT_DATA:-}" ] && [ -d "$root/../shared/data/mnist" ]; then
    SMOOTHCERT_DATA=$(cd "$root/../shared/data/mnist" && pwd)
    export SMOOTHCERT_DATA
    say "data: $SMOOTHCERT_DATA"
  fi
}

# As many compilers as there are cores, and no more than one per 1.5 GB of memory.
jobs_here() {
  local cores memory
  cores=$(nproc)
  memory=$(awk '/MemAvailable/ { print int($2 / 1500000) }' /proc/meminfo 2>/dev/null || echo "$cores")
  [ "${memory:-0}" -ge 1 ] || memory=1
  echo $((cores < memory ? cores : memory))
}

# configure FOLDER [CMAKE OPTIONS...]
configure() {
  local folder=$1 log
  shift
  log="$folder/configure.log"
  mkdir -p "$folder"
  local launcher=()
  if command -v ccache >/dev/null; then
    launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
  fi
  cmake -S "$root" -B "$folder" -G Ninja "${launcher[@]}" "$@" >"$log" 2>&1 ||
    { cat "$log" >&2; die "CMake failed; its output is above and in $log"; }
  # The one line that says whether this is a CPU or a CUDA build.
  sed -n 's/^-- smoothcert: /==> build: /p' "$log"
}

# build FOLDER [TARGET...]
build() {
  local folder=$1
  shift
  cmake --build "$folder" -j "$(jobs_here)" ${1:+--target "$@"}
}
