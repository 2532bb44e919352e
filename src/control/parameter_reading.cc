#include "control/parameter_reading.h"

#include <algorithm>
#include <charconv>

#include "base/api_error.h"
#include "base/text.h"
#include "control/image_aliases.h"
#include "control/kms_data.h"
#include "control/parameter_names.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::ParameterVersion;
using catalog::Txn;

constexpr std::size_t rows_at_once = 500;

// The versions that the caller can have, oldest first: of an alias, those that it could launch.
std::vector<ParameterVersion> versions_for(Txn& txn, const Region& region, const Principal& caller,
                                           const std::string& account, const std::string& name) {
  auto rows = catalog::parameter_versions(txn, region.name, account, name);
  if (account.empty()) {
    std::erase_if(rows, [&](const auto& row) { return !alias_serves(txn, region, caller, row); });
  }
  return rows;
}

std::optional<ParameterVersion> latest_for(Txn& txn, const Region& region, const Principal& caller,
                                           const std::string& account, const std::string& name) {
  if (!account.empty()) return catalog::latest_parameter(txn, region.name, account, name);
  auto rows = versions_for(txn, region, caller, account, name);
  if (rows.empty()) return {};
  return std::move(rows.back());
}

std::optional<std::int64_t> number_of(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  return number;
}

// The version that a selector means, which may be a number or a label.
ParameterVersion select_version(Txn& txn, const Region& region, const Principal& caller, const ParameterName& name) {
  const auto wanted = name.selector.substr(1);
  auto number = number_of(wanted);
  const bool is_label = !number;
  if (is_label) {
    const auto labels = catalog::parameter_labels(txn, region.name, name.account, name.name);
    const auto found = std::ranges::find(labels, wanted, &catalog::ParameterLabel::label);
    if (found != labels.end()) number = found->version;
  }
  if (number) {
    auto row = catalog::find_parameter(txn, region.name, name.account, name.name, *number);
    if (row && (!name.account.empty() || alias_serves(txn, region, caller, *row))) return *std::move(row);
  }
  throw ApiError("ParameterVersionNotFound", is_label
                                                 ? "Systems Manager could not find label " + wanted + " of parameter " +
                                                       name.name + ". Verify the label and try again."
                                                 : "Systems Manager could not find version " + wanted + " of " +
                                                       name.name + ". Verify the version and try again.");
}

// The name under which an ARN's parameter is there.
ParameterName found_name(Txn& txn, const Region& region, const Principal& caller, ParameterName name) {
  if (latest_for(txn, region, caller, name.account, name.name)) return name;
  if (!name.other_name.empty() && latest_for(txn, region, caller, name.account, name.other_name)) {
    name.name = name.other_name;
    return name;
  }
  throw ApiError("ParameterNotFound", "");
}

// --- lists

constexpr std::string_view path_filters[] = {"Type", "KeyId", "Label"};
constexpr std::string_view list_filters[] = {"Name", "Type", "KeyId", "Path", "Tier", "DataType"};

bool is_below(const std::string& name, const std::string& path, bool recursive) {
  const auto prefix = path.ends_with('/') ? path : path + "/";
  return name.starts_with(prefix) && (recursive || name.find('/', prefix.size()) == std::string::npos);
}

bool text_matches(const ParameterFilter& filter, const std::string& text) {
  return std::ranges::any_of(filter.values, [&](const std::string& value) {
    if (filter.option == "BeginsWith") return text.starts_with(value);
    if (filter.option == "Contains") return text.find(value) != std::string::npos;
    return text == value;
  });
}

void refuse_option(const ParameterFilter& filter) {
  throw ApiError("InvalidFilterOption",
                 "The following filter option is not valid: " + filter.option + " of " + filter.key + ".");
}

void check_filter(const ParameterFilter& filter, std::span<const std::string_view> known) {
  const bool is_tag = filter.key.starts_with("tag:") && known.data() == list_filters;
  if (!is_tag && std::ranges::find(known, filter.key) == known.end()) {
    std::string names;
    for (const auto name : known) (names += names.empty() ? "" : ", ") += name;
    throw ApiError("InvalidFilterKey", "The following filter key is not valid: " + filter.key +
                                           ". Valid filter keys include: [" + names + "]");
  }
  if (filter.values.empty() && !is_tag) {
    throw ApiError("InvalidFilterValue", "The following filter values are missing : null for filter key " + filter.key);
  }
  const auto& option = filter.option;
  if (option.empty() || option == "Equals") return;
  if (filter.key == "Path" ? option != "Recursive" && option != "OneLevel"
                           : option != "BeginsWith" && !(option == "Contains" && filter.key == "Name")) {
    refuse_option(filter);
  }
  if (filter.key == "Path") {
    for (const auto& path : filter.values) check_parameter_path(path);
  }
}

void check_filters(const std::vector<ParameterFilter>& filters, std::span<const std::string_view> known) {
  for (const auto& filter : filters) {
    check_filter(filter, known);
    if (std::ranges::count(filters, filter.key, &ParameterFilter::key) > 1) {
      throw ApiError("InvalidFilterKey", "The following filter key is duplicated: " + filter.key + ".");
    }
  }
}

bool matches(Txn& txn, const ParameterVersion& row, const ParameterFilter& filter) {
  const auto& key = filter.key;
  if (key == "Name") {
    // A name is found with its first slash and without.
    return text_matches(filter, row.name) || (row.name.starts_with('/') && text_matches(filter, row.name.substr(1)));
  }
  if (key == "Type") return text_matches(filter, row.type);
  if (key == "KeyId") return text_matches(filter, row.key);
  if (key == "Tier") return text_matches(filter, row.tier);
  if (key == "DataType") return text_matches(filter, row.data_type);
  if (key == "Path") {
    return std::ranges::any_of(
        filter.values, [&](const std::string& path) { return is_below(row.name, path, filter.option == "Recursive"); });
  }
  if (key == "Label") {
    return std::ranges::any_of(catalog::parameter_labels(txn, row.region, row.account, row.name),
                               [&](const auto& label) { return text_matches(filter, label.label); });
  }
  return std::ranges::any_of(catalog::parameter_tags(txn, row.region, row.account, row.name), [&](const auto& tag) {
    return "tag:" + tag.key == key && (filter.values.empty() || text_matches(filter, tag.value));
  });
}

// The version that a list by label is about.
std::optional<ReadParameter> labelled(Txn& txn, const ParameterVersion& latest, const ParameterFilter& filter) {
  for (const auto& label : catalog::parameter_labels(txn, latest.region, latest.account, latest.name)) {
    if (!text_matches(filter, label.label)) continue;
    auto row = catalog::find_parameter(txn, latest.region, latest.account, latest.name, label.version);
    if (row) return ReadParameter{.row = *std::move(row), .selector = ":" + label.label};
  }
  return {};
}

// Walks the latest versions below prefix in order, and keeps what choose makes of them until there are most and one.
template <class Choose>
ParameterPage walk(Txn& txn, const Region& region, const std::string& account, const std::string& prefix,
                   std::string after, std::size_t most, Choose choose) {
  ParameterPage page;
  while (true) {
    const auto rows = catalog::parameters_of(txn, region.name, account, prefix, after, rows_at_once);
    for (const auto& row : rows) {
      auto chosen = choose(row);
      if (!chosen) continue;
      if (page.items.size() == most) {
        page.more = true;
        return page;
      }
      page.items.push_back(*std::move(chosen));
    }
    if (rows.size() < rows_at_once) return page;
    after = rows.back().name;
  }
}

}  // namespace

ReadParameter read_parameter(Txn& txn, const Region& region, const Principal& caller, const std::string& text) {
  const auto name = found_name(txn, region, caller, read_parameter_name(region, caller, text));
  if (name.selector.empty()) {
    return {.row = *latest_for(txn, region, caller, name.account, name.name), .selector = {}};
  }
  return {.row = select_version(txn, region, caller, name), .selector = name.selector};
}

ReadParameter read_parameter(Region& region, const Principal& caller, const std::string& name) {
  return catalog::in_read(region.catalog, [&](Txn& txn) { return read_parameter(txn, region, caller, name); });
}

std::vector<ParameterVersion> parameter_history(Region& region, const Principal& caller, const std::string& text) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    const auto name = found_name(txn, region, caller, read_parameter_name(region, caller, text));
    return versions_for(txn, region, caller, name.account, name.name);
  });
}

std::vector<catalog::ParameterLabel> labels_of_parameter(Region& region, const Principal& caller,
                                                         const std::string& text) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    const auto name = found_name(txn, region, caller, read_parameter_name(region, caller, text));
    return catalog::parameter_labels(txn, region.name, name.account, name.name);
  });
}

std::string open_parameter(Region& region, const Principal& caller, const ParameterVersion& row) {
  if (row.type != "SecureString") return row.value;
  const auto ciphertext = base::from_base64(row.value);
  try {
    const auto opened = decrypt(region, {.account = caller.account, .through = "ssm", .principal = &caller}, "",
                                ciphertext.value_or(""), {{"PARAMETER_ARN", row.arn()}});
    return std::string(base::as_text(opened.plain.bytes()));
  } catch (const ApiError& error) {
    if (error.code() == "AccessDeniedException") throw;
    throw ApiError("InvalidKeyId", error.what());
  }
}

ParameterPage parameters_by_path(Region& region, const Principal& caller, const ParameterPath& what,
                                 const std::string& after, std::size_t most) {
  check_parameter_path(what.path);
  check_filters(what.filters, path_filters);
  const auto prefix = what.path.ends_with('/') ? what.path : what.path + "/";
  const auto account = prefix.starts_with("/aws/") ? std::string() : caller.account;
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    return walk(txn, region, account, prefix, after, most,
                [&](const ParameterVersion& latest) -> std::optional<ReadParameter> {
                  if (!is_below(latest.name, prefix, what.recursive)) return {};
                  const auto row = latest_for(txn, region, caller, account, latest.name);
                  if (!row) return {};
                  std::optional<ReadParameter> chosen = ReadParameter{.row = *row, .selector = {}};
                  for (const auto& filter : what.filters) {
                    if (filter.key == "Label") chosen = labelled(txn, *row, filter);
                    if (!chosen || !matches(txn, chosen->row, filter)) return {};
                  }
                  return chosen;
                });
  });
}

ParameterPage list_parameters(Region& region, const Principal& caller, const std::vector<ParameterFilter>& filters,
                              const std::string& after, std::size_t most) {
  check_filters(filters, list_filters);
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    return walk(
        txn, region, caller.account, {}, after, most, [&](const ParameterVersion& row) -> std::optional<ReadParameter> {
          const bool fits =
              std::ranges::all_of(filters, [&](const ParameterFilter& filter) { return matches(txn, row, filter); });
          return fits ? std::optional(ReadParameter{.row = row, .selector = {}}) : std::nullopt;
        });
  });
}

}  // namespace kiln::control
