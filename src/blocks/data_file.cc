#include "blocks/data_file.h"

#include <algorithm>

#include "base/bytes.h"
#include "blocks/unit_map.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Extent;
using base::Fault;
using base::Files;
using base::Path;
using base::Result;
using base::Status;

constexpr std::uint64_t sector_bytes = 512;
constexpr std::uint64_t piece_bytes = 256 << 10;  // encrypted at a time

Path part_path(const Path& path, std::size_t part) {
  return part == 0 ? path : Path(path.string() + "." + std::to_string(part));
}

std::size_t parts_of(std::uint64_t size_bytes) {
  return std::max<std::size_t>(1, (size_bytes + data_part_bytes - 1) / data_part_bytes);
}

// Of a further part only the name must be there, which the sync of the directory sees to: nobody relies on its size,
// and a volume of 64 TiB is to be made as fast as a small one.
Status create_part(Files& files, const Path& path, std::size_t part, std::uint64_t size_bytes) {
  auto file = files.open(part_path(path, part), base::Open::create_or_open);
  if (!file) return file.error();
  KILN_TRY((*file)->truncate(0));
  if (part > 0) return {};
  KILN_TRY((*file)->truncate(std::min(size_bytes, data_part_bytes)));
  return (*file)->sync_data();
}

}  // namespace

Status DataFile::create(Files& files, const Path& path, std::uint64_t size_bytes) {
  for (std::size_t part = 0; part < parts_of(size_bytes); ++part) {
    KILN_TRY(create_part(files, path, part, size_bytes));
  }
  return {};
}

Result<std::unique_ptr<DataFile>> DataFile::open(Files& files, const Path& path, base::Open how,
                                                 std::uint64_t size_bytes, std::shared_ptr<const UnitCipher> cipher) {
  std::unique_ptr<DataFile> opened(new DataFile(path, std::move(cipher)));
  for (std::size_t part = 0; part < parts_of(size_bytes); ++part) {
    auto file = files.open(part_path(path, part), how);
    const bool may_be_missing = part > 0 && how == base::Open::read;
    if (!file && may_be_missing && file.error().fault() == Fault::not_found) break;
    if (!file) return file.error();
    // A process that ended before may have written without a sync. Most of a large disk nobody ever wrote to.
    const auto allocated = (*file)->allocated();
    if (!allocated) return allocated.error();
    opened->parts_[part].written = *allocated > 0;
    opened->parts_[part].file = std::move(*file);
    opened->parts_in_use_ = part + 1;
  }
  return opened;
}

Status DataFile::remove(Files& files, const Path& path) {
  for (std::size_t part = 0; part < parts_of(max_disk_bytes); ++part) {
    const auto removed = files.remove(part_path(path, part));
    if (!removed && removed.error().fault() == Fault::not_found && part > 0) return {};
    if (!removed && removed.error().fault() != Fault::not_found) return removed;
  }
  return {};
}

bool DataFile::is_part(const std::string& name, const std::string& data_file) {
  return name == data_file || name.starts_with(data_file + ".");
}

Status DataFile::grow(Files& files, std::uint64_t size_bytes) {
  for (auto part = parts_in_use_.load(); part < parts_of(size_bytes); ++part) {
    KILN_TRY(create_part(files, path_, part, size_bytes));
    auto file = files.open(part_path(path_, part), base::Open::read_write);
    if (!file) return file.error();
    parts_[part].file = std::move(*file);
    parts_in_use_ = part + 1;
  }
  return {};
}

// Calls call(part, offset in it, offset in the range, length) for each part that the range touches.
template <class Call>
Status DataFile::in_parts(std::uint64_t offset, std::uint64_t length, Call call) {
  for (std::uint64_t done = 0; done < length;) {
    const auto index = (offset + done) / data_part_bytes;
    if (index >= parts_in_use_) {
      return Error(Fault::corrupt, path_.string() + ": there is no file for offset " + std::to_string(offset + done));
    }
    const auto within = (offset + done) % data_part_bytes;
    const auto count = std::min(length - done, data_part_bytes - within);
    KILN_TRY(call(parts_[index], within, done, count));
    done += count;
  }
  return {};
}

Status DataFile::read_stored(std::uint64_t offset, std::span<std::byte> out) {
  return in_parts(offset, out.size(), [&](Part& part, std::uint64_t at, std::uint64_t done, std::uint64_t count) {
    return part.file->read_exactly(at, out.subspan(done, count));
  });
}

Status DataFile::write_stored(std::uint64_t offset, std::span<const std::byte> bytes) {
  return in_parts(offset, bytes.size(), [&](Part& part, std::uint64_t at, std::uint64_t done, std::uint64_t count) {
    // Before the write, so that a sync that begins after it finds the part to be written.
    part.written = true;
    return part.file->write_at(at, bytes.subspan(done, count));
  });
}

// Offset and length are multiples of a sector. One that is stored as zeros is a hole, which a power cut may leave where
// units were trimmed: it is zeros to the reader too. (No sector is encrypted to zeros: one in 2^4096 would be.)
Status DataFile::decrypted(std::uint64_t offset, std::span<std::byte> out) {
  KILN_TRY(read_stored(offset, out));
  std::vector<std::size_t> holes;
  for (std::size_t at = 0; at < out.size(); at += sector_bytes) {
    if (is_zero(out.subspan(at, sector_bytes))) holes.push_back(at);
  }
  cipher_->decrypt({}, offset, out, out.data());
  for (const auto at : holes) std::ranges::fill(out.subspan(at, sector_bytes), std::byte{});
  return {};
}

Status DataFile::read_exactly(std::uint64_t offset, std::span<std::byte> out) {
  if (!cipher_) return read_stored(offset, out);
  const auto start = offset / sector_bytes * sector_bytes;
  const auto end = (offset + out.size() + sector_bytes - 1) / sector_bytes * sector_bytes;
  if (start == offset && end == offset + out.size()) return decrypted(offset, out);
  base::Bytes whole(end - start);
  KILN_TRY(decrypted(start, whole));
  std::copy_n(whole.begin() + static_cast<std::ptrdiff_t>(offset - start), out.size(), out.begin());
  return {};
}

Status DataFile::write_at(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (!cipher_) return write_stored(offset, bytes);
  base::Bytes piece;
  while (!bytes.empty()) {
    const auto start = offset / sector_bytes * sector_bytes;
    const auto count = std::min<std::uint64_t>(bytes.size(), piece_bytes - (offset - start));
    const auto end = (offset + count + sector_bytes - 1) / sector_bytes * sector_bytes;
    piece.resize(end - start);
    // What a sector holds besides is read first; guests write whole ones, so this is rare.
    if (start != offset) KILN_TRY(decrypted(start, std::span(piece).first(sector_bytes)));
    if (end != offset + count) KILN_TRY(decrypted(end - sector_bytes, std::span(piece).last(sector_bytes)));
    std::copy_n(bytes.begin(), count, piece.begin() + static_cast<std::ptrdiff_t>(offset - start));
    cipher_->encrypt({}, start, piece, piece.data());
    KILN_TRY(write_stored(start, piece));
    offset += count;
    bytes = bytes.subspan(count);
  }
  return {};
}

Status DataFile::punch_hole(Extent range) {
  return in_parts(range.offset, range.length, [](Part& part, std::uint64_t at, std::uint64_t, std::uint64_t count) {
    part.written = true;
    return part.file->punch_hole({at, count});
  });
}

Status DataFile::sync() {
  // One part is synced always, written or not: the kernel knows better, and it is what most disks have.
  const std::size_t count = parts_in_use_;
  for (std::size_t i = 0; i < count; ++i) {
    if (!parts_[i].written.exchange(false) && count > 1) continue;
    KILN_TRY(parts_[i].file->sync_data());
  }
  return {};
}

}  // namespace kiln::blocks
