// CreateImageUsageReport, DescribeImageUsageReports, DescribeImageUsageReportEntries, DeleteImageUsageReport.
#include <charconv>

#include "base/api_error.h"
#include "control/usage_reports.h"
#include "services/ec2/filter.h"
#include "services/ec2/operations.h"
#include "services/ec2/tagging.h"

namespace kiln::services::ec2 {

struct ImageUsageResourceTypeOptionRequest {
  std::string option_name;
  std::vector<std::string> option_value;
};

struct ImageUsageResourceTypeRequest {
  std::string resource_type;
  std::vector<ImageUsageResourceTypeOptionRequest> resource_type_option;
};

struct CreateImageUsageReportRequest {
  std::string image_id;
  std::vector<ImageUsageResourceTypeRequest> resource_type;
  std::vector<std::string> account_id;
  std::vector<TagSpecification> tag_specification;
};

struct CreateImageUsageReportResponse {
  std::string report_id;
};

struct ImageUsageResourceTypeOption {
  std::string option_name;
  std::vector<std::string> option_value_set;
};

struct ImageUsageResourceType {
  std::string resource_type;
  std::vector<ImageUsageResourceTypeOption> resource_type_option_set;
};

struct ImageUsageReport {
  std::string image_id, report_id;
  std::vector<ImageUsageResourceType> resource_type_set;
  std::vector<std::string> account_id_set;
  std::string state;
  wire::Timestamp creation_time, expiration_time;
  std::vector<Tag> tag_set;
};

struct DescribeImageUsageReportsRequest {
  std::vector<std::string> image_id, report_id;
  std::vector<Filter> filter;
  std::optional<int> max_results;
  std::optional<std::string> next_token;
};

struct DescribeImageUsageReportsResponse {
  std::vector<ImageUsageReport> image_usage_report_set;
  std::optional<std::string> next_token;
};

struct ImageUsageReportEntry {
  std::string resource_type, report_id;
  std::int64_t usage_count = 0;
  std::string account_id, image_id;
  wire::Timestamp report_creation_time;
};

struct DescribeImageUsageReportEntriesResponse {
  std::vector<ImageUsageReportEntry> image_usage_report_entry_set;
  std::optional<std::string> next_token;
};

struct DeleteImageUsageReportRequest {
  std::string report_id;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::ImageUsageResourceTypeOptionRequest, option_name, option_value)
KILN_WIRE(kiln::services::ec2::ImageUsageResourceTypeRequest, resource_type, resource_type_option)
KILN_WIRE(kiln::services::ec2::CreateImageUsageReportRequest, image_id, resource_type, account_id, tag_specification)
KILN_WIRE(kiln::services::ec2::CreateImageUsageReportResponse, report_id)
KILN_WIRE(kiln::services::ec2::ImageUsageResourceTypeOption, option_name, option_value_set)
KILN_WIRE(kiln::services::ec2::ImageUsageResourceType, resource_type, resource_type_option_set)
KILN_WIRE(kiln::services::ec2::ImageUsageReport, image_id, report_id, resource_type_set, account_id_set, state,
          creation_time, expiration_time, tag_set)
KILN_WIRE(kiln::services::ec2::DescribeImageUsageReportsRequest, image_id, report_id, filter, max_results, next_token)
KILN_WIRE(kiln::services::ec2::DescribeImageUsageReportsResponse, image_usage_report_set, next_token)
KILN_WIRE(kiln::services::ec2::ImageUsageReportEntry, resource_type, report_id, usage_count, account_id, image_id,
          report_creation_time)
KILN_WIRE(kiln::services::ec2::DescribeImageUsageReportEntriesResponse, image_usage_report_entry_set, next_token)
KILN_WIRE(kiln::services::ec2::DeleteImageUsageReportRequest, report_id)

namespace kiln::services::ec2 {
namespace {

using base::ApiError;

void require(const std::string& value, const std::string& parameter) {
  if (value.empty()) throw ApiError("MissingParameter", "The request must contain the parameter " + parameter);
}

control::CountedType from_shape(const ImageUsageResourceTypeRequest& shape) {
  control::CountedType type{.resource_type = shape.resource_type};
  for (const auto& option : shape.resource_type_option) {
    int value = 0;
    const auto* const text = option.option_value.size() == 1 ? option.option_value.front().c_str() : "";
    const auto* const end = text + std::string_view(text).size();
    if (option.option_name != "version-depth" || std::from_chars(text, end, value).ptr != end || text == end) {
      throw ApiError("InvalidParameterValue",
                     "The option '" + option.option_name + "' is not valid: version-depth takes one number.");
    }
    type.version_depth = value;
  }
  return type;
}

CreateImageUsageReportResponse create(Call& call, const CreateImageUsageReportRequest& request) {
  if (!call.made_before.empty()) return {call.made_before};
  require(request.image_id, "ImageId");
  control::NewUsageReport what{
      .image_id = request.image_id,
      .types = {},
      .accounts = request.account_id,
      .tags = tags_for(request.tag_specification, "image-usage-report", {"image-usage-report"}),
      .client_token = call.client_token};
  for (const auto& type : request.resource_type) what.types.push_back(from_shape(type));
  return {control::create_usage_report(call.region, call.principal, what).id};
}

ImageUsageReport to_shape(const control::UsageReportDetails& details) {
  const auto& row = details.report;
  ImageUsageReport shape{.image_id = row.image_id,
                         .report_id = row.id,
                         .resource_type_set = {},
                         .account_id_set = details.accounts,
                         .state = row.state,
                         .creation_time = {row.created},
                         .expiration_time = {row.expires},
                         .tag_set = ec2::to_shape(details.tags)};
  for (const auto& type : details.types) {
    auto& each = shape.resource_type_set.emplace_back(ImageUsageResourceType{.resource_type = type.resource_type});
    if (type.version_depth) {
      each.resource_type_option_set.push_back({"version-depth", {std::to_string(*type.version_depth)}});
    }
  }
  return shape;
}

constexpr Filterable<ImageUsageReport> report_filters[] = {
    {"creation-time", [](const ImageUsageReport& r) { return one(base::to_iso8601(r.creation_time.micros)); }},
    {"state", [](const ImageUsageReport& r) { return one(r.state); }},
};

PageRequest page_of(const DescribeImageUsageReportsRequest& request) {
  return {.max_results = request.max_results, .next_token = request.next_token, .has_ids = !request.report_id.empty()};
}

DescribeImageUsageReportsResponse describe(Call& call, const DescribeImageUsageReportsRequest& request) {
  const auto wanted = page_of(request);
  page_start(wanted);
  std::vector<ImageUsageReport> reports;
  for (const auto& details : control::describe_usage_reports(
           call.region, call.principal, {.report_ids = request.report_id, .image_ids = request.image_id})) {
    reports.push_back(to_shape(details));
  }
  keep_matching<ImageUsageReport>(reports, report_filters, request.filter);
  auto page = paginate(std::move(reports), wanted, [](const ImageUsageReport& r) { return r.report_id; });
  return {std::move(page.items), std::move(page.next_token)};
}

constexpr Filterable<ImageUsageReportEntry> entry_filters[] = {
    {"account-id", [](const ImageUsageReportEntry& e) { return one(e.account_id); }},
    {"creation-time",
     [](const ImageUsageReportEntry& e) { return one(base::to_iso8601(e.report_creation_time.micros)); }},
    {"resource-type", [](const ImageUsageReportEntry& e) { return one(e.resource_type); }},
};

DescribeImageUsageReportEntriesResponse entries(Call& call, const DescribeImageUsageReportsRequest& request) {
  const auto wanted = page_of(request);
  page_start(wanted);
  std::vector<ImageUsageReportEntry> found;
  for (const auto& details : control::describe_usage_reports(
           call.region, call.principal, {.report_ids = request.report_id, .image_ids = request.image_id})) {
    for (const auto& entry : details.entries) {
      found.push_back({.resource_type = entry.resource_type,
                       .report_id = entry.report_id,
                       .usage_count = entry.count,
                       .account_id = entry.account,
                       .image_id = details.report.image_id,
                       .report_creation_time = {details.report.created}});
    }
  }
  keep_matching<ImageUsageReportEntry>(found, entry_filters, request.filter);
  auto page = paginate(std::move(found), wanted, [](const ImageUsageReportEntry& e) {
    return e.report_id + " " + e.account_id + " " + e.resource_type;
  });
  return {std::move(page.items), std::move(page.next_token)};
}

Done remove(Call& call, const DeleteImageUsageReportRequest& request) {
  require(request.report_id, "ReportId");
  control::delete_usage_report(call.region, call.principal, request.report_id);
  return {};
}

constexpr Operation operations[] = {
    operation<create>("CreateImageUsageReport", Access::writes),
    operation<remove>("DeleteImageUsageReport", Access::writes),
    operation<entries>("DescribeImageUsageReportEntries", Access::reads),
    operation<describe>("DescribeImageUsageReports", Access::reads),
};

}  // namespace

std::span<const Operation> image_usage_report_operations() { return operations; }

}  // namespace kiln::services::ec2
