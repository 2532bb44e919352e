#include "blocks/pack_scan.h"

#include <algorithm>

#include "base/log.h"

namespace kiln::blocks {

using base::Error;
using base::Fault;
using base::Result;
using base::Status;

Status check(const GoOn& go_on) {
  if (go_on && !go_on()) return Error(Fault::busy, "it was stopped");
  return {};
}

PackScan::PackScan(Store& store, std::span<const KnownPack> packs) : store_(store), packs_(packs.begin(), packs.end()) {
  // Names begin with the time at which they were made.
  std::ranges::sort(
      packs_, [](const auto& a, const auto& b) { return a.condemned != b.condemned ? b.condemned : a.id > b.id; });
  for (const auto& bad : store.bad_records().list()) bad_.insert({bad.location.pack, bad.location.offset});
}

Result<PackContents> PackScan::contents(std::size_t place) const {
  const auto& id = packs_[place].id;
  auto contents = read_pack_contents(store_.pack_store(), id);
  if (contents || contents.error().fault() == Fault::io) return contents;
  const bool gone = contents.error().fault() == Fault::not_found;
  // A condemned one may be deleted by another collection meanwhile.
  if (!gone || !packs_[place].condemned) base::log_warning("blocks", "{}", contents.error().message());
  if (gone) return PackContents{.header = {.id = id}};
  return contents_by_index(id);
}

Result<PackContents> PackScan::contents_by_index(const PackId& id) const {
  const auto records = store_.index().records_in(id);
  if (!records) return records.error();
  PackContents contents{.header = {.id = id}};
  for (const auto& record : *records) {
    contents.header.kind = record.location.kind == RecordKind::node ? PackKind::nodes : PackKind::data;
    contents.size_bytes += record.location.length;
    PackEntry entry{.id = record.id, .offset = record.location.offset, .length = record.location.length, .bases = {}};
    base::Bytes stored(entry.length);
    const auto got = store_.pack_store().read(id, entry.offset, stored);
    if (!got && got.error().fault() == Fault::io) return got.error();
    // A record that does not parse is never decoded, so its bases are nobody's.
    if (const auto parsed = got ? parse_record(stored) : Result<Record>(got.error()))
      entry.bases = parsed->header.bases;
    contents.entries.push_back(std::move(entry));
  }
  std::ranges::sort(contents.entries, {}, &PackEntry::id);
  return contents;
}

bool PackScan::is_bad(const PackId& pack, const PackEntry& entry) const {
  return !bad_.empty() && bad_.contains({pack, entry.offset});
}

Result<std::vector<KnownPack>> indexed_packs(Store& store) {
  const auto packs = store.packs();
  if (!packs) return packs.error();
  std::vector<KnownPack> known;
  for (const auto& pack : *packs) known.push_back({.id = pack.id});
  return known;
}

}  // namespace kiln::blocks
