#include "catalog/tags.h"

#include <algorithm>

#include "catalog/sql.h"

namespace kiln::catalog {

std::vector<Tag> tags_of(Txn& txn, const std::string& region, const std::string& account,
                         const std::vector<std::string>& resource_ids) {
  if (resource_ids.empty()) {
    return select<Tag>(txn, "WHERE region = $1 AND account = $2 ORDER BY resource_id, key", {region, account});
  }
  std::vector<std::string> ids = resource_ids;
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::vector<Tag> found;
  for (std::size_t from = 0; from < ids.size(); from += ids_per_query) {
    const std::size_t count = std::min(ids_per_query, ids.size() - from);
    const auto first = ids.begin() + static_cast<std::ptrdiff_t>(from);
    std::vector<Value> parameters{region, account};
    parameters.insert(parameters.end(), first, first + static_cast<std::ptrdiff_t>(count));
    auto slice = select<Tag>(
        txn, "WHERE region = $1 AND account = $2 AND resource_id " + in_list(3, count) + " ORDER BY resource_id, key",
        parameters);
    found.insert(found.end(), std::make_move_iterator(slice.begin()), std::make_move_iterator(slice.end()));
  }
  return found;
}

void set_tags(Txn& txn, const std::vector<Tag>& tags) {
  for (const Tag& tag : tags) upsert(txn, tag);
}

bool remove_tag(Txn& txn, const std::string& region, const std::string& account, const std::string& resource_id,
                const std::string& key, const std::optional<std::string>& value) {
  std::string sql = "DELETE FROM tag WHERE region = $1 AND account = $2 AND resource_id = $3 AND key = $4";
  std::vector<Value> parameters{region, account, resource_id, key};
  if (value) {
    sql += " AND value = $5";
    parameters.emplace_back(*value);
  }
  return txn.execute(sql, parameters) > 0;
}

void remove_tags_of(Txn& txn, const std::string& region, const std::string& account, const std::string& resource_id) {
  txn.execute("DELETE FROM tag WHERE region = $1 AND account = $2 AND resource_id = $3",
              {region, account, resource_id});
}

void forget_tags(Txn& txn, const std::string& region, const std::string& resource_id) {
  txn.execute("DELETE FROM tag WHERE region = $1 AND resource_id = $2", {region, resource_id});
}

}  // namespace kiln::catalog
