#pragma once
// Tags: an account's own labels on resources that it can see.

#include <map>
#include <string>
#include <vector>

#include "catalog/tags.h"
#include "control/region.h"

namespace kiln::control {

// In the caller's transaction, for tags given at creation. Throws InvalidParameterValue, TagLimitExceeded.
void add_tags(catalog::Txn& txn, const Region& region, const std::string& account, const std::string& resource_id,
              const std::map<std::string, std::string>& tags);
// Those that begin with aws:, which users cannot write.
void add_reserved_tags(catalog::Txn& txn, const Region& region, const std::string& account,
                       const std::string& resource_id, const std::map<std::string, std::string>& tags);
// Throws InvalidID and the resource's own NotFound code.
void create_tags(Region& region, const std::string& account, const std::vector<std::string>& resource_ids,
                 const std::map<std::string, std::string>& tags);
struct TagToDelete {
  std::string key;
  std::optional<std::string> value;  // deleted only when it has this value
};
// No keys: all of them.
void delete_tags(Region& region, const std::string& account, const std::vector<std::string>& resource_ids,
                 const std::vector<TagToDelete>& tags);
// When a resource goes.
void remove_all_tags(catalog::Txn& txn, const Region& region, const std::string& resource_id);

std::vector<catalog::Tag> all_tags(catalog::Txn& txn, const Region& region, const std::string& account);
// Those of one resource that the account put there.
std::vector<catalog::Tag> tags_of(catalog::Txn& txn, const Region& region, const std::string& account,
                                  const std::string& resource_id);
// The type that a resource id names: image, snapshot, ...; empty for what is no id.
std::string resource_type(const std::string& resource_id);

}  // namespace kiln::control
