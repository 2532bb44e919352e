#include "remote/answers.h"

#include <algorithm>
#include <charconv>
#include <pugixml.hpp>

#include "base/api_error.h"
#include "base/text.h"
#include "wire/json.h"

namespace kiln::remote {

struct Block {
  int block_index = 0;
  std::string block_token;
  std::string checksum;
};
struct Blocks {
  std::vector<Block> blocks;
  std::int64_t volume_size = 0;
  int block_size = 0;
  std::string next_token;
  std::int64_t disk_size_in_bytes = 0;
  std::string tree_checksum;
};
struct JsonRefusal {
  std::string message;
};

}  // namespace kiln::remote

KILN_WIRE(kiln::remote::Block, block_index, block_token, checksum)
KILN_WIRE(kiln::remote::Blocks, blocks, volume_size, block_size, next_token, disk_size_in_bytes, tree_checksum)
KILN_WIRE(kiln::remote::JsonRefusal, message)

namespace kiln::remote {
namespace {

constexpr std::int64_t most_gib = blocks::max_disk_bytes >> 30;

pugi::xml_document parsed(std::string_view xml) {
  pugi::xml_document document;
  const auto done = document.load_buffer(xml.data(), xml.size());
  if (!done) throw Unreadable(std::string("the answer is no XML: ") + done.description());
  return document;
}

std::string text(const pugi::xml_node& parent, const char* name) { return parent.child_value(name); }

std::optional<std::int64_t> number(const pugi::xml_node& parent, const char* name) {
  const std::string_view digits = parent.child_value(name);
  if (digits.empty()) return {};
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) {
    throw Unreadable(std::string(name) + " is '" + std::string(digits) + "' and no number");
  }
  return value;
}

std::optional<int> small_number(const pugi::xml_node& parent, const char* name) {
  const auto value = number(parent, name);
  if (value && (*value < 0 || *value > 1'000'000'000)) throw Unreadable(std::string(name) + " is out of range");
  return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

bool is_true(const pugi::xml_node& parent, const char* name) {
  return std::string_view(parent.child_value(name)) == "true";
}

std::int64_t size_gib(const pugi::xml_node& parent, const char* name) {
  const auto size = number(parent, name).value_or(0);
  if (size < 1 || size > most_gib) throw Unreadable("a volume of " + std::to_string(size) + " GiB");
  return size;
}

// The item of a list whose id this is.
pugi::xml_node find(const pugi::xml_document& document, const char* list, const char* id_name, const std::string& id) {
  for (const auto& item : document.document_element().child(list).children("item")) {
    if (item.child_value(id_name) == id) return item;
  }
  return {};
}

catalog::ImageDevice device_of(const pugi::xml_node& item, int position) {
  catalog::ImageDevice device{
      .position = position, .device_name = text(item, "deviceName"), .virtual_name = text(item, "virtualName")};
  if (device.device_name.empty() || device.device_name.size() > 64) throw Unreadable("a device without a name");
  const auto ebs = item.child("ebs");
  if (!ebs) return device;
  device.snapshot_id = text(ebs, "snapshotId");
  device.size_gib = size_gib(ebs, "volumeSize");
  device.volume_type = text(ebs, "volumeType");
  device.delete_on_termination = is_true(ebs, "deleteOnTermination");
  device.encrypted = is_true(ebs, "encrypted");
  device.iops = small_number(ebs, "iops");
  device.throughput = small_number(ebs, "throughput");
  return device;
}

std::uint64_t disk_bytes_of(const Blocks& listed) {
  if (listed.volume_size < 1 || listed.volume_size > most_gib) {
    throw Unreadable("a volume of " + std::to_string(listed.volume_size) + " GiB");
  }
  if (listed.disk_size_in_bytes == 0) return static_cast<std::uint64_t>(listed.volume_size) << 30;
  if (listed.disk_size_in_bytes < 0 || listed.disk_size_in_bytes > listed.volume_size << 30) {
    throw Unreadable("a disk of " + std::to_string(listed.disk_size_in_bytes) + " bytes");
  }
  return static_cast<std::uint64_t>(listed.disk_size_in_bytes);
}

}  // namespace

Refused ec2_refusal(std::string_view xml) {
  pugi::xml_document document;
  if (!document.load_buffer(xml.data(), xml.size())) return {};
  const auto error = document.document_element().child("Errors").child("Error");
  return {.code = text(error, "Code"), .message = text(error, "Message")};
}

Refused json_refusal(std::string_view error_type_header, std::string_view json) {
  // "ValidationException:http://internal.amazon.com/..." is how AWS writes it.
  Refused refused{.code = std::string(error_type_header.substr(0, error_type_header.find(':'))), .message = {}};
  try {
    JsonRefusal body;
    wire::decode_json(json, wire::JsonNames::lower, wire::type_of<JsonRefusal>(), &body);
    refused.message = body.message;
    if (body.message.empty()) {
      wire::decode_json(json, wire::JsonNames::upper, wire::type_of<JsonRefusal>(), &body);
      refused.message = body.message;
    }
  } catch (const base::ApiError&) {
    // Then the code says it alone.
  }
  return refused;
}

std::optional<control::SourceImage> image_of(std::string_view xml, const std::string& image_id) {
  const auto document = parsed(xml);
  const auto item = find(document, "imagesSet", "imageId", image_id);
  if (!item) return {};
  control::SourceImage found;
  found.image = {.id = image_id,
                 .account = text(item, "imageOwnerId"),
                 .name = text(item, "name"),
                 .description = text(item, "description"),
                 .architecture = text(item, "architecture"),
                 .state = text(item, "imageState"),
                 .root_device_name = text(item, "rootDeviceName"),
                 .virtualization_type = text(item, "virtualizationType"),
                 .boot_mode = text(item, "bootMode"),
                 .imds_support = text(item, "imdsSupport"),
                 .tpm_support = text(item, "tpmSupport"),
                 .sriov_net_support = text(item, "sriovNetSupport"),
                 .ena_support = is_true(item, "enaSupport"),
                 .platform = text(item, "platform")};
  int position = 0;
  for (const auto& device : item.child("blockDeviceMapping").children("item")) {
    found.devices.push_back(device_of(device, position++));
  }
  for (const auto& tag : item.child("tagSet").children("item")) found.tags[text(tag, "key")] = text(tag, "value");
  return found;
}

std::optional<control::SourceSnapshot> snapshot_of(std::string_view xml, const std::string& snapshot_id) {
  const auto document = parsed(xml);
  const auto item = find(document, "snapshotSet", "snapshotId", snapshot_id);
  if (!item) return {};
  return control::SourceSnapshot{.id = snapshot_id,
                                 .state = text(item, "status"),
                                 .size_gib = size_gib(item, "volumeSize"),
                                 .encrypted = is_true(item, "encrypted")};
}

control::SourcePage page_of(std::string_view json) {
  Blocks listed;
  try {
    wire::decode_json(json, wire::JsonNames::upper, wire::type_of<Blocks>(), &listed);
  } catch (const base::ApiError& error) {
    throw Unreadable(std::string("the list of blocks: ") + error.what());
  }
  if (listed.block_size != static_cast<int>(blocks::chunk_bytes)) {
    throw Unreadable("blocks of " + std::to_string(listed.block_size) + " bytes");
  }
  control::SourcePage page{.blocks = {},
                           .next_page = std::move(listed.next_token),
                           .disk_bytes = disk_bytes_of(listed),
                           .root = digest_of(listed.tree_checksum)};
  for (auto& block : listed.blocks) {
    if (block.block_index < 0) throw Unreadable("block " + std::to_string(block.block_index));
    page.blocks.push_back({.index = static_cast<std::uint64_t>(block.block_index),
                           .digest = digest_of(block.checksum),
                           .token = std::move(block.block_token)});
  }
  return page;
}

std::optional<base::Digest> digest_of(std::string_view base64) {
  const auto bytes = base::from_base64(base64);
  base::Digest digest;
  if (!bytes || bytes->size() != digest.bytes.size()) return {};
  std::ranges::copy(base::as_bytes(*bytes), digest.bytes.begin());
  return digest;
}

}  // namespace kiln::remote
