#pragma once
// Looking at a disk image that somebody hands in, before any tool opens it.
//
// The declared format must be the one that the bytes show, and everything is refused that could make a tool read or
// write another file, that lies about its size, that asks for far more work than the file is long, or that no
// trustworthy writer produces. What passes has been read like this: headers, descriptors and tables, all of them up to
// the budget of a Window; never the data. Pure functions over a bounded reader; nothing is opened, nothing is trusted.
// docs/operating/import-export.md lists what is refused.

#include <cstdint>

#include "images/format.h"
#include "images/window.h"

namespace kiln::images {

struct Inspect {
  Format declared = Format::raw;
  std::uint64_t most_virtual_bytes = 0;  // the largest disk that is accepted
};

// A disk in a file: how to read which part of it.
struct Disk {
  Format format = Format::raw;  // raw, qcow2, vmdk, vhd or vhdx: of an OVA the disk inside, of a fixed VHD raw
  std::uint64_t offset = 0, length = 0;
  std::uint64_t virtual_bytes = 0;
  bool compressed = false;
};

// Refuses with Fault::invalid what is not what it was declared as or contradicts itself, and with Fault::unsupported
// what a tool could be harmed by: other formats, other versions, other files, encryption, unknown features.
base::Result<Disk> inspect(const Window& file, const Inspect& what);

// One file each.
base::Result<Disk> inspect_raw(const Window& file, const Inspect& what);
base::Result<Disk> inspect_qcow2(const Window& file, const Inspect& what);
base::Result<Disk> inspect_vmdk(const Window& file, const Inspect& what);
base::Result<Disk> inspect_vhd(const Window& file, const Inspect& what);
base::Result<Disk> inspect_vhdx(const Window& file, const Inspect& what);
base::Result<Disk> inspect_ova(const Window& file, const Inspect& what);

// Whether a disk of this size is accepted.
base::Status check_virtual_bytes(std::uint64_t virtual_bytes, const Inspect& what);

// What a file may become when it is decompressed. A disk of programs and documents grows by 2 to 4, one of long runs of
// a byte by far more, but then it is small.
constexpr std::uint64_t most_grown_bytes(std::uint64_t file_bytes) {
  constexpr std::uint64_t most_times = 100, free_bytes = 128 << 20;
  return file_bytes > ~std::uint64_t{0} / most_times - free_bytes ? ~std::uint64_t{0}
                                                                  : free_bytes + most_times * file_bytes;
}
base::Status check_growth(std::uint64_t decompressed_bytes, std::uint64_t file_bytes);

}  // namespace kiln::images
