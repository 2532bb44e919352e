# ./dev build [PRESET [TARGET...]]: configures and builds build/PRESET, with ccache and mold.

# What a region consists of; the tests are the larger part of a build.
program_targets=(kilnd kiln nbdkit-kiln-plugin)

dev_build() {
  local preset=${1:-release} cores memory_gib jobs
  [ $# -eq 0 ] || shift
  cores=$(nproc)
  # A compiler needs up to 1.5 GiB for the largest file; more jobs than memory would end in swap.
  memory_gib=$(awk '/^MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)
  jobs=$((memory_gib * 2 / 3))
  [ "$jobs" -gt "$cores" ] && jobs=$cores
  [ "$jobs" -lt 1 ] && jobs=1
  # Paths in debug information are relative to the checkout, so that two checkouts share ccache's results.
  export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$root} CCACHE_NOHASHDIR=${CCACHE_NOHASHDIR:-1}
  local log=$root/build/$preset/configure.log
  mkdir -p "$root/build/$preset"
  (cd "$root" && cmake --preset "$preset" -Wno-dev >"$log" 2>&1) || {
    cat "$log" >&2
    die "cmake could not configure preset '$preset'"
  }
  cmake --build "$root/build/$preset" -j"$jobs" --target "${@:-all}"
}
