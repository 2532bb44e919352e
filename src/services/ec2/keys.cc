// CreateKeyPair, ImportKeyPair, DescribeKeyPairs, DeleteKeyPair.
#include "control/keys.h"

#include "base/api_error.h"
#include "control/tags.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct CreateKeyPairRequest {
  std::string key_name;
  std::string key_type;
  std::string key_format;
  std::vector<TagSpecification> tag_specification;
};

struct CreateKeyPairResponse {
  std::string key_fingerprint, key_material, key_name, key_pair_id;
  std::vector<Tag> tag_set;
};

struct ImportKeyPairRequest {
  std::string key_name;
  wire::Blob public_key_material;
  std::vector<TagSpecification> tag_specification;
};

struct ImportKeyPairResponse {
  std::string key_fingerprint, key_name, key_pair_id;
  std::vector<Tag> tag_set;
};

struct KeyPairInfo {
  std::string key_pair_id, key_fingerprint, key_name, key_type;
  std::vector<Tag> tag_set;
  std::optional<std::string> public_key;
  wire::Timestamp create_time;
};

struct DescribeKeyPairsRequest {
  std::vector<Filter> filter;
  std::vector<std::string> key_name;
  std::vector<std::string> key_pair_id;
  bool include_public_key = false;
};

struct DescribeKeyPairsResponse {
  std::vector<KeyPairInfo> key_set;
};

struct DeleteKeyPairRequest {
  std::string key_name;
  std::string key_pair_id;
};

struct DeleteKeyPairResponse {
  bool return_ = true;
  std::optional<std::string> key_pair_id;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::CreateKeyPairRequest, key_name, key_type, key_format, tag_specification)
KILN_WIRE(kiln::services::ec2::CreateKeyPairResponse, key_fingerprint, key_material, key_name, key_pair_id, tag_set)
KILN_WIRE(kiln::services::ec2::ImportKeyPairRequest, key_name, public_key_material, tag_specification)
KILN_WIRE(kiln::services::ec2::ImportKeyPairResponse, key_fingerprint, key_name, key_pair_id, tag_set)
KILN_WIRE(kiln::services::ec2::KeyPairInfo, key_pair_id, key_fingerprint, key_name, key_type, tag_set, public_key,
          create_time)
KILN_WIRE(kiln::services::ec2::DescribeKeyPairsRequest, filter, key_name, key_pair_id, include_public_key)
KILN_WIRE(kiln::services::ec2::DescribeKeyPairsResponse, key_set)
KILN_WIRE(kiln::services::ec2::DeleteKeyPairRequest, key_name, key_pair_id)
KILN_WIRE(kiln::services::ec2::DeleteKeyPairResponse, return_, key_pair_id)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

// Tags of a key pair that has just been made; answers with what was set.
std::vector<Tag> tag_key(Call& call, const std::string& id, const std::map<std::string, std::string>& tags) {
  return to_shape(catalog::in_txn(call.region.catalog, [&](catalog::Txn& txn) {
    control::add_tags(txn, call.region, call.principal.account, id, tags);
    return control::tags_of(txn, call.region, call.principal.account, id);
  }));
}

CreateKeyPairResponse create_key_pair(Call& call, const CreateKeyPairRequest& request) {
  const auto tags = tags_for(request.tag_specification, "key-pair", {"key-pair"});
  if (!request.key_format.empty() && request.key_format != "pem") {
    throw ApiError("UnsupportedOperation", "Key pairs are given in the format pem only.");
  }
  const auto made = control::create_key_pair(call.region, call.principal.account, request.key_name, request.key_type);
  return {.key_fingerprint = made.key.fingerprint,
          .key_material = made.private_key,
          .key_name = made.key.name,
          .key_pair_id = made.key.id,
          .tag_set = tag_key(call, made.key.id, tags)};
}

ImportKeyPairResponse import_key_pair(Call& call, const ImportKeyPairRequest& request) {
  const auto tags = tags_for(request.tag_specification, "key-pair", {"key-pair"});
  const auto key = control::import_key_pair(call.region, call.principal.account, request.key_name,
                                            request.public_key_material.bytes);
  return {.key_fingerprint = key.fingerprint,
          .key_name = key.name,
          .key_pair_id = key.id,
          .tag_set = tag_key(call, key.id, tags)};
}

constexpr Filterable<KeyPairInfo> key_filters[] = {
    {"fingerprint", [](const KeyPairInfo& k) { return one(k.key_fingerprint); }},
    {"key-name", [](const KeyPairInfo& k) { return one(k.key_name); }},
    {"key-pair-id", [](const KeyPairInfo& k) { return one(k.key_pair_id); }},
};

// Names and ids that were asked for must be there.
template <class Member>
void keep_named(std::vector<KeyPairInfo>& keys, const std::vector<std::string>& wanted, Member member) {
  if (wanted.empty()) return;
  for (const auto& name : wanted) {
    if (std::none_of(keys.begin(), keys.end(), [&](const KeyPairInfo& k) { return k.*member == name; })) {
      throw ApiError("InvalidKeyPair.NotFound", "The key pair '" + name + "' does not exist");
    }
  }
  std::erase_if(
      keys, [&](const KeyPairInfo& k) { return std::find(wanted.begin(), wanted.end(), k.*member) == wanted.end(); });
}

DescribeKeyPairsResponse describe_key_pairs(Call& call, const DescribeKeyPairsRequest& request) {
  std::vector<KeyPairInfo> keys;
  for (const auto& row : control::key_pairs(call.region, call.principal.account)) {
    keys.push_back(
        {.key_pair_id = row.id,
         .key_fingerprint = row.fingerprint,
         .key_name = row.name,
         .key_type = row.key_type,
         .tag_set = to_shape(catalog::in_read(
             call.region.catalog,
             [&](catalog::Txn& txn) { return control::tags_of(txn, call.region, call.principal.account, row.id); })),
         .public_key = request.include_public_key ? std::optional(row.public_key + " " + row.name) : std::nullopt,
         .create_time = {row.created}});
  }
  keep_named(keys, request.key_name, &KeyPairInfo::key_name);
  keep_named(keys, request.key_pair_id, &KeyPairInfo::key_pair_id);
  keep_matching<KeyPairInfo>(keys, key_filters, request.filter);
  return {std::move(keys)};
}

// Deleting what is not there succeeds, as on AWS.
DeleteKeyPairResponse delete_key_pair(Call& call, const DeleteKeyPairRequest& request) {
  const auto deleted =
      control::delete_key_pair(call.region, call.principal.account, request.key_name, request.key_pair_id);
  return {.return_ = true, .key_pair_id = deleted ? std::optional(deleted->id) : std::nullopt};
}

constexpr Operation operations[] = {
    operation<create_key_pair>("CreateKeyPair", Access::writes),
    operation<delete_key_pair>("DeleteKeyPair", Access::writes),
    operation<describe_key_pairs>("DescribeKeyPairs", Access::reads),
    operation<import_key_pair>("ImportKeyPair", Access::writes),
};

}  // namespace

std::span<const Operation> key_operations() { return operations; }

}  // namespace kiln::services::ec2
