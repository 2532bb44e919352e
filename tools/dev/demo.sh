# ./dev demo [--debian] [--port N] [--keep]: everything that a user does first, from a disk image to machines made of the
# image of a machine, with the unmodified AWS CLI. Every command is shown, and the time that each step took.
#
# All of it happens in .kiln/demo and in namespaces that end with it; the directory is removed unless --keep is given.
. "$root/tools/dev/region.sh"
. "$root/tools/dev/build.sh"
. "$root/tools/dev/ssh.sh"
. "$root/tools/dev/demo_region.sh"
. "$root/tools/dev/demo_steps.sh"

demo_usage() {
  cat <<'TEXT'
usage: ./dev demo [--debian] [--port N] [--keep]

  --debian   a Debian 12 with cloud-init instead of the tiny Linux; without KVM its boots take a minute each
  --port N   serve on 127.0.0.1:N (8773); 0 picks a free port
  --keep     keep .kiln/demo, for ./dev run --data .kiln/demo
TEXT
}

dev_demo() {
  demo_flavour=tiny demo_port=8773 demo_keep=''
  while [ $# -gt 0 ]; do
    case $1 in
      --debian) demo_flavour=debian; shift ;;
      --port) demo_port=$2; shift 2 ;;
      --keep) demo_keep=yes; shift ;;
      -h | --help) demo_usage; return ;;
      *) demo_usage >&2; die "unknown option '$1'" ;;
    esac
  done
  demo_began=$SECONDS
  demo_names=() demo_times=()
  step "0. install what is missing and build" demo_prepare
  demo_open
  step "1. build a bootable disk image" demo_build_disk
  step "2. start a region" demo_start
  step "3. import the disk as an image" demo_import
  step "4. launch an instance and log in" demo_launch
  step "5. change it, and make an image of it" demo_image
  step "6. launch two of the new image; stop, start, reboot" demo_fleet
  step "7. deregister, delete, collect garbage" demo_cleanup
  step "8. kill the daemon while a guest runs" demo_kill
  demo_close
  demo_summary
}

# Runs one step of the demo under its headline, and remembers how long it took. A step that fails ends the demo: the
# commands in it run with errexit, so each of them has to succeed.
step() {  # step HEADLINE FUNCTION
  local began=$EPOCHREALTIME
  printf '\n\e[1m%s\e[0m\n' "$1"
  demo_step=$1
  "$2"
  demo_names+=("$1")
  demo_times+=("$(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN {printf "%.1f", to - from}')")
  printf '  (%s s)\n' "${demo_times[-1]}"
}

demo_prepare() {
  "$root/dev" deps
  [ -n "${KILN_BUILD-}" ] || "$root/dev" build release "${program_targets[@]}" | tail -n 1
}

demo_summary() {
  local index
  printf '\n%-58s %s\n' "step" "seconds"
  for index in "${!demo_names[@]}"; do printf '%-58s %7s\n' "${demo_names[$index]}" "${demo_times[$index]}"; done
  printf '%-58s %7s\n' "all" "$((SECONDS - demo_began))"
  cat <<TEXT

Nothing of it runs any more. What to type next:
  ./dev run${demo_keep:+ --data .kiln/demo}             # a region to play with; it says what to export
  ./dev exec kiln --help
  ./dev exec aws ec2 describe-images --owners self
  ./dev test            # everything is tested, with real machines too
TEXT
}
