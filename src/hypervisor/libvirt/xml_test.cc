#include "hypervisor/libvirt/xml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pugixml.hpp>

namespace kiln::hypervisor {
namespace {

DomainSpec some_spec() {
  return {.instance_id = "i-0123456789abcdef0",
          .uuid = "ec2f4b5c-0000-4000-8000-000000000001",
          .instance_type = "t3.micro",
          .vcpus = 2,
          .memory_bytes = 1ULL << 30,
          .disks = {{.volume_id = "vol-0123456789abcdef0", .device = "vda", .socket = "/run/x/nbd.sock"},
                    {.volume_id = "vol-0123456789abcdef1", .device = "vdb", .socket = "/run/x/nbd.sock"}},
          .nic = {.vpc_id = "vpc-1", .mac = "02:00:00:00:00:09", .private_ip = "10.0.0.9"},
          .console_log = "/run/x/console.log"};
}

pugi::xml_document parsed(const std::string& xml) {
  pugi::xml_document document;
  EXPECT_TRUE(document.load_string(xml.c_str())) << xml;
  return document;
}

std::string at(const pugi::xml_document& document, const char* path) {
  const auto found = document.select_node(path);
  return found.attribute() ? found.attribute().value() : found.node().text().get();
}

TEST(DomainXml, makes_the_machine_that_guests_take_for_an_ec2_instance) {
  const auto xml = parsed(domain_xml(some_spec(), {.acceleration = "qemu", .emulator = "/x/qemu", .owner = "me"}));
  EXPECT_EQ(at(xml, "/domain/@type"), "qemu");
  EXPECT_EQ(at(xml, "/domain/name"), "i-0123456789abcdef0");
  EXPECT_EQ(at(xml, "/domain/memory"), "1048576");
  EXPECT_EQ(at(xml, "/domain/uuid"), at(xml, "//system/entry[@name='uuid']"));
  EXPECT_EQ(at(xml, "/domain/uuid"), at(xml, "//system/entry[@name='serial']"));
  EXPECT_EQ(at(xml, "//system/entry[@name='manufacturer']"), "Amazon EC2");
  EXPECT_EQ(at(xml, "//emulator"), "/x/qemu");
  EXPECT_EQ(at(xml, "//serial/log/@file"), "/run/x/console.log");
  EXPECT_EQ(at(xml, "//serial/log/@append"), "on");
  EXPECT_EQ(at(xml, "//interface/source/@network"), "kiln-vpc-1");
  EXPECT_EQ(at(xml, "/domain/cpu/@mode"), "");
  const auto kvm = parsed(domain_xml(some_spec(), {.acceleration = "kvm", .emulator = "/x/qemu", .owner = "me"}));
  EXPECT_EQ(at(kvm, "/domain/cpu/@mode"), "host-passthrough");
}

TEST(DomainXml, stops_the_guest_when_a_disk_fails) {
  const auto xml = parsed(domain_xml(some_spec(), {.acceleration = "qemu", .emulator = "/x/qemu", .owner = ""}));
  const auto disks = xml.select_nodes("//disk");
  ASSERT_EQ(disks.size(), 2U);
  for (const auto& disk : disks) {
    EXPECT_STREQ(disk.node().child("driver").attribute("error_policy").value(), "stop");
    EXPECT_STREQ(disk.node().child("driver").attribute("rerror_policy").value(), "stop");
    EXPECT_STREQ(disk.node().child("driver").attribute("discard").value(), "unmap");
  }
  EXPECT_EQ(at(xml, "//disk[1]/serial"), "vol0123456789abcdef0");
}

TEST(DomainXml, is_read_back_as_it_was_written) {
  const auto xml = domain_xml(some_spec(), {.acceleration = "qemu", .emulator = "", .owner = "me & <you>"});
  const auto disks = read_disks(xml);
  ASSERT_EQ(disks.size(), 2U);
  EXPECT_EQ(disks[1].device, "vdb");
  EXPECT_EQ(disks[1].export_name, "vol-0123456789abcdef1");
  std::ostringstream metadata;
  parsed(xml).child("domain").child("metadata").first_child().print(metadata);
  const auto marks = read_marks(metadata.str());
  ASSERT_TRUE(marks);
  EXPECT_EQ(marks->instance_id, "i-0123456789abcdef0");
  EXPECT_EQ(marks->owner, "me & <you>");
}

TEST(DomainXml, keeps_hostile_text_inside_its_element) {
  auto spec = some_spec();
  spec.instance_type = "x</entry><evil/>";
  spec.disks[0].socket = "/x'/><evil a='\"";
  const auto xml = parsed(domain_xml(spec, {.acceleration = "qemu", .emulator = "", .owner = ""}));
  EXPECT_TRUE(xml.select_nodes("//evil").empty());
  EXPECT_EQ(at(xml, "//entry[@name='product']"), spec.instance_type);
  EXPECT_EQ(at(xml, "//disk[1]/source/host/@socket"), spec.disks[0].socket);
}

TEST(Marks, are_absent_from_domains_that_are_not_ours) {
  EXPECT_FALSE(read_marks("<other xmlns='urn:x'><owner>me</owner></other>"));
  EXPECT_FALSE(read_marks("not xml"));
}

TEST(Capabilities, name_the_group_that_qemu_runs_as) {
  const auto host = [](const std::string& models) {
    return "<capabilities><host>" + models + "</host></capabilities>";
  };
  const std::string apparmor = "<secmodel><model>apparmor</model><doi>0</doi></secmodel>";
  const std::string dac =
      "<secmodel><model>dac</model><doi>0</doi><baselabel type='kvm'>+64055:+107</baselabel></secmodel>";
  EXPECT_EQ(read_qemu_group(host(apparmor + dac)), 107U);
  EXPECT_FALSE(read_qemu_group(host(apparmor)));
  EXPECT_FALSE(read_qemu_group(host("<secmodel><model>dac</model><baselabel>odd</baselabel></secmodel>")));
}

TEST(NetworkXml, answers_as_the_metadata_service_and_as_the_router) {
  const auto text = network_xml({.vpc_id = "vpc-0123456789abcdef0", .cidr = "10.77.0.0/16"});
  const auto xml = parsed(text);
  EXPECT_EQ(at(xml, "/network/forward/@mode"), "open");
  EXPECT_EQ(at(xml, "/network/ip[1]/@address"), "10.77.0.1");
  EXPECT_EQ(at(xml, "/network/ip[1]/@netmask"), "255.255.0.0");
  EXPECT_EQ(at(xml, "/network/ip[2]/@address"), "169.254.169.254");
  EXPECT_EQ(at(xml, "/network/dns/@enable"), "no");
  EXPECT_EQ(read_gateway(text), "10.77.0.1/255.255.0.0");
  EXPECT_LE(read_bridge(text).size(), 15U);
  EXPECT_EQ(read_bridge(text), bridge_name("vpc-0123456789abcdef0"));
}

TEST(NetworkXml, refuses_what_is_not_a_network) {
  for (const char* cidr : {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/29", "10.0.0.1/16", "10.0.0/16",
                           "fd00::/64", "10.0.0.0/16x", "0.0.0.0/0"}) {
    EXPECT_THROW(network_xml({.vpc_id = "vpc-1", .cidr = cidr}), HostError) << cidr;
  }
}

TEST(Reservation, is_found_in_the_network_it_was_added_to) {
  const Nic nic{.vpc_id = "vpc-1", .mac = "02:00:00:00:00:09", .private_ip = "10.77.0.9"};
  auto network = parsed(network_xml({.vpc_id = "vpc-1", .cidr = "10.77.0.0/16"}));
  const auto added = parsed(reservation_xml(nic, "ip-10-77-0-9"));
  network.child("network").child("ip").child("dhcp").append_copy(added.first_child());
  std::ostringstream text;
  network.print(text);
  const auto all = read_reservations(text.str());
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].mac, nic.mac);
  EXPECT_EQ(all[1].ip, nic.private_ip);
  EXPECT_THAT(all[1].xml, testing::HasSubstr("ip-10-77-0-9"));
}

}  // namespace
}  // namespace kiln::hypervisor
