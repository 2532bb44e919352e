#include "blocks/slot_pins.h"

#include <chrono>
#include <string>

#include "base/mutex.h"
#include "blocks/slot_cache.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Path;
using base::Result;
using base::Status;

constexpr std::chrono::milliseconds lock_limit{2000}, lock_interval{2};

Path slots_of(const Path& directory) { return directory / ("slots-" + std::to_string(slot_version)); }

// The lock that whoever fills a slot or makes room holds: while a pin is made nobody is about to remove its slot.
Result<std::unique_ptr<base::File>> lock_group(base::Files& files, const Path& group) {
  KILN_TRY(files.make_directories(group));
  auto file = files.open(group / "LOCK", base::Open::create_or_open);
  if (!file) return file.error();
  const auto deadline = std::chrono::steady_clock::now() + lock_limit;
  base::Mutex mutex;
  base::Condition never;
  for (;;) {
    const auto locked = (*file)->lock();
    if (locked) return std::move(*file);
    if (locked.error().fault() != Fault::busy || std::chrono::steady_clock::now() > deadline) return locked.error();
    base::Lock hold(mutex);
    (void)never.wait_for(mutex, lock_interval, [] { return false; });
  }
}

std::string pin_name(const ChunkId& id) { return id.hex() + std::string(pin_suffix); }

}  // namespace

Path SlotPins::group_of(const ChunkId& id) const { return slots_of(directory_) / id.hex().substr(0, 2); }

Result<std::set<ChunkId>> SlotPins::list() {
  std::set<ChunkId> pinned;
  const auto groups = files_.list(slots_of(directory_));
  if (!groups && groups.error().fault() == Fault::not_found) return pinned;
  if (!groups) return groups.error();
  for (const auto& group : *groups) {
    const auto names = files_.list(slots_of(directory_) / group);
    if (!names) return names.error();
    for (const auto& name : *names) {
      if (!is_pin_name(name)) continue;
      if (const auto id = base::Digest::from_hex(name.substr(0, name.size() - pin_suffix.size()))) pinned.insert(*id);
    }
  }
  return pinned;
}

Status SlotPins::pin(const std::set<ChunkId>& ids) {
  Path locked;
  std::unique_ptr<base::File> lock;
  // In the order of ids those of a group follow each other.
  for (const auto& id : ids) {
    const auto group = group_of(id);
    if (group != locked) {
      lock.reset();
      auto taken = lock_group(files_, group);
      if (!taken) return taken.error().in("the lock of " + group.string());
      lock = std::move(*taken);
      locked = group;
    }
    const auto made = files_.open(group / pin_name(id), base::Open::create_or_open);
    if (!made) return made.error();
  }
  return {};
}

Status SlotPins::unpin(const std::set<ChunkId>& ids) {
  for (const auto& id : ids) {
    const auto gone = files_.remove(group_of(id) / pin_name(id));
    if (!gone && gone.error().fault() != Fault::not_found) return gone;
  }
  return {};
}

bool SlotPins::filled(const ChunkId& id) {
  const auto there = files_.exists(group_of(id) / id.hex());
  return there && *there;
}

}  // namespace kiln::blocks
