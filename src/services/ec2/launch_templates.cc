// CreateLaunchTemplate, DescribeLaunchTemplates, ModifyLaunchTemplate, DeleteLaunchTemplate; the operations on their
// versions; GetLaunchTemplateData.
#include "control/launch_templates.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/time.h"
#include "control/tags.h"
#include "services/ec2/filter.h"
#include "services/ec2/launch_template_shapes.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct LaunchTemplate {
  std::string launch_template_id, launch_template_name;
  wire::Timestamp create_time;
  std::string created_by;
  std::int64_t default_version_number = 1, latest_version_number = 1;
  std::vector<Tag> tag_set;
};

struct LaunchTemplateVersion {
  std::string launch_template_id, launch_template_name;
  std::int64_t version_number = 1;
  std::optional<std::string> version_description;
  wire::Timestamp create_time;
  std::string created_by;
  bool default_version = false;
  ResponseLaunchTemplateData launch_template_data;
};

struct ValidationError {
  std::string code, message;
};

struct ValidationWarning {
  std::vector<ValidationError> error_set;
};

struct CreateLaunchTemplateRequest {
  std::string client_token, launch_template_name, version_description;
  RequestLaunchTemplateData launch_template_data;
  std::vector<TagSpecification> tag_specification;
};

struct CreateLaunchTemplateResponse {
  LaunchTemplate launch_template;
  std::optional<ValidationWarning> warning;
};

struct CreateLaunchTemplateVersionRequest {
  std::string client_token, launch_template_id, launch_template_name, source_version, version_description;
  RequestLaunchTemplateData launch_template_data;
  bool resolve_alias = false;
};

struct CreateLaunchTemplateVersionResponse {
  LaunchTemplateVersion launch_template_version;
  std::optional<ValidationWarning> warning;
};

struct DescribeLaunchTemplatesRequest {
  std::vector<std::string> launch_template_id, launch_template_name;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeLaunchTemplatesResponse {
  std::vector<LaunchTemplate> launch_templates;
  std::optional<std::string> next_token;
};

struct DescribeLaunchTemplateVersionsRequest {
  std::string launch_template_id, launch_template_name;
  std::vector<std::string> launch_template_version;
  std::string min_version, max_version;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
  bool resolve_alias = false;
};

struct DescribeLaunchTemplateVersionsResponse {
  std::vector<LaunchTemplateVersion> launch_template_version_set;
  std::optional<std::string> next_token;
};

struct ModifyLaunchTemplateRequest {
  std::string client_token, launch_template_id, launch_template_name, set_default_version;
};

struct DeleteLaunchTemplateRequest {
  std::string launch_template_id, launch_template_name;
};

struct LaunchTemplateResponse {
  LaunchTemplate launch_template;
};

struct DeleteLaunchTemplateVersionsRequest {
  std::string launch_template_id, launch_template_name;
  std::vector<std::string> launch_template_version;
};

struct ResponseError {
  std::string code, message;
};

struct DeletedLaunchTemplateVersion {
  std::string launch_template_id, launch_template_name;
  std::int64_t version_number = 0;
};

struct KeptLaunchTemplateVersion {
  std::string launch_template_id, launch_template_name;
  std::int64_t version_number = 0;
  ResponseError response_error;
};

struct DeleteLaunchTemplateVersionsResponse {
  std::vector<DeletedLaunchTemplateVersion> successfully_deleted_launch_template_version_set;
  std::vector<KeptLaunchTemplateVersion> unsuccessfully_deleted_launch_template_version_set;
};

struct GetLaunchTemplateDataRequest {
  std::string instance_id;
};

struct GetLaunchTemplateDataResponse {
  ResponseLaunchTemplateData launch_template_data;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::LaunchTemplate, launch_template_id, launch_template_name, create_time, created_by,
          default_version_number, latest_version_number, tag_set)
KILN_WIRE(kiln::services::ec2::LaunchTemplateVersion, launch_template_id, launch_template_name, version_number,
          version_description, create_time, created_by, default_version, launch_template_data)
KILN_WIRE(kiln::services::ec2::ValidationError, code, message)
KILN_WIRE(kiln::services::ec2::ValidationWarning, error_set)
KILN_WIRE(kiln::services::ec2::CreateLaunchTemplateRequest, client_token, launch_template_name, version_description,
          launch_template_data, tag_specification)
KILN_WIRE(kiln::services::ec2::CreateLaunchTemplateResponse, launch_template, warning)
KILN_WIRE(kiln::services::ec2::CreateLaunchTemplateVersionRequest, client_token, launch_template_id,
          launch_template_name, source_version, version_description, launch_template_data, resolve_alias)
KILN_WIRE(kiln::services::ec2::CreateLaunchTemplateVersionResponse, launch_template_version, warning)
KILN_WIRE(kiln::services::ec2::DescribeLaunchTemplatesRequest, launch_template_id, launch_template_name, filter,
          max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeLaunchTemplatesResponse, launch_templates, next_token)
KILN_WIRE(kiln::services::ec2::DescribeLaunchTemplateVersionsRequest, launch_template_id, launch_template_name,
          launch_template_version, min_version, max_version, filter, max_results, next_token, resolve_alias)
KILN_WIRE(kiln::services::ec2::DescribeLaunchTemplateVersionsResponse, launch_template_version_set, next_token)
KILN_WIRE(kiln::services::ec2::ModifyLaunchTemplateRequest, client_token, launch_template_id, launch_template_name,
          set_default_version)
KILN_WIRE(kiln::services::ec2::DeleteLaunchTemplateRequest, launch_template_id, launch_template_name)
KILN_WIRE(kiln::services::ec2::LaunchTemplateResponse, launch_template)
KILN_WIRE(kiln::services::ec2::DeleteLaunchTemplateVersionsRequest, launch_template_id, launch_template_name,
          launch_template_version)
KILN_WIRE(kiln::services::ec2::ResponseError, code, message)
KILN_WIRE(kiln::services::ec2::DeletedLaunchTemplateVersion, launch_template_id, launch_template_name, version_number)
KILN_WIRE(kiln::services::ec2::KeptLaunchTemplateVersion, launch_template_id, launch_template_name, version_number,
          response_error)
KILN_WIRE(kiln::services::ec2::DeleteLaunchTemplateVersionsResponse, successfully_deleted_launch_template_version_set,
          unsuccessfully_deleted_launch_template_version_set)
KILN_WIRE(kiln::services::ec2::GetLaunchTemplateDataRequest, instance_id)
KILN_WIRE(kiln::services::ec2::GetLaunchTemplateDataResponse, launch_template_data)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

LaunchTemplate to_shape(Call& call, const catalog::LaunchTemplate& row) {
  const auto tags = catalog::in_read(
      call.region.catalog, [&](catalog::Txn& txn) { return control::tags_of(txn, call.region, row.account, row.id); });
  return {.launch_template_id = row.id,
          .launch_template_name = row.name,
          .create_time = {row.created},
          .created_by = row.created_by,
          .default_version_number = row.default_version,
          .latest_version_number = row.latest_version,
          .tag_set = ec2::to_shape(tags)};
}

LaunchTemplateVersion to_shape(const catalog::LaunchTemplate& row, const catalog::LaunchTemplateVersion& version) {
  LaunchTemplateVersion shape{
      .launch_template_id = row.id,
      .launch_template_name = row.name,
      .version_number = version.version,
      .version_description = {},
      .create_time = {version.created},
      .created_by = version.created_by,
      .default_version = version.version == row.default_version,
      .launch_template_data = to_template_data(wire::Params::parse(version.parameters), version.image_id)};
  if (!version.description.empty()) shape.version_description = version.description;
  return shape;
}

std::optional<ValidationWarning> to_shape(const std::vector<control::TemplateWarning>& warnings) {
  if (warnings.empty()) return {};
  ValidationWarning shape;
  for (const auto& each : warnings) shape.error_set.push_back({each.code, each.message});
  return shape;
}

// What the request says under LaunchTemplateData, known here or not.
wire::Params parameters_of(const Call& call) {
  constexpr std::string_view path = "LaunchTemplateData.";
  std::vector<wire::Params::Pair> pairs;
  if (call.params == nullptr) return {};
  for (const auto& [name, value] : call.params->all()) {
    if (name.starts_with(path)) pairs.emplace_back(name.substr(path.size()), value);
  }
  return wire::Params::of(std::move(pairs));
}

CreateLaunchTemplateResponse create(Call& call, const CreateLaunchTemplateRequest& request) {
  const auto made = control::create_launch_template(
      call.region, call.principal,
      {.name = request.launch_template_name,
       .description = request.version_description,
       .parameters = parameters_of(call),
       .tags = tags_for(request.tag_specification, "launch-template", {"launch-template"}),
       .client_token = call.client_token});
  return {.launch_template = to_shape(call, made.row), .warning = to_shape(made.warnings)};
}

CreateLaunchTemplateVersionResponse create_version(Call& call, const CreateLaunchTemplateVersionRequest& request) {
  auto made = control::create_launch_template_version(
      call.region, call.principal,
      {.of = {.id = request.launch_template_id, .name = request.launch_template_name},
       .source_version = request.source_version,
       .description = request.version_description,
       .parameters = parameters_of(call),
       .client_token = call.client_token});
  if (request.resolve_alias) {
    const auto resolved = control::launch_template_versions(
        call.region, call.principal, {.id = made.row.id, .name = {}},
        {.versions = {std::to_string(made.version.version)}, .least = {}, .most = {}, .resolve_alias = true});
    made.version = resolved.versions.at(0);
  }
  return {.launch_template_version = to_shape(made.row, made.version), .warning = to_shape(made.warnings)};
}

const Filterable<LaunchTemplate> template_filters[] = {
    {"create-time", [](const LaunchTemplate& t) { return one(base::to_iso8601(t.create_time.micros)); }},
    {"launch-template-name", [](const LaunchTemplate& t) { return one(t.launch_template_name); }},
};

DescribeLaunchTemplatesResponse describe(Call& call, const DescribeLaunchTemplatesRequest& request) {
  const bool named = !request.launch_template_id.empty() || !request.launch_template_name.empty();
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .has_ids = named, .least = 1, .most = 200};
  page_start(wanted);
  std::vector<LaunchTemplate> shapes;
  for (const auto& row : control::launch_templates(call.region, call.principal, request.launch_template_id,
                                                   request.launch_template_name)) {
    shapes.push_back(to_shape(call, row));
  }
  keep_matching<LaunchTemplate>(shapes, template_filters, request.filter);
  auto page =
      paginate(std::move(shapes), wanted, [](const LaunchTemplate& shape) { return shape.launch_template_name; });
  return {std::move(page.items), std::move(page.next_token)};
}

std::optional<std::int64_t> bound(const std::string& text, const char* name) {
  if (text.empty()) return {};
  if (text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) {
    throw ApiError("InvalidParameterValue", "Value (" + text + ") for parameter " + name + " is invalid.");
  }
  return std::stoll(text);
}

const Filterable<LaunchTemplateVersion> version_filters[] = {
    {"create-time", [](const LaunchTemplateVersion& v) { return one(base::to_iso8601(v.create_time.micros)); }},
    {"ebs-optimized", [](const LaunchTemplateVersion& v) { return one(v.launch_template_data.ebs_optimized); }},
    {"image-id", [](const LaunchTemplateVersion& v) { return one(v.launch_template_data.image_id); }},
    {"instance-type", [](const LaunchTemplateVersion& v) { return one(v.launch_template_data.instance_type); }},
    {"is-default-version", [](const LaunchTemplateVersion& v) { return one(v.default_version); }},
};

DescribeLaunchTemplateVersionsResponse describe_versions(Call& call,
                                                         const DescribeLaunchTemplateVersionsRequest& request) {
  const control::TemplateName name{.id = request.launch_template_id, .name = request.launch_template_name};
  const control::VersionQuery query{.versions = request.launch_template_version,
                                    .least = bound(request.min_version, "minVersion"),
                                    .most = bound(request.max_version, "maxVersion"),
                                    .resolve_alias = request.resolve_alias};
  const PageRequest wanted{
      .max_results = request.max_results, .next_token = request.next_token, .least = 1, .most = 200};
  page_start(wanted);
  const bool of_all = name.id.empty() && name.name.empty();
  const bool moving = !query.versions.empty() && std::ranges::all_of(query.versions, [](const std::string& text) {
    return text.starts_with('$');
  });
  const auto found = of_all && moving
                         ? control::all_template_versions(call.region, call.principal, query)
                         : std::vector{control::launch_template_versions(call.region, call.principal, name, query)};
  std::vector<LaunchTemplateVersion> shapes;
  for (const auto& each : found) {
    for (const auto& version : each.versions) shapes.push_back(to_shape(each.row, version));
  }
  keep_matching<LaunchTemplateVersion>(shapes, version_filters, request.filter);
  // The newest first: what is counted down to is as long for every number.
  auto page = paginate(std::move(shapes), wanted, [](const LaunchTemplateVersion& shape) {
    return shape.launch_template_id + " " + std::to_string(9'000'000'000 - shape.version_number);
  });
  return {std::move(page.items), std::move(page.next_token)};
}

LaunchTemplateResponse modify(Call& call, const ModifyLaunchTemplateRequest& request) {
  return {to_shape(
      call, control::set_default_version(call.region, call.principal,
                                         {.id = request.launch_template_id, .name = request.launch_template_name},
                                         request.set_default_version))};
}

LaunchTemplateResponse remove(Call& call, const DeleteLaunchTemplateRequest& request) {
  return {to_shape(
      call, control::delete_launch_template(call.region, call.principal,
                                            {.id = request.launch_template_id, .name = request.launch_template_name}))};
}

DeleteLaunchTemplateVersionsResponse remove_versions(Call& call, const DeleteLaunchTemplateVersionsRequest& request) {
  const auto done = control::delete_launch_template_versions(
      call.region, call.principal, {.id = request.launch_template_id, .name = request.launch_template_name},
      request.launch_template_version);
  DeleteLaunchTemplateVersionsResponse response;
  for (const auto& each : done.versions) {
    if (each.code.empty()) {
      response.successfully_deleted_launch_template_version_set.push_back({done.row.id, done.row.name, each.version});
    } else {
      response.unsuccessfully_deleted_launch_template_version_set.push_back(
          {done.row.id, done.row.name, each.version, {each.code, each.message}});
    }
  }
  return response;
}

GetLaunchTemplateDataResponse data_of_instance(Call& call, const GetLaunchTemplateDataRequest& request) {
  if (request.instance_id.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter InstanceId");
  }
  return {to_template_data(control::describe_instances(call.region, call.principal, {request.instance_id}).at(0))};
}

constexpr Operation operations[] = {
    operation<create>("CreateLaunchTemplate", Access::writes),
    operation<create_version>("CreateLaunchTemplateVersion", Access::writes),
    operation<remove>("DeleteLaunchTemplate", Access::writes),
    operation<remove_versions>("DeleteLaunchTemplateVersions", Access::writes),
    operation<describe_versions>("DescribeLaunchTemplateVersions", Access::reads),
    operation<describe>("DescribeLaunchTemplates", Access::reads),
    operation<data_of_instance>("GetLaunchTemplateData", Access::reads),
    operation<modify>("ModifyLaunchTemplate", Access::writes),
};

}  // namespace

std::span<const Operation> launch_template_operations() { return operations; }

}  // namespace kiln::services::ec2
