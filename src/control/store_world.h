#pragma once
// For tests: the block store's side of a region, in which every call that changes something can be watched, and the
// process or the power can end at any of them.
//
// Catalog, store and index are the real ones; the packs and everything else that goes through base::Files lies on a
// disk in memory that forgets what was not synced, only the index's LMDB files are on a real one. Before each
// transaction, write, sync, rename, removal and making of a file the world calls on_call; when that says false the
// process is dead: every call fails from there on, until restart(). Disks are named like snapshots and volumes, as rows
// of the catalog's root table, and what each must hold is remembered.
//
// Code stands in this header because it is for several tests, and no library.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/faulty_files.h"
#include "base/ids.h"
#include "blocks/mark.h"
#include "blocks/store.h"
#include "blocks/volume_table.h"
#include "catalog/blocks.h"
#include "catalog/database.h"
#include "control/garbage.h"
#include "control/region.h"
#include "control/upload_session.h"
#include "hypervisor/fake/fake_host.h"
#include "jobs/jobs.h"
#include "keys/local_key_store.h"

namespace kiln::control {

// Whether to go on; false: the process dies before the call that is named.
using OnCall = std::function<bool(const std::string& call)>;

struct ProcessDied : std::runtime_error {
  ProcessDied() : std::runtime_error("the process has died") {}
};

class WatchedFiles final : public base::Files {
 public:
  WatchedFiles(base::FaultyFiles& memory, OnCall on_call) : memory_(memory), on_call_(std::move(on_call)) {}

  base::Result<std::unique_ptr<base::File>> open(const base::Path& path, base::Open how) override {
    if (how == base::Open::create_new || how == base::Open::create_or_open) KILN_TRY(call("create " + path.string()));
    auto file = of(path).open(path, how);
    if (!file) return file.error();
    return std::unique_ptr<base::File>(std::make_unique<Watched>(*this, std::move(*file), path.string()));
  }
  base::Status rename(const base::Path& from, const base::Path& to) override {
    KILN_TRY(call("rename " + to.string()));
    return of(to).rename(from, to);
  }
  base::Status remove(const base::Path& path) override {
    KILN_TRY(call("remove " + path.string()));
    return of(path).remove(path);
  }
  base::Status make_directories(const base::Path& path) override { return of(path).make_directories(path); }
  base::Status sync_directory(const base::Path& path) override {
    KILN_TRY(call("sync of directory " + path.string()));
    return of(path).sync_directory(path);
  }
  base::Result<std::vector<std::string>> list(const base::Path& directory) override {
    return of(directory).list(directory);
  }
  base::Result<bool> exists(const base::Path& path) override { return of(path).exists(path); }
  base::Result<std::string> boot_id() override { return memory_.boot_id(); }

 private:
  class Watched final : public base::File {
   public:
    Watched(WatchedFiles& files, std::unique_ptr<base::File> file, std::string path)
        : files_(files), file_(std::move(file)), path_(std::move(path)) {}
    base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) override {
      return file_->read_at(offset, out);
    }
    base::Status write_at(std::uint64_t offset, std::span<const std::byte> bytes) override {
      KILN_TRY(files_.call("write " + path_));
      return file_->write_at(offset, bytes);
    }
    base::Status sync_data() override {
      KILN_TRY(files_.call("sync " + path_));
      return file_->sync_data();
    }
    base::Status truncate(std::uint64_t size_bytes) override { return file_->truncate(size_bytes); }
    base::Result<std::uint64_t> size() override { return file_->size(); }
    base::Status punch_hole(base::Extent range) override { return file_->punch_hole(range); }
    base::Result<std::vector<base::Extent>> data_extents(base::Extent range) override {
      return file_->data_extents(range);
    }
    base::Status lock() override { return file_->lock(); }
    base::Result<std::uint64_t> allocated() override { return file_->allocated(); }

   private:
    WatchedFiles& files_;
    const std::unique_ptr<base::File> file_;
    const std::string path_;
  };

  base::Status call(const std::string& what) {
    // Readers make these inside the cache's loads, where nobody may be kept waiting; they are never synced anyway.
    if (what.find("/condemned/") != what.npos && what.ends_with(".read")) return {};
    if (on_call_(what)) return {};
    return base::Error(base::Fault::io, "the process has died");
  }
  // LMDB maps its files, so their directory is on the real disk, and so is what names it.
  base::Files& of(const base::Path& path) {
    return path.string().find("/index") != std::string::npos ? base::posix_files() : memory_;
  }

  base::FaultyFiles& memory_;
  const OnCall on_call_;
};

class WatchedDatabase final : public catalog::Database {
 public:
  WatchedDatabase(catalog::Database& database, OnCall on_call) : database_(database), on_call_(std::move(on_call)) {}
  void run_in_txn(const std::function<void(catalog::Txn&)>& body) override {
    if (!on_call_("transaction")) throw ProcessDied{};
    database_.run_in_txn(body);
  }
  void read(const std::function<void(catalog::Txn&)>& body) override { database_.read(body); }

 private:
  catalog::Database& database_;
  const OnCall on_call_;
};

class StoreWorld {
 public:
  explicit StoreWorld(std::uint64_t seed, OnCall on_call = {})
      : on_call_(std::move(on_call)), memory_(seed), random_(seed) {
    directory_ = make_directory();
    start();
  }
  ~StoreWorld() {
    stop();
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  StoreWorld(const StoreWorld&) = delete;
  StoreWorld& operator=(const StoreWorld&) = delete;

  Region& region() { return *regions_->all().front(); }
  base::ManualClock& clock() { return clock_; }

  // What a process finds that starts after the last one died. With a power cut all that was not synced may be lost.
  // without_index: somebody removed it, or it was lost.
  void restart(base::FaultyFiles::Crash crash, bool without_index = false) {
    stop();
    nodes_.clear();
    memory_.restart(crash);
    if (without_index) std::filesystem::remove_all(directory_ / "region" / "store" / "index");
    start();
  }

  // Chunk n of all that tests store: mostly zeros, so that it is quick. Six of its units are those that its neighbours
  // n - 5 to n + 5 have some of, elsewhere in the chunk, one is its own and one a copy: what is stored of it is mostly
  // references to several other chunks. Every unit is one that the index of similar chunks samples.
  static const base::Bytes& content(std::uint64_t n) {
    static std::map<std::uint64_t, base::Bytes> made;
    auto& bytes = made[n];
    if (!bytes.empty()) return bytes;
    bytes.resize(blocks::chunk_bytes);
    const auto unit = [&](std::size_t place) { return std::span(bytes).subspan(place * 4096, 4096); };
    for (std::uint64_t i = 0; i < 6; ++i) make_unit(unit((n + i * 5) % 32), n + i);
    make_unit(unit(33 + n % 3), 1'000'000 + n);
    std::ranges::copy(unit(n % 32), unit(40).begin());
    return bytes;
  }
  static const blocks::ChunkId& chunk_id(std::uint64_t n) {
    static std::map<std::uint64_t, blocks::ChunkId> made;
    auto& id = made[n];
    if (id.is_null()) id = base::sha256(content(n));
    return id;
  }

  using Disk = std::map<std::uint64_t, std::uint64_t>;  // chunk index: content number
  struct Stored {
    blocks::DiskId id;
    Disk chunks;
  };
  static constexpr std::uint64_t disk_bytes = 600 * blocks::chunk_bytes;  // two leaves

  // Stores parent with these changes, and commits it as snapshot `name`.
  void upload(const std::string& name, const Disk& changes, const std::string& parent = {}, bool abandon = false) {
    const auto below = parent.empty() ? Stored{} : disks_.at(parent);
    UploadSession::Options options{.threads = 0};
    if (!parent.empty()) options.parent = below.id;
    UploadSession session(region(), options);
    Stored stored{.id = {}, .chunks = below.chunks};
    for (const auto& [index, n] : changes) {
      const auto put = session.ingest().put(index, content(n));
      if (!put) throw std::runtime_error(put.error().message());
      stored.chunks[index] = n;
    }
    if (abandon) return;
    stored.id = session.store(disk_bytes);
    nodes_of(stored);
    const auto before = session.ingest().progress();
    referenced_units_ += before.referenced_bytes / blocks::unit_bytes;
    session.commit([&](const auto& body) { region().catalog.run_in_txn(body); },
                   [&](catalog::Txn& txn) { insert_root(txn, "snapshot", name, stored.id); });
    disks_[name] = stored;
    if (session.ingest().progress().stored_bytes > before.stored_bytes) ++stored_again_;
  }
  // A volume of a snapshot, if that is still there.
  void open_volume(const std::string& name, const std::string& snapshot) {
    const bool made = catalog::in_txn(region().catalog, [&](catalog::Txn& txn) {
      const auto roots = catalog::roots_of(txn, region().name, snapshot);
      if (roots.empty()) return false;
      auto root = roots.front();
      root.kind = "volume";
      root.owner = name;
      catalog::insert(txn, root);
      return true;
    });
    if (made) disks_[name] = disks_.at(snapshot);
  }
  void remove(const std::string& name) {
    region().catalog.run_in_txn([&](catalog::Txn& txn) {
      txn.execute("DELETE FROM root WHERE region = $1 AND owner = $2", {region().name, name});
    });
    disks_.erase(name);
  }

  const std::map<std::string, Stored>& disks() const { return disks_; }
  // Every chunk of a disk is what was put; between_chunks may let others run, who may delete the disk.
  void expect_readable(
      const std::string& name, const std::function<void()>& between_chunks = [] {}) {
    const auto disk = disks_.at(name);
    base::Bytes bytes(blocks::chunk_bytes);
    for (const auto& [index, n] : disk.chunks) {
      const auto got = region().store.read(disk.id, index * blocks::chunk_bytes, bytes);
      const bool wrong = !got || bytes != content(n);
      if (wrong && disks_.contains(name)) {
        ADD_FAILURE() << name << ", chunk " << index << ": " << (got ? "other bytes" : got.error().message());
        return;
      }
      between_chunks();
    }
  }
  // The same of all disks, but a chunk that many of them have is read once.
  void expect_all_readable() {
    std::set<std::uint64_t> all;
    for (const auto& [name, disk] : disks_) {
      for (const auto& [index, n] : disk.chunks) {
        const auto id = region().store.chunk_id(disk.id, index);
        if (!id) ADD_FAILURE() << name << ", chunk " << index << ": " << id.error().message();
        if (id && *id != chunk_id(n)) ADD_FAILURE() << name << ", chunk " << index << " is another";
        all.insert(n);
      }
    }
    for (const auto n : all) expect_content(n, "at rest");
  }

  // For a pack that no index knows any more and whose file is about to be removed: what disks need of it, as their own
  // chunk, as a base of one, or as a node, is read from elsewhere.
  void expect_not_needed(const blocks::PackId& pack) {
    const auto contents = blocks::read_pack_contents(region().store.pack_store(), pack);
    if (!contents) return;  // it was never whole
    std::set<std::uint64_t> wanted;
    for (const auto& [name, disk] : disks_) {
      for (const auto& [index, n] : disk.chunks) {
        wanted.insert(n);
      }
      for (const auto& node : nodes_of(disk)) {
        if (contents->find(node) != nullptr && !is_stored(node)) {
          ADD_FAILURE() << name << " loses node " << node.hex() << " with pack " << pack.text();
        }
      }
    }
    for (const auto& entry : contents->entries) dependents_deleted_ += entry.bases.empty() ? 0 : 1;
    for (const auto n : wanted) {
      const bool is_base = refers_into(n, *contents);
      if (!is_base && contents->find(chunk_id(n)) == nullptr) continue;
      bases_moved_ += is_base ? 1 : 0;
      expect_content(n, "without pack " + pack.text());
    }
  }
  // What has happened so far that could have gone wrong.
  std::uint64_t referenced_units() const { return referenced_units_; }
  std::uint64_t stored_again() const { return stored_again_; }  // commits after a condemnation
  std::uint64_t bases_moved() const { return bases_moved_; }    // deleted copies of bases of what disks need
  std::uint64_t dependents_deleted() const { return dependents_deleted_; }  // deleted records that had bases

  // Each collection may let go of what the next one frees: a dead record holds its bases for as long as its pack stays.
  void collect_until_quiet() {
    for (int i = 0; i < 8; ++i) {
      const auto done = collect(region(), {.grace = 0, .force = true});
      EXPECT_EQ(done.wrongly_condemned_packs, 0U) << "a root needs what was condemned";
      if (done.condemned_packs + done.deleted_packs == 0) return;
    }
    ADD_FAILURE() << "collections do not come to an end";
  }

  // With everybody at rest and collected: nothing is there that no root needs. Without roots: nothing.
  void expect_no_garbage() {
    std::vector<blocks::DiskId> roots;
    for (const auto& [name, disk] : disks_) roots.push_back(disk.id);
    const auto marked = blocks::mark(region().store, roots);
    ASSERT_TRUE(marked) << marked.error().message();
    for (const auto& [id, use] : marked->packs) {
      EXPECT_GT(use.live_records, 0U) << id.text();
      EXPECT_GE(use.live_bytes * 2, use.record_bytes) << id.text();
    }
    const auto rows =
        catalog::in_read(region().catalog, [&](catalog::Txn& txn) { return catalog::packs(txn, region().name); });
    for (const auto& row : rows) EXPECT_EQ(row.state, "live") << row.id;
    const auto files = region().store.pack_store().list();
    ASSERT_TRUE(files);
    EXPECT_EQ(files->size(), rows.size());
    EXPECT_EQ(marked->packs.size(), rows.size());
  }

 private:
  static constexpr const char* region_name = "us-east-1";

  static void make_unit(std::span<std::byte> unit, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    do {
      for (std::size_t i = 0; i < unit.size(); i += 8) {
        const auto value = random();
        std::memcpy(unit.data() + i, &value, 8);
      }
    } while (!blocks::is_feature(base::xxh3_64(unit)));
  }
  // The nodes on the way to the chunks of a disk.
  const std::set<blocks::NodeId>& nodes_of(const Stored& disk) {
    auto& nodes = nodes_[disk.id.root];
    if (!nodes.empty() || disk.id.root.is_null()) return nodes;
    for (const auto& [index, n] : disk.chunks) {
      auto id = disk.id.root;
      for (unsigned level = blocks::tree_levels; level > 0; --level) {
        nodes.insert(id);
        const auto node = region().store.node(id, level);
        if (!node) throw std::runtime_error(node.error().message());
        id = (*node)->entries[index / blocks::chunks_per_entry(level) % blocks::node_fanout];
      }
    }
    return nodes;
  }
  // Past every cache.
  bool is_stored(const blocks::NodeId& node) {
    const auto places = region().store.locations(node);
    return places && std::ranges::any_of(*places, [&](const blocks::Location& place) {
             return region().store.read_at(place, node).ok();
           });
  }
  void expect_content(std::uint64_t n, const std::string& when) {
    const auto bytes = region().store.chunk(chunk_id(n));
    if (!bytes) ADD_FAILURE() << when << ": " << bytes.error().message();
    if (bytes && **bytes != content(n)) ADD_FAILURE() << when << ", content " << n << ": other bytes";
  }
  // Whether a copy of chunk n has a base in this pack.
  bool refers_into(std::uint64_t n, const blocks::PackContents& pack) {
    const auto places = region().store.locations(chunk_id(n));
    if (!places) return false;
    for (const auto& place : *places) {
      if (place.bases == 0) continue;
      const auto stored = region().store.record_at(place, chunk_id(n));
      const auto record = stored ? blocks::parse_record(*stored) : base::Result<blocks::Record>(stored.error());
      if (!record) continue;
      for (const auto& base : record->header.bases) {
        if (pack.find(base) != nullptr) return true;
      }
    }
    return false;
  }
  // Only the death of the process is tried on the catalog and the index, so they need no disk, and are quicker without.
  static std::string make_directory() {
    for (const auto& above : {std::filesystem::path("/dev/shm"), std::filesystem::temp_directory_path()}) {
      std::string name = (above / "kiln-store-world-XXXXXX").string();
      if (::mkdtemp(name.data()) != nullptr) return name;
    }
    throw std::runtime_error("a directory for the test cannot be made");
  }

  // Like PackId::make(), with a clock that stands still now and then, as one that counts milliseconds does.
  blocks::PackId new_pack_id() {
    milliseconds_ += random_() % 2;
    blocks::PackId id;
    for (int i = 0; i < 6; ++i)
      id.bytes[static_cast<std::size_t>(i)] = static_cast<std::byte>(milliseconds_ >> (40 - 8 * i));
    for (std::size_t i = 6; i < id.bytes.size(); ++i) id.bytes[i] = static_cast<std::byte>(random_());
    return id;
  }

  void insert_root(catalog::Txn& txn, const char* kind, const std::string& owner, const blocks::DiskId& disk) {
    catalog::insert(txn, catalog::Root{.region = region_name,
                                       .kind = kind,
                                       .owner = owner,
                                       .digest = disk.root.hex(),
                                       .size_bytes = static_cast<std::int64_t>(disk.size_bytes)});
  }

  void start() {
    const auto root = directory_ / "region";
    std::filesystem::create_directories(root / "store" / "index");
    // What the world itself does at its start is nobody's call.
    starting_ = true;
    const OnCall call = [this](const std::string& what) { return starting_ || !on_call_ || on_call_(what); };
    files_ = std::make_unique<WatchedFiles>(memory_, call);
    for (auto path = root; path.has_relative_path(); path = path.parent_path()) {
      const bool made = files_->make_directories(path) && files_->sync_directory(path.parent_path());
      if (!made) throw std::runtime_error("the directories in memory");
    }
    database_ = catalog::open_sqlite(directory_ / "catalog.db", clock_);
    watched_ = std::make_unique<WatchedDatabase>(*database_, call);
    auto store = blocks::Store::open({.files = *files_,
                                      .directory = root / "store",
                                      .access = blocks::Access::write,
                                      .chunk_cache_bytes = 0,
                                      .slots = {},
                                      .new_pack_id = [this] { return new_pack_id(); }});
    if (!store) throw std::runtime_error(store.error().message());
    store_ = std::move(*store);
    disk_servers_ = std::make_unique<LocalDiskServers>(*files_, *store_, root / "volumes");
    idle_volumes_ = std::make_unique<blocks::VolumeTable>(
        *files_, *store_, blocks::VolumeTable::Options{.directory = root / "volumes", .instance = ""});
    snapshot_heads_ = std::make_unique<SnapshotHeads>(*files_, *store_, clock_, root / "started");
    auto keys = keys::LocalKeyStore::open({.files = *files_, .directory = root / "keys", .root_file = {}});
    if (!keys) throw std::runtime_error(keys.error().message());
    key_store_ = std::move(*keys);
    runner_ = std::make_unique<jobs::Runner>(*watched_, clock_, jobs::Runner::Options{.owner = base::new_uuid()});
    regions_ = std::make_unique<Regions>();
    regions_->add(std::make_unique<Region>(Region{.name = region_name,
                                                  .zones = {"us-east-1a"},
                                                  .vpc_cidr_base = "10.77.0.0/16",
                                                  .directory = root,
                                                  .clock = clock_,
                                                  .files = *files_,
                                                  .catalog = *watched_,
                                                  .store = *store_,
                                                  .idle_volumes = *idle_volumes_,
                                                  .snapshot_heads = *snapshot_heads_,
                                                  .disk_servers = *disk_servers_,
                                                  .host = host_,
                                                  .jobs = *runner_,
                                                  .key_store = *key_store_,
                                                  .regions = regions_.get()}));
    abandon_dead_sessions(region());
    starting_ = false;
  }
  void stop() {
    runner_.reset();
    idle_volumes_.reset();
    snapshot_heads_.reset();
    disk_servers_.reset();
    regions_.reset();
    store_.reset();
    key_store_.reset();
    watched_.reset();
    database_.reset();
    files_.reset();
  }

  const OnCall on_call_;
  base::Path directory_;
  base::ManualClock clock_;
  base::FaultyFiles memory_;
  std::mt19937_64 random_;  // of the names of packs
  std::uint64_t milliseconds_ = 1'700'000'000'000;
  hypervisor::FakeHost host_;
  bool starting_ = false;
  std::map<std::string, Stored> disks_;
  std::map<base::Digest, std::set<blocks::NodeId>> nodes_;  // by root
  std::uint64_t referenced_units_ = 0, stored_again_ = 0, bases_moved_ = 0, dependents_deleted_ = 0;
  std::unique_ptr<WatchedFiles> files_;
  std::unique_ptr<catalog::Database> database_;
  std::unique_ptr<WatchedDatabase> watched_;
  std::unique_ptr<blocks::Store> store_;
  std::unique_ptr<LocalDiskServers> disk_servers_;
  std::unique_ptr<blocks::VolumeTable> idle_volumes_;
  std::unique_ptr<SnapshotHeads> snapshot_heads_;
  std::unique_ptr<keys::LocalKeyStore> key_store_;
  std::unique_ptr<jobs::Runner> runner_;
  std::unique_ptr<Regions> regions_;
};

}  // namespace kiln::control
