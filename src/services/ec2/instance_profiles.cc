// AssociateIamInstanceProfile, DescribeIamInstanceProfileAssociations, DisassociateIamInstanceProfile,
// ReplaceIamInstanceProfileAssociation.
#include "control/instance_profiles.h"

#include "base/api_error.h"
#include "services/ec2/filter.h"
#include "services/ec2/instances_shapes.h"
#include "services/ec2/operations.h"

namespace kiln::services::ec2 {

struct IamInstanceProfileAssociation {
  std::string association_id, instance_id;
  IamInstanceProfile iam_instance_profile;
  std::string state;
  wire::Timestamp timestamp;
};

struct AssociateIamInstanceProfileRequest {
  IamInstanceProfileRequest iam_instance_profile;
  std::string instance_id;
};

struct ReplaceIamInstanceProfileAssociationRequest {
  IamInstanceProfileRequest iam_instance_profile;
  std::string association_id;
};

struct DisassociateIamInstanceProfileRequest {
  std::string association_id;
};

struct IamInstanceProfileAssociationResponse {
  IamInstanceProfileAssociation iam_instance_profile_association;
};

struct DescribeIamInstanceProfileAssociationsRequest {
  std::vector<std::string> association_id;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeIamInstanceProfileAssociationsResponse {
  std::vector<IamInstanceProfileAssociation> iam_instance_profile_association_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::IamInstanceProfileAssociation, association_id, instance_id, iam_instance_profile, state,
          timestamp)
KILN_WIRE(kiln::services::ec2::AssociateIamInstanceProfileRequest, iam_instance_profile, instance_id)
KILN_WIRE(kiln::services::ec2::ReplaceIamInstanceProfileAssociationRequest, iam_instance_profile, association_id)
KILN_WIRE(kiln::services::ec2::DisassociateIamInstanceProfileRequest, association_id)
KILN_WIRE(kiln::services::ec2::IamInstanceProfileAssociationResponse, iam_instance_profile_association)
KILN_WIRE(kiln::services::ec2::DescribeIamInstanceProfileAssociationsRequest, association_id, filter, max_results,
          next_token)
KILN_WIRE(kiln::services::ec2::DescribeIamInstanceProfileAssociationsResponse, iam_instance_profile_association_set,
          next_token)

namespace kiln::services::ec2 {
namespace {

using Association = IamInstanceProfileAssociation;

const Filterable<Association> filters[] = {
    {"instance-id", [](const Association& a) { return one(a.instance_id); }},
    {"state", [](const Association& a) { return one(a.state); }},
};

Association to_shape(const catalog::ProfileAssociation& row, const char* state) {
  return {.association_id = row.id,
          .instance_id = row.instance_id,
          .iam_instance_profile = {row.profile_arn, row.profile_id},
          .state = state,
          .timestamp = {row.created}};
}

control::ProfileName named(const IamInstanceProfileRequest& request) {
  return {.name = request.name, .arn = request.arn};
}

IamInstanceProfileAssociationResponse associate_iam_instance_profile(
    Call& call, const AssociateIamInstanceProfileRequest& request) {
  const auto made =
      control::associate_profile(call.region, call.principal, request.instance_id, named(request.iam_instance_profile));
  return {to_shape(made, "associating")};
}

IamInstanceProfileAssociationResponse replace_iam_instance_profile_association(
    Call& call, const ReplaceIamInstanceProfileAssociationRequest& request) {
  const auto made = control::replace_profile(call.region, call.principal, request.association_id,
                                             named(request.iam_instance_profile));
  return {to_shape(made, "associating")};
}

IamInstanceProfileAssociationResponse disassociate_iam_instance_profile(
    Call& call, const DisassociateIamInstanceProfileRequest& request) {
  return {
      to_shape(control::disassociate_profile(call.region, call.principal, request.association_id), "disassociating")};
}

DescribeIamInstanceProfileAssociationsResponse describe_iam_instance_profile_associations(
    Call& call, const DescribeIamInstanceProfileAssociationsRequest& request) {
  std::vector<Association> shapes;
  for (const auto& row : control::profile_associations(call.region, call.principal, request.association_id)) {
    shapes.push_back(to_shape(row, "associated"));
  }
  keep_matching<Association>(shapes, filters, request.filter);
  auto page = paginate(std::move(shapes),
                       {.max_results = request.max_results,
                        .next_token = request.next_token,
                        .has_ids = !request.association_id.empty()},
                       [](const Association& a) { return a.association_id; });
  return {.iam_instance_profile_association_set = std::move(page.items), .next_token = page.next_token};
}

constexpr Operation operations[] = {
    operation<associate_iam_instance_profile>("AssociateIamInstanceProfile", Access::writes),
    operation<describe_iam_instance_profile_associations>("DescribeIamInstanceProfileAssociations", Access::reads),
    operation<disassociate_iam_instance_profile>("DisassociateIamInstanceProfile", Access::writes),
    operation<replace_iam_instance_profile_association>("ReplaceIamInstanceProfileAssociation", Access::writes),
};

}  // namespace

std::span<const Operation> instance_profile_operations() { return operations; }

}  // namespace kiln::services::ec2
