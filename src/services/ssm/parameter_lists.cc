// GetParametersByPath, DescribeParameters.
#include "services/ssm/operations.h"

namespace kiln::services::ssm {

struct ParameterStringFilter {
  std::string key, option;
  std::vector<std::string> values;
};

struct GetParametersByPathRequest {
  std::string path;
  bool recursive = false;
  std::vector<ParameterStringFilter> parameter_filters;
  bool with_decryption = false;
  std::optional<int> max_results;
  std::string next_token;
};

struct GetParametersByPathResponse {
  std::vector<Parameter> parameters;
  std::optional<std::string> next_token;
};

// What clients sent before there were options.
struct ParametersFilter {
  std::string key;
  std::vector<std::string> values;
};

struct DescribeParametersRequest {
  std::vector<ParametersFilter> filters;
  std::vector<ParameterStringFilter> parameter_filters;
  std::optional<int> max_results;
  std::string next_token;
  bool shared = false;
};

struct ParameterMetadata {
  std::string name, arn, type;
  std::optional<std::string> key_id;
  wire::Timestamp last_modified_date;
  std::string last_modified_user;
  std::optional<std::string> description, allowed_pattern;
  std::int64_t version = 0;
  std::string tier, data_type;
};

struct DescribeParametersResponse {
  std::vector<ParameterMetadata> parameters;
  std::optional<std::string> next_token;
};

}  // namespace kiln::services::ssm

KILN_WIRE(kiln::services::ssm::ParameterStringFilter, key, option, values)
KILN_WIRE(kiln::services::ssm::GetParametersByPathRequest, path, recursive, parameter_filters, with_decryption,
          max_results, next_token)
KILN_WIRE(kiln::services::ssm::GetParametersByPathResponse, parameters, next_token)
KILN_WIRE(kiln::services::ssm::ParametersFilter, key, values)
KILN_WIRE(kiln::services::ssm::DescribeParametersRequest, filters, parameter_filters, max_results, next_token, shared)
KILN_WIRE_NAME(kiln::services::ssm::ParameterMetadata, arn, "ARN")
KILN_WIRE(kiln::services::ssm::ParameterMetadata, name, arn, type, key_id, last_modified_date, last_modified_user,
          description, allowed_pattern, version, tier, data_type)
KILN_WIRE(kiln::services::ssm::DescribeParametersResponse, parameters, next_token)

namespace kiln::services::ssm {
namespace {

std::vector<control::ParameterFilter> to_filters(const std::vector<ParameterStringFilter>& filters) {
  std::vector<control::ParameterFilter> all;
  for (const auto& each : filters) all.push_back({.key = each.key, .option = each.option, .values = each.values});
  return all;
}

GetParametersByPathResponse get_parameters_by_path(Call& call, const GetParametersByPathRequest& request) {
  const auto size = page_size(request.max_results, 10);
  const auto page = control::parameters_by_path(
      call.region, call.principal,
      {.path = request.path, .recursive = request.recursive, .filters = to_filters(request.parameter_filters)},
      read_token(request.next_token), size);
  GetParametersByPathResponse response;
  for (const auto& read : page.items) response.parameters.push_back(to_shape(call, read, request.with_decryption));
  if (page.more) response.next_token = next_token(true, page.items.back().row.name);
  return response;
}

DescribeParametersResponse describe_parameters(Call& call, const DescribeParametersRequest& request) {
  const auto size = page_size(request.max_results, 50);
  const auto after = read_token(request.next_token);
  if (!request.filters.empty() && !request.parameter_filters.empty()) {
    throw base::ApiError("ValidationException",
                         "You can use either Filters or ParameterFilters in a single request, and not both.");
  }
  auto filters = to_filters(request.parameter_filters);
  for (const auto& each : request.filters) {
    // By name such a filter finds what begins with it.
    filters.push_back({.key = each.key, .option = each.key == "Name" ? "BeginsWith" : "", .values = each.values});
  }
  // Nothing is shared between accounts.
  const auto page = request.shared ? control::ParameterPage{}
                                   : control::list_parameters(call.region, call.principal, filters, after, size);
  DescribeParametersResponse response;
  for (const auto& [row, selector] : page.items) {
    response.parameters.push_back({.name = row.name,
                                   .arn = row.arn(),
                                   .type = row.type,
                                   .key_id = if_any(row.key),
                                   .last_modified_date = {row.modified},
                                   .last_modified_user = row.modified_by,
                                   .description = if_any(row.description),
                                   .allowed_pattern = if_any(row.allowed_pattern),
                                   .version = row.version,
                                   .tier = row.tier,
                                   .data_type = row.data_type});
  }
  if (page.more) response.next_token = next_token(true, page.items.back().row.name);
  return response;
}

constexpr Operation operations[] = {
    operation<describe_parameters>("DescribeParameters", Access::reads),
    operation<get_parameters_by_path>("GetParametersByPath", Access::reads),
};

}  // namespace

std::span<const Operation> parameter_list_operations() { return operations; }

}  // namespace kiln::services::ssm
