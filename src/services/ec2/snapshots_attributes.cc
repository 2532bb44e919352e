// DescribeSnapshotAttribute, ModifySnapshotAttribute, ResetSnapshotAttribute: whom a snapshot is shared with.
//
// Clients write a change as CreateVolumePermission.Add.N and .Remove.N, or as OperationType with UserId.N and
// UserGroup.N; Terraform names the attribute beside either. Names of attributes are taken in any case.
#include "base/api_error.h"
#include "base/text.h"
#include "control/snapshot_sharing.h"
#include "services/ec2/operations.h"
#include "services/ec2/shapes_common.h"

namespace kiln::services::ec2 {

struct CreateVolumePermission {
  std::optional<std::string> user_id, group;
};

struct CreateVolumePermissionModifications {
  std::vector<CreateVolumePermission> add, remove;
};

struct ModifySnapshotAttributeRequest {
  std::string snapshot_id, attribute, operation_type;
  std::optional<CreateVolumePermissionModifications> create_volume_permission;
  std::vector<std::string> user_id, user_group;
};

struct SnapshotAttributeRequest {
  std::string snapshot_id, attribute;
};

struct DescribeSnapshotAttributeResponse {
  std::string snapshot_id;
  std::optional<std::vector<CreateVolumePermission>> create_volume_permission;
  std::optional<std::vector<ProductCode>> product_codes;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::CreateVolumePermission, user_id, group)
KILN_WIRE(kiln::services::ec2::CreateVolumePermissionModifications, add, remove)
KILN_WIRE(kiln::services::ec2::ModifySnapshotAttributeRequest, snapshot_id, attribute, operation_type,
          create_volume_permission, user_id, user_group)
KILN_WIRE(kiln::services::ec2::SnapshotAttributeRequest, snapshot_id, attribute)
KILN_WIRE(kiln::services::ec2::DescribeSnapshotAttributeResponse, snapshot_id, create_volume_permission, product_codes)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

void require(const std::string& value, const std::string& parameter) {
  if (value.empty()) throw ApiError("MissingParameter", "The request must contain the parameter " + parameter);
}

[[noreturn]] void unknown_attribute(const std::string& name) {
  throw ApiError("InvalidParameterValue",
                 "Value (" + name + ") for parameter attribute is invalid. Unknown attribute.");
}

std::vector<control::Grantee> grantees_of(const std::vector<CreateVolumePermission>& items) {
  std::vector<control::Grantee> grantees;
  for (const auto& item : items) {
    if (item.user_id) grantees.push_back({"account", *item.user_id});
    if (item.group) grantees.push_back({"group", *item.group});
  }
  return grantees;
}

control::ShareChanges changes_of(const ModifySnapshotAttributeRequest& request) {
  if (const auto& changes = request.create_volume_permission) {
    return {.add = grantees_of(changes->add), .remove = grantees_of(changes->remove)};
  }
  const auto operation = base::lower(request.operation_type);
  require(operation, "operationType");
  if (operation != "add" && operation != "remove") {
    throw ApiError(
        "InvalidParameterValue",
        "Value (" + request.operation_type + ") for parameter operationType is invalid. Expected: 'add' or 'remove'.");
  }
  std::vector<control::Grantee> grantees;
  for (const auto& account : request.user_id) grantees.push_back({"account", account});
  for (const auto& group : request.user_group) grantees.push_back({"group", group});
  return operation == "add" ? control::ShareChanges{.add = std::move(grantees)}
                            : control::ShareChanges{.remove = std::move(grantees)};
}

Done modify(Call& call, const ModifySnapshotAttributeRequest& request) {
  require(request.snapshot_id, "snapshotId");
  const auto name = base::lower(request.attribute);
  if (name == "productcodes") {
    throw ApiError("UnsupportedOperation", "Snapshots have no product codes in this region.");
  }
  if (!name.empty() && name != "createvolumepermission") unknown_attribute(request.attribute);
  const auto changes = changes_of(request);
  if (changes.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter userId or groupName");
  }
  control::share_snapshot(call.region, call.principal, request.snapshot_id, changes);
  return {};
}

Done reset(Call& call, const SnapshotAttributeRequest& request) {
  require(request.snapshot_id, "snapshotId");
  require(request.attribute, "attribute");
  if (base::lower(request.attribute) != "createvolumepermission") {
    throw ApiError("InvalidParameterValue", "Value (" + request.attribute +
                                                ") for parameter attribute is invalid. Only createVolumePermission "
                                                "can be reset.");
  }
  control::reset_snapshot_permissions(call.region, call.principal, request.snapshot_id);
  return {};
}

DescribeSnapshotAttributeResponse describe(Call& call, const SnapshotAttributeRequest& request) {
  require(request.snapshot_id, "snapshotId");
  require(request.attribute, "attribute");
  const auto name = base::lower(request.attribute);
  if (name != "createvolumepermission" && name != "productcodes") unknown_attribute(request.attribute);
  const auto permissions = control::snapshot_permissions(call.region, call.principal, request.snapshot_id);
  DescribeSnapshotAttributeResponse response{.snapshot_id = request.snapshot_id};
  if (name == "productcodes") {
    response.product_codes.emplace();
    return response;
  }
  auto& shown = response.create_volume_permission.emplace();
  for (const auto& permission : permissions) {
    (permission.kind == "group" ? shown.emplace_back().group : shown.emplace_back().user_id) = permission.value;
  }
  return response;
}

constexpr Operation operations[] = {
    operation<describe>("DescribeSnapshotAttribute", Access::reads),
    operation<modify>("ModifySnapshotAttribute", Access::writes),
    operation<reset>("ResetSnapshotAttribute", Access::writes),
};

}  // namespace

std::span<const Operation> snapshot_attribute_operations() { return operations; }

}  // namespace kiln::services::ec2
