#include "blocks/scrub.h"

namespace kiln::blocks {
namespace {

using base::Fault;
using base::Result;

}  // namespace

Result<ScrubbedPack> scrub_pack(Store& store, const PackId& pack) {
  ScrubbedPack scrubbed;
  std::vector<IndexedRecord> records;
  std::vector<Location> good;
  const Location whole{.pack = pack};
  const auto contents = read_pack_contents(store.pack_store(), pack);
  if (contents) {
    good.push_back(whole);
    scrubbed.bytes = contents->size_bytes;
    const auto kind = record_kind(contents->header.kind);
    for (const auto& entry : contents->entries) {
      records.push_back({.id = entry.id, .location = {pack, entry.offset, entry.length, kind}});
    }
  } else {
    scrubbed.bad.push_back({.location = whole, .id = {}, .why = contents.error().message()});
    auto indexed = store.index().records_in(pack);
    if (!indexed) return indexed.error();
    records = *std::move(indexed);
  }
  for (const auto& record : records) {
    ++scrubbed.records;
    if (!contents) scrubbed.bytes += record.location.length;
    const auto checked = store.check_at(record.location, record.id);
    if (checked) {
      good.push_back(record.location);
    } else if (checked.error().fault() != Fault::unsupported) {
      // A record of a later version is sound as far as this program can tell: its checksum was right.
      scrubbed.bad.push_back({.location = record.location, .id = record.id, .why = checked.error().message()});
    }
  }
  KILN_TRY(store.bad_records().add(scrubbed.bad));
  KILN_TRY(store.bad_records().remove(good));
  return scrubbed;
}

}  // namespace kiln::blocks
