# What the commands of ./dev share: messages, privileges, stages with times. Sourced; needs $root.

say() { printf '%s\n' "$*"; }
warn() { printf 'dev: %s\n' "$*" >&2; }
die() { warn "$*"; exit 1; }

# Runs a command as root: directly, or through sudo. Environment that our programs read is handed through.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    command -v sudo >/dev/null || die "this needs root, and there is no sudo"
    sudo --preserve-env=PATH,KILN_DEB_CACHE,KILN_E2E,KILN_LIBVIRT,KILN_SEED,KILN_LOG,HTTP_PROXY,HTTPS_PROXY,NO_PROXY,http_proxy,https_proxy,no_proxy \
      -- "$@"
  fi
}

# True when as_root works without asking anybody, as tests need.
can_be_root() { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

# stage NAME COMMAND...: runs it under a headline and says how long it took; its status is the command's.
stage() {
  local name=$1 began=$SECONDS status=0
  shift
  say "== $name"
  "$@" || status=$?
  if [ $status = 0 ]; then say "== $name: $((SECONDS - began)) s"; else say "== $name: FAILED after $((SECONDS - began)) s"; fi
  return $status
}

# Debian's own AWS CLI even where another one is earlier in PATH: it is the one that deps installs.
aws_cli() { if [ -x /usr/bin/aws ]; then echo /usr/bin/aws; else command -v aws; fi; }

# Debian's python3: the scripts need nothing but its standard library.
python() { if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi; }

# Node for the end-to-end tests is an npm package of a fixed version: Debian's is too old for the SDK.
node_binary() {
  local binary
  for binary in "$root"/tests/e2e/node_modules/node-linux-{x64,arm64}/bin/node; do
    if [ -x "$binary" ]; then echo "$binary"; return; fi
  done
  die "tests/e2e has no node yet: run ./dev deps"
}

# Packages that the guest images are made of are kept in the checkout, so that nothing is written elsewhere.
export KILN_DEB_CACHE=${KILN_DEB_CACHE:-$root/.kiln/debs}

# The state of a region: kilnd's data directory, and in it the private libvirt's directory and region.env.
default_state() { echo "${KILN_DATA:-$root/.kiln/region}"; }
