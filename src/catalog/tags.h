#pragma once
// Tags. An account sees only the tags that it put on a resource itself.

#include "catalog/table.h"

namespace kiln::catalog {

struct Tag {
  std::string region, account, resource_id, key;
  std::string resource_type;  // image snapshot volume instance key-pair security-group vpc subnet
  std::string value;
};

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Tag, "tag", 4, region, account, resource_id, key, resource_type, value)
