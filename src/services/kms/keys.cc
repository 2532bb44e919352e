// CreateKey, DescribeKey, ListKeys, EnableKey, DisableKey, UpdateKeyDescription, ScheduleKeyDeletion,
// CancelKeyDeletion, GetKeyRotationStatus.
#include "control/kms_keys.h"
#include "services/kms/operations.h"

namespace kiln::services::kms {

struct KeyMetadata {
  std::string aws_account_id, key_id, arn;
  wire::Timestamp creation_date;
  bool enabled = false;
  std::string description, key_usage = "ENCRYPT_DECRYPT", key_state;
  std::optional<wire::Timestamp> deletion_date;
  std::string origin = "AWS_KMS", key_manager;
  std::string customer_master_key_spec = "SYMMETRIC_DEFAULT", key_spec = "SYMMETRIC_DEFAULT";
  std::vector<std::string> encryption_algorithms{"SYMMETRIC_DEFAULT"};
  bool multi_region = false;
};

struct CreateKeyRequest {
  std::string policy, description, key_usage, customer_master_key_spec, key_spec, origin, custom_key_store_id,
      xks_key_id;
  bool bypass_policy_lockout_safety_check = false;
  std::vector<Tag> tags;
  bool multi_region = false;
};

struct KeyResponse {
  KeyMetadata key_metadata;
};

struct DescribeKeyRequest {
  std::string key_id;
};

struct KeyRequest {
  std::string key_id;
};

struct NoResponse {};

struct ListKeysRequest {
  std::optional<int> limit;
  std::string marker;
};

struct KeyListEntry {
  std::string key_id, key_arn;
};

struct ListKeysResponse {
  std::vector<KeyListEntry> keys;
  std::optional<std::string> next_marker;
  bool truncated = false;
};

struct UpdateKeyDescriptionRequest {
  std::string key_id, description;
};

struct ScheduleKeyDeletionRequest {
  std::string key_id;
  int pending_window_in_days = 30;
};

struct ScheduleKeyDeletionResponse {
  std::string key_id;
  wire::Timestamp deletion_date;
  std::string key_state;
  int pending_window_in_days = 0;
};

struct CancelKeyDeletionResponse {
  std::string key_id;
};

struct GetKeyRotationStatusResponse {
  bool key_rotation_enabled = false;
  std::string key_id;
};

}  // namespace kiln::services::kms

KILN_WIRE_NAME(kiln::services::kms::KeyMetadata, aws_account_id, "AWSAccountId")
KILN_WIRE(kiln::services::kms::KeyMetadata, aws_account_id, key_id, arn, creation_date, enabled, description, key_usage,
          key_state, deletion_date, origin, key_manager, customer_master_key_spec, key_spec, encryption_algorithms,
          multi_region)
KILN_WIRE(kiln::services::kms::CreateKeyRequest, policy, description, key_usage, customer_master_key_spec, key_spec,
          origin, custom_key_store_id, xks_key_id, bypass_policy_lockout_safety_check, tags, multi_region)
KILN_WIRE(kiln::services::kms::KeyResponse, key_metadata)
KILN_WIRE(kiln::services::kms::DescribeKeyRequest, key_id)
KILN_WIRE(kiln::services::kms::KeyRequest, key_id)
KILN_WIRE_EMPTY(kiln::services::kms::NoResponse)
KILN_WIRE(kiln::services::kms::ListKeysRequest, limit, marker)
KILN_WIRE(kiln::services::kms::KeyListEntry, key_id, key_arn)
KILN_WIRE(kiln::services::kms::ListKeysResponse, keys, next_marker, truncated)
KILN_WIRE(kiln::services::kms::UpdateKeyDescriptionRequest, key_id, description)
KILN_WIRE(kiln::services::kms::ScheduleKeyDeletionRequest, key_id, pending_window_in_days)
KILN_WIRE(kiln::services::kms::ScheduleKeyDeletionResponse, key_id, deletion_date, key_state, pending_window_in_days)
KILN_WIRE(kiln::services::kms::CancelKeyDeletionResponse, key_id)
KILN_WIRE(kiln::services::kms::GetKeyRotationStatusResponse, key_rotation_enabled, key_id)

namespace kiln::services::kms {
namespace {

using base::ApiError;

KeyMetadata to_shape(const catalog::KmsKey& row) {
  return {.aws_account_id = row.account,
          .key_id = row.id,
          .arn = row.arn(),
          .creation_date = {row.created},
          .enabled = row.state == "Enabled",
          .description = row.description,
          .key_state = row.state,
          .deletion_date = row.deletion ? std::optional(wire::Timestamp{*row.deletion}) : std::nullopt,
          .key_manager = row.manager};
}

KeyResponse create_key(Call& call, const CreateKeyRequest& request) {
  const auto only = [](const std::string& value, const std::string& served, const char* what) {
    if (!value.empty() && value != served) {
      throw ApiError("UnsupportedOperationException",
                     std::string(what) + " " + value + " is not served: " + served + " is");
    }
  };
  only(request.key_usage, "ENCRYPT_DECRYPT", "KeyUsage");
  only(request.customer_master_key_spec, "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec");
  only(request.key_spec, "SYMMETRIC_DEFAULT", "KeySpec");
  only(request.origin, "AWS_KMS", "Origin");
  if (!request.custom_key_store_id.empty() || !request.xks_key_id.empty()) {
    throw ApiError("UnsupportedOperationException", "There are no custom key stores.");
  }
  if (request.multi_region) throw ApiError("UnsupportedOperationException", "Keys are of one region.");
  control::NewKey what{.description = request.description,
                       .policy = request.policy,
                       .bypass_lockout_check = request.bypass_policy_lockout_safety_check,
                       .tags = {}};
  for (const auto& tag : request.tags) {
    if (!what.tags.emplace(tag.tag_key, tag.tag_value).second) throw ApiError("TagException", "Duplicate tag keys");
  }
  return {to_shape(control::create_key(call.region, call.principal, what))};
}

KeyResponse describe_key(Call& call, const DescribeKeyRequest& request) {
  return {to_shape(control::find_key(call.region, {.account = call.principal.account, .principal = &call.principal},
                                     request.key_id, "kms:DescribeKey"))};
}

ListKeysResponse list_keys(Call& call, const ListKeysRequest& request) {
  ListKeysResponse response;
  for (const auto& row : control::keys_of(call.region, call.principal.account)) {
    response.keys.push_back({row.id, row.arn()});
  }
  const auto next = cut_page(response.keys, {request.limit, request.marker, 100, 1000},
                             [](const KeyListEntry& key) { return key.key_id; });
  response.truncated = !next.empty();
  if (response.truncated) response.next_marker = next;
  return response;
}

NoResponse enable_key(Call& call, const KeyRequest& request) {
  control::enable_key(call.region, call.principal, request.key_id, true);
  return {};
}

NoResponse disable_key(Call& call, const KeyRequest& request) {
  control::enable_key(call.region, call.principal, request.key_id, false);
  return {};
}

NoResponse update_key_description(Call& call, const UpdateKeyDescriptionRequest& request) {
  control::describe_key_as(call.region, call.principal, request.key_id, request.description);
  return {};
}

ScheduleKeyDeletionResponse schedule_key_deletion(Call& call, const ScheduleKeyDeletionRequest& request) {
  const auto row =
      control::schedule_key_deletion(call.region, call.principal, request.key_id, request.pending_window_in_days);
  return {.key_id = row.arn(),
          .deletion_date = {row.deletion.value_or(0)},
          .key_state = row.state,
          .pending_window_in_days = request.pending_window_in_days};
}

CancelKeyDeletionResponse cancel_key_deletion(Call& call, const KeyRequest& request) {
  return {control::cancel_key_deletion(call.region, call.principal, request.key_id).arn()};
}

// Material is never rotated; clients that keep a key as they were told to ask.
GetKeyRotationStatusResponse get_key_rotation_status(Call& call, const KeyRequest& request) {
  const auto row = control::find_key(call.region, {.account = call.principal.account, .principal = &call.principal},
                                     request.key_id, "kms:GetKeyRotationStatus");
  return {.key_rotation_enabled = false, .key_id = row.arn()};
}

constexpr Operation operations[] = {
    operation<cancel_key_deletion>("CancelKeyDeletion", Access::writes),
    operation<create_key>("CreateKey", Access::writes),
    operation<describe_key>("DescribeKey", Access::reads),
    operation<disable_key>("DisableKey", Access::writes),
    operation<enable_key>("EnableKey", Access::writes),
    operation<get_key_rotation_status>("GetKeyRotationStatus", Access::reads),
    operation<list_keys>("ListKeys", Access::reads),
    operation<schedule_key_deletion>("ScheduleKeyDeletion", Access::writes),
    operation<update_key_description>("UpdateKeyDescription", Access::writes),
};

}  // namespace

std::span<const Operation> key_operations() { return operations; }

}  // namespace kiln::services::kms
