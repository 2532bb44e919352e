# ./dev fuzz [SECONDS [NAME...]]: runs the fuzz targets of tests/fuzz, with address and undefined behaviour checked.
#
# What is found stays in build/fuzz/corpus/NAME and is where the next run goes on; an input that breaks a decoder is left
# in build/fuzz/crashes, and is a test to write.

dev_fuzz() {
  local seconds=${1:-30} names name status=0 directory=$root/build/fuzz
  [ $# -eq 0 ] || shift
  names=("$@")
  if [ ${#names[@]} -eq 0 ]; then
    for name in "$root"/tests/fuzz/*.cc; do names+=("$(basename "$name" .cc)"); done
  fi
  "$root/dev" build fuzz "${names[@]/#/fuzz_}"
  for name in "${names[@]}"; do
    mkdir -p "$directory/corpus/$name" "$directory/crashes"
    stage "$name, $seconds s" "$directory/bin/fuzz_$name" -max_total_time="$seconds" -verbosity=0 -print_funcs=0 -print_final_stats=1 \
      -rss_limit_mb=2048 -artifact_prefix="$directory/crashes/$name-" "$directory/corpus/$name" || status=1
  done
  return $status
}
