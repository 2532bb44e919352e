#pragma once
// Instances and the security groups they are in. A terminated instance keeps its row for an hour.

#include "catalog/table.h"

namespace kiln::catalog {

struct Instance {
  std::string region, id;
  std::string account;
  std::string zone, host;
  std::string reservation_id;
  std::string image_id;
  std::string instance_type;
  std::string state;  // pending running shutting-down terminated stopping stopped
  std::string state_reason_code, state_reason_message;
  std::string transition_reason;  // "User initiated (2026-01-02 03:04:05 GMT)"
  std::string uuid;               // of the domain; starts with ec2
  std::string key_name;
  std::string user_data;  // base64, as it was given
  int launch_index = 0;
  std::string vpc_id, subnet_id, eni_id, private_ip, mac;
  bool tokens_required = false;  // IMDSv2 only
  int hop_limit = 1;
  bool metadata_enabled = true;
  std::string shutdown_behavior = "stop";  // stop or terminate, when the guest powers itself off
  bool termination_protection = false;
  std::string root_device_name;
  std::string client_token;
  base::Micros launched = 0;  // changes at each start, as EC2's launchTime
  base::Micros created = 0;
  std::optional<base::Micros> terminated;
};

struct InstanceGroup {
  std::string region, instance_id, group_id;
};

std::optional<Instance> find_instance(Txn& txn, const std::string& region, const std::string& id);
// Oldest first; of one reservation by launch index.
std::vector<Instance> instances_of(Txn& txn, const std::string& region, const std::string& account);
std::vector<Instance> instances_of_reservation(Txn& txn, const std::string& region, const std::string& reservation_id);
std::vector<Instance> instances_in_state(Txn& txn, const std::string& region, const std::vector<std::string>& states);
// Those not terminated: they keep a deregistered image's row.
std::vector<Instance> instances_of_image(Txn& txn, const std::string& region, const std::string& image_id);
// The one not terminated that has the address; how the metadata service knows its caller.
std::optional<Instance> find_instance_at(Txn& txn, const std::string& region, const std::string& vpc_id,
                                         const std::string& private_ip);

std::vector<std::string> groups_of_instance(Txn& txn, const std::string& region, const std::string& instance_id);
void leave_groups(Txn& txn, const std::string& region, const std::string& instance_id);
// Instances not terminated in the group: why it cannot be deleted.
std::vector<std::string> instances_in_group(Txn& txn, const std::string& region, const std::string& group_id);

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Instance, "instance", 2, region, id, account, zone, host, reservation_id, image_id,
         instance_type, state, state_reason_code, state_reason_message, transition_reason, uuid, key_name, user_data,
         launch_index, vpc_id, subnet_id, eni_id, private_ip, mac, tokens_required, hop_limit, metadata_enabled,
         shutdown_behavior, termination_protection, root_device_name, client_token, launched, created, terminated)
KILN_ROW(kiln::catalog::InstanceGroup, "instance_group", 3, region, instance_id, group_id)
