#pragma once
// The XML that libvirt is told, and what we read back from it. Pure functions: any thread, nothing is kept.
//
// Written with pugixml, so that no name, path or number can break out of its element. A domain carries, in the
// namespace urn:kiln:1, the instance that it is and the owner that made it: several daemons may share one libvirt.

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hypervisor/host.h"

namespace kiln::hypervisor {

inline constexpr std::string_view metadata_uri = "urn:kiln:1";

struct DomainSettings {
  std::string acceleration;  // kvm or qemu
  std::string emulator;      // the program that libvirt runs for QEMU
  std::string owner;
};

std::string domain_xml(const DomainSpec& spec, const DomainSettings& settings);
std::string disk_xml(const Disk& disk);

// A network of one VPC: DHCP for reserved addresses alone, 169.254.169.254 on the bridge, no DNS (two dnsmasq cannot
// both listen on 169.254.169.254). Throws HostError unless cidr is an IPv4 network such as 10.77.0.0/16.
std::string network_xml(const Network& network);
std::string network_name(const std::string& vpc_id);
std::string bridge_name(const std::string& vpc_id);  // at most 15 bytes, as interface names are
std::string reservation_xml(const Nic& nic, const std::string& hostname);

// The group that QEMU runs as, from the capabilities of the connection; none when libvirt leaves it as it is.
std::optional<gid_t> read_qemu_group(const std::string& capabilities);

struct Marks {
  std::string instance_id;
  std::string owner;
};
// From the metadata element of a domain, as virDomainGetMetadata returns it.
std::optional<Marks> read_marks(const std::string& metadata);

struct AttachedDisk {
  std::string device;
  std::string export_name;
};
std::vector<AttachedDisk> read_disks(const std::string& domain);

struct Reservation {
  std::string mac;
  std::string ip;
  std::string xml;  // the element as it stands, to delete it by
};
std::vector<Reservation> read_reservations(const std::string& network);
std::string read_gateway(const std::string& network);  // 10.77.0.1/255.255.0.0
std::string read_bridge(const std::string& network);

}  // namespace kiln::hypervisor
