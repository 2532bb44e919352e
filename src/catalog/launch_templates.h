#pragma once
// Launch templates: what launches of an account ask for, in versions that never change.

#include "catalog/table.h"

namespace kiln::catalog {

struct LaunchTemplate {
  std::string region, id;  // lt-...
  std::string account, name;
  std::int64_t default_version = 1, latest_version = 1;
  std::string created_by;  // an ARN
  base::Micros created = 0;
};

struct LaunchTemplateVersion {
  std::string region, template_id;
  std::int64_t version = 1;  // numbered from 1, no number twice
  std::string description;
  std::string image_id;    // as in parameters: an id, or resolve:ssm: and a parameter
  std::string parameters;  // of RunInstances, as a form: ImageId=ami-1&InstanceType=t3.nano
  std::string created_by;
  base::Micros created = 0;
};

std::optional<LaunchTemplate> find_launch_template(Txn& txn, const std::string& region, const std::string& account,
                                                   const std::string& id);
std::optional<LaunchTemplate> find_launch_template_named(Txn& txn, const std::string& region,
                                                         const std::string& account, const std::string& name);
std::vector<LaunchTemplate> launch_templates_of(Txn& txn, const std::string& region, const std::string& account);
std::optional<LaunchTemplateVersion> find_launch_template_version(Txn& txn, const std::string& region,
                                                                  const std::string& template_id, std::int64_t version);
// The newest first.
std::vector<LaunchTemplateVersion> launch_template_versions(Txn& txn, const std::string& region,
                                                            const std::string& template_id);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::LaunchTemplate, "launch_template", 2, region, id, account, name, default_version,
         latest_version, created_by, created)
KILN_ROW(kiln::catalog::LaunchTemplateVersion, "launch_template_version", 3, region, template_id, version, description,
         image_id, parameters, created_by, created)
