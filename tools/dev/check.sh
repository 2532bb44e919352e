# ./dev check [--fix] [--all]: format, tidy rules, types of the end-to-end tests, clang-tidy on what changed.
#
# "Changed" is what differs from the main branch, or from the last commit when main is checked out.

changed_sources() {
  local base=HEAD
  if [ "$(git -C "$root" rev-parse --abbrev-ref HEAD)" != main ]; then base=$(git -C "$root" merge-base HEAD main); fi
  {
    git -C "$root" diff --name-only --diff-filter=d "$base"
    git -C "$root" ls-files --others --exclude-standard
  } | sort -u | grep -E '^(src|tests)/.*\.(h|cc)$' || true
}

all_sources() { git -C "$root" ls-files --cached --others --exclude-standard | grep -E '^(src|tests)/.*\.(h|cc)$'; }

dev_check() {
  local fix='' all='' argument status=0 sources source
  for argument in "$@"; do
    case $argument in
      --fix) fix=yes ;;
      --all) all=yes ;;
      *) die "usage: ./dev check [--fix] [--all]" ;;
    esac
  done
  cd "$root" || return
  mapfile -t sources < <(if [ -n "$all" ]; then all_sources; else changed_sources; fi)
  if [ ${#sources[@]} -gt 0 ]; then
    if [ -n "$fix" ]; then clang-format-14 -i "${sources[@]}"; fi
    stage "format (./dev check --fix writes it)" clang-format-14 --dry-run -Werror "${sources[@]}" || status=1
  fi
  stage "tidy" python tests/tidy/tidy.py || status=1
  stage "types of tests/e2e" "$(node_binary)" tests/e2e/node_modules/typescript/bin/tsc -p tests/e2e --noEmit || status=1
  local units=()
  for source in "${sources[@]}"; do
    case $source in *.cc) units+=("$source") ;; esac
  done
  if [ ${#units[@]} -gt 0 ]; then
    [ -e build/release/compile_commands.json ] || "$root/dev" build release
    stage "clang-tidy of ${#units[@]} files" \
      bash -c 'printf "%s\0" "$@" | xargs -0 -P"$(nproc)" -n1 clang-tidy-14 --quiet -p build/release' - "${units[@]}" || status=1
  fi
  return $status
}
