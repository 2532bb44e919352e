#include "control/resource_facts.h"

#include <algorithm>

#include "catalog/images.h"
#include "catalog/instances.h"
#include "catalog/keys.h"
#include "catalog/launch_templates.h"
#include "catalog/network.h"
#include "catalog/snapshots.h"
#include "catalog/volumes.h"
#include "control/tags.h"

namespace kiln::control {
namespace {

using catalog::Txn;
using policy::Context;

std::string boolean(bool value) { return value ? "true" : "false"; }

class Facts {
 public:
  Facts(Txn& txn, const Region& region, const Principal& caller) : txn_(txn), region_(region), caller_(caller) {}

  // The account that owns it; empty when it is not there.
  std::string add(const std::string& type, const std::string& id, Context& to) {
    if (type == "image") return image(id, to);
    if (type == "snapshot") return snapshot(id, to);
    if (type == "instance") return instance(id, to);
    if (type == "volume") return volume(id, to);
    if (type == "subnet") return subnet(id, to);
    if (type == "security-group") return group(id, to);
    if (type == "vpc") return vpc(id, to);
    if (type == "key-pair") return key_pair(id, to);
    if (type == "launch-template") return launch_template(id);
    return {};
  }

 private:
  std::string image(const std::string& id, Context& to) {
    to.set("ec2:ImageID", id);
    const auto row = catalog::find_image(txn_, region_.name, id);
    if (!row) return {};
    const auto shared = catalog::launch_permissions(txn_, region_.name, id);
    to.set("ec2:ImageType", "machine");
    to.set("ec2:Owner", row->account);
    to.set("ec2:Public", boolean(std::ranges::any_of(shared, [](const auto& each) { return each.value == "all"; })));
    to.set("ec2:RootDeviceType", "ebs");
    return row->account;
  }
  std::string snapshot(const std::string& id, Context& to) {
    to.set("ec2:SnapshotID", id);
    const auto row = catalog::find_snapshot(txn_, region_.name, id);
    if (!row) return {};
    to.set("ec2:Owner", row->account);
    to.set("ec2:Encrypted", boolean(row->encrypted));
    to.set("ec2:VolumeSize", std::to_string(row->size_gib));
    to.set("ec2:ParentVolume", ec2_arn(region_, row->account, "volume", row->volume_id));
    return row->account;
  }
  std::string instance(const std::string& id, Context& to) {
    to.set("ec2:InstanceID", id);
    const auto row = catalog::find_instance(txn_, region_.name, id);
    if (!row) return {};
    to.set("ec2:InstanceType", row->instance_type);
    to.set("ec2:AvailabilityZone", row->zone);
    to.set("ec2:RootDeviceType", "ebs");
    to.set("ec2:Tenancy", "default");
    to.set("ec2:MetadataHttpTokens", row->tokens_required ? "required" : "optional");
    return row->account;
  }
  std::string volume(const std::string& id, Context& to) {
    to.set("ec2:VolumeID", id);
    const auto row = catalog::find_volume(txn_, region_.name, id);
    if (!row) return {};
    to.set("ec2:AvailabilityZone", row->zone);
    to.set("ec2:Encrypted", boolean(row->encrypted));
    to.set("ec2:VolumeSize", std::to_string(row->size_gib));
    to.set("ec2:VolumeType", row->volume_type);
    if (!row->snapshot_id.empty()) to.set("ec2:ParentSnapshot", ec2_arn(region_, {}, "snapshot", row->snapshot_id));
    return row->account;
  }
  std::string subnet(const std::string& id, Context& to) {
    to.set("ec2:SubnetID", id);
    const auto row = catalog::find_subnet(txn_, region_.name, id);
    if (!row) return {};
    to.set("ec2:AvailabilityZone", row->zone);
    to.set("ec2:Vpc", ec2_arn(region_, row->account, "vpc", row->vpc_id));
    return row->account;
  }
  std::string group(const std::string& id, Context& to) {
    to.set("ec2:SecurityGroupID", id);
    const auto row = catalog::find_security_group(txn_, region_.name, id);
    if (!row) return {};
    to.set("ec2:Vpc", ec2_arn(region_, row->account, "vpc", row->vpc_id));
    return row->account;
  }
  std::string vpc(const std::string& id, Context& to) {
    to.set("ec2:VpcID", id);
    const auto row = catalog::find_vpc(txn_, region_.name, id);
    return row ? row->account : std::string();
  }
  std::string launch_template(const std::string& id) {
    const auto row = catalog::find_launch_template(txn_, region_.name, caller_.account, id);
    return row ? row->account : std::string();
  }
  std::string key_pair(const std::string& name, Context& to) {
    to.set("ec2:KeyPairName", name);
    const auto row = catalog::find_key_pair(txn_, region_.name, caller_.account, name);
    if (!row) return {};
    to.set("ec2:KeyPairType", row->key_type);
    for (const auto& tag : tags_of(txn_, region_, caller_.account, row->id)) {
      to.set("aws:ResourceTag/" + tag.key, tag.value);
      to.set("ec2:ResourceTag/" + tag.key, tag.value);
    }
    return row->account;
  }

  Txn& txn_;
  const Region& region_;
  const Principal& caller_;
};

}  // namespace

std::string ec2_arn(const Region& region, const std::string& account, const std::string& type, const std::string& id) {
  const bool of_nobody = type == "image" || type == "snapshot";
  return "arn:aws:ec2:" + region.name + ":" + (of_nobody ? std::string() : account) + ":" + type + "/" + id;
}

Asked facts_of(Txn& txn, const Region& region, const Principal& caller, const std::string& type,
               const std::string& id) {
  Asked asked;
  auto owner = Facts(txn, region, caller).add(type, id, asked.context);
  if (owner.empty()) owner = caller.account;
  asked.resource = ec2_arn(region, owner, type, id);
  asked.context.set("ec2:Region", region.name);
  asked.context.set("aws:ResourceAccount", owner);
  for (const auto& tag : tags_of(txn, region, caller.account, id)) {
    asked.context.set("aws:ResourceTag/" + tag.key, tag.value);
    asked.context.set("ec2:ResourceTag/" + tag.key, tag.value);
  }
  return asked;
}

Asked facts_of_new(const Region& region, const Principal& caller, const std::string& type) {
  Asked asked{.action = {}, .resource = ec2_arn(region, caller.account, type, "*")};
  asked.context.set("ec2:Region", region.name);
  asked.context.set("aws:ResourceAccount", caller.account);
  return asked;
}

}  // namespace kiln::control
