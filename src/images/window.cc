#include "images/window.h"

#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>

namespace kiln::images {

using base::Bytes;
using base::Error;
using base::Result;

Result<std::size_t> FileSource::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  std::size_t done = 0;
  while (done < out.size()) {
    const auto got = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error::from_errno("read");
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

Result<std::size_t> BytesSource::read_at(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset >= bytes_.size()) return std::size_t{0};
  const auto count = std::min<std::size_t>(out.size(), bytes_.size() - offset);
  std::ranges::copy(bytes_.subspan(offset, count), out.begin());
  return count;
}

std::uint64_t Fields::big(std::size_t offset, std::size_t length) const {
  std::uint64_t value = 0;
  for (const auto byte : bytes_.subspan(offset, length)) value = value << 8 | std::to_integer<std::uint64_t>(byte);
  return value;
}

std::uint64_t Fields::little(std::size_t offset, std::size_t length) const {
  std::uint64_t value = 0;
  for (std::size_t i = length; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes_[offset + i]);
  return value;
}

std::string_view Fields::text(std::size_t offset, std::size_t length) const {
  return base::as_text(bytes_.subspan(offset, length));
}

bool Fields::zero(std::size_t offset, std::size_t length) const {
  return std::ranges::all_of(bytes_.subspan(offset, length), [](std::byte byte) { return byte == std::byte{}; });
}

Window Window::part(std::uint64_t offset, std::uint64_t length) const {
  assert(holds(offset, length));
  Window part = *this;
  part.offset_ += offset;
  part.length_ = length;
  return part;
}

Result<Bytes> Window::read_some(std::uint64_t offset, std::uint64_t length) const {
  if (offset >= length_) return Bytes();
  const auto wanted = std::min(length, length_ - offset);
  if (wanted > *left_) return refused("the tables of the file are larger than what is read to inspect one");
  *left_ -= wanted;
  Bytes bytes(wanted);
  const auto got = source_->read_at(offset_ + offset, bytes);
  if (!got) return got.error();
  bytes.resize(*got);
  return bytes;
}

Result<Bytes> Window::read(std::uint64_t offset, std::uint64_t length, std::string_view what) const {
  if (!holds(offset, length)) return cut_short(what);
  auto bytes = read_some(offset, length);
  if (bytes && bytes->size() != length) return cut_short(what);
  return bytes;
}

base::Status Window::read_data(std::uint64_t offset, std::span<std::byte> out) const {
  if (!holds(offset, out.size())) return cut_short("its data");
  const auto got = source_->read_at(offset_ + offset, out);
  if (!got) return got.error();
  if (*got != out.size()) return cut_short("its data");
  return {};
}

Error cut_short(std::string_view what) {
  return malformed("the file ends before " + std::string(what) + " does: it was cut short, or lies");
}

}  // namespace kiln::images
