# ./dev exec [--data DIR] COMMAND...: a built program, or any other, in the environment of the running region.
#
# kiln is told the data directory, aws the endpoint; all others find both in their environment, and our programs in PATH.
. "$root/tools/dev/region.sh"

dev_exec() {
  local state endpoint='' hypervisor=''
  state=$(default_state)
  if [ "${1-}" = --data ]; then
    state=$2
    shift 2
  fi
  [ $# -ge 1 ] || die "usage: ./dev exec [--data DIR] COMMAND..."
  if [ -e "$state/region.env" ]; then
    read_region "$state"
    export_region "$state"
  fi
  export PATH=$kiln_bin:$PATH
  case $1 in
    aws)
      [ -n "$endpoint" ] || read_region "$state"
      shift
      region_aws "$@"
      ;;
    kiln)
      shift
      region_kiln "$state" "$@"
      ;;
    *) exec "$@" ;;
  esac
}
