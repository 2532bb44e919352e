# What run, ssh, exec and demo share: where a region keeps its state, and how programs are run against it.
#
# STATE/              kilnd's data directory (credentials, kilnd.sock, ...)
# STATE/region.env    while a region runs: endpoint, hypervisor and build directory
# STATE/host/         the private libvirt, when the region has one

kiln_bin=${KILN_BUILD:-$root/build/release}/bin

# Writes STATE/region.env: what ssh and exec need to know of a region that runs.
write_region() {  # write_region STATE ENDPOINT HYPERVISOR
  printf 'endpoint=%q\nhypervisor=%q\n' "$2" "$3" >"$1/region.env"
}

# Sets endpoint and hypervisor of the region whose state this is; fails when none runs there.
read_region() {
  endpoint='' hypervisor=''
  [ -r "$1/region.env" ] || die "no region runs on $1: start one with ./dev run"
  # shellcheck disable=SC1091
  . "$1/region.env"
}

# The environment that AWS clients read.
export_region() {  # export_region STATE
  export AWS_ENDPOINT_URL=$endpoint AWS_SHARED_CREDENTIALS_FILE=$1/credentials AWS_PAGER='' AWS_EC2_METADATA_DISABLED=true
  export KILN_DATA=$1 AWS_DEFAULT_REGION=${AWS_DEFAULT_REGION:-us-east-1}
}

# Debian's AWS CLI is older than AWS_ENDPOINT_URL, so the endpoint is an argument as well.
region_aws() { "$(aws_cli)" --endpoint-url "$endpoint" "$@"; }

# kilnd's socket belongs to whoever started it: root, when guests need it.
region_kiln() {  # region_kiln STATE WORDS...
  local state=$1
  shift
  if [ ! -S "$state/kilnd.sock" ] || [ -w "$state/kilnd.sock" ]; then
    KILN_DATA=$state "$kiln_bin/kiln" "$@"
  else
    as_root env "KILN_DATA=$state" "$kiln_bin/kiln" "$@"
  fi
}

# The process id of the kilnd that holds this data directory, in our view of processes.
kilnd_pid() {  # kilnd_pid STATE
  local process
  for process in /proc/[0-9]*; do
    local words=()
    { mapfile -d '' -t words <"$process/cmdline"; } 2>/dev/null || true
    # nsenter and sudo have the same words further on; only the daemon itself begins with its name.
    if [[ ${words[0]-} == */kilnd && " ${words[*]} " == *" --data $1 "* ]]; then
      echo "${process#/proc/}"
      return 0 # in a trap, a bare return would give the status of before the trap
    fi
  done
  return 1
}

# The private key of a key pair, wherever a user would keep it.
key_file() {  # key_file STATE NAME
  local file
  for file in "$1/keys/$2.pem" "$PWD/$2.pem" "$PWD/$2" "$HOME/.ssh/$2.pem" "$HOME/.ssh/$2"; do
    if [ -r "$file" ]; then echo "$file"; return; fi
  done
  die "no private key for key pair '$2': name it with ./dev ssh -i FILE, or put it at $1/keys/$2.pem"
}

# Runs ssh where guests can be reached: in the region's namespaces, or here for the host's own libvirt.
guest_ssh() {  # guest_ssh STATE KEY USER ADDRESS COMMAND...
  local state=$1 key=$2 destination=$3@$4
  shift 4
  local command=(ssh -i "$key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR
    -o ConnectTimeout=5 "$destination" "$@")
  if [ -e "$state/host/pid" ]; then
    as_root "$root/guests/private-libvirt/enter" "$state/host" -- "${command[@]}"
  else
    "${command[@]}"
  fi
}
