# ./dev deps: installs what is missing and nothing else. Debian 12 packages through apt, the rest through npm.

build_packages=(
  g++ cmake ninja-build ccache mold pkg-config git ca-certificates
  libboost1.81-dev libboost-json1.81-dev libsqlite3-dev liblmdb-dev libzstd-dev libxxhash-dev libssl-dev libfmt-dev
  libspdlog-dev libtomlplusplus-dev libcli11-dev libpugixml-dev libcurl4-openssl-dev libvirt-dev nbdkit-plugin-dev
  libgtest-dev libgmock-dev
)
# Peers and tools of ./dev bench.
bench_packages=(fio nbdkit libnbd-bin qemu-utils strace restic borgbackup casync)
# A region: guests, their disks and network.
run_packages=(
  qemu-system-x86 qemu-utils seabios libvirt-daemon libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients nbdkit
  dnsmasq-base iproute2 iptables ebtables kmod procps util-linux mount openssh-client python3
)
# The guest images are made of Debian packages by these tools.
image_packages=(
  apt binutils busybox-static dropbear-bin fdisk e2fsprogs dosfstools mtools grub-common grub-pc-bin grub-efi-amd64-bin
  mmdebstrap lz4 cpio
)
test_packages=(
  ansible python3-boto3
  awscli libnbd-bin libnbd-dev python3-libnbd jq clang-14 libclang-rt-14-dev clang-format-14 clang-tidy-14
)

missing_packages() {
  local wanted=("${build_packages[@]}" "${run_packages[@]}" "${image_packages[@]}" "${test_packages[@]}" "${bench_packages[@]}")
  # Node comes from npm, npm from Debian unless another one is there already.
  command -v npm >/dev/null || wanted+=(npm)
  comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) \
    <(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/^installed //p' | sort -u)
}

# Debian starts a service as soon as its package is installed. A host-wide libvirtd that nobody asked for would take
# over bridges and firewall rules, so services stay off while our packages are unpacked.
install_packages() {
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    trap "as_root rm -f $policy" EXIT
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
  if [[ "$(trap -p EXIT)" == *policy-rc.d* ]]; then
    as_root rm -f $policy
    trap - EXIT
  fi
}

npm_packages() {
  local directory=$root/tests/e2e stamp=$root/tests/e2e/node_modules/.kiln-lock
  if cmp -s "$directory/package-lock.json" "$stamp"; then return; fi
  say "installing the npm packages of tests/e2e"
  # No package of ours needs an install script, so none is run.
  (cd "$directory" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp "$directory/package-lock.json" "$stamp"
}

dev_deps() {
  [ -r /etc/debian_version ] || die "this works on Debian 12; elsewhere install what tools/dev/deps.sh names by hand"
  local missing
  mapfile -t missing < <(missing_packages)
  if [ ${#missing[@]} -gt 0 ]; then
    say "installing ${missing[*]}"
    install_packages "${missing[@]}"
  fi
  npm_packages
}
