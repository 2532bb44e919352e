# ./dev bench [NAME...]: measures ours beside its peers and writes build/bench/NAME.json; bench/NAME.py does the work.
#
# Programs are built for release. The exit status is 0 only when every goal of every benchmark holds. Without names all
# benchmarks run, one after the other: nothing else should run beside them.

dev_bench() {
  local name status=0
  local -a names=("$@")
  if [ ${#names[@]} = 0 ]; then
    for name in "$root"/bench/*.py; do
      grep -q '^def main' "$name" && names+=("$(basename "$name" .py | sed 's/^copies$/copy/')")
    done
  fi
  for name in "${names[@]}"; do
    [ -r "$(dev_bench_file "$name")" ] || die "there is no benchmark '$name'"
  done
  stage "install what is missing" dev_bench_step deps || die "the dependencies could not be installed"
  dev_bench_step build release bench_programs || die "the build failed"
  for name in "${names[@]}"; do
    stage "bench $name" python "$(dev_bench_file "$name")" || status=1
  done
  return $status
}

# A file copy.py would hide a module of Python's own from all that stand beside it.
dev_bench_file() {
  if [ "$1" = copy ]; then echo "$root/bench/copies.py"; else echo "$root/bench/$1.py"; fi
}

dev_bench_step() { "$root/dev" "$@"; }
