#include "blocks/mark.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "blocks/record_table.h"

namespace kiln::blocks {
namespace {

using base::Digest;
using base::Error;
using base::Fault;
using base::Result;
using base::Status;

// What the mark knows of a record.
struct Reached {
  std::uint32_t pack = 0;  // whose copy counts: its place in the scan, and one; 0: not found yet
  RecordKind kind = RecordKind::chunk;
  std::uint8_t pass = 0;  // over the packs, in which it was reached: the packs before it in that pass were not asked
  bool whole = false;     // a root reaches it, so it is read as it is, with its bases
  bool base = false;      // others are encoded against it, so every copy in a live pack counts, for its literals
  bool required = false;  // by a root, or as a base of what is; else only by dead records of packs that stay
};

}  // namespace

class Marked::Table {
 public:
  explicit Table(PackScan scan) : scan_(std::move(scan)) {}

  // Whether the copy of a record at this entry is one of those that count.
  bool counts(const Reached& record, std::uint32_t place, const PackEntry& entry) const {
    if (record.pack == place + 1) return true;
    const auto& pack = scan_.pack(place);
    return record.base && !pack.condemned && !scan_.is_bad(pack.id, entry);
  }

  PackScan scan_;
  RecordTable<Reached> records_;
};

namespace {

class Marker {
 public:
  Marker(Store& store, const MarkRequest& request)
      : store_(store),
        request_(request),
        table_(std::make_shared<Marked::Table>(PackScan(store, request.packs))),
        uses_(table_->scan_.size()) {}

  Result<Marked> run() {
    for (const auto& root : request_.roots) KILN_TRY(walk_tree(store_, root.root, visitor_));
    KILN_TRY(settle());
    KILN_TRY(settle_bad_copies());
    KILN_TRY(check_nothing_is_missing());
    // A pack that stays for the base of a dead record has dead records of its own; each round keeps more packs or ends.
    for (bool grew = true; grew;) {
      grew = false;
      KILN_TRY(reach_bases_of_the_dead(grew));
      if (grew) KILN_TRY(settle());
    }
    KILN_TRY(find_needs());
    return result();
  }

 private:
  // Whether id is seen for the first time from a root.
  bool reach(const Digest& id, RecordKind kind) {
    auto& record = *table_->records_.insert(id).first;
    record.kind = kind;
    record.required = true;
    return !std::exchange(record.whole, true);
  }
  // Whether that is news.
  bool reach_base(const Digest& id, bool required) {
    const auto [place, is_new] = table_->records_.insert(id);
    auto& record = *place;
    if (is_new) record.pass = pass_;
    const bool news = !record.base || (required && !record.required);
    record.base = true;
    record.required = record.required || required;
    return news;
  }

  // Finds the copies that count of all that has been reached, and reaches the bases of what is read whole, until there
  // is nothing new. What is needed as a base only is needed for its own literals, so its bases are not.
  Status settle() {
    for (bool grew = true; grew;) {
      grew = false;
      ++pass_;
      for (std::uint32_t place = 0; place < table_->scan_.size(); ++place) KILN_TRY(settle_pack(place, grew));
    }
    return {};
  }

  Status settle_pack(std::uint32_t place, bool& grew) {
    KILN_TRY(check(request_.go_on));
    const auto contents = table_->scan_.contents(place);
    if (!contents) return contents.error();
    auto& use = uses_[place];
    use = {.kind = contents->header.kind, .total_bytes = contents->size_bytes, .records = contents->entries.size()};
    const auto kind = record_kind(use.kind);
    for (const auto& entry : contents->entries) {
      use.record_bytes += entry.length;
      auto* record = table_->records_.find(entry.id);
      if (record == nullptr || record->kind != kind) continue;
      const auto& pack = table_->scan_.pack(place);
      // A base that this pass has reached waits for the next: a better copy may lie in a pack that came before.
      const bool asked_all = record->pass != pass_;
      if (record->pack == 0 && asked_all && !table_->scan_.is_bad(pack.id, entry)) record->pack = place + 1;
      if (!table_->counts(*record, place, entry)) continue;
      use.live_bytes += entry.length;
      ++use.live_records;
      use.required_records += record->required ? 1 : 0;
      if (!record->whole) continue;
      for (const auto& base : entry.bases) grew = reach_base(base, true) || grew;
    }
    return {};
  }

  // A bad copy that is the only one keeps its pack: it may be read again, or part of it be saved.
  Status settle_bad_copies() {
    bool found = false;
    for (const auto& bad : store_.bad_records().list()) {
      auto* record = table_->records_.find(bad.id);
      if (record == nullptr || record->pack != 0) continue;
      for (std::uint32_t place = 0; place < table_->scan_.size() && record->pack == 0; ++place) {
        if (table_->scan_.pack(place).id == bad.location.pack) record->pack = place + 1;
      }
      found = found || record->pack != 0;
    }
    return found ? settle() : Status{};
  }

  Status check_nothing_is_missing() {
    bool missing = false;
    table_->records_.for_each(
        [&](const Reached& record) { missing = missing || (record.required && record.pack == 0); });
    if (!missing) return {};
    // The table has no whole ids; the second walk is for the name.
    const auto look = [&](const Digest& id, RecordKind kind) -> Status {
      const auto* record = table_->records_.find(id);
      if (record != nullptr && record->pack != 0) return {};
      return Error(Fault::corrupt, std::string(kind == RecordKind::node ? "node " : "chunk ") + id.hex() +
                                       " is reachable and in no pack that is known");
    };
    std::unordered_set<Digest> seen;
    const TreeVisitor finder{.node = [&](const NodeId& id, unsigned, std::uint64_t) -> Result<bool> {
                               KILN_TRY(look(id, RecordKind::node));
                               return seen.insert(id).second;
                             },
                             .chunk = [&](const ChunkId& id, std::uint64_t) { return look(id, RecordKind::chunk); }};
    for (const auto& root : request_.roots) KILN_TRY(walk_tree(store_, root.root, finder));
    return Error(Fault::corrupt, "a base chunk of a reachable chunk is in no pack that is known");
  }

  // What a dead record needs to be read, as long as its pack stays. What is not there any more is not an error.
  Status reach_bases_of_the_dead(bool& grew) {
    for (std::uint32_t place = 0; place < table_->scan_.size(); ++place) {
      auto& use = uses_[place];
      if (use.live_records == 0 || !closed_.insert(place).second) continue;
      KILN_TRY(check(request_.go_on));
      const auto contents = table_->scan_.contents(place);
      if (!contents) return contents.error();
      for (const auto& entry : contents->entries) {
        for (const auto& base : entry.bases) grew = reach_base(base, false) || grew;
      }
    }
    return {};
  }

  // Only among packs without live records, which are few: all others stay anyway.
  Status find_needs() {
    std::unordered_map<Digest, std::vector<std::uint32_t>> wanted;
    for (const bool first : {true, false}) {
      for (std::uint32_t place = 0; place < table_->scan_.size(); ++place) {
        if (uses_[place].live_records > 0) continue;
        const auto contents = table_->scan_.contents(place);
        if (!contents) return contents.error();
        for (const auto& entry : contents->entries) {
          if (first) {
            for (const auto& base : entry.bases) wanted[base].push_back(place);
          } else if (const auto found = wanted.find(entry.id); found != wanted.end()) {
            for (const auto needing : found->second) add_need(needing, place);
          }
        }
      }
      if (wanted.empty()) break;
    }
    return {};
  }

  void add_need(std::uint32_t needing, std::uint32_t needed) {
    if (needing == needed) return;
    auto& needs = uses_[needing].needs;
    const auto id = table_->scan_.pack(needed).id;
    if (std::ranges::find(needs, id) == needs.end()) needs.push_back(id);
  }

  Marked result() {
    Marked marked;
    table_->records_.for_each([&](const Reached& record) {
      if (record.required) ++(record.kind == RecordKind::node ? marked.nodes : marked.chunks);
    });
    for (std::uint32_t place = 0; place < table_->scan_.size(); ++place) {
      marked.total_bytes += uses_[place].total_bytes;
      marked.live_bytes += uses_[place].live_bytes;
      marked.packs.emplace(table_->scan_.pack(place).id, std::move(uses_[place]));
    }
    marked.table = table_;
    return marked;
  }

  Store& store_;
  const MarkRequest& request_;
  const std::shared_ptr<Marked::Table> table_;
  std::vector<PackUse> uses_;  // by place
  std::unordered_set<std::uint32_t> closed_;
  std::uint8_t pass_ = 0;  // as many as bases of bases go deep; what is reached before the first has pass 0
  const TreeVisitor visitor_{.node = [this](const NodeId& id, unsigned, std::uint64_t) -> Result<bool> {
                               KILN_TRY(check(request_.go_on));
                               return reach(id, RecordKind::node);
                             },
                             .chunk = [this](const ChunkId& id, std::uint64_t) -> Status {
                               reach(id, RecordKind::chunk);
                               return {};
                             }};
};

}  // namespace

std::vector<PackEntry> Marked::live_entries(const PackContents& pack) const {
  std::vector<PackEntry> live;
  std::uint32_t place = 0;
  while (place < table->scan_.size() && table->scan_.pack(place).id != pack.header.id) ++place;
  for (const auto& entry : pack.entries) {
    const auto* record = place < table->scan_.size() ? table->records_.find(entry.id) : nullptr;
    if (record != nullptr && table->counts(*record, place, entry)) live.push_back(entry);
  }
  return live;
}

std::optional<PackId> Marked::pack_of(const Digest& id) const {
  const auto* record = table->records_.find(id);
  if (record == nullptr || record->pack == 0) return std::nullopt;
  return table->scan_.pack(record->pack - 1).id;
}

Result<Marked> mark(Store& store, const MarkRequest& request) { return Marker(store, request).run(); }

Result<Marked> mark(Store& store, std::span<const DiskId> roots) {
  const auto packs = indexed_packs(store);
  if (!packs) return packs.error();
  return mark(store, MarkRequest{.roots = roots, .packs = *packs});
}

}  // namespace kiln::blocks
