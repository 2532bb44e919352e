#include "blocks/index_generation.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "base/mutex.h"
#include "blocks/lmdb.h"
#include "blocks/similar_table.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr unsigned max_readers = 1024;
// The map is address space, not memory or disk: as much as the system grants, for it cannot grow under readers.
constexpr std::size_t map_sizes[] = {std::size_t{1} << 40, std::size_t{64} << 30, std::size_t{1} << 30};
constexpr std::size_t location_bytes = 30;
constexpr std::size_t pack_row_bytes = 24;

Bytes encode(const Location& location) {
  Bytes out;
  base::append(out, location.pack.bytes);
  base::append_int(out, location.offset);
  base::append_int(out, location.length);
  base::append_int(out, static_cast<std::uint8_t>(location.kind));
  base::append_int(out, location.bases);
  return out;
}

Result<Location> decode_location(std::span<const std::byte> bytes) {
  base::Reader reader(bytes);
  Location location;
  if (bytes.size() != location_bytes) return Error(Fault::corrupt, "chunk index: a location of another length");
  std::ranges::copy(reader.read(16), location.pack.bytes.begin());
  location.offset = reader.read_int<std::uint64_t>();
  location.length = reader.read_int<std::uint32_t>();
  location.kind = static_cast<RecordKind>(reader.read_int<std::uint8_t>());
  location.bases = reader.read_int<std::uint8_t>();
  if (location.length > max_record_bytes || location.length <= record_header_bytes || location.bases > max_bases) {
    return Error(Fault::corrupt, "chunk index: a record of " + std::to_string(location.length) + " bytes");
  }
  return location;
}

Bytes encode(const IndexedPack& pack) {
  Bytes out;
  base::append_int(out, static_cast<std::uint32_t>(pack.kind));
  base::append_int(out, pack.records);
  base::append_int(out, pack.size_bytes);
  base::append_int(out, pack.epoch);
  return out;
}

// Calls found(key, value) for every pair of a table; stops at the first error.
template <class Found>
Status scan(MDB_env* environment, unsigned table, Found found) {
  auto txn = Transaction::begin(environment, MDB_RDONLY);
  if (!txn) return txn.error();
  auto cursor = Cursor::open(**txn, table);
  if (!cursor) return cursor.error();
  MDB_val key, value;
  int code = (*cursor)->get(key, value, MDB_FIRST);
  for (; code == 0; code = (*cursor)->get(key, value, MDB_NEXT)) KILN_TRY(found(bytes_of(key), bytes_of(value)));
  if (code != MDB_NOTFOUND) return error_of("scan", code);
  return {};
}

// The environments of this process. Opening and closing happen with the lock held, because LMDB's locks belong to the
// process and the file: between one close and another open of the same path nothing may come.
struct Registry {
  struct Entry {
    std::unique_ptr<IndexGeneration> generation;
    Access access = Access::read;
    std::size_t users = 0;
  };
  base::Mutex mutex;
  // By process too: what a child inherits by fork it must not use, and opens for itself.
  using Key = std::pair<pid_t, std::string>;
  std::map<Key, Entry> entries KILN_GUARDED_BY(mutex);

  void release(const Key& key) {
    base::Lock lock(mutex);
    const auto entry = entries.find(key);
    if (key.first != ::getpid()) return;
    if (--entry->second.users == 0) entries.erase(entry);
  }
};

Registry& registry() {
  static Registry the_registry;
  return the_registry;
}

// LMDB maps the file and believes its head: of one that was cut short the first page that is gone would be a SIGBUS.
Status check_length(MDB_env* environment, const base::Path& directory) {
  MDB_envinfo head{};
  MDB_stat sizes{};
  mdb_env_info(environment, &head);
  mdb_env_stat(environment, &sizes);
  std::error_code failure;
  const auto length = std::filesystem::file_size(directory / "data.mdb", failure);
  if (failure) return Error::from_errno("size of " + (directory / "data.mdb").string(), failure.value());
  const auto wanted = (std::uint64_t{head.me_last_pgno} + 1) * sizes.ms_psize;
  if (length >= wanted) return {};
  return Error(Fault::corrupt, (directory / "data.mdb").string() + " ends at byte " + std::to_string(length) + " of " +
                                   std::to_string(wanted));
}

}  // namespace

Result<std::shared_ptr<IndexGeneration>> IndexGeneration::open(const base::Path& directory, Access access) {
  std::error_code failure;
  const auto path = std::filesystem::canonical(directory, failure).string();
  if (failure) return Error::from_errno("open the chunk index " + directory.string(), failure.value());
  auto& all = registry();
  base::Lock lock(all.mutex);
  const Registry::Key key{::getpid(), path};
  auto found = all.entries.find(key);
  if (found == all.entries.end()) {
    auto opened = std::unique_ptr<IndexGeneration>(new IndexGeneration(directory.filename().string()));
    KILN_TRY(opened->open_environment(directory, access));
    found = all.entries.emplace(key, Registry::Entry{std::move(opened), access}).first;
  } else if (access == Access::write && found->second.access == Access::read) {
    return Error(Fault::busy, "this process has opened the chunk index " + path + " for reading only");
  }
  ++found->second.users;
  return std::shared_ptr<IndexGeneration>(found->second.generation.get(),
                                          [key](IndexGeneration*) { registry().release(key); });
}

Status IndexGeneration::open_environment(const base::Path& directory, Access access) {
  writable_ = access == Access::write;
  // NOTLS: read transactions belong to calls, not to threads, of which nbdkit has many.
  const unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (writable_ ? 0 : MDB_RDONLY);
  int code = ENOMEM;
  for (const auto size : map_sizes) {
    if (environment_ != nullptr) mdb_env_close(environment_);
    environment_ = nullptr;
    if (const int created = mdb_env_create(&environment_)) return error_of("create", created);
    mdb_env_set_maxdbs(environment_, 3);
    mdb_env_set_maxreaders(environment_, max_readers);
    mdb_env_set_mapsize(environment_, size);
    code = mdb_env_open(environment_, directory.c_str(), flags, 0640);
    if (code != ENOMEM) break;
  }
  if (code != 0) return error_of("open " + directory.string(), code);
  KILN_TRY(check_length(environment_, directory));
  int dead = 0;
  if (writable_) mdb_reader_check(environment_, &dead);  // plugins that were killed hold back the reuse of pages
  auto txn = Transaction::begin(environment_, writable_ ? 0 : MDB_RDONLY);
  if (!txn) return txn.error();
  const unsigned create = writable_ ? MDB_CREATE : 0;
  const auto handle = (*txn)->handle();
  if (const int opened = mdb_dbi_open(handle, "chunks", create | MDB_DUPSORT | MDB_DUPFIXED, &chunks_)) {
    return error_of("table chunks", opened);
  }
  if (const int opened = mdb_dbi_open(handle, "packs", create, &packs_)) return error_of("table packs", opened);
  if (const int opened = mdb_dbi_open(handle, "similar", create | MDB_DUPSORT | MDB_DUPFIXED, &similar_)) {
    return error_of("table similar", opened);
  }
  return (*txn)->commit();
}

IndexGeneration::~IndexGeneration() {
  if (environment_ != nullptr) mdb_env_close(environment_);
}

Result<std::vector<Location>> IndexGeneration::find(const Digest& id) const {
  auto txn = Transaction::begin(environment_, MDB_RDONLY);
  if (!txn) return txn.error();
  auto cursor = Cursor::open(**txn, chunks_);
  if (!cursor) return cursor.error();
  std::vector<Location> found;
  MDB_val key = value_of(id.bytes), value;
  int code = (*cursor)->get(key, value, MDB_SET_KEY);
  for (; code == 0; code = (*cursor)->get(key, value, MDB_NEXT_DUP)) {
    const auto location = decode_location(bytes_of(value));
    if (!location) return location.error();
    found.push_back(*location);
  }
  if (code != MDB_NOTFOUND) return error_of("find", code);
  return found;
}

Result<std::vector<IndexedPack>> IndexGeneration::packs() const {
  std::vector<IndexedPack> found;
  const auto scanned = scan(environment_, packs_, [&](auto key, auto value) -> Status {
    if (key.size() != 16 || value.size() != pack_row_bytes) return Error(Fault::corrupt, "chunk index: a damaged pack");
    IndexedPack pack;
    std::ranges::copy(key, pack.id.bytes.begin());
    base::Reader reader(value);
    pack.kind = static_cast<PackKind>(reader.template read_int<std::uint32_t>());
    pack.records = reader.template read_int<std::uint32_t>();
    pack.size_bytes = reader.template read_int<std::uint64_t>();
    pack.epoch = reader.template read_int<std::uint64_t>();
    found.push_back(pack);
    return {};
  });
  if (!scanned) return scanned.error();
  return found;
}

Result<std::vector<std::vector<Digest>>> IndexGeneration::similar(std::span<const Feature> features) const {
  auto txn = Transaction::begin(environment_, MDB_RDONLY);
  if (!txn) return txn.error();
  return find_similar(**txn, similar_, chunks_, features);
}

Status IndexGeneration::add(const PackContents& pack) {
  if (!writable_) return Error(Fault::invalid, "the chunk index is open for reading only");
  int dead = 0;
  mdb_reader_check(environment_, &dead);
  auto txn = Transaction::begin(environment_, 0);
  if (!txn) return txn.error();
  const auto kind = record_kind(pack.header.kind);
  for (const auto& entry : pack.entries) {
    const auto raw = encode(
        Location{pack.header.id, entry.offset, entry.length, kind, static_cast<std::uint8_t>(entry.bases.size())});
    MDB_val key = value_of(entry.id.bytes), value = value_of(raw);
    const int code = mdb_put((*txn)->handle(), chunks_, &key, &value, MDB_NODUPDATA);
    if (code != 0 && code != MDB_KEYEXIST) return error_of("add", code);
  }
  KILN_TRY(add_features(**txn, similar_, pack));
  const auto row = encode(IndexedPack{.id = pack.header.id,
                                      .kind = pack.header.kind,
                                      .size_bytes = pack.size_bytes,
                                      .records = static_cast<std::uint32_t>(pack.entries.size()),
                                      .epoch = pack.header.epoch});
  MDB_val key = value_of(pack.header.id.bytes), value = value_of(row);
  if (const int code = mdb_put((*txn)->handle(), packs_, &key, &value, 0)) return error_of("add", code);
  return (*txn)->commit();
}

Result<std::vector<IndexedRecord>> IndexGeneration::records_in(const PackId& pack) const {
  std::vector<IndexedRecord> records;
  const auto scanned = scan(environment_, chunks_, [&](auto key, auto value) -> Status {
    if (key.size() != 32 || value.size() != location_bytes) return {};
    if (!std::ranges::equal(value.first(16), pack.bytes)) return {};
    const auto location = decode_location(value);
    if (!location) return location.error();
    auto& record = records.emplace_back(IndexedRecord{.id = {}, .location = *location});
    std::ranges::copy(key, record.id.bytes.begin());
    return {};
  });
  if (!scanned) return scanned.error();
  return records;
}

// A pack's row and its records come and go in one transaction.
Result<bool> IndexGeneration::has(const PackId& pack) const {
  auto txn = Transaction::begin(environment_, MDB_RDONLY);
  if (!txn) return txn.error();
  MDB_val key = value_of(pack.bytes), value;
  const int code = mdb_get((*txn)->handle(), packs_, &key, &value);
  if (code != 0 && code != MDB_NOTFOUND) return error_of("find a pack", code);
  return code == 0;
}

Status IndexGeneration::forget(const PackId& pack, const PackContents* contents) {
  if (!writable_) return Error(Fault::invalid, "the chunk index is open for reading only");
  const auto indexed = has(pack);
  if (!indexed) return indexed.error();
  if (!*indexed) return {};
  std::vector<Digest> ids;
  if (contents != nullptr) {
    for (const auto& entry : contents->entries) ids.push_back(entry.id);
  } else {
    const auto records = records_in(pack);
    if (!records) return records.error();
    for (const auto& record : *records) ids.push_back(record.id);
  }
  auto txn = Transaction::begin(environment_, 0);
  if (!txn) return txn.error();
  auto cursor = Cursor::open(**txn, chunks_);
  if (!cursor) return cursor.error();
  // The values of a key are sorted and begin with the pack: the first one not less than its bytes and zeros is it.
  Bytes least(pack.bytes.begin(), pack.bytes.end());
  least.resize(location_bytes);
  for (const auto& id : ids) {
    MDB_val key = value_of(id.bytes), value = value_of(least);
    int code = (*cursor)->get(key, value, MDB_GET_BOTH_RANGE);
    if (code == MDB_NOTFOUND) continue;
    if (code == 0 && !std::ranges::equal(bytes_of(value).first(16), pack.bytes)) continue;
    if (code == 0) code = (*cursor)->erase();
    if (code != 0) return error_of("forget", code);
  }
  cursor->reset();
  if (contents != nullptr) KILN_TRY(forget_features(**txn, similar_, *contents));
  MDB_val key = value_of(pack.bytes);
  if (const int code = mdb_del((*txn)->handle(), packs_, &key, nullptr); code != 0 && code != MDB_NOTFOUND) {
    return error_of("forget", code);
  }
  return (*txn)->commit();
}

Status IndexGeneration::set_sync(bool on) {
  if (const int code = mdb_env_set_flags(environment_, MDB_NOSYNC, on ? 0 : 1)) return error_of("sync", code);
  if (on) {
    if (const int code = mdb_env_sync(environment_, 1)) return error_of("sync", code);
  }
  return {};
}

}  // namespace kiln::blocks
