#include "hypervisor/libvirt/emulator.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/bytes.h"
#include "base/files.h"
#include "hypervisor/host.h"

namespace kiln::hypervisor {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
  return out + "'";
}

}  // namespace

std::string emulator_script(const std::string& qemu, std::chrono::seconds reconnect_delay) {
  return R"(#!/bin/sh
# QEMU, with a reconnect delay for its NBD disks: while their server is away requests wait instead of failing.
for argument in "$@"; do
  shift
  case $argument in
    '{"driver":"nbd",'*) argument="{\"driver\":\"nbd\",\"reconnect-delay\":)" +
         std::to_string(reconnect_delay.count()) + R"(,${argument#'{"driver":"nbd",'}" ;;
  esac
  set -- "$@" "$argument"
done
exec )" + quoted(qemu) +
         R"( "$@"
)";
}

void install_emulator(const std::string& path, const std::string& script) {
  auto& files = base::posix_files();
  if (const auto there = files.read_all(path); there && *there == script && ::access(path.c_str(), X_OK) == 0) return;
  if (const auto made = files.make_directories(base::Path(path).parent_path()); !made) {
    throw HostError(made.error().message());
  }
  const std::string aside = path + "~";
  if (const auto written = files.replace(aside, base::as_bytes(script)); !written) {
    throw HostError(written.error().message());
  }
  if (::chmod(aside.c_str(), 0755) != 0 || ::rename(aside.c_str(), path.c_str()) != 0) {
    throw HostError("install " + path + ": " + std::strerror(errno));
  }
}

}  // namespace kiln::hypervisor
