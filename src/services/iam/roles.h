#pragma once
// The shape of a role, which instance profiles show too.

#include <optional>
#include <string>
#include <vector>

#include "catalog/iam.h"
#include "services/iam/operations.h"

namespace kiln::services::iam {

struct Role {
  std::string path, role_name, role_id, arn;
  wire::Timestamp create_date;
  std::string assume_role_policy_document;  // percent-encoded
  std::optional<std::string> description;
  int max_session_duration = 3600;
  std::optional<Boundary> permissions_boundary;
  std::vector<Tag> tags;
};

Role to_shape(const catalog::IamIdentity& role);

}  // namespace kiln::services::iam

KILN_WIRE(kiln::services::iam::Role, path, role_name, role_id, arn, create_date, assume_role_policy_document,
          description, max_session_duration, permissions_boundary, tags)
