// The rule that a request to the Recycle Bin is about, for the policies of who sends it.
#include <boost/json.hpp>

#include "catalog/lifecycle.h"
#include "services/rbin/operations.h"

namespace kiln::services::rbin {
namespace {

namespace json = boost::json;

std::string home(const AtDoor& request) {
  return "arn:aws:rbin:" + request.region.name + ":" + request.principal.account + ":rule/";
}

// What a rule that is there is known by; of another account's nothing is.
void add_facts(const AtDoor& request, const std::string& id, policy::Context& context) {
  request.region.catalog.read([&](catalog::Txn& txn) {
    const auto rule = catalog::find_recycle_rule(txn, request.region.name, id);
    if (!rule || rule->account != request.principal.account) return;
    context.set("rbin:Attribute/ResourceType", rule->resource_type);
    for (const auto& tag : catalog::recycle_rule_tags(txn, rule->region, rule->id)) {
      if (tag.kind == "tag") context.set("aws:ResourceTag/" + tag.key, tag.value);
    }
  });
}

void add_body(const AtDoor& request, policy::Context& context) {
  json::error_code error;
  const auto body = json::parse(request.body, error);
  if (error || !body.is_object()) return;
  const auto text = [](const json::object& of, const char* name) {
    const auto* const value = of.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->as_string()) : std::string();
  };
  const auto type = text(body.get_object(), "ResourceType");
  if (!type.empty()) context.set("rbin:Request/ResourceType", type);
  const auto* const tags = body.get_object().if_contains("Tags");
  if (tags == nullptr || !tags->is_array()) return;
  for (const auto& tag : tags->get_array()) {
    if (!tag.is_object()) continue;
    const auto key = text(tag.get_object(), "Key");
    context.add("aws:TagKeys", key);
    context.set("aws:RequestTag/" + key, text(tag.get_object(), "Value"));
  }
}

}  // namespace

std::vector<control::Asked> asked(const AtDoor& request) {
  control::Asked what{.action = "rbin:" + request.action};
  for (const auto& [name, value] : request.labels) {
    what.resource = name == "resourceArn" ? value : home(request) + value;
  }
  if (request.action == "CreateRule") what.resource = home(request) + "*";
  if (what.resource.starts_with(home(request)))
    add_facts(request, what.resource.substr(home(request).size()), what.context);
  add_body(request, what.context);
  for (const auto& [name, value] : request.params.all()) {
    if (name.starts_with("tagKeys")) what.context.add("aws:TagKeys", value);
  }
  return {std::move(what)};
}

}  // namespace kiln::services::rbin
