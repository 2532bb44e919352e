#include "blocks/generation_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "blocks/volume_testing.h"

namespace kiln::blocks {
namespace {

constexpr std::uint64_t gib = 1 << 30;

TEST(GenerationMap, answers_as_a_plain_list_of_states_does_whatever_is_set) {
  const auto seed = seed_or(std::random_device{}());
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  // Two pages and a piece: ranges begin and end at units, leaves and pages, and around them.
  const std::uint64_t units = 2 * 131072 + 5000;
  GenerationMap map(units * unit_bytes);
  std::vector<UnitState> model(units, UnitState::absent);
  const auto position = [&](std::uint64_t limit) {
    constexpr std::uint64_t grains[] = {1, 32, 1024, 131072};
    const auto grain = grains[random() % 4];
    return std::min(limit, random() % (limit + 1) / grain * grain + (random() % 4 == 0 ? 1 : 0));
  };
  for (int round = 0; round < 400; ++round) {
    const auto first = position(units - 1);
    const auto end = random() % 8 == 0 ? units : std::max(first, position(units));
    const auto state = static_cast<UnitState>(random() % 3);
    map.set({first, end - first}, state);
    std::fill(model.begin() + static_cast<std::ptrdiff_t>(first), model.begin() + static_cast<std::ptrdiff_t>(end),
              state);
    for (int probe = 0; probe < 20; ++probe) {
      const auto at = position(units - 1);
      const auto limit = std::min(units, at + 1 + random() % 200000);
      ASSERT_EQ(map.state(at), model[at]) << "unit " << at;
      auto expected = at;
      while (expected < limit && model[expected] == model[at]) ++expected;
      ASSERT_EQ(map.run_end(at, limit), expected) << "from " << at << " to " << limit;
    }
  }
  for (const auto state : {UnitState::absent, UnitState::data, UnitState::zero}) {
    EXPECT_EQ(map.count(state), static_cast<std::uint64_t>(std::count(model.begin(), model.end(), state)));
  }
}

TEST(GenerationMap, what_it_grows_by_is_absent) {
  GenerationMap map(gib);
  map.set({0, gib / unit_bytes}, UnitState::zero);
  map.grow(3 * gib + 4096);
  EXPECT_EQ(map.run_end(0, map.units()), gib / unit_bytes);
  EXPECT_EQ(map.run_end(gib / unit_bytes, map.units()), map.units());
  EXPECT_EQ(map.state(gib / unit_bytes), UnitState::absent);
}

}  // namespace
}  // namespace kiln::blocks
