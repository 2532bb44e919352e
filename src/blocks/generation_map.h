#pragma once
// What a generation knows of every 4 KiB unit of the disk, in 2 bits: absent (look below), data (in its file) or zero.
//
//   unit      0  1  2  3 ...        one leaf = 1,024 units = 4 MiB of disk = 256 bytes of memory
//   state    10 00 01 01 ...        one page = 128 leaves = 512 MiB of disk
//
// Of a page or leaf whose units all have one state only that state is kept, so a disk of 64 TiB that nobody wrote, or
// that was trimmed from end to end, costs 2 MiB, and writes that are scattered over a large disk some 300 bytes each.
// Where everything is written it is 7 MiB for 100 GiB.
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
  static constexpr std::uint64_t words_per_leaf = 32;
  static constexpr std::uint64_t units_per_leaf = units_per_word * words_per_leaf;
  static constexpr std::uint64_t leaves_per_page = 128;
  static constexpr std::uint64_t units_per_page = units_per_leaf * leaves_per_page;
  using Words = std::array<std::uint64_t, words_per_leaf>;
  struct Leaf {
    std::unique_ptr<Words> words;  // null: all units have one state
    UnitState all = UnitState::absent;
  };
  using Leaves = std::array<Leaf, leaves_per_page>;
  struct Page {
    std::unique_ptr<Leaves> leaves;  // null: all units have one state
    UnitState all = UnitState::absent;
  };

  static Leaf& leaf_to_change(Page& page, std::uint64_t unit);
  static Words& words_to_change(Leaf& leaf);

  std::uint64_t units_ = 0;
  std::vector<Page> pages_;
};

}  // namespace kiln::blocks
