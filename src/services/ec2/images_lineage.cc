// GetImageAncestry, DescribeImageReferences, DescribeInstanceImageMetadata.
#include <algorithm>

#include "base/api_error.h"
#include "base/time.h"
#include "control/allowed_images.h"
#include "control/image_lineage.h"
#include "control/instances.h"
#include "services/ec2/filter.h"
#include "services/ec2/instances_shapes.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct GetImageAncestryRequest {
  std::string image_id;
};

struct ImageAncestryEntry {
  wire::Timestamp creation_date;
  std::string image_id;
  std::optional<std::string> source_image_id, source_image_region;
};

struct GetImageAncestryResponse {
  std::vector<ImageAncestryEntry> image_ancestry_entry_set;
};

struct ResourceTypeOption {
  std::string option_name;
  std::vector<std::string> option_value;
};

struct ResourceTypeRequest {
  std::string resource_type;
  std::vector<ResourceTypeOption> resource_type_option;
};

struct DescribeImageReferencesRequest {
  std::vector<std::string> image_id;
  std::optional<bool> include_all_resource_types;
  std::vector<ResourceTypeRequest> resource_type;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct ImageReference {
  std::string image_id, resource_type, arn;
};

struct DescribeImageReferencesResponse {
  std::vector<ImageReference> image_reference_set;
  std::optional<std::string> next_token;
};

struct DescribeInstanceImageMetadataRequest {
  std::vector<Filter> filter;
  std::vector<std::string> instance_id;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct ImageMetadata {
  std::string image_id, name, image_owner_id, image_state, creation_date;
  std::optional<std::string> deprecation_time;
  bool image_allowed = true, is_public = false;
};

struct InstanceImageMetadata {
  std::string instance_id, instance_type;
  wire::Timestamp launch_time;
  std::string availability_zone;
  InstanceState instance_state;
  std::string instance_owner_id;
  std::vector<Tag> tag_set;
  ImageMetadata image_metadata;
};

struct DescribeInstanceImageMetadataResponse {
  std::vector<InstanceImageMetadata> instance_image_metadata_set;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::GetImageAncestryRequest, image_id)
KILN_WIRE(kiln::services::ec2::ImageAncestryEntry, creation_date, image_id, source_image_id, source_image_region)
KILN_WIRE(kiln::services::ec2::GetImageAncestryResponse, image_ancestry_entry_set)
KILN_WIRE(kiln::services::ec2::ResourceTypeOption, option_name, option_value)
KILN_WIRE(kiln::services::ec2::ResourceTypeRequest, resource_type, resource_type_option)
KILN_WIRE(kiln::services::ec2::DescribeImageReferencesRequest, image_id, include_all_resource_types, resource_type,
          max_results, next_token)
KILN_WIRE(kiln::services::ec2::ImageReference, image_id, resource_type, arn)
KILN_WIRE(kiln::services::ec2::DescribeImageReferencesResponse, image_reference_set, next_token)
KILN_WIRE(kiln::services::ec2::DescribeInstanceImageMetadataRequest, filter, instance_id, max_results, next_token)
KILN_WIRE(kiln::services::ec2::ImageMetadata, image_id, name, image_owner_id, image_state, creation_date,
          deprecation_time, image_allowed, is_public)
KILN_WIRE(kiln::services::ec2::InstanceImageMetadata, instance_id, instance_type, launch_time, availability_zone,
          instance_state, instance_owner_id, tag_set, image_metadata)
KILN_WIRE(kiln::services::ec2::DescribeInstanceImageMetadataResponse, instance_image_metadata_set, next_token)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

std::optional<std::string> if_any(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

GetImageAncestryResponse ancestry(Call& call, const GetImageAncestryRequest& request) {
  if (request.image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter ImageId");
  GetImageAncestryResponse response;
  for (const auto& image : control::image_ancestry(call.region, call.principal, request.image_id)) {
    response.image_ancestry_entry_set.push_back({.creation_date = {image.created},
                                                 .image_id = image.id,
                                                 .source_image_id = if_any(image.source_image_id),
                                                 .source_image_region = if_any(image.source_image_region)});
  }
  return response;
}

// --- references

constexpr const char *instances_type = "ec2:Instance", *parameters_type = "ssm:Parameter",
                     *templates_type = "ec2:LaunchTemplate";
// Those that AWS knows and that nothing here is.
constexpr std::string_view other_types[] = {"imagebuilder:ImageRecipe", "imagebuilder:ContainerRecipe"};

std::size_t depth_of(const std::vector<std::string>& values) {
  const bool is_number = values.size() == 1 && !values.front().empty() && values.front().size() <= 5 &&
                         values.front().find_first_not_of("0123456789") == std::string::npos;
  const auto depth = is_number ? std::stoul(values.front()) : 0;
  if (depth < 1 || depth > 10'000) {
    throw ApiError("InvalidParameterValue", "The option version-depth takes one number from 1 to 10000.");
  }
  return depth;
}

control::ReferenceQuery to_query(const DescribeImageReferencesRequest& request) {
  const bool all = request.include_all_resource_types.value_or(false);
  if (all && !request.resource_type.empty()) {
    throw ApiError("InvalidParameterCombination",
                   "The parameters IncludeAllResourceTypes and ResourceTypes cannot be used together.");
  }
  if (!all && request.resource_type.empty()) {
    throw ApiError("MissingParameter",
                   "The request must contain the parameter IncludeAllResourceTypes or ResourceTypes");
  }
  control::ReferenceQuery query{.instances = all, .parameters = all, .templates = all};
  for (const auto& each : request.resource_type) {
    const bool is_instance = each.resource_type == instances_type, is_parameter = each.resource_type == parameters_type;
    const bool is_template = each.resource_type == templates_type;
    if (!is_instance && !is_parameter && !is_template &&
        std::ranges::find(other_types, each.resource_type) == std::end(other_types)) {
      throw ApiError("InvalidParameterValue",
                     "Value (" + each.resource_type + ") for parameter resourceType is invalid.");
    }
    query.instances = query.instances || is_instance;
    query.parameters = query.parameters || is_parameter;
    query.templates = query.templates || is_template;
    for (const auto& option : each.resource_type_option) {
      if (option.option_name != "state-name" && option.option_name != "version-depth") {
        throw ApiError("InvalidParameterValue",
                       "Value (" + option.option_name + ") for parameter optionName is invalid.");
      }
      if (is_instance && option.option_name == "state-name") query.states = option.option_value;
      if (is_template && option.option_name == "version-depth") query.template_versions = depth_of(option.option_value);
    }
  }
  return query;
}

DescribeImageReferencesResponse references(Call& call, const DescribeImageReferencesRequest& request) {
  if (request.image_id.empty()) throw ApiError("MissingParameter", "The request must contain the parameter ImageId");
  if (request.image_id.size() > 10) {
    throw ApiError("InvalidParameterValue", "At most 10 images can be asked for at once.");
  }
  const PageRequest wanted{.max_results = request.max_results, .next_token = request.next_token};
  page_start(wanted);
  const auto query = to_query(request);
  std::vector<ImageReference> shapes;
  for (auto& each : control::image_references(call.region, call.principal, request.image_id, query)) {
    shapes.push_back({std::move(each.image_id), std::move(each.resource_type), std::move(each.arn)});
  }
  auto page = paginate(std::move(shapes), wanted, [](const ImageReference& r) { return r.image_id + " " + r.arn; });
  return {std::move(page.items), std::move(page.next_token)};
}

// --- images of instances

struct Metadata {
  bool allowed = true, is_public = false;
};

Metadata metadata_of(Call& call, const catalog::Image& image) {
  return catalog::in_read(call.region.catalog, [&](catalog::Txn& txn) {
    const auto permissions = catalog::launch_permissions(txn, call.region.name, image.id);
    return Metadata{.allowed = control::ImageAllowance(txn, call.region, call.principal.account).fits(image),
                    .is_public = std::ranges::any_of(permissions, [](const auto& p) { return p.kind == "group"; })};
  });
}

InstanceImageMetadata to_shape(Call& call, const control::InstanceDetails& details) {
  const auto& row = details.instance;
  const auto& image = details.image;
  const auto known = metadata_of(call, image);
  InstanceImageMetadata shape{.instance_id = row.id,
                              .instance_type = row.instance_type,
                              .launch_time = {row.launched},
                              .availability_zone = row.zone,
                              .instance_state = to_state(row.state),
                              .instance_owner_id = row.account,
                              .tag_set = ec2::to_shape(details.tags),
                              .image_metadata = {.image_id = row.image_id,
                                                 .name = image.name,
                                                 .image_owner_id = image.account,
                                                 .image_state = image.state,
                                                 .creation_date = base::to_iso8601(image.created),
                                                 .deprecation_time = {},
                                                 .image_allowed = known.allowed,
                                                 .is_public = known.is_public}};
  if (image.deprecation) shape.image_metadata.deprecation_time = base::to_iso8601(*image.deprecation);
  return shape;
}

constexpr Filterable<InstanceImageMetadata> metadata_filters[] = {
    {"availability-zone", [](const InstanceImageMetadata& i) { return one(i.availability_zone); }},
    {"image-allowed", [](const InstanceImageMetadata& i) { return one(i.image_metadata.image_allowed); }},
    {"instance-id", [](const InstanceImageMetadata& i) { return one(i.instance_id); }},
    {"instance-state-name", [](const InstanceImageMetadata& i) { return one(i.instance_state.name); }},
    {"instance-type", [](const InstanceImageMetadata& i) { return one(i.instance_type); }},
    {"launch-time", [](const InstanceImageMetadata& i) { return one(base::to_iso8601(i.launch_time.micros)); }},
    {"owner-alias", [](const InstanceImageMetadata&) { return std::vector<std::string>{}; }},
    {"owner-id", [](const InstanceImageMetadata& i) { return one(i.instance_owner_id); }},
    {"zone-id", [](const InstanceImageMetadata&) { return std::vector<std::string>{}; }},
};

DescribeInstanceImageMetadataResponse metadata(Call& call, const DescribeInstanceImageMetadataRequest& request) {
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.instance_id.empty()};
  page_start(wanted);
  std::vector<InstanceImageMetadata> shapes;
  for (const auto& details : control::describe_instances(call.region, call.principal, request.instance_id)) {
    if (!details.image.id.empty()) shapes.push_back(to_shape(call, details));
  }
  keep_matching<InstanceImageMetadata>(shapes, metadata_filters, request.filter);
  auto page = paginate(std::move(shapes), wanted, [](const InstanceImageMetadata& i) { return i.instance_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

constexpr Operation operations[] = {
    operation<references>("DescribeImageReferences", Access::reads),
    operation<metadata>("DescribeInstanceImageMetadata", Access::reads),
    operation<ancestry>("GetImageAncestry", Access::reads),
};

}  // namespace

std::span<const Operation> image_lineage_operations() { return operations; }

}  // namespace kiln::services::ec2
