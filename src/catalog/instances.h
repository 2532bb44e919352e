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
  std::string state;                // pending running shutting-down terminated stopping stopped
  std::string state_reason_code, state_reason_message;
  std::string transition_reason;    // "User initiated (2026-01-02 03:04:05 GMT)"
  std::string uuid;                 // of the domain; starts with ec2
  std::string key_name;
  std::string user_data;            // base64, as it was given
  int launch_index = 0;
  std::string vpc_id, subnet_id, eni_id, private_ip, mac;
  bool tokens_required = false;     // IMDSv2 only
  int hop_limit = 1;
  bool metadata_enabled = true;
  std::string shutdown_behavior = "stop";  // stop or terminate, when the guest powers itself off
  bool termination_protection = false;
  std::string root_device_name;
  std::string client_token;
  base::Micros launched = 0;        // changes at each start, as EC2's launchTime
  base::Micros created = 0;
  std::optional<base::Micros> terminated;
};

struct InstanceGroup {
  std::string region, instance_id, group_id;
};

}  // namespace kiln::catalog

KILN_ROW(kiln::catalog::Instance, "instance", 2, region, id, account, zone, host, reservation_id, image_id,
         instance_type, state, state_reason_code, state_reason_message, transition_reason, uuid, key_name, user_data,
         launch_index, vpc_id, subnet_id, eni_id, private_ip, mac, tokens_required, hop_limit, metadata_enabled,
         shutdown_behavior, termination_protection, root_device_name, client_token, launched, created, terminated)
KILN_ROW(kiln::catalog::InstanceGroup, "instance_group", 3, region, instance_id, group_id)
