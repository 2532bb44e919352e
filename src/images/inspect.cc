#include "images/inspect.h"

namespace kiln::images {

using base::Result;
using base::Status;

Result<Disk> inspect(const Window& file, const Inspect& what) {
  const auto declared = what.declared;
  if (!importable(to_string(declared))) {
    return refused("images of format " + std::string(to_string(declared)) + " are not read");
  }
  if (file.size() == 0) return malformed("the file is empty");
  const auto found = detect(file);
  if (!found) return found.error();
  const bool raw = *found == Format::raw || *found == Format::luks || *found == Format::iso;
  if (declared != (raw ? Format::raw : *found)) {
    return malformed("the file was declared as " + std::string(to_string(declared)) + " and is " +
                     (*found == Format::raw ? "not" : "a " + std::string(to_string(*found)) + " image"));
  }
  switch (declared) {
    case Format::qcow2: return inspect_qcow2(file, what);
    case Format::vmdk: return inspect_vmdk(file, what);
    case Format::vhd: return inspect_vhd(file, what);
    case Format::vhdx: return inspect_vhdx(file, what);
    case Format::ova: return inspect_ova(file, what);
    default: return inspect_raw(file, what);
  }
}

Status check_virtual_bytes(std::uint64_t virtual_bytes, const Inspect& what) {
  if (virtual_bytes != 0 && virtual_bytes <= what.most_virtual_bytes) return {};
  return malformed("the disk in it has " + std::to_string(virtual_bytes) + " bytes; at most " +
                   std::to_string(what.most_virtual_bytes) + " are accepted");
}

Status check_growth(std::uint64_t decompressed_bytes, std::uint64_t file_bytes) {
  if (decompressed_bytes <= most_grown_bytes(file_bytes)) return {};
  return refused("what is compressed in its " + std::to_string(file_bytes) + " bytes would become " +
                 std::to_string(decompressed_bytes) + ", which is taken for an attack");
}

}  // namespace kiln::images
