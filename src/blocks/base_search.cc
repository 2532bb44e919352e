#include "blocks/base_search.h"

#include <algorithm>
#include <cstring>

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Lock;
using base::Result;
using base::Status;
using Kind = UnitSource::Kind;

// More save nothing that can be measured, fewer do (docs/decisions/references-between-chunks.md).
constexpr std::size_t most_bases = 8;
// Candidates that turn out to share less than they promised cost a decode each.
constexpr int most_tries = 12;
// One unit saves less than a base's 32 bytes, its entry in the footer and the read of another record are worth.
constexpr unsigned least_units = 2;

std::span<const std::byte> unit_of(std::span<const std::byte> chunk, std::size_t unit) {
  return chunk.subspan(unit * unit_bytes, unit_bytes);
}

// The units of chunk that are still literals and that the base holds, told to use(unit of chunk, unit of base).
template <class Use>
unsigned match(std::span<const std::byte> chunk, const ChunkUnits& units, const UnitMap& map, const BaseChunk& base,
               Use use) {
  unsigned matches = 0;
  for (std::size_t unit = 0; unit < units_per_chunk; ++unit) {
    if (map[unit].kind != Kind::literal) continue;
    const auto found = std::ranges::lower_bound(base.found, std::pair(units.hashes[unit], std::uint8_t{0}));
    if (found == base.found.end() || found->first != units.hashes[unit]) continue;
    const auto theirs = unit_of(*base.bytes, found->second);
    if (std::memcmp(theirs.data(), chunk.data() + unit * unit_bytes, unit_bytes) != 0) continue;
    use(unit, found->second);
    ++matches;
  }
  return matches;
}

Feature masked(std::uint64_t unit_hash, const KeyDomain* domain) {
  return domain == nullptr ? unit_hash : domain->mask_feature(unit_hash);
}

// A copy of a unit that is a reference now is that reference too.
void follow_references(UnitMap& map) {
  for (auto& source : map) {
    if (source.kind == Kind::own && map[source.unit].kind == Kind::base) source = map[source.unit];
  }
}

}  // namespace

std::vector<Feature> features_of(const ChunkUnits& units, const UnitMap& map, const KeyDomain* domain) {
  std::vector<Feature> features;
  for (std::size_t unit = 0; unit < map.size(); ++unit) {
    if (map[unit].kind != Kind::literal || !is_feature(units.hashes[unit])) continue;
    features.push_back(masked(units.hashes[unit], domain));
  }
  return features;
}

Status HeldBases::read(const Digest& base, std::span<const UnitRead> units) {
  const auto held = std::ranges::find(bases_, base, [](const BasePtr& each) { return each->id; });
  if (held == bases_.end()) return Error(Fault::not_found, "a base that was not chosen");
  for (const auto& [unit, to] : units) {
    if (!(*held)->units[unit]) return Error(Fault::not_found, "a unit that the base does not hold");
    std::memcpy(to, unit_of(*(*held)->bytes, unit).data(), unit_bytes);
  }
  return {};
}

BaseSearch::BaseSearch(Store& store, Usable usable, std::size_t cache_bytes, const KeyDomain* domain)
    : store_(store),
      usable_(std::move(usable)),
      domain_(domain),
      most_recent_(cache_bytes / chunk_bytes),
      cache_(cache_bytes, chunk_bytes) {}

FoundBases BaseSearch::find(std::span<const std::byte> chunk, const ChunkUnits& units) {
  FoundBases chosen{.map = units.map, .bases = {}};
  auto votes = votes_for(units);
  for (int tries = 0; tries < most_tries && chosen.bases.size() < most_bases && !votes.empty(); ++tries) {
    const auto best = std::ranges::max_element(votes, [](const auto& a, const auto& b) {
      return std::pair(a.second.count(), a.first) < std::pair(b.second.count(), b.first);
    });
    if (best->second.none()) break;
    const auto id = best->first;
    votes.erase(best);
    const auto base = cache_.get(id, [&] { return load(id); });
    if (!base) continue;
    if (match(chunk, units, chosen.map, **base, [](auto, auto) {}) < least_units) continue;
    const auto number = static_cast<std::uint8_t>(chosen.bases.size());
    match(chunk, units, chosen.map, **base, [&](std::size_t unit, std::uint8_t theirs) {
      chosen.map[unit] = {.kind = Kind::base, .base = number, .unit = theirs};
      for (auto& [other, hits] : votes) hits.reset(unit);
    });
    chosen.bases.push_back(*base);
  }
  follow_references(chosen.map);
  return chosen;
}

BaseSearch::Votes BaseSearch::votes_for(const ChunkUnits& units) {
  std::vector<Feature> features;
  std::vector<std::size_t> places;
  for (std::size_t unit = 0; unit < units.map.size(); ++unit) {
    if (units.map[unit].kind != Kind::literal || !is_feature(units.hashes[unit])) continue;
    features.push_back(masked(units.hashes[unit], domain_));
    places.push_back(unit);
  }
  Votes votes;
  if (const auto similar = store_.index().similar(features)) {
    for (std::size_t i = 0; i < features.size(); ++i) {
      for (const auto& id : (*similar)[i]) votes[id].set(places[i]);
    }
  }
  Lock lock(mutex_);
  for (std::size_t i = 0; i < features.size(); ++i) {
    if (const auto recent = recent_features_.find(features[i]); recent != recent_features_.end()) {
      votes[recent->second].set(places[i]);
    }
  }
  return votes;
}

Result<BasePtr> BaseSearch::load(const ChunkId& id) {
  const auto places = store_.locations(id);
  if (!places) return places.error();
  for (const auto& place : *places) {
    const auto may = usable_(place.pack);
    if (!may) return may.error();
    if (place.kind != RecordKind::chunk || !*may) continue;
    const auto held = store_.literals_at(place, id);
    // A hash that collides must not lead into another domain.
    if (!held || held->domain != (domain_ == nullptr ? DomainId{} : domain_->id())) continue;
    BaseChunk made{.id = id, .pack = place.pack, .bytes = nullptr, .units = {}, .found = {}};
    auto bytes = std::make_shared<Bytes>(chunk_bytes);
    for (std::size_t i = 0; i < held->units.size(); ++i) {
      const auto unit = held->units[i];
      const auto literal = unit_of(held->bytes, i);
      std::ranges::copy(literal, bytes->begin() + unit * unit_bytes);
      made.units.set(unit);
      made.found.emplace_back(base::xxh3_64(literal), unit);
    }
    std::ranges::sort(made.found);
    made.bytes = std::move(bytes);
    return BasePtr(std::make_shared<const BaseChunk>(std::move(made)));
  }
  return Error(Fault::not_found, "no usable copy");
}

void BaseSearch::remember(const ChunkId& id, const ChunkBytes& chunk, const ChunkUnits& units, const UnitMap& map) {
  auto features = features_of(units, map, domain_);
  if (features.empty() || most_recent_ == 0) return;
  BaseChunk made{.id = id, .pack = {}, .bytes = chunk, .units = {}, .found = {}};
  for (std::size_t unit = 0; unit < map.size(); ++unit) {
    if (map[unit].kind != Kind::literal) continue;
    made.units.set(unit);
    made.found.emplace_back(units.hashes[unit], static_cast<std::uint8_t>(unit));
  }
  std::ranges::sort(made.found);
  const auto kept =
      cache_.get(id, [&]() -> Result<BasePtr> { return BasePtr(std::make_shared<const BaseChunk>(std::move(made))); });
  if (!kept) return;
  Lock lock(mutex_);
  for (const auto feature : features) recent_features_[feature] = id;
  recent_.emplace_front(id, std::move(features));
  while (recent_.size() > most_recent_) {
    for (const auto feature : recent_.back().second) {
      const auto held_by = recent_features_.find(feature);
      if (held_by != recent_features_.end() && held_by->second == recent_.back().first) recent_features_.erase(held_by);
    }
    recent_.pop_back();
  }
}

}  // namespace kiln::blocks
