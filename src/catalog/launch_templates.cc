#include "catalog/launch_templates.h"

namespace kiln::catalog {

std::optional<LaunchTemplate> find_launch_template(Txn& txn, const std::string& region, const std::string& account,
                                                   const std::string& id) {
  return select_one<LaunchTemplate>(txn, "WHERE region = $1 AND id = $2 AND account = $3", {region, id, account});
}

std::optional<LaunchTemplate> find_launch_template_named(Txn& txn, const std::string& region,
                                                         const std::string& account, const std::string& name) {
  return select_one<LaunchTemplate>(txn, "WHERE region = $1 AND account = $2 AND name = $3", {region, account, name});
}

std::vector<LaunchTemplate> launch_templates_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<LaunchTemplate>(txn, "WHERE region = $1 AND account = $2 ORDER BY name", {region, account});
}

std::optional<LaunchTemplateVersion> find_launch_template_version(Txn& txn, const std::string& region,
                                                                  const std::string& template_id,
                                                                  std::int64_t version) {
  return select_one<LaunchTemplateVersion>(txn, "WHERE region = $1 AND template_id = $2 AND version = $3",
                                           {region, template_id, version});
}

std::vector<LaunchTemplateVersion> launch_template_versions(Txn& txn, const std::string& region,
                                                            const std::string& template_id) {
  return select<LaunchTemplateVersion>(txn, "WHERE region = $1 AND template_id = $2 ORDER BY version DESC",
                                       {region, template_id});
}

}  // namespace kiln::catalog
