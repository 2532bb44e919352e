#include "blocks/image_file.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/bytes.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using base::Status;

using Head = std::span<const std::byte>;

// Big-endian, as qcow2 has it; the caller has checked the length.
std::uint64_t big(Head head, std::size_t offset, std::size_t length) {
  std::uint64_t value = 0;
  for (const auto byte : head.subspan(offset, length)) value = value << 8 | std::to_integer<std::uint64_t>(byte);
  return value;
}

struct Signature {
  ImageFormat format;
  std::size_t offset;
  std::string_view bytes;
};

using namespace std::string_view_literals;
constexpr std::array signatures{
    Signature{ImageFormat::qed, 0, "QED\0"sv},
    Signature{ImageFormat::vmdk, 0, "KDMV"sv},
    Signature{ImageFormat::vmdk, 0, "COWD"sv},
    Signature{ImageFormat::vmdk, 0, "# Disk DescriptorFile"sv},
    Signature{ImageFormat::vhd, 0, "conectix"sv},
    Signature{ImageFormat::vhdx, 0, "vhdxfile"sv},
    Signature{ImageFormat::vdi, 64, "\x7f\x10\xda\xbe"sv},
    Signature{ImageFormat::parallels, 0, "WithoutFreeSpace"sv},
    Signature{ImageFormat::parallels, 0, "WithouFreSpacExt"sv},
    Signature{ImageFormat::bochs, 0, "Bochs Virtual HD Image"sv},
    Signature{ImageFormat::cloop, 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop"sv},
    Signature{ImageFormat::luks, 0, "LUKS\xba\xbe"sv},
    Signature{ImageFormat::iso, 0x8001, "CD001"sv},
};

constexpr std::uint32_t qcow_magic = 0x514649fb;
constexpr std::size_t qcow2_v2_header_bytes = 72;
constexpr std::size_t qcow2_v3_header_bytes = 104;
constexpr unsigned external_data_bit = 2;
constexpr unsigned corrupt_bit = 1;
constexpr std::uint64_t known_incompatible = 0b11111;  // dirty, corrupt, external data, compression type, extended L2
constexpr std::uint32_t extension_end = 0;
constexpr std::uint32_t extension_backing_format = 0xe2792aca;
constexpr std::uint32_t extension_data_file = 0x44415441;
constexpr std::uint32_t extension_full_disk_encryption = 0x0537be77;

Error refused(std::string why) { return {Fault::unsupported, std::move(why)}; }
Error malformed(std::string why) { return {Fault::invalid, std::move(why)}; }

Status check_qcow2_features(std::uint64_t features) {
  if (features & 1u << external_data_bit) return refused("the qcow2 file keeps its data in another file");
  if (features & 1u << corrupt_bit) return refused("the qcow2 file is marked corrupt");
  if (const auto unknown = features & ~known_incompatible; unknown != 0) {
    for (unsigned bit = 0; bit < 64; ++bit) {
      if (unknown >> bit & 1)
        return refused("the qcow2 file has the unknown incompatible feature " + std::to_string(bit));
    }
  }
  return {};
}

// Header extensions lie between the header and the end of the first cluster.
Status check_qcow2_extensions(Head head, std::size_t at, std::size_t cluster_bytes) {
  const auto end = std::min(head.size(), cluster_bytes);
  while (at + 8 <= end) {
    const auto type = big(head, at, 4);
    const auto length = big(head, at + 4, 4);
    if (type == extension_end) return {};
    if (type == extension_data_file) return refused("the qcow2 file names a data file");
    if (type == extension_backing_format) return refused("the qcow2 file names the format of a backing file");
    if (type == extension_full_disk_encryption) return refused("the qcow2 file is encrypted");
    if (length > end - at - 8) return malformed("a qcow2 header extension is longer than its cluster");
    at += 8 + (length + 7) / 8 * 8;
  }
  return {};
}

Result<ImageFile> inspect_qcow2(Head head, std::uint64_t file_bytes, std::uint64_t most_virtual_bytes) {
  if (head.size() < qcow2_v2_header_bytes) return malformed("the qcow2 file ends inside its header");
  const auto version = big(head, 4, 4);
  if (version != 2 && version != 3)
    return refused("qcow2 version " + std::to_string(version) + "; versions 2 and 3 are read");
  if (version == 3 && head.size() < qcow2_v3_header_bytes) return malformed("the qcow2 file ends inside its header");
  // Features first: an unknown one may change what every other field means.
  std::size_t header_bytes = qcow2_v2_header_bytes;
  if (version == 3) {
    KILN_TRY(check_qcow2_features(big(head, 72, 8)));
    header_bytes = big(head, 100, 4);
  }
  if (big(head, 8, 8) != 0 || big(head, 16, 4) != 0) return refused("the qcow2 file has a backing file");
  if (big(head, 32, 4) != 0) return refused("the qcow2 file is encrypted");
  const auto cluster_bits = big(head, 20, 4);
  if (cluster_bits < 9 || cluster_bits > 21) {
    return malformed("the qcow2 file has clusters of 2^" + std::to_string(cluster_bits) + " bytes");
  }
  const std::size_t cluster_bytes = std::size_t{1} << cluster_bits;
  const auto least_header = version == 3 ? qcow2_v3_header_bytes : qcow2_v2_header_bytes;
  if (header_bytes < least_header || header_bytes > cluster_bytes || header_bytes % 8 != 0) {
    return malformed("the qcow2 file has a header of " + std::to_string(header_bytes) + " bytes");
  }
  // With clusters larger than what was read, extensions could hide behind it.
  if (head.size() < std::min<std::uint64_t>({cluster_bytes, file_bytes, image_head_bytes})) {
    return malformed("too little of the qcow2 file was read to inspect it");
  }
  KILN_TRY(check_qcow2_extensions(head, header_bytes, cluster_bytes));
  constexpr std::uint64_t most_table_bytes = 32 << 20;  // QEMU's own limit
  const auto table_bytes = big(head, 36, 4) * 8;
  const auto table_at = big(head, 40, 8);
  if (table_bytes > most_table_bytes || table_at > file_bytes || table_bytes > file_bytes - table_at) {
    return malformed("the qcow2 file ends before its first table does: it was cut short");
  }
  const auto virtual_bytes = big(head, 24, 8);
  if (virtual_bytes == 0 || virtual_bytes > most_virtual_bytes) {
    return malformed("the qcow2 file is a disk of " + std::to_string(virtual_bytes) + " bytes; at most " +
                     std::to_string(most_virtual_bytes) + " are accepted");
  }
  return ImageFile{.format = ImageFormat::qcow2, .virtual_bytes = virtual_bytes};
}

}  // namespace

std::string_view to_string(ImageFormat format) {
  constexpr std::array<std::string_view, 13> names{"raw", "qcow2",     "qcow1", "qed",   "vmdk", "vhd", "vhdx",
                                                   "vdi", "parallels", "bochs", "cloop", "luks", "iso"};
  return names[static_cast<std::size_t>(format)];
}

ImageFormat detect_image_format(Head head) {
  if (head.size() >= 8 && big(head, 0, 4) == qcow_magic) {
    return big(head, 4, 4) == 1 ? ImageFormat::qcow1 : ImageFormat::qcow2;
  }
  for (const auto& signature : signatures) {
    if (head.size() < signature.offset + signature.bytes.size()) continue;
    if (base::as_text(head.subspan(signature.offset, signature.bytes.size())) == signature.bytes) {
      return signature.format;
    }
  }
  return ImageFormat::raw;
}

Result<ImageFile> inspect_image(const InspectImage& what) {
  const auto found = detect_image_format(what.head);
  if (what.declared != ImageFormat::raw && what.declared != ImageFormat::qcow2) {
    return refused("images of format " + std::string(to_string(what.declared)) +
                   " are not accepted; raw and qcow2 are");
  }
  const bool raw = found == ImageFormat::raw || found == ImageFormat::luks || found == ImageFormat::iso;
  if (what.declared != (raw ? ImageFormat::raw : found)) {
    return malformed("the file was declared as " + std::string(to_string(what.declared)) + " and is " +
                     (found == ImageFormat::raw ? "not" : "a " + std::string(to_string(found)) + " image"));
  }
  if (what.declared == ImageFormat::qcow2) return inspect_qcow2(what.head, what.file_bytes, what.most_virtual_bytes);
  if (what.file_bytes == 0) return malformed("the file is empty");
  if (what.file_bytes > what.most_virtual_bytes) {
    return malformed("a disk of " + std::to_string(what.file_bytes) + " bytes; at most " +
                     std::to_string(what.most_virtual_bytes) + " are accepted");
  }
  return ImageFile{.format = ImageFormat::raw, .virtual_bytes = what.file_bytes};
}

}  // namespace kiln::blocks
