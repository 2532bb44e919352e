#pragma once
// The members of a tar archive, without unpacking it: names, places and lengths.
//
// Reads ustar and GNU archives (numbers in octal or base 256); extended headers may say who and when, not another
// name or length. Everything else that two readers might read differently is refused: links, devices, directories,
// paths, sparse members. Pure functions over bytes from a stranger.

#include <cstdint>
#include <string>
#include <vector>

#include "images/window.h"

namespace kiln::images {

constexpr std::size_t tar_block_bytes = 512;
constexpr std::size_t most_tar_members = 64;

struct TarMember {
  std::string name;
  char type = '0';
  std::uint64_t offset = 0;  // of its content, in the archive
  std::uint64_t length = 0;
};

// One header of 512 bytes; the offset is left 0. Checks its checksum.
base::Result<TarMember> parse_tar_header(std::span<const std::byte> block);

// The regular files in an archive; names are plain, one of each.
base::Result<std::vector<TarMember>> tar_members(const Window& archive);

}  // namespace kiln::images
