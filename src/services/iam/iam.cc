#include "services/iam/iam.h"

#include "services/iam/operations.h"

namespace kiln::services::iam {

Service service() {
  return {.name = "iam",
          .version = "2010-05-08",
          .dialect = {.protocol = wire::Protocol::query, .xml_namespace = "https://iam.amazonaws.com/doc/2010-05-08/"},
          .internal_error = "ServiceFailure",
          .global = true,
          .asked = asked,
          .tables = {group_operations(), identity_policy_operations(), policy_operations(), profile_operations(),
                     role_operations(), user_operations()}};
}

}  // namespace kiln::services::iam
