#include "hypervisor/libvirt/xml.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstdint>
#include <pugixml.hpp>
#include <sstream>

namespace kiln::hypervisor {
namespace {

// Ports that disks can be plugged into while the guest runs; q35 has none to spare of its own.
constexpr int spare_ports = 16;

std::string text_of(const pugi::xml_node& node) {
  std::ostringstream out;
  node.print(out, "  ", pugi::format_indent | pugi::format_no_declaration);
  return out.str();
}

pugi::xml_document parse(const std::string& xml, const char* what) {
  pugi::xml_document document;
  if (const auto result = document.load_string(xml.c_str()); !result) {
    throw HostError(std::string("libvirt's XML of a ") + what + ": " + result.description());
  }
  return document;
}

// <parent><name a="1" b="2">text</name></parent>
using Attributes = std::initializer_list<std::pair<const char*, std::string_view>>;
pugi::xml_node add(pugi::xml_node parent, const char* name, Attributes attributes = {}, std::string_view text = {}) {
  auto node = parent.append_child(name);
  for (const auto& [key, value] : attributes) node.append_attribute(key).set_value(std::string(value).c_str());
  if (!text.empty()) node.text().set(std::string(text).c_str());
  return node;
}

void add_disk(pugi::xml_node devices, const Disk& disk) {
  auto node = add(devices, "disk", {{"type", "network"}, {"device", "disk"}});
  // A disk that fails stops the guest instead of corrupting it; it goes on when its server is back.
  add(node, "driver",
      {{"name", "qemu"},
       {"type", "raw"},
       {"cache", "none"},
       {"discard", "unmap"},
       {"error_policy", "stop"},
       {"rerror_policy", "stop"}});
  auto source = add(node, "source", {{"protocol", "nbd"}, {"name", disk.volume_id}});
  add(source, "host", {{"transport", "unix"}, {"socket", disk.socket}});
  add(node, "blockio", {{"logical_block_size", "512"}, {"physical_block_size", "4096"}});
  add(node, "target", {{"dev", disk.device}, {"bus", "virtio"}});
  // Without its dash a volume id has the 20 bytes that a virtio serial may have; guests see it as EC2's do.
  std::string serial = disk.volume_id;
  std::erase(serial, '-');
  add(node, "serial", {}, serial);
}

void add_identity(pugi::xml_node domain, const DomainSpec& spec) {
  auto system = add(domain, "sysinfo", {{"type", "smbios"}});
  auto bios = add(system, "bios");
  add(bios, "entry", {{"name", "vendor"}}, "Amazon EC2");
  add(bios, "entry", {{"name", "version"}}, "1.0");
  auto machine = add(system, "system");
  add(machine, "entry", {{"name", "manufacturer"}}, "Amazon EC2");
  add(machine, "entry", {{"name", "product"}}, spec.instance_type);
  add(machine, "entry", {{"name", "serial"}}, spec.uuid);
  add(machine, "entry", {{"name", "uuid"}}, spec.uuid);
  auto chassis = add(system, "chassis");
  add(chassis, "entry", {{"name", "asset"}}, "Amazon EC2");
}

void add_devices(pugi::xml_node domain, const DomainSpec& spec, const DomainSettings& settings) {
  auto devices = add(domain, "devices");
  if (!settings.emulator.empty()) add(devices, "emulator", {}, settings.emulator);
  add(devices, "controller", {{"type", "usb"}, {"model", "none"}});
  // libvirt adds root ports only after an explicit root.
  add(devices, "controller", {{"type", "pci"}, {"index", "0"}, {"model", "pcie-root"}});
  for (int i = 0; i < spare_ports; ++i) add(devices, "controller", {{"type", "pci"}, {"model", "pcie-root-port"}});
  for (const auto& disk : spec.disks) add_disk(devices, disk);
  auto nic = add(devices, "interface", {{"type", "network"}});
  add(nic, "source", {{"network", network_name(spec.nic.vpc_id)}});
  add(nic, "mac", {{"address", spec.nic.mac}});
  add(nic, "model", {{"type", "virtio"}});
  auto serial = add(devices, "serial", {{"type", "pty"}});
  add(serial, "log", {{"file", spec.console_log}, {"append", "on"}});
  add(serial, "target", {{"port", "0"}});
  auto console = add(devices, "console", {{"type", "pty"}});
  add(console, "target", {{"type", "serial"}, {"port", "0"}});
  auto rng = add(devices, "rng", {{"model", "virtio"}});
  add(rng, "backend", {{"model", "random"}}, "/dev/urandom");
  auto balloon = add(devices, "memballoon", {{"model", "virtio"}});
  add(balloon, "stats", {{"period", "10"}});
}

struct Ipv4Network {
  std::uint32_t address = 0;
  unsigned prefix = 0;
  std::uint32_t mask() const { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }
};

Ipv4Network ipv4_network(const std::string& cidr) {
  const auto slash = cidr.find('/');
  Ipv4Network network;
  in_addr address{};
  if (slash != std::string::npos && ::inet_pton(AF_INET, cidr.substr(0, slash).c_str(), &address) == 1) {
    const char* end = cidr.data() + cidr.size();
    const auto [stop, failure] = std::from_chars(cidr.data() + slash + 1, end, network.prefix);
    network.address = ntohl(address.s_addr);
    if (failure == std::errc{} && stop == end && network.prefix >= 8 && network.prefix <= 28 &&
        (network.address & ~network.mask()) == 0) {
      return network;
    }
  }
  throw HostError("not an IPv4 network of /8 to /28: " + cidr);
}

std::string dotted(std::uint32_t address) {
  char text[INET_ADDRSTRLEN];
  const in_addr raw{htonl(address)};
  return ::inet_ntop(AF_INET, &raw, text, sizeof text);
}

}  // namespace

std::string domain_xml(const DomainSpec& spec, const DomainSettings& settings) {
  pugi::xml_document document;
  auto domain = add(document, "domain", {{"type", settings.acceleration}});
  add(domain, "name", {}, spec.instance_id);
  add(domain, "uuid", {}, spec.uuid);
  auto marks = add(add(domain, "metadata"), "kiln:instance", {{"xmlns:kiln", metadata_uri}});
  add(marks, "kiln:id", {}, spec.instance_id);
  add(marks, "kiln:owner", {}, settings.owner);
  add(domain, "memory", {{"unit", "KiB"}}, std::to_string(spec.memory_bytes / 1024));
  add(domain, "vcpu", {}, std::to_string(spec.vcpus));
  add_identity(domain, spec);
  auto os = add(domain, "os");
  add(os, "type", {{"arch", "x86_64"}, {"machine", "q35"}}, "hvm");
  add(os, "boot", {{"dev", "hd"}});
  add(os, "smbios", {{"mode", "sysinfo"}});
  auto features = add(domain, "features");
  add(features, "acpi");
  add(features, "apic");
  if (settings.acceleration == "kvm") add(domain, "cpu", {{"mode", "host-passthrough"}});
  add(domain, "clock", {{"offset", "utc"}});
  add(domain, "on_poweroff", {}, "destroy");
  add(domain, "on_reboot", {}, "restart");
  add(domain, "on_crash", {}, "destroy");
  add_devices(domain, spec, settings);
  return text_of(domain);
}

std::string disk_xml(const Disk& disk) {
  pugi::xml_document document;
  add_disk(document, disk);
  return text_of(document.first_child());
}

std::string network_name(const std::string& vpc_id) { return "kiln-" + vpc_id; }

std::string bridge_name(const std::string& vpc_id) {
  return "kiln" + vpc_id.substr(vpc_id.size() > 11 ? vpc_id.size() - 11 : 0);
}

std::string network_xml(const Network& network) {
  const auto range = ipv4_network(network.cidr);
  pugi::xml_document document;
  auto node = add(document, "network");
  add(node, "name", {}, network_name(network.vpc_id));
  add(node, "forward", {{"mode", "open"}});
  add(node, "bridge", {{"name", bridge_name(network.vpc_id)}, {"stp", "off"}, {"delay", "0"}});
  add(node, "dns", {{"enable", "no"}});
  auto ip = add(node, "ip", {{"address", dotted(range.address + 1)}, {"netmask", dotted(range.mask())}});
  // dnsmasq serves DHCP when there is something to serve; this one is nobody's, in the range that EC2 reserves.
  add(add(ip, "dhcp"), "host", {{"mac", "02:00:00:00:00:00"}, {"ip", dotted(range.address + 3)}});
  add(node, "ip", {{"address", "169.254.169.254"}, {"prefix", "32"}});
  return text_of(node);
}

std::string reservation_xml(const Nic& nic, const std::string& hostname) {
  pugi::xml_document document;
  auto host = add(document, "host", {{"mac", nic.mac}});
  if (!hostname.empty()) host.append_attribute("name").set_value(hostname.c_str());
  host.append_attribute("ip").set_value(nic.private_ip.c_str());
  // A guest that is gone holds its address until the lease ends, and nobody else can be given it before.
  add(host, "lease", {{"expiry", "5"}, {"unit", "minutes"}});
  return text_of(host);
}

std::optional<gid_t> read_qemu_group(const std::string& capabilities) {
  pugi::xml_document document;
  if (!document.load_string(capabilities.c_str())) throw HostError("not XML: " + capabilities);
  for (const auto& model : document.child("capabilities").child("host").children("secmodel")) {
    if (std::string_view(model.child_value("model")) != "dac") continue;
    // "+64055:+64055"; every type of guest has the same one.
    const std::string label = model.child_value("baselabel");
    const auto colon = label.find(":+");
    gid_t group = 0;
    if (colon == std::string::npos) return {};
    const char* end = label.data() + label.size();
    const auto [stop, failure] = std::from_chars(label.data() + colon + 2, end, group);
    if (failure == std::errc{} && stop == end) return group;
  }
  return {};
}

std::optional<Marks> read_marks(const std::string& metadata) {
  pugi::xml_document document;
  if (!document.load_string(metadata.c_str())) return std::nullopt;
  // The prefix is libvirt's to choose; the local names are ours.
  Marks marks;
  for (const auto& child : document.first_child().children()) {
    std::string_view name = child.name();
    if (const auto colon = name.find(':'); colon != name.npos) name.remove_prefix(colon + 1);
    if (name == "id") marks.instance_id = child.text().get();
    if (name == "owner") marks.owner = child.text().get();
  }
  if (marks.instance_id.empty()) return std::nullopt;
  return marks;
}

std::vector<AttachedDisk> read_disks(const std::string& domain) {
  const auto document = parse(domain, "domain");
  std::vector<AttachedDisk> disks;
  for (const auto& disk : document.child("domain").child("devices").children("disk")) {
    disks.push_back({.device = disk.child("target").attribute("dev").value(),
                     .export_name = disk.child("source").attribute("name").value()});
  }
  return disks;
}

std::vector<Reservation> read_reservations(const std::string& network) {
  const auto document = parse(network, "network");
  std::vector<Reservation> all;
  for (const auto& ip : document.child("network").children("ip")) {
    for (const auto& host : ip.child("dhcp").children("host")) {
      all.push_back({host.attribute("mac").value(), host.attribute("ip").value(), text_of(host)});
    }
  }
  return all;
}

std::string read_gateway(const std::string& network) {
  const auto document = parse(network, "network");
  const auto ip = document.child("network").child("ip");
  return std::string(ip.attribute("address").value()) + "/" + ip.attribute("netmask").value();
}

std::string read_bridge(const std::string& network) {
  const auto document = parse(network, "network");
  return document.child("network").child("bridge").attribute("name").value();
}

}  // namespace kiln::hypervisor
