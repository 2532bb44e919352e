#pragma once
// The operation tables of EC2's resource families: each stands at the foot of its family's file.

#include <span>

#include "services/operation.h"

namespace kiln::services::ec2 {

std::span<const Operation> console_operations();
std::span<const Operation> ebs_encryption_operations();
std::span<const Operation> fast_restore_operations();
std::span<const Operation> group_operations();
std::span<const Operation> image_lifecycle_operations();
std::span<const Operation> image_lineage_operations();
std::span<const Operation> image_operations();
std::span<const Operation> image_usage_report_operations();
std::span<const Operation> instance_operations();
std::span<const Operation> instance_profile_operations();
std::span<const Operation> instance_status_operations();
std::span<const Operation> instance_type_operations();
std::span<const Operation> key_operations();
std::span<const Operation> launch_template_operations();
std::span<const Operation> network_operations();
std::span<const Operation> recycle_bin_operations();
std::span<const Operation> region_operations();
std::span<const Operation> sharing_setting_operations();
std::span<const Operation> snapshot_attribute_operations();
std::span<const Operation> snapshot_lock_operations();
std::span<const Operation> snapshot_operations();
std::span<const Operation> snapshot_tier_operations();
std::span<const Operation> tag_operations();
std::span<const Operation> volume_operations();

}  // namespace kiln::services::ec2
