#pragma once
// Rules of the recycle bin: what of an account's, in a region, is kept after it was deleted, and for how long.
//
// A rule for tags keeps what has one of them; one without keeps everything but what has a tag that it excludes. Of
// several that fit, the longest holds. A locked rule is neither changed nor deleted, also for the days of its delay
// after its unlocking was asked for. What is in the bin already stays for as long as was said when it came.
//
// Request functions run on request threads, are one transaction each, and throw ApiError with the codes of the service
// rbin: ValidationException (400, reasons INVALID_PARAMETER_VALUE, ...), ResourceNotFoundException (404,
// RULE_NOT_FOUND), ConflictException (409), ServiceQuotaExceededException (402).

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/lifecycle.h"
#include "catalog/tags.h"
#include "control/region.h"

namespace kiln::control {

struct ResourceTag {
  std::string key, value;  // an empty value: any
  bool operator==(const ResourceTag&) const = default;
};

struct RuleDetails {
  catalog::RecycleRule rule;
  std::vector<ResourceTag> include = {}, exclude = {};
  std::map<std::string, std::string> tags = {};  // of the rule

  std::string lock_state(base::Micros now) const;  // locked, pending_unlock, unlocked
  std::string arn() const;
};

struct NewRule {
  std::string resource_type;  // EBS_SNAPSHOT, EBS_VOLUME, EC2_IMAGE
  std::int64_t retention_days = 0;
  std::string description = {};
  std::vector<ResourceTag> include = {}, exclude = {};
  std::map<std::string, std::string> tags = {};
  std::optional<std::int64_t> unlock_delay_days = {};  // makes it a locked one, which only one without include can be
};
RuleDetails create_rule(Region& region, const std::string& account, const NewRule& what);
RuleDetails rule_of(Region& region, const std::string& account, const std::string& id);

struct RuleChanges {
  std::optional<std::int64_t> retention_days = {};
  std::optional<std::string> description = {}, resource_type = {};
  std::optional<std::vector<ResourceTag>> include = {}, exclude = {};
};
RuleDetails change_rule(Region& region, const std::string& account, const std::string& id, const RuleChanges& changes);
void delete_rule(Region& region, const std::string& account, const std::string& id);
RuleDetails lock_rule(Region& region, const std::string& account, const std::string& id, std::int64_t delay_days);
RuleDetails unlock_rule(Region& region, const std::string& account, const std::string& id);
std::vector<RuleDetails> rules_of(Region& region, const std::string& account,
                                  const std::string& resource_type);  // by id

// By the rule's ARN.
RuleDetails rule_of_arn(Region& region, const std::string& account, const std::string& arn);
void tag_rule(Region& region, const std::string& account, const std::string& arn,
              const std::map<std::string, std::string>& tags);
void untag_rule(Region& region, const std::string& account, const std::string& arn,
                const std::vector<std::string>& keys);

// For how long something with these tags is kept; nothing: it is not.
std::optional<std::int64_t> retention_days(catalog::Txn& txn, const Region& region, const std::string& account,
                                           const std::string& resource_type, const std::vector<catalog::Tag>& tags);

}  // namespace kiln::control
