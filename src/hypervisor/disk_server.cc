#include "hypervisor/disk_server.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"
#include "base/text.h"

namespace kiln::hypervisor {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr int nbd_fd = 3;  // LISTEN_FDS counts from 3
constexpr int control_fd = 4;

[[noreturn]] void fail(const std::string& what) { throw HostError(what + ": " + std::strerror(errno)); }

std::string nbd_socket(const DiskServer& s) { return s.run_directory + "/nbd.sock"; }
std::string control_socket(const DiskServer& s) { return s.run_directory + "/ctl.sock"; }
std::string pid_file(const DiskServer& s) { return s.run_directory + "/nbdkit.pid"; }
std::string log_file(const DiskServer& s) { return s.run_directory + "/nbdkit.log"; }

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    throw HostError("socket path of " + std::to_string(path.size()) + " bytes, and at most " +
                    std::to_string(sizeof address.sun_path - 1) + " work: " + path);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// A connection, or what stands for one when more wait already than the listener takes (EAGAIN): it is there.
struct Reached {
  base::Fd socket;
  bool listens = false;
};

Reached reach(const std::string& path) {
  const auto address = address_of(path);
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) fail("socket");
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return {.listens = errno == EAGAIN};
  }
  return {.socket = std::move(socket), .listens = true};
}

struct Listening {
  std::string path;
  mode_t mode;
  std::optional<gid_t> group = {};
};

// Listens under a name of its own; place() gives it the real one in one step.
base::Fd listen_aside(const Listening& wanted) {
  const std::string aside = wanted.path + "~";
  const auto address = address_of(aside);
  ::unlink(aside.c_str());
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) fail("socket");
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("bind " + aside);
  if (::chmod(aside.c_str(), wanted.mode) != 0) fail("chmod " + aside);
  if (wanted.group && ::chown(aside.c_str(), static_cast<uid_t>(-1), *wanted.group) != 0) {
    fail("give " + aside + " to QEMU's group " + std::to_string(*wanted.group) + ", of which kilnd has to be a member");
  }
  if (::listen(socket.get(), 64) != 0) fail("listen " + aside);
  return socket;
}

void place(const std::string& path) {
  if (::rename((path + "~").c_str(), path.c_str()) != 0) fail("rename " + path);
}

// The greeting that every NBD server sends first: proof that it serves, and does not only hold the socket.
bool greets(const std::string& path, milliseconds limit) {
  const auto [socket, listens] = reach(path);
  pollfd waiting{socket.get(), POLLIN, 0};
  if (!socket || ::poll(&waiting, 1, static_cast<int>(limit.count())) <= 0) return false;
  char greeting[8];
  return ::read(socket.get(), greeting, sizeof greeting) == sizeof greeting &&
         std::memcmp(greeting, "NBDMAGIC", sizeof greeting) == 0;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string last_lines(const std::string& path) {
  const auto text = text_of(path);
  return text.substr(text.size() > 600 ? text.size() - 600 : 0);
}

// A handle on the process that the pid file names, when that is this server; pids are reused, handles are not.
base::Fd process_of(const DiskServer& server) {
  const auto text = text_of(pid_file(server));
  const int pid = std::atoi(text.c_str());
  if (pid <= 1) return base::Fd{};
  base::Fd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!handle) return handle;
  const auto command = text_of("/proc/" + std::to_string(pid) + "/cmdline");
  for (const auto argument : base::split(command, '\0')) {
    if (argument == pid_file(server)) return handle;
  }
  return base::Fd{};
}

bool ends_within(const base::Fd& process, milliseconds limit) {
  pollfd waiting{process.get(), POLLIN, 0};
  return ::poll(&waiting, 1, static_cast<int>(limit.count())) > 0;
}

}  // namespace

std::optional<gid_t> DiskServers::socket_group(const DiskServer& server, std::optional<gid_t> qemu_group) const {
  if (!options_.socket_group.empty()) {
    const group* found = ::getgrnam(options_.socket_group.c_str());
    if (found == nullptr) throw HostError("no group " + options_.socket_group);
    return found->gr_gid;
  }
  struct stat replaced;
  if (!qemu_group && ::stat(nbd_socket(server).c_str(), &replaced) == 0) return replaced.st_gid;
  return qemu_group;
}

void DiskServers::start(const DiskServer& server, std::optional<gid_t> qemu_group) const {
  if (runs(server)) return;
  std::error_code ignored;
  fs::create_directories(server.run_directory, ignored);
  ::unlink(pid_file(server).c_str());
  auto nbd = listen_aside({.path = nbd_socket(server), .mode = 0660, .group = socket_group(server, qemu_group)});
  auto control = listen_aside({.path = control_socket(server), .mode = 0600});

  // With LISTEN_FDS nbdkit ends with its parent (1.32 asks the kernel for it); its parent is init by then, because
  // start_detached leaves no other. LISTEN_PID must be nbdkit's own pid, which only a program that becomes nbdkit can
  // know beforehand.
  std::vector<std::string> arguments = {"/bin/sh",
                                        "-c",
                                        R"(LISTEN_PID=$$ LISTEN_FDS=1 exec "$@")",
                                        "sh",
                                        options_.nbdkit,
                                        "--foreground",
                                        "--pidfile",
                                        pid_file(server),
                                        options_.plugin};
  for (const auto& parameter : server.plugin_parameters) arguments.push_back(parameter);
  if (options_.control) arguments.push_back("control-fd=" + std::to_string(control_fd));
  try {
    base::start_detached({.arguments = arguments,
                          .descriptors = {{nbd.get(), nbd_fd}, {control.get(), control_fd}},
                          .log_path = log_file(server)});
  } catch (const std::runtime_error& error) {
    throw HostError("nbdkit for " + server.instance_id + ": " + error.what());
  }
  // From here nobody but nbdkit holds the sockets, so a connection is refused as soon as it has ended.
  place(nbd_socket(server));
  place(control_socket(server));
  nbd.reset();
  control.reset();

  const auto deadline = steady_clock::now() + options_.start_limit;
  while (!greets(nbd_socket(server), milliseconds(500))) {
    if (!runs(server)) throw HostError("nbdkit for " + server.instance_id + " ended: " + last_lines(log_file(server)));
    if (steady_clock::now() > deadline) {
      stop(server);
      throw HostError("nbdkit for " + server.instance_id + " does not serve: " + last_lines(log_file(server)));
    }
    std::this_thread::sleep_for(milliseconds(10));
  }
  base::log_info("hypervisor", "{}: nbdkit serves at {}", server.instance_id, nbd_socket(server));
}

bool DiskServers::runs(const DiskServer& server) const { return reach(control_socket(server)).listens; }

void DiskServers::stop(const DiskServer& server) const {
  auto process = process_of(server);
  // nbdkit writes its pid file a moment after it holds the sockets.
  for (int tries = 0; !process && tries < 200 && runs(server); ++tries) {
    std::this_thread::sleep_for(milliseconds(10));
    process = process_of(server);
  }
  if (process) {
    ::syscall(SYS_pidfd_send_signal, process.get(), SIGTERM, nullptr, 0);
    if (!ends_within(process, options_.stop_limit)) {
      base::log_warning("hypervisor", "{}: nbdkit did not end when asked; killed", server.instance_id);
      ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
      if (!ends_within(process, milliseconds(5000))) {
        throw HostError("nbdkit for " + server.instance_id + " does not end, even killed");
      }
    }
  } else if (runs(server)) {
    throw HostError("somebody answers at " + control_socket(server) + " and " + pid_file(server) + " does not name it");
  }
  for (const auto& path : {nbd_socket(server), control_socket(server), pid_file(server)}) ::unlink(path.c_str());
}

}  // namespace kiln::hypervisor
