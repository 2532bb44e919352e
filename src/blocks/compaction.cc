#include "blocks/compaction.h"

#include <algorithm>
#include <optional>
#include <set>

#include "blocks/verify.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

class Compaction {
 public:
  Compaction(Store& store, const Marked& marked, const CompactionOptions& options)
      : store_(store), marked_(marked), options_(options) {}

  Status take(const PackId& source) {
    KILN_TRY(check(options_.go_on));
    // Also of a pack whose footer is damaged: the copy is how it is healed.
    const KnownPack known[] = {{.id = source}};
    const auto contents = PackScan(store_, known).contents(0);
    if (!contents) return contents.error();
    auto records = read_live(*contents);
    if (!records) return records.error();
    if (!*records) return {};
    for (const auto& [entry, bytes] : **records) KILN_TRY(add(contents->header, entry, bytes));
    done_.emptied.push_back(source);
    return {};
  }

  Result<Compacted> finish() {
    KILN_TRY(flush());
    std::set<PackId> own(done_.emptied.begin(), done_.emptied.end());
    for (const auto& base : bases_) {
      // None: the record is alive only for a dead one of a pack that stays, so nobody reads it.
      const auto pack = marked_.pack_of(base);
      if (pack && own.insert(*pack).second) done_.bases.push_back(*pack);
    }
    return std::move(done_);
  }

 private:
  using Records = std::vector<std::pair<PackEntry, Bytes>>;

  // All live records of a pack, or none when one of them is bad.
  Result<std::optional<Records>> read_live(const PackContents& contents) {
    Records records;
    const auto kind = record_kind(contents.header.kind);
    for (auto& entry : marked_.live_entries(contents)) {
      const Location place{.pack = contents.header.id, .offset = entry.offset, .length = entry.length, .kind = kind};
      Bytes stored(entry.length);
      auto got = store_.pack_store().read(place.pack, place.offset, stored);
      if (!got && got.error().fault() == Fault::io) return got.error();
      const auto record = got ? parse_record(stored) : Result<Record>(got.error());
      const bool is_it =
          record && record->header.id == entry.id && record->header.kind == kind && record->header.bases == entry.bases;
      if (!is_it) {
        done_.bad.push_back(
            {.location = place,
             .id = entry.id,
             .why = record ? "the record is not the one that the footer names" : record.error().message()});
        continue;
      }
      records.emplace_back(std::move(entry), std::move(stored));
    }
    if (!done_.bad.empty() && done_.bad.back().location.pack == contents.header.id) return std::optional<Records>{};
    return std::optional(std::move(records));
  }

  Status add(const PackHeader& source, const PackEntry& entry, const Bytes& record) {
    // A pack holds an id once; of a base several copies may be alive.
    const bool belongs = writer_ && writer_->domain() == source.domain && !in_writer_.contains(entry.id) &&
                         writer_->fits(record, entry.features.size());
    if (writer_ && !belongs) KILN_TRY(flush());
    if (!writer_) {
      writer_.emplace(PackHeader{
          .id = store_.new_pack_id(), .kind = source.kind, .domain = source.domain, .epoch = options_.epoch});
    }
    writer_->add(entry.id, record, entry.features);
    in_writer_.insert(entry.id);
    bases_.insert(entry.bases.begin(), entry.bases.end());
    done_.copied_bytes += record.size();
    return {};
  }

  Status flush() {
    if (!writer_) return {};
    const auto written = std::move(*writer_).finish();
    writer_.reset();
    in_writer_.clear();
    const auto& header = written.contents.header;
    if (options_.before_pack) KILN_TRY(options_.before_pack(header.id, header.kind));
    KILN_TRY(store_.publish(written));
    // Past every cache, as what an upload writes: the old copies will go on the strength of these.
    for (const auto& entry : written.contents.entries) {
      Bytes stored(entry.length);
      KILN_TRY(store_.pack_store().read(header.id, entry.offset, stored));
      if (const auto record = parse_record(stored); !record)
        return record.error().in("reading back " + header.id.text());
    }
    done_.written.push_back({.id = header.id,
                             .kind = header.kind,
                             .bytes = written.bytes.size(),
                             .records = static_cast<std::uint32_t>(written.contents.entries.size())});
    return {};
  }

  Store& store_;
  const Marked& marked_;
  const CompactionOptions& options_;
  std::optional<PackWriter> writer_;
  std::set<Digest> in_writer_;
  std::set<Digest> bases_;
  Compacted done_;
};

}  // namespace

Result<Compacted> compact(Store& store, const Marked& marked, std::span<const PackId> sources,
                          const CompactionOptions& options) {
  Compaction compaction(store, marked, options);
  for (const auto& source : sources) KILN_TRY(compaction.take(source));
  return compaction.finish();
}

}  // namespace kiln::blocks
