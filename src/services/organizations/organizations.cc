#include "services/organizations/organizations.h"

#include "services/organizations/operations.h"

namespace kiln::services::organizations {

Service service() {
  return {.name = "organizations",
          .version = "2016-11-28",
          .dialect = {.protocol = wire::Protocol::json_1_1},
          .target = "AWSOrganizationsV20161128",
          .internal_error = "ServiceException",
          .global = true,
          .tables = {account_operations(), handshake_operations(), organization_operations(), unit_operations()}};
}

}  // namespace kiln::services::organizations
