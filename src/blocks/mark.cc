#include "blocks/mark.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

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
  bool only_for_dead = true;  // no root needs it, only dead records of packs that stay
};

}  // namespace

class Marked::Table {
 public:
  explicit Table(PackScan scan) : scan_(std::move(scan)) {}

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
  // Whether id is seen for the first time as what a root needs.
  bool reach(const Digest& id, RecordKind kind) {
    const auto [record, fresh] = table_->records_.insert(id);
    if (fresh) record->kind = kind;
    const bool first = record->only_for_dead;
    record->only_for_dead = false;
    return first;
  }

  // Finds the copy that counts of all that has been reached, and reaches the bases of those copies, until there is
  // nothing new: two rounds, as bases have no bases.
  Status settle() {
    for (bool grew = true; grew;) {
      grew = false;
      for (std::uint32_t place = 0; place < table_->scan_.size(); ++place) KILN_TRY(settle_pack(place, grew));
    }
    return {};
  }

  Status settle_pack(std::uint32_t place, bool& grew) {
    KILN_TRY(check(request_.go_on));
    const auto contents = table_->scan_.contents(place);
    if (!contents) return contents.error();
    auto& use = uses_[place];
    use.kind = contents->header.kind;
    use.total_bytes = contents->size_bytes;
    use.records = contents->entries.size();
    use.record_bytes = 0;
    const auto kind = record_kind(use.kind);
    for (const auto& entry : contents->entries) {
      use.record_bytes += entry.length;
      auto* record = table_->records_.find(entry.id);
      if (record == nullptr || record->kind != kind) continue;
      if (record->pack == 0 && !table_->scan_.is_bad(place, entry)) count(*record, place, entry);
      if (record->pack != place + 1 || record->only_for_dead) continue;
      for (const auto& base : entry.bases) grew = reach(base, RecordKind::chunk) || grew;
    }
    return {};
  }

  void count(Reached& record, std::uint32_t place, const PackEntry& entry) {
    record.pack = place + 1;
    uses_[place].live_bytes += entry.length;
    ++uses_[place].live_records;
  }

  // A bad copy that is the only one keeps its pack: it may be read again, or part of it be saved.
  Status settle_bad_copies() {
    bool grew = false;
    for (const auto& bad : store_.bad_records().list()) {
      auto* record = table_->records_.find(bad.id);
      if (record == nullptr || record->pack != 0) continue;
      for (std::uint32_t place = 0; place < table_->scan_.size(); ++place) {
        if (table_->scan_.pack(place).id != bad.location.pack) continue;
        const auto contents = table_->scan_.contents(place);
        if (!contents) return contents.error();
        const auto* entry = contents->find(bad.id);
        if (entry == nullptr) continue;
        count(*record, place, *entry);
        for (const auto& base : entry->bases) grew = reach(base, RecordKind::chunk) || grew;
      }
    }
    return grew ? settle() : Status{};
  }

  Status check_nothing_is_missing() {
    bool missing = false;
    table_->records_.for_each([&](const Reached& record) { missing = missing || record.pack == 0; });
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
      if (use.live_records == 0 || use.live_records == use.records || closed_.contains(place)) continue;
      closed_.insert(place);
      KILN_TRY(check(request_.go_on));
      const auto contents = table_->scan_.contents(place);
      if (!contents) return contents.error();
      for (const auto& entry : contents->entries) {
        for (const auto& base : entry.bases) grew = table_->records_.insert(base).second || grew;
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
      if (!record.only_for_dead) ++(record.kind == RecordKind::node ? marked.nodes : marked.chunks);
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
  for (const auto& entry : pack.entries) {
    if (pack_of(entry.id) == pack.header.id) live.push_back(entry);
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
