#pragma once
// For tests: a region with everything real but the hypervisor.
//
// Catalog, block store, volumes and jobs are those of the daemon, in a directory that goes with the fixture; domains
// are FakeHost's, and instances' volumes are served in this process by LocalDiskServers, over a store of their own as a
// disk server has it. restart() is what happens to the daemon when it is killed and started again: the catalog, the
// store, the jobs and what it had open begin anew, while the host with its domains and disk servers goes on.
//
//   RegionFixture world;
//   const auto image = world.import_disk("base", RegionFixture::pattern(3 << 20, 1));
//   ASSERT_TRUE(world.settle());
//
// With Options::neighbours the daemon serves more regions, each with a store of its own.
//
// Code stands in this header because it is for tests of several folders, and no library.

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/api_error.h"
#include "base/fd.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "blocks/store.h"
#include "blocks/volume_table.h"
#include "catalog/database.h"
#include "catalog/volumes.h"
#include "control/fast_restores.h"
#include "control/images.h"
#include "control/imports.h"
#include "control/instance_jobs.h"
#include "control/key_domains.h"
#include "control/kms_keys.h"
#include "control/region.h"
#include "control/snapshot_copies.h"
#include "control/snapshot_recoding.h"
#include "control/snapshot_tiers.h"
#include "control/snapshot_writes.h"
#include "control/snapshots.h"
#include "control/upload_session.h"
#include "control/volumes.h"
#include "hypervisor/fake/fake_host.h"
#include "jobs/jobs.h"
#include "keys/local_key_store.h"

namespace kiln::control {

// The system's time, of which only the wall clock moves ahead when told.
class MovableClock final : public base::Clock {
 public:
  base::Micros now() override { return system_.now() + ahead_; }
  base::Micros monotonic() override { return system_.monotonic(); }
  void advance(base::Micros by) { ahead_ += by; }

 private:
  base::SystemClock system_;
  std::atomic<base::Micros> ahead_ = 0;
};

class RegionFixture {
 public:
  using KillPoint = std::function<void(const std::string&)>;

  struct Options {
    std::vector<std::string> neighbours = {};  // more regions of the same daemon
    CopyOptions copies = {};
    const RemoteRegions* remotes = nullptr;
    std::uint64_t slot_cache_bytes = 0;  // of the first region
  };

  explicit RegionFixture(KillPoint kill_point = {}) : RegionFixture(std::move(kill_point), Options{}) {}
  RegionFixture(KillPoint kill_point, Options options) : options_(std::move(options)) {
    std::string name = (std::filesystem::temp_directory_path() / "kiln-region-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    directory_ = name;
    start(std::move(kill_point));
  }
  ~RegionFixture() {
    stop();
    disk_servers_.reset();
    served_store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  RegionFixture(const RegionFixture&) = delete;
  RegionFixture& operator=(const RegionFixture&) = delete;

  blocks::Store& served_store() { return *served_store_; }  // of the disk servers
  Region& region() { return *regions_->all().front(); }
  Region& neighbour(const std::string& name) { return regions_->at(name); }
  Regions& regions() { return *regions_; }
  hypervisor::FakeHost& host() { return host_; }
  MovableClock& clock() { return clock_; }
  jobs::Runner& runner() { return *runner_; }
  const base::Path& directory() const { return directory_; }

  // The daemon dies here and another one starts. kill_point is for its jobs.
  void restart(KillPoint kill_point = {}) {
    stop();
    start(std::move(kill_point));
  }
  // Whether all jobs have ended, after waiting for them.
  bool settle() {
    return std::all_of(regions_->all().begin(), regions_->all().end(),
                       [&](const auto& each) { return runner_->idle(each->name, base::seconds(60)); });
  }

  static Principal account(const std::string& id) {
    return {.account = id, .arn = "arn:aws:iam::" + id + ":root", .user_id = id, .access_key = "AKIA" + id};
  }
  const Principal alice = account("123456789012");
  const Principal bob = account("210987654321");

  // Bytes that do not compress and are the same for the same seed.
  static base::Bytes pattern(std::size_t size_bytes, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    base::Bytes bytes(size_bytes);
    for (std::size_t i = 0; i + 8 <= size_bytes; i += 8) {
      const auto value = random();
      std::memcpy(bytes.data() + i, &value, 8);
    }
    return bytes;
  }

  // A file with these bytes, open for reading.
  base::Fd file(const base::Bytes& bytes) {
    const auto path = directory_ / base::new_uuid();
    base::Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    std::size_t done = 0;
    while (fd && done < bytes.size()) {
      const auto put = ::write(fd.get(), bytes.data() + done, bytes.size() - done);
      if (put <= 0) throw std::runtime_error("write " + path.string());
      done += static_cast<std::size_t>(put);
    }
    std::filesystem::remove(path);
    return fd;
  }
  Imported import_disk(const std::string& name, const base::Bytes& bytes) { return import_disk(region(), name, bytes); }
  Imported import_disk(Region& into, const std::string& name, const base::Bytes& bytes) {
    const auto fd = file(bytes);
    return import_image(into, alice, fd.get(), {.name = name});
  }
  // An empty volume of the account, or one of the snapshot; its job has ended.
  std::string volume(const Principal& owner, const std::string& snapshot_id = {}, std::int64_t size_gib = 1) {
    const auto made = create_volume(region(), owner,
                                    {.volume = {.zone = region().zones.front(),
                                                .snapshot_id = snapshot_id,
                                                .size_gib = snapshot_id.empty() ? size_gib : 0}});
    settle();
    return made.id;
  }

  // Reads and writes a volume as its guest would, or, when nobody serves it, with it open in the daemon for the moment.
  void write(const std::string& volume_id, std::uint64_t offset, const base::Bytes& bytes) {
    with_volume(volume_id, [&](blocks::Volume& volume) -> base::Status {
      KILN_TRY(volume.write(offset, bytes, blocks::Fua::no));
      return volume.flush();
    });
  }
  base::Bytes read(const std::string& volume_id, std::uint64_t offset, std::size_t size_bytes) {
    base::Bytes bytes(size_bytes);
    with_volume(volume_id, [&](blocks::Volume& volume) { return volume.read(offset, bytes); });
    return bytes;
  }

 private:
  static constexpr const char* region_name = "us-east-1";

  template <class T>
  static T value_of(base::Result<T> result) {
    if (!result) throw std::runtime_error(result.error().message());
    return std::move(*result);
  }

  void with_volume(const std::string& volume_id, const std::function<base::Status(blocks::Volume&)>& body) {
    std::string instance_id;
    std::uint64_t epoch = 0;
    database_->read([&](catalog::Txn& txn) {
      if (auto row = catalog::find_volume(txn, region_name, volume_id)) epoch = static_cast<std::uint64_t>(row->epoch);
      if (auto row = catalog::attachment_of_volume(txn, region_name, volume_id)) instance_id = row->instance_id;
    });
    base::Status done;
    if (!instance_id.empty() && disk_servers_->runs(instance_id)) {
      const auto table = std::dynamic_pointer_cast<blocks::VolumeTable>(disk_servers_->of(instance_id));
      const auto open = table ? table->find(volume_id) : nullptr;
      if (!open) throw std::runtime_error(volume_id + " is not open in the disk server of " + instance_id);
      done = body(*open);
    } else {
      done = idle_volumes_->open({.volume = volume_id, .epoch = epoch, .keys = {}});
      if (done) {
        // A job that had it open too may just have closed it.
        const auto open = idle_volumes_->find(volume_id);
        if (!open) throw std::runtime_error(volume_id + " was closed");
        done = body(*open);
      }
      if (auto closed = idle_volumes_->close(volume_id); done && !closed) done = closed;
    }
    if (!done) throw std::runtime_error(volume_id + ": " + done.error().message());
  }

  void start(KillPoint kill_point) {
    auto& files = base::posix_files();
    const auto root = directory_ / region_name;
    std::filesystem::create_directories(root / "volumes");
    database_ = catalog::open_sqlite(directory_ / "catalog.db", clock_);
    key_store_ =
        value_of(keys::LocalKeyStore::open({.files = files, .directory = directory_ / "keys", .root_file = {}}));
    store_ = value_of(blocks::Store::open({.files = files,
                                           .directory = root / "store",
                                           .access = blocks::Access::write,
                                           .slots = slots(root),
                                           .keys = keyring(region_name)}));
    if (!served_store_) {
      served_store_ =
          value_of(blocks::Store::open({.files = files, .directory = root / "store", .slots = slots(root)}));
      disk_servers_ = std::make_unique<LocalDiskServers>(files, *served_store_, root / "volumes");
    }
    idle_volumes_ = std::make_unique<blocks::VolumeTable>(
        files, *store_, blocks::VolumeTable::Options{.directory = root / "volumes", .instance = ""});
    snapshot_heads_ = std::make_unique<SnapshotHeads>(files, *store_, clock_, root / "started");
    runner_ = std::make_unique<jobs::Runner>(
        *database_, clock_,
        jobs::Runner::Options{.owner = base::new_uuid(), .kill_point = std::move(kill_point), .sole_owner = true});
    regions_ = std::make_unique<Regions>();
    regions_->set_remotes(options_.remotes);
    regions_->add(std::make_unique<Region>(Region{.name = region_name,
                                                  .zones = {"us-east-1a", "us-east-1b", "us-east-1c"},
                                                  .vpc_cidr_base = "10.77.0.0/16",
                                                  .directory = root,
                                                  .clock = clock_,
                                                  .files = files,
                                                  .catalog = *database_,
                                                  .store = *store_,
                                                  .idle_volumes = *idle_volumes_,
                                                  .snapshot_heads = *snapshot_heads_,
                                                  .disk_servers = *disk_servers_,
                                                  .host = host_,
                                                  .jobs = *runner_,
                                                  .key_store = *key_store_,
                                                  .regions = regions_.get(),
                                                  .slot_cache_bytes = options_.slot_cache_bytes}));
    for (const auto& name : options_.neighbours) add_neighbour(name);
    for (const auto& each : regions_->all()) abandon_dead_sessions(*each);
    for (const auto& each : regions_->all()) finish_key_work(*each);
    add_volume_jobs(*runner_, *regions_);
    add_snapshot_jobs(*runner_, *regions_);
    add_snapshot_write_jobs(*runner_, *regions_);
    add_copy_jobs(*runner_, *regions_, options_.copies);
    add_recoding_jobs(*runner_, *regions_);
    add_tier_jobs(*runner_, *regions_);
    add_fast_restore_jobs(*runner_, *regions_);
    for (const auto& each : regions_->all()) resume_fast_restores(*each);
    add_image_jobs(*runner_, *regions_);
    add_instance_jobs(*runner_, *regions_);
    runner_->run();
  }
  std::optional<blocks::SlotCacheOptions> slots(const base::Path& root) const {
    if (options_.slot_cache_bytes == 0) return {};
    return blocks::SlotCacheOptions{.directory = root / "cache", .budget_bytes = options_.slot_cache_bytes};
  }
  std::shared_ptr<blocks::Keyring> keyring(const std::string& region) {
    auto ring = std::make_shared<blocks::Keyring>();
    ring->set_loader(domain_loader(*database_, *key_store_, region));
    return ring;
  }
  void add_neighbour(const std::string& name) {
    auto& files = base::posix_files();
    const auto root = directory_ / name;
    std::filesystem::create_directories(root / "volumes");
    auto& parts = *neighbours_.emplace_back(std::make_unique<Neighbour>());
    parts.store = value_of(blocks::Store::open({.files = files,
                                                .directory = root / "store",
                                                .access = blocks::Access::write,
                                                .slots = {},
                                                .keys = keyring(name)}));
    parts.idle_volumes = std::make_unique<blocks::VolumeTable>(
        files, *parts.store, blocks::VolumeTable::Options{.directory = root / "volumes", .instance = ""});
    parts.snapshot_heads = std::make_unique<SnapshotHeads>(files, *parts.store, clock_, root / "started");
    parts.disk_servers = std::make_unique<LocalDiskServers>(files, *parts.store, root / "volumes");
    regions_->add(std::make_unique<Region>(Region{.name = name,
                                                  .zones = {name + "a"},
                                                  .vpc_cidr_base = "10.77.0.0/16",
                                                  .directory = root,
                                                  .clock = clock_,
                                                  .files = files,
                                                  .catalog = *database_,
                                                  .store = *parts.store,
                                                  .idle_volumes = *parts.idle_volumes,
                                                  .snapshot_heads = *parts.snapshot_heads,
                                                  .disk_servers = *parts.disk_servers,
                                                  .host = host_,
                                                  .jobs = *runner_,
                                                  .key_store = *key_store_,
                                                  .regions = regions_.get()}));
  }
  void stop() {
    runner_->stop();
    runner_.reset();
    idle_volumes_.reset();
    snapshot_heads_.reset();
    regions_.reset();
    neighbours_.clear();
    store_.reset();
    key_store_.reset();
    database_.reset();
  }

  struct Neighbour {
    std::unique_ptr<blocks::Store> store;
    std::unique_ptr<blocks::VolumeTable> idle_volumes;
    std::unique_ptr<SnapshotHeads> snapshot_heads;
    std::unique_ptr<LocalDiskServers> disk_servers;
  };

  const Options options_;
  base::Path directory_;
  MovableClock clock_;
  hypervisor::FakeHost host_;
  std::unique_ptr<blocks::Store> served_store_;
  std::unique_ptr<LocalDiskServers> disk_servers_;
  std::unique_ptr<catalog::Database> database_;
  std::unique_ptr<blocks::Store> store_;
  std::unique_ptr<blocks::VolumeTable> idle_volumes_;
  std::unique_ptr<SnapshotHeads> snapshot_heads_;
  std::unique_ptr<keys::LocalKeyStore> key_store_;
  std::unique_ptr<jobs::Runner> runner_;
  std::vector<std::unique_ptr<Neighbour>> neighbours_;
  std::unique_ptr<Regions> regions_;
};

// The code of the ApiError that body throws.
template <class Body>
std::string refusal_of(Body body) {
  try {
    body();
  } catch (const base::ApiError& error) {
    return error.code();
  }
  return "no error";
}

// Kills the daemon at one point of its jobs: the count-th time that it is passed.
class KillOnce {
 public:
  explicit KillOnce(std::string point, int count = 1) : state_(std::make_shared<State>()) {
    state_->point = std::move(point);
    state_->left = count;
  }
  void operator()(const std::string& point) const {
    base::Lock lock(state_->mutex);
    if (point != state_->point || state_->left == 0) return;
    if (--state_->left > 0) return;
    state_->killed = true;
    throw jobs::Runner::Killed{};
  }
  bool killed() const {
    base::Lock lock(state_->mutex);
    return state_->killed;
  }

 private:
  struct State {
    base::Mutex mutex;
    std::string point KILN_GUARDED_BY(mutex);
    int left KILN_GUARDED_BY(mutex) = 0;
    bool killed KILN_GUARDED_BY(mutex) = false;
  };
  std::shared_ptr<State> state_;
};

}  // namespace kiln::control
