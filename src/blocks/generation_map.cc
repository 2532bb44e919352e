#include "blocks/generation_map.h"

#include <algorithm>
#include <bit>

namespace kiln::blocks {
namespace {

constexpr std::uint64_t low_bits = 0x5555'5555'5555'5555;

std::uint64_t repeated(UnitState state) { return static_cast<std::uint64_t>(state) * low_bits; }

}  // namespace

void GenerationMap::grow(std::uint64_t size_bytes) {
  units_ = std::max(units_, (size_bytes + unit_bytes - 1) / unit_bytes);
  pages_.resize((units_ + units_per_page - 1) / units_per_page);
}

UnitState GenerationMap::state(std::uint64_t unit) const {
  if (unit >= units_) return UnitState::absent;
  const auto& page = pages_[unit / units_per_page];
  if (!page.leaves) return page.all;
  const auto& leaf = (*page.leaves)[unit % units_per_page / units_per_leaf];
  if (!leaf.words) return leaf.all;
  const auto word = (*leaf.words)[unit % units_per_leaf / units_per_word];
  return static_cast<UnitState>(word >> (unit % units_per_word * 2) & 3);
}

GenerationMap::Leaf& GenerationMap::leaf_to_change(Page& page, std::uint64_t unit) {
  if (!page.leaves) {
    page.leaves = std::make_unique<Leaves>();
    for (auto& leaf : *page.leaves) leaf.all = page.all;
  }
  return (*page.leaves)[unit % units_per_page / units_per_leaf];
}

GenerationMap::Words& GenerationMap::words_to_change(Leaf& leaf) {
  if (!leaf.words) {
    leaf.words = std::make_unique<Words>();
    leaf.words->fill(repeated(leaf.all));
  }
  return *leaf.words;
}

void GenerationMap::set(UnitRange range, UnitState state) {
  const auto end = std::min(range.end(), units_);
  for (auto unit = range.first; unit < end;) {
    auto& page = pages_[unit / units_per_page];
    if (unit % units_per_page == 0 && end - unit >= units_per_page) {
      page = {.leaves = nullptr, .all = state};
      unit += units_per_page;
      continue;
    }
    auto& leaf = leaf_to_change(page, unit);
    if (unit % units_per_leaf == 0 && end - unit >= units_per_leaf) {
      leaf = {.words = nullptr, .all = state};
      unit += units_per_leaf;
      continue;
    }
    auto& word = words_to_change(leaf)[unit % units_per_leaf / units_per_word];
    const auto in_word = unit % units_per_word;
    const auto count = std::min(units_per_word - in_word, end - unit);
    const auto mask = (count == units_per_word ? ~std::uint64_t{0} : (std::uint64_t{1} << count * 2) - 1)
                      << in_word * 2;
    word = (word & ~mask) | (repeated(state) & mask);
    unit += count;
  }
}

std::uint64_t GenerationMap::run_end(std::uint64_t first, std::uint64_t limit) const {
  if (first >= limit) return limit;
  const auto wanted = state(first);
  const auto next_multiple = [](std::uint64_t unit, std::uint64_t of) { return (unit / of + 1) * of; };
  auto unit = first;
  while (unit < limit) {
    if (unit >= units_) return wanted == UnitState::absent ? limit : unit;
    const auto& page = pages_[unit / units_per_page];
    if (!page.leaves) {
      if (page.all != wanted) return unit;
      unit = std::min(next_multiple(unit, units_per_page), units_);
      continue;
    }
    const auto& leaf = (*page.leaves)[unit % units_per_page / units_per_leaf];
    if (!leaf.words) {
      if (leaf.all != wanted) return unit;
      unit = std::min(next_multiple(unit, units_per_leaf), units_);
      continue;
    }
    const auto in_word = unit % units_per_word;
    const auto differs = ((*leaf.words)[unit % units_per_leaf / units_per_word] ^ repeated(wanted)) >> in_word * 2;
    if (differs != 0) return std::min(unit + static_cast<std::uint64_t>(std::countr_zero(differs)) / 2, limit);
    unit += units_per_word - in_word;
  }
  return limit;
}

bool GenerationMap::all(UnitRange range, UnitState wanted) const {
  return range.count == 0 || (state(range.first) == wanted && run_end(range.first, range.end()) == range.end());
}

std::uint64_t GenerationMap::count(UnitState wanted) const {
  std::uint64_t found = 0;
  for (std::uint64_t unit = 0; unit < units_;) {
    const auto end = run_end(unit, units_);
    if (state(unit) == wanted) found += end - unit;
    unit = end;
  }
  return found;
}

}  // namespace kiln::blocks
