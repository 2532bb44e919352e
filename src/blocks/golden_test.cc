// The files of tests/golden/blocks were written once and are read for ever: format 2 of packs, records and nodes. Those
// of tests/golden/blocks-1 are of format 1, which came before any release: they are refused by name.
// KILN_WRITE_GOLDEN=1 writes them again, which is right only when a format gets a new number.

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <tuple>

#include "blocks/pack.h"
#include "blocks/store_testing.h"

namespace kiln::blocks {
namespace {

using base::Bytes;
using namespace testing;

const base::Path golden = base::Path(KILN_SOURCE_DIR) / "tests" / "golden" / "blocks";
const auto data_pack_id = *PackId::from_text("01890a5d-ac96-774b-bcce-b302099a8057");
const auto node_pack_id = *PackId::from_text("01890a5d-ac97-7000-8000-000000000001");
const auto encrypted_pack_id = *PackId::from_text("01890a5d-ac98-7000-8000-000000000002");

// Chunk n: 2,048 words that count from n, again and again.
Bytes golden_chunk(std::uint64_t n) {
  Bytes bytes(chunk_bytes);
  for (std::size_t i = 0; i < chunk_bytes / 8; ++i) {
    const std::uint64_t word = n + i % 2048;
    std::memcpy(bytes.data() + 8 * i, &word, 8);
  }
  return bytes;
}

// Chunk 3: the first half is chunk 1's, a stretch of zeros, and units of its own.
Bytes referring_chunk() {
  auto bytes = golden_chunk(3);
  const auto base = golden_chunk(1);
  std::copy_n(base.begin(), chunk_bytes / 2, bytes.begin());
  std::fill_n(bytes.begin() + chunk_bytes / 2, 32 * unit_bytes, std::byte{});
  return bytes;
}

UnitMap referring_map() {
  auto map = units_of(referring_chunk()).map;
  for (std::uint8_t unit = 0; unit < units_per_chunk / 2; ++unit) {
    map[unit] = {.kind = UnitSource::Kind::base, .base = 0, .unit = static_cast<std::uint8_t>(unit % 4)};
  }
  return map;
}

// The base of chunk 3 without a store: chunk 1 itself.
class GoldenBase final : public BaseUnits {
 public:
  base::Status read(const base::Digest& base, std::span<const UnitRead> units) override {
    const auto plain = golden_chunk(1);
    if (base != base::sha256(plain)) return base::Error(base::Fault::not_found, "no such base");
    for (const auto& [unit, to] : units) std::memcpy(to, plain.data() + unit * unit_bytes, unit_bytes);
    return {};
  }
};

// A disk of 192 GiB: chunk 1 in the last chunk, chunk 2 in chunk 7, and a leaf from 256 MiB on that is full of ids.
struct GoldenTree {
  std::vector<Node> nodes;
  NodeId root;

  GoldenTree() {
    Node first{.level = 1}, full{.level = 1}, last{.level = 1};
    first.entries[7] = base::sha256(golden_chunk(2));
    for (std::size_t i = 0; i < node_fanout; ++i) full.entries[i] = base::sha256("chunk " + std::to_string(i));
    last.entries[511] = base::sha256(golden_chunk(1));
    Node low{.level = 2}, high{.level = 2}, top{.level = 3};
    low.entries[0] = add(first);
    low.entries[1] = add(full);
    high.entries[255] = add(last);
    top.entries[0] = add(low);
    top.entries[1] = add(high);
    root = add(top);
  }
  NodeId add(const Node& node) {
    nodes.push_back(node);
    return base::sha256(encode_node(node));
  }
};

// The keys of the encrypted pack.
DomainPtr golden_domain() {
  DomainId id;
  id.bytes.fill(std::byte{0xd0});
  DomainSecret secret;
  secret.fill(std::byte{0x5e});
  return std::make_shared<const KeyDomain>(id, secret);
}

Bytes read_golden(const PackId& id) {
  const auto text = base::posix_files().read_all(golden / (id.text() + ".pack"));
  EXPECT_TRUE(text) << why(text);
  if (!text) return {};
  const auto bytes = base::as_bytes(*text);
  return {bytes.begin(), bytes.end()};
}

void write_golden() {
  RecordEncoder encoder;
  PackWriter data({.id = data_pack_id, .kind = PackKind::data, .epoch = 42});
  for (const std::uint64_t n : {1, 2}) {
    const auto plain = golden_chunk(n);
    data.add(base::sha256(plain), *encoder.encode({RecordKind::chunk, plain}), {n, n + 1});
  }
  const auto plain = referring_chunk();
  const std::vector bases{base::sha256(golden_chunk(1))};
  GoldenBase base;
  data.add(base::sha256(plain), *encoder.encode_chunk({RecordKind::chunk, plain}, referring_map(), bases, &base), {7});
  PackWriter nodes({.id = node_pack_id, .kind = PackKind::nodes, .epoch = 43});
  for (const auto& node : GoldenTree().nodes) {
    const auto encoded = encode_node(node);
    nodes.add(base::sha256(encoded), *encoder.encode({RecordKind::node, encoded}));
  }
  const auto domain = golden_domain();
  Keyring keys;
  keys.add(domain);
  RecordEncoder encrypting(&keys);
  PackWriter encrypted({.id = encrypted_pack_id, .kind = PackKind::data, .domain = domain->id(), .epoch = 44});
  const auto secret_chunk = golden_chunk(1);
  const Plaintext secret(RecordKind::chunk, secret_chunk, domain.get());
  encrypted.add(secret.id, *encrypting.encode(secret), {domain->mask_feature(1)});
  for (auto* writer : {&data, &nodes, &encrypted}) {
    const auto pack = std::move(*writer).finish();
    std::ofstream file(golden / (pack.contents.header.id.text() + ".pack"), std::ios::binary);
    file << base::as_text(pack.bytes);
  }
}

TEST(Golden, packs_of_format_2_are_read_to_the_byte) {
  if (std::getenv("KILN_WRITE_GOLDEN") != nullptr) write_golden();
  for (const auto& [id, kind, epoch, records] :
       {std::tuple{data_pack_id, PackKind::data, 42u, 3u}, std::tuple{node_pack_id, PackKind::nodes, 43u, 6u}}) {
    const auto bytes = read_golden(id);
    const auto contents = parse_pack(bytes);
    ASSERT_TRUE(contents) << why(contents);
    EXPECT_EQ(contents->header, (PackHeader{.id = id, .kind = kind, .epoch = epoch}));
    ASSERT_EQ(contents->entries.size(), records);
    // The same records make the same pack again.
    auto by_offset = contents->entries;
    std::ranges::sort(by_offset, {}, &PackEntry::offset);
    PackWriter writer(contents->header);
    for (const auto& entry : by_offset) {
      writer.add(entry.id, std::span(bytes).subspan(entry.offset, entry.length), entry.features);
    }
    EXPECT_EQ(std::move(writer).finish().bytes, bytes);
  }
}

TEST(Golden, chunks_decode_to_what_they_were) {
  const auto bytes = read_golden(data_pack_id);
  const auto contents = parse_pack(bytes);
  ASSERT_TRUE(contents);
  for (const std::uint64_t n : {1, 2}) {
    const auto plain = golden_chunk(n);
    const auto* entry = contents->find(base::sha256(plain));
    ASSERT_NE(entry, nullptr);
    const auto record = std::span(bytes).subspan(entry->offset, entry->length);
    EXPECT_EQ(parse_record(record)->header.codec, Codec::units);
    const auto decoded = decode_record(record, RecordKind::chunk, entry->id);
    ASSERT_TRUE(decoded) << why(decoded);
    EXPECT_EQ(*decoded, plain);
  }
  const auto* entry = contents->find(base::sha256(referring_chunk()));
  ASSERT_NE(entry, nullptr);
  const auto record = std::span(bytes).subspan(entry->offset, entry->length);
  GoldenBase base;
  const auto decoded = decode_record(record, RecordKind::chunk, entry->id, &base);
  ASSERT_TRUE(decoded) << why(decoded);
  EXPECT_EQ(*decoded, referring_chunk());
  EXPECT_EQ(decode_record(record, RecordKind::chunk, entry->id).error().message(), "a record that refers to 1 bases");
}

TEST(Golden, an_encrypted_chunk_decodes_with_its_keys_to_what_it_was) {
  const auto bytes = read_golden(encrypted_pack_id);
  const auto contents = parse_pack(bytes);
  ASSERT_TRUE(contents) << why(contents);
  const auto domain = golden_domain();
  Keyring keys;
  keys.add(domain);
  EXPECT_EQ(contents->header,
            (PackHeader{.id = encrypted_pack_id, .kind = PackKind::data, .domain = domain->id(), .epoch = 44}));
  const auto plain = golden_chunk(1);
  const auto* entry = contents->find(domain->mask(base::sha256(plain)));
  ASSERT_NE(entry, nullptr);
  EXPECT_EQ(entry->features, std::vector<Feature>{domain->mask_feature(1)});
  const auto record = std::span(bytes).subspan(entry->offset, entry->length);
  EXPECT_EQ(domain_of(*parse_record(record)), domain->id());
  const auto decoded = decode_record(record, RecordKind::chunk, entry->id, nullptr, &keys);
  ASSERT_TRUE(decoded) << why(decoded);
  EXPECT_EQ(*decoded, plain);
  EXPECT_EQ(decode_record(record, RecordKind::chunk, entry->id).error().fault(), base::Fault::no_key);
}

TEST(Golden, a_raw_record_is_encoded_to_the_same_bytes) {
  const auto bytes = read_golden(node_pack_id);
  const auto contents = parse_pack(bytes);
  ASSERT_TRUE(contents);
  const auto plain = encode_node(GoldenTree().nodes[1]);
  const auto id = base::sha256(plain);
  const auto* entry = contents->find(id);
  ASSERT_NE(entry, nullptr);
  const auto record = std::span(bytes).subspan(entry->offset, entry->length);
  EXPECT_EQ(parse_record(record)->header.codec, Codec::raw);
  const auto again = RecordEncoder().encode({RecordKind::node, plain});
  ASSERT_TRUE(again);
  EXPECT_TRUE(std::ranges::equal(*again, record));
}

TEST(Golden, the_root_digest_of_a_disk_is_what_it_was) {
  EXPECT_EQ(GoldenTree().root.hex(), "ec73c9052841ba6d3aeac956e9563f9d75841d20f0444a0dd87c67a9ea119a4a");
}

// A store whose packs are copies of golden ones.
void make_store(const base::Path& directory, const base::Path& packs, int format) {
  for (const auto& id : {data_pack_id, node_pack_id}) {
    const auto name = id.text() + ".pack";
    const auto to = directory / "packs" / name.substr(34, 2);
    std::filesystem::create_directories(to);
    std::filesystem::copy_file(packs / name, to / name);
  }
  std::ofstream(directory / "FORMAT") << "kiln-store " << format << "\nuuid 01234567-89ab-4cde-8f01-23456789abcd\n";
}

TEST(Golden, a_store_opens_over_packs_of_format_2) {
  const TestDirectory directory;
  make_store(directory.path(), golden, 2);
  const auto store = open_store(directory.path());
  ASSERT_NE(store, nullptr);
  const DiskId disk{.root = GoldenTree().root, .size_bytes = std::uint64_t{192} << 30};
  base::Bytes bytes(chunk_bytes);
  ASSERT_TRUE(store->read(disk, 7 * chunk_bytes, bytes));
  EXPECT_EQ(bytes, golden_chunk(2));
  ASSERT_TRUE(store->read(disk, disk.size_bytes - chunk_bytes, bytes));
  EXPECT_EQ(bytes, golden_chunk(1));
  EXPECT_EQ(store->chunk_id(disk, 512)->hex(), base::sha256("chunk 0").hex());
  const auto referring = store->chunk(base::sha256(referring_chunk()));
  ASSERT_TRUE(referring) << why(referring);
  EXPECT_EQ(**referring, referring_chunk());
}

TEST(Golden, a_store_and_packs_of_format_1_are_refused_by_name) {
  const auto packs = base::Path(KILN_SOURCE_DIR) / "tests" / "golden" / "blocks-1";
  const TestDirectory directory;
  make_store(directory.path(), packs, 1);
  const auto store =
      Store::open({.files = base::posix_files(), .directory = directory.path(), .access = Access::write});
  ASSERT_FALSE(store);
  EXPECT_NE(store.error().message().find("it has format \"1\"; this program reads format 2"), std::string::npos)
      << why(store);
  const auto text = base::posix_files().read_all(packs / (data_pack_id.text() + ".pack"));
  ASSERT_TRUE(text);
  EXPECT_EQ(parse_pack(base::as_bytes(*text)).error().message(), "pack format 1; this program reads format 2");
}

}  // namespace
}  // namespace kiln::blocks
