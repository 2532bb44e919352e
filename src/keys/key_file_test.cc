#include "keys/key_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "base/text.h"

extern "C" int fuzz_keys_file(const std::uint8_t* data, std::size_t size);

namespace kiln::keys {
namespace {

const std::filesystem::path golden = std::filesystem::path(KILN_SOURCE_DIR) / "tests/golden/keys";

base::Bytes golden_file(const std::string& name) {
  std::ifstream file(golden / name, std::ios::binary);
  const std::string text(std::istreambuf_iterator<char>(file), {});
  const auto bytes = base::as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

template <std::size_t size>
std::array<std::byte, size> counting(int from) {
  std::array<std::byte, size> out{};
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(from + static_cast<int>(i));
  return out;
}

const KeyId key = *KeyId::from_text("1234abcd-12ab-34cd-56ef-1234567890ab");
const RootKey root{.id = {counting<16>(1)}, .secret = Secret(counting<32>(100))};
const Secret material(counting<32>(7));

Ciphertext some_text() {
  Ciphertext text{.key = key, .salt = counting<16>(30), .nonce = counting<12>(60), .sealed = {}};
  text.sealed.assign(20, std::byte{9});
  return text;
}

TEST(KeyId, is_a_uuid_in_lower_case_and_nothing_else) {
  EXPECT_EQ(key.text(), "1234abcd-12ab-34cd-56ef-1234567890ab");
  for (const auto* text : {"", "1234abcd-12ab-34cd-56ef-1234567890a", "1234ABCD-12ab-34cd-56ef-1234567890ab",
                           "1234abcd012ab-34cd-56ef-1234567890ab", "1234abcd-12ab-34cd-56ef-1234567890a-"}) {
    EXPECT_FALSE(KeyId::from_text(text)) << text;
  }
}

TEST(KeyFile, is_what_the_golden_files_are) {
  const auto file = seal_key(key, material, root, counting<12>(50));
  if (std::getenv("KILN_WRITE_GOLDEN") != nullptr) {
    std::filesystem::create_directories(golden);
    std::ofstream(golden / "root", std::ios::binary) << base::as_text(encode(root));
    std::ofstream(golden / (key.text() + ".key"), std::ios::binary) << base::as_text(encode(file));
  }
  EXPECT_EQ(golden_file("root"), encode(root));
  EXPECT_EQ(golden_file(key.text() + ".key"), encode(file));
  const auto read = decode_key_file(golden_file(key.text() + ".key"));
  ASSERT_TRUE(read);
  const auto opened = open_key(*read, root);
  ASSERT_TRUE(opened);
  EXPECT_EQ(*opened, material);
}

TEST(KeyFile, of_another_root_or_key_or_changed_by_a_bit_does_not_open) {
  const auto bytes = encode(seal_key(key, material, root, counting<12>(50)));
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    auto changed = bytes;
    changed[bit / 8] ^= static_cast<std::byte>(1 << bit % 8);
    const auto file = decode_key_file(changed);
    EXPECT_TRUE(!file || !open_key(*file, root)) << "bit " << bit;
  }
  const RootKey other{.id = root.id, .secret = material};
  EXPECT_EQ(open_key(*decode_key_file(bytes), other).error().fault(), base::Fault::corrupt);
  const RootKey stranger{.id = {counting<16>(9)}, .secret = root.secret};
  EXPECT_EQ(open_key(*decode_key_file(bytes), stranger).error().fault(), base::Fault::failed);
}

TEST(KeyFile, damaged_and_unknown_versions_are_refused) {
  const auto whole = encode(root);
  for (std::size_t length = 0; length < root_file_bytes; ++length) {
    EXPECT_FALSE(decode_root(std::span(whole).first(length)));
  }
  auto damaged = encode(root);
  damaged[50] ^= std::byte{1};
  EXPECT_EQ(decode_root(damaged).error().fault(), base::Fault::corrupt);
  auto newer = encode(root);
  newer[8] = std::byte{2};
  EXPECT_EQ(decode_root(newer).error().fault(), base::Fault::unsupported);
  auto longer = encode(seal_key(key, material, root, {}));
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_key_file(longer));
}

TEST(Ciphertext, opens_with_its_key_and_context_alone) {
  const auto text = encrypt_with(key, material, base::as_bytes("a data key"), "context");
  const auto again = decode_ciphertext(encode(text));
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, text);
  EXPECT_EQ(base::as_text(decrypt_with(material, *again, "context")->bytes()), "a data key");
  EXPECT_FALSE(decrypt_with(material, *again, "another"));
  EXPECT_FALSE(decrypt_with(root.secret, *again, "context"));
  auto moved = *again;
  moved.key.bytes[0] ^= std::byte{1};
  EXPECT_FALSE(decrypt_with(material, moved, "context")) << "the key's name is bound to it";
  EXPECT_NE(encode(encrypt_with(key, material, base::as_bytes("a data key"), "context")), encode(text));
}

TEST(Ciphertext, its_form_is_documented_to_the_byte) {
  const auto bytes = encode(some_text());
  EXPECT_EQ(base::to_hex(bytes),
            "01"
            "1234abcd12ab34cd56ef1234567890ab"
            "1e1f202122232425262728292a2b2c2d"
            "3c3d3e3f4041424344454647" +
                base::to_hex(base::Bytes(20, std::byte{9})));
  EXPECT_FALSE(decode_ciphertext(std::span(bytes).first(ciphertext_head_bytes + tag_bytes - 1)));
}

TEST(KeyFile, decoders_take_any_bytes) {
  const char* const given = std::getenv("KILN_SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  SCOPED_TRACE("KILN_SEED=" + std::to_string(seed));
  std::mt19937_64 random(seed);
  for (const auto& good : {encode(root), encode(seal_key(key, material, root, {})), encode(some_text())}) {
    for (int round = 0; round < 20'000; ++round) {
      auto bad = good;
      const auto changes = random() % 4;
      for (std::uint64_t i = 0; i < changes; ++i) bad[random() % bad.size()] = static_cast<std::byte>(random());
      if (random() % 3 == 0) bad.resize(random() % (good.size() + 8));
      fuzz_keys_file(reinterpret_cast<const std::uint8_t*>(bad.data()), bad.size());
    }
  }
}

}  // namespace
}  // namespace kiln::keys
