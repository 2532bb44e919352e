#pragma once
// The managed policies that every account can attach and none can change. They have the names that AWS gives its own,
// and allow what those do of the services that are here. Constants.

#include <span>
#include <string>
#include <string_view>

namespace kiln::control {

struct AwsPolicy {
  std::string_view name, path, id, description, document;

  std::string arn() const { return "arn:aws:iam::aws:policy" + std::string(path) + std::string(name); }
};

std::span<const AwsPolicy> aws_policies();
const AwsPolicy* find_aws_policy(std::string_view arn);  // null when there is none of that ARN

}  // namespace kiln::control
