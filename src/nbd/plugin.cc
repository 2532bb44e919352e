// nbdkit-kiln-plugin.so: an instance's volumes as NBD exports, one nbdkit process an instance.
//
//   nbdkit -f -t 16 -U <run>/nbd.sock <build>/lib/nbdkit-kiln-plugin.so
//          volumes=<data>/volumes store=<data>/store instance=i-... control=<run>/ctl.sock state=<run>/open
//
// An export is a volume that open() of the control protocol opened; any other name is refused and none is listed.
// state names the file that keeps the set of open volumes: a process that was killed and started again serves them at
// once, as QEMU's reconnect needs, and its volumes recover every acknowledged write.
//
// nbdkit calls from its own threads, one request each, any number at once. Files of the store are opened and threads
// started only after nbdkit has forked. No exception leaves a callback.
//
// nbdkit has no online resize: resize() changes the size that connections made later see; earlier ones keep theirs.

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/files.h"
#include "blocks/control_protocol_server.h"
#include "blocks/store.h"
#include "blocks/volume_table.h"
#include "nbd/socket_buffers.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

namespace kiln::nbd {
namespace {

using base::Fault;
using base::Status;
using blocks::Fua;

constexpr std::uint32_t min_block_bytes = 512;
constexpr std::uint32_t preferred_block_bytes = 4096;
constexpr std::uint32_t max_block_bytes = 32 << 20;
constexpr int default_connection_limit = 128;
// What one cache request brings in at most; it is a hint.
constexpr std::uint32_t max_prefetch_bytes = 64 << 20;

struct Parameters {
  std::string volumes, store, instance, control, state;
  int control_fd = -1;
  std::int64_t cache_bytes = 64 << 20;
  std::string slots;
  std::int64_t slot_bytes = blocks::default_slot_budget_bytes;
  int connections = default_connection_limit;
};

// Destroyed in reverse: the control server first, so that nobody asks a table that is going.
struct Server {
  std::unique_ptr<blocks::Store> store;
  std::unique_ptr<blocks::VolumeTable> table;
  std::unique_ptr<blocks::ControlServer> control;
};

// What one NBD connection uses. It keeps its volume even when the table closes it, which then refuses every request.
struct Connection {
  std::shared_ptr<blocks::Volume> volume;
};

Parameters parameters;
std::unique_ptr<Server> server;
std::atomic<int> connections = 0;

int errno_of(Fault fault) {
  switch (fault) {
    case Fault::no_space: return ENOSPC;  // QEMU's werror=stop pauses the guest
    case Fault::invalid: return EINVAL;
    case Fault::unsupported: return ENOTSUP;
    case Fault::fenced: return ESHUTDOWN;
    default: return EIO;
  }
}

int refuse(int number, const std::string& message) {
  nbdkit_set_error(number);
  nbdkit_error("%s", message.c_str());
  return -1;
}

int answer(const Status& status) {
  return status ? 0 : refuse(errno_of(status.error().fault()), status.error().message());
}

// Calls body, which returns 0 or -1, and turns what it throws into -1.
template <class Body>
int guarded(Body body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return refuse(ENOMEM, "out of memory");
  } catch (const std::exception& failure) {
    return refuse(EIO, failure.what());
  } catch (...) {
    return refuse(EIO, "an unknown exception");
  }
}

blocks::Volume& volume_of(void* handle) { return *static_cast<Connection*>(handle)->volume; }
Fua fua_of(std::uint32_t flags) { return (flags & NBDKIT_FLAG_FUA) != 0 ? Fua::yes : Fua::no; }

// nbdkit changes to / when it forks, so paths are made absolute while they are read.
int set_path(std::string& path, const char* value) {
  char* absolute = nbdkit_absolute_path(value);
  if (absolute == nullptr) return -1;
  path = absolute;
  std::free(absolute);
  return 0;
}

int config(const char* key_text, const char* value) {
  return guarded([&] {
    const std::string_view key = key_text;
    if (key == "volumes") return set_path(parameters.volumes, value);
    if (key == "store") return set_path(parameters.store, value);
    if (key == "control") return set_path(parameters.control, value);
    if (key == "state") return set_path(parameters.state, value);
    if (key == "instance") return parameters.instance = value, 0;
    if (key == "control-fd") return nbdkit_parse_int("control-fd", value, &parameters.control_fd);
    if (key == "connections") return nbdkit_parse_int("connections", value, &parameters.connections);
    if (key == "slots") return set_path(parameters.slots, value);
    if (key == "slots-size") {
      parameters.slot_bytes = nbdkit_parse_size(value);
      return parameters.slot_bytes < 0 ? -1 : 0;
    }
    if (key == "cache") {
      parameters.cache_bytes = nbdkit_parse_size(value);
      return parameters.cache_bytes < 0 ? -1 : 0;
    }
    nbdkit_error("unknown parameter '%s'", key_text);
    return -1;
  });
}

int config_complete() {
  return guarded([] {
    if (parameters.volumes.empty() || parameters.store.empty()) {
      nbdkit_error("the parameters volumes=DIRECTORY and store=DIRECTORY are needed");
      return -1;
    }
    if (parameters.control.empty() == (parameters.control_fd < 0)) {
      nbdkit_error("one of control=PATH and control-fd=NUMBER is needed");
      return -1;
    }
    return 0;
  });
}

// Errors of after_fork reach nobody when nbdkit runs in the background, so what can be checked is checked here.
int get_ready() {
  return guarded([] {
    for (const auto& path : {parameters.volumes, parameters.store}) {
      struct stat status {};
      if (::stat(path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
        nbdkit_error("%s is not a directory", path.c_str());
        return -1;
      }
    }
    int listens = 0;
    socklen_t size = sizeof listens;
    if (parameters.control_fd >= 0 &&
        (::getsockopt(parameters.control_fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || listens == 0)) {
      nbdkit_error("control-fd=%d is not a listening socket", parameters.control_fd);
      return -1;
    }
    return 0;
  });
}

int after_fork() {
  return guarded([] {
    auto& files = base::posix_files();
    auto made = std::make_unique<Server>();
    blocks::StoreOptions options{.files = files,
                                 .directory = parameters.store,
                                 .access = blocks::Access::read,
                                 .chunk_cache_bytes = static_cast<std::size_t>(parameters.cache_bytes)};
    if (!parameters.slots.empty()) {
      options.slots = blocks::SlotCacheOptions{.directory = parameters.slots,
                                               .budget_bytes = static_cast<std::uint64_t>(parameters.slot_bytes)};
    }
    auto store = blocks::Store::open(options);
    if (!store) return answer(store.error());
    made->store = std::move(*store);
    made->table = std::make_unique<blocks::VolumeTable>(
        files, *made->store,
        blocks::VolumeTable::Options{
            .directory = parameters.volumes, .instance = parameters.instance, .state_file = parameters.state});
    if (auto reopened = made->table->reopen(); !reopened) return answer(reopened);
    base::Fd listener(parameters.control_fd);
    if (!listener) {
      auto listening = blocks::ControlServer::listen_at(parameters.control);
      if (!listening) return answer(listening.error());
      listener = std::move(*listening);
    }
    made->control = std::make_unique<blocks::ControlServer>(std::move(listener), *made->table);
    server = std::move(made);
    return 0;
  });
}

void cleanup() {
  (void)guarded([] {
    if (server) {
      server->control.reset();
      server->table->close_all();
    }
    server.reset();
    return 0;
  });
}

// Every connection costs 16 threads and buffers of up to 64 MiB.
int preconnect(int) {
  if (connections < parameters.connections) return 0;
  nbdkit_error("%d connections are open already", parameters.connections);
  return -1;
}

int list_exports(int, int, struct nbdkit_exports*) { return 0; }

void* open(int) {
  void* handle = nullptr;
  (void)guarded([&] {
    const char* name = nbdkit_export_name();
    auto volume = name == nullptr || !server ? nullptr : server->table->find(name);
    if (!volume) return refuse(ENOENT, "no such export");
    handle = std::make_unique<Connection>(Connection{std::move(volume)}).release();
    connections += 1;
    widen_socket_buffers();
    return 0;
  });
  return handle;
}

void close(void* handle) {
  connections -= 1;
  const std::unique_ptr<Connection> closed(static_cast<Connection*>(handle));
}

std::int64_t get_size(void* handle) { return static_cast<std::int64_t>(volume_of(handle).size_bytes()); }

int block_size(void*, std::uint32_t* minimum, std::uint32_t* preferred, std::uint32_t* maximum) {
  *minimum = min_block_bytes;
  *preferred = preferred_block_bytes;
  *maximum = max_block_bytes;
  return 0;
}

int yes(void*) { return 1; }
int no(void*) { return 0; }
int native_fua(void*) { return NBDKIT_FUA_NATIVE; }
int native_cache(void*) { return NBDKIT_CACHE_NATIVE; }

int pread(void* handle, void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t) {
  return guarded([&] { return answer(volume_of(handle).read(offset, {static_cast<std::byte*>(buffer), count})); });
}

int pwrite(void* handle, const void* buffer, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  return guarded([&] {
    return answer(volume_of(handle).write(offset, {static_cast<const std::byte*>(buffer), count}, fua_of(flags)));
  });
}

int flush(void* handle, std::uint32_t) {
  return guarded([&] { return answer(volume_of(handle).flush()); });
}

int trim(void* handle, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  return guarded([&] { return answer(volume_of(handle).trim({offset, count}, fua_of(flags))); });
}

// Always fast: zeros are a record in the log, whatever NBDKIT_FLAG_MAY_TRIM says.
int zero(void* handle, std::uint32_t count, std::uint64_t offset, std::uint32_t flags) {
  return guarded([&] { return answer(volume_of(handle).zero({offset, count}, fua_of(flags))); });
}

int extents(void* handle, std::uint32_t count, std::uint64_t offset, std::uint32_t, struct nbdkit_extents* out) {
  return guarded([&] {
    const auto found = volume_of(handle).extents({offset, count});
    if (!found) return answer(found.error());
    for (const auto& extent : *found) {
      // nbdkit 1.32 aborts the process when one extent is longer than the request (CVE-2025-47711).
      const auto end = std::min(extent.offset + extent.length, offset + count);
      if (extent.offset < offset || extent.offset >= end) continue;
      const auto type = extent.zero ? NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO : 0;
      if (nbdkit_add_extent(out, extent.offset, end - extent.offset, static_cast<std::uint32_t>(type)) != 0) return -1;
    }
    return 0;
  });
}

int cache(void* handle, std::uint32_t count, std::uint64_t offset, std::uint32_t) {
  return guarded([&] { return answer(volume_of(handle).prefetch({offset, std::min(count, max_prefetch_bytes)})); });
}

nbdkit_plugin make_plugin() {
  nbdkit_plugin made{};
  made.name = "kiln";
  made.longname = "Kiln volumes";
  made.version = "0.1.0";
  made.description = "the volumes of one Kiln instance";
  made.config = config;
  made.config_complete = config_complete;
  made.config_help =
      "volumes=<DIRECTORY>    (required) the volumes, <DIRECTORY>/<volume id>/\n"
      "store=<DIRECTORY>      (required) the block store, read only\n"
      "control=<PATH>         where to listen for the control protocol\n"
      "control-fd=<NUMBER>    or: an inherited listening socket\n"
      "state=<PATH>           keeps the set of open volumes across restarts\n"
      "instance=<ID>          told to who says hello\n"
      "cache=<SIZE>           memory for decoded chunks (default 64M)\n"
      "slots=<DIRECTORY>      keeps decoded chunks on disk for all guests of the host\n"
      "slots-size=<SIZE>      of all of them (default 4G)\n"
      "connections=<NUMBER>   most NBD connections at once (default 128)";
  made.get_ready = get_ready;
  made.after_fork = after_fork;
  made.cleanup = cleanup;
  made.preconnect = preconnect;
  made.list_exports = list_exports;
  made.open = open;
  made.close = close;
  made.get_size = get_size;
  made.block_size = block_size;
  made.can_write = yes;
  made.can_flush = yes;
  made.is_rotational = no;
  made.can_trim = yes;
  made.can_zero = yes;
  made.can_fast_zero = yes;
  made.can_extents = yes;
  made.can_fua = native_fua;
  made.can_multi_conn = yes;
  made.can_cache = native_cache;
  made.pread = pread;
  made.pwrite = pwrite;
  made.flush = flush;
  made.trim = trim;
  made.zero = zero;
  made.extents = extents;
  made.cache = cache;
  made.errno_is_preserved = 0;
  return made;
}

nbdkit_plugin plugin = make_plugin();

}  // namespace
}  // namespace kiln::nbd

using kiln::nbd::plugin;
NBDKIT_REGISTER_PLUGIN(plugin)
