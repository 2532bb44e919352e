// What a request to the key management service is about, for the policies of who sends it, beside which the policy of
// a key of the same account stands: it is enough when it names who sends it. The rules ask it for everybody.
#include <boost/json.hpp>

#include "base/text.h"
#include "catalog/kms_keys.h"
#include "keys/key_store.h"
#include "services/kms/operations.h"

namespace kiln::services::kms {
namespace {

namespace json = boost::json;

std::string member(const json::object& body, const char* name) {
  const auto* const value = body.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
}

// The ARN of a key by any of its names, whether it is there or not.
std::string arn_of(const AtDoor& request, const std::string& name) {
  const auto& region = request.region.name;
  const auto home = "arn:aws:kms:" + region + ":" + request.principal.account + ":";
  const bool is_arn = name.starts_with("arn:");
  const auto alias = name.starts_with("alias/") ? 0 : is_arn ? name.find("alias/") : std::string::npos;
  if (alias == std::string::npos) return is_arn ? name : home + "key/" + name;
  const auto parts = base::split(name, ':');
  if (is_arn && parts.size() != 6) return name;
  const auto account = is_arn ? std::string(parts[4]) : request.principal.account;
  const auto row = catalog::in_read(request.region.catalog, [&](catalog::Txn& txn) {
    return catalog::find_kms_alias(txn, region, account, name.substr(alias));
  });
  if (!row) return is_arn ? name : home + name;
  return "arn:aws:kms:" + region + ":" + account + ":key/" + row->key_id;
}

// The key that a ciphertext says it is of.
std::string key_of_ciphertext(const AtDoor& request, const std::string& text) {
  const auto bytes = base::from_base64(text);
  const auto id = bytes ? keys::key_of(base::as_bytes(*bytes)) : std::nullopt;
  if (!id) return "*";
  const auto row = catalog::in_read(request.region.catalog, [&](catalog::Txn& txn) {
    return catalog::find_kms_key(txn, request.region.name, id->text());
  });
  return row ? row->arn() : arn_of(request, id->text());
}

control::Asked about(const AtDoor& request, const std::string& action, const std::string& resource) {
  control::Asked what{.action = "kms:" + action, .resource = resource};
  if (resource == "*") return what;
  what.context.set("kms:CallerAccount", request.principal.account);
  const auto parts = base::split(resource, ':');
  if (parts.size() < 6) return what;
  what.context.set("aws:ResourceAccount", std::string(parts[4]));
  if (!parts[5].starts_with("key/")) return what;
  request.region.catalog.read([&](catalog::Txn& txn) {
    const auto row = catalog::find_kms_key(txn, request.region.name, std::string(parts[5].substr(4)));
    const bool own = parts[4] == request.principal.account;
    if (row && own && row->account == request.principal.account) what.resource_policy = row->policy;
    for (const auto& tag : catalog::kms_tags_of(txn, request.region.name, std::string(parts[5].substr(4)))) {
      what.context.set("aws:ResourceTag/" + tag.key, tag.value);
    }
  });
  return what;
}

void add_tags(const json::object& body, control::Asked& what) {
  const auto* const tags = body.if_contains("Tags");
  if (tags == nullptr || !tags->is_array()) return;
  for (const auto& tag : tags->as_array()) {
    if (!tag.is_object()) continue;
    const auto key = member(tag.as_object(), "TagKey");
    what.context.add("aws:TagKeys", key);
    what.context.set("aws:RequestTag/" + key, member(tag.as_object(), "TagValue"));
  }
}

}  // namespace

std::vector<control::Asked> asked(const AtDoor& request) {
  json::error_code error;
  const auto parsed = json::parse(request.body, error);
  // What is no object is refused as such by the operation, to whom may do anything of the kind with any key.
  const json::object body = !error && parsed.is_object() ? parsed.as_object() : json::object();
  std::vector<control::Asked> all;
  if (request.action == "ReEncrypt") {
    all.push_back(about(request, "ReEncryptFrom", key_of_ciphertext(request, member(body, "CiphertextBlob"))));
    all.push_back(about(request, "ReEncryptTo", arn_of(request, member(body, "DestinationKeyId"))));
    return all;
  }
  auto key = member(body, "KeyId");
  if (key.empty()) key = member(body, "TargetKeyId");
  const auto alias = member(body, "AliasName");
  const auto ciphertext = member(body, "CiphertextBlob");
  const std::string resource = !key.empty()          ? arn_of(request, key)
                               : !alias.empty()      ? arn_of(request, alias)
                               : !ciphertext.empty() ? key_of_ciphertext(request, ciphertext)
                                                     : "*";
  all.push_back(about(request, request.action, resource));
  add_tags(body, all.front());
  // Of aliases both the alias and the key are asked for.
  if (!alias.empty()) {
    const auto name = "arn:aws:kms:" + request.region.name + ":" + request.principal.account + ":" + alias;
    if (name != resource) all.push_back(about(request, request.action, name));
  }
  return all;
}

}  // namespace kiln::services::kms
