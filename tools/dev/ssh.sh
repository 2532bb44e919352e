# ./dev ssh [-i KEY] [--data DIR] [USER@]INSTANCE [COMMAND...]: a shell in a guest, whatever namespace it lives in.
. "$root/tools/dev/region.sh"

dev_ssh() {
  local state key='' user=root instance address name described
  state=$(default_state)
  while [ $# -gt 0 ]; do
    case $1 in
      -i) key=$2; shift 2 ;;
      --data) state=$2; shift 2 ;;
      -*) die "usage: ./dev ssh [-i KEY] [--data DIR] [USER@]INSTANCE [COMMAND...]" ;;
      *) break ;;
    esac
  done
  [ $# -ge 1 ] || die "usage: ./dev ssh [-i KEY] [--data DIR] [USER@]INSTANCE [COMMAND...]"
  instance=$1
  shift
  case $instance in *@*) user=${instance%@*} instance=${instance#*@} ;; esac
  local endpoint hypervisor
  read_region "$state"
  [ "$hypervisor" != fake ] || die "instances of the fake hypervisor are not machines"
  export_region "$state"
  described=$(region_aws ec2 describe-instances --instance-ids "$instance" --output text \
    --query 'Reservations[].Instances[].[State.Name, PrivateIpAddress, KeyName]')
  read -r described address name <<<"$described"
  [ "$described" = running ] || die "$instance is ${described:-not there}"
  if [ -z "$key" ]; then
    [ "$name" != None ] || die "$instance was launched without a key pair: name a key with -i"
    key=$(key_file "$state" "$name")
  fi
  guest_ssh "$state" "$(readlink -f "$key")" "$user" "$address" "$@"
}
