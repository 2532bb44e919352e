# The steps of ./dev demo. Each shows its commands as a user would type them.

shown() { printf '\e[36m  $ %s\e[0m\n' "$*"; }
tell() { printf '  %s\n' "$*"; }
short() { printf '%s' "${1#"$root"/}"; }
indent() { sed 's/^/  /'; }

# Arguments as a shell would need them, quoted only where they have to be.
quoted() {
  local word
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_./:=,@+-]* | '') printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
}

# demo_aws WORDS...: shows and runs an AWS CLI command; what it prints is shown too, and kept in $answer.
demo_aws() {
  shown "aws --endpoint-url $endpoint$(quoted "$@")"
  answer=$(region_aws "$@")
  [ -z "$answer" ] || indent <<<"$answer"
}

demo_kiln() {
  shown "kiln$(quoted "$@")"
  region_kiln "$demo_state" "$@" | indent
}

# demo_guest INSTANCE COMMAND...: runs a command in a guest over ssh; what it prints is shown, and kept in $answer.
demo_guest() {
  shown "./dev ssh --data $(short "$demo_state") $1$(quoted "${@:2}")"
  answer=$(dev_ssh --data "$demo_state" "$@")
  [ -z "$answer" ] || indent <<<"$answer"
}

demo_guest_answers() { dev_ssh --data "$demo_state" "$1" true >/dev/null 2>&1; }

demo_log_in_works() {  # demo_log_in_works INSTANCE...
  local instance began=$EPOCHREALTIME
  for instance in "$@"; do demo_wait "ssh into $instance" 600 demo_guest_answers "$instance"; done
  tell "ssh answers $(awk -v from="$began" -v to="$EPOCHREALTIME" 'BEGIN {printf "%.1f", to - from}') s after that"
}

demo_build_disk() {
  shown "guests/$demo_flavour/build $(short "$demo_state")/disk.raw"
  if [ "$demo_flavour" = tiny ]; then
    "$root/guests/tiny/build" "$demo_state/disk.raw" 2>&1 | indent
  else
    as_root "$root/guests/$demo_flavour/build" "$demo_state/disk.raw" 2>&1 | tail -n 3 | indent
  fi
  shown "ls -lsh $(short "$demo_state")/disk.raw"
  (cd "$root" && ls -lsh "$(short "$demo_state")/disk.raw") | indent
}

demo_import() {
  demo_kiln import "$demo_state/disk.raw" --name base
  demo_aws ec2 describe-images --owners self --filters Name=name,Values=base --query 'Images[0].[ImageId, State, BlockDeviceMappings[0].Ebs.SnapshotId]' --output text
  read -r demo_base _ demo_base_snapshot <<<"$answer"
}

demo_launch() {
  shown "aws --endpoint-url $endpoint ec2 create-key-pair --key-name demo --key-type ed25519 --query KeyMaterial --output text > $(short "$demo_state")/keys/demo.pem"
  (umask 77 && region_aws ec2 create-key-pair --key-name demo --key-type ed25519 --query KeyMaterial --output text >"$demo_state/keys/demo.pem")
  printf '#!/bin/sh\necho "user data ran"\n' >"$demo_state/user-data.sh"
  demo_aws ec2 run-instances --image-id "$demo_base" --instance-type t3.micro --key-name demo --user-data "file://$demo_state/user-data.sh" \
    --tag-specifications 'ResourceType=instance,Tags=[{Key=Name,Value=first}]' --query 'Instances[0].[InstanceId, State.Name]' --output text
  read -r demo_first _ <<<"$answer"
  demo_aws ec2 wait instance-running --instance-ids "$demo_first"
  demo_log_in_works "$demo_first"
  if [ "$demo_flavour" = tiny ]; then
    tell "the metadata service at 169.254.169.254, asked with a session token (IMDSv2) in the guest:"
    demo_guest "$demo_first" 'imds meta-data/instance-id; echo; imds user-data'
  else
    demo_guest "$demo_first" 'cloud-init query instance_id; cloud-init status --wait; uname -sr'
  fi
  demo_wait "the console showing the boot" 60 demo_console_shows "$demo_first"
  shown "aws --endpoint-url $endpoint ec2 get-console-output --latest --instance-id $demo_first --query Output --output text | tail -n 5"
  region_aws ec2 get-console-output --latest --instance-id "$demo_first" --query Output --output text | tail -n 5 | tr -d '\r' | indent
}

demo_console_shows() { region_aws ec2 get-console-output --latest --instance-id "$1" --output text | grep -qE 'user data ran|login:'; }

demo_image() {
  demo_guest "$demo_first" 'echo "written before the image was made" > /root/note && sync && cat /root/note'
  demo_guest "$demo_first" 'cat /proc/sys/kernel/random/boot_id'
  local boot=$answer
  demo_aws ec2 create-image --instance-id "$demo_first" --name changed --no-reboot --query ImageId --output text
  demo_changed=$answer
  demo_aws ec2 describe-images --image-ids "$demo_changed" --query 'Images[0].State' --output text
  demo_aws ec2 wait image-available --image-ids "$demo_changed"
  demo_aws ec2 describe-images --image-ids "$demo_changed" --query 'Images[0].[State, BlockDeviceMappings[0].Ebs.SnapshotId]' --output text
  read -r _ demo_changed_snapshot <<<"$answer"
  demo_guest "$demo_first" 'cat /proc/sys/kernel/random/boot_id'
  [ "$answer" = "$boot" ] || die "the guest was rebooted although --no-reboot was asked for"
  tell "the same boot: the guest did not notice"
}

demo_fleet() {
  demo_aws ec2 run-instances --image-id "$demo_changed" --count 2 --instance-type t3.micro --key-name demo --query 'Instances[].InstanceId' --output text
  read -r -a demo_two <<<"$answer"
  demo_aws ec2 wait instance-running --instance-ids "${demo_two[@]}"
  demo_log_in_works "${demo_two[@]}"
  local instance
  for instance in "${demo_two[@]}"; do
    demo_guest "$instance" 'cat /root/note'
    [ "$answer" = "written before the image was made" ] || die "$instance does not have the file"
  done
  demo_aws ec2 describe-instances --query 'Reservations[].Instances[].[InstanceId, State.Name, PrivateIpAddress, ImageId]' --output text
  demo_aws ec2 stop-instances --instance-ids "${demo_two[0]}" --query 'StoppingInstances[0].CurrentState.Name' --output text
  demo_aws ec2 wait instance-stopped --instance-ids "${demo_two[0]}"
  demo_aws ec2 start-instances --instance-ids "${demo_two[0]}" --query 'StartingInstances[0].CurrentState.Name' --output text
  demo_aws ec2 reboot-instances --instance-ids "${demo_two[1]}"
  demo_aws ec2 wait instance-running --instance-ids "${demo_two[@]}"
  demo_log_in_works "${demo_two[@]}"
  demo_guest "${demo_two[0]}" 'cat /root/note'
  tell "an image with 16 MiB of its own, whose space the next step gives back:"
  demo_guest "${demo_two[1]}" 'head -c 16777216 /dev/urandom > /root/data && sync && ls -l /root/data'
  demo_aws ec2 create-image --instance-id "${demo_two[1]}" --name larger --no-reboot --query ImageId --output text
  demo_larger=$answer
  demo_aws ec2 wait image-available --image-ids "$demo_larger"
  demo_aws ec2 terminate-instances --instance-ids "${demo_two[@]}" --query 'TerminatingInstances[].CurrentState.Name' --output text
  demo_aws ec2 wait instance-terminated --instance-ids "${demo_two[@]}"
}

demo_cleanup() {
  demo_kiln usage
  demo_aws ec2 describe-images --image-ids "$demo_larger" --query 'Images[0].BlockDeviceMappings[0].Ebs.SnapshotId' --output text
  local larger_snapshot=$answer
  demo_aws ec2 deregister-image --image-id "$demo_larger"
  demo_aws ec2 delete-snapshot --snapshot-id "$larger_snapshot"
  demo_aws ec2 deregister-image --image-id "$demo_changed"
  demo_aws ec2 delete-snapshot --snapshot-id "$demo_changed_snapshot"
  demo_kiln gc --grace 0
  demo_kiln usage
}

demo_kill() {
  local pid boot
  demo_guest "$demo_first" 'cat /proc/sys/kernel/random/boot_id'
  boot=$answer
  pid=$(kilnd_pid "$demo_state") || die "kilnd does not run"
  shown "kill -9 $pid   # kilnd"
  as_root kill -9 "$pid"
  wait "$demo_daemon" 2>/dev/null || true
  demo_start_daemon
  demo_aws ec2 describe-instances --instance-ids "$demo_first" --query 'Reservations[].Instances[].[InstanceId, State.Name, PrivateIpAddress, ImageId]' --output text
  demo_guest "$demo_first" 'cat /proc/sys/kernel/random/boot_id'
  [ "$answer" = "$boot" ] || die "the guest was rebooted"
  tell "the same boot: the guest never noticed"
  demo_aws ec2 terminate-instances --instance-ids "$demo_first" --query 'TerminatingInstances[].CurrentState.Name' --output text
  demo_aws ec2 wait instance-terminated --instance-ids "$demo_first"
  demo_aws ec2 deregister-image --image-id "$demo_base"
  demo_aws ec2 delete-snapshot --snapshot-id "$demo_base_snapshot"
  demo_kiln gc --grace 0
}
