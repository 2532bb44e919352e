// Which parameters a request is about, and which keys beside them, for the policies of who sends it.
#include <boost/json.hpp>

#include "catalog/kms_keys.h"
#include "catalog/parameters.h"
#include "control/kms_keys.h"
#include "keys/key_store.h"
#include "services/ssm/operations.h"

namespace kiln::services::ssm {
namespace {

namespace json = boost::json;
using control::Asked;

class Reader {
 public:
  explicit Reader(const AtDoor& request) : request_(request) {
    json::error_code error;
    const auto parsed = json::parse(request.body, error);
    // What is no object is refused as such by the operation, to whom may do anything of the kind with any parameter.
    if (!error && parsed.is_object()) body_ = parsed.as_object();
  }

  std::vector<Asked> read() {
    for (const auto* member : {"Name", "ResourceId", "Path"}) {
      if (const auto name = text(member); !name.empty()) about(name);
    }
    for (const auto& name : texts("Names")) about(name);
    if (asked_.empty()) asked_.push_back({.action = "ssm:" + request_.action});
    add_tags();
    if (request_.action == "PutParameter") {
      asked_.front().context.set("ssm:Overwrite", flag("Overwrite") ? "true" : "false");
      if (text("Type") == "SecureString" && !text("KeyId").empty()) use_key("kms:Encrypt", text("KeyId"));
    }
    if (request_.action == "GetParametersByPath") {
      asked_.front().context.set("ssm:Recursive", flag("Recursive") ? "true" : "false");
    }
    return std::move(asked_);
  }

 private:
  std::string text(const char* name) const {
    const auto* const value = body_.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
  }
  bool flag(const char* name) const {
    const auto* const value = body_.if_contains(name);
    return value != nullptr && value->is_bool() && value->as_bool();
  }
  std::vector<std::string> texts(const char* name) const {
    std::vector<std::string> all;
    const auto* const value = body_.if_contains(name);
    if (value == nullptr || !value->is_array()) return all;
    for (const auto& each : value->as_array()) {
      if (each.is_string()) all.emplace_back(each.as_string());
    }
    return all;
  }

  // A parameter, by what its name or ARN says, whether it is there or not.
  void about(const std::string& said) {
    Asked what{.action = "ssm:" + request_.action, .resource = said};
    control::ParameterName name;
    try {
      name = control::read_parameter_name(request_.region, request_.principal, said);
    } catch (const base::ApiError&) {
      asked_.push_back(std::move(what));  // an ARN of elsewhere
      return;
    }
    what.resource = control::arn_of(request_.region, name);
    const auto& account = name.account;
    const auto& region = request_.region.name;
    request_.region.catalog.read([&](catalog::Txn& txn) {
      for (const auto& tag : catalog::parameter_tags(txn, region, account, name.name)) {
        what.context.set("aws:ResourceTag/" + tag.key, tag.value);
        what.context.set("ssm:resourceTag/" + tag.key, tag.value);
      }
    });
    if (!account.empty()) what.context.set("aws:ResourceAccount", account);
    asked_.push_back(std::move(what));
    if (flag("WithDecryption")) decrypt(name);
  }

  // Secrets whose key is not the service's own need the key too.
  void decrypt(const control::ParameterName& name) {
    const auto rows = catalog::in_read(request_.region.catalog, [&](catalog::Txn& txn) {
      const auto& region = request_.region.name;
      return text("Path").empty() ? catalog::parameter_versions(txn, region, name.account, name.name)
                                  : catalog::parameters_of(txn, region, name.account, name.name);
    });
    for (const auto& row : rows) {
      if (row.type == "SecureString") use_key("kms:Decrypt", row.key);
    }
  }

  void use_key(const std::string& action, const std::string& name) {
    const auto& region = request_.region.name;
    const auto home = "arn:aws:kms:" + region + ":" + request_.principal.account + ":";
    if (name == control::ssm_alias || name == home + control::ssm_alias) return;
    std::string arn = name.starts_with("arn:") ? name : home + (name.starts_with("alias/") ? "" : "key/") + name;
    if (arn.starts_with(home + "alias/")) {
      const auto alias = catalog::in_read(request_.region.catalog, [&](catalog::Txn& txn) {
        return catalog::find_kms_alias(txn, region, request_.principal.account, arn.substr(home.size()));
      });
      if (alias) arn = home + "key/" + alias->key_id;
    }
    for (const auto& each : asked_) {
      if (each.action == action && each.resource == arn) return;
    }
    Asked what{.action = action, .resource = arn};
    what.context.set("kms:CallerAccount", request_.principal.account);
    what.context.set("kms:ViaService", "ssm." + region + ".amazonaws.com");
    asked_.push_back(std::move(what));
  }

  void add_tags() {
    const auto* const tags = body_.if_contains("Tags");
    if (tags == nullptr || !tags->is_array()) return;
    bool any = false;
    for (const auto& tag : tags->as_array()) {
      if (!tag.is_object()) continue;
      const auto* const key = tag.as_object().if_contains("Key");
      const auto* const value = tag.as_object().if_contains("Value");
      if (key == nullptr || !key->is_string()) continue;
      const std::string name(key->as_string());
      asked_.front().context.add("aws:TagKeys", name);
      asked_.front().context.set("aws:RequestTag/" + name,
                                 value != nullptr && value->is_string() ? std::string(value->as_string()) : "");
      any = true;
    }
    // Tags at creation are a permission of their own.
    if (!any || request_.action != "PutParameter") return;
    auto tag = asked_.front();
    tag.action = "ssm:AddTagsToResource";
    asked_.push_back(std::move(tag));
  }

  const AtDoor& request_;
  json::object body_;
  std::vector<Asked> asked_;
};

}  // namespace

std::vector<Asked> asked(const AtDoor& request) { return Reader(request).read(); }

}  // namespace kiln::services::ssm
