#include "services/ssm/ssm.h"

#include "services/ssm/operations.h"

namespace kiln::services::ssm {

Service service() {
  return {.name = "ssm",
          .version = "2014-11-06",
          .dialect = {.protocol = wire::Protocol::json_1_1},
          .target = "AmazonSSM",
          .internal_error = "InternalServerError",
          .asked = asked,
          .tables = {parameter_operations(), parameter_list_operations(), parameter_version_operations()}};
}

}  // namespace kiln::services::ssm
