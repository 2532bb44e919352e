// The fuzz targets of tests/fuzz, run over damaged golden files: the same damage every time, a few seconds of it. A
// real fuzzer goes on from the same targets.

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>

#include "blocks/manifest.h"
#include "blocks/store_testing.h"

extern "C" {
int fuzz_blocks_record(const std::uint8_t* data, std::size_t size);
int fuzz_blocks_chunk(const std::uint8_t* data, std::size_t size);
int fuzz_blocks_pack(const std::uint8_t* data, std::size_t size);
int fuzz_blocks_node(const std::uint8_t* data, std::size_t size);
int fuzz_blocks_slot_head(const std::uint8_t* data, std::size_t size);
}

namespace kiln::blocks {
namespace {

using Input = std::vector<std::uint8_t>;
using Target = int (*)(const std::uint8_t*, std::size_t);

Input bytes_of(std::span<const std::byte> bytes) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
  return {first, first + bytes.size()};
}

Input golden_file(const std::string& name) {
  std::ifstream file(base::Path(KILN_SOURCE_DIR) / "tests" / "golden" / "blocks" / name, std::ios::binary);
  EXPECT_TRUE(file.good()) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

// Flips, small and extreme numbers, cuts, insertions and repetitions, several at once.
Input damaged(const Input& good, std::mt19937_64& random) {
  Input bad = good;
  for (auto count = random() % 4; count < 4 && !bad.empty(); ++count) {
    // The ends hold the headers and lengths.
    const auto at = random() % 3 == 0 ? random() % bad.size() : random() % std::min<std::size_t>(bad.size(), 160);
    auto place = bad.begin() + static_cast<std::ptrdiff_t>(random() % 4 == 0 ? bad.size() - 1 - at : at);
    switch (random() % 6) {
      case 0: *place ^= static_cast<std::uint8_t>(1 << random() % 8); break;
      case 1: *place = static_cast<std::uint8_t>(random()); break;
      case 2: *place = random() % 2 == 0 ? 0 : 0xff; break;
      case 3: bad.erase(place, place + static_cast<std::ptrdiff_t>(random() % (bad.end() - place + 1))); break;
      case 4: bad.insert(place, random() % 40, static_cast<std::uint8_t>(random())); break;
      default: bad.resize(random() % (bad.size() + 1)); break;
    }
  }
  return bad;
}

void run(Target target, const std::vector<Input>& good, int rounds) {
  std::mt19937_64 random(20260101);
  target(nullptr, 0);
  for (const auto& input : good) {
    target(input.data(), input.size());
    for (int i = 0; i < rounds; ++i) {
      const auto bad = damaged(input, random);
      target(bad.data(), bad.size());
    }
  }
}

const std::string data_pack = "01890a5d-ac96-774b-bcce-b302099a8057.pack";
const std::string node_pack = "01890a5d-ac97-7000-8000-000000000001.pack";

TEST(Decoders, damaged_packs_are_refused_or_agree_with_themselves) {
  run(fuzz_blocks_pack, {golden_file(data_pack), golden_file(node_pack)}, 2000);
}

TEST(Decoders, damaged_records_are_refused_or_are_what_they_say) {
  std::vector<Input> records;
  for (const auto& name : {data_pack, node_pack}) {
    const auto pack = golden_file(name);
    const auto contents = parse_pack(std::as_bytes(std::span(pack)));
    ASSERT_TRUE(contents);
    for (const auto& entry : contents->entries) {
      const auto* first = pack.data() + entry.offset;
      records.emplace_back(first, first + entry.length);
    }
  }
  run(fuzz_blocks_record, records, 1500);
}

// As the target's units of bases are: of the base that begins with this byte.
base::Bytes unit_of_base(std::uint8_t first, std::uint8_t unit) {
  return base::Bytes(unit_bytes, static_cast<std::byte>(first ^ unit));
}

class FixedUnits final : public BaseUnits {
 public:
  base::Status read(const base::Digest& base, std::span<const UnitRead> units) override {
    for (const auto& [unit, to] : units) {
      const auto bytes = unit_of_base(std::to_integer<std::uint8_t>(base.bytes[0]), unit);
      std::ranges::copy(bytes, to);
    }
    return {};
  }
};

// A chunk of all kinds of units, of which two bases hold some.
base::Bytes record_of_all_kinds(std::size_t literals) {
  base::Bytes plain(chunk_bytes);
  UnitMap map{};
  std::vector<base::Digest> bases(2);
  std::mt19937_64 random(literals);
  for (std::size_t unit = 0; unit < units_per_chunk; ++unit) {
    const auto out = std::span(plain).subspan(unit * unit_bytes, unit_bytes);
    if (unit < literals) {
      for (std::size_t i = 0; i < unit_bytes; i += 8) {
        const std::uint64_t word = i < 256 ? random() : unit;
        std::memcpy(out.data() + i, &word, sizeof word);
      }
      map[unit] = {.kind = UnitSource::Kind::literal};
    } else if (unit % 3 == 0) {
      map[unit] = {.kind = UnitSource::Kind::own, .unit = static_cast<std::uint8_t>(unit % literals)};
      std::ranges::copy(std::span(plain).subspan(unit % literals * unit_bytes, unit_bytes), out.begin());
    } else if (unit % 3 == 1) {
      const auto base = static_cast<std::uint8_t>(unit / 8 % 2);
      map[unit] = {.kind = UnitSource::Kind::base, .base = base, .unit = static_cast<std::uint8_t>(unit / 2)};
      std::ranges::copy(unit_of_base(static_cast<std::uint8_t>(base + 1), map[unit].unit), out.begin());
    }
  }
  bases[0].bytes[0] = std::byte{1};
  bases[1].bytes[0] = std::byte{2};
  FixedUnits units;
  const auto record = RecordEncoder().encode_chunk({RecordKind::chunk, plain}, map, bases, &units);
  EXPECT_TRUE(record) << testing::why(record);
  return record ? *record : base::Bytes();
}

TEST(Decoders, damaged_chunks_with_bases_are_refused_or_are_what_they_say) {
  std::vector<Input> inputs;
  for (const std::size_t literals : {1, 20, 60}) {
    const auto record = record_of_all_kinds(literals);
    inputs.push_back(bytes_of(record));
    // The payload alone, as the target takes it: the length of frames, the number of bases, the payload.
    auto payload = bytes_of(std::span(record).subspan(record_header_bytes + 2 * 32));
    payload.insert(payload.begin(), {default_frame_log2 - min_frame_log2, 2});
    inputs.push_back(std::move(payload));
  }
  run(fuzz_blocks_chunk, inputs, 700);
}

TEST(Decoders, damaged_nodes_are_refused_or_encode_to_themselves) {
  Node node{.level = 3};
  for (auto& entry : node.entries) entry = base::sha256("entry");
  run(fuzz_blocks_node, {bytes_of(encode_node(node))}, 2000);
}

TEST(Decoders, damaged_slot_heads_are_refused_or_are_what_they_say) {
  run(fuzz_blocks_slot_head, {golden_file("slot-2.head")}, 2000);
}

}  // namespace
}  // namespace kiln::blocks
