#pragma once
// The text in a VMDK file that describes the disk: read line by line, with nothing in it that is not known.
//
// Readers search this text in ways of their own (for a parent's name anywhere in it, for instance), so an unknown line
// is not skipped but refused. A pure function.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace kiln::images {

struct VmdkDescriptor {
  std::string create_type;    // monolithicSparse or streamOptimized
  std::uint64_t sectors = 0;  // of its one extent
};

base::Result<VmdkDescriptor> parse_vmdk_descriptor(std::string_view text);

}  // namespace kiln::images
