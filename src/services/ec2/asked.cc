#include "services/ec2/asked.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/api_error.h"
#include "base/text.h"
#include "catalog/images.h"
#include "catalog/instance_profiles.h"
#include "catalog/keys.h"
#include "catalog/kms_keys.h"
#include "catalog/launch_templates.h"
#include "catalog/network.h"
#include "catalog/snapshots.h"
#include "control/instance_profiles.h"
#include "control/resource_facts.h"
#include "control/tags.h"
#include "services/ec2/launch_params.h"

namespace kiln::services::ec2 {
namespace {

using catalog::Txn;
using control::Asked;
using Tags = std::map<std::string, std::string>;

struct IdParameter {
  std::string_view name, type;
};

// By the last word of a parameter's name: NetworkInterface.1.SecurityGroupId.2 is a SecurityGroupId.
constexpr IdParameter id_parameters[] = {
    {"GroupId", "security-group"},
    {"ImageId", "image"},
    {"InstanceId", "instance"},
    {"KeyName", "key-pair"},
    {"LaunchTemplateId", "launch-template"},
    {"ReportId", "image-usage-report"},
    {"SnapshotId", "snapshot"},
    {"SecurityGroupId", "security-group"},
    {"SubnetId", "subnet"},
    {"VolumeId", "volume"},
    {"VpcId", "vpc"},
};

struct Creation {
  std::string_view action, type;
};
constexpr Creation creations[] = {
    {"CopyImage", "image"},
    {"CopySnapshot", "snapshot"},
    {"CreateImage", "image"},
    {"CreateImage", "snapshot"},
    {"CreateLaunchTemplate", "launch-template"},
    {"CreateImageUsageReport", "image-usage-report"},
    {"CreateSecurityGroup", "security-group"},
    {"CreateSnapshot", "snapshot"},
    {"CreateSnapshots", "snapshot"},
    {"CreateVolume", "volume"},
    {"RegisterImage", "image"},
    {"RunInstances", "instance"},
    {"RunInstances", "network-interface"},
    {"RunInstances", "volume"},
};

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::string_view last_word(std::string_view name) {
  auto words = base::split(name, '.');
  while (words.size() > 1 && is_number(words.back())) words.pop_back();
  return words.back();
}

bool is_true(std::optional<std::string_view> value) { return value && base::lower(*value) == "true"; }

class Reader {
 public:
  Reader(Txn& txn, const AtDoor& request) : txn_(txn), request_(request), action_("ec2:" + request.action) {
    if (request.action != "RunInstances" || !has_names(request.params)) return;
    try {
      looked_up_ = look_up_names(txn, request.region, request.principal, request.params);
    } catch (const base::ApiError& error) {
      // Whether there is such a template is told to who may launch by it: judged by its name, and refused later.
      if (!error.code().starts_with("InvalidLaunchTemplate")) throw;
    }
  }

  std::vector<Asked> read() {
    named_by_id();
    named_otherwise();
    for (const auto& each : creations) {
      if (each.action == request_.action) create(std::string(each.type));
    }
    if (request_.action == "RunInstances") network_of_launch();
    if (request_.action == "CreateSecurityGroup" && word("VpcId").empty()) {
      if (const auto vpc = catalog::default_vpc(txn_, region_name(), account())) about("vpc", vpc->id);
    }
    if (request_.action == "CreateKeyPair" || request_.action == "ImportKeyPair") tag_created("key-pair");
    if (const auto id = params().find("AssociationId")) {
      const auto row = catalog::find_profile_association(txn_, region_name(), std::string(*id));
      about("instance", row ? row->instance_id : "*");
    }
    if (asked_.empty()) push({.resource = "*"});
    pass_role();
    attributes();
    made_of_template();
    return std::move(asked_);
  }

 private:
  const wire::Params& params() const { return looked_up_ ? *looked_up_ : request_.params; }
  std::string word(const std::string& name) const { return std::string(params().find(name).value_or("")); }
  const std::string& region_name() const { return request_.region.name; }
  const std::string& account() const { return request_.principal.account; }

  void push(Asked what) {
    what.action = action_;
    asked_.push_back(std::move(what));
  }

  void about(const std::string& type, const std::string& id) {
    if (!seen_.insert(type + "/" + id).second) return;
    auto what = control::facts_of(txn_, request_.region, request_.principal, type, id);
    if (request_.action == "CreateTags" || request_.action == "DeleteTags") add_tags(what, tags_at("Tag."));
    push(std::move(what));
  }

  void named_by_id() {
    for (const auto& [name, value] : params().all()) {
      // Groups that a rule lets in are not what the rule is put on.
      if (value.empty() || name.starts_with("Filter.") || name.starts_with("IpPermissions.")) continue;
      if (name.starts_with("LaunchTemplateData.")) continue;  // asked for when it is launched
      const auto word = last_word(name);
      // CopySnapshot's is of another region.
      if (word == "SourceSnapshotId" && request_.action.ends_with("FastSnapshotRestores")) about("snapshot", value);
      if (word == "ResourceId") about(control::resource_type(value), value);
      const auto found = std::ranges::find(id_parameters, word, &IdParameter::name);
      if (found != std::end(id_parameters)) about(std::string(found->type), value);
    }
  }

  // Every resource of a launch knows the template that it is made of.
  void made_of_template() {
    const auto id = word("LaunchTemplate.LaunchTemplateId");
    if (id.empty()) return;
    for (auto& each : asked_) {
      each.context.set("ec2:LaunchTemplate", control::ec2_arn(request_.region, account(), "launch-template", id));
    }
  }

  // Groups by name, in the default network; key pairs by id.
  void named_otherwise() {
    if (const auto id = params().find("KeyPairId")) {
      const auto row = catalog::find_key_pair_by_id(txn_, region_name(), account(), std::string(*id));
      about("key-pair", row ? row->name : std::string(*id));
    }
    const auto named =
        word(request_.action == "RunInstances" ? "LaunchTemplate.LaunchTemplateName" : "LaunchTemplateName");
    if (!named.empty() && request_.action != "CreateLaunchTemplate") {
      const auto row = catalog::find_launch_template_named(txn_, region_name(), account(), named);
      about("launch-template", row ? row->id : named);
    }
    const auto vpc = catalog::default_vpc(txn_, region_name(), account());
    for (const auto& [name, value] : params().all()) {
      const bool is_group =
          name.starts_with("SecurityGroup.") || (name == "GroupName" && request_.action != "CreateSecurityGroup");
      if (!is_group || !vpc) continue;
      const auto row = catalog::find_security_group_named(txn_, region_name(), vpc->id, value);
      about("security-group", row ? row->id : value);
    }
  }

  // Where instances go when the request does not say: any default subnet could be chosen, so each has to be allowed.
  void network_of_launch() {
    const auto has = [&](std::string_view type) {
      return std::ranges::any_of(seen_, [&](const auto& each) { return each.starts_with(type); });
    };
    const auto vpc = catalog::default_vpc(txn_, region_name(), account());
    const auto zone = word("Placement.AvailabilityZone");
    if (!has("subnet/") && vpc) {
      for (const auto& row : catalog::subnets_of(txn_, region_name(), account())) {
        if (row.is_default && (zone.empty() || row.zone == zone)) about("subnet", row.id);
      }
    } else if (!has("subnet/")) {
      for (const auto& each : request_.region.zones) {
        if (zone.empty() || each == zone) push(new_in("subnet", each));
      }
    }
    if (has("security-group/")) return;
    const auto row = vpc ? catalog::find_security_group_named(txn_, region_name(), vpc->id, "default") : std::nullopt;
    row ? about("security-group", row->id) : push(new_in("security-group", {}));
  }

  // Of an account's network, which its first launch makes.
  Asked new_in(const std::string& type, const std::string& zone) const {
    auto what = control::facts_of_new(request_.region, request_.principal, type);
    if (!zone.empty()) what.context.set("ec2:AvailabilityZone", zone);
    return what;
  }

  // Who gives an instance a profile gives it the profile's role.
  void pass_role() {
    const control::ProfileName name{.name = word("IamInstanceProfile.Name"), .arn = word("IamInstanceProfile.Arn")};
    if (name.empty()) return;
    const auto role = control::role_of_profile(txn_, account(), name);
    if (!role) return;  // nothing is passed
    Asked what{.action = "iam:PassRole", .resource = role->arn()};
    what.context.set("iam:PassedToService", "ec2.amazonaws.com");
    asked_.push_back(std::move(what));
  }

  Tags tags_at(const std::string& prefix) const {
    Tags tags;
    for (int i = 1; params().has_under(prefix + std::to_string(i)); ++i) {
      const auto at = prefix + std::to_string(i) + ".";
      tags[word(at + "Key")] = word(at + "Value");
    }
    return tags;
  }

  // Of TagSpecification, for a type of resource.
  Tags tags_for(const std::string& type) const {
    for (int i = 1; params().has_under("TagSpecification." + std::to_string(i)); ++i) {
      const auto at = "TagSpecification." + std::to_string(i) + ".";
      if (word(at + "ResourceType") == type) return tags_at(at + "Tag.");
    }
    return {};
  }

  static void add_tags(Asked& what, const Tags& tags) {
    for (const auto& [key, value] : tags) {
      what.context.add("aws:TagKeys", key);
      what.context.set("aws:RequestTag/" + key, value);
    }
  }

  void create(const std::string& type) {
    auto what = control::facts_of_new(request_.region, request_.principal, type);
    const auto tags = tags_for(type);
    add_tags(what, tags);
    if (type == "instance") describe_instance(what);
    if (type == "volume") {
      for (auto& volume : volumes(what)) push(std::move(volume));
    } else {
      push(what);
    }
    if (!tags.empty()) tag(std::move(what));
  }

  // Tags at creation are a permission of their own.
  void tag(Asked what) {
    what.action = "ec2:CreateTags";
    what.context.set("ec2:CreateAction", request_.action);
    asked_.push_back(std::move(what));
  }

  void tag_created(const std::string& type) {
    const auto tags = tags_for(type);
    for (auto& each : asked_) add_tags(each, tags);
    if (!tags.empty() && !asked_.empty()) tag(asked_.front());
  }

  void describe_instance(Asked& what) const {
    const auto type = word("InstanceType");
    what.context.set("ec2:InstanceType", type.empty() ? "t3.nano" : type);
    what.context.set("ec2:RootDeviceType", "ebs");
    what.context.set("ec2:Tenancy", "default");
    const auto tokens = word("MetadataOptions.HttpTokens");
    if (!tokens.empty()) what.context.set("ec2:MetadataHttpTokens", tokens);
    const auto zone = word("Placement.AvailabilityZone");
    if (!zone.empty()) what.context.set("ec2:AvailabilityZone", zone);
  }

  struct NewVolume {
    std::string size, type = "gp3", snapshot_id, zone;
    bool encrypted = false;
  };

  std::vector<Asked> volumes(const Asked& base) const {
    std::vector<Asked> all;
    const bool always = catalog::ebs_defaults_of(txn_, region_name(), account()).encrypt;
    for (auto& each : request_.action == "CreateVolume" ? std::vector{volume_of_request()} : volumes_of_launch()) {
      Asked what = base;
      const auto snapshot = catalog::find_snapshot(txn_, region_name(), each.snapshot_id);
      if (snapshot && each.size.empty()) each.size = std::to_string(snapshot->size_gib);
      const bool encrypted = each.encrypted || always || (snapshot && snapshot->encrypted);
      what.context.set("ec2:Encrypted", encrypted ? "true" : "false");
      what.context.set("ec2:VolumeType", each.type);
      if (!each.size.empty()) what.context.set("ec2:VolumeSize", each.size);
      if (!each.zone.empty()) what.context.set("ec2:AvailabilityZone", each.zone);
      if (!each.snapshot_id.empty()) {
        what.context.set("ec2:ParentSnapshot", control::ec2_arn(request_.region, {}, "snapshot", each.snapshot_id));
      }
      all.push_back(std::move(what));
    }
    return all;
  }

  NewVolume volume_of_request() const {
    const auto type = word("VolumeType");
    return {.size = word("Size"),
            .type = type.empty() ? "gp3" : type,
            .snapshot_id = word("SnapshotId"),
            .zone = word("AvailabilityZone"),
            .encrypted = is_true(params().find("Encrypted"))};
  }

  // The image's disks as the request changes them, and those that it adds.
  std::vector<NewVolume> volumes_of_launch() const {
    std::map<std::string, NewVolume> by_device;
    for (const auto& device : catalog::image_devices(txn_, region_name(), word("ImageId"))) {
      if (!device.virtual_name.empty()) continue;
      by_device[device.device_name] = {.size = device.size_gib > 0 ? std::to_string(device.size_gib) : "",
                                       .type = device.volume_type,
                                       .snapshot_id = device.snapshot_id,
                                       .zone = word("Placement.AvailabilityZone"),
                                       .encrypted = device.encrypted};
    }
    for (int i = 1; params().has_under("BlockDeviceMapping." + std::to_string(i)); ++i) {
      const auto at = "BlockDeviceMapping." + std::to_string(i) + ".";
      auto& volume = by_device[word(at + "DeviceName")];
      const auto override = [&](const char* name, std::string& member) {
        if (const auto given = params().find(at + "Ebs." + name)) member = std::string(*given);
      };
      override("VolumeSize", volume.size);
      override("VolumeType", volume.type);
      override("SnapshotId", volume.snapshot_id);
      volume.encrypted = volume.encrypted || is_true(params().find(at + "Ebs.Encrypted"));
    }
    std::vector<NewVolume> volumes;
    for (auto& [name, volume] : by_device) volumes.push_back(std::move(volume));
    if (volumes.empty()) volumes.emplace_back();  // no such image: judged all the same
    return volumes;
  }

  // ec2:Attribute, and ec2:Add/userId and the like of what is shared with whom.
  void attributes() {
    const bool modifies = request_.action.ends_with("Attribute");
    if (!modifies) return;
    for (auto& each : asked_) {
      const auto attribute = word("Attribute");
      if (!attribute.empty()) each.context.add("ec2:Attribute", attribute);
      for (const auto& [name, value] : params().all()) {
        const auto words = base::split(name, '.');
        if (words.size() == 2 && words[1] == "Value") {
          each.context.add("ec2:Attribute", std::string(words[0]));
          each.context.set("ec2:Attribute/" + std::string(words[0]), value);
        }
        share(each, words, value);
      }
    }
  }

  void share(Asked& what, const std::vector<std::string_view>& words, const std::string& value) const {
    const bool is_permission = words[0] == "LaunchPermission" || words[0] == "CreateVolumePermission";
    std::string kind;
    if (is_permission && words.size() == 4 && (words[1] == "Add" || words[1] == "Remove")) {
      what.context.set("ec2:Attribute/" + std::string(words[0]), value);
      kind = std::string(words[1]) + (words[3] == "UserId" ? "/userId" : words[3] == "Group" ? "/group" : "");
    } else if (words.size() == 2 && (words[0] == "UserId" || words[0] == "UserGroup")) {
      const auto operation = word("OperationType");
      if (operation.empty()) return;
      kind = std::string(operation == "add" ? "Add" : "Remove") + (words[0] == "UserId" ? "/userId" : "/group");
    }
    if (kind.find('/') != std::string::npos) what.context.add("ec2:" + kind, value);
  }

  Txn& txn_;
  const AtDoor& request_;
  const std::string action_;
  std::optional<wire::Params> looked_up_;  // of a launch by names
  std::set<std::string> seen_;
  std::vector<Asked> asked_;
};

}  // namespace

std::vector<Asked> asked(const AtDoor& request) {
  if (request.action.starts_with("Describe") && !request.action.ends_with("Attribute")) {
    Asked what{.action = "ec2:" + request.action};
    what.context.set("ec2:Region", request.region.name);
    return {what};
  }
  return catalog::in_read(request.region.catalog, [&](Txn& txn) { return Reader(txn, request).read(); });
}

}  // namespace kiln::services::ec2
