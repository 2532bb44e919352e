// ListSnapshotBlocks, ListChangedBlocks, GetSnapshotBlock.
#include "services/ebs/ebs.h"

#include "control/ebs_refusals.h"
#include "control/snapshot_blocks.h"
#include "services/ebs/checksum.h"
#include "services/ebs/operations.h"

namespace kiln::services::ebs {

struct ListSnapshotBlocksRequest {
  std::string snapshot_id;
  std::string next_token;
  std::optional<int> max_results, starting_block_index;
};
struct Block {
  int block_index = 0;
  std::string block_token;
  std::string checksum;  // not in the model: other clients ignore it, and a Kiln that copies asks for no block it has
};
struct ListSnapshotBlocksResponse {
  std::vector<Block> blocks;
  wire::Timestamp expiry_time;
  std::int64_t volume_size = 0;
  int block_size = 0;
  std::optional<std::string> next_token;
  // Not in the model either: of the whole disk, for the same reader, which compares what it has made of the blocks.
  std::int64_t disk_size_in_bytes = 0;
  std::string tree_checksum;
};

struct ListChangedBlocksRequest {
  std::string second_snapshot_id;
  std::string first_snapshot_id, next_token;
  std::optional<int> max_results, starting_block_index;
};
struct ChangedBlock {
  int block_index = 0;
  std::optional<std::string> first_block_token, second_block_token;
};
struct ListChangedBlocksResponse {
  std::vector<ChangedBlock> changed_blocks;
  wire::Timestamp expiry_time;
  std::int64_t volume_size = 0;
  int block_size = 0;
  std::optional<std::string> next_token;
};

struct GetSnapshotBlockRequest {
  std::string snapshot_id;
  int block_index = 0;
  std::string block_token;
};
struct GetSnapshotBlockResponse {
  int data_length = 0;
  std::string checksum, checksum_algorithm;
};

}  // namespace kiln::services::ebs

KILN_WIRE_IN(kiln::services::ebs::ListSnapshotBlocksRequest, snapshot_id, kiln::wire::In::uri, "snapshotId")
KILN_WIRE_IN(kiln::services::ebs::ListSnapshotBlocksRequest, next_token, kiln::wire::In::query, "pageToken")
KILN_WIRE_IN(kiln::services::ebs::ListSnapshotBlocksRequest, max_results, kiln::wire::In::query, "maxResults")
KILN_WIRE_IN(kiln::services::ebs::ListSnapshotBlocksRequest, starting_block_index, kiln::wire::In::query,
             "startingBlockIndex")
KILN_WIRE(kiln::services::ebs::ListSnapshotBlocksRequest, snapshot_id, next_token, max_results, starting_block_index)
KILN_WIRE(kiln::services::ebs::Block, block_index, block_token, checksum)
KILN_WIRE(kiln::services::ebs::ListSnapshotBlocksResponse, blocks, expiry_time, volume_size, block_size, next_token,
          disk_size_in_bytes, tree_checksum)

KILN_WIRE_IN(kiln::services::ebs::ListChangedBlocksRequest, second_snapshot_id, kiln::wire::In::uri, "secondSnapshotId")
KILN_WIRE_IN(kiln::services::ebs::ListChangedBlocksRequest, first_snapshot_id, kiln::wire::In::query, "firstSnapshotId")
KILN_WIRE_IN(kiln::services::ebs::ListChangedBlocksRequest, next_token, kiln::wire::In::query, "pageToken")
KILN_WIRE_IN(kiln::services::ebs::ListChangedBlocksRequest, max_results, kiln::wire::In::query, "maxResults")
KILN_WIRE_IN(kiln::services::ebs::ListChangedBlocksRequest, starting_block_index, kiln::wire::In::query,
             "startingBlockIndex")
KILN_WIRE(kiln::services::ebs::ListChangedBlocksRequest, second_snapshot_id, first_snapshot_id, next_token, max_results,
          starting_block_index)
KILN_WIRE(kiln::services::ebs::ChangedBlock, block_index, first_block_token, second_block_token)
KILN_WIRE(kiln::services::ebs::ListChangedBlocksResponse, changed_blocks, expiry_time, volume_size, block_size,
          next_token)

KILN_WIRE_IN(kiln::services::ebs::GetSnapshotBlockRequest, snapshot_id, kiln::wire::In::uri, "snapshotId")
KILN_WIRE_IN(kiln::services::ebs::GetSnapshotBlockRequest, block_index, kiln::wire::In::uri, "blockIndex")
KILN_WIRE_IN(kiln::services::ebs::GetSnapshotBlockRequest, block_token, kiln::wire::In::query, "blockToken")
KILN_WIRE(kiln::services::ebs::GetSnapshotBlockRequest, snapshot_id, block_index, block_token)
KILN_WIRE_IN(kiln::services::ebs::GetSnapshotBlockResponse, data_length, kiln::wire::In::header, "x-amz-Data-Length")
KILN_WIRE_IN(kiln::services::ebs::GetSnapshotBlockResponse, checksum, kiln::wire::In::header, "x-amz-Checksum")
KILN_WIRE_IN(kiln::services::ebs::GetSnapshotBlockResponse, checksum_algorithm, kiln::wire::In::header,
             "x-amz-Checksum-Algorithm")
KILN_WIRE(kiln::services::ebs::GetSnapshotBlockResponse, data_length, checksum, checksum_algorithm)

namespace kiln::services::ebs {
namespace {

std::uint64_t index_of(int index) {
  if (index < 0) control::refuse_ebs("A block index cannot be negative.", "INVALID_PARAMETER_VALUE");
  return static_cast<std::uint64_t>(index);
}

std::optional<std::string> unless_empty(std::string text) {
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

// What both listings are asked and answer alike.
template <class Request>
control::BlockPage page_of(Call& call, const Request& request, const std::string& snapshot_id,
                           const std::optional<std::string>& since) {
  return control::list_blocks(call.region, call.principal,
                              {.snapshot_id = snapshot_id,
                               .since_snapshot_id = since,
                               .first_index = index_of(request.starting_block_index.value_or(0)),
                               .most = request.max_results.value_or(control::most_blocks_a_page),
                               .page_token = request.next_token});
}

template <class Response>
Response answer_with(control::BlockPage& page) {
  Response response;
  response.expiry_time = {page.tokens_end};
  response.volume_size = page.size_gib;
  response.block_size = blocks::chunk_bytes;
  response.next_token = unless_empty(std::move(page.next_page));
  return response;
}

ListSnapshotBlocksResponse list_snapshot_blocks(Call& call, const ListSnapshotBlocksRequest& request) {
  auto page = page_of(call, request, request.snapshot_id, {});
  auto response = answer_with<ListSnapshotBlocksResponse>(page);
  response.disk_size_in_bytes = static_cast<std::int64_t>(page.disk.size_bytes);
  response.tree_checksum = checksum_of(page.disk.root);
  for (auto& block : page.blocks) {
    response.blocks.push_back({.block_index = static_cast<int>(block.index),
                               .block_token = std::move(block.token),
                               .checksum = checksum_of(block.digest)});
  }
  return response;
}

ListChangedBlocksResponse list_changed_blocks(Call& call, const ListChangedBlocksRequest& request) {
  if (request.first_snapshot_id.empty()) {
    control::refuse_ebs("firstSnapshotId says which snapshot to compare with, and is missing.", "INVALID_SNAPSHOT_ID");
  }
  auto page = page_of(call, request, request.second_snapshot_id, request.first_snapshot_id);
  auto response = answer_with<ListChangedBlocksResponse>(page);
  for (auto& block : page.blocks) {
    response.changed_blocks.push_back({.block_index = static_cast<int>(block.index),
                                       .first_block_token = unless_empty(std::move(block.since_token)),
                                       .second_block_token = unless_empty(std::move(block.token))});
  }
  return response;
}

GetSnapshotBlockResponse get_snapshot_block(Call& call, const GetSnapshotBlockRequest& request) {
  const auto block = control::read_block(call.region, call.principal, request.snapshot_id,
                                         index_of(request.block_index), request.block_token);
  call.streamed_answer = {.headers = {},
                          .length = blocks::chunk_bytes,
                          .write = [bytes = block.bytes](http::BodyWriter& out) { out.write(*bytes); }};
  return {.data_length = blocks::chunk_bytes, .checksum = checksum_of(block.digest), .checksum_algorithm = sha256};
}

constexpr Operation operations[] = {
    operation<list_snapshot_blocks>("ListSnapshotBlocks", Access::reads, Payload::buffered,
                                    {"GET", "/snapshots/{snapshotId}/blocks"}),
    operation<list_changed_blocks>("ListChangedBlocks", Access::reads, Payload::buffered,
                                   {"GET", "/snapshots/{secondSnapshotId}/changedblocks"}),
    operation<get_snapshot_block>("GetSnapshotBlock", Access::reads, Payload::streamed,
                                  {"GET", "/snapshots/{snapshotId}/blocks/{blockIndex}"}),
};

}  // namespace

Service service() {
  return {.name = "ebs",
          .version = "2019-11-02",
          .dialect = {.protocol = wire::Protocol::rest_json},
          .internal_error = "InternalServerException",
          .asked = asked,
          .tables = {operations, write_operations()}};
}

}  // namespace kiln::services::ebs
