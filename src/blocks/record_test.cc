#include "blocks/record_encoder.h"

#include "blocks/manifest.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using base::Fault;
using namespace testing;

Bytes random_chunk() {
  Bytes bytes(chunk_bytes);
  std::mt19937_64 random(7);
  for (auto& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

Bytes encode(const Bytes& plain, RecordKind kind = RecordKind::chunk) {
  const auto record = RecordEncoder().encode({kind, plain});
  EXPECT_TRUE(record) << why(record);
  return record ? *record : Bytes{};
}

// Puts the checksum right again, as whoever writes another version of the format would.
void reseal(Bytes& record, std::size_t fields_end = 72) {
  Bytes fields(record.begin(), record.begin() + 64);
  fields.insert(fields.end(), record.begin() + 72, record.begin() + static_cast<std::ptrdiff_t>(fields_end));
  const auto sum = base::xxh3_64(std::span(record).subspan(fields_end), base::xxh3_64(fields));
  std::memcpy(record.data() + 64, &sum, 8);
}

TEST(Record, round_trips_what_compresses_and_what_does_not) {
  const auto plain = content(1);
  const auto small = encode(plain);
  EXPECT_LT(small.size(), plain.size() * 2 / 3);
  EXPECT_EQ(parse_record(small)->header.codec, Codec::units);
  EXPECT_EQ(*decode_record(small, RecordKind::chunk, base::sha256(plain)), plain);
  const auto noise = random_chunk();
  const auto record = encode(noise);
  // One run of the map, and the lengths of eight frames.
  EXPECT_EQ(record.size(), record_header_bytes + 1 + 3 + 8 * 4 + chunk_bytes);
  EXPECT_EQ(*decode_record(record, RecordKind::chunk, base::sha256(noise)), noise);
}

TEST(Record, a_frame_is_stored_as_it_is_unless_compression_saves_six_percent) {
  constexpr std::size_t frame = 1 << default_frame_log2;
  const auto length_of_first_frame = [&](std::size_t compressible) {
    auto plain = random_chunk();
    std::fill_n(plain.begin(), compressible, std::byte{1});
    const auto record = encode(plain);
    return parse_chunk_payload(parse_record(record)->payload, default_frame_log2, 0)->frames[0].size();
  };
  EXPECT_EQ(length_of_first_frame(frame * 5 / 100), frame);
  EXPECT_LT(length_of_first_frame(frame * 8 / 100), frame);
}

TEST(Record, zeros_and_repeated_units_take_no_space) {
  Bytes plain(chunk_bytes);
  const auto noise = random_chunk();
  for (const std::size_t unit : {3, 40, 41, 127})
    std::copy_n(noise.begin(), unit_bytes, plain.begin() + unit * unit_bytes);
  const auto record = encode(plain);
  EXPECT_LT(record.size(), unit_bytes + 200);
  EXPECT_EQ(*decode_record(record, RecordKind::chunk, base::sha256(plain)), plain);
}

TEST(Record, holds_plaintext_of_one_length_only) {
  const auto short_of_it = RecordEncoder().encode({RecordKind::chunk, base::as_bytes("x")});
  ASSERT_FALSE(short_of_it);
  EXPECT_EQ(short_of_it.error().fault(), Fault::invalid);
}

// Bits flip in memory too: what is stored then would be another chunk under this one's name for good.
TEST(Record, is_not_encoded_when_its_plaintext_changed_after_it_was_named) {
  auto bytes = content(1);
  Node node{.level = 1};
  node.entries[3] = base::sha256("chunk");
  auto encoded = encode_node(node);
  const Plaintext chunk(RecordKind::chunk, bytes);
  const Plaintext of_node(RecordKind::node, encoded);
  bytes[chunk_bytes / 2] ^= std::byte{4};
  encoded[100] ^= std::byte{4};
  for (const auto* plain : {&chunk, &of_node}) {
    const auto wrong = RecordEncoder().encode(*plain);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().fault(), Fault::corrupt);
  }
}

TEST(Record, zeros_are_zeros_where_another_chunk_was_checked_before) {
  RecordEncoder encoder;
  ASSERT_TRUE(encoder.encode({RecordKind::chunk, content(1)}));
  Bytes plain(chunk_bytes);
  plain[0] = std::byte{1};
  const auto record = encoder.encode({RecordKind::chunk, plain});
  ASSERT_TRUE(record) << why(record);
  EXPECT_EQ(*decode_record(*record, RecordKind::chunk, base::sha256(plain)), plain);
}

TEST(Record, answers_to_no_other_id_and_no_other_kind) {
  const auto plain = content(1);
  const auto record = encode(plain);
  EXPECT_EQ(decode_record(record, RecordKind::chunk, base::sha256("other")).error().fault(), Fault::corrupt);
  EXPECT_EQ(decode_record(record, RecordKind::node, base::sha256(plain)).error().fault(), Fault::corrupt);
}

TEST(Record, any_flipped_bit_and_any_missing_byte_is_found) {
  Node node{.level = 1};
  node.entries[3] = base::sha256("chunk");
  const auto plain = encode_node(node);
  const auto id = base::sha256(plain);
  const auto record = encode(plain, RecordKind::node);
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    auto bad = record;
    bad[bit / 8] ^= std::byte{1} << bit % 8;
    const auto decoded = decode_record(bad, RecordKind::node, id);
    ASSERT_FALSE(decoded) << "bit " << bit;
    ASSERT_EQ(decoded.error().fault(), Fault::corrupt) << "bit " << bit << ": " << why(decoded);
  }
  for (std::size_t length = 0; length < record.size(); ++length) {
    ASSERT_FALSE(decode_record(std::span(record).first(length), RecordKind::node, id)) << length;
  }
  auto longer = record;
  longer.push_back({});
  EXPECT_FALSE(decode_record(longer, RecordKind::node, id));
}

TEST(Record, what_a_later_version_wrote_is_refused_by_name) {
  const auto plain = content(1);
  const auto id = base::sha256(plain);
  const auto record = encode(plain);
  const auto refusal = [&](Bytes changed, std::size_t fields_end = 72) {
    reseal(changed, fields_end);
    const auto decoded = decode_record(changed, RecordKind::chunk, id);
    EXPECT_FALSE(decoded);
    EXPECT_EQ(decoded.error().fault(), Fault::unsupported) << why(decoded);
    return decoded.error().message();
  };
  auto changed = record;
  changed[5] = std::byte{2};
  EXPECT_EQ(refusal(changed), "a record with hash algorithm 2");
  changed = record;
  changed[6] = std::byte{9};
  EXPECT_EQ(refusal(changed), "a record with codec 9");
  changed = record;
  changed[52] = std::byte{1};
  changed.insert(changed.begin() + 72, 32, std::byte{0xab});
  EXPECT_EQ(refusal(changed, 104), "a record that refers to 1 bases");
}

TEST(Record, a_frame_that_claims_more_than_its_literals_is_not_decompressed) {
  const auto plain = content(1);
  auto record = encode(plain);
  const auto payload = parse_chunk_payload(parse_record(record)->payload, default_frame_log2, 0);
  ASSERT_TRUE(payload);
  // The frame's content size lies behind magic and descriptor.
  const auto frame = static_cast<std::size_t>(payload->frames[0].data() - record.data());
  record[frame + 5] ^= std::byte{0x40};
  reseal(record);
  EXPECT_EQ(decode_record(record, RecordKind::chunk, base::sha256(plain)).error().fault(), Fault::corrupt);
}

// A chunk of which three quarters are another's, and where its units come from.
struct Referring {
  Bytes base = content(1);
  Bytes plain = content(2);
  UnitMap map;

  Referring() {
    std::copy_n(base.begin() + chunk_bytes / 4, chunk_bytes * 3 / 4, plain.begin());
    map = units_of(plain).map;
    for (std::uint8_t unit = 0; unit < units_per_chunk * 3 / 4; ++unit) {
      map[unit] = {.kind = UnitSource::Kind::base, .base = 0, .unit = static_cast<std::uint8_t>(unit + 32)};
    }
    // Copies of literals that became references would be copies of nothing.
    for (auto& source : map) {
      if (source.kind == UnitSource::Kind::own && map[source.unit].kind == UnitSource::Kind::base) {
        source = map[source.unit];
      }
    }
  }
};

// Answers with a chunk's units, whatever is asked for.
class OneBase final : public BaseUnits {
 public:
  explicit OneBase(const Bytes& plain) : plain_(plain) {}
  base::Status read(const base::Digest&, std::span<const UnitRead> units) override {
    for (const auto& [unit, to] : units) std::memcpy(to, plain_.data() + unit * unit_bytes, unit_bytes);
    return {};
  }

 private:
  const Bytes& plain_;
};

TEST(Record, a_chunk_that_refers_to_a_base_holds_its_own_units_only) {
  const Referring made;
  const auto id = base::sha256(made.plain);
  const std::vector bases{base::sha256(made.base)};
  OneBase units(made.base);
  const auto record = RecordEncoder().encode_chunk({RecordKind::chunk, made.plain}, made.map, bases, &units);
  ASSERT_TRUE(record) << why(record);
  EXPECT_LT(record->size(), encode(made.plain).size() / 2);
  EXPECT_EQ(parse_record(*record)->header.bases, bases);
  EXPECT_EQ(*decode_record(*record, RecordKind::chunk, id, &units), made.plain);
  EXPECT_EQ(decode_record(*record, RecordKind::chunk, id).error().fault(), Fault::unsupported);
}

TEST(Record, a_base_with_other_content_is_found_out_before_and_after) {
  const Referring made;
  const auto id = base::sha256(made.plain);
  const std::vector bases{base::sha256(made.base)};
  OneBase right(made.base);
  const auto other = content(9);
  OneBase wrong(other);
  EXPECT_EQ(RecordEncoder().encode_chunk({RecordKind::chunk, made.plain}, made.map, bases, &wrong).error().fault(),
            Fault::corrupt);
  const auto record = RecordEncoder().encode_chunk({RecordKind::chunk, made.plain}, made.map, bases, &right);
  ASSERT_TRUE(record);
  EXPECT_EQ(decode_record(*record, RecordKind::chunk, id, &wrong).error().fault(), Fault::corrupt);
}

TEST(Record, units_are_read_alone_unless_they_are_references) {
  const Referring made;
  const auto id = base::sha256(made.plain);
  OneBase units(made.base);
  const auto record = RecordEncoder().encode_chunk({RecordKind::chunk, made.plain}, made.map,
                                                   std::vector{base::sha256(made.base)}, &units);
  ASSERT_TRUE(record);
  for (std::uint8_t unit = 0; unit < units_per_chunk; ++unit) {
    Bytes got(unit_bytes);
    const UnitRead wanted{.unit = unit, .to = got.data()};
    const auto read = decode_units(*record, id, std::span(&wanted, 1));
    if (made.map[unit].kind == UnitSource::Kind::base) {
      ASSERT_FALSE(read) << int{unit};
      EXPECT_EQ(read.error().fault(), Fault::not_found);
    } else {
      ASSERT_TRUE(read) << int{unit} << ": " << read.error().message();
      EXPECT_TRUE(
          std::equal(got.begin(), got.end(), made.plain.begin() + unit * static_cast<std::ptrdiff_t>(unit_bytes)));
    }
  }
}

}  // namespace
}  // namespace kiln::blocks
