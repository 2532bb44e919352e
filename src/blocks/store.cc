#include "blocks/store.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/ids.h"
#include "base/log.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

constexpr std::string_view format_prefix = "kiln-store ";
// A reader looks again when a chunk is not where the index said, or not in it: packs are replaced while it reads.
constexpr int most_rounds = 3;
// A read of as much as this comes from a guest that reads on, which memory serves better than a slot.
constexpr std::size_t most_bytes_from_slot = 128 << 10;

// Of bases of bases; more than a store comes to ever, and an end for one that was made to go in circles.
constexpr int most_depth = 4;

std::string_view noun(RecordKind kind) { return kind == RecordKind::node ? "node " : "chunk "; }

std::string describe(const Location& location) {
  return "pack " + location.pack.text() + " at offset " + std::to_string(location.offset);
}

}  // namespace

Store::Store(const StoreOptions& options)
    : files_(options.files),
      directory_(options.directory),
      access_(options.access),
      new_pack_id_(options.new_pack_id),
      keys_(options.keys),
      bad_(options.files, options.directory / "BAD"),
      condemned_(options.files, options.directory / "condemned"),
      suspects_(options.files, options.directory / "suspects"),
      chunks_(options.chunk_cache_bytes, chunk_bytes),
      nodes_(options.node_cache_bytes, sizeof(Node)) {}

Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(StoreOptions options) {
  auto store = std::unique_ptr<Store>(new Store(options));
  const auto where = "store " + options.directory.string();
  if (const auto opened = store->open_format(); !opened) return opened.error().in(where);
  auto packs = DirectoryPackStore::open(options.files, options.directory / "packs", options.access);
  if (!packs) return packs.error().in(where);
  store->packs_ = *std::move(packs);
  auto index = ChunkIndex::open(options.files, options.directory / "index", options.access, *store->packs_);
  if (!index) return index.error().in(where);
  store->index_ = *std::move(index);
  if (options.slots) {
    auto slots = SlotCache::open(options.files, *options.slots, options.keys);
    if (!slots) return slots.error().in(where);
    store->slots_ = *std::move(slots);
  }
  return store;
}

Status Store::open_format() {
  if (access_ == Access::write) {
    KILN_TRY(files_.make_directories(directory_));
    if (directory_.has_parent_path()) KILN_TRY(files_.sync_directory(directory_.parent_path()));
    auto lock = files_.open(directory_ / "LOCK", base::Open::create_or_open);
    if (!lock) return lock.error();
    KILN_TRY((*lock)->lock());
    lock_ = *std::move(lock);
  }
  const auto path = directory_ / "FORMAT";
  auto text = files_.read_all(path, 4096);
  if (!text && text.error().fault() == Fault::not_found && access_ == Access::write) {
    // Packs without a FORMAT are a store that lost its head, and not an empty directory to be made into one.
    const auto packs = files_.exists(directory_ / "packs");
    if (!packs) return packs.error();
    if (*packs) return Error(Fault::corrupt, "there are packs but no FORMAT");
    text = std::string(format_prefix) + std::to_string(store_version) + "\nuuid " + base::new_uuid() + "\n";
    KILN_TRY(files_.replace(path, base::as_bytes(*text)));
  }
  if (!text) return text.error();
  const std::string_view content = *text;
  const auto line = content.substr(0, content.find('\n'));
  if (!line.starts_with(format_prefix)) return Error(Fault::corrupt, "FORMAT does not begin as a store's does");
  const auto version = line.substr(format_prefix.size());
  if (version != std::to_string(store_version)) {
    return Error(Fault::unsupported, "it has format \"" + std::string(version) + "\"; this program reads format " +
                                         std::to_string(store_version));
  }
  const auto rest = content.substr(std::min(content.size(), line.size() + 1));
  if (!rest.starts_with("uuid ") || rest.size() != 42 || rest.back() != '\n') {
    return Error(Fault::corrupt, "FORMAT has no uuid");
  }
  uuid_ = rest.substr(5, 36);
  return {};
}

Result<ChunkId> Store::chunk_id(const DiskId& disk, std::uint64_t chunk_index) {
  if (chunk_index >= max_disk_chunks || chunk_index * chunk_bytes >= disk.size_bytes) return ChunkId{};
  return find_chunk(*this, disk.root, chunk_index);
}

Result<ChunkBytes> Store::chunk(const ChunkId& id) {
  if (id.is_null()) return ChunkBytes{};
  return chunks_.get(id, [&]() -> Result<ChunkBytes> {
    auto bytes = through_slot(id);
    if (!bytes) return bytes.error();
    return ChunkBytes(std::make_shared<const Bytes>(*std::move(bytes)));
  });
}

Result<ChunkBytes> Store::chunk_once(const ChunkId& id) {
  if (id.is_null()) return ChunkBytes{};
  if (auto held = chunks_.find(id)) return held;
  auto loaded = load(id, RecordKind::chunk);
  if (!loaded) return loaded.error();
  return ChunkBytes(std::make_shared<const Bytes>(std::move(loaded->bytes)));
}

// From a slot where there are any, filling it on the way.
Result<Bytes> Store::through_slot(const ChunkId& id, const Stretch* ahead) {
  const auto from_pack = [&] { return load(id, RecordKind::chunk, ahead); };
  if (slots_) return slots_->chunk(id, from_pack);
  auto loaded = from_pack();
  if (!loaded) return loaded.error();
  return std::move(loaded->bytes);
}

Status Store::read_chunk(const ChunkId& id, std::uint64_t offset, std::span<std::byte> out) {
  if (const auto held = id.is_null() ? nullptr : chunks_.find(id)) {
    std::memcpy(out.data(), held->data() + offset, out.size());
    return {};
  }
  if (!slots_ || id.is_null() || out.size() >= most_bytes_from_slot) return DiskSource::read_chunk(id, offset, out);
  const auto found = slots_->read(id, offset, out);
  if (found == SlotCache::Found::yes) return {};
  // Either it is in no slot, or it is read so often that memory is the place for it.
  const auto whole = chunk(id);
  if (!whole) return found == SlotCache::Found::often ? Status() : whole.error();
  std::memcpy(out.data(), (*whole)->data() + offset, out.size());
  return {};
}

Result<NodePtr> Store::node(const NodeId& id, unsigned level) {
  const auto node = nodes_.get(id, [&]() -> Result<NodePtr> {
    const auto bytes = load(id, RecordKind::node);
    if (!bytes) return bytes.error();
    const auto decoded = decode_node(bytes->bytes);
    if (!decoded) return decoded.error().in("node " + id.hex());
    return NodePtr(std::make_shared<const Node>(*decoded));
  });
  if (node && (*node)->level != level) {
    return Error(Fault::corrupt, "node " + id.hex() + " is of level " + std::to_string((*node)->level) +
                                     " in place of " + std::to_string(level));
  }
  return node;
}

Status Store::read(const DiskId& disk, std::uint64_t offset, std::span<std::byte> out) {
  if (offset > disk.size_bytes || out.size() > disk.size_bytes - offset) {
    return Error(Fault::invalid, "a read past the end of a disk of " + std::to_string(disk.size_bytes) + " bytes");
  }
  while (!out.empty()) {
    const auto within = offset % chunk_bytes;
    const auto part = out.first(std::min<std::size_t>(out.size(), chunk_bytes - within));
    const auto id = chunk_id(disk, offset / chunk_bytes);
    if (!id) return id.error();
    const auto bytes = chunk(*id);
    if (!bytes) return bytes.error();
    if (*bytes == nullptr) {
      std::ranges::fill(part, std::byte{});
    } else {
      std::memcpy(part.data(), (*bytes)->data() + within, part.size());
    }
    offset += part.size();
    out = out.subspan(part.size());
  }
  return {};
}

Result<std::vector<Location>> Store::locations(const Digest& id) {
  for (int round = 1;; ++round) {
    auto found = index_->find(id);
    if (!found || !found->empty() || access_ == Access::write || round == most_rounds) return found;
    const auto switched = index_->reopen();
    if (!switched) return switched.error();
    if (!*switched) return found;
  }
}

Result<Bytes> Store::stored_at(const Location& location, const Stretch* ahead) {
  if (ahead != nullptr && ahead->pack == location.pack && location.offset >= ahead->offset &&
      location.offset + location.length <= ahead->offset + ahead->bytes.size()) {
    const auto first = ahead->bytes.begin() + static_cast<std::ptrdiff_t>(location.offset - ahead->offset);
    return Bytes(first, first + location.length);
  }
  Bytes stored(location.length);
  KILN_TRY(packs_->read(location.pack, location.offset, stored));
  return stored;
}

// The units of bases for one record.
class Store::Bases final : public BaseUnits {
 public:
  Bases(Store& store, int depth) : store_(store), depth_(depth) {}
  Status read(const Digest& base, std::span<const UnitRead> units) override {
    return store_.read_base(base, units, depth_);
  }

 private:
  Store& store_;
  const int depth_;
};

Result<Decoded> Store::decode_at(const Location& location, const Digest& id, int depth, const Stretch* ahead) {
  const auto where = [&] { return std::string(noun(location.kind)) + id.hex() + " in " + describe(location); };
  const auto stored = stored_at(location, ahead);
  if (!stored) return stored.error().in(where());
  Bases bases(*this, depth);
  auto plain = decode(*stored, location.kind, id, &bases, keys_.get());
  if (!plain) return plain.error().in(where());
  return plain;
}

Result<Bytes> Store::read_at(const Location& location, const Digest& id) {
  auto plain = decode_at(location, id, 0);
  if (!plain) return plain.error();
  return std::move(plain->bytes);
}

Result<Bytes> Store::record_at(const Location& location, const Digest& id) {
  const auto where = [&] { return std::string(noun(location.kind)) + id.hex() + " in " + describe(location); };
  auto stored = stored_at(location);
  if (!stored) return stored.error().in(where());
  const auto record = parse_record(*stored);
  if (!record) return record.error().in(where());
  if (record->header.id != id || record->header.kind != location.kind) {
    return Error(Fault::corrupt, where() + ": found the record of " + record->header.id.hex());
  }
  return stored;
}

Status Store::check_at(const Location& location, const Digest& id) {
  const auto plain = read_at(location, id);
  if (plain) return {};
  if (plain.error().fault() != Fault::no_key) return plain.error();
  const auto stored = record_at(location, id);
  return stored ? Status() : Status(stored.error());
}

Result<Literals> Store::literals_at(const Location& location, const ChunkId& id) {
  const auto stored = stored_at(location);
  if (!stored) return stored.error();
  return decode_literals(*stored, id, keys_.get());
}

void Store::forget_domain(const DomainId& domain) {
  if (!keys_->remove(domain)) return;
  chunks_.clear();
  if (slots_) slots_->close_slots();
}

// Whoever stored a reference saw a copy of the base that holds the unit itself, and such copies stay while the base
// does. When none is to be had all the same (it rotted, say), a copy that holds the unit by reference will do.
Status Store::read_base(const Digest& base, std::span<const UnitRead> units, int depth) {
  const auto places = locations(base);
  if (!places) return places.error();
  Error failure(Fault::not_found, "chunk " + base.hex() + " is in no pack that the index knows");
  std::vector<Location> by_reference;
  for (const auto& place : *places) {
    if (place.kind != RecordKind::chunk) continue;
    const auto stored = stored_at(place);
    const auto done = stored ? decode_units(*stored, base, units, keys_.get()) : Status(stored.error());
    if (done) return {};
    if (stored && done.error().fault() == Fault::not_found) by_reference.push_back(place);
    if (done.error().fault() == Fault::corrupt) suspects_.report(place.pack);
    if (failure.fault() != Fault::corrupt) failure = done.error().in(describe(place));
  }
  for (const auto& place : by_reference) {
    if (depth == most_depth) break;
    const auto plain = decode_at(place, base, depth + 1);
    if (!plain) {
      failure = plain.error();
      continue;
    }
    for (const auto& [unit, to] : units) std::memcpy(to, plain->bytes.data() + unit * unit_bytes, unit_bytes);
    return {};
  }
  return failure;
}

// Tries every place, and looks into the index again when none served: a pack may have been replaced since.
Result<Decoded> Store::load(const Digest& id, RecordKind kind, const Stretch* ahead) {
  Error failure(Fault::not_found, std::string(noun(kind)) + id.hex() + " is in no pack that the index knows");
  for (int round = 0; round < most_rounds; ++round) {
    auto found = locations(id);
    if (!found) return found.error();
    bool pack_missing = found->empty();
    std::set<PackId> condemned;
    for (const auto& location : *found) {
      if (condemned_.contains(location.pack)) condemned.insert(location.pack);
    }
    std::stable_partition(found->begin(), found->end(),
                          [&](const auto& place) { return !condemned.contains(place.pack); });
    for (const auto& location : *found) {
      if (location.kind != kind) continue;
      auto plain = decode_at(location, id, 0, ahead);
      if (plain && condemned.contains(location.pack)) condemned_.report_read(location.pack);
      if (plain) return plain;
      pack_missing = pack_missing || plain.error().fault() == Fault::not_found;
      // Damage is what the operator must hear of, whatever else went wrong with the other copies.
      if (failure.fault() != Fault::corrupt) failure = plain.error();
      if (plain.error().fault() == Fault::corrupt) suspects_.report(location.pack);
      if (round == 0) base::log_warning("blocks", "{}", plain.error().message());
    }
    if (!pack_missing && failure.fault() != Fault::corrupt) break;
    const auto switched = index_->reopen();
    if (!switched) return switched.error();
    if (found->empty() && !*switched) break;
  }
  return failure;
}

Status Store::publish(const WrittenPack& pack) {
  KILN_TRY(packs_->put(pack.contents.header.id, pack.bytes));
  return index_->add(pack.contents);
}

Status Store::forget_pack(const PackId& pack) {
  const auto contents = read_pack_contents(*packs_, pack);
  if (!contents && contents.error().fault() == Fault::io) return contents.error();
  KILN_TRY(index_->forget(pack, contents ? &*contents : nullptr));
  const auto removed = packs_->remove(pack);
  if (!removed && removed.error().fault() != Fault::not_found) return removed;
  KILN_TRY(condemned_.remove(pack));
  KILN_TRY(suspects_.remove(pack));
  return bad_.forget_pack(pack);
}

Result<IndexRebuild> Store::rebuild_index() { return index_->rebuild(*packs_); }

}  // namespace kiln::blocks
