# ./dev e2e [NAME...]: end-to-end tests with real AWS clients, against a region in namespaces of its own.
#
# KILN_E2E=fake runs those that need no guest on the fake host, as any user and in seconds. KILN_KEEP=1 keeps the data.
# KILN_LIBVIRT=installed has a libvirt with the package's own configuration, as the host's own would be.

dev_e2e() {
  local preset=release node results=$root/build/release/results command
  [ -x "$root/build/$preset/bin/kilnd" ] || "$root/dev" build $preset kilnd kiln nbdkit-kiln-plugin
  node=$(node_binary)
  mkdir -p "$results"
  command=(env "KILN_E2E=${KILN_E2E-}" "KILN_KEEP=${KILN_KEEP-}" "KILN_LIBVIRT=${KILN_LIBVIRT-}" "KILN_DEB_CACHE=$KILN_DEB_CACHE" "KILN_WRITE_DOCS=${KILN_WRITE_DOCS-}"
    "$node" --disable-warning=ExperimentalWarning
    --test-reporter=spec --test-reporter-destination=stdout
    --test-reporter=junit --test-reporter-destination="$results/e2e.xml"
    "$root/tests/e2e/main.ts" "$@")
  if [ "${KILN_E2E-}" != fake ] && [ "$(id -u)" != 0 ] && can_be_root; then
    local status=0
    as_root "${command[@]}" || status=$?
    # The results are the user's, whoever ran the tests.
    as_root chown "$(id -u):$(id -g)" "$results/e2e.xml"
    return $status
  fi
  "${command[@]}"
}
