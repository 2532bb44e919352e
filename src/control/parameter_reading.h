#pragma once
// Parameters as they are read: by name, version, label or ARN, by path, and in lists.
//
// Those of the operator (image_aliases.h) are there for everybody who could launch the image that one of their versions
// names: their latest version is the newest of these. Request threads. The values of SecureStrings are decrypted
// outside of the transaction that read them.

#include <optional>
#include <string>
#include <vector>

#include "catalog/parameters.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

struct ReadParameter {
  catalog::ParameterVersion row;
  std::string selector;  // as the caller gave it, with its colon
};

// Throws ParameterNotFound, ParameterVersionNotFound.
ReadParameter read_parameter(catalog::Txn& txn, const Region& region, const Principal& caller, const std::string& name);
ReadParameter read_parameter(Region& region, const Principal& caller, const std::string& name);
// All that the caller can have, oldest first. Throws ParameterNotFound.
std::vector<catalog::ParameterVersion> parameter_history(Region& region, const Principal& caller,
                                                         const std::string& name);
std::vector<catalog::ParameterLabel> labels_of_parameter(Region& region, const Principal& caller,
                                                         const std::string& name);

// The value in clear. Throws InvalidKeyId, AccessDeniedException.
std::string open_parameter(Region& region, const Principal& caller, const catalog::ParameterVersion& row);

struct ParameterFilter {
  std::string key, option;
  std::vector<std::string> values;
};
struct ParameterPage {
  std::vector<ReadParameter> items;
  bool more = false;  // behind the last item
};
// Below path, by name, behind after. Filters are Type, KeyId and Label; with Label it is the version that has it.
struct ParameterPath {
  std::string path;
  bool recursive = false;
  std::vector<ParameterFilter> filters;
};
ParameterPage parameters_by_path(Region& region, const Principal& caller, const ParameterPath& what,
                                 const std::string& after, std::size_t most);
// The caller's own, by name, behind after. Filters are Name, Path, Type, KeyId, Tier, DataType and tag:.
ParameterPage list_parameters(Region& region, const Principal& caller, const std::vector<ParameterFilter>& filters,
                              const std::string& after, std::size_t most);

}  // namespace kiln::control
