#pragma once
// Tags. An account sees only the tags that it put on a resource itself.

#include "catalog/table.h"

namespace kiln::catalog {

struct Tag {
  std::string region, account, resource_id, key;
  std::string resource_type;  // image snapshot volume instance key-pair security-group vpc subnet
  std::string value;
};

// The tags that account put on these resources, by resource and key. No ids: all tags of the account in the region.
std::vector<Tag> tags_of(Txn& txn, const std::string& region, const std::string& account,
                         const std::vector<std::string>& resource_ids = {});
// Overwrites values of keys that are there.
void set_tags(Txn& txn, const std::vector<Tag>& tags);
// Removes the key, or only when it has this value. False when there was nothing to remove.
bool remove_tag(Txn& txn, const std::string& region, const std::string& account, const std::string& resource_id,
                const std::string& key, const std::optional<std::string>& value = {});
void remove_tags_of(Txn& txn, const std::string& region, const std::string& account, const std::string& resource_id);
// Every account's tags of a resource that goes.
void forget_tags(Txn& txn, const std::string& region, const std::string& resource_id);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Tag, "tag", 4, region, account, resource_id, key, resource_type, value)
