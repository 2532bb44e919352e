#include "services/ec2/launch_params.h"

#include "base/api_error.h"
#include "control/access.h"
#include "control/image_aliases.h"
#include "control/parameter_names.h"

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

constexpr const char* read_action = "ssm:GetParameters";

std::string image_of(const wire::Params& sent) { return std::string(sent.find("ImageId").value_or("")); }

void check_may_read(catalog::Txn& txn, const control::Region& region, const control::Principal& caller,
                    const std::string& parameter) {
  if (caller.is_root()) return;
  std::string arn = parameter;
  try {
    arn = control::arn_of(region, control::read_parameter_name(region, caller, parameter));
  } catch (const ApiError&) {
    // An ARN of elsewhere is judged as it is.
  }
  const control::Permissions permissions(txn, caller);
  if (permissions.decide(region, {.action = read_action, .resource = arn}).allowed()) return;
  throw ApiError("SsmAccessDenied", "Access denied to SSM: User: " + caller.arn +
                                        " is not authorized to perform: " + read_action + " on resource: " + arn);
}

}  // namespace

bool has_names(const wire::Params& sent) { return control::image_parameter(image_of(sent)).has_value(); }

wire::Params look_up_names(catalog::Txn& txn, const control::Region& region, const control::Principal& caller,
                           const wire::Params& sent) {
  const auto parameter = control::image_parameter(image_of(sent));
  if (!parameter) return sent;
  check_may_read(txn, region, caller, *parameter);
  auto pairs = sent.all();
  for (auto& [name, value] : pairs) {
    if (name == "ImageId") value = control::resolve_image_id(txn, region, caller, value);
  }
  return wire::Params::of(std::move(pairs));
}

}  // namespace kiln::services::ec2
