#pragma once
// Looking at a disk image that somebody uploads, before any tool opens it.
//
// A tool that guesses a format can be made to read files of the host: a raw file that a guest gave a qcow2 header, a
// qcow2 file with a backing or data file, a VMDK descriptor that names a path. So the format is declared by whoever
// uploads, and the first bytes must agree with it. Pure functions over bytes; nothing is opened, nothing is trusted.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace kiln::blocks {

enum class ImageFormat { raw, qcow2, qcow1, qed, vmdk, vhd, vhdx, vdi, parallels, bochs, cloop, luks, iso };
std::string_view to_string(ImageFormat format);

// How many bytes of the start of a file inspect_image() wants to see; of a shorter file, all of it.
constexpr std::size_t image_head_bytes = 64 << 10;

// The format that the first bytes show; raw when they show none. luks and iso are raw disks with something on them.
ImageFormat detect_image_format(std::span<const std::byte> head);

struct ImageFile {
  ImageFormat format = ImageFormat::raw;  // raw or qcow2
  std::uint64_t virtual_bytes = 0;
};

struct InspectImage {
  ImageFormat declared = ImageFormat::raw;
  std::span<const std::byte> head;  // the first image_head_bytes
  std::uint64_t file_bytes = 0;
  std::uint64_t most_virtual_bytes = 0;  // the largest disk that is accepted
};

// Refuses with Fault::invalid what is not what it was declared as, and with Fault::unsupported what a tool could be
// harmed by: other formats, other versions, backing files, data files, encryption, unknown features.
base::Result<ImageFile> inspect_image(const InspectImage& what);

}  // namespace kiln::blocks
