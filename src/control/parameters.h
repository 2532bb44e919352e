#pragma once
// Parameters of Systems Manager (catalog/parameters.h): written, labelled, tagged, removed. Their readers are in
// parameter_reading.h.
//
// A SecureString is encrypted by a key of the account before it is written down, alias/aws/ssm unless another is named,
// and bound to the ARN of its parameter. A value of the data type aws:ec2:image names an image that the caller may
// launch when it is written: AWS finds that out later and drops a value that does not, here it is refused at once.
// Refusals are Systems Manager's own codes. Request threads; each call is one transaction, and the use of a key is
// outside of it.

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "catalog/parameters.h"
#include "control/principal.h"
#include "control/region.h"

namespace kiln::control {

inline constexpr const char* image_data_type = "aws:ec2:image";

struct NewParameterVersion {
  std::string name, value;
  std::string type;                                         // empty: that of the version before
  std::string key;                                          // empty: alias/aws/ssm
  std::optional<std::string> description, allowed_pattern;  // nothing: as it was
  std::string tier;                                         // empty: as it was
  std::string policies;
  std::string data_type;  // empty: as it was
  bool overwrite = false;
  std::map<std::string, std::string> tags;
};
catalog::ParameterVersion put_parameter(Region& region, const Principal& caller, const NewParameterVersion& what);

// Throws ParameterNotFound.
void delete_parameter(Region& region, const Principal& caller, const std::string& name);
// The names of those that were there.
std::vector<std::string> delete_parameters(Region& region, const Principal& caller,
                                           const std::vector<std::string>& names);

struct Labelled {
  std::int64_t version = 0;
  std::vector<std::string> done, invalid;  // labels; none is done when one is invalid
};
// Moves labels of the parameter to a version, the latest when none is given.
Labelled label_parameter_version(Region& region, const Principal& caller, const std::string& name,
                                 std::optional<std::int64_t> version, const std::vector<std::string>& labels);
Labelled unlabel_parameter_version(Region& region, const Principal& caller, const std::string& name,
                                   std::int64_t version, const std::vector<std::string>& labels);

// Throw InvalidResourceId.
void tag_parameter(Region& region, const Principal& caller, const std::string& name,
                   const std::map<std::string, std::string>& tags);
void untag_parameter(Region& region, const Principal& caller, const std::string& name,
                     const std::vector<std::string>& keys);
std::vector<catalog::ParameterTag> tags_of_parameter(Region& region, const Principal& caller, const std::string& name);

}  // namespace kiln::control
