#pragma once
// How long a disk must be for its partition table to make sense. A pure function over bytes that nobody vouches for.

#include <cstddef>
#include <cstdint>
#include <span>

namespace kiln::control {

constexpr std::size_t partition_head_bytes = 1024;

// The end of the last MBR partition, or of the GPT's backup header; 0 when head, the first 1024 bytes of the disk,
// shows neither. Only sectors of 512 bytes are looked for.
std::uint64_t partitioned_bytes(std::span<const std::byte> head);

}  // namespace kiln::control
