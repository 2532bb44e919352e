#include "catalog/volumes.h"

namespace kiln::catalog {

std::optional<Volume> find_volume(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Volume>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<Volume> volumes_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<Volume>(txn, "WHERE region = $1 AND account = $2 ORDER BY created, id", {region, account});
}

std::vector<Volume> volumes_of_instance(Txn& txn, const std::string& region, const std::string& instance_id) {
  return select<Volume>(txn,
                        "JOIN attachment ON attachment.region = volume.region AND attachment.volume_id = volume.id "
                        "WHERE attachment.region = $1 AND attachment.instance_id = $2 ORDER BY attachment.position",
                        {region, instance_id});
}

std::vector<Attachment> attachments_of_instance(Txn& txn, const std::string& region, const std::string& instance_id) {
  return select<Attachment>(txn, "WHERE region = $1 AND instance_id = $2 ORDER BY position", {region, instance_id});
}

std::optional<Attachment> attachment_of_volume(Txn& txn, const std::string& region, const std::string& volume_id) {
  return select_one<Attachment>(txn, "WHERE region = $1 AND volume_id = $2", {region, volume_id});
}

std::int64_t raise_epoch(Txn& txn, const std::string& region, const std::string& volume_id) {
  const auto raised = txn.query("UPDATE volume SET epoch = epoch + 1 WHERE region = $1 AND id = $2 RETURNING epoch",
                                {region, volume_id});
  return raised.empty() ? 0 : std::get<std::int64_t>(raised[0][0]);
}

}  // namespace kiln::catalog
