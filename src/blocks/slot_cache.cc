#include "blocks/slot_cache.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <set>
#include <string>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/mutex.h"
#include "blocks/slot_pins.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Error;
using base::Fault;
using base::Path;
using base::Result;
using base::Status;

constexpr std::string_view magic = "KILNSLOT";
constexpr std::string_view lock_name = "LOCK";
constexpr std::string_view temporary_prefix = "tmp-";
// The one byte of a slot that changes: not 0 when it was opened since whoever made room last looked.
constexpr std::uint64_t used_offset = 12;
constexpr std::size_t sums_offset = 64;
constexpr std::size_t check_offset = sums_offset + units_per_chunk * 8;
// Each open slot is a descriptor, and keeps 516 KiB of disk when another process drops the slot.
constexpr std::size_t most_open_slots = 128;

// Waits between two tries of a lock; what is waited for, decoding a chunk, takes some milliseconds.
constexpr std::chrono::milliseconds lock_interval{2};

std::uint64_t head_check(std::span<const std::byte> head) {
  return base::xxh3_64(head.subspan(16, check_offset - 16), slot_version);
}

bool is_slot_name(const std::string& name) { return name.size() == 64; }

// How many slots a group may have. Pins take room from others until half of it is left to them; then the group grows.
std::uint64_t room_of_group(std::uint64_t most, std::uint64_t pins) {
  return std::max(most, pins + std::max<std::uint64_t>(1, most / 2));
}

}  // namespace

Bytes encode_slot_head(const SlotHead& head) {
  Bytes out;
  base::append(out, base::as_bytes(magic));
  base::append_int(out, slot_version);
  base::append_int(out, std::uint32_t{0});  // used, then three bytes that are not
  base::append(out, head.id.bytes);
  base::append(out, head.domain.bytes);
  for (const auto sum : head.sums) base::append_int(out, sum);
  assert(out.size() == check_offset);
  base::append_int(out, head_check(out));
  out.resize(slot_head_bytes);
  return out;
}

Result<SlotHead> decode_slot_head(std::span<const std::byte> bytes) {
  if (bytes.size() != slot_head_bytes) return Error(Fault::corrupt, "a slot without a whole head");
  base::Reader reader(bytes);
  if (base::as_text(reader.read(magic.size())) != magic) return Error(Fault::corrupt, "not a slot");
  const auto version = reader.read_int<std::uint32_t>();
  if (version != slot_version) return Error(Fault::unsupported, "a slot of version " + std::to_string(version));
  (void)reader.read_int<std::uint32_t>();
  SlotHead head;
  std::ranges::copy(reader.read(head.id.bytes.size()), head.id.bytes.begin());
  std::ranges::copy(reader.read(head.domain.bytes.size()), head.domain.bytes.begin());
  for (auto& sum : head.sums) sum = reader.read_int<std::uint64_t>();
  if (reader.read_int<std::uint64_t>() != head_check(bytes)) return Error(Fault::corrupt, "the checksum of its head");
  return head;
}

SlotCache::SlotCache(base::Files& files, const SlotCacheOptions& options, std::shared_ptr<const Keyring> keys)
    : files_(files),
      options_(options),
      keys_(keys ? std::move(keys) : std::make_shared<const Keyring>()),
      most_slots_of_a_group_(options.budget_bytes / slot_file_bytes / slot_groups),
      open_(most_open_slots, 1) {}

Result<std::unique_ptr<SlotCache>> SlotCache::open(base::Files& files, const SlotCacheOptions& options,
                                                   std::shared_ptr<const Keyring> keys) {
  if (options.budget_bytes < min_slot_budget_bytes) {
    return Error(Fault::invalid, "a slot cache of " + std::to_string(options.budget_bytes) + " bytes; the least is " +
                                     std::to_string(min_slot_budget_bytes));
  }
  return std::unique_ptr<SlotCache>(new SlotCache(files, options, std::move(keys)));
}

Path SlotCache::group_of(const ChunkId& id) const {
  return options_.directory / ("slots-" + std::to_string(slot_version)) / id.hex().substr(0, 2);
}

// not_found is a miss; a slot that is there and cannot be used has been dropped.
Result<SlotCache::OpenSlotPtr> SlotCache::open_slot(const ChunkId& id) {
  return open_.get(id, [&]() -> Result<OpenSlotPtr> {
    auto slot = std::make_shared<OpenSlot>();
    auto file = files_.open(group_of(id) / id.hex(), base::Open::read_write);
    if (!file) return file.error();
    slot->file = std::move(*file);
    Bytes bytes(slot_head_bytes);
    auto outcome = slot->file->read_exactly(0, bytes);
    if (outcome) {
      auto head = decode_slot_head(bytes);
      if (!head) outcome = head.error();
      if (head && head->id != id) outcome = Error(Fault::corrupt, "it is of chunk " + head->id.hex());
      if (head) slot->head = *head;
    }
    if (!outcome) {
      drop(id, outcome.error());
      return outcome.error();
    }
    if (!slot->head.domain.is_plain()) {
      auto domain = keys_->find(slot->head.domain);
      if (!domain) return domain.error();
      slot->domain = *std::move(domain);
    }
    constexpr std::byte used{1};
    // It only decides what goes first when room is made.
    if (bytes[used_offset] != used) (void)slot->file->write_at(used_offset, std::span(&used, 1));
    return OpenSlotPtr(std::move(slot));
  });
}

void SlotCache::drop(const ChunkId& id, const Error& why) {
  base::log_warning("blocks", "slot {} is dropped: {}", id.hex(), why.message());
  open_.drop(id);
  (void)files_.remove(group_of(id) / id.hex());
}

// Whole units into out.
Status SlotCache::read_units(const OpenSlot& slot, std::uint64_t first_unit, std::span<std::byte> out) {
  KILN_TRY(slot.file->read_exactly(slot_head_bytes + first_unit * unit_bytes, out));
  for (std::uint64_t i = 0; i * unit_bytes < out.size(); ++i) {
    if (base::xxh3_64(out.subspan(i * unit_bytes, unit_bytes)) != slot.head.sums[first_unit + i]) {
      return Error(Fault::corrupt, "the checksum of its unit " + std::to_string(first_unit + i));
    }
  }
  if (slot.domain) {
    slot.domain->slots().decrypt(KeyDomain::slot_tweak(slot.head.id), first_unit * unit_bytes, out, out.data());
  }
  return {};
}

bool SlotCache::holds(const ChunkId& id) {
  const auto there = files_.exists(group_of(id) / id.hex());
  return there && *there;
}

SlotCache::Found SlotCache::read(const ChunkId& id, std::uint64_t offset, std::span<std::byte> out) {
  assert(offset <= chunk_bytes && out.size() <= chunk_bytes - offset);
  const auto slot = open_slot(id);
  if (!slot) return Found::no;
  const auto first = offset / unit_bytes;
  const auto end = (offset + out.size() + unit_bytes - 1) / unit_bytes;
  Status outcome;
  if (offset % unit_bytes == 0 && out.size() % unit_bytes == 0) {
    outcome = read_units(**slot, first, out);
  } else {
    Bytes units((end - first) * unit_bytes);
    outcome = read_units(**slot, first, units);
    if (outcome) std::memcpy(out.data(), units.data() + (offset - first * unit_bytes), out.size());
  }
  if (!outcome) {
    drop(id, outcome.error());
    return Found::no;
  }
  const auto before = (*slot)->read_bytes.fetch_add(out.size());
  return before / chunk_bytes != (before + out.size()) / chunk_bytes ? Found::often : Found::yes;
}

Result<Bytes> SlotCache::chunk(const ChunkId& id, const Load& load_from_pack) {
  const auto load = [&]() -> Result<Bytes> {
    auto loaded = load_from_pack();
    if (!loaded) return loaded.error();
    return std::move(loaded->bytes);
  };
  Bytes bytes(chunk_bytes);
  if (read(id, 0, bytes) != Found::no) return bytes;
  const auto group = group_of(id);
  const auto lock = take_lock(group, lock_name);
  if (!lock) return load();
  // Whoever held the lock before may have filled it.
  if (read(id, 0, bytes) != Found::no) return bytes;
  auto loaded = load_from_pack();
  if (!loaded) return loaded.error();
  auto kept = make_room(group);
  if (kept) kept = write_slot(group, id, *loaded);
  if (!kept) base::log_debug("blocks", "slot {} is not filled: {}", id.hex(), kept.error().message());
  return std::move(loaded->bytes);
}

// Null when it cannot be had in time: a process that was stopped may hold it for ever.
std::unique_ptr<base::File> SlotCache::take_lock(const Path& group, std::string_view name) {
  const auto path = group / name;
  auto file = files_.open(path, base::Open::create_or_open);
  if (!file && file.error().fault() == Fault::not_found && files_.make_directories(group)) {
    file = files_.open(path, base::Open::create_or_open);
  }
  if (!file) return nullptr;
  const auto deadline = std::chrono::steady_clock::now() + options_.lock_limit;
  base::Mutex mutex;
  base::Condition never;
  for (;;) {
    const auto locked = (*file)->lock();
    if (locked) return std::move(*file);
    if (locked.error().fault() != Fault::busy || std::chrono::steady_clock::now() > deadline) return nullptr;
    base::Lock hold(mutex);
    (void)never.wait_for(mutex, lock_interval, [] { return false; });
  }
}

// The group's lock is held, so every temporary file is of a process that has ended. Slots that were not used since the
// last look go first, from a random place on: an order of use would be a write for every read.
Status SlotCache::make_room(const Path& group) {
  const auto names = files_.list(group);
  if (!names) return names.error();
  std::vector<std::string> slots;
  std::set<std::string> pinned;
  for (const auto& name : *names) {
    if (name.starts_with(temporary_prefix)) KILN_TRY(files_.remove(group / name));
    if (is_slot_name(name)) slots.push_back(name);
    if (is_pin_name(name)) pinned.insert(name.substr(0, name.size() - pin_suffix.size()));
  }
  const auto room = room_of_group(most_slots_of_a_group_, pinned.size());
  if (slots.size() < room) return {};
  auto excess = slots.size() - room + 1;
  std::erase_if(slots, [&](const auto& slot) { return pinned.contains(slot); });
  if (slots.empty()) return {};
  const auto start = std::stoull(base::random_hex(8), nullptr, 16) % slots.size();
  std::rotate(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(start), slots.end());
  for (const bool all : {false, true}) {
    for (auto slot = slots.begin(); excess > 0 && slot != slots.end();) {
      auto file = files_.open(group / *slot, base::Open::read_write);
      std::byte used{0};
      if (!all && file && (*file)->read_exactly(used_offset, std::span(&used, 1)) && used != std::byte{0}) {
        constexpr std::byte unused{0};
        (void)(*file)->write_at(used_offset, std::span(&unused, 1));
        ++slot;
        continue;
      }
      const auto removed = files_.remove(group / *slot);
      if (!removed && removed.error().fault() != Fault::not_found) return removed;
      slot = slots.erase(slot);
      --excess;
    }
  }
  return {};
}

Status SlotCache::write_slot(const Path& group, const ChunkId& id, const Decoded& loaded) {
  if (loaded.bytes.size() != chunk_bytes) return Error(Fault::invalid, "not a whole chunk");
  SlotHead head{.id = id};
  Bytes encrypted;
  std::span<const std::byte> bytes = loaded.bytes;
  if (loaded.domain) {
    head.domain = loaded.domain->id();
    encrypted.resize(chunk_bytes);
    loaded.domain->slots().encrypt(KeyDomain::slot_tweak(id), 0, bytes, encrypted.data());
    bytes = encrypted;
  }
  for (std::uint64_t unit = 0; unit < units_per_chunk; ++unit) {
    head.sums[unit] = base::xxh3_64(bytes.subspan(unit * unit_bytes, unit_bytes));
  }
  const auto temporary = group / (std::string(temporary_prefix) + base::random_hex(8));
  auto file = files_.open(temporary, base::Open::create_new);
  if (!file) return file.error();
  auto written = (*file)->write_at(0, encode_slot_head(head));
  if (written) written = (*file)->write_at(slot_head_bytes, bytes);
  if (written) written = files_.rename(temporary, group / id.hex());
  if (!written) (void)files_.remove(temporary);
  return written;
}

}  // namespace kiln::blocks
