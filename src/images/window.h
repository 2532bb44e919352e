#pragma once
// Bytes that a stranger wrote, read by offset: a part of a file, and the fields of a structure in it.
//
// A Window never reads past its end, and of all that is read through it (and its copies) no more than a budget: tables
// that claim to be huge are refused instead of read. Used by one thread; the Source is lent and outlives it.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace kiln::images {

// What is inspected: a file, or in tests a buffer.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::uint64_t size() const = 0;
  // Fewer bytes than asked only at the end.
  virtual base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const = 0;
};

// A file by its descriptor, which is lent.
class FileSource final : public Source {
 public:
  FileSource(int fd, std::uint64_t size_bytes) : fd_(fd), size_(size_bytes) {}
  std::uint64_t size() const override { return size_; }
  base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  int fd_;
  std::uint64_t size_;
};

class BytesSource final : public Source {
 public:
  explicit BytesSource(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  base::Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::span<const std::byte> bytes_;
};

// Numbers at fixed places of a structure. The caller has checked that the structure is as long as its fields need.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::uint64_t big(std::size_t offset, std::size_t length) const;
  std::uint64_t little(std::size_t offset, std::size_t length) const;
  std::string_view text(std::size_t offset, std::size_t length) const;
  bool zero(std::size_t offset, std::size_t length) const;
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::span<const std::byte> bytes_;
};

class Window {
 public:
  // The tables of 384 GiB in clusters of 64 KiB.
  static constexpr std::uint64_t default_budget = 48 << 20;

  explicit Window(const Source& source, std::uint64_t budget_bytes = default_budget)
      : source_(&source), length_(source.size()), left_(std::make_shared<std::uint64_t>(budget_bytes)) {}
  // A part of this one; the caller has checked that it lies inside. Shares the budget.
  Window part(std::uint64_t offset, std::uint64_t length) const;

  std::uint64_t size() const { return length_; }
  std::uint64_t offset() const { return offset_; }  // in the source
  std::uint64_t budget() const { return *left_; }
  bool holds(std::uint64_t offset, std::uint64_t length) const {
    return offset <= length_ && length <= length_ - offset;
  }
  // Exactly length bytes; Fault::invalid, naming what, when the window ends before.
  base::Result<base::Bytes> read(std::uint64_t offset, std::uint64_t length, std::string_view what) const;
  // At most length bytes: fewer when the window is shorter.
  base::Result<base::Bytes> read_some(std::uint64_t offset, std::uint64_t length) const;
  // Fills out from data, of which there may be any amount: outside of the budget.
  base::Status read_data(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  const Source* source_;
  std::uint64_t offset_ = 0;
  std::uint64_t length_;
  std::shared_ptr<std::uint64_t> left_;
};

// The two ways to say no: what a tool could be harmed by or does not know, and what contradicts itself.
inline base::Error refused(std::string why) { return {base::Fault::unsupported, std::move(why)}; }
inline base::Error malformed(std::string why) { return {base::Fault::invalid, std::move(why)}; }
base::Error cut_short(std::string_view what);

}  // namespace kiln::images
