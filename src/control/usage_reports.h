#pragma once
// Usage reports: how many resources of which other accounts name an image of the caller's, counted when the report is
// made, in the transaction that makes it. So a report is available at once, and stays as it was for 30 days, or until
// it is deleted; the image may have gone meanwhile.
//
// Request functions run on request threads, are one transaction each, and throw ApiError.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/client_tokens.h"
#include "catalog/lifecycle.h"
#include "catalog/tags.h"
#include "control/region.h"

namespace kiln::control {

struct CountedType {
  std::string resource_type;              // ec2:Instance, ec2:LaunchTemplate
  std::optional<int> version_depth = {};  // of launch templates: how many versions are looked at, 20
};
struct NewUsageReport {
  std::string image_id;
  std::vector<CountedType> types;
  std::vector<std::string> accounts = {};  // empty: all
  std::map<std::string, std::string> tags = {};
  std::optional<catalog::ClientToken> client_token = {};
};
// Throws what own_image() throws (images.h), MissingParameter, InvalidParameterValue, InvalidParameterCombination.
catalog::UsageReport create_usage_report(Region& region, const Principal& caller, const NewUsageReport& what);

struct UsageReportDetails {
  catalog::UsageReport report;
  std::vector<CountedType> types;
  std::vector<std::string> accounts;
  std::vector<catalog::Tag> tags;
  std::vector<catalog::UsageReportEntry> entries;
};
struct UsageReportQuery {
  std::vector<std::string> report_ids = {}, image_ids = {};  // empty: any. An unknown report is InvalidParameterValue
};
// The caller's, oldest first.
std::vector<UsageReportDetails> describe_usage_reports(Region& region, const Principal& caller,
                                                       const UsageReportQuery& query);
void delete_usage_report(Region& region, const Principal& caller, const std::string& id);

// Removes those whose time is over. Called every second.
void end_usage_reports(Region& region);

}  // namespace kiln::control
