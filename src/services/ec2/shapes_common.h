#pragma once
// Shapes that several resource families of EC2 share. Transcripts of the EC2 API Reference: a member is its wire name
// in snake_case, and where a name differs by direction there is one struct per direction.

#include <optional>
#include <string>
#include <vector>

#include "wire/table.h"

namespace kiln::services::ec2 {

struct Filter {
  std::string name;
  std::vector<std::string> value;
};

struct Tag {
  std::string key;
  std::string value;
};

struct TagSpecification {
  std::string resource_type;
  std::vector<Tag> tag;
};

// The answer of operations that only say that they did it.
struct Done {
  bool return_ = true;
};

struct EbsBlockDevice {
  std::optional<std::string> snapshot_id;
  std::optional<int> volume_size;
  std::optional<std::string> volume_type;
  std::optional<bool> delete_on_termination;
  std::optional<bool> encrypted;
  std::optional<std::string> kms_key_id;
  std::optional<int> iops;
  std::optional<int> throughput;
  std::optional<int> volume_initialization_rate;
};

// Of images and of launches, in both directions.
struct BlockDeviceMapping {
  std::string device_name;
  std::optional<std::string> virtual_name;
  std::optional<EbsBlockDevice> ebs;
  std::optional<std::string> no_device;
};

// NoDevice says by being there that the device is left out. Clients send it empty, and an empty parameter is absent: an
// entry that says nothing else means that too.
inline bool leaves_out(const BlockDeviceMapping& mapping) {
  return mapping.no_device || (!mapping.ebs && !mapping.virtual_name);
}

struct ProductCode {
  std::string product_code, type;
};

struct StateReason {
  std::string code;
  std::string message;
};

}  // namespace kiln::services::ec2

KILN_WIRE(kiln::services::ec2::Filter, name, value)
KILN_WIRE(kiln::services::ec2::Tag, key, value)
KILN_WIRE(kiln::services::ec2::TagSpecification, resource_type, tag)
KILN_WIRE(kiln::services::ec2::Done, return_)
KILN_WIRE(kiln::services::ec2::EbsBlockDevice, snapshot_id, volume_size, volume_type, delete_on_termination, encrypted,
          kms_key_id, iops, throughput, volume_initialization_rate)
KILN_WIRE(kiln::services::ec2::BlockDeviceMapping, device_name, virtual_name, ebs, no_device)
KILN_WIRE(kiln::services::ec2::ProductCode, product_code, type)
KILN_WIRE(kiln::services::ec2::StateReason, code, message)
