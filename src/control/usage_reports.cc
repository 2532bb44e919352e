#include "control/usage_reports.h"

#include <algorithm>
#include <charconv>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "catalog/instances.h"
#include "control/images.h"
#include "control/launch_templates.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::Txn;
using catalog::UsageReport;
using catalog::UsageReportEntry;

constexpr base::Micros kept_for = base::seconds(30 * 86'400);
constexpr int most_versions = 10'000, default_versions = 20;
constexpr std::string_view instances_type = "ec2:Instance", templates_type = "ec2:LaunchTemplate";
constexpr std::string_view depth_option = ",version-depth,";

[[noreturn]] void unknown_report(const std::string& id) {
  throw ApiError("InvalidParameterValue", "The image usage report '" + id + "' does not exist.");
}

void check(const NewUsageReport& what) {
  if (what.types.empty()) throw ApiError("MissingParameter", "The request must contain the parameter ResourceTypes");
  for (const auto& type : what.types) {
    if (type.resource_type != instances_type && type.resource_type != templates_type) {
      throw ApiError("InvalidParameterValue", "The resource type '" + type.resource_type +
                                                  "' is not valid: ec2:Instance or ec2:LaunchTemplate.");
    }
    if (!type.version_depth) continue;
    if (type.resource_type != templates_type) {
      throw ApiError("InvalidParameterCombination", "The option version-depth is for ec2:LaunchTemplate only.");
    }
    if (*type.version_depth < 1 || *type.version_depth > most_versions) {
      throw ApiError("InvalidParameterValue", "The option version-depth is between 1 and 10000.");
    }
  }
  for (const auto& account : what.accounts) {
    if (account.size() != 12 || account.find_first_not_of("0123456789") != std::string::npos) {
      throw ApiError("InvalidParameterValue", "'" + account + "' is no account ID.");
    }
  }
}

std::string text_of(const std::vector<CountedType>& types) {
  std::string text;
  for (const auto& type : types) {
    text += (text.empty() ? "" : " ") + type.resource_type;
    if (type.resource_type == templates_type) {
      text += std::string(depth_option) + std::to_string(type.version_depth.value_or(default_versions));
    }
  }
  return text;
}

std::vector<CountedType> types_of(const std::string& text) {
  std::vector<CountedType> types;
  for (const auto word : base::split(text, ' ')) {
    auto& type = types.emplace_back();
    const auto option = word.find(depth_option);
    type.resource_type = word.substr(0, option);
    if (option == std::string_view::npos) continue;
    const auto number = word.substr(option + depth_option.size());
    int depth = default_versions;
    std::from_chars(number.data(), number.data() + number.size(), depth);
    type.version_depth = depth;
  }
  return types;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

std::vector<std::string> words_of(const std::string& text) {
  if (text.empty()) return {};
  std::vector<std::string> words;
  for (const auto word : base::split(text, ' ')) words.emplace_back(word);
  return words;
}

// Instances that are not terminated, by account.
std::map<std::string, std::int64_t> count_instances(Txn& txn, const Region& region, const std::string& image_id) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& instance : catalog::instances_of_image(txn, region.name, image_id)) counts[instance.account] += 1;
  return counts;
}

// Launch templates that name it in one of their newest versions, by account.
std::map<std::string, std::int64_t> count_templates(Txn& txn, const Region& region, const std::string& image_id,
                                                    int depth) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& row : txn.query("SELECT DISTINCT account FROM launch_template WHERE region = $1", {region.name})) {
    const Principal owner{.account = std::get<std::string>(row[0]), .arn = {}, .user_id = {}, .access_key = {}};
    const auto found = templates_naming(txn, region, owner, image_id, static_cast<std::size_t>(depth));
    if (!found.empty()) counts[owner.account] = static_cast<std::int64_t>(found.size());
  }
  return counts;
}

void count(Txn& txn, const Region& region, const UsageReport& report, const NewUsageReport& what) {
  for (const auto& type : what.types) {
    const auto counts =
        type.resource_type == instances_type
            ? count_instances(txn, region, report.image_id)
            : count_templates(txn, region, report.image_id, type.version_depth.value_or(default_versions));
    for (const auto& [account, number] : counts) {
      const bool asked_for = what.accounts.empty() || std::ranges::find(what.accounts, account) != what.accounts.end();
      if (account == report.account || !asked_for) continue;
      catalog::upsert(txn, UsageReportEntry{.region = region.name,
                                            .report_id = report.id,
                                            .account = account,
                                            .resource_type = type.resource_type,
                                            .count = number});
    }
  }
}

}  // namespace

UsageReport create_usage_report(Region& region, const Principal& caller, const NewUsageReport& what) {
  check(what);
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    own_image(txn, region, caller, what.image_id);
    const auto now = region.clock.now();
    UsageReport report{.region = region.name,
                       .id = base::new_id("amiur"),
                       .account = caller.account,
                       .image_id = what.image_id,
                       .state = "available",
                       .resource_types = text_of(what.types),
                       .account_ids = joined(what.accounts),
                       .created = now,
                       .expires = now + kept_for};
    catalog::insert(txn, report);
    count(txn, region, report, what);
    add_tags(txn, region, caller.account, report.id, what.tags);
    if (what.client_token) {
      auto token = *what.client_token;
      token.result = report.id;
      catalog::remember_client_token(txn, token);
    }
    return report;
  });
}

std::vector<UsageReportDetails> describe_usage_reports(Region& region, const Principal& caller,
                                                       const UsageReportQuery& query) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    const auto reports = catalog::usage_reports_of(txn, region.name, caller.account);
    for (const auto& id : query.report_ids) {
      if (std::ranges::find(reports, id, &UsageReport::id) == reports.end()) unknown_report(id);
    }
    const auto wanted = [](const std::vector<std::string>& of, const std::string& id) {
      return of.empty() || std::ranges::find(of, id) != of.end();
    };
    std::vector<UsageReportDetails> found;
    for (const auto& report : reports) {
      if (!wanted(query.report_ids, report.id) || !wanted(query.image_ids, report.image_id)) continue;
      found.push_back({.report = report,
                       .types = types_of(report.resource_types),
                       .accounts = words_of(report.account_ids),
                       .tags = tags_of(txn, region, caller.account, report.id),
                       .entries = catalog::usage_report_entries(txn, region.name, report.id)});
    }
    return found;
  });
}

void delete_usage_report(Region& region, const Principal& caller, const std::string& id) {
  region.catalog.run_in_txn([&](Txn& txn) {
    const auto report = catalog::find_usage_report(txn, region.name, id);
    if (!report || report->account != caller.account) unknown_report(id);
    catalog::remove(txn, *report);
    remove_all_tags(txn, region, id);
  });
}

void end_usage_reports(Region& region) {
  const auto now = region.clock.now();
  const auto due = catalog::in_read(region.catalog, [&](Txn& txn) {
    return catalog::select<UsageReport>(txn, "WHERE region = $1 AND expires <= $2", {region.name, now});
  });
  if (due.empty()) return;
  region.catalog.run_in_txn([&](Txn& txn) {
    for (const auto& report : due) {
      catalog::remove(txn, report);
      remove_all_tags(txn, region, report.id);
    }
  });
}

}  // namespace kiln::control
