#pragma once
// Parameters of Systems Manager: named values of an account, of which every change is a version. Those of the operator,
// which name images for everybody, have no account: ''.

#include "catalog/table.h"

namespace kiln::catalog {

struct ParameterVersion {
  std::string region, account, name;
  std::int64_t version = 1;  // numbered from 1
  bool latest = true;        // one version of each parameter is
  std::string type;          // String, StringList, SecureString
  std::string value;         // of a SecureString: base64 of what a key encrypted
  std::string data_type;     // text, aws:ec2:image
  std::string tier;          // Standard, Advanced
  std::string key;           // of a SecureString, as the caller named it
  std::string description, allowed_pattern;
  std::string modified_by;  // an ARN
  base::Micros modified = 0;

  std::string arn() const;
};

// At one version at a time.
struct ParameterLabel {
  std::string region, account, name, label;
  std::int64_t version = 1;
};

struct ParameterTag {
  std::string region, account, name, key;
  std::string value;
};

std::string parameter_arn(const std::string& region, const std::string& account, const std::string& name);

std::optional<ParameterVersion> latest_parameter(Txn& txn, const std::string& region, const std::string& account,
                                                 const std::string& name);
std::optional<ParameterVersion> find_parameter(Txn& txn, const std::string& region, const std::string& account,
                                               const std::string& name, std::int64_t version);
// By version.
std::vector<ParameterVersion> parameter_versions(Txn& txn, const std::string& region, const std::string& account,
                                                 const std::string& name);
// The latest versions, by name; those whose name begins with prefix and comes behind after, at most limit (0: all).
std::vector<ParameterVersion> parameters_of(Txn& txn, const std::string& region, const std::string& account,
                                            const std::string& prefix = {}, const std::string& after = {},
                                            std::size_t limit = 0);
// The latest versions that name this image.
std::vector<ParameterVersion> parameters_naming(Txn& txn, const std::string& region, const std::string& account,
                                                const std::string& image_id);
std::int64_t count_parameters(Txn& txn, const std::string& region, const std::string& account, const std::string& tier);
// With all its versions, labels and tags. False when there was none.
bool remove_parameter(Txn& txn, const std::string& region, const std::string& account, const std::string& name);

std::vector<ParameterLabel> parameter_labels(Txn& txn, const std::string& region, const std::string& account,
                                             const std::string& name);
std::vector<ParameterTag> parameter_tags(Txn& txn, const std::string& region, const std::string& account,
                                         const std::string& name);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::ParameterVersion, "parameter_version", 4, region, account, name, version, latest, type, value,
         data_type, tier, key, description, allowed_pattern, modified_by, modified)
KILN_ROW(kiln::catalog::ParameterLabel, "parameter_label", 4, region, account, name, label, version)
KILN_ROW(kiln::catalog::ParameterTag, "parameter_tag", 4, region, account, name, key, value)
