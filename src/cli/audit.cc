#include <fmt/format.h>
#include <fnmatch.h>

#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <vector>

#include "base/time.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/units.h"

namespace kiln::cli {
namespace {

namespace json = boost::json;

// Full ones by their time, and the one that is being written.
std::vector<std::filesystem::path> files_of(const Common& common) {
  const auto directory = std::filesystem::path(common.data_directory) / "audit";
  std::vector<std::filesystem::path> files;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failure)) {
    if (entry.path().filename().string().starts_with("audit-")) files.push_back(entry.path());
  }
  if (failure) throw std::runtime_error(directory.string() + ": " + failure.message());
  std::sort(files.begin(), files.end());
  files.push_back(directory / "audit.log");
  return files;
}

std::string since_when(const AuditOptions& options) {
  if (options.since.empty()) return {};
  const auto now =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  return base::to_iso8601(now - base::seconds(seconds_of(options.since))).substr(0, 19);
}

const json::object& part(const json::object& of, const char* name) {
  static const json::object none;
  const auto* const found = of.if_contains(name);
  return found != nullptr && found->is_object() ? found->get_object() : none;
}

bool is_wanted(const json::object& record, const std::string& line, const Common& common, const AuditOptions& options,
               const std::string& since) {
  const auto& who = part(record, "userIdentity");
  if (!since.empty() && text(record, "eventTime") < since) return false;
  if (options.refused && text(record, "errorCode").empty()) return false;
  if (!common.account.empty() && text(who, "accountId") != common.account) return false;
  if (!common.region.empty() && text(record, "awsRegion") != common.region) return false;
  if (!options.event.empty() && fnmatch(options.event.c_str(), text(record, "eventName").c_str(), 0) != 0) return false;
  if (!options.who.empty() && text(who, "arn").find(options.who) == std::string::npos &&
      text(who, "accessKeyId") != options.who) {
    return false;
  }
  return options.resource.empty() || line.find(options.resource) != std::string::npos;
}

std::string caller_of(const json::object& record) {
  const auto& who = part(record, "userIdentity");
  for (const char* name : {"arn", "accessKeyId", "type"}) {
    if (auto found = text(who, name); !found.empty()) return found;
  }
  return "-";
}

}  // namespace

int audit(const Common& common, const AuditOptions& options) {
  const auto since = since_when(options);
  bool found = false;
  for (const auto& path : files_of(common)) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
      json::error_code failure;
      const auto record = json::parse(line, failure);
      // The last line can be on its way into the file.
      if (failure || !record.is_object() || !is_wanted(record.get_object(), line, common, options, since)) continue;
      found = true;
      if (options.json) {
        fmt::print("{}\n", line);
        continue;
      }
      const auto& event = record.get_object();
      const auto outcome = text(event, "errorCode");
      const auto source = text(event, "eventSource");
      fmt::print("{}  {:<15}  {}  {}:{}  {}\n", text(event, "eventTime"), text(event, "sourceIPAddress"),
                 caller_of(event), source.substr(0, source.find('.')), text(event, "eventName"),
                 outcome.empty() ? "ok" : outcome);
    }
  }
  return found ? 0 : 1;
}

}  // namespace kiln::cli
