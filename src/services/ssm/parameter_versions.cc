// GetParameterHistory, LabelParameterVersion, UnlabelParameterVersion.
#include <algorithm>

#include "control/parameters.h"
#include "services/ssm/operations.h"

namespace kiln::services::ssm {

struct GetParameterHistoryRequest {
  std::string name;
  bool with_decryption = false;
  std::optional<int> max_results;
  std::string next_token;
};

struct ParameterHistory {
  std::string name, type;
  std::optional<std::string> key_id;
  wire::Timestamp last_modified_date;
  std::string last_modified_user;
  std::optional<std::string> description;
  std::string value;
  std::optional<std::string> allowed_pattern;
  std::int64_t version = 0;
  std::vector<std::string> labels;
  std::string tier, data_type;
};

struct GetParameterHistoryResponse {
  std::vector<ParameterHistory> parameters;
  std::optional<std::string> next_token;
};

struct LabelParameterVersionRequest {
  std::string name;
  std::optional<std::int64_t> parameter_version;
  std::vector<std::string> labels;
};

struct LabelParameterVersionResponse {
  std::vector<std::string> invalid_labels;
  std::int64_t parameter_version = 0;
};

struct UnlabelParameterVersionResponse {
  std::vector<std::string> removed_labels, invalid_labels;
};

}  // namespace kiln::services::ssm

KILN_WIRE(kiln::services::ssm::GetParameterHistoryRequest, name, with_decryption, max_results, next_token)
KILN_WIRE(kiln::services::ssm::ParameterHistory, name, type, key_id, last_modified_date, last_modified_user,
          description, value, allowed_pattern, version, labels, tier, data_type)
KILN_WIRE(kiln::services::ssm::GetParameterHistoryResponse, parameters, next_token)
KILN_WIRE(kiln::services::ssm::LabelParameterVersionRequest, name, parameter_version, labels)
KILN_WIRE(kiln::services::ssm::LabelParameterVersionResponse, invalid_labels, parameter_version)
KILN_WIRE(kiln::services::ssm::UnlabelParameterVersionResponse, removed_labels, invalid_labels)

namespace kiln::services::ssm {
namespace {

GetParameterHistoryResponse get_parameter_history(Call& call, const GetParameterHistoryRequest& request) {
  const auto size = page_size(request.max_results, 50);
  const auto after = read_token(request.next_token);
  auto rows = control::parameter_history(call.region, call.principal, request.name);
  const auto labels = control::labels_of_parameter(call.region, call.principal, request.name);
  // A token is the number of the last version shown; all have as many digits in it.
  const auto text_of = [](std::int64_t version) {
    const auto digits = std::to_string(version);
    return std::string(20 - digits.size(), '0') + digits;
  };
  std::erase_if(rows, [&](const auto& row) { return text_of(row.version) <= after; });
  GetParameterHistoryResponse response;
  for (const auto& row : rows) {
    if (response.parameters.size() == size) {
      response.next_token = next_token(true, text_of(response.parameters.back().version));
      break;
    }
    auto value = request.with_decryption ? control::open_parameter(call.region, call.principal, row) : row.value;
    auto& shape = response.parameters.emplace_back();
    shape = {.name = row.name,
             .type = row.type,
             .key_id = if_any(row.key),
             .last_modified_date = {row.modified},
             .last_modified_user = row.modified_by,
             .description = if_any(row.description),
             .value = std::move(value),
             .allowed_pattern = if_any(row.allowed_pattern),
             .version = row.version,
             .labels = {},
             .tier = row.tier,
             .data_type = row.data_type};
    for (const auto& label : labels) {
      if (label.version == row.version) shape.labels.push_back(label.label);
    }
  }
  return response;
}

void check_labels(const std::vector<std::string>& labels) {
  if (!labels.empty() && labels.size() <= 10) return;
  control::refuse_member("[" + std::to_string(labels.size()) + " labels]", "labels",
                         "Member must have a length of 1 to 10");
}

LabelParameterVersionResponse label_parameter_version(Call& call, const LabelParameterVersionRequest& request) {
  check_labels(request.labels);
  auto made = control::label_parameter_version(call.region, call.principal, request.name, request.parameter_version,
                                               request.labels);
  return {.invalid_labels = std::move(made.invalid), .parameter_version = made.version};
}

UnlabelParameterVersionResponse unlabel_parameter_version(Call& call, const LabelParameterVersionRequest& request) {
  check_labels(request.labels);
  if (!request.parameter_version) control::refuse_member("null", "parameterVersion", "Member must not be null");
  auto made = control::unlabel_parameter_version(call.region, call.principal, request.name, *request.parameter_version,
                                                 request.labels);
  return {.removed_labels = std::move(made.done), .invalid_labels = std::move(made.invalid)};
}

constexpr Operation operations[] = {
    operation<get_parameter_history>("GetParameterHistory", Access::reads),
    operation<label_parameter_version>("LabelParameterVersion", Access::writes),
    operation<unlabel_parameter_version>("UnlabelParameterVersion", Access::writes),
};

}  // namespace

std::span<const Operation> parameter_version_operations() { return operations; }

}  // namespace kiln::services::ssm
