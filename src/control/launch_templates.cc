#include "control/launch_templates.h"

#include <algorithm>
#include <charconv>

#include "base/api_error.h"
#include "base/ids.h"
#include "base/text.h"
#include "control/image_aliases.h"
#include "control/images.h"
#include "control/instance_types.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using base::ApiError;
using catalog::LaunchTemplate;
using catalog::LaunchTemplateVersion;
using catalog::Txn;

constexpr std::size_t most_templates = 5'000, most_versions = 10'000, most_deleted_at_once = 200;
constexpr std::string_view in_names = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789().-/_";

void check_name(const std::string& name) {
  if (name.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter LaunchTemplateName");
  }
  if (name.size() < 3 || name.size() > 128 || name.find_first_not_of(in_names) != std::string::npos) {
    throw ApiError("InvalidLaunchTemplateName.MalformedException",
                   "A launch template name must be between 3 and 128 characters, and may contain letters, numbers, and "
                   "the following characters: - ( ) . / _.");
  }
}

[[noreturn]] void refuse_version(const LaunchTemplate& row, const std::string& version) {
  throw ApiError("InvalidLaunchTemplateId.VersionNotFound", "Could not find the specified version " + version +
                                                                " for the launch template with ID " + row.id + ".");
}

// The number that is meant by $Latest, $Default and digits; nothing when it is none of these.
std::optional<std::int64_t> version_number(const LaunchTemplate& row, const std::string& text) {
  if (text.empty() || text == "$Default") return row.default_version;
  if (text == "$Latest") return row.latest_version;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 1) return {};
  return number;
}

std::string form_of(const wire::Params& params) {
  std::string form;
  for (const auto& [name, value] : params.all()) {
    form += (form.empty() ? "" : "&") + base::percent_encode(name) + "=" + base::percent_encode(value);
  }
  return form;
}

// What can be told to be wrong with it before it is launched.
std::vector<TemplateWarning> warnings_of(Txn& txn, Region& region, const Principal& caller,
                                         const wire::Params& parameters) {
  std::vector<TemplateWarning> warnings;
  const std::string image(parameters.find("ImageId").value_or(""));
  if (!image.empty()) {
    // A parameter has to name an image even now; the image itself may come later.
    const auto id = resolve_image_id(txn, region, caller, image);
    try {
      image_for_launch(txn, region, caller, id);
    } catch (const ApiError& error) {
      warnings.push_back({.code = error.code(), .message = error.what()});
    }
  }
  const std::string type(parameters.find("InstanceType").value_or(""));
  if (!type.empty() && find_instance_type(type) == nullptr) {
    warnings.push_back({.code = "InvalidParameterValue", .message = "Invalid value '" + type + "' for InstanceType."});
  }
  return warnings;
}

LaunchTemplateVersion insert_version(Txn& txn, const Region& region, const Principal& caller, const LaunchTemplate& row,
                                     const std::string& description, const wire::Params& parameters) {
  if (description.size() > 255) {
    throw ApiError("InvalidParameterValue", "A version description has at most 255 characters.");
  }
  LaunchTemplateVersion version{.region = region.name,
                                .template_id = row.id,
                                .version = row.latest_version,
                                .description = description,
                                .image_id = std::string(parameters.find("ImageId").value_or("")),
                                .parameters = form_of(parameters),
                                .created_by = caller.arn,
                                .created = region.clock.now()};
  catalog::insert(txn, version);
  return version;
}

// What the token made; empty when it is new. Of requests that come at once the second one finds the first one's here.
std::string made_before(Txn& txn, const std::optional<catalog::ClientToken>& token) {
  if (!token) return {};
  const auto known = catalog::find_client_token(txn, token->region, token->account, token->operation, token->token);
  if (!known) return {};
  if (known->parameters != token->parameters) {
    throw ApiError("IdempotentParameterMismatch",
                   "The request uses the same client token as a previous, but non-identical request.");
  }
  return known->result;
}

void remember(Txn& txn, const std::optional<catalog::ClientToken>& token, const std::string& result) {
  if (!token) return;
  auto row = *token;
  row.result = result;
  catalog::remember_client_token(txn, row);
}

void check_parameters(const wire::Params& parameters) {
  if (parameters.all().empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter LaunchTemplateData");
  }
}

std::vector<LaunchTemplateVersion> wanted_versions(Txn& txn, const Region& region, const LaunchTemplate& row,
                                                   const VersionQuery& query) {
  if (query.versions.empty()) {
    auto all = catalog::launch_template_versions(txn, region.name, row.id);
    std::erase_if(all, [&](const auto& each) {
      return each.version < query.least.value_or(each.version) || each.version > query.most.value_or(each.version);
    });
    return all;
  }
  std::vector<LaunchTemplateVersion> found;
  for (const auto& text : query.versions) {
    auto version = find_template_version(txn, region, row, text);
    const auto there = std::ranges::find(found, version.version, &LaunchTemplateVersion::version);
    if (there == found.end()) found.push_back(std::move(version));
  }
  std::ranges::sort(found, std::ranges::greater{}, &LaunchTemplateVersion::version);
  return found;
}

TemplateVersions versions_of(Txn& txn, const Region& region, const Principal& caller, const LaunchTemplate& row,
                             const VersionQuery& query) {
  auto versions = wanted_versions(txn, region, row, query);
  TemplateVersions found{.row = row, .versions = std::move(versions)};
  if (!query.resolve_alias) return found;
  for (auto& version : found.versions) {
    version.image_id = resolve_image_id(txn, region, caller, version.image_id);
  }
  return found;
}

}  // namespace

LaunchTemplate find_template(Txn& txn, const Region& region, const Principal& caller, const TemplateName& name) {
  if (name.id.empty() == name.name.empty()) {
    throw ApiError(name.id.empty() ? "MissingParameter" : "InvalidParameterCombination",
                   "Exactly one of a launch template's ID and its name must be specified.");
  }
  if (name.id.empty()) {
    auto row = catalog::find_launch_template_named(txn, region.name, caller.account, name.name);
    if (row) return *std::move(row);
    throw ApiError("InvalidLaunchTemplateName.NotFoundException",
                   "The specified launch template, with template name " + name.name + ", does not exist.");
  }
  if (!base::is_id("lt", name.id)) {
    throw ApiError("InvalidLaunchTemplateId.Malformed", "Invalid id: \"" + name.id + "\" (expecting \"lt-...\")");
  }
  auto row = catalog::find_launch_template(txn, region.name, caller.account, name.id);
  if (row) return *std::move(row);
  throw ApiError("InvalidLaunchTemplateId.NotFound",
                 "The specified launch template, with template ID " + name.id + ", does not exist.");
}

LaunchTemplateVersion find_template_version(Txn& txn, const Region& region, const LaunchTemplate& row,
                                            const std::string& version) {
  const auto number = version_number(row, version);
  auto found = number ? catalog::find_launch_template_version(txn, region.name, row.id, *number) : std::nullopt;
  if (!found) refuse_version(row, version);
  return *std::move(found);
}

MadeVersion create_launch_template(Region& region, const Principal& caller, const NewTemplate& what) {
  check_name(what.name);
  check_parameters(what.parameters);
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    MadeVersion made;
    if (const auto before = made_before(txn, what.client_token); !before.empty()) {
      made.row = find_template(txn, region, caller, {.id = before, .name = {}});
      return made;
    }
    if (catalog::find_launch_template_named(txn, region.name, caller.account, what.name)) {
      throw ApiError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.");
    }
    if (catalog::launch_templates_of(txn, region.name, caller.account).size() >= most_templates) {
      throw ApiError("LaunchTemplateLimitExceeded", "You have reached the limit of 5000 launch templates.");
    }
    made.warnings = warnings_of(txn, region, caller, what.parameters);
    made.row = {.region = region.name,
                .id = base::new_id("lt"),
                .account = caller.account,
                .name = what.name,
                .created_by = caller.arn,
                .created = region.clock.now()};
    catalog::insert(txn, made.row);
    made.version = insert_version(txn, region, caller, made.row, what.description, what.parameters);
    add_tags(txn, region, caller.account, made.row.id, what.tags);
    remember(txn, what.client_token, made.row.id);
    return made;
  });
}

MadeVersion create_launch_template_version(Region& region, const Principal& caller, const NewTemplateVersion& what) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    MadeVersion made;
    made.row = find_template(txn, region, caller, what.of);
    if (const auto before = made_before(txn, what.client_token); !before.empty()) {
      made.version = find_template_version(txn, region, made.row, before);
      return made;
    }
    auto parameters = what.parameters;
    if (!what.source_version.empty()) {
      const auto source = find_template_version(txn, region, made.row, what.source_version);
      parameters = merge_parameters(parameters, wire::Params::parse(source.parameters));
    }
    check_parameters(parameters);
    if (catalog::launch_template_versions(txn, region.name, made.row.id).size() >= most_versions) {
      throw ApiError("LaunchTemplateVersionLimitExceeded", "You have reached the limit of 10000 versions.");
    }
    ++made.row.latest_version;
    catalog::update(txn, made.row);
    made.warnings = warnings_of(txn, region, caller, parameters);
    made.version = insert_version(txn, region, caller, made.row, what.description, parameters);
    remember(txn, what.client_token, std::to_string(made.version.version));
    return made;
  });
}

std::vector<LaunchTemplate> launch_templates(Region& region, const Principal& caller,
                                             const std::vector<std::string>& ids,
                                             const std::vector<std::string>& names) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    if (ids.empty() && names.empty()) return catalog::launch_templates_of(txn, region.name, caller.account);
    std::vector<LaunchTemplate> found;
    for (const auto& id : ids) found.push_back(find_template(txn, region, caller, {.id = id, .name = {}}));
    for (const auto& name : names) {
      auto row = catalog::find_launch_template_named(txn, region.name, caller.account, name);
      if (!row) {
        throw ApiError("InvalidLaunchTemplateName.NotFoundException",
                       "At least one of the launch templates specified in the request does not exist.");
      }
      if (std::ranges::find(found, row->id, &LaunchTemplate::id) == found.end()) found.push_back(*std::move(row));
    }
    std::ranges::sort(found, {}, &LaunchTemplate::name);
    return found;
  });
}

TemplateVersions launch_template_versions(Region& region, const Principal& caller, const TemplateName& name,
                                          const VersionQuery& query) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    return versions_of(txn, region, caller, find_template(txn, region, caller, name), query);
  });
}

std::vector<TemplateVersions> all_template_versions(Region& region, const Principal& caller,
                                                    const VersionQuery& query) {
  return catalog::in_read(region.catalog, [&](Txn& txn) {
    std::vector<TemplateVersions> all;
    for (const auto& row : catalog::launch_templates_of(txn, region.name, caller.account)) {
      all.push_back(versions_of(txn, region, caller, row, query));
    }
    return all;
  });
}

LaunchTemplate set_default_version(Region& region, const Principal& caller, const TemplateName& name,
                                   const std::string& version) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto row = find_template(txn, region, caller, name);
    if (version.empty()) {
      throw ApiError("MissingParameter", "The request must contain the parameter SetDefaultVersion");
    }
    row.default_version = find_template_version(txn, region, row, version).version;
    catalog::update(txn, row);
    return row;
  });
}

LaunchTemplate delete_launch_template(Region& region, const Principal& caller, const TemplateName& name) {
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    auto row = find_template(txn, region, caller, name);
    remove_all_tags(txn, region, row.id);
    catalog::remove(txn, row);
    return row;
  });
}

DeletedVersions delete_launch_template_versions(Region& region, const Principal& caller, const TemplateName& name,
                                                const std::vector<std::string>& versions) {
  if (versions.empty()) {
    throw ApiError("MissingParameter", "The request must contain the parameter LaunchTemplateVersion");
  }
  if (versions.size() > most_deleted_at_once) {
    throw ApiError("InvalidParameterValue", "At most 200 versions can be deleted at once.");
  }
  return catalog::in_txn(region.catalog, [&](Txn& txn) {
    DeletedVersions done;
    done.row = find_template(txn, region, caller, name);
    for (const auto& text : versions) {
      const auto number = version_number(done.row, text);
      const auto found =
          number ? catalog::find_launch_template_version(txn, region.name, done.row.id, *number) : std::nullopt;
      auto& result = done.versions.emplace_back();
      result.version = number.value_or(0);
      if (!found) {
        result.code = "launchTemplateVersionDoesNotExist";
        result.message = "The specified launch template version " + text + " does not exist.";
      } else if (found->version == done.row.default_version) {
        result.code = "unexpectedError";
        result.message = "The default version of a launch template cannot be deleted.";
      } else {
        catalog::remove(txn, *found);
      }
    }
    return done;
  });
}

std::vector<LaunchTemplate> templates_naming(Txn& txn, const Region& region, const Principal& caller,
                                             const std::string& image_id, std::size_t depth) {
  const auto names_it = [&](const LaunchTemplateVersion& version) {
    if (!image_parameter(version.image_id)) return version.image_id == image_id;
    try {
      return resolve_image_id(txn, region, caller, version.image_id) == image_id;
    } catch (const ApiError&) {
      return false;
    }
  };
  std::vector<LaunchTemplate> found;
  for (const auto& row : catalog::launch_templates_of(txn, region.name, caller.account)) {
    auto versions = catalog::launch_template_versions(txn, region.name, row.id);
    if (versions.size() > depth) versions.resize(depth);
    if (const auto chosen = catalog::find_launch_template_version(txn, region.name, row.id, row.default_version)) {
      versions.push_back(*chosen);
    }
    if (std::ranges::any_of(versions, names_it)) found.push_back(row);
  }
  return found;
}

}  // namespace kiln::control
