#include "control/snapshot_blocks.h"

#include <stdexcept>

#include "base/ids.h"
#include "blocks/manifest.h"
#include "catalog/snapshots.h"
#include "control/block_tokens.h"
#include "control/ebs_refusals.h"
#include "control/key_domains.h"
#include "control/snapshot_sharing.h"
#include "control/snapshot_tiers.h"
#include "control/snapshots.h"

namespace kiln::control {
namespace {

// "EBS direct APIs": block tokens are good for seven days, page tokens for one hour.
constexpr base::Micros block_token_life = base::seconds(7 * 86'400), page_token_life = base::seconds(3600);

struct Source {
  catalog::Snapshot snapshot;
  blocks::DiskId disk;
};

Source source_of(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& id) {
  if (!base::is_id("snap", id)) refuse_ebs("The snapshot ID '" + id + "' is not valid.", "INVALID_SNAPSHOT_ID");
  auto row = catalog::find_snapshot(txn, region.name, id);
  if (!row || !may_read_snapshot(txn, region, caller.account, *row)) refuse_ebs_unknown(id);
  if (row->state != "completed") {
    refuse_ebs("The snapshot '" + id + "' is " + row->state + " and not completed.", "INVALID_SNAPSHOT_ID");
  }
  refuse_archived_to_ebs(txn, region, id);
  const auto disk = snapshot_disk(txn, region, *row);
  return {.snapshot = *std::move(row), .disk = disk};
}

// The keys of the snapshot; null when it is not encrypted.
blocks::DomainPtr keys_of(Region& region, const Principal& caller, const catalog::Snapshot& snapshot) {
  try {
    return keys_of_domain(region, domain_to_read(region, caller.account, snapshot.kms_key_arn));
  } catch (const KeyNotAccessible& refusal) {
    throw base::ApiError("AccessDeniedException", refusal.what(), 403, "DEPENDENCY_ACCESS_DENIED");
  }
}

base::Digest digest_of(const blocks::ChunkId& id, const blocks::DomainPtr& keys) {
  return keys == nullptr || id.is_null() ? id : keys->unmask(id);
}

std::string block_purpose(const std::string& snapshot_id, std::uint64_t index) {
  return "block " + snapshot_id + " " + std::to_string(index);
}

std::string page_purpose(const BlockQuery& query) {
  return "page " + query.snapshot_id + " " + query.since_snapshot_id.value_or("-");
}

void check_query(const BlockQuery& query) {
  if (query.most < least_blocks_a_page || query.most > most_blocks_a_page) {
    refuse_ebs("maxResults must be between 100 and 10000.", "INVALID_PARAMETER_VALUE");
  }
  if (query.since_snapshot_id && *query.since_snapshot_id == query.snapshot_id) {
    refuse_ebs("A snapshot cannot be compared with itself.", "INVALID_SNAPSHOT_ID");
  }
}

std::uint64_t first_of_page(const BlockTokens& tokens, const BlockQuery& query, base::Micros now) {
  if (query.page_token.empty()) return query.first_index;
  const auto next = tokens.check(page_purpose(query), query.page_token, now);
  if (!next) refuse_ebs("The page token is not valid for this request, or has expired.", "INVALID_PAGE_TOKEN");
  return *next;
}

}  // namespace

BlockPage list_blocks(Region& region, const Principal& caller, const BlockQuery& query) {
  check_query(query);
  blocks::DiskId before;
  const auto source = catalog::in_read(region.catalog, [&](catalog::Txn& txn) {
    auto found = source_of(txn, region, caller, query.snapshot_id);
    if (query.since_snapshot_id) before = source_of(txn, region, caller, *query.since_snapshot_id).disk;
    return found;
  });
  const auto keys = keys_of(region, caller, source.snapshot);
  const BlockTokens tokens(region);
  const auto now = region.clock.now();
  const auto first = first_of_page(tokens, query, now);
  BlockPage page{.blocks = {},
                 .tokens_end = now + block_token_life,
                 .next_page = {},
                 .size_gib = source.snapshot.size_gib,
                 .disk = source.disk,
                 .encrypted = source.snapshot.encrypted};
  const auto token_of = [&](const std::string& snapshot, const blocks::ChunkId& id, std::uint64_t index) {
    return id.is_null() ? std::string() : tokens.make(block_purpose(snapshot, index), index, page.tokens_end);
  };
  const auto walked = blocks::diff_trees(
      region.store, before.root, source.disk.root, first, [&](const blocks::ChangedChunk& block) -> base::Result<bool> {
        if (page.blocks.size() == static_cast<std::size_t>(query.most)) {
          page.next_page = tokens.make(page_purpose(query), block.chunk_index, now + page_token_life);
          return false;
        }
        page.blocks.push_back(
            {.index = block.chunk_index,
             .token = token_of(query.snapshot_id, block.after, block.chunk_index),
             .since_token = token_of(query.since_snapshot_id.value_or(""), block.before, block.chunk_index),
             .digest = digest_of(block.after, keys)});
        return true;
      });
  if (!walked) throw std::runtime_error("listing blocks of " + query.snapshot_id + ": " + walked.error().message());
  return page;
}

BlockContent read_block(Region& region, const Principal& caller, const std::string& snapshot_id, std::uint64_t index,
                        const std::string& token) {
  const auto source =
      catalog::in_read(region.catalog, [&](catalog::Txn& txn) { return source_of(txn, region, caller, snapshot_id); });
  if (!BlockTokens(region).check(block_purpose(snapshot_id, index), token, region.clock.now())) {
    refuse_ebs("The block token is not valid for block " + std::to_string(index) + " of this snapshot, or has expired.",
               "INVALID_BLOCK_TOKEN");
  }
  const auto keys = keys_of(region, caller, source.snapshot);
  const auto id = region.store.chunk_id(source.disk, index);
  if (!id) throw std::runtime_error("block " + std::to_string(index) + ": " + id.error().message());
  auto bytes = region.store.chunk_once(*id);
  if (!bytes) throw std::runtime_error("block " + std::to_string(index) + ": " + bytes.error().message());
  if (*bytes == nullptr) refuse_ebs("The snapshot has no such block.", "INVALID_BLOCK");
  return {.digest = digest_of(*id, keys), .bytes = *std::move(bytes)};
}

}  // namespace kiln::control
