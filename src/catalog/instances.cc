#include "catalog/instances.h"

#include "catalog/sql.h"

namespace kiln::catalog {

std::optional<Instance> find_instance(Txn& txn, const std::string& region, const std::string& id) {
  return select_one<Instance>(txn, "WHERE region = $1 AND id = $2", {region, id});
}

std::vector<Instance> instances_of(Txn& txn, const std::string& region, const std::string& account) {
  return select<Instance>(txn, "WHERE region = $1 AND account = $2 ORDER BY created, reservation_id, launch_index, id",
                          {region, account});
}

std::vector<Instance> instances_of_reservation(Txn& txn, const std::string& region, const std::string& reservation_id) {
  return select<Instance>(txn, "WHERE region = $1 AND reservation_id = $2 ORDER BY launch_index, id",
                          {region, reservation_id});
}

std::vector<Instance> instances_in_state(Txn& txn, const std::string& region, const std::vector<std::string>& states) {
  if (states.empty()) return {};
  std::vector<Value> parameters{region};
  parameters.insert(parameters.end(), states.begin(), states.end());
  return select<Instance>(txn, "WHERE region = $1 AND state " + in_list(2, states.size()) + " ORDER BY created, id",
                          parameters);
}

std::vector<Instance> instances_of_image(Txn& txn, const std::string& region, const std::string& image_id) {
  return select<Instance>(txn, "WHERE region = $1 AND image_id = $2 AND state <> 'terminated' ORDER BY created, id",
                          {region, image_id});
}

std::optional<Instance> find_instance_at(Txn& txn, const std::string& region, const std::string& vpc_id,
                                         const std::string& private_ip) {
  return select_one<Instance>(
      txn, "WHERE region = $1 AND vpc_id = $2 AND private_ip = $3 AND private_ip <> '' AND state <> 'terminated'",
      {region, vpc_id, private_ip});
}

std::vector<std::string> groups_of_instance(Txn& txn, const std::string& region, const std::string& instance_id) {
  return first_column(
      txn.query("SELECT group_id FROM instance_group WHERE region = $1 AND instance_id = $2 ORDER BY group_id",
                {region, instance_id}));
}

void leave_groups(Txn& txn, const std::string& region, const std::string& instance_id) {
  txn.execute("DELETE FROM instance_group WHERE region = $1 AND instance_id = $2", {region, instance_id});
}

std::vector<std::string> instances_in_group(Txn& txn, const std::string& region, const std::string& group_id) {
  return first_column(txn.query(
      "SELECT instance.id FROM instance JOIN instance_group ON instance_group.region = instance.region "
      "AND instance_group.instance_id = instance.id WHERE instance_group.region = $1 AND instance_group.group_id = $2 "
      "AND instance.state <> 'terminated' ORDER BY instance.id",
      {region, group_id}));
}

}  // namespace kiln::catalog
