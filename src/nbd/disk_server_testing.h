#pragma once
// For tests: a real nbdkit with the plugin over a store and volumes in a directory of its own.
//
// Owned by a test. The destructor kills the process it started, by its pid, and removes the directory.

#include <libnbd.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/process.h"
#include "blocks/ingest.h"
#include "blocks/remote_volumes.h"
#include "blocks/store.h"
#include "blocks/volume.h"

namespace kiln::nbd {

// Asks ready until it says yes; false when it has not within limit.
template <class Ready>
bool becomes_true(Ready ready, std::chrono::milliseconds limit = std::chrono::seconds(20)) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!ready()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

class DiskServer {
 public:
  DiskServer() {
    char name[] = "/tmp/kiln-nbd-XXXXXX";
    directory_ = ::mkdtemp(name);
    std::filesystem::create_directories(directory_ / "volumes");
    std::filesystem::create_directories(directory_ / "store");
    std::filesystem::create_directories(directory_ / "run");
    (void)blocks::Store::open(
        {.files = base::posix_files(), .directory = directory_ / "store", .access = blocks::Access::write});
  }
  ~DiskServer() {
    kill_now();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  DiskServer(const DiskServer&) = delete;
  DiskServer& operator=(const DiskServer&) = delete;

  std::vector<std::pair<std::string, std::string>> environment;  // of nbdkit, added to ours

  // Stores a disk while the server runs, as the daemon would.
  blocks::DiskId store_disk(const base::Bytes& content) {
    auto store = blocks::Store::open(
        {.files = base::posix_files(), .directory = directory_ / "store", .access = blocks::Access::write});
    if (!store) return {};
    blocks::Ingest ingest(**store, {.session = "test"});
    for (std::uint64_t at = 0; at < content.size(); at += blocks::chunk_bytes) {
      const auto count = std::min<std::uint64_t>(blocks::chunk_bytes, content.size() - at);
      if (!ingest.put(at / blocks::chunk_bytes, std::span(content).subspan(at, count))) return {};
    }
    auto ingested = ingest.finish(content.size());
    return ingested ? ingested->disk : blocks::DiskId{};
  }

  bool create(const std::string& volume, std::uint64_t size_bytes, const blocks::DiskId& base = {}) {
    return blocks::Volume::create(base::posix_files(), volume_directory(volume),
                                  {.volume = volume, .size_bytes = size_bytes, .base = base, .epoch = 1})
        .ok();
  }

  // Starts nbdkit and waits until it answers on both sockets.
  bool start() {
    std::filesystem::remove(directory_ / "run/nbd.sock");
    base::Command command;
    command.arguments = {"nbdkit",
                         "-f",
                         "-U",
                         nbd_socket(),
                         KILN_NBD_PLUGIN,
                         "volumes=" + (directory_ / "volumes").string(),
                         "store=" + (directory_ / "store").string(),
                         "instance=i-0123456789abcdef0",
                         "control=" + (directory_ / "run/ctl.sock").string(),
                         "state=" + (directory_ / "run/open").string(),
                         "cache=8M"};
    command.environment = environment;
    command.log_path = log_path();
    pid_ = base::start_detached(command);
    return becomes_true([&] { return control().hello().ok() && std::filesystem::exists(nbd_socket()); });
  }

  void kill_now() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    wait_for_end();
  }
  bool stop_gently() {
    ::kill(pid_, SIGTERM);
    return wait_for_end();
  }
  pid_t pid() const { return pid_; }
  bool runs() const { return pid_ > 0 && !has_ended(pid_); }

  blocks::RemoteVolumes control() const { return blocks::RemoteVolumes(directory_ / "run/ctl.sock"); }
  std::string nbd_socket() const { return (directory_ / "run/nbd.sock").string(); }
  std::string uri(const std::string& volume) const { return "nbd+unix:///" + volume + "?socket=" + nbd_socket(); }
  base::Path volume_directory(const std::string& volume) const { return directory_ / "volumes" / volume; }
  base::Path path(const std::string& name) const { return directory_ / name; }
  std::string log_path() const { return (directory_ / "run/nbdkit.log").string(); }
  std::string log() const {
    const auto content = base::posix_files().read_all(log_path());
    return content ? *content : "";
  }

 private:
  // Nobody may wait for the process, so one that has ended can stay as a zombie.
  static bool has_ended(pid_t pid) {
    const auto stat = base::posix_files().read_all("/proc/" + std::to_string(pid) + "/stat");
    return !stat || stat->find(") Z") != std::string::npos;
  }
  bool wait_for_end() {
    return becomes_true([pid = std::exchange(pid_, -1)] { return has_ended(pid); });
  }

  base::Path directory_;
  pid_t pid_ = -1;
};

// A libnbd connection.
class Client {
 public:
  Client() : nbd_(nbd_create()) {}
  ~Client() { nbd_close(nbd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool connect(const DiskServer& server, const std::string& volume) {
    nbd_set_export_name(nbd_, volume.c_str());
    nbd_add_meta_context(nbd_, LIBNBD_CONTEXT_BASE_ALLOCATION);
    return nbd_connect_unix(nbd_, server.nbd_socket().c_str()) == 0;
  }
  nbd_handle* get() { return nbd_; }
  bool write(std::uint64_t offset, const base::Bytes& bytes, std::uint32_t flags = 0) {
    return nbd_pwrite(nbd_, bytes.data(), bytes.size(), offset, flags) == 0;
  }
  base::Bytes read(std::uint64_t offset, std::size_t count) {
    base::Bytes bytes(count);
    if (nbd_pread(nbd_, bytes.data(), count, offset, 0) != 0) bytes.clear();
    return bytes;
  }
  bool flush() { return nbd_flush(nbd_, 0) == 0; }

 private:
  nbd_handle* nbd_;
};

}  // namespace kiln::nbd
