// StartSnapshot, PutSnapshotBlock, CompleteSnapshot.
#include "control/ebs_refusals.h"
#include "control/snapshot_writes.h"
#include "services/ebs/checksum.h"
#include "services/ebs/operations.h"

namespace kiln::services::ebs {

struct Tag {
  std::string key, value;
};
struct StartSnapshotRequest {
  std::int64_t volume_size = 0;
  std::string parent_snapshot_id, description, client_token, kms_key_arn;
  std::vector<Tag> tags;
  std::optional<bool> encrypted;
  std::optional<int> timeout;
};
struct StartSnapshotResponse {
  std::string snapshot_id, owner_id, status;
  wire::Timestamp start_time;
  std::int64_t volume_size = 0;
  int block_size = 0;
  std::optional<std::string> description, parent_snapshot_id, kms_key_arn, sse_type;
  std::vector<Tag> tags;
};

struct PutSnapshotBlockRequest {
  std::string snapshot_id;
  int block_index = 0;
  std::optional<int> data_length, progress;
  std::string checksum, checksum_algorithm;
};
struct PutSnapshotBlockResponse {
  std::string checksum, checksum_algorithm;
};

struct CompleteSnapshotRequest {
  std::string snapshot_id;
  std::optional<int> changed_blocks_count;
  std::string checksum, checksum_algorithm, checksum_aggregation_method;
};
struct CompleteSnapshotResponse {
  std::string status;
};

}  // namespace kiln::services::ebs

KILN_WIRE(kiln::services::ebs::Tag, key, value)
KILN_WIRE(kiln::services::ebs::StartSnapshotRequest, volume_size, parent_snapshot_id, description, client_token,
          kms_key_arn, tags, encrypted, timeout)
KILN_WIRE(kiln::services::ebs::StartSnapshotResponse, snapshot_id, owner_id, status, start_time, volume_size,
          block_size, description, parent_snapshot_id, kms_key_arn, sse_type, tags)

KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockRequest, snapshot_id, kiln::wire::In::uri, "snapshotId")
KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockRequest, block_index, kiln::wire::In::uri, "blockIndex")
KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockRequest, data_length, kiln::wire::In::header, "x-amz-Data-Length")
KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockRequest, progress, kiln::wire::In::header, "x-amz-Progress")
KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockRequest, checksum, kiln::wire::In::header, "x-amz-Checksum")
KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockRequest, checksum_algorithm, kiln::wire::In::header,
             "x-amz-Checksum-Algorithm")
KILN_WIRE(kiln::services::ebs::PutSnapshotBlockRequest, snapshot_id, block_index, data_length, progress, checksum,
          checksum_algorithm)
KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockResponse, checksum, kiln::wire::In::header, "x-amz-Checksum")
KILN_WIRE_IN(kiln::services::ebs::PutSnapshotBlockResponse, checksum_algorithm, kiln::wire::In::header,
             "x-amz-Checksum-Algorithm")
KILN_WIRE(kiln::services::ebs::PutSnapshotBlockResponse, checksum, checksum_algorithm)

KILN_WIRE_IN(kiln::services::ebs::CompleteSnapshotRequest, snapshot_id, kiln::wire::In::uri, "snapshotId")
KILN_WIRE_IN(kiln::services::ebs::CompleteSnapshotRequest, changed_blocks_count, kiln::wire::In::header,
             "x-amz-ChangedBlocksCount")
KILN_WIRE_IN(kiln::services::ebs::CompleteSnapshotRequest, checksum, kiln::wire::In::header, "x-amz-Checksum")
KILN_WIRE_IN(kiln::services::ebs::CompleteSnapshotRequest, checksum_algorithm, kiln::wire::In::header,
             "x-amz-Checksum-Algorithm")
KILN_WIRE_IN(kiln::services::ebs::CompleteSnapshotRequest, checksum_aggregation_method, kiln::wire::In::header,
             "x-amz-Checksum-Aggregation-Method")
KILN_WIRE(kiln::services::ebs::CompleteSnapshotRequest, snapshot_id, changed_blocks_count, checksum, checksum_algorithm,
          checksum_aggregation_method)
KILN_WIRE(kiln::services::ebs::CompleteSnapshotResponse, status)

namespace kiln::services::ebs {
namespace {

using control::refuse_ebs;

constexpr const char* bad_value = "INVALID_PARAMETER_VALUE";
// The model says 255, the user guide 64.
constexpr std::size_t longest_token = 255;

std::string parameters_of(const StartSnapshotRequest& request) {
  base::Sha256 hash;
  // Lengths stand before the texts, so that no two requests give the same bytes.
  const auto add = [&](const std::string& text) { hash.add(std::to_string(text.size()) + ':' + text); };
  add(std::to_string(request.volume_size));
  add(request.parent_snapshot_id);
  add(request.description);
  add(request.timeout ? std::to_string(*request.timeout) : "");
  add(request.encrypted ? std::to_string(static_cast<int>(*request.encrypted)) : "");
  add(request.kms_key_arn);
  for (const auto& tag : request.tags) {
    add(tag.key);
    add(tag.value);
  }
  return hash.finish().hex();
}

std::optional<catalog::ClientToken> token_of(const Call& call, const StartSnapshotRequest& request) {
  const auto& token = request.client_token;
  if (token.empty()) return {};
  const bool graphic = std::ranges::all_of(token, [](char c) { return c > 0x20 && c < 0x7F; });
  if (token.size() > longest_token || !graphic) refuse_ebs("The client token is not valid.", bad_value);
  return catalog::ClientToken{.region = call.region.name,
                              .account = call.principal.account,
                              .operation = call.action,
                              .token = token,
                              .parameters = parameters_of(request),
                              .result = {},
                              .created = 0};
}

void check_encryption(const StartSnapshotRequest& request) {
  if ((request.encrypted || !request.kms_key_arn.empty()) && !request.parent_snapshot_id.empty()) {
    refuse_ebs("ParentSnapshotId cannot be given together with Encrypted or KmsKeyArn.", bad_value);
  }
  if (!request.kms_key_arn.empty() && !request.encrypted.value_or(false)) {
    refuse_ebs("KmsKeyArn requires Encrypted to be true.", bad_value);
  }
}

StartSnapshotResponse start_snapshot(Call& call, const StartSnapshotRequest& request) {
  check_encryption(request);
  control::SnapshotToWrite what{.size_gib = request.volume_size,
                                .parent_snapshot_id = request.parent_snapshot_id,
                                .description = request.description,
                                .encryption = {.encrypted = request.encrypted, .key = request.kms_key_arn},
                                .timeout_minutes = request.timeout.value_or(control::usual_timeout_minutes),
                                .client_token = token_of(call, request)};
  for (const auto& tag : request.tags) {
    if (!what.tags.emplace(tag.key, tag.value).second)
      refuse_ebs("A tag key is given twice: " + tag.key, "INVALID_TAG");
  }
  const auto made = control::start_snapshot(call.region, call.principal, std::move(what));
  const auto if_given = [](const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); };
  return {.snapshot_id = made.id,
          .owner_id = call.principal.account,
          .status = "pending",
          .start_time = {made.started},
          .volume_size = request.volume_size,
          .block_size = blocks::chunk_bytes,
          .description = if_given(request.description),
          .parent_snapshot_id = if_given(request.parent_snapshot_id),
          .kms_key_arn = if_given(made.key_arn),
          .sse_type = made.key_arn.empty() ? "none" : "sse-kms",
          .tags = request.tags};
}

void check_algorithm(const std::string& algorithm) {
  if (algorithm != sha256) refuse_ebs("The only checksum algorithm is SHA256.", bad_value);
}

base::Digest parse_checksum(const std::string& checksum) {
  const auto digest = digest_of(checksum);
  if (!digest) refuse_ebs("x-amz-Checksum is not a SHA256 checksum in base64.", bad_value);
  return *digest;
}

// The whole body, which must be one block.
base::Bytes read_block(http::BodyReader& body) {
  base::Bytes bytes(blocks::chunk_bytes);
  std::size_t have = 0;
  while (have < bytes.size()) {
    const auto count = body.read(std::span(bytes).subspan(have));
    if (count == 0) break;
    have += count;
  }
  std::byte more{};
  if (have < bytes.size() || body.read({&more, 1}) != 0) {
    refuse_ebs("The block data is not of 524288 bytes.", "INVALID_BLOCK");
  }
  return bytes;
}

PutSnapshotBlockResponse put_snapshot_block(Call& call, const PutSnapshotBlockRequest& request) {
  if (request.block_index < 0) refuse_ebs("A block index cannot be negative.", bad_value);
  if (request.data_length != static_cast<int>(blocks::chunk_bytes)) {
    refuse_ebs("x-amz-Data-Length must be 524288.", bad_value);
  }
  const int progress = request.progress.value_or(0);
  if (progress < 0 || progress > 100) refuse_ebs("x-amz-Progress must be between 0 and 100.", bad_value);
  check_algorithm(request.checksum_algorithm);
  const auto said = parse_checksum(request.checksum);
  const auto bytes = read_block(*call.body);
  const auto digest = base::sha256(bytes);
  if (digest != said) {
    refuse_ebs("The checksum of the block data is " + checksum_of(digest) + ", not that of x-amz-Checksum.",
               "INVALID_BLOCK");
  }
  control::put_block(call.region, call.principal,
                     {.snapshot_id = request.snapshot_id,
                      .index = static_cast<std::uint64_t>(request.block_index),
                      .bytes = bytes,
                      .digest = digest,
                      .progress = request.progress});
  return {.checksum = checksum_of(digest), .checksum_algorithm = sha256};
}

CompleteSnapshotResponse complete_snapshot(Call& call, const CompleteSnapshotRequest& request) {
  if (!request.changed_blocks_count || *request.changed_blocks_count < 0) {
    refuse_ebs("x-amz-ChangedBlocksCount says how many blocks were written, and is missing or negative.", bad_value);
  }
  control::WrittenBlocks what{.snapshot_id = request.snapshot_id,
                              .count = static_cast<std::uint64_t>(*request.changed_blocks_count)};
  if (!request.checksum.empty()) {
    check_algorithm(request.checksum_algorithm);
    if (request.checksum_aggregation_method != "LINEAR") {
      refuse_ebs("The only way to aggregate checksums is LINEAR.", bad_value);
    }
    what.linear_checksum = parse_checksum(request.checksum);
  }
  control::complete_snapshot(call.region, call.principal, what);
  return {.status = "pending"};
}

constexpr Operation operations[] = {
    operation<start_snapshot>("StartSnapshot", Access::writes, Payload::buffered, {"POST", "/snapshots", 201}),
    operation<put_snapshot_block>("PutSnapshotBlock", Access::writes, Payload::streamed,
                                  {"PUT", "/snapshots/{snapshotId}/blocks/{blockIndex}", 201}),
    operation<complete_snapshot>("CompleteSnapshot", Access::writes, Payload::buffered,
                                 {"POST", "/snapshots/completion/{snapshotId}", 202}),
};

}  // namespace

std::span<const Operation> write_operations() { return operations; }

}  // namespace kiln::services::ebs
