#include "blocks/unit_map.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/digest.h"

namespace kiln::blocks {
namespace {

using base::Error;
using base::Fault;
using base::Result;
using Kind = UnitSource::Kind;

// The first byte of a run: zeros, literals, copies of earlier literals, or 3 and the number of the base.
constexpr std::uint8_t zero_code = 0, literal_code = 1, own_code = 2, first_base_code = 3;

std::uint8_t code_of(const UnitSource& source) {
  switch (source.kind) {
    case Kind::zero: return zero_code;
    case Kind::literal: return literal_code;
    case Kind::own: return own_code;
    case Kind::base: break;
  }
  return static_cast<std::uint8_t>(first_base_code + source.base);
}

bool refers(Kind kind) { return kind == Kind::own || kind == Kind::base; }

// Whether b may be in one run behind a, count units after the run's first.
bool continues(const UnitSource& first, const UnitSource& next, unsigned count) {
  return code_of(first) == code_of(next) && (!refers(first.kind) || first.unit + count == next.unit);
}

Error corrupt(const char* what) { return {Fault::corrupt, std::string("a chunk's map ") + what}; }

UnitSource source_of(std::uint8_t code, unsigned unit) {
  if (code == zero_code) return {.kind = Kind::zero};
  if (code == literal_code) return {.kind = Kind::literal};
  const auto place = static_cast<std::uint8_t>(unit);
  if (code == own_code) return {.kind = Kind::own, .unit = place};
  return {.kind = Kind::base, .base = static_cast<std::uint8_t>(code - first_base_code), .unit = place};
}

}  // namespace

unsigned count_literals(const UnitMap& map) {
  unsigned count = 0;
  for (const auto& source : map) count += source.kind == Kind::literal ? 1 : 0;
  return count;
}

std::array<std::uint8_t, units_per_chunk> literal_numbers(const UnitMap& map) {
  std::array<std::uint8_t, units_per_chunk> numbers;
  numbers.fill(no_literal);
  std::uint8_t next = 0;
  for (std::size_t unit = 0; unit < map.size(); ++unit) {
    if (map[unit].kind == Kind::literal) numbers[unit] = next++;
    if (map[unit].kind == Kind::own) numbers[unit] = numbers[map[unit].unit];
  }
  return numbers;
}

void append_unit_map(base::Bytes& out, const UnitMap& map) {
  const auto at = out.size();
  out.push_back({});
  std::uint8_t runs = 0;
  for (unsigned unit = 0; unit < map.size(); ++runs) {
    const auto& first = map[unit];
    unsigned count = 1;
    while (unit + count < map.size() && continues(first, map[unit + count], count)) ++count;
    base::append_int(out, code_of(first));
    base::append_int(out, static_cast<std::uint8_t>(count));
    base::append_int(out, first.unit);
    unit += count;
  }
  out[at] = static_cast<std::byte>(runs);
}

Result<UnitMap> read_unit_map(base::Reader& reader, std::size_t bases) {
  UnitMap map;
  unsigned unit = 0;
  const auto runs = reader.read_int<std::uint8_t>();
  for (unsigned run = 0; run < runs; ++run) {
    const auto code = reader.read_int<std::uint8_t>();
    const unsigned count = reader.read_int<std::uint8_t>();
    const unsigned first = reader.read_int<std::uint8_t>();
    if (!reader.ok()) return corrupt("ends early");
    if (count == 0 || count > map.size() - unit) return corrupt("does not cover the chunk's units exactly once");
    if (code >= first_base_code + bases) return corrupt("names a base that the record does not have");
    const bool refers_to_units = code >= own_code;
    if (!refers_to_units && first != 0) return corrupt("has a start where there is none");
    if (refers_to_units && first + count > map.size()) return corrupt("refers to a unit behind the base's end");
    for (unsigned i = 0; i < count; ++i, ++unit) {
      map[unit] = source_of(code, refers_to_units ? first + i : 0);
      if (code != own_code) continue;
      if (first + i >= unit || map[first + i].kind != Kind::literal)
        return corrupt("copies what is no earlier literal");
    }
  }
  if (!reader.ok() || unit != map.size()) return corrupt("does not cover the chunk's units exactly once");
  return map;
}

bool is_zero(std::span<const std::byte> bytes) {
  // Compares with itself one byte on: memcmp runs at the speed of memory where a loop over bytes does not.
  return bytes.empty() ||
         (bytes[0] == std::byte{} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

ChunkUnits units_of(std::span<const std::byte> chunk) {
  ChunkUnits units;
  std::array<std::pair<std::uint64_t, std::uint8_t>, units_per_chunk> by_hash;
  std::size_t count = 0;
  for (std::size_t unit = 0; unit < units.map.size(); ++unit) {
    const auto bytes = chunk.subspan(unit * unit_bytes, unit_bytes);
    if (is_zero(bytes)) continue;
    units.hashes[unit] = base::xxh3_64(bytes);
    by_hash[count++] = {units.hashes[unit], static_cast<std::uint8_t>(unit)};
  }
  // Equal units are neighbours now, the first of them first.
  std::sort(by_hash.begin(), by_hash.begin() + count);
  std::uint8_t first = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto [hash, unit] = by_hash[i];
    if (i == 0 || by_hash[i - 1].first != hash) first = unit;
    const bool again = unit != first && std::memcmp(chunk.data() + first * unit_bytes, chunk.data() + unit * unit_bytes,
                                                    unit_bytes) == 0;
    units.map[unit] = again ? UnitSource{.kind = Kind::own, .unit = first} : UnitSource{.kind = Kind::literal};
  }
  return units;
}

}  // namespace kiln::blocks
