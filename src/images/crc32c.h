#pragma once
// CRC-32C (Castagnoli), which VHDX protects its headers with. A pure function; small inputs only.

#include <cstdint>
#include <span>

namespace kiln::images {

std::uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace kiln::images
