#include "control/parameters.h"

#include <algorithm>

#include "base/api_error.h"
#include "base/text.h"
#include "control/images.h"
#include "control/kms_data.h"
#include "control/parameter_checks.h"
#include "control/parameter_names.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::ParameterVersion;
using catalog::Txn;

constexpr std::size_t most_versions = 100, most_labels = 10, most_tags = 50;
constexpr std::int64_t most_standard = 10'000, most_advanced = 100'000;

std::string encrypted(Region& region, const Principal& caller, const NewParameterVersion& what) {
  const auto arn = catalog::parameter_arn(region.name, caller.account, what.name);
  try {
    const auto made =
        encrypt(region, {.account = caller.account, .through = "ssm", .principal = &caller},
                what.key.empty() ? ssm_alias : what.key, base::as_bytes(what.value), {{"PARAMETER_ARN", arn}});
    return base::to_base64(made.ciphertext);
  } catch (const ApiError& error) {
    if (error.code() == "AccessDeniedException") throw;
    throw ApiError("InvalidKeyId", error.what());
  }
}

// Of a name that is already taken: there is room for one version more.
void drop_oldest(Txn& txn, const Region& region, const Principal& caller, const std::string& name) {
  auto versions = catalog::parameter_versions(txn, region.name, caller.account, name);
  if (versions.size() < most_versions) return;
  const auto& oldest = versions.front();
  const auto labels = catalog::parameter_labels(txn, region.name, caller.account, name);
  if (std::ranges::find(labels, oldest.version, &catalog::ParameterLabel::version) != labels.end()) {
    throw ApiError("ParameterMaxVersionLimitExceeded",
                   "You attempted to create a new version of " + name +
                       " by calling the PutParameter API with the overwrite flag. Version " +
                       std::to_string(oldest.version) +
                       ", the oldest version, can't be deleted because it has a label associated with it. Move the "
                       "label to another version of the parameter, and try again.");
  }
  catalog::remove(txn, oldest);
}

void check_count(Txn& txn, const Region& region, const ParameterVersion& row, const ParameterVersion* before) {
  if (before != nullptr && before->tier == row.tier) return;
  const auto most = row.tier == "Standard" ? most_standard : most_advanced;
  if (catalog::count_parameters(txn, region.name, row.account, row.tier) < most) return;
  throw ApiError("ParameterLimitExceeded",
                 "You have exceeded the number of parameters for this Amazon Web Services "
                 "account. Delete one or more parameters and try again.");
}

// The image that a value names is one that the caller could launch.
void check_image(Txn& txn, Region& region, const Principal& caller, const ParameterVersion& row) {
  if (row.data_type != image_data_type) return;
  try {
    image_for_launch(txn, region, caller, row.value);
  } catch (const ApiError& error) {
    throw ApiError("ValidationException",
                   "The value of a parameter of the data type aws:ec2:image must be the id of "
                   "an AMI that you can launch: " +
                       std::string(error.what()));
  }
}

ParameterVersion new_version(Region& region, const Principal& caller, const NewParameterVersion& what,
                             const ParameterVersion* before) {
  const auto or_as_before = [&](const std::string& given, std::string ParameterVersion::*member, const char* first) {
    return !given.empty() ? given : before != nullptr ? before->*member : std::string(first);
  };
  auto tier = choose_tier(what, before);
  ParameterVersion row{
      .region = region.name,
      .account = caller.account,
      .name = what.name,
      .version = before != nullptr ? before->version + 1 : 1,
      .type = or_as_before(what.type, &ParameterVersion::type, ""),
      .value = what.value,
      .data_type = or_as_before(what.data_type, &ParameterVersion::data_type, "text"),
      .tier = std::move(tier),
      .key = {},
      .description = what.description.value_or(before != nullptr ? before->description : ""),
      .allowed_pattern = what.allowed_pattern.value_or(before != nullptr ? before->allowed_pattern : ""),
      .modified_by = caller.arn,
      .modified = region.clock.now()};
  if (row.type.empty()) {
    throw ApiError("ValidationException", "A parameter type is required when you create a parameter.");
  }
  if (row.data_type == image_data_type && row.type != "String") {
    throw ApiError("ValidationException", "The data type aws:ec2:image is of parameters of the type String.");
  }
  check_allowed_pattern(row.allowed_pattern, what.value);
  return row;
}

ParameterVersion own_latest(Txn& txn, const Region& region, const Principal& caller, const std::string& name) {
  auto found = catalog::latest_parameter(txn, region.name, caller.account, name);
  if (!found) throw ApiError("ParameterNotFound", "");
  return *std::move(found);
}

ParameterVersion own_version(Txn& txn, const Region& region, const Principal& caller, const std::string& name,
                             std::optional<std::int64_t> version) {
  auto latest = own_latest(txn, region, caller, name);
  if (!version) return latest;
  auto found = catalog::find_parameter(txn, region.name, caller.account, name, *version);
  if (found) return *std::move(found);
  throw ApiError("ParameterVersionNotFound", "Systems Manager could not find version " + std::to_string(*version) +
                                                 " of " + name + ". Verify the version and try again.");
}

std::string tagged(Txn& txn, const Region& region, const Principal& caller, const std::string& name) {
  if (catalog::latest_parameter(txn, region.name, caller.account, name)) return name;
  throw ApiError("InvalidResourceId", "The resource ID '" + name + "' is not valid: there is no such parameter.");
}

void set_tags(Txn& txn, const Region& region, const Principal& caller, const std::string& name,
              const std::map<std::string, std::string>& tags) {
  for (const auto& [key, value] : tags) {
    catalog::upsert(txn,
                    catalog::ParameterTag{
                        .region = region.name, .account = caller.account, .name = name, .key = key, .value = value});
  }
  if (catalog::parameter_tags(txn, region.name, caller.account, name).size() > most_tags) {
    throw ApiError("TooManyTagsError", "A parameter has at most 50 tags.");
  }
}

}  // namespace

ParameterVersion put_parameter(Region& region, const Principal& caller, const NewParameterVersion& what) {
  check_new_parameter(what);
  // What type it has when none is given is not known before the transaction, so a value is encrypted when it could be.
  const auto kind = [&](Txn& txn) {
    const auto before = catalog::latest_parameter(txn, region.name, caller.account, what.name);
    return what.type.empty() && before ? before->type : what.type;
  };
  const bool secure = catalog::in_read(region.catalog, kind) == "SecureString";
  const auto ciphertext = secure ? encrypted(region, caller, what) : std::string();
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto before = catalog::latest_parameter(txn, region.name, caller.account, what.name);
    if (before && !what.overwrite) {
      throw ApiError("ParameterAlreadyExists",
                     "The parameter already exists. To overwrite this value, set the overwrite option in the request "
                     "to true.");
    }
    auto row = new_version(region, caller, what, before ? &*before : nullptr);
    if ((row.type == "SecureString") != secure) {
      throw ApiError("TooManyUpdates",
                     "There are concurrent updates for a resource that supports one update at a time.");
    }
    check_image(txn, region, caller, row);
    check_count(txn, region, row, before ? &*before : nullptr);
    if (secure) {
      row.value = ciphertext;
      row.key = what.key.empty() ? ssm_alias : what.key;
    }
    if (before) {
      drop_oldest(txn, region, caller, what.name);
      before->latest = false;
      catalog::update(txn, *before);
    }
    catalog::insert(txn, row);
    set_tags(txn, region, caller, what.name, what.tags);
    return row;
  });
}

void delete_parameter(Region& region, const Principal& caller, const std::string& name) {
  if (delete_parameters(region, caller, {name}).empty()) throw ApiError("ParameterNotFound", "");
}

std::vector<std::string> delete_parameters(Region& region, const Principal& caller,
                                           const std::vector<std::string>& names) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    std::vector<std::string> gone;
    for (const auto& name : names) {
      if (catalog::remove_parameter(txn, region.name, caller.account, name)) gone.push_back(name);
    }
    return gone;
  });
}

Labelled label_parameter_version(Region& region, const Principal& caller, const std::string& name,
                                 std::optional<std::int64_t> version, const std::vector<std::string>& labels) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    Labelled made{.version = own_version(txn, region, caller, name, version).version, .done = {}, .invalid = {}};
    for (const auto& label : labels) (is_parameter_label(label) ? made.done : made.invalid).push_back(label);
    if (!made.invalid.empty()) made.done.clear();
    for (const auto& label : made.done) {
      catalog::upsert(
          txn,
          catalog::ParameterLabel{
              .region = region.name, .account = caller.account, .name = name, .label = label, .version = made.version});
    }
    const auto all = catalog::parameter_labels(txn, region.name, caller.account, name);
    if (std::ranges::count(all, made.version, &catalog::ParameterLabel::version) >
        static_cast<std::ptrdiff_t>(most_labels)) {
      throw ApiError("ParameterVersionLabelLimitExceeded",
                     "A parameter version can have maximum 10 labels. Move one or more labels to another version and "
                     "try again.");
    }
    return made;
  });
}

Labelled unlabel_parameter_version(Region& region, const Principal& caller, const std::string& name,
                                   std::int64_t version, const std::vector<std::string>& labels) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    Labelled made{.version = own_version(txn, region, caller, name, version).version, .done = {}, .invalid = {}};
    const auto all = catalog::parameter_labels(txn, region.name, caller.account, name);
    for (const auto& label : labels) {
      const auto row = std::ranges::find(all, label, &catalog::ParameterLabel::label);
      const bool is_there = row != all.end() && row->version == version;
      if (is_there) catalog::remove(txn, *row);
      (is_there ? made.done : made.invalid).push_back(label);
    }
    return made;
  });
}

void tag_parameter(Region& region, const Principal& caller, const std::string& name,
                   const std::map<std::string, std::string>& tags) {
  check_parameter_tags(tags);
  region.catalog.run_in_txn([&](Txn& txn) { set_tags(txn, region, caller, tagged(txn, region, caller, name), tags); });
}

void untag_parameter(Region& region, const Principal& caller, const std::string& name,
                     const std::vector<std::string>& keys) {
  region.catalog.run_in_txn([&](Txn& txn) {
    tagged(txn, region, caller, name);
    for (const auto& key : keys) {
      catalog::remove(txn,
                      catalog::ParameterTag{
                          .region = region.name, .account = caller.account, .name = name, .key = key, .value = {}});
    }
  });
}

std::vector<catalog::ParameterTag> tags_of_parameter(Region& region, const Principal& caller, const std::string& name) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    return catalog::parameter_tags(txn, region.name, caller.account, tagged(txn, region, caller, name));
  });
}

}  // namespace kiln::control
