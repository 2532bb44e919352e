#include "control/access.h"

#include "base/api_error.h"
#include "base/log.h"

namespace kiln::control {

void authorise(const Principal& principal, std::string_view service, std::string_view action) {
  if (principal.arn == "arn:aws:iam::" + principal.account + ":root") return;
  if (service == "sts" && action == "GetCallerIdentity") return;  // nobody needs a permission to learn who they are
  if (service == "ec2") {
    throw base::ApiError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403);
  }
  throw base::ApiError(
      service == "ebs" || service == "kms" || service == "rbin" ? "AccessDeniedException" : "AccessDenied",
      "User: " + principal.arn + " is not authorized to perform: " + std::string(service) + ":" + std::string(action),
      403);
}

void audit(const Audit& record) {
  base::log_info("audit", "{} {} {} {} {}:{} {}", record.request_id, record.source_ip,
                 record.principal.arn.empty() ? "-" : record.principal.arn, record.region.empty() ? "-" : record.region,
                 record.service, record.action, record.outcome);
}

}  // namespace kiln::control
