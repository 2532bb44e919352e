# Bootable disks without loop devices, mounts or privileges. Sourced by the build scripts of this folder.
#
# A disk is GPT: a BIOS-boot partition at 1 MiB that holds GRUB's core image, then what the caller asks for. File
# systems are made in files of their own and copied in at their offset, sparsely, so a disk takes the space of what is
# in it. Everything is a function of the inputs: the same packages and settings give the same bytes.

PATH=$PATH:/usr/sbin:/sbin

readonly BIOS_BOOT_TYPE=21686148-6449-6E6F-744E-656564454649
readonly ESP_TYPE=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
readonly LINUX_ROOT_TYPE=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709

need() {  # need PROGRAM PACKAGE ...: fails naming what to install
  local missing=()
  while [ $# -gt 0 ]; do
    command -v "$1" >/dev/null || [ -e "$1" ] || missing+=("$2")
    shift 2
  done
  [ ${#missing[@]} -eq 0 ] || { echo "not installed, needed here: ${missing[*]}" >&2; exit 1; }
}

# put_u16, put_u64 FILE OFFSET VALUE: little-endian integers, written in place.
put_bytes() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none; }
put_u16() { put_bytes "$1" "$2" "$(printf '\\x%02x\\x%02x' $(($3 & 255)) $(($3 >> 8 & 255)))"; }
put_u64() {
  local text='' value=$3 i
  for i in 1 2 3 4 5 6 7 8; do
    text+=$(printf '\\x%02x' $((value & 255)))
    value=$((value >> 8))
  done
  put_bytes "$1" "$2" "$text"
}

# install_bios_grub DISK CORE: what grub-install writes, for a core image at sector 2048 of a GPT disk. boot.img goes
# into the first 440 bytes of sector 0 and is told where the core begins (at 0x5c); the core's first sector loads the
# rest of it, from a list at 0x1f4: first sector, count, segment.
install_bios_grub() {
  local disk=$1 core=$2 work sectors
  work=$(mktemp -d)
  cp /usr/lib/grub/i386-pc/boot.img "$work/boot"
  cp "$core" "$work/core"
  sectors=$((($(stat -c %s "$core") + 511) / 512))
  [ "$sectors" -le 2048 ] || { echo "GRUB's core image has $sectors sectors and 2048 fit" >&2; return 1; }
  truncate -s $((sectors * 512)) "$work/core"
  put_u64 "$work/boot" $((0x5c)) 2048
  put_u64 "$work/core" $((0x1f4)) 2049
  put_u16 "$work/core" $((0x1fc)) $((sectors - 1))
  put_u16 "$work/core" $((0x1fe)) $((0x820))
  dd if="$work/boot" of="$disk" bs=440 count=1 conv=notrunc status=none
  dd if="$work/core" of="$disk" bs=512 seek=2048 conv=notrunc status=none
  rm -rf "$work"
}

# place FILE DISK MIB: FILE's content at that offset; holes stay holes.
place() { dd if="$1" of="$2" bs=1M seek="$3" conv=notrunc,sparse status=none; }

# fetch_debs CACHE PACKAGE...: CACHE holds PACKAGE_*.deb afterwards, from the system's own apt sources; what is there
# already is not asked for again. No privileges.
fetch_debs() {
  local cache=$1 package wanted=()
  shift
  mkdir -p "$cache"
  for package in "$@"; do
    compgen -G "$cache/${package}_*.deb" >/dev/null || wanted+=("$package")
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  # Into a directory of its own first: a download that is cut off leaves nothing that looks whole.
  local partial
  partial=$(mktemp -d "$cache/partial.XXXXXX")
  if ! (cd "$partial" && apt-get -q -o "APT::Sandbox::User=$(id -un)" download "${wanted[@]}") \
    >"$partial/log" 2>&1; then
    cat "$partial/log" >&2
    echo "cannot download ${wanted[*]} (is 'apt-get update' due?)" >&2
    rm -rf "$partial"
    return 1
  fi
  mv "$partial"/*.deb "$cache/"
  rm -rf "$partial"
}
