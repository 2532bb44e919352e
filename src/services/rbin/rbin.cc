// CreateRule, GetRule, ListRules, UpdateRule, DeleteRule; LockRule, UnlockRule; TagResource, UntagResource,
// ListTagsForResource.
#include "services/rbin/rbin.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/text.h"
#include "control/recycle_rules.h"
#include "services/rbin/operations.h"

namespace kiln::services::rbin {

struct RetentionPeriod {
  std::int64_t retention_period_value = 0;
  std::string retention_period_unit;
};

struct ResourceTag {
  std::string resource_tag_key;
  std::optional<std::string> resource_tag_value;
};

struct UnlockDelay {
  std::int64_t unlock_delay_value = 0;
  std::string unlock_delay_unit;
};

struct LockConfiguration {
  UnlockDelay unlock_delay;
};

struct Tag {
  std::string key, value;
};

struct CreateRuleRequest {
  std::optional<RetentionPeriod> retention_period;
  std::string description, resource_type;
  std::vector<Tag> tags;
  std::vector<ResourceTag> resource_tags, exclude_resource_tags;
  std::optional<LockConfiguration> lock_configuration;
};

// What most operations answer with; each leaves out what the API leaves out there.
struct Rule {
  std::string identifier;
  RetentionPeriod retention_period;
  std::string description;
  std::optional<std::vector<Tag>> tags;
  std::string resource_type;
  std::vector<ResourceTag> resource_tags;
  std::string status = "available";
  std::optional<LockConfiguration> lock_configuration;
  std::optional<std::string> lock_state;
  std::optional<wire::Timestamp> lock_end_time;
  std::string rule_arn;
  std::vector<ResourceTag> exclude_resource_tags;
};

struct RuleRequest {
  std::string identifier;
};

struct UpdateRuleRequest {
  std::string identifier;
  std::optional<RetentionPeriod> retention_period;
  std::optional<std::string> description, resource_type;
  std::optional<std::vector<ResourceTag>> resource_tags, exclude_resource_tags;
};

struct LockRuleRequest {
  std::string identifier;
  std::optional<LockConfiguration> lock_configuration;
};

struct ListRulesRequest {
  std::optional<int> max_results;
  std::optional<std::string> next_token;
  std::string resource_type, lock_state;
  std::vector<ResourceTag> resource_tags, exclude_resource_tags;
};

struct RuleSummary {
  std::string identifier, description;
  RetentionPeriod retention_period;
  std::optional<std::string> lock_state;
  std::string rule_arn;
};

struct ListRulesResponse {
  std::vector<RuleSummary> rules;
  std::optional<std::string> next_token;
};

struct TagsRequest {
  std::string resource_arn;
};

struct TagResourceRequest {
  std::string resource_arn;
  std::vector<Tag> tags;
};

struct UntagResourceRequest {
  std::string resource_arn;
  std::vector<std::string> tag_keys;
};

struct TagsResponse {
  std::vector<Tag> tags;
};

struct Nothing {};

}  // namespace kiln::services::rbin

KILN_WIRE(kiln::services::rbin::RetentionPeriod, retention_period_value, retention_period_unit)
KILN_WIRE(kiln::services::rbin::ResourceTag, resource_tag_key, resource_tag_value)
KILN_WIRE(kiln::services::rbin::UnlockDelay, unlock_delay_value, unlock_delay_unit)
KILN_WIRE(kiln::services::rbin::LockConfiguration, unlock_delay)
KILN_WIRE(kiln::services::rbin::Tag, key, value)
KILN_WIRE(kiln::services::rbin::CreateRuleRequest, retention_period, description, resource_type, tags, resource_tags,
          exclude_resource_tags, lock_configuration)
KILN_WIRE(kiln::services::rbin::Rule, identifier, retention_period, description, tags, resource_type, resource_tags,
          status, lock_configuration, lock_state, lock_end_time, rule_arn, exclude_resource_tags)
KILN_WIRE_IN(kiln::services::rbin::RuleRequest, identifier, kiln::wire::In::uri, "identifier")
KILN_WIRE(kiln::services::rbin::RuleRequest, identifier)
KILN_WIRE_IN(kiln::services::rbin::UpdateRuleRequest, identifier, kiln::wire::In::uri, "identifier")
KILN_WIRE(kiln::services::rbin::UpdateRuleRequest, identifier, retention_period, description, resource_type,
          resource_tags, exclude_resource_tags)
KILN_WIRE_IN(kiln::services::rbin::LockRuleRequest, identifier, kiln::wire::In::uri, "identifier")
KILN_WIRE(kiln::services::rbin::LockRuleRequest, identifier, lock_configuration)
KILN_WIRE(kiln::services::rbin::ListRulesRequest, max_results, next_token, resource_type, lock_state, resource_tags,
          exclude_resource_tags)
KILN_WIRE(kiln::services::rbin::RuleSummary, identifier, description, retention_period, lock_state, rule_arn)
KILN_WIRE(kiln::services::rbin::ListRulesResponse, rules, next_token)
KILN_WIRE_IN(kiln::services::rbin::TagsRequest, resource_arn, kiln::wire::In::uri, "resourceArn")
KILN_WIRE(kiln::services::rbin::TagsRequest, resource_arn)
KILN_WIRE_IN(kiln::services::rbin::TagResourceRequest, resource_arn, kiln::wire::In::uri, "resourceArn")
KILN_WIRE(kiln::services::rbin::TagResourceRequest, resource_arn, tags)
KILN_WIRE_IN(kiln::services::rbin::UntagResourceRequest, resource_arn, kiln::wire::In::uri, "resourceArn")
KILN_WIRE_IN(kiln::services::rbin::UntagResourceRequest, tag_keys, kiln::wire::In::query, "tagKeys")
KILN_WIRE(kiln::services::rbin::UntagResourceRequest, resource_arn, tag_keys)
KILN_WIRE(kiln::services::rbin::TagsResponse, tags)
KILN_WIRE_EMPTY(kiln::services::rbin::Nothing)

namespace kiln::services::rbin {
namespace {

constexpr const char* days = "DAYS";

[[noreturn]] void refuse(const std::string& why) {
  throw base::ApiError("ValidationException", why, 400, "INVALID_PARAMETER_VALUE");
}

std::int64_t days_of(const RetentionPeriod& period) {
  if (period.retention_period_unit != days) refuse("The unit of a retention period is DAYS.");
  return period.retention_period_value;
}

std::int64_t days_of(const LockConfiguration& lock) {
  if (lock.unlock_delay.unlock_delay_unit != days) refuse("The unit of an unlock delay is DAYS.");
  return lock.unlock_delay.unlock_delay_value;
}

std::vector<control::ResourceTag> from_shape(const std::vector<ResourceTag>& shapes) {
  std::vector<control::ResourceTag> tags;
  for (const auto& shape : shapes) tags.push_back({shape.resource_tag_key, shape.resource_tag_value.value_or("")});
  return tags;
}

std::vector<ResourceTag> to_shape(const std::vector<control::ResourceTag>& tags) {
  std::vector<ResourceTag> shapes;
  for (const auto& tag : tags) {
    shapes.push_back({tag.key, tag.value.empty() ? std::nullopt : std::optional(tag.value)});
  }
  return shapes;
}

std::map<std::string, std::string> from_shape(const std::vector<Tag>& shapes) {
  std::map<std::string, std::string> tags;
  for (const auto& shape : shapes) tags[shape.key] = shape.value;
  return tags;
}

std::vector<Tag> to_shape(const std::map<std::string, std::string>& tags) {
  std::vector<Tag> shapes;
  for (const auto& [key, value] : tags) shapes.push_back({key, value});
  return shapes;
}

// A rule that was never locked has no lock state.
std::optional<std::string> lock_state_of(const control::RuleDetails& details, base::Micros now) {
  return details.rule.locked ? std::optional(details.lock_state(now)) : std::nullopt;
}

Rule to_shape(const Call& call, const control::RuleDetails& details) {
  const auto& row = details.rule;
  Rule shape{.identifier = row.id,
             .retention_period = {row.retention_days, days},
             .description = row.description,
             .tags = {},
             .resource_type = row.resource_type,
             .resource_tags = to_shape(details.include),
             .lock_configuration = {},
             .lock_state = lock_state_of(details, call.region.clock.now()),
             .lock_end_time = {},
             .rule_arn = details.arn(),
             .exclude_resource_tags = to_shape(details.exclude)};
  if (row.unlock_delay_days) shape.lock_configuration = LockConfiguration{{*row.unlock_delay_days, days}};
  if (row.unlocks) shape.lock_end_time = wire::Timestamp{*row.unlocks};
  return shape;
}

Rule create(Call& call, const CreateRuleRequest& request) {
  if (!request.retention_period) refuse("RetentionPeriod is missing.");
  control::NewRule what{.resource_type = request.resource_type,
                        .retention_days = days_of(*request.retention_period),
                        .description = request.description,
                        .include = from_shape(request.resource_tags),
                        .exclude = from_shape(request.exclude_resource_tags),
                        .tags = from_shape(request.tags)};
  if (request.lock_configuration) what.unlock_delay_days = days_of(*request.lock_configuration);
  const auto details = control::create_rule(call.region, call.principal.account, what);
  auto shape = to_shape(call, details);
  shape.tags = to_shape(details.tags);
  return shape;
}

Rule get(Call& call, const RuleRequest& request) {
  return to_shape(call, control::rule_of(call.region, call.principal.account, request.identifier));
}

Rule update(Call& call, const UpdateRuleRequest& request) {
  control::RuleChanges changes{.description = request.description, .resource_type = request.resource_type};
  if (request.retention_period) changes.retention_days = days_of(*request.retention_period);
  if (request.resource_tags) changes.include = from_shape(*request.resource_tags);
  if (request.exclude_resource_tags) changes.exclude = from_shape(*request.exclude_resource_tags);
  auto shape = to_shape(call, control::change_rule(call.region, call.principal.account, request.identifier, changes));
  shape.lock_configuration.reset();  // the API does not tell it there
  return shape;
}

Nothing remove(Call& call, const RuleRequest& request) {
  control::delete_rule(call.region, call.principal.account, request.identifier);
  return {};
}

Rule lock(Call& call, const LockRuleRequest& request) {
  if (!request.lock_configuration) refuse("LockConfiguration is missing.");
  const auto delay = days_of(*request.lock_configuration);
  return to_shape(call, control::lock_rule(call.region, call.principal.account, request.identifier, delay));
}

Rule unlock(Call& call, const RuleRequest& request) {
  return to_shape(call, control::unlock_rule(call.region, call.principal.account, request.identifier));
}

bool has_all(const std::vector<control::ResourceTag>& tags, const std::vector<control::ResourceTag>& wanted) {
  return std::ranges::all_of(wanted, [&](const auto& each) { return std::ranges::find(tags, each) != tags.end(); });
}

ListRulesResponse list(Call& call, const ListRulesRequest& request) {
  const auto most = request.max_results.value_or(1000);
  if (most < 1 || most > 1000) refuse("MaxResults is between 1 and 1000.");
  std::string after;
  if (request.next_token) {
    const auto decoded = base::from_base64(*request.next_token);
    if (!decoded || !decoded->starts_with("after:")) refuse("The NextToken is not valid.");
    after = decoded->substr(6);
  }
  const auto now = call.region.clock.now();
  ListRulesResponse response;
  for (const auto& details : control::rules_of(call.region, call.principal.account, request.resource_type)) {
    const auto state = lock_state_of(details, now);
    if (details.rule.id <= after || (!request.lock_state.empty() && state != request.lock_state) ||
        !has_all(details.include, from_shape(request.resource_tags)) ||
        !has_all(details.exclude, from_shape(request.exclude_resource_tags))) {
      continue;
    }
    if (response.rules.size() == static_cast<std::size_t>(most)) {
      response.next_token = base::to_base64("after:" + response.rules.back().identifier);
      break;
    }
    response.rules.push_back({.identifier = details.rule.id,
                              .description = details.rule.description,
                              .retention_period = {details.rule.retention_days, days},
                              .lock_state = state,
                              .rule_arn = details.arn()});
  }
  return response;
}

TagsResponse list_tags(Call& call, const TagsRequest& request) {
  return {to_shape(control::rule_of_arn(call.region, call.principal.account, request.resource_arn).tags)};
}

Nothing tag(Call& call, const TagResourceRequest& request) {
  control::tag_rule(call.region, call.principal.account, request.resource_arn, from_shape(request.tags));
  return {};
}

Nothing untag(Call& call, const UntagResourceRequest& request) {
  control::untag_rule(call.region, call.principal.account, request.resource_arn, request.tag_keys);
  return {};
}

constexpr Operation operations[] = {
    operation<create>("CreateRule", Access::writes, Payload::buffered, {"POST", "/rules", 201}),
    operation<remove>("DeleteRule", Access::writes, Payload::buffered, {"DELETE", "/rules/{identifier}", 204}),
    operation<get>("GetRule", Access::reads, Payload::buffered, {"GET", "/rules/{identifier}"}),
    operation<list>("ListRules", Access::reads, Payload::buffered, {"POST", "/list-rules"}),
    operation<list_tags>("ListTagsForResource", Access::reads, Payload::buffered, {"GET", "/tags/{resourceArn}"}),
    operation<lock>("LockRule", Access::writes, Payload::buffered, {"PATCH", "/rules/{identifier}/lock"}),
    operation<tag>("TagResource", Access::writes, Payload::buffered, {"POST", "/tags/{resourceArn}", 201}),
    operation<unlock>("UnlockRule", Access::writes, Payload::buffered, {"PATCH", "/rules/{identifier}/unlock"}),
    operation<untag>("UntagResource", Access::writes, Payload::buffered, {"DELETE", "/tags/{resourceArn}", 204}),
    operation<update>("UpdateRule", Access::writes, Payload::buffered, {"PATCH", "/rules/{identifier}"}),
};

}  // namespace

Service service() {
  return {.name = "rbin",
          .version = "2021-06-15",
          .dialect = {.protocol = wire::Protocol::rest_json},
          .internal_error = "InternalServerException",
          .asked = asked,
          .tables = {operations}};
}

}  // namespace kiln::services::rbin
