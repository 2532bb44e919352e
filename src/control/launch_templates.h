#pragma once
// Launch templates: parameters of RunInstances under a name, in versions of which one is the default.
//
// What a version says is not checked when it is made, as on AWS, but for what can be told to be wrong then, which comes
// back as warnings; a parameter that names the image has to be readable and of the right type. Refusals are EC2's own
// codes. Request threads; each call is one transaction.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/client_tokens.h"
#include "catalog/launch_templates.h"
#include "control/principal.h"
#include "control/region.h"
#include "wire/params.h"

namespace kiln::control {

// By its id or its name: exactly one is given.
struct TemplateName {
  std::string id, name;
};
// Throws InvalidLaunchTemplateId.NotFound and .Malformed, InvalidLaunchTemplateName.NotFoundException,
// MissingParameter.
catalog::LaunchTemplate find_template(catalog::Txn& txn, const Region& region, const Principal& caller,
                                      const TemplateName& name);
// version: a number, $Latest, $Default, or empty, which is the default. Throws InvalidLaunchTemplateId.VersionNotFound.
catalog::LaunchTemplateVersion find_template_version(catalog::Txn& txn, const Region& region,
                                                     const catalog::LaunchTemplate& row, const std::string& version);

// What a launch by a template asks for: the template's parameters where the request says nothing. A list of the request
// takes the template's place, but block devices of other names and tags of other keys stay.
wire::Params merge_parameters(const wire::Params& request, const wire::Params& of_template);

struct TemplateWarning {
  std::string code, message;
};
struct MadeVersion {
  catalog::LaunchTemplate row;
  catalog::LaunchTemplateVersion version;
  std::vector<TemplateWarning> warnings;
};
struct NewTemplate {
  std::string name, description;
  wire::Params parameters;
  std::map<std::string, std::string> tags;
  std::optional<catalog::ClientToken> client_token;  // a replay answers with what it made
};
MadeVersion create_launch_template(Region& region, const Principal& caller, const NewTemplate& what);
struct NewTemplateVersion {
  TemplateName of;
  std::string source_version;  // whose parameters stay where the new ones say nothing; empty: none
  std::string description;
  wire::Params parameters;
  std::optional<catalog::ClientToken> client_token;
};
MadeVersion create_launch_template_version(Region& region, const Principal& caller, const NewTemplateVersion& what);

// All of them when neither ids nor names are given, by name.
std::vector<catalog::LaunchTemplate> launch_templates(Region& region, const Principal& caller,
                                                      const std::vector<std::string>& ids,
                                                      const std::vector<std::string>& names);
struct VersionQuery {
  std::vector<std::string> versions;  // none: all
  std::optional<std::int64_t> least, most;
  bool resolve_alias = false;  // a parameter that names the image becomes the image
};
struct TemplateVersions {
  catalog::LaunchTemplate row;
  std::vector<catalog::LaunchTemplateVersion> versions;  // the newest first
};
TemplateVersions launch_template_versions(Region& region, const Principal& caller, const TemplateName& name,
                                          const VersionQuery& query);
// The same of every template, for $Latest and $Default.
std::vector<TemplateVersions> all_template_versions(Region& region, const Principal& caller, const VersionQuery& query);

catalog::LaunchTemplate set_default_version(Region& region, const Principal& caller, const TemplateName& name,
                                            const std::string& version);
catalog::LaunchTemplate delete_launch_template(Region& region, const Principal& caller, const TemplateName& name);
struct DeletedVersion {
  std::int64_t version = 0;
  std::string code, message;  // empty: it is gone
};
struct DeletedVersions {
  catalog::LaunchTemplate row;
  std::vector<DeletedVersion> versions;  // in the order asked for
};
DeletedVersions delete_launch_template_versions(Region& region, const Principal& caller, const TemplateName& name,
                                                const std::vector<std::string>& versions);

// The versions that name an image among the newest depth of each template and its default: their templates.
std::vector<catalog::LaunchTemplate> templates_naming(catalog::Txn& txn, const Region& region, const Principal& caller,
                                                      const std::string& image_id, std::size_t depth);

}  // namespace kiln::control
