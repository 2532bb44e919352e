# ./dev test: everything that continuous integration runs, from a clean checkout on a fresh Debian 12.
#
# Every stage runs even when an earlier one failed, and leaves its results in build/release/results; the last line
# counts all of them: unit tests, tidy checks and end-to-end tests. The exit status is 0 only when nothing failed.

unit_tests() {
  rm -rf "$results/unit"
  mkdir -p "$results/unit"
  # Tests of the suite Guest need machines, and run in the stage after this one where there can be any.
  local filter='*'
  if can_be_root; then filter='-Guest.*'; fi
  # Each test program writes an XML of its cases; ctest's own file tells of programs that ended before they could.
  # hypervisor_guests and nbd_guests are the stage after this one, and would write over the results of their programs.
  GTEST_FILTER=$filter GTEST_OUTPUT="xml:$results/unit/" GTEST_COLOR=no ctest --test-dir "$root/build/release" \
    -j"$(nproc)" --timeout 600 -E '^(hypervisor|nbd)_guests$' \
    --output-on-failure --output-junit "$results/ctest.xml" --no-tests=error
}

# The suites Guest of the programs that have one, under a libvirt of their own.
guest_tests() {
  local program status=0
  mkdir -p "$results/unit"
  for program in hypervisor_test nbd_test; do
    GTEST_COLOR=no "$root/tests/guests/run" "$root/build/release/bin/$program" '--gtest_filter=Guest.*' \
      "--gtest_output=xml:$results/unit/guests_of_$program.xml" || {
      status=$?
      # A program that was ended before it could write its results is a failure that has to be counted.
      [ -s "$results/unit/guests_of_$program.xml" ] ||
        echo '<testsuites><testsuite name="Guest"><testcase name="guests" classname="Guest"><failure message="ended without results"/></testcase></testsuite></testsuites>' >"$results/unit/guests_of_$program.xml"
    }
  done
  return $status
}

dev_test() {
  local results=$root/build/release/results began=$SECONDS status=0
  rm -rf "$results"
  mkdir -p "$results"
  stage "install what is missing" dev_test_step deps || die "the dependencies could not be installed"
  if stage "build" dev_test_step build release; then
    stage "unit tests" unit_tests || status=1
    if can_be_root; then stage "tests of hosts, with guests" guest_tests || status=1; fi
  else
    status=1
    echo "the build failed" >"$results/failed"
  fi
  stage "tidy" python "$root/tests/tidy/tidy.py" --results "$results/tidy.xml" || status=1
  if [ ! -e "$results/failed" ]; then
    stage "end-to-end tests" dev_test_step e2e || status=1
  fi
  say "== all: $((SECONDS - began)) s"
  python "$root/tools/dev/count.py" "$results" || status=1
  return $status
}

# A stage runs in a shell of its own, because die ends the shell that calls it.
dev_test_step() { "$root/dev" "$@"; }
