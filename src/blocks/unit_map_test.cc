#include "blocks/unit_map.h"

#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Fault;
using Kind = UnitSource::Kind;
using namespace testing;

base::Result<UnitMap> read(const Bytes& bytes, std::size_t bases) {
  base::Reader reader(bytes);
  return read_unit_map(reader, bases);
}

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) bytes.push_back(static_cast<std::byte>(value));
  return bytes;
}

TEST(UnitMap, any_map_round_trips) {
  std::mt19937_64 random(test_seed());
  for (int round = 0; round < 500; ++round) {
    UnitMap map;
    std::vector<std::uint8_t> literals;
    for (std::uint8_t unit = 0; unit < units_per_chunk; ++unit) {
      const auto kind = static_cast<Kind>(random() % 4);
      map[unit].kind = kind == Kind::own && literals.empty() ? Kind::literal : kind;
      if (map[unit].kind == Kind::own) map[unit].unit = literals[random() % literals.size()];
      if (map[unit].kind == Kind::literal) literals.push_back(unit);
      if (map[unit].kind == Kind::base) {
        map[unit].base = static_cast<std::uint8_t>(random() % max_bases);
        map[unit].unit = static_cast<std::uint8_t>(random() % units_per_chunk);
      }
    }
    Bytes encoded;
    append_unit_map(encoded, map);
    const auto decoded = read(encoded, max_bases);
    ASSERT_TRUE(decoded) << why(decoded);
    ASSERT_EQ(*decoded, map);
    ASSERT_EQ(count_literals(map), literals.size());
  }
}

TEST(UnitMap, neighbours_that_continue_each_other_are_one_run) {
  UnitMap map;
  for (std::uint8_t unit = 0; unit < units_per_chunk; ++unit) {
    map[unit] = unit < 10 ? UnitSource{.kind = Kind::literal} : UnitSource{.kind = Kind::base, .base = 1, .unit = unit};
  }
  Bytes encoded;
  append_unit_map(encoded, map);
  EXPECT_EQ(encoded, bytes_of({2, 1, 10, 0, 4, 118, 10}));
}

TEST(UnitMap, a_map_that_cannot_be_is_refused) {
  const auto refused = [](std::initializer_list<int> values, std::size_t bases = 1) {
    const auto decoded = read(bytes_of(values), bases);
    return !decoded && decoded.error().fault() == Fault::corrupt;
  };
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({1, 1, 128}));                        // ends early
  EXPECT_TRUE(refused({1, 1, 127, 0}));                     // a unit is missing
  EXPECT_TRUE(refused({1, 1, 129, 0}));                     // one too many
  EXPECT_TRUE(refused({2, 1, 128, 0, 1, 0, 0}));            // a run of nothing
  EXPECT_TRUE(refused({1, 1, 128, 5}));                     // literals have no start
  EXPECT_TRUE(refused({1, 4, 128, 0}));                     // base 1 of one base
  EXPECT_TRUE(refused({2, 1, 27, 0, 3, 101, 28}));          // behind the end of the base
  EXPECT_TRUE(refused({1, 2, 128, 0}));                     // a copy of itself
  EXPECT_TRUE(refused({3, 0, 64, 0, 2, 32, 0, 1, 32, 0}));  // a copy of zeros
  EXPECT_FALSE(refused({3, 1, 64, 0, 2, 32, 0, 3, 32, 96}));
}

TEST(UnitMap, a_chunk_alone_is_zeros_literals_and_copies_of_literals) {
  Bytes chunk(chunk_bytes);
  const auto some = content(1);
  for (const std::size_t unit : {0, 5, 6}) std::copy_n(some.begin(), unit_bytes, chunk.begin() + unit * unit_bytes);
  std::copy_n(some.begin() + 1, unit_bytes, chunk.begin() + 7 * unit_bytes);
  const auto units = units_of(chunk);
  EXPECT_EQ(units.map[0], (UnitSource{.kind = Kind::literal}));
  EXPECT_EQ(units.map[5], (UnitSource{.kind = Kind::own, .unit = 0}));
  EXPECT_EQ(units.map[6], (UnitSource{.kind = Kind::own, .unit = 0}));
  EXPECT_EQ(units.map[7], (UnitSource{.kind = Kind::literal}));
  EXPECT_EQ(units.map[8], (UnitSource{.kind = Kind::zero}));
  EXPECT_EQ(count_literals(units.map), 2U);
}

}  // namespace
}  // namespace kiln::blocks
