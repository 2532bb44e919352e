#include "images/format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "images/tar.h"

namespace kiln::images {
namespace {

using namespace std::string_view_literals;

struct Signature {
  Format format;
  std::size_t offset;
  std::string_view bytes;
};

constexpr std::array signatures{
    Signature{Format::qcow1, 0, "QFI\xfb\0\0\0\1"sv},
    Signature{Format::qcow2, 0, "QFI\xfb"sv},
    Signature{Format::qed, 0, "QED\0"sv},
    Signature{Format::vmdk, 0, "KDMV"sv},
    Signature{Format::vmdk, 0, "COWD"sv},
    Signature{Format::vmdk, 0, "# Disk DescriptorFile"sv},
    Signature{Format::vhd, 0, "conectix"sv},
    Signature{Format::vhdx, 0, "vhdxfile"sv},
    Signature{Format::vdi, 64, "\x7f\x10\xda\xbe"sv},
    Signature{Format::parallels, 0, "WithoutFreeSpace"sv},
    Signature{Format::parallels, 0, "WithouFreSpacExt"sv},
    Signature{Format::bochs, 0, "Bochs Virtual HD Image"sv},
    Signature{Format::cloop, 0, "#!/bin/sh\n#V2.0 Format\nmodprobe cloop"sv},
    Signature{Format::luks, 0, "LUKS\xba\xbe"sv},
    Signature{Format::iso, 0x8001, "CD001"sv},
};
constexpr std::size_t head_bytes = 33 << 10;

struct Name {
  std::string_view name;
  Format format;
};
constexpr std::array names{Name{"raw", Format::raw}, Name{"qcow2", Format::qcow2}, Name{"vmdk", Format::vmdk},
                           Name{"vhd", Format::vhd}, Name{"vpc", Format::vhd},     Name{"vhdx", Format::vhdx},
                           Name{"ova", Format::ova}};

}  // namespace

std::string_view to_string(Format format) {
  constexpr std::array<std::string_view, 14> all{"raw", "qcow2", "vmdk",      "vhd",   "vhdx",  "ova",  "qcow1",
                                                 "qed", "vdi",   "parallels", "bochs", "cloop", "luks", "iso"};
  return all[static_cast<std::size_t>(format)];
}

std::optional<Format> importable(std::string_view name) {
  const auto found = std::ranges::find(names, name, &Name::name);
  if (found == names.end()) return {};
  return found->format;
}

std::optional<Format> exportable(std::string_view name) {
  const auto format = importable(name);
  if (format == Format::vhdx || format == Format::ova) return {};
  return format;
}

Format named_by_ending(std::string_view path) {
  const auto dot = path.rfind('.');
  if (dot == std::string_view::npos || path.find('/', dot) != std::string_view::npos) return Format::raw;
  std::string ending(path.substr(dot + 1));
  std::ranges::transform(ending, ending.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return importable(ending).value_or(Format::raw);
}

base::Result<Format> detect(const Window& file) {
  const auto read = file.read_some(0, head_bytes);
  if (!read) return read.error();
  const Fields head(*read);
  for (const auto& signature : signatures) {
    if (read->size() < signature.offset + signature.bytes.size()) continue;
    if (head.text(signature.offset, signature.bytes.size()) == signature.bytes) return signature.format;
  }
  // Other archives may be the content of a disk; one that begins with a descriptor is an OVA, by its definition.
  if (read->size() >= tar_block_bytes) {
    const auto member = parse_tar_header(std::span(*read).first(tar_block_bytes));
    if (member && member->name.ends_with(".ovf")) return Format::ova;
  }
  if (file.size() >= 512) {
    const auto foot = file.read_some(file.size() - 512, 512);
    if (!foot) return foot.error();
    if (foot->size() == 512 && Fields(*foot).text(0, 8) == "conectix") return Format::vhd;
  }
  return Format::raw;
}

}  // namespace kiln::images
