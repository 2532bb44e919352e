#pragma once
// The descriptor of an OVA (OVF, DMTF DSP0243): which of its files is the disk.
//
// XML from a stranger: at most most_ovf_bytes of it, no document type, so no entities but XML's own. A pure function.

#include <string>
#include <string_view>

#include "base/error.h"
#include "images/format.h"

namespace kiln::images {

constexpr std::size_t most_ovf_bytes = 1 << 20;

struct OvfDisk {
  std::string file;  // the name of the member
  Format format = Format::vmdk;
};

// Refuses descriptors of no disk, of several, and of one with a parent or in pieces.
base::Result<OvfDisk> disk_of_ovf(std::string_view xml);

}  // namespace kiln::images
