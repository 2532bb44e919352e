#include "blocks/record.h"

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

Bytes encode(const Bytes& plain, RecordKind kind = RecordKind::chunk, int level = 1) {
  const auto record = RecordEncoder(level).encode(kind, base::sha256(plain), plain);
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
  for (const int level : {-5, 1, 3, 9, 22}) {
    const auto plain = content(1);
    const auto record = encode(plain, RecordKind::chunk, level);
    EXPECT_LT(record.size(), plain.size() * 2 / 3);
    EXPECT_EQ(parse_record(record)->header.codec, Codec::zstd);
    EXPECT_EQ(*decode_record(record, RecordKind::chunk, base::sha256(plain)), plain);
  }
  const auto noise = random_chunk();
  const auto record = encode(noise);
  EXPECT_EQ(record.size(), record_header_bytes + chunk_bytes);
  EXPECT_EQ(parse_record(record)->header.codec, Codec::raw);
  EXPECT_EQ(*decode_record(record, RecordKind::chunk, base::sha256(noise)), noise);
}

TEST(Record, is_raw_unless_compression_saves_six_percent) {
  auto plain = random_chunk();
  std::fill_n(plain.begin(), plain.size() * 5 / 100, std::byte{1});
  EXPECT_EQ(parse_record(encode(plain))->header.codec, Codec::raw);
  std::fill_n(plain.begin(), plain.size() * 8 / 100, std::byte{1});
  EXPECT_EQ(parse_record(encode(plain))->header.codec, Codec::zstd);
}

TEST(Record, holds_plaintext_of_one_length_only) {
  const auto short_of_it = RecordEncoder(1).encode(RecordKind::chunk, base::sha256("x"), base::as_bytes("x"));
  ASSERT_FALSE(short_of_it);
  EXPECT_EQ(short_of_it.error().fault(), Fault::invalid);
}

TEST(Record, is_not_encoded_under_an_id_that_is_not_its_own) {
  const auto wrong = RecordEncoder(1).encode(RecordKind::chunk, base::sha256("other"), content(1));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().fault(), Fault::corrupt);
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
  changed[7] = std::byte{16};
  EXPECT_EQ(refusal(changed), "a record in frames of 2^16");
  changed = record;
  changed[40] = std::byte{1};
  EXPECT_EQ(refusal(changed), "an encrypted record");
  changed = record;
  changed[52] = std::byte{1};
  changed.insert(changed.begin() + 72, 32, std::byte{0xab});
  EXPECT_EQ(refusal(changed, 104), "a record that refers to 1 bases");
}

TEST(Record, a_frame_that_claims_more_than_a_chunk_is_not_decompressed) {
  const auto plain = content(1);
  auto record = encode(plain);
  // The frame's content size: behind magic and descriptor, four bytes for half a MiB.
  record[record_header_bytes + 4 + 2] ^= std::byte{0x40};
  reseal(record);
  EXPECT_EQ(decode_record(record, RecordKind::chunk, base::sha256(plain)).error().fault(), Fault::corrupt);
}

}  // namespace
}  // namespace kiln::blocks
