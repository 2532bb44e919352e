// PutParameter, GetParameter, GetParameters, DeleteParameter, DeleteParameters, and the tags of parameters.
#include "control/parameters.h"

#include <algorithm>

#include "services/ssm/operations.h"

namespace kiln::services::ssm {

struct PutParameterRequest {
  std::string name;
  std::optional<std::string> description;
  std::string value, type, key_id;
  bool overwrite = false;
  std::optional<std::string> allowed_pattern;
  std::vector<Tag> tags;
  std::string tier, policies, data_type;
};

struct PutParameterResponse {
  std::int64_t version = 0;
  std::string tier;
};

struct GetParameterRequest {
  std::string name;
  bool with_decryption = false;
};

struct GetParameterResponse {
  Parameter parameter;
};

struct GetParametersRequest {
  std::vector<std::string> names;
  bool with_decryption = false;
};

struct GetParametersResponse {
  std::vector<Parameter> parameters;
  std::vector<std::string> invalid_parameters;
};

struct DeleteParameterRequest {
  std::string name;
};

struct DeleteParametersRequest {
  std::vector<std::string> names;
};

struct DeleteParametersResponse {
  std::vector<std::string> deleted_parameters, invalid_parameters;
};

struct AddTagsToResourceRequest {
  std::string resource_type, resource_id;
  std::vector<Tag> tags;
};

struct RemoveTagsFromResourceRequest {
  std::string resource_type, resource_id;
  std::vector<std::string> tag_keys;
};

struct ListTagsForResourceRequest {
  std::string resource_type, resource_id;
};

struct ListTagsForResourceResponse {
  std::vector<Tag> tag_list;
};

struct NoResponse {};

}  // namespace kiln::services::ssm

KILN_WIRE(kiln::services::ssm::PutParameterRequest, name, description, value, type, key_id, overwrite, allowed_pattern,
          tags, tier, policies, data_type)
KILN_WIRE(kiln::services::ssm::PutParameterResponse, version, tier)
KILN_WIRE(kiln::services::ssm::GetParameterRequest, name, with_decryption)
KILN_WIRE(kiln::services::ssm::GetParameterResponse, parameter)
KILN_WIRE(kiln::services::ssm::GetParametersRequest, names, with_decryption)
KILN_WIRE(kiln::services::ssm::GetParametersResponse, parameters, invalid_parameters)
KILN_WIRE(kiln::services::ssm::DeleteParameterRequest, name)
KILN_WIRE(kiln::services::ssm::DeleteParametersRequest, names)
KILN_WIRE(kiln::services::ssm::DeleteParametersResponse, deleted_parameters, invalid_parameters)
KILN_WIRE(kiln::services::ssm::AddTagsToResourceRequest, resource_type, resource_id, tags)
KILN_WIRE(kiln::services::ssm::RemoveTagsFromResourceRequest, resource_type, resource_id, tag_keys)
KILN_WIRE(kiln::services::ssm::ListTagsForResourceRequest, resource_type, resource_id)
KILN_WIRE(kiln::services::ssm::ListTagsForResourceResponse, tag_list)
KILN_WIRE_EMPTY(kiln::services::ssm::NoResponse)

namespace kiln::services::ssm {

Parameter to_shape(Call& call, const control::ReadParameter& read, bool decrypt) {
  const auto& row = read.row;
  auto value = decrypt ? control::open_parameter(call.region, call.principal, row) : row.value;
  return {.name = row.name,
          .type = row.type,
          .value = std::move(value),
          .version = row.version,
          .selector = if_any(read.selector),
          .last_modified_date = {row.modified},
          .arn = row.arn(),
          .data_type = row.data_type};
}

namespace {

using base::ApiError;

std::map<std::string, std::string> to_map(const std::vector<Tag>& tags) {
  std::map<std::string, std::string> map;
  for (const auto& tag : tags) map[tag.key] = tag.value;
  return map;
}

PutParameterResponse put_parameter(Call& call, const PutParameterRequest& request) {
  const auto row = control::put_parameter(call.region, call.principal,
                                          {.name = request.name,
                                           .value = request.value,
                                           .type = request.type,
                                           .key = request.key_id,
                                           .description = request.description,
                                           .allowed_pattern = request.allowed_pattern,
                                           .tier = request.tier,
                                           .policies = request.policies,
                                           .data_type = request.data_type,
                                           .overwrite = request.overwrite,
                                           .tags = to_map(request.tags)});
  return {.version = row.version, .tier = row.tier};
}

GetParameterResponse get_parameter(Call& call, const GetParameterRequest& request) {
  return {to_shape(call, control::read_parameter(call.region, call.principal, request.name), request.with_decryption)};
}

void check_names(const std::vector<std::string>& names) {
  if (names.empty() || names.size() > 10) {
    control::refuse_member("[" + std::to_string(names.size()) + " names]", "names",
                           "Member must have a length of 1 to 10");
  }
}

GetParametersResponse get_parameters(Call& call, const GetParametersRequest& request) {
  check_names(request.names);
  GetParametersResponse response;
  for (const auto& name : request.names) {
    if (std::ranges::count(request.names, name) > 1) {
      throw ApiError("ValidationException", "The parameter name " + name + " is given more than once.");
    }
    std::optional<control::ReadParameter> read;
    try {
      read = control::read_parameter(call.region, call.principal, name);
    } catch (const ApiError& error) {
      if (error.code() == "ValidationException") throw;
      response.invalid_parameters.push_back(name);
      continue;
    }
    response.parameters.push_back(to_shape(call, *read, request.with_decryption));
  }
  return response;
}

NoResponse delete_parameter(Call& call, const DeleteParameterRequest& request) {
  control::delete_parameter(call.region, call.principal, request.name);
  return {};
}

DeleteParametersResponse delete_parameters(Call& call, const DeleteParametersRequest& request) {
  check_names(request.names);
  DeleteParametersResponse response{
      .deleted_parameters = control::delete_parameters(call.region, call.principal, request.names),
      .invalid_parameters = {}};
  for (const auto& name : request.names) {
    if (std::ranges::count(response.deleted_parameters, name) == 0) response.invalid_parameters.push_back(name);
  }
  return response;
}

// --- tags

void check_type(const std::string& type) {
  if (type == "Parameter") return;
  throw ApiError("InvalidResourceType",
                 "The resource type '" + type + "' is not valid. Of the types that have tags, Parameter is served.");
}

NoResponse add_tags_to_resource(Call& call, const AddTagsToResourceRequest& request) {
  check_type(request.resource_type);
  control::tag_parameter(call.region, call.principal, request.resource_id, to_map(request.tags));
  return {};
}

NoResponse remove_tags_from_resource(Call& call, const RemoveTagsFromResourceRequest& request) {
  check_type(request.resource_type);
  control::untag_parameter(call.region, call.principal, request.resource_id, request.tag_keys);
  return {};
}

ListTagsForResourceResponse list_tags_for_resource(Call& call, const ListTagsForResourceRequest& request) {
  check_type(request.resource_type);
  ListTagsForResourceResponse response;
  for (const auto& row : control::tags_of_parameter(call.region, call.principal, request.resource_id)) {
    response.tag_list.push_back({row.key, row.value});
  }
  return response;
}

constexpr Operation operations[] = {
    operation<add_tags_to_resource>("AddTagsToResource", Access::writes),
    operation<delete_parameter>("DeleteParameter", Access::writes),
    operation<delete_parameters>("DeleteParameters", Access::writes),
    operation<get_parameter>("GetParameter", Access::reads),
    operation<get_parameters>("GetParameters", Access::reads),
    operation<list_tags_for_resource>("ListTagsForResource", Access::reads),
    operation<put_parameter>("PutParameter", Access::writes),
    operation<remove_tags_from_resource>("RemoveTagsFromResource", Access::writes),
};

}  // namespace

std::span<const Operation> parameter_operations() { return operations; }

}  // namespace kiln::services::ssm
