#include "services/imds/role_credentials.h"

#include <boost/json.hpp>

namespace kiln::services::imds {
namespace {

namespace json = boost::json;

constexpr auto given_for = base::seconds(3600);

std::string time_text(base::Micros time) { return base::to_iso8601(time).substr(0, 19) + "Z"; }

// One member a line, as EC2 writes it: scripts take it apart with grep.
std::string one_a_line(const json::object& members) {
  std::string text = "{\n";
  for (const auto& [name, value] : members) {
    text += "  " + json::serialize(json::string(name)) + " : " + json::serialize(value) + ",\n";
  }
  text.replace(text.size() - 2, 2, "\n}");
  return text;
}

}  // namespace

std::string profile_info(const control::ProfileOfGuest& profile) {
  const auto& row = profile.association;
  return one_a_line({{"Code", "Success"},
                     {"LastUpdated", time_text(row.created)},
                     {"InstanceProfileArn", row.profile_arn},
                     {"InstanceProfileId", row.profile_id}});
}

std::string RoleCredentials::of(control::Region& region, const control::GuestMetadata& guest) {
  const auto now = region.clock.now();
  const auto key = region.name + "/" + guest.instance.id;
  const auto& association_id = guest.profile->association.id;
  {
    const base::Lock lock(mutex_);
    const auto known = given_.find(key);
    if (known != given_.end() && known->second.association_id == association_id &&
        known->second.role_name == guest.profile->role_name && now < known->second.made + given_for) {
      return known->second.text;
    }
  }
  const auto session = control::session_of_guest(region, guest.instance);
  if (!session) {
    return one_a_line({{"Code", "AssumeRoleUnauthorizedAccess"},
                       {"Message", "EC2 cannot assume the role " + guest.profile->role_name +
                                       ". Please see documentation at "
                                       "https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_iam-ec2.html."},
                       {"LastUpdated", time_text(now)}});
  }
  Given made{.association_id = association_id,
             .role_name = guest.profile->role_name,
             .made = now,
             .expires = session->expires,
             .text = one_a_line({{"Code", "Success"},
                                 {"LastUpdated", time_text(now)},
                                 {"Type", "AWS-HMAC"},
                                 {"AccessKeyId", session->access_key},
                                 {"SecretAccessKey", session->secret},
                                 {"Token", session->token},
                                 {"Expiration", time_text(session->expires)}})};
  const base::Lock lock(mutex_);
  forget_ended(now);
  return (given_[key] = std::move(made)).text;
}

void RoleCredentials::forget_ended(base::Micros now) {
  std::erase_if(given_, [&](const auto& each) { return each.second.expires <= now; });
}

}  // namespace kiln::services::imds
