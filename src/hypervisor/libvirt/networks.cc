// The part of LibvirtHost that is about networks: one for each VPC, with DHCP reservations that come and go while it
// runs.
#include <libvirt/virterror.h>

#include "hypervisor/libvirt/libvirt_host.h"
#include "hypervisor/libvirt/xml.h"

namespace kiln::hypervisor {
namespace {

constexpr unsigned live_and_defined = VIR_NETWORK_UPDATE_AFFECT_LIVE | VIR_NETWORK_UPDATE_AFFECT_CONFIG;

std::string xml_of(const NetworkPtr& network) {
  return take_text(virNetworkGetXMLDesc(network.get(), 0), "describe network");
}

int update(const NetworkPtr& network, virNetworkUpdateCommand command, const std::string& host) {
  return virNetworkUpdate(network.get(), command, VIR_NETWORK_SECTION_IP_DHCP_HOST, -1, host.c_str(), live_and_defined);
}

}  // namespace

void LibvirtHost::ensure_network(const Network& wanted) {
  const auto xml = network_xml(wanted);
  auto network = find_network(wanted.vpc_id);
  if (network) {
    const auto there = read_gateway(xml_of(network));
    if (there != read_gateway(xml)) {
      throw HostError("network of " + wanted.vpc_id + " has gateway " + there + " and is wanted for " + wanted.cidr);
    }
  } else {
    const auto connection = connection_.get();
    network.reset(virNetworkDefineXML(connection.get(), xml.c_str()));
    if (!network) throw_libvirt_error("define the network of " + wanted.vpc_id);
  }
  // With autostart it is back after a reboot of the host, before any guest is.
  check(virNetworkSetAutostart(network.get(), 1), "autostart the network of " + wanted.vpc_id);
  if (virNetworkIsActive(network.get()) != 1 && virNetworkCreate(network.get()) < 0 &&
      virNetworkIsActive(network.get()) != 1) {
    throw_libvirt_error("start the network of " + wanted.vpc_id);
  }
}

void LibvirtHost::remove_network(const std::string& vpc_id) {
  const auto network = find_network(vpc_id);
  if (!network) return;
  if (virNetworkIsActive(network.get()) == 1) check(virNetworkDestroy(network.get()), "stop the network of " + vpc_id);
  if (virNetworkUndefine(network.get()) < 0 && !last_error_is(VIR_ERR_NO_NETWORK)) {
    throw_libvirt_error("undefine the network of " + vpc_id);
  }
}

void LibvirtHost::add_address(const Nic& nic, const std::string& hostname) {
  const auto network = network_of(nic.vpc_id);
  const auto wanted = reservation_xml(nic, hostname);
  // A reservation of this card for another address, or of this address for another card, is left over from a job that
  // did not come to its end. libvirt refuses duplicates of either.
  for (const auto& there : read_reservations(xml_of(network))) {
    if (there.mac == nic.mac && there.ip == nic.private_ip) return;
    if (there.mac != nic.mac && there.ip != nic.private_ip) continue;
    check(update(network, VIR_NETWORK_UPDATE_COMMAND_DELETE, there.xml), "drop the reservation of " + there.ip);
  }
  check(update(network, VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, wanted), "reserve " + nic.private_ip);
}

void LibvirtHost::remove_address(const Nic& nic) {
  const auto network = find_network(nic.vpc_id);
  if (!network) return;
  for (const auto& there : read_reservations(xml_of(network))) {
    if (there.mac != nic.mac) continue;
    check(update(network, VIR_NETWORK_UPDATE_COMMAND_DELETE, there.xml), "drop the reservation of " + there.ip);
  }
}

std::string LibvirtHost::bridge(const std::string& vpc_id) { return read_bridge(xml_of(network_of(vpc_id))); }

NetworkPtr LibvirtHost::find_network(const std::string& vpc_id) {
  const auto connection = connection_.get();
  NetworkPtr network(virNetworkLookupByName(connection.get(), network_name(vpc_id).c_str()));
  if (!network && !last_error_is(VIR_ERR_NO_NETWORK)) throw_libvirt_error("network of " + vpc_id);
  return network;
}

NetworkPtr LibvirtHost::network_of(const std::string& vpc_id) {
  auto network = find_network(vpc_id);
  if (!network) throw HostError("no network for " + vpc_id);
  return network;
}

}  // namespace kiln::hypervisor
