# ./dev run: a region in the foreground. Ctrl-C ends it.
. "$root/tools/dev/region.sh"
. "$root/tools/dev/build.sh"

run_usage() {
  cat <<'TEXT'
usage: ./dev run [--port N] [--data DIR] [--hypervisor libvirt|fake] [--libvirt URI] [--config FILE]

  --port N         listen on 127.0.0.1:N (8773); 0 picks a free port
  --data DIR       the region's data (.kiln/region in the checkout); what is there is used again
  --hypervisor H   libvirt: real guests (the default); fake: no guests, neither root nor libvirt
  --libvirt URI    the guests of an existing libvirt, such as qemu:///system, instead of a private one
  --config FILE    kilnd's configuration

With a private libvirt, guests live in namespaces of their own and end with the region; on the next run, those that
should be running are started again. Guests of --libvirt go on.
TEXT
}

# Passes kilnd's output on; when it says that it is ready, says what a user needs next. Ends with its input.
announce() {  # announce STATE HYPERVISOR
  local state=$1 hypervisor=$2 line endpoint data=''
  [ "$state" = "$(default_state)" ] || data=" --data $state"
  trap '' INT TERM HUP
  while IFS= read -r line; do
    say "$line"
    case $line in "kiln is ready at "*) ;; *) continue ;; esac
    endpoint=${line#kiln is ready at }
    write_region "$state" "$endpoint" "$hypervisor"
    # The daemon may run as root; the key is for the user who started it.
    if [ ! -r "$state/credentials" ]; then as_root chown "$(id -u)" "$state/credentials" || true; fi
    cat <<TEXT

For clients in another terminal:
  export AWS_ENDPOINT_URL=$endpoint AWS_SHARED_CREDENTIALS_FILE=$state/credentials AWS_DEFAULT_REGION=us-east-1

Or without exports (Debian's AWS CLI is older than AWS_ENDPOINT_URL; ./dev exec passes --endpoint-url):
  guests/tiny/build tiny.raw && ./dev exec$data kiln import tiny.raw --name base
  mkdir -p $state/keys && (umask 77; ./dev exec$data aws ec2 create-key-pair --key-name me --query KeyMaterial --output text > $state/keys/me.pem)
  ./dev exec$data aws ec2 describe-images --owners self
  ./dev exec$data aws ec2 run-instances --instance-type t3.nano --key-name me --image-id ami-...
  ./dev ssh$data i-...
TEXT
  done
  rm -f "$state/region.env"
}

dev_run() {
  local port=8773 state hypervisor=libvirt uri='' config='' arguments
  state=$(default_state)
  while [ $# -gt 0 ]; do
    case $1 in
      --port) port=$2; shift 2 ;;
      --data) state=$2; shift 2 ;;
      --hypervisor) hypervisor=$2; shift 2 ;;
      --libvirt) uri=$2; shift 2 ;;
      --config) config=$2; shift 2 ;;
      -h | --help) run_usage; return ;;
      *) run_usage >&2; die "unknown option '$1'" ;;
    esac
  done
  case $hypervisor in libvirt | fake) ;; *) die "--hypervisor is libvirt or fake" ;; esac
  dev_run_prepare
  mkdir -p "$state"
  state=$(cd "$state" && pwd -P)
  if [ -e "$state/region.env" ] && kilnd_pid "$state" >/dev/null; then die "a region runs on $state already"; fi
  arguments=(--data "$state" --hypervisor "$hypervisor")
  if [ -n "$uri" ]; then arguments+=(--libvirt "$uri"); fi
  if [ -n "$config" ]; then arguments+=(--config "$(readlink -f "$config")"); fi
  local command=("$kiln_bin/kilnd" "${arguments[@]}")
  if [ "$hypervisor" = libvirt ] && [ -z "$uri" ]; then
    command=("$root/guests/private-libvirt/run" "$state/host" -- "${command[@]}")
  fi
  run_until_signalled "$state" "$hypervisor" "127.0.0.1:$port" "${command[@]}"
}

dev_run_prepare() {
  "$root/dev" deps
  # KILN_BUILD names a build directory of one's own, which is used as it is.
  [ -n "${KILN_BUILD-}" ] || "$root/dev" build release "${program_targets[@]}" | tail -n 1
}

run_until_signalled() {  # run_until_signalled STATE HYPERVISOR ADDRESS COMMAND...
  local state=$1 hypervisor=$2 address=$3 status=0 daemon
  shift 3
  env --default-signal=INT,QUIT /usr/bin/python3 "$root/tools/dev/listen.py" "$address" -- "$@" \
    > >(announce "$state" "$hypervisor") &
  daemon=$!
  trap 'kill -TERM $daemon 2>/dev/null || true' TERM HUP INT
  # wait returns early when a signal came; the last one tells the status.
  while status=0; wait "$daemon" || status=$?; kill -0 "$daemon" 2>/dev/null; do :; done
  rm -f "$state/region.env"
  return $status
}
