#include "services/imds/tree.h"

#include <boost/json.hpp>
#include <set>

#include "base/text.h"
#include "services/imds/role_credentials.h"

namespace kiln::services::imds {
namespace {

std::string lines(const std::vector<std::string>& texts) {
  std::string joined;
  for (const auto& text : texts) joined += (joined.empty() ? "" : "\n") + text;
  return joined;
}

void add_network(Tree& tree, const control::GuestMetadata& guest, const std::string& hostname) {
  const catalog::Instance& row = guest.instance;
  std::vector<std::string> group_ids, group_names;
  for (const auto& [id, name] : guest.groups) {
    group_ids.push_back(id);
    group_names.push_back(name);
  }
  tree["meta-data/security-groups"] = lines(group_names);
  const std::string nic = "meta-data/network/interfaces/macs/" + row.mac + "/";
  tree[nic + "device-number"] = "0";
  tree[nic + "interface-id"] = row.eni_id;
  tree[nic + "local-hostname"] = hostname;
  tree[nic + "local-ipv4s"] = row.private_ip;
  tree[nic + "mac"] = row.mac;
  tree[nic + "owner-id"] = row.account;
  tree[nic + "security-group-ids"] = lines(group_ids);
  tree[nic + "security-groups"] = lines(group_names);
  tree[nic + "subnet-id"] = row.subnet_id;
  tree[nic + "subnet-ipv4-cidr-block"] = guest.subnet_cidr;
  tree[nic + "vpc-id"] = row.vpc_id;
  tree[nic + "vpc-ipv4-cidr-block"] = guest.vpc_cidr;
  tree[nic + "vpc-ipv4-cidr-blocks"] = guest.vpc_cidr;
}

std::string identity_document(const control::GuestMetadata& guest) {
  const catalog::Instance& row = guest.instance;
  const boost::json::object members{{"accountId", row.account},
                                    {"architecture", guest.architecture},
                                    {"availabilityZone", row.zone},
                                    {"billingProducts", nullptr},
                                    {"devpayProductCodes", nullptr},
                                    {"marketplaceProductCodes", nullptr},
                                    {"imageId", row.image_id},
                                    {"instanceId", row.id},
                                    {"instanceType", row.instance_type},
                                    {"kernelId", nullptr},
                                    {"pendingTime", base::to_iso8601(row.launched).substr(0, 19) + "Z"},
                                    {"privateIp", row.private_ip},
                                    {"ramdiskId", nullptr},
                                    {"region", row.region},
                                    {"version", "2017-09-30"}};
  // One member a line, as EC2 writes it: scripts take it apart with grep.
  std::string text = "{\n";
  for (const auto& [name, value] : members) {
    text += "  " + boost::json::serialize(boost::json::string(name)) + " : " + boost::json::serialize(value) + ",\n";
  }
  text.replace(text.size() - 2, 2, "\n}");
  return text;
}

}  // namespace

std::string credentials_path(const control::ProfileOfGuest& profile) {
  return "meta-data/iam/security-credentials/" + profile.role_name;
}

Tree tree_of(const control::GuestMetadata& guest) {
  const catalog::Instance& row = guest.instance;
  const std::string hostname = control::private_dns_name(row.region, row.private_ip);
  Tree tree{{"meta-data/ami-id", row.image_id},
            {"meta-data/ami-launch-index", std::to_string(row.launch_index)},
            {"meta-data/ami-manifest-path", "(unknown)"},
            {"meta-data/hostname", hostname},
            {"meta-data/instance-action", "none"},
            {"meta-data/instance-id", row.id},
            {"meta-data/instance-life-cycle", "on-demand"},
            {"meta-data/instance-type", row.instance_type},
            {"meta-data/local-hostname", hostname},
            {"meta-data/local-ipv4", row.private_ip},
            {"meta-data/mac", row.mac},
            {"meta-data/placement/availability-zone", row.zone},
            {"meta-data/placement/region", row.region},
            {"meta-data/profile", "default-hvm"},
            {"meta-data/reservation-id", row.reservation_id},
            {"meta-data/services/domain", "amazonaws.com"},
            {"meta-data/services/partition", "aws"}};
  add_network(tree, guest, hostname);
  for (const auto& [name, device] : guest.devices) tree["meta-data/block-device-mapping/" + name] = device;
  if (guest.profile) {
    tree["meta-data/iam/info"] = profile_info(*guest.profile);
    if (!guest.profile->role_name.empty()) tree[credentials_path(*guest.profile)] = "";
  }
  if (!guest.public_key.empty()) tree["meta-data/public-keys/0=" + row.key_name + "/openssh-key"] = guest.public_key;
  tree["dynamic/instance-identity/document"] = identity_document(guest);
  if (!row.user_data.empty()) tree["user-data"] = base::from_base64(row.user_data).value_or(row.user_data);
  return tree;
}

std::optional<std::string> look_up(const Tree& tree, std::string_view path) {
  if (const auto leaf = tree.find(std::string(path)); leaf != tree.end()) return leaf->second;
  std::string directory(path);
  if (!directory.empty() && directory.back() != '/') directory += '/';

  // A key is listed as "0=its name" and asked for as "0".
  constexpr std::string_view keys = "meta-data/public-keys/";
  if (directory.starts_with(keys)) {
    const auto entry = tree.lower_bound(std::string(keys));
    if (entry == tree.end() || !entry->first.starts_with(keys)) return {};
    const std::string listed = entry->first.substr(keys.size(), entry->first.rfind('/') - keys.size());
    if (directory == keys) return listed;
    if (directory == std::string(keys) + "0/") return "openssh-key";
    if (path == std::string(keys) + "0/openssh-key") return entry->second;
    return {};
  }

  std::set<std::string> names;
  for (auto entry = tree.lower_bound(directory); entry != tree.end() && entry->first.starts_with(directory); ++entry) {
    const auto rest = std::string_view(entry->first).substr(directory.size());
    const auto slash = rest.find('/');
    // The first level has always been written without slashes.
    names.emplace(rest.substr(0, slash == std::string_view::npos || directory.empty() ? slash : slash + 1));
  }
  if (names.empty()) return {};
  return lines({names.begin(), names.end()});
}

}  // namespace kiln::services::imds
