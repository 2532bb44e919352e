#include "images/ovf.h"

#include <pugixml.hpp>
#include <vector>

#include "images/window.h"

namespace kiln::images {
namespace {

using base::Result;

// Prefixes are the writer's own choice; the names after them are not.
std::string_view local(std::string_view name) {
  const auto colon = name.find(':');
  return colon == std::string_view::npos ? name : name.substr(colon + 1);
}

std::string_view attribute(const pugi::xml_node& node, std::string_view name) {
  for (const auto& each : node.attributes()) {
    if (local(each.name()) == name) return each.value();
  }
  return {};
}

std::vector<pugi::xml_node> children(const pugi::xml_node& node, std::string_view name) {
  std::vector<pugi::xml_node> found;
  for (const auto& child : node.children()) {
    if (local(child.name()) == name) found.push_back(child);
  }
  return found;
}

// VMware names its format by one address, others theirs by others; all contain the format's name.
Result<Format> format_of(std::string_view uri) {
  constexpr std::pair<std::string_view, Format> known[] = {{"vmdk", Format::vmdk},
                                                           {"vhdx", Format::vhdx},
                                                           {"vhd", Format::vhd},
                                                           {"bb676673", Format::vhd},
                                                           {"qcow2", Format::qcow2}};
  for (const auto& [word, format] : known) {
    if (uri.find(word) != std::string_view::npos) return format;
  }
  return refused("the OVA has a disk of a format that is not known");
}

}  // namespace

Result<OvfDisk> disk_of_ovf(std::string_view xml) {
  if (xml.size() > most_ovf_bytes) return refused("the OVA has a descriptor of more than 1 MiB");
  if (xml.find("<!DOCTYPE") != std::string_view::npos || xml.find("<!ENTITY") != std::string_view::npos) {
    return refused("the OVA has a descriptor with a document type, which may name other files");
  }
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size(), pugi::parse_default, pugi::encoding_utf8)) {
    return malformed("the OVA has a descriptor that is no XML");
  }
  const auto envelope = document.document_element();
  if (local(envelope.name()) != "Envelope") return malformed("the OVA has a descriptor that is no OVF");
  std::vector<pugi::xml_node> disks;
  std::string names;
  for (const auto& section : children(envelope, "DiskSection")) {
    for (const auto& disk : children(section, "Disk")) {
      if (!attribute(disk, "parentRef").empty()) return refused("the OVA has a disk with a parent");
      if (attribute(disk, "fileRef").empty()) continue;  // made empty at deployment
      disks.push_back(disk);
      names += (names.empty() ? "" : ", ") + std::string(attribute(disk, "fileRef").substr(0, 60));
    }
  }
  if (disks.empty()) return refused("the OVA has no disk");
  if (disks.size() > 1) {
    return refused("the OVA has " + std::to_string(disks.size()) + " disks (" + names.substr(0, 400) +
                   "), and an image begins with one: unpack it and import each disk by itself");
  }
  const auto wanted = attribute(disks.front(), "fileRef");
  const auto format = format_of(attribute(disks.front(), "format"));
  if (!format) return format.error();
  std::vector<pugi::xml_node> files;
  for (const auto& section : children(envelope, "References")) {
    for (const auto& file : children(section, "File")) {
      if (attribute(file, "id") == wanted) files.push_back(file);
    }
  }
  if (files.size() != 1) return malformed("the OVA's disk is not one of its files");
  if (!attribute(files.front(), "compression").empty() && attribute(files.front(), "compression") != "identity") {
    return refused("the OVA's disk is compressed as a file; that is not read");
  }
  if (!attribute(files.front(), "chunkSize").empty()) return refused("the OVA's disk is cut in pieces");
  return OvfDisk{.file = std::string(attribute(files.front(), "href")), .format = *format};
}

}  // namespace kiln::images
