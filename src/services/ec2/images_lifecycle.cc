// EnableImage, DisableImage; EnableImageDeprecation, DisableImageDeprecation; EnableImageDeregistrationProtection,
// DisableImageDeregistrationProtection.
#include "base/api_error.h"
#include "control/image_lifecycle.h"
#include "services/ec2/operations.h"
#include "services/ec2/shapes_common.h"

namespace kiln::services::ec2 {

struct ImageLifecycleRequest {
  std::string image_id;
};

struct EnableImageDeprecationRequest {
  std::string image_id;
  std::optional<wire::Timestamp> deprecate_at;
};

struct EnableImageDeregistrationProtectionRequest {
  std::string image_id;
  bool with_cooldown = false;
};

// A text in the API, where others have a boolean.
struct DeregistrationProtectionResponse {
  std::string return_ = "true";
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::ImageLifecycleRequest, image_id)
KILN_WIRE(kiln::services::ec2::EnableImageDeprecationRequest, image_id, deprecate_at)
KILN_WIRE(kiln::services::ec2::EnableImageDeregistrationProtectionRequest, image_id, with_cooldown)
KILN_WIRE(kiln::services::ec2::DeregistrationProtectionResponse, return_)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

const std::string& required(const std::string& image_id) {
  if (image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter ImageId");
  return image_id;
}

Done enable(Call& call, const ImageLifecycleRequest& request) {
  control::enable_image(call.region, call.principal, required(request.image_id));
  return {};
}

Done disable(Call& call, const ImageLifecycleRequest& request) {
  control::disable_image(call.region, call.principal, required(request.image_id));
  return {};
}

Done enable_deprecation(Call& call, const EnableImageDeprecationRequest& request) {
  required(request.image_id);
  if (!request.deprecate_at) {
    throw ApiError("MissingParameter", "The request must contain the parameter DeprecateAt");
  }
  control::deprecate_image(call.region, call.principal, request.image_id, request.deprecate_at->micros);
  return {};
}

Done disable_deprecation(Call& call, const ImageLifecycleRequest& request) {
  control::undo_image_deprecation(call.region, call.principal, required(request.image_id));
  return {};
}

DeregistrationProtectionResponse enable_protection(Call& call,
                                                   const EnableImageDeregistrationProtectionRequest& request) {
  control::protect_image(call.region, call.principal, required(request.image_id),
                         request.with_cooldown ? control::Cooldown::yes : control::Cooldown::no);
  return {};
}

DeregistrationProtectionResponse disable_protection(Call& call, const ImageLifecycleRequest& request) {
  control::unprotect_image(call.region, call.principal, required(request.image_id));
  return {};
}

constexpr Operation operations[] = {
    operation<disable>("DisableImage", Access::writes),
    operation<disable_deprecation>("DisableImageDeprecation", Access::writes),
    operation<disable_protection>("DisableImageDeregistrationProtection", Access::writes),
    operation<enable>("EnableImage", Access::writes),
    operation<enable_deprecation>("EnableImageDeprecation", Access::writes),
    operation<enable_protection>("EnableImageDeregistrationProtection", Access::writes),
};

}  // namespace

std::span<const Operation> image_lifecycle_operations() { return operations; }

}  // namespace kiln::services::ec2
