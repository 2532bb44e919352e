#include "services/kms/kms.h"

#include "services/kms/operations.h"

namespace kiln::services::kms {

Service service() {
  return {.name = "kms",
          .version = "2014-11-01",
          .dialect = {.protocol = wire::Protocol::json_1_1},
          .target = "TrentService",
          .internal_error = "KMSInternalException",
          .asked = asked,
          .tables = {alias_operations(), data_operations(), key_operations(), policy_operations()}};
}

}  // namespace kiln::services::kms
