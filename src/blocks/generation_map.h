#pragma once
// What a generation knows of every 4 KiB unit of the disk, in 2 bits: absent (look below), data (in its file) or zero.
//
//   unit      0  1  2  3 ...                one page = 131,072 units = 512 MiB of disk = 32 KiB of memory,
//   state    10 00 01 01 ...                allocated when first touched: a 64 TiB disk that nobody wrote costs 1 MiB
//
// Zero is a state of its own because a trimmed unit must not show what lies below it. A value type without locks:
// the volume's mutex guards the maps of its generations.

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "blocks/disk_id.h"

namespace kiln::blocks {

enum class UnitState : std::uint8_t { absent = 0, data = 1, zero = 2 };

// Units first .. first + count - 1.
struct UnitRange {
  std::uint64_t first = 0;
  std::uint64_t count = 0;

  std::uint64_t end() const { return first + count; }
};

class GenerationMap {
 public:
  explicit GenerationMap(std::uint64_t size_bytes = 0) { grow(size_bytes); }

  // Makes room for a disk of size_bytes; what is there stays.
  void grow(std::uint64_t size_bytes);
  std::uint64_t units() const { return units_; }

  // Units past the end are absent.
  UnitState state(std::uint64_t unit) const;
  void set(UnitRange range, UnitState state);
  // The end of the run of units that have the state of first, at most limit.
  std::uint64_t run_end(std::uint64_t first, std::uint64_t limit) const;
  bool all(UnitRange range, UnitState state) const;
  std::uint64_t count(UnitState state) const;

 private:
  static constexpr std::uint64_t units_per_word = 32;
  static constexpr std::uint64_t words_per_page = 4096;
  static constexpr std::uint64_t units_per_page = units_per_word * words_per_page;
  using Page = std::array<std::uint64_t, words_per_page>;

  std::uint64_t units_ = 0;
  std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace kiln::blocks
