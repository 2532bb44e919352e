#include "control/recycle_rules.h"

#include <algorithm>
#include <set>

#include "base/api_error.h"
#include "base/ids.h"

namespace kiln::control {
namespace {

using base::ApiError;
using base::Micros;
using catalog::RecycleRule;
using catalog::RecycleRuleTag;
using catalog::Txn;

constexpr Micros day = base::seconds(86'400);
constexpr std::int64_t most_days = 3'650, most_days_of_volumes = 7;
constexpr std::size_t most_rules = 250, most_include = 50, most_exclude = 5, most_tags = 200;
constexpr std::size_t id_length = 11;

[[noreturn]] void refuse(const std::string& why) {
  throw ApiError("ValidationException", why, 400, "INVALID_PARAMETER_VALUE");
}

[[noreturn]] void unknown_rule(const std::string& id) {
  throw ApiError("ResourceNotFoundException", "The rule '" + id + "' does not exist.", 404, "RULE_NOT_FOUND");
}

void check_type(const std::string& type) {
  if (type == "EBS_SNAPSHOT" || type == "EBS_VOLUME" || type == "EC2_IMAGE") return;
  refuse("The resource type '" + type + "' is not valid: EBS_SNAPSHOT, EBS_VOLUME or EC2_IMAGE.");
}

void check_days(const std::string& type, std::int64_t days) {
  const auto most = type == "EBS_VOLUME" ? most_days_of_volumes : most_days;
  if (days >= 1 && days <= most) return;
  refuse("The retention period of " + type + " is between 1 and " + std::to_string(most) + " days.");
}

void check_description(const std::string& text) {
  if (text.size() > 255) refuse("The description is longer than 255 characters.");
}

void check_resource_tags(const std::vector<ResourceTag>& include, const std::vector<ResourceTag>& exclude) {
  if (!include.empty() && !exclude.empty()) refuse("A rule for tags cannot exclude tags.");
  if (include.size() > most_include) refuse("A rule is for at most 50 resource tags.");
  if (exclude.size() > most_exclude) refuse("A rule excludes at most 5 resource tags.");
  for (const auto* list : {&include, &exclude}) {
    for (const auto& tag : *list) {
      if (tag.key.empty() || tag.key.size() > 127 || tag.value.size() > 256) {
        refuse("A resource tag has a key of 1 to 127 characters and a value of at most 256.");
      }
    }
  }
}

void check_tags(const std::map<std::string, std::string>& tags) {
  if (tags.size() > most_tags) refuse("A rule has at most 200 tags.");
  for (const auto& [key, value] : tags) {
    if (key.empty() || key.size() > 128 || value.size() > 256 || key.starts_with("aws:")) {
      refuse("The tag '" + key + "' is not valid.");
    }
  }
}

void check_delay(const RuleDetails& rule, std::int64_t days) {
  if (days < 7 || days > 30) refuse("The unlock delay is between 7 and 30 days.");
  if (!rule.include.empty()) refuse("Only a rule for all resources of a region can be locked.");
}

std::string new_rule_id() {
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  const auto random = base::random_hex(id_length);  // two digits a letter
  std::string id;
  for (std::size_t i = 0; i < id_length; ++i) {
    id += letters[static_cast<std::size_t>(std::stoi(random.substr(2 * i, 2), nullptr, 16)) % letters.size()];
  }
  return id;
}

RuleDetails details_of(Txn& txn, RecycleRule rule) {
  RuleDetails details;
  for (const auto& tag : catalog::recycle_rule_tags(txn, rule.region, rule.id)) {
    if (tag.kind == "include") details.include.push_back({tag.key, tag.value});
    if (tag.kind == "exclude") details.exclude.push_back({tag.key, tag.value});
    if (tag.kind == "tag") details.tags.emplace(tag.key, tag.value);
  }
  details.rule = std::move(rule);
  return details;
}

RuleDetails find_rule(Txn& txn, const Region& region, const std::string& account, const std::string& id) {
  auto rule = catalog::find_recycle_rule(txn, region.name, id);
  if (!rule || rule->account != account) unknown_rule(id);
  return details_of(txn, *std::move(rule));
}

void write(Txn& txn, const RuleDetails& details) {
  const auto& rule = details.rule;
  catalog::upsert(txn, rule);
  txn.execute("DELETE FROM recycle_rule_tag WHERE region = $1 AND rule_id = $2", {rule.region, rule.id});
  const auto row = [&](const std::string& kind, const std::string& key, const std::string& value) {
    catalog::upsert(
        txn, RecycleRuleTag{.region = rule.region, .rule_id = rule.id, .kind = kind, .key = key, .value = value});
  };
  for (const auto& tag : details.include) row("include", tag.key, tag.value);
  for (const auto& tag : details.exclude) row("exclude", tag.key, tag.value);
  for (const auto& [key, value] : details.tags) row("tag", key, value);
}

void check_unlocked(const RuleDetails& details, Micros now) {
  const auto state = details.lock_state(now);
  if (state == "unlocked") return;
  throw ApiError("ConflictException", "The rule '" + details.rule.id + "' is locked.", 409, "INVALID_RULE_STATE");
}

template <class Change>
RuleDetails changed(Region& region, const std::string& account, const std::string& id, Change change) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto details = find_rule(txn, region, account, id);
    change(details);
    write(txn, details);
    return details;
  });
}

std::string id_of_arn(const Region& region, const std::string& account, const std::string& arn) {
  const std::string prefix = "arn:aws:rbin:" + region.name + ":" + account + ":rule/";
  if (!arn.starts_with("arn:aws:rbin:")) refuse("'" + arn + "' is no ARN of a rule.");
  if (!arn.starts_with(prefix)) unknown_rule(arn);
  return arn.substr(prefix.size());
}

bool has_any(const std::vector<catalog::Tag>& tags, const std::vector<ResourceTag>& wanted) {
  return std::ranges::any_of(wanted, [&](const ResourceTag& each) {
    return std::ranges::any_of(
        tags, [&](const auto& tag) { return tag.key == each.key && (each.value.empty() || tag.value == each.value); });
  });
}

}  // namespace

std::string RuleDetails::lock_state(Micros now) const {
  if (!rule.locked) return "unlocked";
  if (!rule.unlocks) return "locked";
  return *rule.unlocks > now ? "pending_unlock" : "unlocked";
}

std::string RuleDetails::arn() const { return "arn:aws:rbin:" + rule.region + ":" + rule.account + ":rule/" + rule.id; }

RuleDetails create_rule(Region& region, const std::string& account, const NewRule& what) {
  check_type(what.resource_type);
  check_days(what.resource_type, what.retention_days);
  check_description(what.description);
  check_resource_tags(what.include, what.exclude);
  check_tags(what.tags);
  RuleDetails details{.rule = {.region = region.name,
                               .id = new_rule_id(),
                               .account = account,
                               .resource_type = what.resource_type,
                               .description = what.description,
                               .retention_days = what.retention_days,
                               .locked = what.unlock_delay_days.has_value(),
                               .unlock_delay_days = what.unlock_delay_days,
                               .created = region.clock.now()},
                      .include = what.include,
                      .exclude = what.exclude,
                      .tags = what.tags};
  if (what.unlock_delay_days) check_delay(details, *what.unlock_delay_days);
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto count =
        txn.query("SELECT COUNT(*) FROM recycle_rule WHERE region = $1 AND account = $2", {region.name, account});
    if (std::get<std::int64_t>(count.front().front()) >= static_cast<std::int64_t>(most_rules)) {
      throw ApiError("ServiceQuotaExceededException", "There can be at most 250 rules in a region.", 402,
                     "SERVICE_QUOTA_EXCEEDED");
    }
    write(txn, details);
  });
  return details;
}

RuleDetails rule_of(Region& region, const std::string& account, const std::string& id) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return find_rule(txn, region, account, id); });
}

RuleDetails change_rule(Region& region, const std::string& account, const std::string& id, const RuleChanges& changes) {
  return changed(region, account, id, [&](RuleDetails& details) {
    check_unlocked(details, region.clock.now());
    if (changes.resource_type && *changes.resource_type != details.rule.resource_type) {
      refuse("The resource type of a rule cannot be changed.");
    }
    if (changes.retention_days) details.rule.retention_days = *changes.retention_days;
    if (changes.description) details.rule.description = *changes.description;
    if (changes.include) details.include = *changes.include;
    if (changes.exclude) details.exclude = *changes.exclude;
    check_days(details.rule.resource_type, details.rule.retention_days);
    check_description(details.rule.description);
    check_resource_tags(details.include, details.exclude);
  });
}

void delete_rule(Region& region, const std::string& account, const std::string& id) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto details = find_rule(txn, region, account, id);
    check_unlocked(details, region.clock.now());
    catalog::remove(txn, details.rule);
  });
}

RuleDetails lock_rule(Region& region, const std::string& account, const std::string& id, std::int64_t delay_days) {
  return changed(region, account, id, [&](RuleDetails& details) {
    check_unlocked(details, region.clock.now());
    check_delay(details, delay_days);
    details.rule.locked = true;
    details.rule.unlock_delay_days = delay_days;
    details.rule.unlocks.reset();
  });
}

RuleDetails unlock_rule(Region& region, const std::string& account, const std::string& id) {
  const auto now = region.clock.now();
  return changed(region, account, id, [&](RuleDetails& details) {
    if (details.lock_state(now) != "locked") {
      throw ApiError("ConflictException", "The rule '" + id + "' is not locked.", 409, "INVALID_RULE_STATE");
    }
    details.rule.unlocks = now + details.rule.unlock_delay_days.value_or(0) * day;
  });
}

std::vector<RuleDetails> rules_of(Region& region, const std::string& account, const std::string& resource_type) {
  check_type(resource_type);
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    std::vector<RuleDetails> all;
    for (auto& rule : catalog::recycle_rules_of(txn, region.name, account, resource_type)) {
      all.push_back(details_of(txn, std::move(rule)));
    }
    return all;
  });
}

RuleDetails rule_of_arn(Region& region, const std::string& account, const std::string& arn) {
  return rule_of(region, account, id_of_arn(region, account, arn));
}

void tag_rule(Region& region, const std::string& account, const std::string& arn,
              const std::map<std::string, std::string>& tags) {
  changed(region, account, id_of_arn(region, account, arn), [&](RuleDetails& details) {
    for (const auto& [key, value] : tags) details.tags[key] = value;
    check_tags(details.tags);
  });
}

void untag_rule(Region& region, const std::string& account, const std::string& arn,
                const std::vector<std::string>& keys) {
  changed(region, account, id_of_arn(region, account, arn), [&](RuleDetails& details) {
    for (const auto& key : keys) details.tags.erase(key);
  });
}

std::optional<std::int64_t> retention_days(Txn& txn, const Region& region, const std::string& account,
                                           const std::string& resource_type, const std::vector<catalog::Tag>& tags) {
  std::optional<std::int64_t> longest;
  for (auto& rule : catalog::recycle_rules_of(txn, region.name, account, resource_type)) {
    const auto details = details_of(txn, std::move(rule));
    const bool fits = details.include.empty() ? !has_any(tags, details.exclude) : has_any(tags, details.include);
    if (fits) longest = std::max(longest.value_or(0), details.rule.retention_days);
  }
  return longest;
}

}  // namespace kiln::control
