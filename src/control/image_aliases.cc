#include "control/image_aliases.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/ids.h"
#include "control/access.h"
#include "control/image_visibility.h"
#include "control/images.h"
#include "control/parameter_names.h"
#include "control/parameter_reading.h"
#include "control/parameters.h"
#include "control/sharing.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::ParameterVersion;
using catalog::Txn;

constexpr const char* own_aliases = "/aws/service/kiln/";
constexpr std::size_t most_versions = 100;
constexpr std::string_view resolving = "resolve:ssm:";

void check_may_read(Txn& txn, const Region& region, const Principal& caller, const std::string& parameter) {
  if (caller.is_root()) return;
  constexpr const char* action = "ssm:GetParameters";
  std::string arn = parameter;
  try {
    arn = arn_of(region, read_parameter_name(region, caller, parameter));
  } catch (const ApiError&) {
    // An ARN of elsewhere is judged as it is.
  }
  const Permissions permissions(txn, caller);
  if (permissions.decide(region, {.action = action, .resource = arn}).allowed()) return;
  throw ApiError("SsmAccessDenied", "Access denied to SSM: User: " + caller.arn +
                                        " is not authorized to perform: " + action + " on resource: " + arn);
}

bool is_public_image(Txn& txn, const Region& region, const std::string& image_id) {
  const auto permissions = catalog::launch_permissions(txn, region.name, image_id);
  return std::ranges::any_of(permissions, [](const auto& each) { return each.kind == "group"; });
}

}  // namespace

std::string alias_parameter(const std::string& alias) {
  const auto name = alias.starts_with(own_aliases) ? alias : own_aliases + alias;
  const auto rest = name.substr(std::string_view(own_aliases).size());
  constexpr std::string_view allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/";
  const bool is_path = !rest.empty() && rest.size() <= 512 && rest.find_first_not_of(allowed) == std::string::npos &&
                       !rest.starts_with('/') && !rest.ends_with('/') && rest.find("//") == std::string::npos;
  if (!is_path) {
    throw ApiError("InvalidParameterValue",
                   "'" + alias + "' is no alias: wanted letters, digits and . - _, in parts with / between them");
  }
  return name;
}

AliasChange set_image_alias(Region& region, const Principal& by, const std::string& alias,
                            const std::string& image_id) {
  const auto name = alias_parameter(alias);
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    check_image_id(image_id);
    // The operator's word goes for images of all accounts.
    const auto image = catalog::find_image(txn, region.name, image_id);
    if (!image) refuse_unknown_images({image_id});
    image_for_launch(txn, region, {.account = image->account, .arn = {}, .user_id = {}, .access_key = {}}, image_id);
    auto versions = catalog::parameter_versions(txn, region.name, {}, name);
    AliasChange made{.row = {.region = region.name,
                             .account = {},
                             .name = name,
                             .version = versions.empty() ? 1 : versions.back().version + 1,
                             .type = "String",
                             .value = image_id,
                             .data_type = image_data_type,
                             .tier = "Standard",
                             .key = {},
                             .description = {},
                             .allowed_pattern = {},
                             .modified_by = by.arn,
                             .modified = region.clock.now()},
                     .is_public = is_public_image(txn, region, image_id)};
    if (!versions.empty()) {
      versions.back().latest = false;
      catalog::update(txn, versions.back());
    }
    if (versions.size() >= most_versions) catalog::remove(txn, versions.front());
    catalog::insert(txn, made.row);
    return made;
  });
}

bool delete_image_alias(Region& region, const std::string& alias) {
  const auto name = alias_parameter(alias);
  return catalog::in_txn(region.catalog,
                         [&](Txn& txn) { return catalog::remove_parameter(txn, region.name, {}, name); });
}

std::vector<ParameterVersion> image_aliases(Region& region) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return catalog::parameters_of(txn, region.name, {}); });
}

bool alias_serves(Txn& txn, const Region& region, const Principal& caller, const ParameterVersion& version) {
  const auto image = catalog::find_image(txn, region.name, version.value);
  return image && image->state == "available" && may_see_image(txn, region, *image, caller);
}

std::optional<std::string> image_parameter(const std::string& image_id) {
  if (!image_id.starts_with(resolving)) return {};
  return image_id.substr(resolving.size());
}

std::string resolve_image_id(Txn& txn, const Region& region, const Principal& caller, const std::string& image_id) {
  const auto name = image_parameter(image_id);
  if (!name) return image_id;
  check_may_read(txn, region, caller, *name);
  std::optional<ParameterVersion> found;
  try {
    found = read_parameter(txn, region, caller, *name).row;
  } catch (const ApiError&) {
    throw ApiError("SsmInvalidParameter", "The following aliases are invalid: " + *name);
  }
  if (found->data_type != image_data_type) {
    throw ApiError("SsmInvalidParameter",
                   "Unsupported data type. The following parameter data types are supported: aws:ec2:image");
  }
  return found->value;
}

}  // namespace kiln::control
