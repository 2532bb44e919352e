#pragma once
// The formats that a file with a disk in it may have, by name and by what its bytes show.
//
// A tool that guesses a format can be made to read files of the host: a raw disk that a guest gave a qcow2 header is
// enough. So a format is always declared, and detection only serves to contradict. Pure functions.

#include <optional>
#include <string_view>

#include "images/window.h"

namespace kiln::images {

enum class Format { raw, qcow2, vmdk, vhd, vhdx, ova, qcow1, qed, vdi, parallels, bochs, cloop, luks, iso };
std::string_view to_string(Format format);

// The formats that are imported, by the names that users give them: raw, qcow2, vmdk, vhd (or vpc), vhdx, ova.
std::optional<Format> importable(std::string_view name);
// Those that are exported: raw, qcow2, vmdk, vhd (or vpc).
std::optional<Format> exportable(std::string_view name);
// For "disk.vmdk" vmdk, and so on; raw for an ending that says nothing.
Format named_by_ending(std::string_view path);

// The format that the bytes show; raw when they show none. luks and iso are raw disks with something on them. Looks at
// the first 33 KiB and at the last 512 bytes, where a fixed VHD has all that tells it from a raw disk.
base::Result<Format> detect(const Window& file);

}  // namespace kiln::images
