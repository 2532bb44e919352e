// Chunks that are fetched ahead of need: a remote store answers one long read sooner than many short ones.

#include <algorithm>

#include "blocks/store.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Result;
using base::Status;

// What lies between two records is read and thrown away when it is no longer than this.
constexpr std::uint64_t most_gap = 128 << 10;
constexpr std::uint64_t most_stretch = 4 << 20;

struct Wanted {
  std::size_t turn = 0;
  ChunkId id;
  Location place;
  std::uint64_t end() const { return place.offset + place.length; }
};

bool continues(const Wanted& first, const Wanted& last, const Wanted& next) {
  return next.place.pack == last.place.pack && next.place.offset - last.end() <= most_gap &&
         next.end() - first.place.offset <= most_stretch;
}

}  // namespace

std::vector<std::vector<ChunkId>> Store::together(std::span<const ChunkId> ids) {
  std::vector<Wanted> wanted;
  for (std::size_t turn = 0; turn < ids.size(); ++turn) {
    const auto places = locations(ids[turn]);
    // Where there is none, a guest's own read says so.
    if (places && !places->empty()) wanted.push_back({.turn = turn, .id = ids[turn], .place = places->front()});
  }
  std::ranges::sort(wanted, [](const Wanted& a, const Wanted& b) {
    return std::pair(a.place.pack, a.place.offset) < std::pair(b.place.pack, b.place.offset);
  });
  std::vector<std::pair<std::size_t, std::vector<ChunkId>>> batches;
  for (std::size_t i = 0, first = 0; i < wanted.size(); ++i) {
    if (i == 0 || !continues(wanted[first], wanted[i - 1], wanted[i])) {
      first = i;
      batches.push_back({wanted[i].turn, {}});
    }
    batches.back().first = std::min(batches.back().first, wanted[i].turn);
    batches.back().second.push_back(wanted[i].id);
  }
  std::ranges::sort(batches, {}, [](const auto& batch) { return batch.first; });
  std::vector<std::vector<ChunkId>> ordered;
  for (auto& [turn, batch] : batches) ordered.push_back(std::move(batch));
  return ordered;
}

// Empty when the batch lies in no one stretch any more: then each chunk is read by itself.
Store::Stretch Store::read_ahead(std::span<const ChunkId> batch) {
  Stretch ahead;
  std::uint64_t end = 0;
  for (const auto& id : batch) {
    const auto places = locations(id);
    if (!places || places->empty()) return {};
    const auto& place = places->front();
    if (end == 0) ahead.pack = place.pack, ahead.offset = place.offset;
    if (place.pack != ahead.pack || place.offset < ahead.offset) return {};
    end = std::max(end, place.offset + place.length);
  }
  if (end - ahead.offset > most_stretch) return {};
  ahead.bytes.resize(end - ahead.offset);
  return packs_->read(ahead.pack, ahead.offset, ahead.bytes) ? std::move(ahead) : Stretch{};
}

std::vector<ChunkId> Store::missing_of(std::span<const ChunkId> batch) {
  std::vector<ChunkId> missing;
  for (const auto& id : batch) {
    if (slots_ ? !slots_->holds(id) : chunks_.find(id) == nullptr) missing.push_back(id);
  }
  return missing;
}

// Into slots where there are any: memory is for what is read again and again. Of the disk servers of a host that launch
// one image at once, one reads and the others wait for it.
Status Store::bring(std::span<const ChunkId> batch) {
  auto missing = missing_of(batch);
  if (missing.empty()) return {};
  // A chunk alone is loaded once whoever wants it.
  const auto turn = slots_ && missing.size() > 1 ? slots_->turn(batch.front()) : nullptr;
  if (turn) missing = missing_of(batch);
  const auto ahead = missing.size() > 1 ? read_ahead(missing) : Stretch{};
  Status outcome;
  for (const auto& id : missing) {
    if (slots_) {
      if (const auto bytes = through_slot(id, &ahead); !bytes) outcome = bytes.error();
      continue;
    }
    const auto bytes = chunks_.get(id, [&]() -> Result<ChunkBytes> {
      auto plain = through_slot(id, &ahead);
      if (!plain) return plain.error();
      return ChunkBytes(std::make_shared<const Bytes>(*std::move(plain)));
    });
    if (!bytes) outcome = bytes.error();
  }
  return outcome;
}

}  // namespace kiln::blocks
